/*
 * scenarios_before: the maildrops that scenarios begin with: long, damaged, half changed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scenarios_before.h"

void before_nothing(struct world *world)
{
	(void)world;
}

void before_one_message(struct world *world)
{
	world_deliver(world, 0, 0, NULL);
}

void before_four_messages(struct world *world)
{
	for (size_t i = 0; i < 4; i++)
		world_deliver(world, 0, i, NULL);
}

/* Enough to keep that the journal needs several pieces, and the copy several reads. */
void before_long_messages(struct world *world)
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

void before_index_missing(struct world *world)
{
	before_four_messages(world);
	if (file_unlink(sim_disk_top(world->disk), "index/7") != 0)
		abort();
}

void before_index_torn(struct world *world)
{
	before_four_messages(world);
	change_octets(world, "index/7", 200, BYTES("torn octets of something else"));
}

/* The index is the one of two messages before. */
void before_index_stale(struct world *world)
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

void before_tail_torn(struct world *world)
{
	before_four_messages(world);
	change_octets(world, "mail/example.org/alice", 0,
		      BYTES("From a@b.c Sun Nov 22 02:01:00 2026 postern=1 length=812 quo"));
}

/* A whole record behind the end whose content is not what its line says: kept aside. */
void before_tail_damaged(struct world *world)
{
	before_four_messages(world);
	change_octets(world, "mail/example.org/alice", 4, BYTES("XX"));
	world->model.drops[0].entries[3].now = ABSENT;
	world->model.drops[0].entries[3].after_cut = ABSENT;
	if (file_unlink(sim_disk_top(world->disk), "index/7") != 0)
		abort();
}

void before_fill_disk(struct world *world, int64_t room)
{
	world->full = true;
	sim_disk_set_capacity(world->disk, (uint64_t)((int64_t)sim_disk_used(world->disk) + room),
			      ENOSPC);
}

/* A whole record with a wrong content, and hardly room to set it aside. */
void before_tail_damaged_on_full_disk(struct world *world)
{
	before_tail_damaged(world);
	before_fill_disk(world, 10);
}

static bool remove_reserve(void *context, const char *name)
{
	struct world *world = context;

	if (strncmp(name, "reserve.", 8) == 0 && file_unlink(world->root.journal, name) != 0)
		abort();
	return true;
}

void before_no_reserve(struct world *world)
{
	before_four_messages(world);
	if (file_list(world->root.journal, remove_reserve, world) != 0)
		abort();
}

/* The one that is still open goes with the process, and makes some room. */
void before_no_room_for_reserve(struct world *world)
{
	before_no_reserve(world);
	before_fill_disk(world, -1000);
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
void before_aside_left(struct world *world)
{
	struct power power = {.call = SIM_SET_SIZE, .role = "mbox"};

	before_tail_damaged(world);
	sim_disk_set_hook(world->disk, cut_power, &power);
	world_look(world, 0);
	power_went(world);
}

/* A removal in place that was cut in its midst. What it was to remove may be there or not. */
void scenario_journal_left(struct world *world)
{
	struct power power = {.call = SIM_WRITE, .role = "journal", .more = 2};
	struct session session;

	before_long_messages(world);
	world_open(world, 0, &session);
	sim_disk_set_capacity(world->disk, sim_disk_used(world->disk), ENOSPC);
	sim_disk_set_hook(world->disk, cut_power, &power);
	world_update(world, 0, &session, 0x09);
	power_went(world);
	sim_disk_set_capacity(world->disk, 0, ENOSPC);
}

/* What is removed is as long as what comes after the crash. */
void before_same_size(struct world *world)
{
	world_deliver(world, 0, 0, NULL);
	world_deliver(world, 0, 10, NULL);
	world_deliver(world, 0, 9, NULL);
}
