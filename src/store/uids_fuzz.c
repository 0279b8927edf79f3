/*
 * uids_fuzz: any octets as the file of unique-ids. The first octet says whether the lines get the
 * checksums they need. Every line found can be looked up, is what a unique-id may be, and printed
 * again gives a file that says the same.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/limits.h"
#include "store/uids.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK_OCTETS 8

static void mend_lines(char *octets, size_t size)
{
	for (char *end; (end = memchr(octets, '\n', size)) != NULL;) {
		size_t length = (size_t)(end - octets);
		char check[CHECK_OCTETS + 1];
		if (length > CHECK_OCTETS) {
			struct bytes checked = {octets, length - CHECK_OCTETS};
			snprintf(check, sizeof check, "%08x", crc32c(0, checked));
			memcpy(octets + checked.length, check, CHECK_OCTETS);
		}
		size -= length + 1;
		octets = end + 1;
	}
}

static struct bytes part(const struct uids *uids, size_t at, size_t length)
{
	assert(length > 0 && at + length <= uids->end);
	for (size_t i = 0; i < length; i++)
		assert(uids->text.data[at + i] >= 0x21 && uids->text.data[at + i] <= 0x7E);
	return (struct bytes){uids->text.data + at, length};
}

static size_t distinct(const struct uids *uids)
{
	size_t count = 0;
	for (size_t i = 0; i < uids->count; i++) {
		struct bytes key = part(uids, uids->list[i].key, uids->list[i].key_length);
		count += i == 0 || !bytes_equal(key, part(uids, uids->list[i - 1].key,
							  uids->list[i - 1].key_length));
	}
	return count;
}

static void print_again(const struct uids *uids)
{
	struct buffer lines;
	struct uids again;
	buffer_init(&lines, (size_t)1 << 30);
	for (size_t i = 0; i < uids->count; i++) {
		const struct uids_line *line = &uids->list[i];
		struct bytes key = part(uids, line->key, line->key_length);
		struct bytes uid = part(uids, line->uid, line->uid_length);
		assert(uid.length <= UID_MAX && uids_find(uids, key).length > 0);
		assert(uids_print(&lines, key, uid));
	}
	assert(uids_parse(&lines, &again));
	assert(again.count == uids->count && again.bad == 0 && again.end == again.text.length);
	assert(distinct(&again) == distinct(uids));
	uids_free(&again);
	buffer_free(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer text;
	struct uids uids;
	if (size == 0)
		return 0;
	buffer_init(&text, (size_t)1 << 30);
	if (!buffer_append(&text, (struct bytes){(const char *)data + 1, size - 1}))
		abort();
	if ((data[0] & 1) != 0 && text.length > 0)
		mend_lines(text.data, text.length);
	assert(uids_parse(&text, &uids));
	assert(uids.end <= uids.text.length && (uids.count == 0) == (uids.end == 0));
	print_again(&uids);
	uids_free(&uids);
	buffer_free(&text);
	return 0;
}
