/* world_private: what world.c and world_change.c share. */
#ifndef WORLD_PRIVATE_H
#define WORLD_PRIVATE_H

#include "world.h"

/* An operation begins; the clock goes on. */
void world_operation(struct world *world, const char *name);

bool world_has_failed(const struct world *world); /* the injected fault has come */

/* Is OK, or an answer that the injected fault or the full disk explains? True for OK only; any
 * answer that nothing explains is a problem. */
bool world_allows(struct world *world, const char *what, enum store_result result,
		  const struct error *error);

#endif
