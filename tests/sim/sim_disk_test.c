/*
 * The simulator itself: each row is what a program did, and every state that a power cut may leave
 * of it. The set is exact: a state too many and a state too few both fail.
 */
#include "base/test.h"

#include <errno.h>

#include "sim_disk.h"

#define OPERATIONS_MAX 12
#define STATES_MAX     12
#define STATE_OCTETS   256

struct row {
	const char *name;
	const char *operations[OPERATIONS_MAX];
	const char *states[STATES_MAX]; /* "name=content" each, sorted, with ' ' between */
};

static const struct row rows[] = {
	{"nothing", {NULL}, {"", NULL}},
	{"name and data of a new file", {"write a 0 xy"}, {"", "a=", "a=xy", NULL}},
	{"a file's sync is not its name's", {"write a 0 xy", "sync a"}, {"", "a=xy", NULL}},
	{"a name's sync is not its data's", {"write a 0 xy", "sync ."}, {"a=", "a=xy", NULL}},
	{"both", {"write a 0 xy", "sync a", "sync ."}, {"a=xy", NULL}},
	{"writes are independent",
	 {"write a 0 x", "settle", "write a 1 y", "write a 2 z"},
	 {"a=x", "a=xy", "a=x0z", "a=xyz", NULL}},
	{"sync covers what was before it only",
	 {"write a 0 x", "sync .", "sync a", "write a 1 y"},
	 {"a=x", "a=xy", NULL}},
	{"truncation may be lost, and the write behind it kept",
	 {"write a 0 wxyz", "settle", "size a 2", "write a 2 Q"},
	 {"a=wxyz", "a=wx", "a=wxQz", "a=wxQ", NULL}},
	{"rename is old or new",
	 {"write a 0 x", "write b 0 y", "settle", "rename b a"},
	 {"a=x b=y", "a=y", NULL}},
	{"rename without sync of the data",
	 {"write a 0 x", "settle", "write b 0 y", "rename b a"},
	 {"a=x", "a=x b=", "a=x b=y", "a=", "a=y", NULL}},
	{"rename with sync of the data",
	 {"write a 0 x", "settle", "write b 0 y", "sync b", "rename b a"},
	 {"a=x", "a=x b=y", "a=y", NULL}},
	{"rename between directories may leave both or neither",
	 {"mkdir d", "write a 0 x", "settle", "rename a d/a"},
	 {"a=x d/", "a=x d/ d/a=x", "d/", "d/ d/a=x", NULL}},
	{"the target's directory synced leaves one or both",
	 {"mkdir d", "write a 0 x", "settle", "rename a d/a", "sync d"},
	 {"a=x d/ d/a=x", "d/ d/a=x", NULL}},
	{"link and unlink in order",
	 {"write a 0 x", "settle", "link a b", "unlink a"},
	 {"a=x", "a=x b=x", "b=x", NULL}},
	{"a directory's name is its parent's",
	 {"mkdir d", "write d/a 0 x", "sync d/a", "sync d"},
	 {"", "d/ d/a=x", NULL}},
	{"unlink lost, then synced", {"write a 0 x", "settle", "unlink a"}, {"a=x", "", NULL}},
	{"unlink synced", {"write a 0 x", "settle", "unlink a", "sync ."}, {"", NULL}},
	{"a failed sync proves nothing, nor does the next",
	 {"write a 0 x", "settle", "write a 1 y", "fail a", "sync a"},
	 {"a=x", "a=xy", NULL}},
	{"what is written after a failed sync can be synced",
	 {"write a 0 x", "settle", "write a 1 y", "fail a", "write a 2 z", "sync a"},
	 {"a=x0z", "a=xyz", NULL}},
	{"a truncation is in the journal, and a later sync takes it",
	 {"write a 0 xyz", "settle", "size a 1", "fail a", "sync a"},
	 {"a=x", NULL}},
	{"what a failed sync left behind does not come over what came later",
	 {"write a 0 xyz", "settle", "write a 0 abcde", "fail a", "size a 2", "write a 1 QR",
	  "sync a"},
	 {"a=aQR", "a=xQR", NULL}},
};

static struct file *open_name(struct sim_disk *disk, const char *name, unsigned flags)
{
	struct file *file = NULL;

	assert_int_equal(file_open(sim_disk_top(disk), name, flags, &file), 0);
	return file;
}

static struct file *open_any(struct sim_disk *disk, const char *name)
{
	struct file *file = NULL;

	if (file_open(sim_disk_top(disk), name, FILE_DIRECTORY, &file) != 0)
		file = open_name(disk, name, FILE_WRITE | FILE_CREATE);
	return file;
}

static int fail_syncs(void *context, struct sim_disk *disk, const struct sim_operation *operation)
{
	(void)context;
	(void)disk;
	return operation->call == SIM_SYNC ? -EIO : 0;
}

static void sync_name(struct sim_disk *disk, const char *name, bool fails)
{
	struct file *file = open_any(disk, name);

	sim_disk_set_hook(disk, fails ? fail_syncs : NULL, NULL);
	assert_int_equal(file_sync(file), fails ? -EIO : 0);
	sim_disk_set_hook(disk, NULL, NULL);
	file_close(file);
}

static void change_file(struct sim_disk *disk, const char *verb, const char *name, uint64_t number,
			const char *text)
{
	struct file *file = open_any(disk, name);
	struct bytes piece = bytes_of(text);

	if (strcmp(verb, "write") == 0)
		assert_int_equal(file_write(file, &piece, 1, number), 0);
	else
		assert_int_equal(file_set_size(file, number), 0);
	file_close(file);
}

static void perform(struct sim_disk *disk, const char *operation)
{
	struct file *top = sim_disk_top(disk);
	char verb[16] = "", first[32] = "", second[32] = "", third[32] = "";

	sscanf(operation, "%15s %31s %31s %31s", verb, first, second, third);
	if (strcmp(verb, "settle") == 0)
		sim_disk_settle(disk);
	else if (strcmp(verb, "sync") == 0 || strcmp(verb, "fail") == 0)
		sync_name(disk, first, verb[0] == 'f');
	else if (strcmp(verb, "mkdir") == 0)
		assert_int_equal(file_make_directory(top, first), 0);
	else if (strcmp(verb, "rename") == 0)
		assert_int_equal(file_rename(top, first, top, second), 0);
	else if (strcmp(verb, "link") == 0)
		assert_int_equal(file_link(top, first, top, second), 0);
	else if (strcmp(verb, "unlink") == 0)
		assert_int_equal(file_unlink(top, first), 0);
	else
		change_file(disk, verb, first, strtoul(second, NULL, 10), third);
}

struct rendering {
	struct sim_disk *disk;
	const char *prefix;
	char words[8][64];
	size_t count;
};

static bool render_name(void *context, const char *name)
{
	struct rendering *rendering = context;
	char path[64], octets[64];
	struct file *file = NULL;

	snprintf(path, sizeof(path), "%s%.20s", rendering->prefix, name);
	if (file_open(sim_disk_top(rendering->disk), path, FILE_DIRECTORY, &file) == 0) {
		snprintf(rendering->words[rendering->count++], 64, "%.40s/", path);
		rendering->prefix = "d/";
		assert_int_equal(file_list(file, render_name, rendering), 0);
		rendering->prefix = "";
	} else {
		file = open_name(rendering->disk, path, FILE_READ);
		ssize_t size = file_read(file, octets, 20, 0, false);

		for (ssize_t i = 0; i < size; i++)
			octets[i] = octets[i] == '\0' ? '0' : octets[i];
		snprintf(rendering->words[rendering->count++], 64, "%.40s=%.*s", path, (int)size,
			 octets);
	}
	file_close(file);
	return true;
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void render(struct sim_disk *disk, char out[STATE_OCTETS])
{
	struct rendering rendering = {.disk = disk, .prefix = ""};
	size_t length = 0;

	assert_int_equal(file_list(sim_disk_top(disk), render_name, &rendering), 0);
	qsort(rendering.words, rendering.count, sizeof(rendering.words[0]), compare_words);
	out[0] = '\0';
	for (size_t i = 0; i < rendering.count; i++)
		length += (size_t)snprintf(out + length, STATE_OCTETS - length, "%s%s",
					   i > 0 ? " " : "", rendering.words[i]);
}

static size_t find_state(const struct row *row, const char *state)
{
	size_t i = 0;

	while (row->states[i] != NULL && strcmp(row->states[i], state) != 0)
		i++;
	if (row->states[i] == NULL)
		fail_msg("row \"%s\": a state that must not be: \"%s\"", row->name, state);
	return i;
}

static struct sim_disk *perform_row(const struct row *row)
{
	struct sim_disk *disk = sim_disk_new(7);

	for (size_t i = 0; i < OPERATIONS_MAX && row->operations[i] != NULL; i++)
		perform(disk, row->operations[i]);
	return disk;
}

static void test_every_subset(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sim_disk *disk = perform_row(&rows[i]);
		bool seen[STATES_MAX] = {false};
		char text[STATE_OCTETS];

		test_row(rows[i].name);
		test_check(sim_disk_subsets(disk) <= SIM_SUBSETS_ALL);
		for (uint64_t n = 0; n < sim_disk_subsets(disk); n++) {
			struct sim_disk *cut =
				sim_disk_cut(disk, (struct sim_loss){SIM_LOSS_SUBSET, n});

			render(cut, text);
			seen[find_state(&rows[i], text)] = true;
			test_check(sim_disk_pending(cut) == 0);
			sim_disk_free(cut);
		}
		for (size_t s = 0; rows[i].states[s] != NULL; s++)
			if (!seen[s])
				fail_msg("row \"%s\": never seen: \"%s\"", rows[i].name,
					 rows[i].states[s]);
		sim_disk_free(disk);
	}
}

/* Samples and the two ends stay inside the same sets. */
static void test_samples_are_subsets(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sim_disk *disk = perform_row(&rows[i]);
		char text[STATE_OCTETS];

		test_row(rows[i].name);
		for (uint64_t n = 0; n < 40; n++) {
			enum sim_loss_kind kind = n == 0   ? SIM_LOSS_NONE
						  : n == 1 ? SIM_LOSS_ALL
							   : SIM_LOSS_SAMPLE;
			struct sim_disk *cut = sim_disk_cut(disk, (struct sim_loss){kind, n});

			render(cut, text);
			find_state(&rows[i], text);
			sim_disk_free(cut);
		}
		sim_disk_free(disk);
	}
}

/* SIM_LOSS_NAMES: the unlink may survive without the link before it. */
static void test_any_subset_of_names(void **state)
{
	static const struct row row = {
		"names in any order",
		{"write a 0 x", "settle", "link a b", "unlink a"},
		{"a=x", "a=x b=x", "b=x", "", NULL},
	};
	struct sim_disk *disk = perform_row(&row);
	bool seen[STATES_MAX] = {false};
	char text[STATE_OCTETS];

	(void)state;
	for (uint64_t n = 0; n < 64; n++) {
		struct sim_disk *cut = sim_disk_cut(disk, (struct sim_loss){SIM_LOSS_NAMES, n});

		render(cut, text);
		seen[find_state(&row, text)] = true;
		sim_disk_free(cut);
	}
	assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
	sim_disk_free(disk);
}

#define OLD_OCTETS   700
#define WRITE_OFFSET 300
#define WRITE_OCTETS 2000

enum { CAN_LOSE = 1, CAN_ZERO = 2, CAN_BE_STRANGE = 4, CAN_BE_SHORT = 8 };

/* Octets that were stable are old or new; behind them also zero, and strange only as garbage. */
static unsigned judge(const char *octets, size_t size)
{
	unsigned seen = size < WRITE_OFFSET + WRITE_OCTETS ? CAN_BE_SHORT : 0;

	for (size_t at = 0; at < size; at++) {
		char octet = octets[at];
		bool written = at >= WRITE_OFFSET;

		if (at < OLD_OCTETS && octet != 'o' && !(written && octet == 'n'))
			fail_msg("row \"%s\": octet %zu is %d", test_row_name, at, octet);
		if (written && at < OLD_OCTETS && octet == 'o')
			seen |= CAN_LOSE;
		if (at >= OLD_OCTETS && octet != 'n')
			seen |= octet == '\0' ? CAN_ZERO : CAN_BE_STRANGE;
		if (at > WRITE_OFFSET && at < OLD_OCTETS && octet != octets[at - 1] &&
		    octet == 'n' && at % 512 != 0)
			fail_msg("row \"%s\": torn inside a sector at %zu", test_row_name, at);
	}
	return seen;
}

static unsigned cut_and_judge(struct sim_disk *disk, enum sim_loss_kind kind, uint64_t number)
{
	char octets[4096];
	struct sim_disk *cut = sim_disk_cut(disk, (struct sim_loss){kind, number});
	struct file *file = open_name(cut, "a", FILE_READ);
	ssize_t size = file_read(file, octets, sizeof(octets), 0, false);

	assert_true(size >= OLD_OCTETS);
	file_close(file);
	sim_disk_free(cut);
	return judge(octets, (size_t)size);
}

static void test_torn_writes(void **state)
{
	static const struct {
		const char *name;
		enum sim_loss_kind kind;
		unsigned can;
	} kinds[] = {
		{"torn", SIM_LOSS_TORN, CAN_LOSE | CAN_ZERO | CAN_BE_SHORT},
		{"zeroes", SIM_LOSS_ZEROES, CAN_LOSE | CAN_ZERO},
		{"garbage", SIM_LOSS_GARBAGE, CAN_LOSE | CAN_BE_STRANGE | CAN_ZERO},
	};
	static char old[OLD_OCTETS], new[WRITE_OCTETS];
	struct bytes pieces[2] = {{old, sizeof(old)}, {new, sizeof(new)}};
	struct sim_disk *disk = sim_disk_new(3);
	struct file *file = open_name(disk, "a", FILE_WRITE | FILE_CREATE);

	(void)state;
	memset(old, 'o', sizeof(old));
	memset(new, 'n', sizeof(new));
	assert_int_equal(file_write(file, &pieces[0], 1, 0), 0);
	sim_disk_settle(disk);
	assert_int_equal(file_write(file, &pieces[1], 1, WRITE_OFFSET), 0);
	for (size_t i = 0; i < 3; i++) {
		unsigned seen = 0;

		test_row(kinds[i].name);
		for (uint64_t n = 0; n < 400; n++)
			seen |= cut_and_judge(disk, kinds[i].kind, n);
		test_check((seen & CAN_LOSE) != 0);
		test_check((seen & ~kinds[i].can) == 0);
		test_check((kinds[i].can & ~seen & ~CAN_ZERO) == 0);
	}
	file_close(file);
	sim_disk_free(disk);
}

const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_every_subset),
	cmocka_unit_test(test_samples_are_subsets),
	cmocka_unit_test(test_any_subset_of_names),
	cmocka_unit_test(test_torn_writes),
};

TEST_MAIN(tests)
