/*
 * mbox_update: removal from an own mbox, the cheapest safe way there is:
 *   - all messages, or all from one on: the file is cut;
 *   - else what is kept is written to a new file, synced, and renamed over the old one;
 *   - where the disk is too full for that: in place, through the journal.
 * At any crash either the old file or the new one is there (or the journal says how to get to one).
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/journal.h"
#include "store/lock.h"
#include "store/mbox_private.h"
#include "store/names.h"

struct removal {
	struct mbox_file mbox;
	struct place place;
	const uint8_t *deleted;
	uint32_t deletable;           /* messages the session has seen; later ones stay */
	struct index_builder builder; /* the index of what stays */
	struct range *keep;
	size_t keep_count, keep_room;
};

static bool is_deleted(const struct removal *removal, uint32_t number)
{
	return number <= removal->deletable &&
	       (removal->deleted[(number - 1) / 8] >> (number - 1) % 8 & 1) != 0;
}

static bool none_deleted(const struct mbox_maildrop *mbox, const uint8_t *deleted)
{
	uint32_t messages = mbox->base.summary.messages;
	for (uint32_t i = 0; deleted != NULL && i < (messages + 7) / 8; i++)
		if (deleted[i] != 0)
			return false;
	return true;
}

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

/* One record after the other: what stays keeps its octets (and any strange ones between records)
 * and gets an entry with its new offset. */
static int plan_entry(struct removal *removal, uint32_t number, struct index_entry *entry,
		      uint64_t *position, uint64_t *removed)
{
	int result = keep(removal, *position, entry->offset);
	*position = index_entry_end(entry);
	if (is_deleted(removal, number)) {
		*removed += *position - entry->offset;
		return result;
	}
	if (result >= 0)
		result = keep(removal, entry->offset, *position);
	entry->offset -= *removed;
	return result >= 0 && !index_builder_add(&removal->builder, entry) ? -ENOMEM : result;
}

static int plan(struct removal *removal)
{
	struct index_entry entry;
	struct index_walk walk = index_walk(removal->mbox.index);
	uint64_t position = 0, removed = 0;
	int result = 0;
	while (result >= 0 && index_next(&walk, &entry))
		result = plan_entry(removal, walk.number, &entry, &position, &removed);
	if (walk.result != STORE_OK) {
		index_remove(removal->mbox.root, removal->mbox.account); /* the next one is sound */
		return -EIO;
	}
	return result >= 0 ? keep(removal, position, removal->mbox.size) : result;
}

/* ---- the three ways ---- */

static bool only_a_front_is_kept(const struct removal *removal)
{
	return removal->keep_count == 0 ||
	       (removal->keep_count == 1 && removal->keep[0].start == 0);
}

static int cut(struct removal *removal)
{
	uint64_t end = removal->keep_count == 0 ? 0 : removal->keep[0].end;
	int result = file_set_size(removal->mbox.file, end);
	return result < 0 ? result : file_sync(removal->mbox.file);
}

static int copy(struct file *from, struct file *to, const struct range *range, char *octets,
		uint64_t *offset)
{
	for (uint64_t at = range->start; at < range->end;) {
		uint64_t left = range->end - at;
		size_t size = left < STORE_READ_OCTETS ? (size_t)left : STORE_READ_OCTETS;
		ssize_t length = file_read(from, octets, size, at, false);
		if (length <= 0)
			return length < 0 ? (int)length : -EIO;
		struct bytes piece = {octets, (size_t)length};
		int result = file_write(to, &piece, 1, *offset);
		if (result < 0)
			return result;
		at += piece.length;
		*offset += piece.length;
	}
	return 0;
}

static int write_kept(struct file *from, const struct range *keep, size_t keep_count,
		      struct file *directory, const char *name)
{
	struct file *file;
	uint64_t offset = 0;
	char *octets = malloc(STORE_READ_OCTETS);
	if (octets == NULL)
		return -ENOMEM;
	int result = file_open(directory, name, FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, &file);
	if (result < 0) {
		free(octets);
		return result;
	}
	for (size_t i = 0; i < keep_count && result >= 0; i++)
		result = copy(from, file, &keep[i], octets, &offset);
	if (result >= 0)
		result = file_sync(file);
	file_close(file);
	free(octets);
	return result;
}

int mbox_rewrite(const struct store_root *root, const struct place *place, struct file *from,
		 const struct range *keep, size_t keep_count, bool *renamed_out)
{
	char name[MAILDROP_PATH_MAX + 64];
	struct file *directory = root->mail[place->mail_root];
	mbox_temporary_name(place, name);
	file_unlink(directory, name); /* left over by a crash */
	int result = write_kept(from, keep, keep_count, directory, name);
	if (result >= 0)
		result = file_rename(directory, name, directory, place->path);
	*renamed_out = result >= 0;
	if (result >= 0)
		return names_sync(directory, place->path);
	file_unlink(directory, name);
	return result;
}

static enum store_result remove_marked(struct removal *removal, struct error *error)
{
	bool renamed = false, front = only_a_front_is_kept(removal);
	int result = front ? cut(removal)
			   : mbox_rewrite(removal->mbox.root, &removal->place, removal->mbox.file,
					  removal->keep, removal->keep_count, &renamed);
	/* Cutting needs no room, so the journal could not do better; and once the new file has the
	 * name, a full disk is no reason to touch the old one. */
	if (!front && !renamed && (result == -ENOSPC || result == -EDQUOT))
		return journal_compact(removal->mbox.root, &removal->place, removal->mbox.file,
				       removal->mbox.size, removal->keep, removal->keep_count,
				       false, error);
	return result < 0 ? store_failure(error, result, "while removing messages") : STORE_OK;
}

/* ---- */

/* Is the file under the lock the one the session has read? OK, CHANGED, IO. */
static enum store_result same_file(const struct mbox_maildrop *session, const struct mbox_file *now)
{
	struct file_status ours, theirs;
	uint32_t count = session->base.summary.messages;
	struct index_entry mine, other;
	if (now->file == NULL)
		return STORE_CHANGED;
	if (file_status(session->file, &ours) < 0 || file_status(now->file, &theirs) < 0)
		return STORE_IO;
	if (ours.device != theirs.device || ours.inode != theirs.inode ||
	    index_count(now->index) < count)
		return STORE_CHANGED;
	if (index_read(session->index, count, 1, false, &mine) != STORE_OK ||
	    index_read(now->index, count, 1, false, &other) != STORE_OK)
		return STORE_IO;
	return mine.offset == other.offset && strcmp(mine.uid, other.uid) == 0 ? STORE_OK
									       : STORE_CHANGED;
}

static void removal_end(struct removal *removal)
{
	mbox_file_close(&removal->mbox);
	index_builder_free(&removal->builder);
	free(removal->keep);
}

static enum store_result update_locked(struct mbox_maildrop *mbox, struct removal *removal,
				       struct error *error)
{
	enum store_result same = same_file(mbox, &removal->mbox);
	if (same != STORE_OK) {
		error_set(error, same == STORE_IO ? ERROR_IO : ERROR_TEMPORARY, "%s",
			  same == STORE_IO ? "the mailbox file cannot be read"
					   : "the mailbox file was replaced by another program");
		return same;
	}
	int result = plan(removal);
	if (result < 0)
		return store_failure(error, result, "while reading the index");
	enum store_result removed = remove_marked(removal, error);
	if (removed != STORE_OK)
		return removed;
	index_close(index_builder_finish(&removal->builder, mbox->root, mbox->account));
	return STORE_OK;
}

enum store_result mbox_update(struct maildrop *maildrop, const uint8_t *deleted,
			      struct error *error)
{
	struct mbox_maildrop *mbox = (struct mbox_maildrop *)maildrop;
	assert(mbox->session_lock != NULL && !mbox->updated);
	if (none_deleted(mbox, deleted))
		return STORE_OK;
	struct removal removal = {
		.place = {.account = mbox->account,
			  .generation = mbox->generation,
			  .kind = STORE_MBOX,
			  .mail_root = mbox->mail_root},
		.deleted = deleted,
		.deletable = mbox->base.summary.messages,
	};
	memcpy(removal.place.path, mbox->path, strlen(mbox->path) + 1);
	enum store_result result = mbox_file_open(mbox->root, &removal.place, &removal.mbox, error);
	if (result != STORE_OK)
		return result;
	index_builder_init(&removal.builder);
	result = update_locked(mbox, &removal, error);
	mbox->updated = result != STORE_AGAIN;
	removal_end(&removal);
	return result;
}
