/* scenarios_before: what was there before a scenario, for scenarios.c. */
#ifndef SCENARIOS_BEFORE_H
#define SCENARIOS_BEFORE_H

#include "scenarios.h"

void before_nothing(struct world *world);
void before_one_message(struct world *world);
void before_four_messages(struct world *world);
void before_long_messages(struct world *world);
void before_index_missing(struct world *world);
void before_index_torn(struct world *world);
void before_index_stale(struct world *world);
void before_tail_torn(struct world *world);
void before_tail_damaged(struct world *world);
void before_tail_damaged_on_full_disk(struct world *world);
void before_no_reserve(struct world *world);
void before_no_room_for_reserve(struct world *world);
void before_aside_left(struct world *world);
void before_same_size(struct world *world);

/* From now on there is room for so many octets more, or less when negative. */
void before_fill_disk(struct world *world, int64_t room);

#endif
