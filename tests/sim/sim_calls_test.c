/*
 * The simulated disk while it runs: locks, room, injected failures, copies, and that it answers the
 * same to the same seed.
 */
#include "base/test.h"

#include <errno.h>

#include "sim_disk.h"

static struct file *open_in(struct sim_disk *disk, const char *name, unsigned flags)
{
	struct file *file = NULL;

	assert_int_equal(file_open(sim_disk_top(disk), name, flags, &file), 0);
	return file;
}

static int append(struct file *file, const char *text, uint64_t offset)
{
	struct bytes piece = bytes_of(text);

	return file_write(file, &piece, 1, offset);
}

static uint64_t size_of(struct file *file)
{
	struct file_status status;

	assert_int_equal(file_status(file, &status), 0);
	return status.size_octets;
}

static void test_opening(void **state)
{
	static const struct {
		const char *name;
		unsigned flags;
		int result;
	} rows[] = {
		{"missing", FILE_READ, -ENOENT},
		{"missing/a", FILE_WRITE | FILE_CREATE, -ENOENT},
		{"file", FILE_READ, 0},
		{"file", FILE_WRITE | FILE_CREATE, 0},
		{"file", FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, -EEXIST},
		{"file", FILE_DIRECTORY, -EINVAL},
		{"file/a", FILE_READ, -ENOTDIR},
		{"directory", FILE_READ, -EINVAL},
		{"directory", FILE_DIRECTORY, 0},
		{"directory", FILE_DIRECTORY | FILE_CREATE, 0},
		{"directory", FILE_UNNAMED | FILE_WRITE, 0},
		{".", FILE_UNNAMED | FILE_WRITE, 0},
		{"file", FILE_UNNAMED | FILE_WRITE, -EINVAL},
		{"..", FILE_DIRECTORY, -EINVAL},
		{"directory/../file", FILE_READ, -EINVAL},
		{"/file", FILE_READ, -EINVAL},
	};
	struct sim_disk *disk = sim_disk_new(1);

	(void)state;
	file_close(open_in(disk, "file", FILE_WRITE | FILE_CREATE));
	assert_int_equal(file_make_directory(sim_disk_top(disk), "directory"), 0);
	assert_int_equal(file_make_directory(sim_disk_top(disk), "directory"), -EEXIST);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct file *file = NULL;

		test_row(rows[i].name);
		test_check(file_open(sim_disk_top(disk), rows[i].name, rows[i].flags, &file) ==
			   rows[i].result);
		file_close(file);
	}
	sim_disk_free(disk);
}

static void test_locks_go_with_the_handle(void **state)
{
	struct sim_disk *disk = sim_disk_new(1);
	struct file *one = open_in(disk, "lock", FILE_WRITE | FILE_CREATE);
	struct file *two = open_in(disk, "lock", FILE_WRITE);

	(void)state;
	assert_int_equal(file_lock(one), 0);
	assert_int_equal(file_lock(one), 0);
	assert_int_equal(file_lock(two), -EAGAIN);
	file_unlock(two); /* not its own: nothing happens */
	assert_int_equal(file_lock(two), -EAGAIN);
	struct sim_disk *copy = sim_disk_copy(disk);
	struct file *other = open_in(copy, "lock", FILE_WRITE);

	assert_int_equal(file_lock(other), 0);
	file_close(other);
	sim_disk_free(copy);
	file_close(one);
	assert_int_equal(file_lock(two), 0);
	file_close(two);
	sim_disk_free(disk);
}

static void test_room(void **state)
{
	struct sim_disk *disk = sim_disk_new(1);
	struct file *reserve = open_in(disk, "reserve", FILE_WRITE | FILE_CREATE);
	struct file *file = open_in(disk, "file", FILE_WRITE | FILE_CREATE);

	(void)state;
	sim_disk_set_capacity(disk, 10, EDQUOT);
	assert_int_equal(append(reserve, "0000", 0), 0);
	assert_int_equal(append(file, "123456", 0), 0);
	assert_int_equal(append(file, "7", 6), -EDQUOT);
	assert_int_equal(append(file, "123456", 0), 0); /* in place */
	assert_int_equal(append(reserve, "abcd", 0), 0);
	assert_int_equal(append(reserve, "abcde", 0), -EDQUOT);
	sim_disk_set_capacity(disk, 12, ENOSPC);
	assert_int_equal(append(file, "7890", 6), -ENOSPC); /* two of them are there */
	assert_int_equal(size_of(file), 8);
	assert_int_equal(file_unlink(sim_disk_top(disk), "reserve"), 0);
	assert_int_equal(append(file, "9", 8), -ENOSPC); /* still open */
	file_close(reserve);
	assert_int_equal(append(file, "9", 8), 0);
	assert_int_equal(file_set_size(file, 2), 0);
	assert_int_equal(sim_disk_used(disk), 2);
	file_close(file);
	sim_disk_free(disk);
}

struct injection {
	enum sim_call call;
	int verdict;
	int times;
};

static int inject(void *context, struct sim_disk *disk, const struct sim_operation *operation)
{
	struct injection *injection = context;

	(void)disk;
	if (operation->call != injection->call || injection->times == 0)
		return SIM_PASS;
	injection->times--;
	return injection->verdict;
}

static void test_injected_failures(void **state)
{
	static const struct {
		const char *name;
		struct injection injection;
		int result;
		uint64_t size; /* of the file behind it */
	} rows[] = {
		{"nothing", {SIM_WRITE, SIM_PASS, 1}, 0, 8},
		{"short write", {SIM_WRITE, SIM_SHORT, 1}, 0, 8},
		{"interrupted write", {SIM_WRITE, -EINTR, 1}, 0, 8},
		{"failed write leaves half", {SIM_WRITE, -EIO, 1}, -EIO, 4},
		{"no room", {SIM_WRITE, -ENOSPC, 1}, -ENOSPC, 4},
		{"power off", {SIM_WRITE, SIM_POWER_OFF, 1}, -EIO, 0},
		{"another call", {SIM_READ, -EIO, 1}, 0, 8},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct injection injection = rows[i].injection;
		struct sim_disk *disk = sim_disk_new(1);
		struct file *file = open_in(disk, "file", FILE_WRITE | FILE_CREATE);

		test_row(rows[i].name);
		sim_disk_set_hook(disk, inject, &injection);
		test_check(append(file, "12345678", 0) == rows[i].result);
		sim_disk_set_hook(disk, NULL, NULL);
		if (injection.verdict == SIM_POWER_OFF)
			test_check(file_sync(file) == -EIO);
		else
			test_check(size_of(file) == rows[i].size);
		file_close(file);
		sim_disk_free(disk);
	}
}

static void test_copy_is_the_next_process(void **state)
{
	struct sim_disk *disk = sim_disk_new(1);
	struct file *file = open_in(disk, "file", FILE_WRITE | FILE_CREATE);
	struct file *unnamed = open_in(disk, ".", FILE_WRITE | FILE_UNNAMED);
	uint8_t boot[16], boot_of_copy[16], boot_of_cut[16];

	(void)state;
	assert_int_equal(append(file, "12345678", 0), 0);
	assert_int_equal(append(unnamed, "12345678", 0), 0);
	struct sim_disk *copy = sim_disk_copy(disk);
	struct sim_disk *cut = sim_disk_cut(copy, (struct sim_loss){SIM_LOSS_ALL, 0});

	assert_int_equal(sim_disk_pending(disk), 3);
	assert_int_equal(sim_disk_pending(copy), 2); /* the name and the write of the named one */
	assert_int_equal(sim_disk_used(copy), 8);
	assert_int_equal(sim_disk_used(cut), 0);
	disk_boot(sim_disk_base(disk), boot);
	disk_boot(sim_disk_base(copy), boot_of_copy);
	disk_boot(sim_disk_base(cut), boot_of_cut);
	assert_memory_equal(boot, boot_of_copy, 16);
	assert_memory_not_equal(boot, boot_of_cut, 16);
	file_close(file);
	file_close(unnamed);
	sim_disk_free(cut);
	sim_disk_free(copy);
	sim_disk_free(disk);
}

static uint64_t digest_of_cut(uint64_t seed, uint64_t number)
{
	struct sim_disk *disk = sim_disk_new(seed);
	struct file *file = open_in(disk, "file", FILE_WRITE | FILE_CREATE);

	for (uint64_t at = 0; at < 16; at++)
		assert_int_equal(append(file, "12345678", 8 * at), 0);
	struct sim_disk *cut = sim_disk_cut(disk, (struct sim_loss){SIM_LOSS_SAMPLE, number});
	uint64_t digest = sim_disk_digest(cut);

	file_close(file);
	sim_disk_free(cut);
	sim_disk_free(disk);
	return digest;
}

static void test_same_seed_same_disk(void **state)
{
	size_t different = 0;

	(void)state;
	for (uint64_t n = 0; n < 20; n++) {
		assert_true(digest_of_cut(5, n) == digest_of_cut(5, n));
		different += digest_of_cut(5, n) != digest_of_cut(6, n);
	}
	assert_true(different > 5);
}

/* A removed file's number goes to the next one, once nothing can bring the removed one back. */
static void test_inode_numbers_return(void **state)
{
	struct sim_disk *disk = sim_disk_new(1);
	struct file_status first, second, third;
	struct file *file = open_in(disk, "a", FILE_WRITE | FILE_CREATE);

	(void)state;
	assert_int_equal(file_status(file, &first), 0);
	file_close(file);
	assert_int_equal(file_unlink(sim_disk_top(disk), "a"), 0);
	file = open_in(disk, "b", FILE_WRITE | FILE_CREATE);
	assert_int_equal(file_status(file, &second), 0);
	file_close(file);
	sim_disk_settle(disk);
	file = open_in(disk, "c", FILE_WRITE | FILE_CREATE);
	assert_int_equal(file_status(file, &third), 0);
	file_close(file);
	assert_true(first.inode != second.inode);
	assert_true(first.inode == third.inode);
	sim_disk_free(disk);
}

static uint64_t time_of(struct file *file)
{
	struct file_status status;

	assert_int_equal(file_status(file, &status), 0);
	assert_true(status.modified_ns == status.changed_ns);
	return status.modified_ns;
}

/* Two changes within a grain of the clock have one time; a power cut takes a change's time with it.
 */
static void test_times(void **state)
{
	struct sim_disk *disk = sim_disk_new(1);
	struct file *file = open_in(disk, "file", FILE_WRITE | FILE_CREATE);
	uint64_t begin = disk_now_ns(sim_disk_base(disk));

	(void)state;
	assert_true(time_of(file) == begin);
	assert_int_equal(append(file, "1", 0), 0);
	assert_int_equal(append(file, "2", 0), 0);
	assert_true(time_of(file) == begin);
	sim_disk_settle(disk);
	sim_disk_advance(disk, 5);
	assert_true(disk_now_ns(sim_disk_base(disk)) == begin + 5);
	assert_true(time_of(file) == begin);
	assert_int_equal(append(file, "3", 0), 0);
	assert_true(time_of(file) == begin + 5);
	file_close(file);
	for (enum sim_loss_kind kind = SIM_LOSS_NONE; kind <= SIM_LOSS_ALL; kind++) {
		struct sim_disk *cut = sim_disk_cut(disk, (struct sim_loss){kind, 0});

		file = open_in(cut, "file", FILE_READ);
		assert_true(time_of(file) == (kind == SIM_LOSS_NONE ? begin + 5 : begin));
		file_close(file);
		sim_disk_free(cut);
	}
	sim_disk_free(disk);
}

const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_opening),
	cmocka_unit_test(test_locks_go_with_the_handle),
	cmocka_unit_test(test_room),
	cmocka_unit_test(test_injected_failures),
	cmocka_unit_test(test_copy_is_the_next_process),
	cmocka_unit_test(test_same_seed_same_disk),
	cmocka_unit_test(test_inode_numbers_return),
	cmocka_unit_test(test_times),
};

TEST_MAIN(tests)
