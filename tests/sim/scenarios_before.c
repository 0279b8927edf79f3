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

void before_change_octets(struct world *world, const char *path, uint64_t from_end,
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
	before_change_octets(world, "index/7", 200, BYTES("torn octets of something else"));
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
	before_change_octets(world, "index/7", (uint64_t)size,
			     (struct bytes){octets, (size_t)size});
}

void before_fill_disk(struct world *world, int64_t room)
{
	world->full = true;
	sim_disk_set_capacity(world->disk, (uint64_t)((int64_t)sim_disk_used(world->disk) + room),
			      ENOSPC);
}

/* What is removed is as long as what comes after the crash. */
void before_same_size(struct world *world)
{
	world_deliver(world, 0, 0, NULL);
	world_deliver(world, 0, 10, NULL);
	world_deliver(world, 0, 9, NULL);
}

static int cut_power(void *context, struct sim_disk *disk, const struct sim_operation *operation)
{
	struct before_power *power = context;
	const char *role = power->kind->role(operation->path, false, false);

	(void)disk;
	if (operation->call != power->call || strcmp(role, power->role) != 0)
		return SIM_PASS;
	return power->more-- == 0 ? SIM_POWER_OFF : SIM_PASS;
}

void before_power_fails(struct world *world, struct before_power *power)
{
	power->kind = world->kind;
	sim_disk_set_hook(world->disk, cut_power, power);
}

void before_power_went(struct world *world)
{
	if (world->problem[0] == '\0')
		abort(); /* it did not */
	world->problem[0] = '\0';
	sim_disk_set_hook(world->disk, NULL, NULL);
}
