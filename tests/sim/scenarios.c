/*
 * scenarios: deliver, import, open, update, recover, abort: from every state that matters.
 */
#include <errno.h>

#include "scenarios_before.h"

/* ---- what is explored ---- */

void scenario_deliver_three(struct world *world)
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

void scenario_look(struct world *world)
{
	world_look(world, 0);
	world_look(world, 0);
}

void scenario_look_and_deliver(struct world *world)
{
	world_look(world, 0);
	world_verify(world, 0);
	world_deliver(world, 0, 6, NULL);
	world_look(world, 0);
}

void scenario_recover(struct world *world)
{
	world_recover(world);
}

void scenario_update(struct world *world, unsigned deleted)
{
	struct session session;

	world_open(world, 0, &session);
	world_update(world, 0, &session, deleted);
	world_look(world, 0);
}

static void update_all(struct world *world)
{
	scenario_update(world, 0xFFFF);
	world_deliver(world, 0, 6, NULL);
}

static void update_suffix(struct world *world)
{
	scenario_update(world, 0x0C);
	world_deliver(world, 0, 6, NULL);
}

static void update_scattered(struct world *world)
{
	scenario_update(world, 0x05);
	world_deliver(world, 0, 6, NULL);
	scenario_update(world, 0x01);
}

static void update_front(struct world *world)
{
	scenario_update(world, 0x01);
}

static void update_full(struct world *world)
{
	before_fill_disk(world, 300);
	scenario_update(world, 0x15);
	world_deliver(world, 0, 6, NULL);
}

static void update_full_same_size(struct world *world)
{
	before_fill_disk(world, 300);
	scenario_update(world, 0x02);
}

static void update_full_over_quota(struct world *world)
{
	world->full = true;
	sim_disk_set_capacity(world->disk, sim_disk_used(world->disk), EDQUOT);
	scenario_update(world, 0x08);
}

static void deliver_full(struct world *world)
{
	before_fill_disk(world, 400);
	world_deliver(world, 0, 6, NULL);
	world_deliver(world, 0, 9, NULL);
	world_deliver(world, 0, MODEL_LARGE, NULL);
	world_look(world, 0);
	scenario_update(world, 0xFFFF);
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
	scenario_update(world, 0x05);
	world_abort(world, 0, 7);
	scenario_update(world, 0x02);
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
	scenario_update(world, 0x02);
	world_deliver(world, 0, 6, NULL);
	scenario_update(world, 0x01);
	world_deliver(world, 0, 7, NULL);
	scenario_update(world, 0xFFFF);
	world_deliver(world, 0, 8, NULL);
	world_look(world, 0);
}

/* What was cut or failed is ended by the next one who comes. */
void scenario_convert(struct world *world)
{
	world_convert(world);
	world_look(world, 0);
	world_deliver(world, 0, 6, NULL);
	if (world->converting)
		world_resume(world);
	world_look(world, 0);
	world_verify(world, 0);
}

void scenario_convert_full(struct world *world)
{
	before_fill_disk(world, 300);
	scenario_convert(world);
}

const struct scenario scenarios[] = {
	{"deliver-first", 1, 0, before_nothing, scenario_deliver_three, NULL},
	{"deliver-next", 1, 0, before_one_message, scenario_deliver_three, NULL},
	{"deliver-large", 1, 0, before_one_message, deliver_large, NULL},
	{"deliver-to-both", 2, 0, before_one_message, deliver_to_both, NULL},
	{"deliver-full", 1, SCENARIO_RESERVE, before_one_message, deliver_full, NULL},
	{"import", 1, 0, before_one_message, import, NULL},
	{"abort", 1, 0, before_one_message, abort_and_deliver, NULL},
	{"abort-first", 1, 0, before_nothing, abort_and_deliver, NULL},
	{"open", 1, 0, before_four_messages, scenario_look, NULL},
	{"open-nothing", 1, 0, before_nothing, scenario_look, NULL},
	{"open-index-missing", 1, SCENARIO_REBOOT, before_index_missing, scenario_look_and_deliver,
	 NULL},
	{"open-index-torn", 1, SCENARIO_REBOOT, before_index_torn, scenario_look_and_deliver, NULL},
	{"open-index-stale", 1, 0, before_index_stale, scenario_look_and_deliver, NULL},
	{"recover-index-stale", 1, SCENARIO_RESERVE, before_index_stale, scenario_recover, NULL},
	{"update-all", 1, SCENARIO_RESERVE, before_four_messages, update_all, NULL},
	{"update-suffix", 1, SCENARIO_RESERVE, before_four_messages, update_suffix, NULL},
	{"update-scattered", 1, SCENARIO_RESERVE, before_four_messages, update_scattered, NULL},
	{"update-front", 1, 0, before_long_messages, update_front, NULL},
	{"update-full", 1, SCENARIO_RESERVE, before_long_messages, update_full, NULL},
	{"update-full-same-size", 1, SCENARIO_RESERVE, before_same_size, update_full_same_size,
	 NULL},
	{"update-quota", 1, SCENARIO_RESERVE, before_long_messages, update_full_over_quota, NULL},
	{"update-all-new", 1, SCENARIO_RESERVE, before_four_messages, update_all_with_new, NULL},
	{"update-suffix-new", 1, SCENARIO_RESERVE, before_four_messages, update_suffix_with_new,
	 NULL},
	{"update-scattered-new", 1, SCENARIO_RESERVE, before_four_messages,
	 update_scattered_with_new, NULL},
	{"update-full-new", 1, SCENARIO_RESERVE, before_long_messages, update_full_with_new, NULL},
	{"update-full-abort", 1, SCENARIO_RESERVE, before_long_messages, abort_and_update_full,
	 NULL},
	{"update-abort", 1, SCENARIO_RESERVE, before_four_messages, abort_and_update, NULL},
	{"import-first", 1, 0, before_nothing, import_only, NULL},
	{"import-index-missing", 1, 0, before_index_missing, import_only, NULL},
	{"import-full", 1, 0, before_one_message, import_full, NULL},
	{"abort-index-missing", 1, 0, before_index_missing, abort_only, NULL},
	{"churn", 1, SCENARIO_RESERVE, before_four_messages, churn, NULL},
};
const size_t scenarios_count = sizeof(scenarios) / sizeof(scenarios[0]);
