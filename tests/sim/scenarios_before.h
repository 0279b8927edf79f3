/* scenarios_before: what was there before a scenario, for scenarios.c and kind_*.c. */
#ifndef SCENARIOS_BEFORE_H
#define SCENARIOS_BEFORE_H

#include "world.h"

void before_nothing(struct world *world);
void before_one_message(struct world *world);
void before_four_messages(struct world *world);
void before_long_messages(struct world *world);
void before_index_missing(struct world *world);
void before_index_torn(struct world *world);
void before_index_stale(struct world *world);
void before_same_size(struct world *world);

/* Writes over the octets of a file, by its path from the top. */
void before_change_octets(struct world *world, const char *path, uint64_t from_end,
			  struct bytes octets);

/* From now on there is room for so many octets more, or less when negative. */
void before_fill_disk(struct world *world, int64_t room);

/* The power will go at one call, after `more` of the same kind. */
struct before_power {
	enum sim_call call;
	const char *role;
	unsigned more;
	const struct world_kind *kind;
};
void before_power_fails(struct world *world, struct before_power *power);
/* It went: the scenario begins with what it has left. */
void before_power_went(struct world *world);

#endif
