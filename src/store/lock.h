/*
 * lock: the two kernel locks of a maildrop, and the account's generation (store.h, top).
 *
 * The files ROOT/run/locks/ID.session and ID.file are made when first needed and never renamed or
 * removed, so that two processes can never hold locks on different files of one name. Nobody waits:
 * STORE_AGAIN and STORE_LOCKED are answers.
 */
#ifndef STORE_LOCK_H
#define STORE_LOCK_H

#include "store/store.h"

/* STORE_OK, LOCKED, FULL, IO. Closing the file gives the lock back. */
enum store_result lock_session(const struct store_root *root, uint64_t account,
			       struct file **lock_out, struct error *error);

/* STORE_OK, AGAIN, CHANGED (the place is of an older generation), FULL, IO. */
enum store_result lock_file(const struct store_root *root, const struct place *place,
			    struct file **lock_out, struct error *error);

/* Gives back what lock_file() gave: closes it, unless root->held keeps it. NULL is allowed. */
void lock_release(const struct store_root *root, struct file *lock);

/* Makes every place up to this generation an older one; ID.file is held. STORE_OK, FULL, IO. */
enum store_result lock_retire(struct file *lock, uint64_t generation, struct error *error);

/* One of LOCK_MARKS marks in ID.file, which is held: that a process is about something that it must
 * undo. They outlive the process, not the machine. NULL has none. */
#define LOCK_MARKS 16
void lock_mark(struct file *lock, unsigned number, bool marked);
int lock_marked(struct file *lock, unsigned number); /* 1, 0, or a negative errno */

/* For everybody who turns a disk's answer into a store's: ENOSPC, EDQUOT and EFBIG are FULL, all else IO.
 */
enum store_result store_failure(struct error *error, int negative_errno, const char *what);

#endif
