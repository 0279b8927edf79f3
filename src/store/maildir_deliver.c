/*
 * maildir_deliver: delivery to a Maildir.
 *
 * prepare writes each message under its name in tmp/ and syncs it, and with it the unique-ids that
 * were brought along; finish moves all to new/ and syncs that. ID.file is held in between, which is
 * what makes a file of ours in tmp/ known to be dead when nobody holds it.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/clock.h"
#include "base/wire.h"
#include "store/lock.h"
#include "store/maildir_private.h"

#define OPEN_MAX 32 /* files of one delivery that are open at a time */
/* How far the clock may have been set back, in microseconds, before messages stop to queue up
 * behind the last one: they would be dated wrong by so much. */
#define CLOCK_STEP_MAX 60000000

struct maildir_delivery {
	struct delivery base;
	struct maildir_folder folder;
	struct maildir_entry last;     /* of the index; without name when there is none */
	struct maildir_entry *entries; /* base.count of them */
	size_t written;                /* of them are in tmp/, or moved */
	bool uids_appended;
	uint64_t uids_end;
};

/* ---- one file ---- */

static int write_draft(struct file *file, const struct delivery_request *request, char *octets)
{
	uint64_t length = draft_facts(request->draft)->length, at = 0;
	struct bytes pieces[2] = {request->headers};
	uint64_t offset = 0;
	do {
		ssize_t some = draft_read(request->draft, octets, STORE_WRITE_OCTETS, at);
		if (some < 0 || (some == 0 && at < length))
			return some < 0 ? (int)some : -EIO;
		pieces[1] = (struct bytes){octets, (size_t)some};
		int result = file_write(file, pieces, 2, offset);
		if (result < 0)
			return result;
		at += pieces[1].length;
		offset += pieces[0].length + pieces[1].length;
		pieces[0].length = 0;
	} while (at < length);
	return 0;
}

static int write_file(struct maildir_delivery *delivery, const struct delivery_request *request,
		      char *octets, struct file **file_out)
{
	const struct maildir_entry *entry = &delivery->entries[delivery->written];
	int result = file_open(delivery->folder.tmp, entry->name,
			       FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, file_out);
	if (result < 0)
		return result;
	delivery->written++;
	return write_draft(*file_out, request, octets);
}

/* Writes all, then syncs all: one wait of the disk's journal serves many. */
static int write_some(struct maildir_delivery *delivery, const struct delivery_request *requests,
		      char *octets)
{
	struct file *files[OPEN_MAX] = {NULL};
	size_t count = 0;
	int result = 0;
	while (count < OPEN_MAX && delivery->written < delivery->base.count && result >= 0) {
		result = write_file(delivery, &requests[delivery->written], octets, &files[count]);
		count++;
	}
	for (size_t i = 0; i < count && result >= 0; i++)
		result = file_sync(files[i]);
	for (size_t i = 0; i < count; i++)
		file_close(files[i]);
	return result;
}

static int write_all(struct maildir_delivery *delivery, const struct delivery_request *requests)
{
	char *octets = malloc(STORE_WRITE_OCTETS);
	int result = octets != NULL ? 0 : -ENOMEM;
	while (delivery->written < delivery->base.count && result >= 0)
		result = write_some(delivery, requests, octets);
	free(octets);
	return result;
}

/* ---- names ---- */

/* Messages of the same time, and those that come when the clock was set back a little, keep the
 * order of their arrival. */
static uint64_t time_of(const struct delivery_request *request, uint64_t last)
{
	int64_t now_ms = clock_unix_ms();
	uint64_t now = now_ms > 0 ? (uint64_t)now_ms * 1000 : 0;
	if (request->received_unix_seconds > 0)
		now = (uint64_t)request->received_unix_seconds * 1000000 + now % 1000000;
	return now <= last && last - now < CLOCK_STEP_MAX ? last + 1 : now;
}

static void describe(const struct delivery_request *request, uint64_t microseconds,
		     struct maildir_entry *entry)
{
	const struct draft_facts *facts = draft_facts(request->draft);
	struct bytes headers = request->headers;
	assert(headers.length == 0 || headers.data[headers.length - 1] == '\n');
	entry->place = MAILDIR_NEW;
	entry->length = headers.length + facts->length;
	entry->octets = delivery_request_octets(request);
	entry->checksum = crc32c_combine(crc32c(0, headers), facts->checksum, facts->length);
	maildir_name_make(microseconds, entry->length, entry->octets, entry->checksum, entry->name);
	entry->brought = request->uid.length > 0;
}

static uint64_t last_time(const struct maildir_delivery *delivery)
{
	struct maildir_name name = maildir_name_parse(delivery->last.name);
	return name.second < UINT64_MAX / 2000000 ? name.second * 1000000 + name.microsecond : 0;
}

static int give_names(struct maildir_delivery *delivery, const struct delivery_request *requests)
{
	uint64_t last = last_time(delivery);
	for (size_t i = 0; i < delivery->base.count; i++) {
		struct maildir_entry *entry = &delivery->entries[i];
		last = time_of(&requests[i], last);
		describe(&requests[i], last, entry);
		bool good = entry->brought ? bytes_to_string(requests[i].uid, entry->uid,
							     sizeof entry->uid)
					   : maildir_name_uid(entry->name, entry->uid);
		assert(good || !entry->brought);
		if (!good)
			return -ENOMEM;
		memcpy(delivery->base.uids[i], entry->uid, sizeof entry->uid);
	}
	return 0;
}

/* ---- unique-ids that were brought along ---- */

static int compare_uids(const void *a, const void *b)
{
	const struct bytes *one = a, *two = b;
	size_t shorter = one->length < two->length ? one->length : two->length;
	int order = memcmp(one->data, two->data, shorter);
	return order != 0 ? order : (one->length > shorter) - (two->length > shorter);
}

static enum store_result find_uids(struct maildir_index *index, const struct bytes *uids,
				   size_t count)
{
	struct maildir_walk walk;
	const struct maildir_entry *entry;
	for (size_t i = 1; i < count; i++)
		if (bytes_equal(uids[i - 1], uids[i]))
			return STORE_EXISTS;
	maildir_walk_begin(&walk, index);
	while ((entry = maildir_walk_next(&walk)) != NULL) {
		struct bytes uid = bytes_of(entry->uid);
		if (bsearch(&uid, uids, count, sizeof *uids, compare_uids) != NULL)
			return STORE_EXISTS;
	}
	return walk.result;
}

/* "There already" makes somebody delete his copy, so it has to be on stable storage, and so has the
 * removal of what is no more: a process may have died before it synced what it moved or removed. */
static enum store_result uids_are_new(struct maildir_delivery *delivery,
				      const struct delivery_request *requests, struct error *error)
{
	size_t count = 0;
	struct bytes *uids = calloc(delivery->base.count, sizeof *uids);
	if (uids == NULL)
		return store_failure(error, -ENOMEM, "while delivering");
	for (size_t i = 0; i < delivery->base.count; i++)
		if (requests[i].uid.length > 0)
			uids[count++] = requests[i].uid;
	qsort(uids, count, sizeof *uids, compare_uids);
	int synced = count > 0 ? maildir_sync_messages(&delivery->folder) : 0;
	enum store_result result =
		count > 0 ? find_uids(delivery->folder.index, uids, count) : STORE_OK;
	free(uids);
	if (synced < 0)
		return store_failure(error, synced, "while syncing the Maildir");
	if (result == STORE_IO)
		error_set(error, ERROR_IO, "the index cannot be read");
	if (result == STORE_EXISTS)
		error_set(error, ERROR_DATA, "a message with this unique-id is there already");
	return result;
}

/* Before any message can be seen. */
static int keep_uids(struct maildir_delivery *delivery)
{
	struct maildir_folder *folder = &delivery->folder;
	struct uids uids;
	struct buffer lines;
	bool good = true;
	buffer_init(&lines, UIDS_TEXT_MAX);
	for (size_t i = 0; i < delivery->base.count && good; i++)
		if (delivery->entries[i].brought)
			good = uids_print(&lines, bytes_of(delivery->entries[i].name),
					  bytes_of(delivery->entries[i].uid));
	int result = good ? 0 : -ENOMEM;
	if (result >= 0 && lines.length > 0) {
		result = uids_load(folder->root, folder->owner, &uids);
		if (result >= 0) {
			result = uids_mend(folder->root, folder->owner, &uids);
			uids_free(&uids);
		}
		if (result >= 0)
			result = uids_append(folder->root, folder->owner, buffer_bytes(&lines),
					     &delivery->uids_end);
		delivery->uids_appended = result >= 0;
	}
	buffer_free(&lines);
	return result;
}

/* ---- prepare ---- */

static void delivery_free(struct maildir_delivery *delivery)
{
	maildir_folder_close(&delivery->folder);
	free(delivery->entries);
	free(delivery->base.uids);
	free(delivery);
}

static struct maildir_delivery *delivery_new(size_t count)
{
	struct maildir_delivery *delivery = calloc(1, sizeof *delivery);
	if (delivery == NULL)
		return NULL;
	delivery->base.store = &store_maildir;
	delivery->base.count = count;
	delivery->base.uids = calloc(count, sizeof *delivery->base.uids);
	delivery->entries = calloc(count, sizeof *delivery->entries);
	if (delivery->base.uids != NULL && delivery->entries != NULL)
		return delivery;
	delivery_free(delivery);
	return NULL;
}

/* All but the first `moved` of them: those are in new/ already, and may have been seen. */
static void take_back(struct maildir_delivery *delivery, size_t moved)
{
	struct maildir_folder *folder = &delivery->folder;
	for (size_t i = moved; i < delivery->written; i++)
		file_unlink(folder->tmp, delivery->entries[i].name);
	if (delivery->uids_appended && moved == 0)
		uids_take_back(folder->root, folder->owner, delivery->uids_end);
}

static bool read_last(struct maildir_delivery *delivery)
{
	struct maildir_index *index = delivery->folder.index;
	uint32_t count = maildir_index_count(index);
	delivery->last = (struct maildir_entry){0};
	return count == 0 ||
	       maildir_index_read(index, count, 1, false, &delivery->last) == STORE_OK;
}

/* All names are read only where it matters what is there: for a quota, for unique-ids, and when
 * there is no index. */
static int look(struct maildir_delivery *delivery, const struct place *place,
		const struct delivery_request *requests)
{
	struct maildir_folder *folder = &delivery->folder;
	bool matters = place->messages_max > 0 || place->octets_max > 0;
	for (size_t i = 0; i < delivery->base.count; i++)
		matters = matters || requests[i].uid.length > 0;
	int result = maildir_folder_make(folder, place);
	if (result >= 0 && !matters)
		folder->index = maildir_index_open(folder->root, folder->account, folder->top);
	if (result >= 0 && folder->index != NULL && !read_last(delivery)) {
		maildir_index_remove(folder->root, folder->account);
		maildir_index_close(folder->index);
		folder->index = NULL;
	}
	if (result < 0 || folder->index != NULL)
		return result;
	result = maildir_take_in(folder, place);
	return result >= 0 && !read_last(delivery) ? -EIO : result;
}

static enum store_result prepare_locked(struct maildir_delivery *delivery,
					const struct place *place,
					const struct delivery_request *requests,
					struct error *error)
{
	int result = look(delivery, place, requests);
	if (result < 0)
		return store_failure(error, result, "while opening the Maildir");
	struct maildrop_summary now = {maildir_index_count(delivery->folder.index),
				       delivery->last.total_octets};
	enum store_result checked =
		store_quota_check(place, now, requests, delivery->base.count, error);
	if (checked == STORE_OK)
		checked = uids_are_new(delivery, requests, error);
	if (checked != STORE_OK)
		return checked;
	maildir_clear_leftovers(&delivery->folder, true, NULL); /* or the next one does */
	result = give_names(delivery, requests);
	if (result >= 0)
		result = write_all(delivery, requests);
	if (result >= 0)
		result = keep_uids(delivery);
	if (result >= 0)
		return STORE_OK;
	take_back(delivery, 0);
	return store_failure(error, result, "while writing to the Maildir");
}

enum store_result maildir_prepare(const struct store_root *root, const struct place *place,
				  const struct delivery_request *requests, size_t count,
				  struct delivery **delivery_out, struct error *error)
{
	struct maildir_delivery *delivery = delivery_new(count);
	if (delivery == NULL)
		return store_failure(error, -ENOMEM, "while delivering");
	enum store_result result = maildir_folder_open(root, place, &delivery->folder, error);
	if (result == STORE_OK)
		result = prepare_locked(delivery, place, requests, error);
	if (result != STORE_OK) {
		delivery_free(delivery);
		return result;
	}
	*delivery_out = &delivery->base;
	return STORE_OK;
}

/* ---- finish ---- */

static int commit_all(struct maildir_delivery *delivery)
{
	struct maildir_folder *folder = &delivery->folder;
	size_t moved = 0;
	int result = 0;
	while (moved < delivery->base.count && result >= 0) {
		const char *name = delivery->entries[moved].name;
		result = file_rename(folder->tmp, name, folder->fresh, name);
		moved += result >= 0;
	}
	if (result >= 0)
		result = file_sync(folder->fresh);
	if (result < 0)
		take_back(delivery, moved);
	return result;
}

enum store_result maildir_finish(struct delivery *base, bool commit, struct error *error)
{
	struct maildir_delivery *delivery = (struct maildir_delivery *)base;
	struct maildir_index *index = delivery->folder.index;
	int result = 0;
	if (commit)
		result = commit_all(delivery);
	else
		take_back(delivery, 0);
	for (size_t i = 0; commit && result >= 0 && i < base->count; i++)
		if (!maildir_index_append(index, &delivery->entries[i])) {
			/* else the next message would not know when the last one came */
			maildir_index_remove(delivery->folder.root, delivery->folder.account);
			break;
		}
	delivery_free(delivery);
	return result < 0 ? store_failure(error, result, "while delivering to the Maildir")
			  : STORE_OK;
}
