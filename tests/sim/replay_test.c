/*
 * A journal is for one file in one state. When another program has been at the file, or another
 * file has its name, nothing is replayed: the journal is set aside, verify names it, and not an
 * octet of the file changes.
 */
#include "base/test.h"

#include "kind_mbox.h"

#define MBOX "mail/example.org/alice"

static struct file *open_top(struct sim_disk *disk, const char *path)
{
	struct file *file = NULL;

	assert_int_equal(file_open(sim_disk_top(disk), path, FILE_WRITE, &file), 0);
	return file;
}

/* At `place` quarters of the file; 4: behind its end. */
static void alter(struct sim_disk *disk, unsigned place)
{
	struct file *file = open_top(disk, MBOX);
	struct file_status status;
	struct bytes octet = BYTES("~");

	assert_int_equal(file_status(file, &status), 0);
	assert_int_equal(file_write(file, &octet, 1, status.size_octets * place / 4), 0);
	file_close(file);
}

/* The same octets in another file. */
static void copy_over(struct sim_disk *disk)
{
	static char octets[65536];
	struct file *file = open_top(disk, MBOX), *other = NULL, *top = sim_disk_top(disk);
	ssize_t size = file_read(file, octets, sizeof(octets), 0, false);
	struct bytes piece = {octets, (size_t)size};

	file_close(file);
	assert_int_equal(file_open(top, "other", FILE_WRITE | FILE_CREATE, &other), 0);
	assert_int_equal(file_write(other, &piece, 1, 0), 0);
	file_close(other);
	assert_int_equal(file_rename(top, "other", top, MBOX), 0);
}

static void leave_alone(struct sim_disk *disk)
{
	(void)disk;
}

static void alter_front(struct sim_disk *disk)
{
	alter(disk, 0);
}

static void alter_rest(struct sim_disk *disk)
{
	alter(disk, 3);
}

static void append(struct sim_disk *disk)
{
	alter(disk, 4);
}

static const struct row {
	const char *name;
	void (*change)(struct sim_disk *disk);
	bool replayed;
} rows[] = {
	{"nobody was at it", leave_alone, true},
	{"an octet before the piece", alter_front, false},
	{"an octet behind it", alter_rest, false},
	{"an octet more", append, false},
	{"another file with the same octets", copy_over, false},
};

static bool has_journal(struct sim_disk *disk, const char *name)
{
	struct file *file = NULL;
	bool there = file_open(sim_disk_top(disk), name, FILE_READ, &file) == 0;

	file_close(file);
	return there;
}

/* The first call of the store that looks at the file after the journal's own is the one that takes
 * in the rest; so what the replay did is seen from the first write to the file on. */
struct watch {
	bool written;
};

static int watch_writes(void *context, struct sim_disk *disk, const struct sim_operation *operation)
{
	struct watch *watch = context;

	(void)disk;
	if (operation->call == SIM_WRITE && strcmp(operation->path, MBOX) == 0)
		watch->written = true;
	return SIM_PASS;
}

static void run(const struct row *row)
{
	struct sim_disk *disk = sim_disk_new(1);
	struct world world = {.kind = &world_mbox, .reserve = true, .model = {.drops_count = 1}};
	struct watch watch = {false};
	struct maildrop *maildrop = NULL;
	struct place place = world_place(&world, 0);
	struct error error = {0};

	world_start(&world, disk);
	scenario_journal_left(&world);
	world_stop(&world);
	struct sim_disk *after = sim_disk_cut(disk, (struct sim_loss){SIM_LOSS_NONE, 0});

	row->change(after);
	world_start(&world, after);
	sim_disk_set_hook(after, watch_writes, &watch);
	enum store_result result =
		maildrop_open(&world.root, &place, STORE_SESSION, &maildrop, &error);

	test_check(result == STORE_OK);
	maildrop_close(maildrop);
	world_stop(&world);
	test_check(watch.written == row->replayed);
	test_check(!has_journal(after, "journal/7.redo"));
	test_check(has_journal(after, "journal/aside.7.redo") == !row->replayed);
	sim_disk_free(after);
	sim_disk_free(disk);
}

static void test_only_its_own_file(void **state)
{
	(void)state;
	model_make_messages();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		test_row(rows[i].name);
		run(&rows[i]);
	}
	model_free_messages();
}

const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_only_its_own_file),
};

TEST_MAIN(tests)
