/*
 * journal: removal from a maildrop file in its own place: for a disk that is too full to write a
 * new file beside it, because a full user must be able to delete; and for a file that other
 * programs write to (`shared`), because one of them may wait for its lock with the old file open.
 *
 * What is kept moves down, piece by piece, over what is removed. Before a piece is written into the
 * file it stands in the journal, with where it goes, synced. So at any crash the file is known: all
 * below the piece is final, all from `rest` on is as it was, and replaying writes the piece again,
 * closes the gap and cuts the file. What was not yet removed then stays: the session was never told
 * that it is gone.
 *
 * The journal is one preallocated file with two slots in turn, so that a torn slot leaves the one
 * before it. It is ROOT/journal/ID.redo while it counts, and begins as ROOT/journal/reserve.WORD,
 * or, for a shared file as long as there is room, as a file of its own.
 *
 * In a shared file there may be new mail behind the old end when a removal is replayed. It is moved
 * down with the rest. Before the file is cut the journal says that all was moved, and what stands
 * from the new end to the old: if that stands there still, the file was not cut, and new mail
 * begins at the old end; else it was, and new mail begins at the new end.
 *
 * It belongs to one file: device, inode, length, and the checksums of what lies before and behind
 * the piece must agree, or nothing is replayed, and it is renamed to aside.ID.redo for verify to
 * name.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "store/store.h"

struct range {
	uint64_t start, end;
};

/* Keeps only these ranges (ascending, not empty, not touching what lies beyond the file) of a file
 * of `size` octets, whose locks are held. STORE_OK: on stable storage. AGAIN: the reserve is in use
 * by another thread; nothing was begun. FULL: there is no reserve. IO: some may be gone; the next
 * replay brings the file into order. */
enum store_result journal_compact(const struct store_root *root, const struct place *place,
				  struct file *file, uint64_t size, const struct range *keep,
				  size_t keep_count, bool shared, struct error *error);

/* Finishes what a crash interrupted; ID.file is held. 0, also when there is nothing to do. */
int journal_replay(const struct store_root *root, const struct place *place);
/* The same for a file that other programs write to: it is open and locked against them, or NULL
 * when there is none. */
int journal_replay_shared(const struct store_root *root, const struct place *place,
			  struct file *file);

/* Is there a journal that counts? For verify. */
bool journal_exists(const struct store_root *root, uint64_t account);
/* Forgets it, with the maildrop it belonged to. */
void journal_remove(const struct store_root *root, uint64_t account);

#endif
