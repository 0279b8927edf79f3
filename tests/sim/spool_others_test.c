/*
 * What other programs do to a spool while ours look at it, without cuts: mail readers that mark and
 * alter messages, a program that holds the dotlock. What is wrong is the world's problem.
 */
#include "base/test.h"

#include "kind_spool.h"
#include "scenarios_before.h"

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
};

TEST_MAIN(tests)
