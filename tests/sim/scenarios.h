/*
 * scenarios: what a server does to its maildrops, each in two parts: what was there before (not
 * explored, and on stable storage), and what is explored.
 */
#ifndef SCENARIOS_H
#define SCENARIOS_H

#include "world.h"

struct scenario {
	const char *name;
	size_t drops;
	bool reserve;
	bool reboot; /* between the two */
	void (*before)(struct world *world);
	void (*body)(struct world *world);
};

extern const struct scenario scenarios[];
extern const size_t scenarios_count;

/* Six messages, and the journal of a removal of the first and the fourth that was cut half way. */
void scenario_journal_left(struct world *world);

#endif
