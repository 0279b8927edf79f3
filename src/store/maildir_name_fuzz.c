/*
 * maildir_name_fuzz: any name of a file. Its base name lies in it, a unique-id comes of it, it
 * stands somewhere in the order; and what counts as one of ours is exactly what we would write.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/maildir_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int sign(int order)
{
	return (order > 0) - (order < 0);
}

static void check_order(const struct maildir_name *a, const struct maildir_name *b,
			const struct maildir_name *c)
{
	assert(maildir_name_compare(a, a) == 0);
	assert(sign(maildir_name_compare(a, b)) == -sign(maildir_name_compare(b, a)));
	if (maildir_name_compare(a, b) <= 0 && maildir_name_compare(b, c) <= 0)
		assert(maildir_name_compare(a, c) <= 0);
}

static void check(const char *text)
{
	char uid[UID_MAX + 1], other[MAILDIR_NAME_MAX + 1];
	struct maildir_name name = maildir_name_parse(text);
	assert(name.base.data == text && name.base.length <= strlen(text));
	assert(name.base.length == strlen(text) || text[name.base.length] == ':');
	assert(name.microsecond < 1000000);
	assert(maildir_name_uid(text, uid));
	size_t length = strlen(uid);
	assert(length >= 1 && length <= UID_MAX);
	for (size_t i = 0; i < length; i++)
		assert(uid[i] >= 0x21 && uid[i] <= 0x7E);
	if (!name.own)
		return;
	maildir_name_make(name.second * 1000000 + name.microsecond, name.length, name.octets,
			  name.checksum, other);
	struct maildir_name made = maildir_name_parse(other);
	assert(made.own && made.base.length == name.base.length);
	assert(memcmp(other, text, strlen("1795312860.M500000R")) == 0);
	const char *sizes = strchr(text, ','), *others = strchr(other, ',');
	assert(strncmp(sizes, others, strlen(others)) == 0);
}

/* Three names, each ended by a line feed or the end. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char texts[3][MAILDIR_NAME_MAX + 1] = {"", "", ""};
	struct maildir_name names[3];
	size_t at = 0, length = 0;
	for (size_t i = 0; i < size && at < 3; i++) {
		if (data[i] == '\n' || length == MAILDIR_NAME_MAX) {
			at++;
			length = 0;
		} else if (data[i] != '\0') {
			texts[at][length++] = (char)data[i];
			texts[at][length] = '\0';
		}
	}
	for (size_t i = 0; i < 3; i++) {
		check(texts[i]);
		names[i] = maildir_name_parse(texts[i]);
	}
	check_order(&names[0], &names[1], &names[2]);
	return 0;
}
