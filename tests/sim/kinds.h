/*
 * kinds: what differs between the kinds of store in the simulation. A kind joins with a file
 * kind_X.c that exports its struct world_kind, and a line in kinds.c.
 */
#ifndef KINDS_H
#define KINDS_H

#include "scenarios.h"
#include "store/store.h"

struct world_kind {
	enum store_kind kind;
	bool reserve; /* removals on a full disk need one */
	unsigned thin; /* of a kind with many calls and states so many times fewer are drawn; 0: 1 */
	bool settles; /* of earlier operations nothing is pending of lock files and caches, which
			 are many */
	uint64_t tick_ns; /* by which the disk's clock goes on with each operation */
	/* What a file is to the store, for the table. */
	const char *(*role)(const char *path, bool directory, bool unnamed);
	/* May verify name this after a recovery? */
	bool (*tolerates)(const struct world *world, const struct finding *finding);
	/* A number for what the maildrop looks like, which a second recovery must not change. */
	uint64_t (*digest)(const struct world *world, size_t drop);
	const struct scenario *scenarios; /* beside those of every kind */
	size_t scenarios_count;
};

extern const struct world_kind world_maildir;
extern const struct world_kind world_spool;
extern const struct world_kind world_mbox;

extern const struct world_kind *const world_kinds[];
extern const size_t world_kinds_count;

/* The roles of files that every kind has; NULL for another one. */
const char *world_common_role(const char *path, bool directory, bool unnamed);

#endif
