/*
 * The explorer finds planted bugs: two toy stores of a few lines, right ones and ones that leave
 * out a step. A right one must pass every state; each wrong one must be caught.
 */
#include "base/test.h"

#include <errno.h>

#include "explorer.h"

enum bug {
	BUG_NONE,
	BUG_NO_FILE_SYNC,
	BUG_NO_DIRECTORY_SYNC,
	BUG_EARLY_ANSWER,  /* before the sync */
	BUG_NO_CHECKSUM,   /* a torn tail is taken for whole */
	BUG_RESULT_IGNORED /* of the sync */
};

#define RECORD_OCTETS 600 /* crosses a sector */
#define RECORDS       3

/* A toy: append records of one letter each to "log", or replace "file" by "file.new". */
struct toy {
	bool renames;
	enum bug bug;
	struct sim_disk *disk;
	unsigned acknowledged; /* records, or the version of the file */
	unsigned begun;
};

static void fill(char record[RECORD_OCTETS], unsigned number)
{
	memset(record, (int)('a' + number), RECORD_OCTETS);
}

static int write_record(struct file *file, unsigned number, uint64_t offset)
{
	char record[RECORD_OCTETS];
	struct bytes piece = {record, sizeof(record)};

	fill(record, number);
	return file_write(file, &piece, 1, offset);
}

static int toy_sync(const struct toy *toy, struct file *file, bool directory)
{
	if (toy->bug == (directory ? BUG_NO_DIRECTORY_SYNC : BUG_NO_FILE_SYNC))
		return 0;
	int result = file_sync(file);

	return toy->bug == BUG_RESULT_IGNORED ? 0 : result;
}

static int toy_append(struct toy *toy, unsigned number)
{
	struct file *file, *top = sim_disk_top(toy->disk);
	int result = file_open(top, "log", FILE_WRITE | FILE_CREATE, &file);

	if (result < 0)
		return result;
	result = write_record(file, number, (uint64_t)number * RECORD_OCTETS);
	if (result == 0 && toy->bug == BUG_EARLY_ANSWER)
		toy->acknowledged = number + 1;
	if (result == 0)
		result = toy_sync(toy, file, false);
	if (result == 0)
		result = toy_sync(toy, top, true);
	file_close(file);
	return result;
}

static int toy_replace(struct toy *toy, unsigned number)
{
	struct file *file, *top = sim_disk_top(toy->disk);

	file_unlink(top, "log.new");
	int result = file_open(top, "log.new", FILE_WRITE | FILE_CREATE, &file);

	if (result < 0)
		return result;
	result = write_record(file, number, 0);
	if (result == 0)
		result = toy_sync(toy, file, false);
	file_close(file);
	if (result == 0)
		result = file_rename(top, "log.new", top, "log");
	if (result == 0 && toy->bug == BUG_EARLY_ANSWER)
		toy->acknowledged = number + 1;
	return result == 0 ? toy_sync(toy, top, true) : result;
}

static void toy_run(struct toy *toy, struct explorer *explorer)
{
	for (unsigned i = 0; i < RECORDS; i++) {
		explorer_operation(explorer, toy->renames ? "replace" : "append");
		toy->begun = i + 1;
		int result = toy->renames ? toy_replace(toy, i) : toy_append(toy, i);

		if (result != 0)
			break;
		toy->acknowledged = i + 1;
		explorer_checkpoint(explorer);
	}
}

static uint64_t expectations(void *context, bool power_cut)
{
	const struct toy *toy = context;

	return toy->begun * 64 + toy->acknowledged * 2 + power_cut;
}

/* How many whole records there are from the start; a torn one is worth nothing. */
static unsigned whole_records(const struct toy *toy, const char *octets, size_t size)
{
	char record[RECORD_OCTETS];
	unsigned count = 0;

	for (;; count++) {
		fill(record, count);
		if (size < (count + 1) * sizeof(record))
			return count;
		if (toy->bug != BUG_NO_CHECKSUM &&
		    memcmp(octets + count * sizeof(record), record, sizeof(record)) != 0)
			return count;
	}
}

static bool judge(const struct toy *toy, const char *octets, size_t size,
		  char text_out[EXPLORER_TEXT_OCTETS])
{
	char record[RECORD_OCTETS];
	unsigned count = whole_records(toy, octets, size);

	snprintf(text_out, EXPLORER_TEXT_OCTETS, "%u records of %u, %zu octets", count,
		 toy->acknowledged, size);
	if (!toy->renames) {
		for (unsigned i = 0; i < count; i++) {
			fill(record, i);
			if (memcmp(octets + i * sizeof(record), record, sizeof(record)) != 0)
				return false;
		}
		return count >= toy->acknowledged && count <= toy->begun;
	}
	if (size == 0)
		return toy->acknowledged == 0;
	unsigned version = (unsigned)(octets[0] - 'a') + 1;

	fill(record, version - 1);
	return size == sizeof(record) && memcmp(octets, record, size) == 0 &&
	       version >= toy->acknowledged && version <= toy->begun;
}

static bool check(void *context, struct sim_disk *disk, bool power_cut, struct explorer *inner,
		  char text_out[EXPLORER_TEXT_OCTETS])
{
	const struct toy *toy = context;
	char octets[(RECORDS + 1) * RECORD_OCTETS];
	struct file *file = NULL;
	ssize_t size = 0;

	(void)power_cut;
	if (inner != NULL)
		explorer_attach(inner, disk);
	if (file_open(sim_disk_top(disk), "log", FILE_READ, &file) == 0)
		size = file_read(file, octets, sizeof(octets), 0, false);
	file_close(file);
	explorer_detach(inner);
	sim_disk_free(disk);
	return size < 0 || judge(toy, octets, (size_t)size, text_out);
}

static const char *role(const char *path, bool directory, bool unnamed)
{
	(void)path;
	(void)unnamed;
	return directory ? "directory" : "file";
}

static const struct subject subject = {"toy", expectations, check, role};

static void run(struct explorer_book *book, bool renames, enum bug bug, uint64_t point,
		enum table_column column, struct explorer *explorer_out)
{
	struct toy toy = {.renames = renames, .bug = bug, .disk = sim_disk_new(1)};

	*explorer_out = (struct explorer){.book = book, .subject = &subject, .context = &toy};
	explorer_out->fault = (struct explorer_fault){.point = point, .column = column};
	explorer_attach(explorer_out, toy.disk);
	toy_run(&toy, explorer_out);
	explorer_detach(explorer_out);
	sim_disk_free(toy.disk);
}

/* Without a fault, then with each fault at each point. Returns failures. */
static uint64_t explore_toy(bool renames, enum bug bug, struct explorer_book *book)
{
	static const struct explorer_settings settings = {.seed = 1,
							  .samples = 32,
							  .damages = 8,
							  .inner_each = 4,
							  .light_each = 1,
							  .subsets_max = 4096};
	static struct explorer sound, faulty;

	explorer_book_init(book, &settings);
	snprintf(book->run, sizeof(book->run), "toy");
	run(book, renames, bug, 0, COLUMN_KILL, &sound);
	for (uint64_t point = 1; point <= sound.point; point++)
		for (enum table_column column = TABLE_LOSSES; column < TABLE_COLUMNS; column++)
			if (explorer_can_fail(&sound, point, column))
				run(book, renames, bug, point, column, &faulty);
	return book->failures;
}

static void test_bugs_are_found(void **state)
{
	static const struct {
		const char *name;
		bool renames;
		enum bug bug;
		bool found;
	} rows[] = {
		{"append", false, BUG_NONE, false},
		{"append without file sync", false, BUG_NO_FILE_SYNC, true},
		{"append without directory sync", false, BUG_NO_DIRECTORY_SYNC, true},
		{"append answered early", false, BUG_EARLY_ANSWER, true},
		{"append without checksum", false, BUG_NO_CHECKSUM, true},
		{"append that ignores errors of sync", false, BUG_RESULT_IGNORED, true},
		{"replace", true, BUG_NONE, false},
		{"replace without file sync", true, BUG_NO_FILE_SYNC, true},
		{"replace without directory sync", true, BUG_NO_DIRECTORY_SYNC, true},
		{"replace answered early", true, BUG_EARLY_ANSWER, true},
		{"replace that ignores errors of sync", true, BUG_RESULT_IGNORED, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct explorer_book book;

		test_row(rows[i].name);
		printf("row: %s\n", rows[i].name);
		test_check((explore_toy(rows[i].renames, rows[i].bug, &book) > 0) == rows[i].found);
		test_check(book.distinct > 10 && book.states >= book.distinct);
		explorer_book_free(&book);
	}
}

static void test_a_hole_is_named(void **state)
{
	struct explorer_book book;

	(void)state;
	assert_int_equal(explore_toy(false, BUG_NONE, &book), 0);
	for (size_t i = 0; i < book.table.count; i++)
		if (strcmp(book.table.cells[i].operation, "recovery") == 0)
			for (size_t column = TABLE_LOSSES; column < TABLE_COLUMNS; column++)
				book.table.cells[i].before[column] = 1; /* not tried by this test */
	assert_int_equal(table_holes(&book.table, stdout), 0);
	book.table.cells[1].before[COLUMN_EIO] = 0;
	assert_int_equal(table_holes(&book.table, stdout), 1);
	table_print(&book.table, TABLE_TEXT, stdout);
	explorer_book_free(&book);
}

static void test_paths(void **state)
{
	struct explorer_step steps[EXPLORER_DEPTH_MAX];

	(void)state;
	assert_true(explorer_parse_path("12:torn:7,3:kill:0", steps));
	assert_true(steps[0].point == 12 && steps[0].loss.kind == SIM_LOSS_TORN);
	assert_true(steps[0].loss.number == 7 && steps[1].column == COLUMN_KILL);
	assert_true(explorer_parse_path("5:subset:9,3:EIO:0", steps));
	assert_true(steps[0].column == COLUMN_SUBSET && steps[1].column == COLUMN_EIO);
	assert_false(explorer_parse_path("12", steps));
	assert_false(explorer_parse_path("12:nothing:1", steps));
	assert_false(explorer_parse_path("1:all:1,1:all:1,1:all:1", steps));
}

const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_bugs_are_found),
	cmocka_unit_test(test_a_hole_is_named),
	cmocka_unit_test(test_paths),
};

TEST_MAIN(tests)
