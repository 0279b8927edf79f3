/*
 * uids: see uids.h. Must not know what a key means.
 */
#include "store/uids.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/number.h"

#define CHECK_OCTETS 8

struct uids_owner uids_owner(const struct place *place)
{
	uint32_t root_and_kind = place->mail_root * 16 + place->kind;
	return (struct uids_owner){place->account, crc32c(root_and_kind, bytes_of(place->path))};
}

const char *uids_label(struct uids_owner owner, char room[UIDS_NAME_OCTETS])
{
	snprintf(room, UIDS_NAME_OCTETS, "uids/%" PRIu64 ".%08" PRIx32, owner.account, owner.place);
	return room;
}

static void uids_name(struct uids_owner owner, const char *suffix, char name[48])
{
	snprintf(name, 48, "%" PRIu64 ".%08" PRIx32 "%s", owner.account, owner.place, suffix);
}

static struct bytes key_of(const struct uids *uids, const struct uids_line *line)
{
	return (struct bytes){uids->text.data + line->key, line->key_length};
}

static int compare(struct bytes a, struct bytes b)
{
	size_t shorter = a.length < b.length ? a.length : b.length;
	int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;
	return order != 0 ? order : (a.length > shorter) - (b.length > shorter);
}

static int compare_lines(const void *a, const void *b, void *context)
{
	const struct uids *uids = context;
	return compare(key_of(uids, a), key_of(uids, b));
}

/* ---- lines ---- */

static bool graphic(struct bytes text)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] < 0x21 || text.data[i] > 0x7E)
			return false;
	return text.length > 0;
}

static bool parse_line(const char *text, struct bytes line, struct uids_line *uid_out)
{
	uint32_t check;
	const char *space = line.length > 0 ? memchr(line.data, ' ', line.length) : NULL;
	if (space == NULL || line.length < CHECK_OCTETS + 1)
		return false;
	struct bytes checked = bytes_first(line, line.length - CHECK_OCTETS);
	if (!number_parse_hex32(bytes_skip(line, checked.length), &check) ||
	    crc32c(0, checked) != check)
		return false;
	struct bytes key = {line.data, (size_t)(space - line.data)};
	struct bytes uid = bytes_skip(checked, key.length + 1);
	uid = bytes_first(uid, uid.length > 0 ? uid.length - 1 : 0); /* the second space */
	if (!graphic(key) || !graphic(uid) || uid.length > UID_MAX)
		return false;
	*uid_out = (struct uids_line){(size_t)(key.data - text), key.length,
				      (size_t)(uid.data - text), uid.length};
	return true;
}

bool uids_print(struct buffer *lines, struct bytes key, struct bytes uid)
{
	size_t start = lines->length;
	if (!buffer_append(lines, key) || !buffer_append(lines, BYTES(" ")) ||
	    !buffer_append(lines, uid) || !buffer_append(lines, BYTES(" ")))
		return false;
	return buffer_print(lines, "%08" PRIx32 "\n",
			    crc32c(0, bytes_skip(buffer_bytes(lines), start)));
}

static bool keep_line(struct uids *uids, const struct uids_line *line)
{
	if (uids->count == uids->room) {
		size_t room = uids->room * 2 + 16;
		struct uids_line *list = realloc(uids->list, room * sizeof *list);
		if (list == NULL)
			return false;
		uids->list = list;
		uids->room = room;
	}
	uids->list[uids->count++] = *line;
	return true;
}

bool uids_parse(struct buffer *text, struct uids *uids_out)
{
	struct uids_line line;
	size_t bad = 0;
	*uids_out = (struct uids){.text = *text};
	*text = (struct buffer){.max = text->max};
	struct bytes rest = buffer_bytes(&uids_out->text);
	for (const char *feed;
	     rest.length > 0 && (feed = memchr(rest.data, '\n', rest.length)) != NULL;) {
		struct bytes octets = {rest.data, (size_t)(feed - rest.data)};
		rest = bytes_skip(rest, octets.length + 1);
		if (!parse_line(uids_out->text.data, octets, &line)) {
			bad++;
			continue;
		}
		if (!keep_line(uids_out, &line)) {
			uids_free(uids_out);
			return false;
		}
		uids_out->bad = bad;
		uids_out->end = uids_out->text.length - rest.length;
	}
	if (uids_out->count > 0)
		qsort_r(uids_out->list, uids_out->count, sizeof *uids_out->list, compare_lines,
			uids_out);
	return true;
}

void uids_free(struct uids *uids)
{
	buffer_free(&uids->text);
	free(uids->list);
	*uids = (struct uids){0};
}

struct bytes uids_find(const struct uids *uids, struct bytes key)
{
	size_t low = 0, high = uids->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct uids_line *line = &uids->list[middle];
		int order = compare(key, key_of(uids, line));
		if (order == 0)
			return (struct bytes){uids->text.data + line->uid, line->uid_length};
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return (struct bytes){0};
}

/* ---- the file ---- */

static int read_all(struct file *file, struct buffer *text)
{
	struct file_status status;
	int result = file_status(file, &status);
	if (result < 0)
		return result;
	if (!buffer_reserve(text, status.size_octets))
		return -ENOMEM;
	ssize_t length = file_read(file, text->data, status.size_octets, 0, false);
	text->length = length > 0 ? (size_t)length : 0;
	return length < 0 ? (int)length : 0;
}

int uids_load(const struct store_root *root, struct uids_owner owner, struct uids *uids_out)
{
	char name[48];
	struct file *file;
	struct buffer text;
	*uids_out = (struct uids){0};
	uids_name(owner, "", name);
	int result = file_open(root->uids, name, FILE_READ, &file);
	if (result == -ENOENT)
		return 0;
	if (result < 0)
		return result;
	buffer_init(&text, UIDS_TEXT_MAX);
	result = read_all(file, &text);
	file_close(file);
	if (result >= 0 && !uids_parse(&text, uids_out))
		result = -ENOMEM;
	buffer_free(&text);
	return result;
}

/* The name follows from the content: doing it again after a crash makes no second copy. */
int uids_aside(const struct store_root *root, struct uids_owner owner, struct bytes octets)
{
	char name[64];
	struct file *file;
	snprintf(name, sizeof name, "aside.%" PRIu64 ".uids.%08" PRIx32, owner.account,
		 crc32c(0, octets));
	int result = file_open(root->journal, name, FILE_WRITE | FILE_CREATE, &file);
	if (result < 0)
		return result;
	result = file_write(file, &octets, 1, 0);
	if (result >= 0)
		result = file_sync(file);
	file_close(file);
	if (result < 0)
		file_unlink(root->journal, name); /* half of it is no use and takes room */
	return result < 0 ? result : file_sync(root->journal);
}

int uids_mend(const struct store_root *root, struct uids_owner owner, struct uids *uids)
{
	char name[48];
	struct file *file;
	struct bytes tail = bytes_skip(buffer_bytes(&uids->text), uids->end);
	if (tail.length == 0)
		return 0;
	uids_name(owner, "", name);
	int result = file_open(root->uids, name, FILE_WRITE, &file);
	if (result < 0)
		return result;
	if (memchr(tail.data, '\n', tail.length) != NULL)
		result = uids_aside(root, owner, tail);
	if (result >= 0)
		result = file_set_size(file, uids->end);
	if (result >= 0)
		uids->text.length = uids->end;
	file_close(file);
	return result;
}

int uids_append(const struct store_root *root, struct uids_owner owner, struct bytes lines,
		uint64_t *end_out)
{
	char name[48];
	struct file *file;
	struct file_status status;
	uids_name(owner, "", name);
	int result = file_open(root->uids, name, FILE_WRITE | FILE_CREATE, &file);
	if (result < 0)
		return result;
	result = file_status(file, &status);
	if (result >= 0) {
		*end_out = status.size_octets;
		result = file_write(file, &lines, 1, *end_out);
		if (result >= 0)
			result = file_sync(file);
		if (result < 0)
			file_set_size(file, *end_out);
	}
	file_close(file);
	return result < 0 ? result : file_sync(root->uids);
}

void uids_take_back(const struct store_root *root, struct uids_owner owner, uint64_t end)
{
	char name[48];
	struct file *file;
	uids_name(owner, "", name);
	if (file_open(root->uids, name, FILE_WRITE, &file) < 0)
		return;
	file_set_size(file, end);
	file_close(file);
}

int uids_replace(const struct store_root *root, struct uids_owner owner, struct bytes lines)
{
	char name[48], temporary[48];
	struct file *file;
	uids_name(owner, "", name);
	uids_name(owner, ".new", temporary);
	int result = file_unlink(root->uids, temporary); /* of a rewriting that was cut */
	if (result < 0 && result != -ENOENT)
		return result;
	if (lines.length == 0) {
		result = file_unlink(root->uids, name);
		return result == -ENOENT ? 0 : result < 0 ? result : file_sync(root->uids);
	}
	result = file_open(root->uids, temporary, FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, &file);
	if (result < 0)
		return result;
	result = file_write(file, &lines, 1, 0);
	if (result >= 0)
		result = file_sync(file);
	file_close(file);
	if (result >= 0)
		result = file_rename(root->uids, temporary, root->uids, name);
	if (result < 0) {
		file_unlink(root->uids, temporary);
		return result;
	}
	return file_sync(root->uids);
}

/* By key, because they are sorted. */
int uids_remove(const struct store_root *root, struct uids_owner owner, uids_choice *removes,
		void *context)
{
	struct uids uids;
	struct buffer lines;
	char key[256];
	int result = uids_load(root, owner, &uids);
	bool sound = result >= 0 && uids.bad == 0 && uids.end == uids.text.length, good = true;
	buffer_init(&lines, UIDS_TEXT_MAX);
	for (size_t i = 0; sound && good && i < uids.count; i++) {
		const struct uids_line *line = &uids.list[i];
		struct bytes uid = {uids.text.data + line->uid, line->uid_length};
		if (!bytes_to_string(key_of(&uids, line), key, sizeof key) ||
		    !removes(context, key))
			good = uids_print(&lines, key_of(&uids, line), uid);
	}
	if (sound && good)
		result = uids_replace(root, owner, buffer_bytes(&lines));
	buffer_free(&lines);
	uids_free(&uids);
	return good ? result : -ENOMEM;
}
