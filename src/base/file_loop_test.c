/*
 * Tests of what file.c does above any disk: a small disk in memory answers as short and as
 * interrupted as a script of the test says, and the caller must not notice.
 */
#include "base/file.h"

#include "base/test.h"

#define CONTENT_MAX 64

/* What the disk does at its next calls: a count (at most so many octets) or a negative errno. */
struct script {
	int steps[12];
	size_t next;
};

static struct script script;
static char content[CONTENT_MAX];
static size_t content_length;
static unsigned calls;

static int next_step(void)
{
	int step = script.steps[script.next];

	calls++;
	if (script.next + 1 < sizeof(script.steps) / sizeof(script.steps[0]))
		script.next++;
	return step;
}

static ssize_t fake_read(struct file *file, void *out, size_t size, uint64_t offset, bool no_wait)
{
	int step = next_step();
	size_t left = offset < content_length ? content_length - offset : 0;

	(void)file;
	(void)no_wait;
	if (step < 0)
		return step;
	size = size < (size_t)step ? size : (size_t)step;
	size = size < left ? size : left;
	memcpy(out, content + offset, size);
	return (ssize_t)size;
}

static ssize_t fake_write(struct file *file, const struct bytes *pieces, size_t count,
			  uint64_t offset)
{
	int step = next_step();
	size_t done = 0;

	(void)file;
	for (size_t i = 0; step > 0 && i < count; i++) {
		for (size_t j = 0; j < pieces[i].length && done < (size_t)step; j++)
			content[offset + done++] = pieces[i].data[j];
	}
	if (step < 0)
		return step;
	if (done > 0 && offset + done > content_length)
		content_length = offset + done;
	return (ssize_t)done;
}

static int fake_open(struct file *directory, const char *name, unsigned flags,
		     struct file **file_out)
{
	int step = next_step();

	(void)name;
	(void)flags;
	if (step == 0)
		*file_out = directory;
	return step;
}

static int fake_sized(struct file *file, uint64_t size)
{
	(void)file;
	(void)size;
	return next_step();
}

static int fake_sync(struct file *file)
{
	(void)file;
	return next_step();
}

static int fake_status(struct file *file, struct file_status *status_out)
{
	(void)file;
	*status_out = (struct file_status){0};
	return next_step();
}

static int fake_two_names(struct file *from_directory, const char *from, struct file *to_directory,
			  const char *to)
{
	(void)from_directory;
	(void)from;
	(void)to_directory;
	(void)to;
	return next_step();
}

static int fake_name(struct file *directory, const char *name)
{
	(void)directory;
	(void)name;
	return next_step();
}

static int fake_list(struct file *directory, file_name_callback *callback, void *context)
{
	(void)directory;
	(void)callback;
	(void)context;
	return next_step();
}

static const struct disk_operations operations = {
	.open = fake_open,
	.status = fake_status,
	.read = fake_read,
	.write = fake_write,
	.set_size = fake_sized,
	.sync = fake_sync,
	.rename = fake_two_names,
	.link = fake_two_names,
	.unlink = fake_name,
	.make_directory = fake_name,
	.lock = fake_sync,
	.list = fake_list,
};

static struct disk fake_disk = {&operations}, other_disk = {&operations};
static struct file fake = {&fake_disk}, other = {&other_disk};

static void use_script(const int *steps, const char *stored)
{
	script = (struct script){.next = 0};
	memcpy(script.steps, steps, sizeof(script.steps));
	memset(content, '-', sizeof(content));
	content_length = strlen(stored);
	memcpy(content, stored, content_length);
	calls = 0;
}

static const struct write_row {
	const char *name;
	int steps[12];
	int result;
	unsigned calls;
	struct bytes content;
} write_rows[] = {
	{"at once", {99}, 0, 1, BYTES("ab--onetwothree")},
	{"octet by octet", {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 0, 11, BYTES("ab--onetwothree")},
	{"at the seams", {3, 3, 5}, 0, 3, BYTES("ab--onetwothree")},
	{"across the seams", {4, 4, 3}, 0, 3, BYTES("ab--onetwothree")},
	{"interrupted", {-EINTR, 2, -EINTR, -EINTR, 99}, 0, 5, BYTES("ab--onetwothree")},
	{"full after a while", {4, -ENOSPC}, -ENOSPC, 2, BYTES("ab--onet")},
	{"no progress at once", {0}, -EIO, 1, BYTES("ab")},
	{"no progress after a while", {4, 0}, -EIO, 2, BYTES("ab--onet")},
};

static void test_writes(void **state)
{
	const struct bytes pieces[] = {BYTES("one"), {NULL, 0}, BYTES("two"), BYTES("three")};

	(void)state;
	for (size_t i = 0; i < sizeof(write_rows) / sizeof(write_rows[0]); i++) {
		const struct write_row *row = &write_rows[i];

		test_row(row->name);
		use_script(row->steps, "ab");
		test_check(file_write(&fake, pieces, 4, 4) == row->result);
		test_check(calls == row->calls);
		test_equal_bytes(((struct bytes){content, content_length}), row->content);
	}
	use_script(write_rows[0].steps, "");
	test_row("nothing to write");
	test_check(file_write(&fake, pieces + 1, 1, 0) == 0 && calls == 0);
}

static const struct read_row {
	const char *name;
	int steps[12];
	bool no_wait;
	ssize_t result;
	unsigned calls;
} read_rows[] = {
	{"at once", {99}, false, 8, 1},
	{"short", {1, 3, 99}, false, 8, 3},
	{"interrupted", {-EINTR, 3, -EINTR, 99}, false, 8, 4},
	{"end of file", {5, 0}, false, 5, 2},
	{"damaged after a while", {5, -EIO}, false, -EIO, 2},
	{"no wait, all", {99}, true, 8, 1},
	{"no wait, short", {5, -EAGAIN}, true, 5, 1},
	{"no wait, nothing", {-EAGAIN}, true, -EAGAIN, 1},
	{"no wait, interrupted", {-EINTR, 4}, true, 4, 2},
};

static void test_reads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(read_rows) / sizeof(read_rows[0]); i++) {
		const struct read_row *row = &read_rows[i];
		uint64_t before = file_octets_read();
		char room[8] = "";

		test_row(row->name);
		use_script(row->steps, "0123456789");
		test_check(file_read(&fake, room, sizeof(room), 1, row->no_wait) == row->result);
		test_check(calls == row->calls);
		if (row->result > 0) {
			test_check(memcmp(room, "12345678", (size_t)row->result) == 0);
			test_check(file_octets_read() - before == (uint64_t)row->result);
		}
	}
}

/* Calls each operation once; `number` chooses. */
static int call_operation(unsigned number)
{
	struct file_status status;
	struct file *file;

	switch (number) {
	case 0:
		return file_open(&fake, "name", FILE_READ, &file);
	case 1:
		return file_status(&fake, &status);
	case 2:
		return file_set_size(&fake, 1);
	case 3:
		return file_sync(&fake);
	case 4:
		return file_rename(&fake, "a", &fake, "b");
	case 5:
		return file_link(&fake, "a", &fake, "b");
	case 6:
		return file_unlink(&fake, "a");
	case 7:
		return file_make_directory(&fake, "a");
	case 8:
		return file_lock(&fake);
	default:
		return file_list(&fake, NULL, NULL);
	}
}

static void test_interruptions(void **state)
{
	static const int succeeds[12] = {-EINTR, -EINTR, 0};
	static const int fails[12] = {-EINTR, -EIO, 0};
	static const char *const names[] = {"open", "status", "set_size",  "sync", "rename",
					    "link", "unlink", "directory", "lock", "list"};

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		test_row(names[i]);
		use_script(succeeds, "");
		test_check(call_operation(i) == 0 && calls == 3);
		use_script(fails, "");
		test_check(call_operation(i) == -EIO && calls == 2);
	}
}

static void test_two_disks(void **state)
{
	static const int steps[12] = {0};

	(void)state;
	use_script(steps, "");
	test_check(file_rename(&fake, "a", &other, "b") == -EXDEV);
	test_check(file_link(&fake, "a", &other, "b") == -EXDEV);
	test_check(calls == 0);
}

/* An offset is 63 bits wide; what does not fit reaches no disk. */
static void test_ranges(void **state)
{
	static const struct {
		const char *name;
		uint64_t offset;
		bool accepted;
	} rows[] = {
		{"one below", INT64_MAX - 9, true},    {"at the limit", INT64_MAX - 8, true},
		{"one above", INT64_MAX - 7, false},   {"largest", UINT64_MAX, false},
		{"would wrap", UINT64_MAX - 3, false},
	};
	static const int steps[12] = {-ENOSPC};
	const struct bytes text = BYTES("01234567");
	char room[8];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int expected = rows[i].accepted ? -ENOSPC : -EINVAL;

		test_row(rows[i].name);
		use_script(steps, "");
		test_check(file_read(&fake, room, 8, rows[i].offset, false) == expected);
		use_script(steps, "");
		test_check(file_write(&fake, &text, 1, rows[i].offset) == expected);
		test_check(calls == rows[i].accepted);
	}
	use_script(steps, "");
	test_check(file_set_size(&fake, 1ULL << 63) == -EINVAL);
	test_check(calls == 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_writes),        cmocka_unit_test(test_reads),
	cmocka_unit_test(test_interruptions), cmocka_unit_test(test_two_disks),
	cmocka_unit_test(test_ranges),
};

TEST_MAIN(tests)
