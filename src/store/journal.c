/*
 * journal: see journal.h. Knows octets and ranges, not what a record is.
 */
#include "store/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "store/lock.h"
#include "store/reserve.h"

#define WITNESS_OCTETS 4096

static const char magic[16] = "postern redo 2";

enum slot_state { SLOT_PIECE = 1, SLOT_DONE = 2, SLOT_MOVED = 3 };

struct slot {
	char magic[16];
	uint64_t sequence; /* slots are used in turn; the higher one counts */
	uint64_t account, device, inode;
	uint64_t size;   /* of the file before the removal */
	uint64_t target; /* where the piece goes; all below is final */
	uint64_t rest;   /* from here on the file is as it was */
	uint32_t state;
	uint32_t piece_octets, piece_checksum;
	uint32_t piece_room;     /* of each of the two pieces behind the two headers */
	uint32_t before, behind; /* checksums of what lies before target and from rest on */
	uint32_t tail;           /* SLOT_MOVED: of the octets from target to size */
	uint32_t check;
};

/* One removal under way, or its replay. */
struct move {
	const struct store_root *root;
	struct file *file;
	struct file *journal;
	struct slot slot; /* the one that counts */
	char *piece;      /* slot.piece_room octets */
	bool shared;      /* other programs write to the file */
	bool named;       /* the journal's name is on stable storage */
};

static uint32_t slot_check(const struct slot *slot)
{
	return crc32c(0, (struct bytes){(const char *)slot, offsetof(struct slot, check)});
}

/* Reads exactly `size` octets. */
static int read_all(struct file *file, char *out, size_t size, uint64_t offset)
{
	ssize_t length = file_read(file, out, size, offset, false);
	if (length < 0)
		return (int)length;
	return (size_t)length == size ? 0 : -EIO;
}

static int witness(struct file *file, uint64_t from, uint64_t to, uint32_t *checksum_out)
{
	char octets[WITNESS_OCTETS];
	int result = read_all(file, octets, (size_t)(to - from), from);
	*checksum_out = crc32c(0, (struct bytes){octets, (size_t)(to - from)});
	return result;
}

static int witnesses(struct file *file, const struct slot *slot, uint32_t *before_out,
		     uint32_t *behind_out)
{
	uint64_t before = slot->target < WITNESS_OCTETS ? slot->target : WITNESS_OCTETS;
	uint64_t behind = slot->size - slot->rest;
	if (behind > WITNESS_OCTETS)
		behind = WITNESS_OCTETS;
	int result = witness(file, slot->target - before, slot->target, before_out);
	return result < 0 ? result : witness(file, slot->rest, slot->rest + behind, behind_out);
}

/* ---- writing ---- */

/* The headers stand before both pieces, because a piece may hold whatever a sender likes. */
static uint64_t piece_offset(const struct slot *slot)
{
	return 2 * JOURNAL_HEADER_OCTETS + slot->sequence % 2 * slot->piece_room;
}

static int slot_write(struct move *move)
{
	char header[JOURNAL_HEADER_OCTETS] = {0};
	struct slot *slot = &move->slot;
	slot->sequence++;
	slot->piece_checksum = crc32c(0, (struct bytes){move->piece, slot->piece_octets});
	slot->check = slot_check(slot);
	memcpy(header, slot, sizeof *slot);
	struct bytes piece = {move->piece, slot->piece_octets}, front = {header, sizeof header};
	int result =
		piece.length > 0 ? file_write(move->journal, &piece, 1, piece_offset(slot)) : 0;
	if (result >= 0)
		result = file_write(move->journal, &front, 1,
				    slot->sequence % 2 * JOURNAL_HEADER_OCTETS);
	if (result >= 0)
		result = file_sync(move->journal);
	if (result >= 0 && !move->named)
		result = file_sync(move->root->journal);
	move->named = move->named || result >= 0;
	return result;
}

/* After a mere kill, or a failed sync, what was read of the journal and its name may be in the page
 * cache only: the slot is written again, over itself, before anything is done by it. */
static int slot_make_stable(struct move *move)
{
	move->slot.sequence--; /* slot_write() takes the next one */
	return slot_write(move);
}

static int piece_apply(struct move *move)
{
	struct bytes piece = {move->piece, move->slot.piece_octets};
	int result = file_write(move->file, &piece, 1, move->slot.target);
	return result < 0 ? result : file_sync(move->file);
}

/* Collects the next piece from the ranges, which are moved forward over what was taken. */
static int piece_collect(struct move *move, struct range **keep, size_t *keep_count)
{
	struct slot *slot = &move->slot;
	slot->piece_octets = 0;
	while (*keep_count > 0 && slot->piece_octets < slot->piece_room) {
		struct range *range = *keep;
		uint64_t left = range->end - range->start;
		size_t room = slot->piece_room - slot->piece_octets;
		size_t part = left < room ? (size_t)left : room;
		int result =
			read_all(move->file, move->piece + slot->piece_octets, part, range->start);
		if (result < 0)
			return result;
		slot->piece_octets += (uint32_t)part;
		range->start += part;
		slot->rest = range->start;
		if (range->start == range->end) {
			++*keep;
			--*keep_count;
		}
	}
	if (*keep_count == 0)
		slot->rest = slot->size; /* what follows the last kept octet is to go */
	return 0;
}

/* Moves all that is kept down to slot.target. */
static int move_pieces(struct move *move, struct range *keep, size_t keep_count)
{
	struct slot *slot = &move->slot;
	int result = 0;
	slot->state = SLOT_PIECE;
	while (keep_count > 0 && result >= 0) {
		result = piece_collect(move, &keep, &keep_count);
		if (result >= 0)
			result = witnesses(move->file, slot, &slot->before, &slot->behind);
		if (result >= 0)
			result = slot_write(move);
		if (result >= 0)
			result = piece_apply(move);
		slot->target += slot->piece_octets;
		slot->piece_octets = 0;
	}
	return result;
}

static int checksum_of(struct file *file, uint64_t from, uint64_t to, uint32_t *checksum_out)
{
	char *octets = malloc(STORE_READ_OCTETS);
	int result = octets != NULL ? 0 : -ENOMEM;
	*checksum_out = 0;
	while (from < to && result >= 0) {
		size_t part =
			to - from < STORE_READ_OCTETS ? (size_t)(to - from) : STORE_READ_OCTETS;
		result = read_all(file, octets, part, from);
		*checksum_out = crc32c(*checksum_out, (struct bytes){octets, part});
		from += part;
	}
	free(octets);
	return result;
}

/* What other programs have appended meanwhile, when a process of ours had died or they do not look
 * at locks, is moved down too. Then the journal says that all is moved, and what stands where the
 * file is to be cut: so it can be seen afterwards whether it was. */
static int move_what_came(struct move *move)
{
	struct slot *slot = &move->slot;
	for (;;) {
		struct file_status status;
		int result = file_status(move->file, &status);
		if (result < 0)
			return result;
		if (status.size_octets <= slot->size)
			break;
		struct range came = {slot->size, status.size_octets};
		slot->size = status.size_octets;
		result = move_pieces(move, &came, 1);
		if (result < 0)
			return result;
	}
	slot->state = SLOT_MOVED;
	slot->rest = slot->size;
	int result = checksum_of(move->file, slot->target, slot->size, &slot->tail);
	return result < 0 ? result : slot_write(move);
}

static int finish(struct move *move)
{
	move->slot.state = SLOT_DONE;
	move->slot.piece_octets = 0;
	return slot_write(move);
}

/* Moves all that is kept down to slot.target and cuts the file behind it. */
static int move_down(struct move *move, struct range *keep, size_t keep_count)
{
	int result = move_pieces(move, keep, keep_count);
	if (result >= 0 && move->shared)
		result = move_what_came(move);
	if (result >= 0)
		result = file_set_size(move->file, move->slot.target);
	if (result >= 0)
		result = file_sync(move->file);
	return result < 0 ? result : finish(move);
}

static int move_begin(struct move *move, const struct place *place, uint64_t size)
{
	struct file_status status;
	int result = file_status(move->file, &status);
	if (result < 0)
		return result;
	memcpy(move->slot.magic, magic, sizeof magic);
	move->slot.state = SLOT_PIECE;
	move->slot.account = place->account;
	move->slot.device = status.device;
	move->slot.inode = status.inode;
	move->slot.size = size;
	return 0;
}

static void journal_name(uint64_t account, const char *before, char name[48])
{
	snprintf(name, 48, "%s%" PRIu64 ".redo", before, account);
}

/* A new journal; all its room is written, so that nothing is begun that the disk has no room to
 * finish. */
static int make_journal(struct move *move, uint64_t piece_room)
{
	static const char zeroes[4096];
	char name[48];
	uint64_t size = 2 * JOURNAL_HEADER_OCTETS + 2 * piece_room;
	unsigned flags = FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE;
	journal_name(move->slot.account, "", name);
	int result = file_open(move->root->journal, name, flags, &move->journal);
	if (result < 0)
		return result;
	for (uint64_t offset = 0; offset < size && result >= 0; offset += sizeof zeroes) {
		uint64_t left = size - offset;
		struct bytes piece = {zeroes, left < sizeof zeroes ? (size_t)left : sizeof zeroes};
		result = file_write(move->journal, &piece, 1, offset);
	}
	if (result >= 0) {
		move->slot.piece_room = (uint32_t)piece_room;
		return 0;
	}
	file_close(move->journal);
	move->journal = NULL;
	file_unlink(move->root->journal, name);
	return result;
}

/* The reserve, made the journal. */
static enum store_result take_reserve(struct move *move, struct error *error)
{
	move->slot.piece_room = JOURNAL_PIECE_OCTETS;
	move->named = true;
	return reserve_take(move->root, move->slot.account, &move->journal, &move->slot.sequence,
			    error);
}

/* Where there is room, a journal of this removal's own; else the reserve. */
static enum store_result take_journal(struct move *move, uint64_t octets, bool *reserve_out,
				      struct error *error)
{
	uint64_t room = octets < JOURNAL_LARGE_PIECE_OCTETS ? octets : JOURNAL_LARGE_PIECE_OCTETS;
	int result = move->shared ? make_journal(move, room) : -ENOSPC;
	*reserve_out = result == -ENOSPC || result == -EDQUOT;
	if (*reserve_out)
		return take_reserve(move, error);
	return result < 0 ? store_failure(error, result, "while making a journal") : STORE_OK;
}

static void give_journal_back(struct move *move, bool reserve, bool done)
{
	char name[48];
	if (reserve) {
		reserve_give_back(move->root, move->slot.account, move->slot.sequence, done);
		return;
	}
	journal_name(move->slot.account, "", name);
	file_close(move->journal);
	if (done)
		file_unlink(move->root->journal, name);
}

/* Only ranges that are not in their place already are left to be moved. */
static enum store_result compact(struct move *move, struct range *list, size_t count,
				 struct error *error)
{
	size_t first = count > 0 && list[0].start == 0 ? 1 : 0;
	uint64_t octets = 0;
	bool reserve;
	move->slot.target = first > 0 ? list[0].end : 0;
	for (size_t i = first; i < count; i++)
		octets += list[i].end - list[i].start;
	enum store_result taken = take_journal(move, octets, &reserve, error);
	if (taken != STORE_OK)
		return taken;
	move->piece = malloc(move->slot.piece_room);
	int result = move->piece != NULL ? move_down(move, list + first, count - first) : -ENOMEM;
	give_journal_back(move, reserve, result >= 0);
	return result < 0 ? store_failure(error, result, "while removing messages in place")
			  : STORE_OK;
}

enum store_result journal_compact(const struct store_root *root, const struct place *place,
				  struct file *file, uint64_t size, const struct range *keep,
				  size_t keep_count, bool shared, struct error *error)
{
	struct move move = {.root = root, .file = file, .shared = shared};
	struct range *list = malloc((keep_count + 1) * sizeof *list);
	/* The slots speak of the file's length: what a delivery took back must not come again. */
	int result = list != NULL ? file_sync(file) : -ENOMEM;
	if (result >= 0)
		result = move_begin(&move, place, size);
	enum store_result compacted = STORE_IO;
	if (result < 0) {
		compacted = store_failure(error, result, "while removing messages in place");
	} else {
		for (size_t i = 0; i < keep_count; i++)
			list[i] = keep[i];
		compacted = compact(&move, list, keep_count, error);
	}
	free(move.piece);
	free(list);
	return compacted;
}

/* ---- replaying ---- */

/* Each of these answers 1 or 0, or a negative errno when it cannot know: a disk that fails to read
 * is no proof that there is nothing, and a journal that was not replayed must stay. */

static int slot_load(struct move *move, unsigned number, struct slot *slot_out)
{
	struct slot slot;
	ssize_t length = file_read(move->journal, &slot, sizeof slot,
				   number * (uint64_t)JOURNAL_HEADER_OCTETS, false);
	if (length < 0)
		return (int)length;
	if (length != sizeof slot || memcmp(slot.magic, magic, sizeof magic) != 0 ||
	    slot.check != slot_check(&slot) || slot.sequence % 2 != number ||
	    slot.piece_octets > slot.piece_room)
		return 0;
	char *piece = realloc(move->piece, slot.piece_room + 1);
	if (piece == NULL)
		return -ENOMEM;
	move->piece = piece;
	length = file_read(move->journal, piece, slot.piece_octets, piece_offset(&slot), false);
	if (length < 0)
		return (int)length;
	if (length != (ssize_t)slot.piece_octets ||
	    slot.piece_checksum != crc32c(0, (struct bytes){piece, slot.piece_octets}))
		return 0;
	*slot_out = slot;
	return 1;
}

/* The slot that counts into move->slot, its piece into move->piece. */
static int slot_choose(struct move *move)
{
	struct slot slots[2];
	int valid[2];
	for (unsigned i = 0; i < 2; i++) {
		valid[i] = slot_load(move, i, &slots[i]);
		if (valid[i] < 0)
			return valid[i];
	}
	if (!valid[0] && !valid[1])
		return 0;
	unsigned best = valid[1] && (!valid[0] || slots[1].sequence > slots[0].sequence);
	return slot_load(move, best, &move->slot);
}

/* Of a file only we write: cut already, so that what lay behind is gone? */
static bool cut_already(const struct slot *slot, uint64_t size)
{
	return slot->rest == slot->size && size == slot->target + slot->piece_octets;
}

/* Is this the file the journal was written for, in a state that it can have left? */
static int belongs(struct move *move, const struct place *place)
{
	const struct slot *slot = &move->slot;
	struct file_status status;
	uint32_t before, behind;
	int result = file_status(move->file, &status);
	if (result < 0)
		return result;
	if (slot->account != place->account || status.device != slot->device ||
	    status.inode != slot->inode)
		return 0;
	if (slot->state == SLOT_MOVED)
		return 1;
	uint64_t size = status.size_octets;
	if (!move->shared && size != slot->size)
		return cut_already(slot, size);
	if (size < slot->size)
		return 0;
	result = witnesses(move->file, slot, &before, &behind);
	if (result < 0)
		return result;
	return before == slot->before && behind == slot->behind;
}

/* All was moved. Was the file cut? If what stood behind the new end still stands there, it was not,
 * and what came since stands behind the old end; if not, it stands behind the new one. */
static int replay_moved(struct move *move)
{
	const struct slot *slot = &move->slot;
	struct file_status status;
	uint32_t tail = 0;
	int result = file_status(move->file, &status);
	bool long_enough = result >= 0 && status.size_octets >= slot->size;
	if (long_enough)
		result = checksum_of(move->file, slot->target, slot->size, &tail);
	if (result < 0)
		return result;
	if (long_enough && tail == slot->tail)
		return move_down(move, NULL, 0);
	result = file_sync(move->file); /* the cut may be in the page cache only */
	return result < 0 ? result : finish(move);
}

/* 1: done. 0: the journal is of another file. */
static int replay(struct move *move, const struct place *place)
{
	int result = belongs(move, place);
	if (result <= 0)
		return result;
	if (move->slot.state == SLOT_MOVED) {
		result = replay_moved(move);
		return result < 0 ? result : 1;
	}
	result = piece_apply(move);
	if (result < 0)
		return result;
	struct range rest = {move->slot.rest, move->slot.size};
	move->slot.target += move->slot.piece_octets;
	result = move_down(move, &rest, rest.start < rest.end ? 1 : 0);
	return result < 0 ? result : 1;
}

/* The file is open and locked; NULL: there is none. */
static int replay_journal(struct move *move, const struct place *place, const char *name)
{
	char aside[48];
	int result = slot_choose(move);
	/* Without a valid slot, or with one that says done, nothing was begun or all is finished.
	 */
	bool counts = result > 0 && move->slot.state != SLOT_DONE;
	if (result > 0) /* a `done` too: it ends the journal only once it cannot be lost */
		result = slot_make_stable(move);
	if (counts && result >= 0)
		result = move->file != NULL ? replay(move, place) : 0;
	if (counts && result == 0) { /* of another file */
		journal_name(place->account, "aside.", aside);
		return file_rename(move->root->journal, name, move->root->journal, aside);
	}
	return result < 0 ? result : file_unlink(move->root->journal, name);
}

int journal_replay_shared(const struct store_root *root, const struct place *place,
			  struct file *file)
{
	char name[48];
	struct move move = {.root = root, .file = file, .shared = true};
	journal_name(place->account, "", name);
	int result = file_open(root->journal, name, FILE_WRITE, &move.journal);
	if (result == -ENOENT)
		return 0;
	if (result < 0)
		return result;
	result = replay_journal(&move, place, name);
	free(move.piece);
	file_close(move.journal);
	return result < 0 ? result : 0;
}

int journal_replay(const struct store_root *root, const struct place *place)
{
	char name[48];
	struct move move = {.root = root};
	journal_name(place->account, "", name);
	int result = file_open(root->journal, name, FILE_WRITE, &move.journal);
	if (result == -ENOENT)
		return 0;
	if (result < 0)
		return result;
	result = file_open(root->mail[place->mail_root], place->path, FILE_WRITE, &move.file);
	if (result >= 0 || result == -ENOENT)
		result = replay_journal(&move, place, name);
	free(move.piece);
	file_close(move.file);
	file_close(move.journal);
	return result < 0 ? result : 0;
}

bool journal_exists(const struct store_root *root, uint64_t account)
{
	char name[48];
	struct file *file;
	journal_name(account, "", name);
	if (file_open(root->journal, name, FILE_READ, &file) < 0)
		return false;
	file_close(file);
	return true;
}

void journal_remove(const struct store_root *root, uint64_t account)
{
	char name[48];
	journal_name(account, "", name);
	file_unlink(root->journal, name);
}
