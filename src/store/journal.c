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

#define SLOT_OCTETS    (JOURNAL_HEADER_OCTETS + JOURNAL_PIECE_OCTETS)
#define WITNESS_OCTETS 4096

static const char magic[16] = "postern redo 1";

enum slot_state { SLOT_PIECE = 1, SLOT_DONE = 2 };

struct slot {
	char magic[16];
	uint64_t sequence; /* slots are used in turn; the higher one counts */
	uint64_t account, device, inode;
	uint64_t size;   /* of the file before the removal */
	uint64_t target; /* where the piece goes; all below is final */
	uint64_t rest;   /* from here on the file is as it was */
	uint32_t state;
	uint32_t piece_octets, piece_checksum;
	uint32_t before, behind; /* checksums of what lies before target and from rest on */
	uint32_t check;
};

/* One removal under way, or its replay. */
struct move {
	const struct store_root *root;
	struct file *file;
	struct file *journal;
	struct slot slot; /* the one that counts */
	char *piece;      /* JOURNAL_PIECE_OCTETS */
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

static int slot_write(struct move *move)
{
	char header[JOURNAL_HEADER_OCTETS] = {0};
	struct slot *slot = &move->slot;
	slot->sequence++;
	slot->piece_checksum = crc32c(0, (struct bytes){move->piece, slot->piece_octets});
	slot->check = slot_check(slot);
	memcpy(header, slot, sizeof *slot);
	struct bytes pieces[] = {{header, sizeof header}, {move->piece, slot->piece_octets}};
	int result = file_write(move->journal, pieces, 2, slot->sequence % 2 * SLOT_OCTETS);
	return result < 0 ? result : file_sync(move->journal);
}

/* After a mere kill, or a failed sync, what was read of the journal and its name may be in the page
 * cache only: the slot is written again, over itself, before anything is done by it. */
static int slot_make_stable(struct move *move)
{
	move->slot.sequence--; /* slot_write() takes the next one */
	int result = slot_write(move);
	return result < 0 ? result : file_sync(move->root->journal);
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
	while (*keep_count > 0 && slot->piece_octets < JOURNAL_PIECE_OCTETS) {
		struct range *range = *keep;
		uint64_t left = range->end - range->start;
		size_t room = JOURNAL_PIECE_OCTETS - slot->piece_octets;
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

/* Moves all that is kept down to slot.target and cuts the file behind it. */
static int move_down(struct move *move, struct range *keep, size_t keep_count)
{
	struct slot *slot = &move->slot;
	int result = 0;
	while (keep_count > 0 && result >= 0) {
		result = piece_collect(move, &keep, &keep_count);
		if (result >= 0)
			result = witnesses(move->file, slot, &slot->before, &slot->behind);
		if (result >= 0)
			result = slot_write(move);
		if (result >= 0)
			result = piece_apply(move);
		slot->target += slot->piece_octets;
	}
	if (result >= 0)
		result = file_set_size(move->file, slot->target);
	if (result >= 0)
		result = file_sync(move->file);
	if (result < 0)
		return result;
	slot->state = SLOT_DONE;
	slot->piece_octets = 0;
	return slot_write(move);
}

static int move_begin(struct move *move, const struct place *place, uint64_t size)
{
	struct file_status status;
	int result = file_status(move->file, &status);
	move->piece = malloc(JOURNAL_PIECE_OCTETS);
	if (result >= 0 && move->piece == NULL)
		result = -ENOMEM;
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

enum store_result journal_compact(const struct store_root *root, const struct place *place,
				  struct file *file, uint64_t size, const struct range *keep,
				  size_t keep_count, struct error *error)
{
	struct move move = {.root = root, .file = file};
	struct range *list = malloc((keep_count + 1) * sizeof *list);
	enum store_result taken = STORE_IO;
	/* The slots speak of the file's length: what a delivery took back must not come again. */
	int result = list != NULL ? file_sync(file) : -ENOMEM;
	if (result >= 0)
		result = move_begin(&move, place, size);
	if (result < 0)
		goto out;
	taken = reserve_take(root, place->account, &move.journal, &move.slot.sequence, error);
	if (taken != STORE_OK)
		goto out;
	for (size_t i = 0; i < keep_count; i++)
		list[i] = keep[i];
	/* What is kept at the front is in its place already. */
	size_t first = keep_count > 0 && list[0].start == 0 ? 1 : 0;
	move.slot.target = first > 0 ? list[0].end : 0;
	result = move_down(&move, list + first, keep_count - first);
	reserve_give_back(root, place->account, move.slot.sequence, result >= 0);
out:
	free(move.piece);
	free(list);
	if (result < 0)
		return store_failure(error, result, "while removing messages in place");
	return taken;
}

/* ---- replaying ---- */

/* Each of these answers 1 or 0, or a negative errno when it cannot know: a disk that fails to read
 * is no proof that there is nothing, and a journal that was not replayed must stay. */

static int slot_load(struct move *move, unsigned number, struct slot *slot_out)
{
	struct slot slot;
	uint64_t offset = number * (uint64_t)SLOT_OCTETS;
	int result = read_all(move->journal, (char *)&slot, sizeof slot, offset);
	if (result < 0)
		return result;
	if (memcmp(slot.magic, magic, sizeof magic) != 0 || slot.check != slot_check(&slot) ||
	    slot.piece_octets > JOURNAL_PIECE_OCTETS)
		return 0;
	result = read_all(move->journal, move->piece, slot.piece_octets,
			  offset + JOURNAL_HEADER_OCTETS);
	if (result < 0)
		return result;
	if (slot.piece_checksum != crc32c(0, (struct bytes){move->piece, slot.piece_octets}))
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
	uint64_t final_size = slot->target + slot->piece_octets, size = status.size_octets;
	if (size != slot->size) /* cut already, so that what lay behind is gone; or another */
		return slot->rest == slot->size && size == final_size;
	result = witnesses(move->file, slot, &before, &behind);
	if (result < 0)
		return result;
	return before == slot->before && behind == slot->behind;
}

/* 1: done. 0: the journal is of another file. */
static int replay(struct move *move, const struct place *place)
{
	int result =
		file_open(move->root->mail[place->mail_root], place->path, FILE_WRITE, &move->file);
	if (result == -ENOENT)
		return 0;
	if (result >= 0)
		result = belongs(move, place);
	if (result <= 0)
		return result;
	result = piece_apply(move);
	if (result < 0)
		return result;
	struct range rest = {move->slot.rest, move->slot.size};
	move->slot.target += move->slot.piece_octets;
	result = move_down(move, &rest, rest.start < rest.end ? 1 : 0);
	return result < 0 ? result : 1;
}

static void journal_name(uint64_t account, const char *before, char name[48])
{
	snprintf(name, 48, "%s%" PRIu64 ".redo", before, account);
}

int journal_replay(const struct store_root *root, const struct place *place)
{
	char name[48], aside[48];
	struct move move = {.root = root};
	journal_name(place->account, "", name);
	int result = file_open(root->journal, name, FILE_WRITE, &move.journal);
	if (result == -ENOENT)
		return 0;
	if (result < 0)
		return result;
	move.piece = malloc(JOURNAL_PIECE_OCTETS);
	result = move.piece != NULL ? slot_choose(&move) : -ENOMEM;
	/* Without a valid slot, or with one that says done, nothing was begun or all is finished.
	 */
	bool counts = result > 0 && move.slot.state == SLOT_PIECE;
	if (result > 0) /* a `done` too: it ends the journal only once it cannot be lost */
		result = slot_make_stable(&move);
	if (counts && result >= 0)
		result = replay(&move, place);
	if (counts && result == 0) { /* of another file */
		journal_name(place->account, "aside.", aside);
		result = file_rename(root->journal, name, root->journal, aside);
	} else if (result >= 0) {
		result = file_unlink(root->journal, name);
	}
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
