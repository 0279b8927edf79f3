/*
 * What other programs do to a spool while ours look at it, without cuts: mail readers that mark and
 * alter messages, a program that holds the dotlock. What is wrong is the world's problem.
 */
#include "base/test.h"

#include <errno.h>
#include <string.h>

#include "kind_spool.h"
#include "scenarios_before.h"
#include "spool_others.h"

static const struct row {
	const char *name;
	void (*body)(struct world *world);
} rows[] = {
	{"marked amid a session", spool_flagged_amid_a_session},
	{"altered amid a session, within the clock's grain", spool_altered_amid_a_session},
	{"marked before a session", spool_see_flagged},
	{"altered before a session, within the clock's grain", spool_see_altered},
	{"the dotlock is held", spool_dotlock_held},
	{"replaced between opening and locking", spool_replaced_while_locked},
};

/* An append fails, and the process dies amid taking it back: the room is cut off, not synced. The
 * next one finds nothing to mend, and the power goes right after it has removed the journal. */
struct dying {
	bool room, failed, removed;
};

static bool is_journal(const char *path)
{
	size_t length = strlen(path);

	return length > 7 && strcmp(path + length - 7, ".append") == 0;
}

static int die_taking_back(void *context, struct sim_disk *disk,
			   const struct sim_operation *operation)
{
	struct dying *dying = context;
	bool spool = strcmp(operation->path, SPOOL) == 0;

	(void)disk;
	if (spool && operation->call == SIM_SYNC && dying->failed)
		return SIM_POWER_OFF;
	if (is_journal(operation->path) && operation->call == SIM_READ && dying->room &&
	    !dying->failed) {
		dying->failed = true;
		return -EIO;
	}
	dying->room = dying->room || (spool && operation->call == SIM_SET_SIZE);
	return SIM_PASS;
}

static int power_goes_behind_journal(void *context, struct sim_disk *disk,
				     const struct sim_operation *operation)
{
	struct dying *dying = context;

	(void)disk;
	if (dying->removed)
		return SIM_POWER_OFF;
	dying->removed = is_journal(operation->path) && operation->call == SIM_UNLINK;
	return SIM_PASS;
}

static void look_at_all_that_may_be_left(struct sim_disk *disk, const struct model *model)
{
	for (uint64_t n = 0; n < sim_disk_subsets(disk); n++) {
		struct sim_disk *cut = sim_disk_cut(disk, (struct sim_loss){SIM_LOSS_SUBSET, n});
		struct world world = {.kind = &world_spool, .model = *model};

		world_start(&world, cut);
		world_look(&world, 0);
		world_verify(&world, 0);
		world_stop(&world);
		assert_string_equal(world.problem, "");
		sim_disk_free(cut);
	}
}

static void test_cut_back_but_not_synced(void **state)
{
	struct sim_disk *disk = sim_disk_new(1);
	struct world world = {.kind = &world_spool, .model = {.drops_count = 1}};
	struct dying dying = {.room = false};

	(void)state;
	model_make_messages();
	world_start(&world, disk);
	before_four_messages(&world);
	sim_disk_settle(disk);
	struct model model = world.model;

	sim_disk_set_hook(disk, die_taking_back, &dying);
	world_deliver(&world, 0, 6, NULL);
	world_stop(&world);
	assert_true(dying.failed);
	struct sim_disk *killed = sim_disk_copy(disk);

	world = (struct world){.kind = &world_spool, .model = model};
	world_start(&world, killed);
	sim_disk_set_hook(killed, power_goes_behind_journal, &dying);
	world_look(&world, 0);
	world_stop(&world);
	assert_true(dying.removed);
	assert_true(sim_disk_subsets(killed) > 1);
	look_at_all_that_may_be_left(killed, &model);
	sim_disk_free(killed);
	sim_disk_free(disk);
	model_free_messages();
}

static void test_others(void **state)
{
	(void)state;
	model_make_messages();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sim_disk *disk = sim_disk_new(1);
		struct world world = {.kind = &world_spool, .model = {.drops_count = 1}};

		test_row(rows[i].name);
		world_start(&world, disk);
		before_four_messages(&world);
		rows[i].body(&world);
		world_stop(&world);
		assert_string_equal(world.problem, "");
		sim_disk_free(disk);
	}
	model_free_messages();
}

const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_others),
	cmocka_unit_test(test_cut_back_but_not_synced),
};

TEST_MAIN(tests)
