/*
 * maildir_repair: brings a Maildir into an order in which verify finds nothing to mend. No message
 * is removed and no octet of one is changed; only names are:
 *   - a message that is not what its name says gets a name that says what it is: it is another
 *     content, so it gets another unique-id;
 *   - of two files of one base name the second gets a name of ours, unless both are the same file:
 *     then that one name goes;
 *   - what is no file gets a dot in front of its name, which hides it from everybody;
 *   - ROOT/uids is written anew without the lines that cannot be read, after all of it was copied
 * to ROOT/journal;
 *   - what interrupted deliveries have left in tmp/ goes, and the index, which the next opening
 * makes. Each step is one rename: cut anywhere, the rest is done by calling it again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/lock.h"
#include "store/maildir_private.h"

struct repair {
	struct findings *findings;
	struct maildir_folder folder;
	struct maildir_list list;
};

static struct file *place_of(const struct repair *repair, size_t at)
{
	return maildir_place_folder(&repair->folder, repair->list.list[at].place);
}

static int rename_to(struct repair *repair, size_t at, const char *name, const char *why)
{
	const char *old = maildir_list_name(&repair->list, at);
	struct file *folder = place_of(repair, at);
	int result = file_rename(folder, old, folder, name);
	if (result >= 0)
		findings_add(repair->findings,
			     repair->list.list[at].place == MAILDIR_NEW ? "new" : "cur", 0,
			     "%.60s %s: now %.70s", old, why, name);
	return result == -ENOENT ? 0 : result;
}

/* The flags behind the base name stay. */
static int name_anew(struct repair *repair, size_t at, const struct maildir_entry *entry,
		     const char *why)
{
	char name[MAILDIR_NAME_MAX + 1];
	const char *old = maildir_list_name(&repair->list, at), *flags = strchr(old, ':');
	struct maildir_name parsed = maildir_name_parse(old);
	uint64_t now = (uint64_t)clock_unix_ms() * 1000;
	uint64_t second = parsed.second > 0 ? parsed.second : now / 1000000;
	maildir_name_make(second * 1000000 + parsed.microsecond, entry->length, entry->octets,
			  entry->checksum, name);
	size_t length = strlen(name);
	if (flags != NULL && length + strlen(flags) <= MAILDIR_NAME_MAX)
		memcpy(name + length, flags, strlen(flags) + 1);
	return rename_to(repair, at, name, why);
}

static int hide(struct repair *repair, size_t at)
{
	char name[MAILDIR_NAME_MAX + 1];
	int length = snprintf(name, sizeof name, ".%s", maildir_list_name(&repair->list, at));
	return length < (int)sizeof name ? rename_to(repair, at, name, "is no file") : 0;
}

static int open_listed(struct repair *repair, size_t at, struct file **file_out)
{
	return file_open(place_of(repair, at), maildir_list_name(&repair->list, at), FILE_READ,
			 file_out);
}

/* 1 when both names are of one file. */
static int one_file(struct repair *repair, size_t at)
{
	struct file *files[2] = {NULL, NULL};
	struct file_status status[2];
	int result = 0;
	for (size_t i = 0; i < 2 && result >= 0; i++) {
		result = open_listed(repair, at - 1 + i, &files[i]);
		if (result >= 0)
			result = file_status(files[i], &status[i]);
	}
	file_close(files[0]);
	file_close(files[1]);
	return result < 0
		       ? result
		       : status[0].inode == status[1].inode && status[0].device == status[1].device;
}

/* As a file of ours, the line ends of which are LF; one of CRLF lines stays a foreign one. */
static int mend_twin(struct repair *repair, size_t at)
{
	struct file *file;
	struct maildir_entry entry;
	int same = one_file(repair, at);
	if (same < 0)
		return same == -ENOENT ? 0 : same;
	if (same > 0) {
		findings_add(repair->findings, "new", 0, "%.100s: a second name, removed",
			     maildir_list_name(&repair->list, at));
		return file_unlink(place_of(repair, at), maildir_list_name(&repair->list, at));
	}
	int result = open_listed(repair, at, &file);
	if (result < 0)
		return result;
	result = maildir_measure(file, false, &entry);
	file_close(file);
	return result < 0 ? result : name_anew(repair, at, &entry, "was there twice");
}

static int mend_file(struct repair *repair, size_t at)
{
	struct file *file;
	struct maildir_entry entry;
	struct maildir_name name = maildir_name_parse(maildir_list_name(&repair->list, at));
	int result = open_listed(repair, at, &file);
	if (result == -EINVAL || result == -ELOOP)
		return hide(repair, at);
	if (result < 0)
		return result == -ENOENT ? 0 : result;
	if (name.own)
		result = maildir_measure(file, false, &entry);
	file_close(file);
	if (result < 0 || !name.own ||
	    (entry.length == name.length && entry.octets == name.octets &&
	     entry.checksum == name.checksum))
		return result;
	return name_anew(repair, at, &entry, "is not what its name says");
}

static int mend_files(struct repair *repair)
{
	struct maildir_list *list = &repair->list;
	int result = maildir_list_add(list, repair->folder.fresh, repair->folder.cur);
	maildir_list_sort(list);
	for (size_t i = 0; i < list->count && result >= 0; i++) {
		bool twin = false;
		if (i > 0) {
			struct maildir_name before = maildir_name_parse(
						    maildir_list_name(list, i - 1)),
					    now = maildir_name_parse(maildir_list_name(list, i));
			twin = maildir_name_compare(&before, &now) == 0;
		}
		result = twin ? mend_twin(repair, i) : mend_file(repair, i);
	}
	return result < 0 ? result : maildir_sync_messages(&repair->folder);
}

static int mend_uids(struct repair *repair, const struct store_root *root, struct uids_owner owner)
{
	struct uids uids;
	struct buffer lines;
	int result = uids_load(root, owner, &uids);
	if (result < 0 || (uids.bad == 0 && uids.end == uids.text.length)) {
		uids_free(&uids);
		return result;
	}
	bool good = true;
	buffer_init(&lines, UIDS_TEXT_MAX);
	for (size_t i = 0; i < uids.count && good; i++) {
		const struct uids_line *line = &uids.list[i];
		good = uids_print(&lines,
				  (struct bytes){uids.text.data + line->key, line->key_length},
				  (struct bytes){uids.text.data + line->uid, line->uid_length});
	}
	result = good ? uids_aside(root, owner, buffer_bytes(&uids.text)) : -ENOMEM;
	if (result >= 0)
		result = uids_replace(root, owner, buffer_bytes(&lines));
	if (result >= 0)
		findings_add(repair->findings, "uids", 0,
			     "lines that could not be read were set aside");
	buffer_free(&lines);
	uids_free(&uids);
	return result;
}

enum store_result maildir_repair(const struct store_root *root, const struct place *place,
				 struct findings *findings_out, struct error *error)
{
	struct repair repair = {.findings = findings_out};
	enum store_result opened = maildir_folder_open(root, place, &repair.folder, error);
	if (opened != STORE_OK)
		return opened;
	maildir_list_init(&repair.list);
	int result = maildir_clear_leftovers(&repair.folder, true, findings_out);
	if (result >= 0)
		result = mend_uids(&repair, root, uids_owner(place));
	if (result >= 0)
		result = mend_files(&repair);
	if (result >= 0)
		maildir_index_remove(root, place->account);
	maildir_list_free(&repair.list);
	maildir_folder_close(&repair.folder);
	return result < 0 ? store_failure(error, result, "while repairing the maildrop") : STORE_OK;
}
