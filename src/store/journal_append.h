/*
 * journal_append: an append to a file that other programs write to, such that at any crash the
 * octets that are ours are known, whatever was appended after them.
 *
 *   1. what is to be appended is written to ROOT/journal/ID.PATH.append, with its place, and
 * synced;
 *   2. the file is made longer by its length, and synced;
 *   3. the octets are written into that room, and synced; the journal goes.
 *
 * In step 2 the room is there or not; in step 3 each octet of it is ours or zero. So if the journal
 * is found again and every octet of the room is ours or zero, they are written once more, and the
 * append is complete; if not, the room was never made, or another program has been at the file
 * since, and there is nothing of ours to mend. A journal that comes back although its append was
 * done long ago does no harm, and need not be removed durably.
 */
#ifndef STORE_JOURNAL_APPEND_H
#define STORE_JOURNAL_APPEND_H

#include "store/store.h"

struct journal_append {
	const struct store_root *root;
	const struct place *place; /* must outlive it */
	struct file *journal;      /* NULL: none */
	uint64_t offset;           /* where in the file it goes */
	uint64_t length;           /* of what is to be appended */
	uint32_t checksum;
};

/* Where the octets stand in the journal's file, to be looked at. */
#define JOURNAL_APPEND_DATA JOURNAL_HEADER_OCTETS

/* All of these: 0 or a negative errno. ID.file is held, nothing waits to be replayed. */

int journal_append_begin(const struct store_root *root, const struct place *place,
			 struct journal_append *append_out);
int journal_append_write(struct journal_append *append, struct bytes octets);
/* Steps 1, 2 and 3. The file is locked and ends at `offset`; -EAGAIN when it does not any more
 * (somebody without a lock has appended), and nothing was done. On another failure the file is as
 * long as before, and that is on stable storage; or the journal stays for the next replay. */
int journal_append_do(struct journal_append *append, struct file *file, uint64_t offset);
/* Ends it: nothing was done, or all. */
void journal_append_end(struct journal_append *append);

/* Finishes what a crash interrupted, in a file that is locked, or NULL when there is none. */
int journal_append_replay(const struct store_root *root, const struct place *place,
			  struct file *file);

bool journal_append_exists(const struct store_root *root, const struct place *place);
void journal_append_remove(const struct store_root *root, const struct place *place);

#endif
