/*
 * reserve: the preallocated file that becomes a journal (journal.h). One a process, claimed by a
 * lock; one removal at a time has it.
 */
#ifndef STORE_RESERVE_H
#define STORE_RESERVE_H

#include "store/store.h"

#define RESERVE_OCTETS (2 * (JOURNAL_HEADER_OCTETS + JOURNAL_PIECE_OCTETS))

/* Makes the reserve journal/ID.redo, durably. *sequence_out is beyond any that was ever written to
 * it. STORE_OK, AGAIN (another thread has it), FULL (there is none), IO. */
enum store_result reserve_take(const struct store_root *root, uint64_t account,
			       struct file **journal_out, uint64_t *sequence_out,
			       struct error *error);

/* Makes it a reserve again (`sequence` is the last that was written to it); or, when the removal
 * has failed (done = false), leaves it to the next replay and this process without one. */
void reserve_give_back(const struct store_root *root, uint64_t account, uint64_t sequence,
		       bool done);

#endif
