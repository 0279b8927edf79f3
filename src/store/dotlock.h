/*
 * dotlock: the lock file beside a spool (FILE.lock) that mail programs agree on where they do not
 * agree on kernel locks (Debian policy 11.6): made with O_EXCL, its content begins with the number
 * of the process that holds it. As liblockfile has it, it counts no more when that process is gone,
 * or, where that cannot be known, when it is older than five minutes.
 *
 * A dotlock of ours says so behind that number. All of ours are made under the kernel lock of the
 * spool itself and removed before it is given back; so whoever holds that lock and finds one knows
 * that a process of ours has died with it. As long as there may be one ID.file is marked, because
 * one without its content would say nothing.
 *
 * Where none can be made (no right to, no room, no quota), the kernel lock alone must do: a full
 * user must be able to delete.
 */
#ifndef STORE_DOTLOCK_H
#define STORE_DOTLOCK_H

#include "store/store.h"

struct dotlock {
	struct file *folder; /* NULL: not held */
	struct file *file;
	struct file *lock; /* ID.file */
	unsigned mark;     /* in it */
	char name[MAILDROP_PATH_MAX + sizeof ".lock"];
};

/* Never waits: AGAIN when another program holds it. OK also when none can be made. `lock` is
 * ID.file, or NULL. */
enum store_result dotlock_take(const struct store_root *root, const struct place *place,
			       struct file *lock, struct dotlock *dotlock_out, struct error *error);
void dotlock_give(struct dotlock *dotlock); /* one that is not held is allowed */

#endif
