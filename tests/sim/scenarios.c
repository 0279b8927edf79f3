/*
 * scenarios: deliver, import, open, update, recover, abort: from every state that matters.
 */
#include "scenarios.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what was there before ---- */

static void nothing(struct world *world)
{
	(void)world;
}

static void one_message(struct world *world)
{
	world_deliver(world, 0, 0, NULL);
}

static void four_messages(struct world *world)
{
	for (size_t i = 0; i < 4; i++)
		world_deliver(world, 0, i, NULL);
}

/* Enough to keep that the journal needs several pieces, and the copy several reads. */
static void long_messages(struct world *world)
{
	static const size_t numbers[] = {0, 9, 1, 4, 11, 2};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		world_deliver(world, 0, numbers[i], NULL);
}

static struct file *open_top(struct world *world, const char *path, unsigned flags)
{
	struct file *file = NULL;

	if (file_open(sim_disk_top(world->disk), path, flags, &file) != 0)
		abort();
	return file;
}

static void change_octets(struct world *world, const char *path, uint64_t from_end,
			  struct bytes octets)
{
	struct file *file = open_top(world, path, FILE_WRITE);
	struct file_status status;

	if (file_status(file, &status) != 0 || status.size_octets < from_end ||
	    file_write(file, &octets, 1, status.size_octets - from_end) != 0)
		abort();
	file_close(file);
}

static void index_missing(struct world *world)
{
	four_messages(world);
	if (file_unlink(sim_disk_top(world->disk), "index/7") != 0)
		abort();
}

static void index_torn(struct world *world)
{
	four_messages(world);
	change_octets(world, "index/7", 200, BYTES("torn octets of something else"));
}

/* The index is the one of two messages before. */
static void index_stale(struct world *world)
{
	static char octets[65536];
	struct file *file;

	world_deliver(world, 0, 0, NULL);
	world_deliver(world, 0, 1, NULL);
	file = open_top(world, "index/7", FILE_READ);
	ssize_t size = file_read(file, octets, sizeof(octets), 0, false);

	file_close(file);
	world_deliver(world, 0, 2, NULL);
	world_deliver(world, 0, 3, NULL);
	file = open_top(world, "index/7", FILE_WRITE);
	if (size <= 0 || file_set_size(file, (uint64_t)size) != 0)
		abort();
	file_close(file);
	change_octets(world, "index/7", (uint64_t)size, (struct bytes){octets, (size_t)size});
}

static void tail_torn(struct world *world)
{
	four_messages(world);
	change_octets(world, "mail/example.org/alice", 0,
		      BYTES("From a@b.c Sun Nov 22 02:01:00 2026 postern=1 length=812 quo"));
}

/* A whole record behind the end whose content is not what its line says: kept aside. */
static void tail_damaged(struct world *world)
{
	four_messages(world);
	change_octets(world, "mail/example.org/alice", 4, BYTES("XX"));
	world->model.drops[0].entries[3].now = ABSENT;
	world->model.drops[0].entries[3].after_cut = ABSENT;
	if (file_unlink(sim_disk_top(world->disk), "index/7") != 0)
		abort();
}

static void fill_disk(struct world *world, int64_t room)
{
	world->full = true;
	sim_disk_set_capacity(world->disk, (uint64_t)((int64_t)sim_disk_used(world->disk) + room),
			      ENOSPC);
}

/* A whole record with a wrong content, and hardly room to set it aside. */
static void tail_damaged_on_full_disk(struct world *world)
{
	tail_damaged(world);
	fill_disk(world, 10);
}

static bool remove_reserve(void *context, const char *name)
{
	struct world *world = context;

	if (strncmp(name, "reserve.", 8) == 0 && file_unlink(world->root.journal, name) != 0)
		abort();
	return true;
}

static void no_reserve(struct world *world)
{
	four_messages(world);
	if (file_list(world->root.journal, remove_reserve, world) != 0)
		abort();
}

/* The one that is still open goes with the process, and makes some room. */
static void no_room_for_reserve(struct world *world)
{
	no_reserve(world);
	fill_disk(world, -1000);
}

/* The power goes at one call, after some of the same kind. */
struct power {
	enum sim_call call;
	const char *role;
	unsigned more;
};

static int cut_power(void *context, struct sim_disk *disk, const struct sim_operation *operation)
{
	struct power *power = context;

	(void)disk;
	if (operation->call != power->call ||
	    strcmp(world_role(operation->path, false, false), power->role) != 0)
		return SIM_PASS;
	return power->more-- == 0 ? SIM_POWER_OFF : SIM_PASS;
}

/* The scenario begins with what a power cut has left. */
static void power_went(struct world *world)
{
	if (world->problem[0] == '\0')
		abort(); /* it did not */
	world->problem[0] = '\0';
	sim_disk_set_hook(world->disk, NULL, NULL);
}

/* The damaged tail stands aside already, but is not yet cut off. */
static void aside_left(struct world *world)
{
	struct power power = {.call = SIM_SET_SIZE, .role = "mbox"};

	tail_damaged(world);
	sim_disk_set_hook(world->disk, cut_power, &power);
	world_look(world, 0);
	power_went(world);
}

/* A removal in place that was cut in its midst. What it was to remove may be there or not. */
void scenario_journal_left(struct world *world)
{
	struct power power = {.call = SIM_WRITE, .role = "journal", .more = 2};
	struct session session;

	long_messages(world);
	world_open(world, 0, &session);
	sim_disk_set_capacity(world->disk, sim_disk_used(world->disk), ENOSPC);
	sim_disk_set_hook(world->disk, cut_power, &power);
	world_update(world, 0, &session, 0x09);
	power_went(world);
	sim_disk_set_capacity(world->disk, 0, ENOSPC);
}

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
	fill_disk(world, 700);
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
	fill_disk(world, 300);
	update(world, 0x15);
	world_deliver(world, 0, 6, NULL);
}

/* What is removed is as long as what comes after the crash. */
static void before_same_size(struct world *world)
{
	world_deliver(world, 0, 0, NULL);
	world_deliver(world, 0, 10, NULL);
	world_deliver(world, 0, 9, NULL);
}

static void update_full_same_size(struct world *world)
{
	fill_disk(world, 300);
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
	fill_disk(world, 400);
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
	fill_disk(world, 100);
	world_update(world, 0, &session, 0x0B);
	world_look(world, 0);
}

/* What a delivery that was taken back has left behind the end is not yet off the disk. */
static void abort_and_update_full(struct world *world)
{
	struct session session;

	world_open(world, 0, &session);
	world_abort(world, 0, 6);
	fill_disk(world, 100);
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
	{"deliver-first", 1, false, false, nothing, deliver_three},
	{"deliver-next", 1, false, false, one_message, deliver_three},
	{"deliver-large", 1, false, false, one_message, deliver_large},
	{"deliver-to-both", 2, false, false, one_message, deliver_to_both},
	{"deliver-full", 1, true, false, one_message, deliver_full},
	{"import", 1, false, false, one_message, import},
	{"abort", 1, false, false, one_message, abort_and_deliver},
	{"abort-first", 1, false, false, nothing, abort_and_deliver},
	{"open", 1, false, false, four_messages, look},
	{"open-nothing", 1, false, false, nothing, look},
	{"open-index-missing", 1, false, true, index_missing, look_and_deliver},
	{"open-index-torn", 1, false, true, index_torn, look_and_deliver},
	{"open-index-stale", 1, false, false, index_stale, look_and_deliver},
	{"recover-torn-tail", 1, false, true, tail_torn, recover},
	{"recover-damaged-tail", 1, false, true, tail_damaged, recover},
	{"recover-index-stale", 1, true, false, index_stale, recover},
	{"update-all", 1, true, false, four_messages, update_all},
	{"update-suffix", 1, true, false, four_messages, update_suffix},
	{"update-scattered", 1, true, false, four_messages, update_scattered},
	{"update-front", 1, false, false, long_messages, update_front},
	{"update-full", 1, true, false, long_messages, update_full},
	{"update-full-same-size", 1, true, false, before_same_size, update_full_same_size},
	{"update-quota", 1, true, false, long_messages, update_full_over_quota},
	{"update-all-new", 1, true, false, four_messages, update_all_with_new},
	{"update-suffix-new", 1, true, false, four_messages, update_suffix_with_new},
	{"update-scattered-new", 1, true, false, four_messages, update_scattered_with_new},
	{"update-full-new", 1, true, false, long_messages, update_full_with_new},
	{"update-full-abort", 1, true, false, long_messages, abort_and_update_full},
	{"update-abort", 1, true, false, four_messages, abort_and_update},
	{"import-first", 1, false, false, nothing, import_only},
	{"import-index-missing", 1, false, false, index_missing, import_only},
	{"import-full", 1, false, false, one_message, import_full},
	{"abort-index-missing", 1, false, false, index_missing, abort_only},
	{"start", 1, true, false, no_reserve, look},
	{"start-full", 1, true, false, no_room_for_reserve, look},
	{"open-damaged-full", 1, false, true, tail_damaged_on_full_disk, look},
	{"open-aside", 1, false, true, aside_left, look},
	{"deliver-aside", 1, false, true, aside_left, deliver_three},
	{"recover-damaged-full", 1, false, true, tail_damaged_on_full_disk, recover},
	{"open-journal", 1, true, true, scenario_journal_left, look_and_deliver},
	{"deliver-journal", 1, true, true, scenario_journal_left, deliver_three},
	{"churn", 1, true, false, four_messages, churn},
};
const size_t scenarios_count = sizeof(scenarios) / sizeof(scenarios[0]);
