/*
 * scenarios: deliver, import, open, update, recover, abort: from every state that matters.
 */
#include <errno.h>

#include "scenarios_before.h"

/* ---- what is explored ---- */

static void deliver_three(struct world *world)
{
	world_deliver(world, 0, 6, NULL);
	world_deliver(world, 0, 7, NULL);
	world_deliver(world, 0, 8, NULL);
}

static void deliver_large(struct world *world)
{
	world_deliver(world, 0, MODEL_LARGE, NULL);
	world_look(world, 0);
}

static void deliver_to_both(struct world *world)
{
	world_deliver_to_both(world, 6);
	world_deliver_to_both(world, 7);
}

static void import(struct world *world)
{
	world_deliver(world, 0, 6, "one.by.one");
	world_import(world, 0, 7, 3);
	world_deliver(world, 0, 10, NULL);
}

static void import_full(struct world *world)
{
	before_fill_disk(world, 700);
	world_import(world, 0, 7, 3);
	world_look(world, 0);
}

static void import_only(struct world *world)
{
	world_import(world, 0, 6, 2);
	world_look(world, 0);
}

static void abort_only(struct world *world)
{
	world_abort(world, 0, 6);
	world_look(world, 0);
}

static void look(struct world *world)
{
	world_look(world, 0);
	world_look(world, 0);
}

static void look_and_deliver(struct world *world)
{
	world_look(world, 0);
	world_verify(world, 0);
	world_deliver(world, 0, 6, NULL);
	world_look(world, 0);
}

static void recover(struct world *world)
{
	world_recover(world);
}

static void update(struct world *world, unsigned deleted)
{
	struct session session;

	world_open(world, 0, &session);
	world_update(world, 0, &session, deleted);
	world_look(world, 0);
}

static void update_all(struct world *world)
{
	update(world, 0xFFFF);
	world_deliver(world, 0, 6, NULL);
}

static void update_suffix(struct world *world)
{
	update(world, 0x0C);
	world_deliver(world, 0, 6, NULL);
}

static void update_scattered(struct world *world)
{
	update(world, 0x05);
	world_deliver(world, 0, 6, NULL);
	update(world, 0x01);
}

static void update_front(struct world *world)
{
	update(world, 0x01);
}

static void update_full(struct world *world)
{
	before_fill_disk(world, 300);
	update(world, 0x15);
	world_deliver(world, 0, 6, NULL);
}

static void update_full_same_size(struct world *world)
{
	before_fill_disk(world, 300);
	update(world, 0x02);
}

static void update_full_over_quota(struct world *world)
{
	world->full = true;
	sim_disk_set_capacity(world->disk, sim_disk_used(world->disk), EDQUOT);
	update(world, 0x08);
}

static void deliver_full(struct world *world)
{
	before_fill_disk(world, 400);
	world_deliver(world, 0, 6, NULL);
	world_deliver(world, 0, 9, NULL);
	world_deliver(world, 0, MODEL_LARGE, NULL);
	world_look(world, 0);
	update(world, 0xFFFF);
}

/* Mail comes in between a session's login and its QUIT. */
static void update_with_new(struct world *world, unsigned deleted)
{
	struct session session;

	world_open(world, 0, &session);
	world_deliver(world, 0, 6, NULL);
	world_deliver(world, 0, 7, NULL);
	world_update(world, 0, &session, deleted);
	world_look(world, 0);
}

static void update_all_with_new(struct world *world)
{
	update_with_new(world, 0x0F);
}

static void update_suffix_with_new(struct world *world)
{
	update_with_new(world, 0x0C);
}

static void update_scattered_with_new(struct world *world)
{
	update_with_new(world, 0x05);
}

static void update_full_with_new(struct world *world)
{
	struct session session;

	world_open(world, 0, &session);
	world_deliver(world, 0, 6, NULL);
	before_fill_disk(world, 100);
	world_update(world, 0, &session, 0x0B);
	world_look(world, 0);
}

/* What a delivery that was taken back has left behind the end is not yet off the disk. */
static void abort_and_update_full(struct world *world)
{
	struct session session;

	world_open(world, 0, &session);
	world_abort(world, 0, 6);
	before_fill_disk(world, 100);
	world_update(world, 0, &session, 0x0B);
	world_look(world, 0);
}

static void abort_and_update(struct world *world)
{
	world_abort(world, 0, 6);
	update(world, 0x05);
	world_abort(world, 0, 7);
	update(world, 0x02);
}

static void abort_and_deliver(struct world *world)
{
	world_abort(world, 0, 6);
	world_look(world, 0);
	world_deliver(world, 0, 7, NULL);
	world_abort(world, 0, 8);
	world_deliver(world, 0, 9, NULL);
}

/* Empties and fills the maildrop in turn: what an index or a journal of before could be mistaken
 * for, and inode numbers that come back. */
static void churn(struct world *world)
{
	update(world, 0x02);
	world_deliver(world, 0, 6, NULL);
	update(world, 0x01);
	world_deliver(world, 0, 7, NULL);
	update(world, 0xFFFF);
	world_deliver(world, 0, 8, NULL);
	world_look(world, 0);
}

const struct scenario scenarios[] = {
	{"deliver-first", 1, false, false, before_nothing, deliver_three},
	{"deliver-next", 1, false, false, before_one_message, deliver_three},
	{"deliver-large", 1, false, false, before_one_message, deliver_large},
	{"deliver-to-both", 2, false, false, before_one_message, deliver_to_both},
	{"deliver-full", 1, true, false, before_one_message, deliver_full},
	{"import", 1, false, false, before_one_message, import},
	{"abort", 1, false, false, before_one_message, abort_and_deliver},
	{"abort-first", 1, false, false, before_nothing, abort_and_deliver},
	{"open", 1, false, false, before_four_messages, look},
	{"open-nothing", 1, false, false, before_nothing, look},
	{"open-index-missing", 1, false, true, before_index_missing, look_and_deliver},
	{"open-index-torn", 1, false, true, before_index_torn, look_and_deliver},
	{"open-index-stale", 1, false, false, before_index_stale, look_and_deliver},
	{"recover-torn-tail", 1, false, true, before_tail_torn, recover},
	{"recover-damaged-tail", 1, false, true, before_tail_damaged, recover},
	{"recover-index-stale", 1, true, false, before_index_stale, recover},
	{"update-all", 1, true, false, before_four_messages, update_all},
	{"update-suffix", 1, true, false, before_four_messages, update_suffix},
	{"update-scattered", 1, true, false, before_four_messages, update_scattered},
	{"update-front", 1, false, false, before_long_messages, update_front},
	{"update-full", 1, true, false, before_long_messages, update_full},
	{"update-full-same-size", 1, true, false, before_same_size, update_full_same_size},
	{"update-quota", 1, true, false, before_long_messages, update_full_over_quota},
	{"update-all-new", 1, true, false, before_four_messages, update_all_with_new},
	{"update-suffix-new", 1, true, false, before_four_messages, update_suffix_with_new},
	{"update-scattered-new", 1, true, false, before_four_messages, update_scattered_with_new},
	{"update-full-new", 1, true, false, before_long_messages, update_full_with_new},
	{"update-full-abort", 1, true, false, before_long_messages, abort_and_update_full},
	{"update-abort", 1, true, false, before_four_messages, abort_and_update},
	{"import-first", 1, false, false, before_nothing, import_only},
	{"import-index-missing", 1, false, false, before_index_missing, import_only},
	{"import-full", 1, false, false, before_one_message, import_full},
	{"abort-index-missing", 1, false, false, before_index_missing, abort_only},
	{"start", 1, true, false, before_no_reserve, look},
	{"start-full", 1, true, false, before_no_room_for_reserve, look},
	{"open-damaged-full", 1, false, true, before_tail_damaged_on_full_disk, look},
	{"open-aside", 1, false, true, before_aside_left, look},
	{"deliver-aside", 1, false, true, before_aside_left, deliver_three},
	{"recover-damaged-full", 1, false, true, before_tail_damaged_on_full_disk, recover},
	{"open-journal", 1, true, true, scenario_journal_left, look_and_deliver},
	{"deliver-journal", 1, true, true, scenario_journal_left, deliver_three},
	{"churn", 1, true, false, before_four_messages, churn},
};
const size_t scenarios_count = sizeof(scenarios) / sizeof(scenarios[0]);
