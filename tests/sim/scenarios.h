/*
 * scenarios: what a server does to its maildrops, each in two parts: what was there before (not
 * explored, and on stable storage), and what is explored. Here stand those that every kind of store
 * goes through; what only one kind can have stands in its kind_X.c.
 */
#ifndef SCENARIOS_H
#define SCENARIOS_H

#include <stddef.h>

struct world;

enum scenario_flags {
	SCENARIO_RESERVE = 1 << 0, /* the server keeps a reserve for removals on a full disk, if the
				      kind needs one */
	SCENARIO_REBOOT = 1 << 1   /* between the two parts */
};

struct scenario {
	const char *name;
	size_t drops;
	unsigned flags;
	void (*before)(struct world *world);
	void (*body)(struct world *world);
	void (*others)(struct world *world); /* what other programs do between each cut and its
						recovery; NULL: nothing */
};

extern const struct scenario scenarios[];
extern const size_t scenarios_count;

/* Steps that scenarios of single kinds are made of, too. */
void scenario_look(struct world *world);
void scenario_look_and_deliver(struct world *world);
void scenario_deliver_three(struct world *world);
void scenario_recover(struct world *world);
void scenario_convert(struct world *world); /* to another place; on a full disk, too */
void scenario_convert_full(struct world *world);
void scenario_update(struct world *world, unsigned deleted); /* one session, and another look */

#endif
