/*
 * spool_update: removal from a spool, in its own place and under its locks:
 *   - all messages from one on: the file is cut;
 *   - else what is kept moves down through the journal (journal.h), and the file is cut.
 * Before anything is removed each marked message is read and must be what the session has seen.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/journal.h"
#include "store/lock.h"
#include "store/spool_private.h"
#include "store/uids.h"

struct removal {
	struct spool_file spool;
	struct spool_maildrop *session;
	const uint8_t *deleted;
	struct index_builder builder; /* the index of what stays */
	struct range *keep;
	size_t keep_count, keep_room;
	uint64_t position, removed; /* octets of the file that were planned; those of them to go */
};

static bool is_deleted(const struct removal *removal, uint32_t number)
{
	return number <= removal->session->base.summary.messages &&
	       (removal->deleted[(number - 1) / 8] >> (number - 1) % 8 & 1) != 0;
}

static bool none_deleted(const struct spool_maildrop *spool, const uint8_t *deleted)
{
	uint32_t messages = spool->base.summary.messages;
	for (uint32_t i = 0; deleted != NULL && i < (messages + 7) / 8; i++)
		if (deleted[i] != 0)
			return false;
	return true;
}

/* ---- is it what the session has seen? ---- */

static enum store_result changed(struct error *error)
{
	error_set(error, ERROR_TEMPORARY, "the spool was changed by another program");
	return STORE_CHANGED;
}

static enum store_result same_file(const struct removal *removal, struct error *error)
{
	struct file_status ours, now;
	if (removal->spool.file == NULL || removal->session->file == NULL)
		return changed(error);
	int result = file_status(removal->session->file, &ours);
	if (result >= 0)
		result = file_status(removal->spool.file, &now);
	if (result < 0)
		return store_failure(error, result, "while looking at the spool");
	if (ours.device != now.device || ours.inode != now.inode ||
	    index_count(removal->spool.index) < removal->session->base.summary.messages)
		return changed(error);
	return STORE_OK;
}

static bool same_entry(const struct index_entry *seen, const struct index_entry *now)
{
	return seen->offset == now->offset && seen->line_octets == now->line_octets &&
	       seen->length == now->length && seen->checksum == now->checksum &&
	       strcmp(seen->uid, now->uid) == 0;
}

/* Each message that is to go stands in the file as the session has seen it. */
static enum store_result prove(const struct removal *removal, struct error *error)
{
	struct index_entry seen, now;
	struct index_walk walk = index_walk(removal->session->index);
	struct index_walk walk_now = index_walk(removal->spool.index);
	while (walk.number < removal->session->base.summary.messages && index_next(&walk, &seen) &&
	       index_next(&walk_now, &now)) {
		if (!is_deleted(removal, walk.number))
			continue;
		if (!same_entry(&seen, &now))
			return changed(error);
		int proved = spool_entry_proved(removal->spool.file, &seen);
		if (proved < 0)
			return store_failure(error, proved, "while reading the spool");
		if (proved == 0)
			return changed(error);
	}
	if (walk.result == STORE_OK && walk_now.result == STORE_OK)
		return STORE_OK;
	index_remove(removal->spool.root, removal->spool.account); /* the next one is sound */
	return store_failure(error, -EIO, "while reading the index");
}

/* ---- what stays ---- */

/* Adds [start, end) to what is kept. */
static int keep(struct removal *removal, uint64_t start, uint64_t end)
{
	struct range *last =
		removal->keep_count > 0 ? &removal->keep[removal->keep_count - 1] : NULL;
	if (start == end)
		return 0;
	if (last != NULL && last->end == start) {
		last->end = end;
		return 0;
	}
	if (removal->keep_count == removal->keep_room) {
		size_t room = removal->keep_room * 2 + 16;
		struct range *list = realloc(removal->keep, room * sizeof *list);
		if (list == NULL)
			return -ENOMEM;
		removal->keep = list;
		removal->keep_room = room;
	}
	removal->keep[removal->keep_count++] = (struct range){start, end};
	return 0;
}

/* A message ends where the next begins, or the file does. */
static int plan_entry(struct removal *removal, uint32_t number, struct index_entry *entry,
		      uint64_t end)
{
	int result = keep(removal, removal->position, entry->offset);
	removal->position = end;
	if (is_deleted(removal, number)) {
		removal->removed += end - entry->offset;
		return result;
	}
	if (result >= 0)
		result = keep(removal, entry->offset, end);
	entry->offset -= removal->removed;
	return result >= 0 && !index_builder_add(&removal->builder, entry) ? -ENOMEM : result;
}

static int plan(struct removal *removal)
{
	struct index_entry entry, next;
	struct index_walk walk = index_walk(removal->spool.index);
	int result = 0;
	bool more = index_next(&walk, &entry);
	for (uint32_t number = 1; more && result >= 0; number++) {
		more = index_next(&walk, &next);
		result = plan_entry(removal, number, &entry,
				    more ? next.offset : removal->spool.size);
		if (more)
			entry = next;
	}
	if (result >= 0 && walk.result != STORE_OK)
		result = -EIO;
	return result >= 0 ? keep(removal, removal->position, removal->spool.size) : result;
}

/* ---- removing ---- */

static int cut(const struct removal *removal)
{
	uint64_t end = removal->keep_count == 0 ? 0 : removal->keep[0].end;
	int result = file_set_size(removal->spool.file, end);
	return result < 0 ? result : file_sync(removal->spool.file);
}

static enum store_result remove_marked(const struct removal *removal, struct error *error)
{
	const struct spool_file *spool = &removal->spool;
	struct file_status status;
	int result = file_status(spool->file, &status);
	if (result >= 0 && status.size_octets != spool->size) {
		error_set(error, ERROR_TEMPORARY, "another program ignores the spool's locks");
		return STORE_AGAIN;
	}
	bool front = removal->keep_count == 0 ||
		     (removal->keep_count == 1 && removal->keep[0].start == 0);
	if (result >= 0 && !front)
		return journal_compact(spool->root, &removal->session->place, spool->file,
				       spool->size, removal->keep, removal->keep_count, true,
				       error);
	if (result >= 0)
		result = cut(removal);
	return result < 0 ? store_failure(error, result, "while removing messages") : STORE_OK;
}

/* With the last message the unique-ids that were brought along are of no use; of others, that may
 * come again as they are, they stay. */
static void forget_uids(const struct removal *removal)
{
	struct uids uids;
	const struct spool_file *spool = &removal->spool;
	if (removal->builder.count > 0 || uids_load(spool->root, spool->owner, &uids) < 0)
		return;
	if (uids.text.length > 0)
		uids_replace(spool->root, spool->owner, (struct bytes){NULL, 0});
	uids_free(&uids);
}

/* The index of what stays. Without it everything is read once. */
static void write_index(struct removal *removal)
{
	struct spool_state state;
	if (spool_look(&removal->spool, &state) >= 0)
		removal->builder.source = spool_source(&state, removal->builder.count);
	index_close(index_builder_finish(&removal->builder, removal->spool.root,
					 removal->spool.account));
}

static enum store_result update_locked(struct removal *removal, struct error *error)
{
	enum store_result result = same_file(removal, error);
	if (result == STORE_OK)
		result = prove(removal, error);
	if (result != STORE_OK)
		return result;
	int planned = plan(removal);
	if (planned < 0)
		return store_failure(error, planned, "while planning a removal");
	result = remove_marked(removal, error);
	if (result == STORE_OK) {
		forget_uids(removal);
		write_index(removal);
	}
	return result;
}

enum store_result spool_update(struct maildrop *maildrop, const uint8_t *deleted,
			       struct error *error)
{
	struct spool_maildrop *session = (struct spool_maildrop *)maildrop;
	assert(session->session_lock != NULL && !session->updated);
	if (none_deleted(session, deleted))
		return STORE_OK;
	struct removal removal = {.session = session, .deleted = deleted};
	enum store_result result = spool_file_open(session->root, &session->place, SPOOL_CHANGE,
						   &removal.spool, error);
	if (result != STORE_OK)
		return result;
	index_builder_init(&removal.builder);
	result = update_locked(&removal, error);
	session->updated = result != STORE_AGAIN;
	spool_file_close(&removal.spool);
	index_builder_free(&removal.builder);
	free(removal.keep);
	return result;
}
