/*
 * mbox_repair: from each kind of damage to an mbox in which verify finds nothing, with every octet
 * still to be had.
 */
#include <stdlib.h>

#include "store/test_scene.h"

#define ONE   "Subject: one\n\nFrom here\nbody of one\n"
#define TWO   "Subject: two\n\nbody of two\n"
#define THREE "Subject: three\n\nbody of three\n"

static void mbox_path(const struct scene *scene, char path[160])
{
	scene_file(scene, "mail/example.org/alice", path);
}

static struct buffer load(const struct scene *scene)
{
	char path[160];
	struct buffer text;
	static char octets[1 << 16];
	mbox_path(scene, path);
	buffer_init(&text, sizeof octets);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t length = fread(octets, 1, sizeof octets, file);
	fclose(file);
	assert_true(buffer_append(&text, (struct bytes){octets, length}));
	return text;
}

static void save(const struct scene *scene, const struct buffer *text)
{
	char path[160];
	mbox_path(scene, path);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text->data, 1, text->length, file), text->length);
	assert_int_equal(fclose(file), 0);
	scene_index_file(scene, path);
	unlink(path); /* else a cache hides what a program has done within the clock's grain */
}

/* Changes one octet of the first place where `what` stands. */
static void scratch(const struct scene *scene, const char *what)
{
	struct buffer text = load(scene);
	char *found = memmem(text.data, text.length, what, strlen(what));
	assert_non_null(found);
	found[strlen(what) - 1] ^= 1;
	save(scene, &text);
	buffer_free(&text);
}

static void insert(const struct scene *scene, const char *before, const char *what)
{
	struct buffer text = load(scene), other;
	char *found = before[0] ? memmem(text.data, text.length, before, strlen(before))
				: text.data + text.length;
	size_t at = (size_t)(found - text.data);
	assert_non_null(found);
	buffer_init(&other, 1 << 20);
	buffer_append(&other, (struct bytes){text.data, at});
	buffer_append(&other, bytes_of(what));
	buffer_append(&other, bytes_skip(buffer_bytes(&text), at));
	save(scene, &other);
	buffer_free(&text);
	buffer_free(&other);
}

static size_t findings_of(const struct scene *scene)
{
	struct findings findings;
	struct error error = {0};
	assert_int_equal(store_verify(&scene->root, &scene->place, &findings, &error), STORE_OK);
	size_t count = findings.count;
	for (size_t i = 0; i < count && i < 3; i++)
		print_message("%s: %s\n", findings.list[i].file, findings.list[i].text);
	findings_free(&findings);
	return count;
}

static size_t repair(const struct scene *scene)
{
	struct findings findings;
	struct error error = {0};
	enum store_result result = store_repair(&scene->root, &scene->place, &findings, &error);
	if (result != STORE_OK)
		fail_msg("row \"%s\": %d %s", test_row_name, result, error.text);
	size_t count = findings.count;
	findings_free(&findings);
	return count;
}

static bool count_kept(void *context, const char *name)
{
	*(size_t *)context += bytes_start_with(bytes_of(name), BYTES("kept."));
	return true;
}

/* Each does its damage to an mbox of ONE, TWO and THREE. */
static void nothing(const struct scene *scene)
{
	(void)scene;
}

static void octet_of_two(const struct scene *scene)
{
	scratch(scene, "body of two");
}

static void octet_of_three(const struct scene *scene)
{
	scratch(scene, "body of three");
}

static void quoted_line_of_one(const struct scene *scene)
{
	scratch(scene, "body of one");
}

static void line_of_two(const struct scene *scene)
{
	struct buffer text = load(scene);
	char *two = memmem(text.data, text.length, "\nSubject: two", 13);
	assert_non_null(two);
	two[-1] = two[-1] == '0' ? '1' : '0'; /* the From line's own checksum ends it */
	save(scene, &text);
	buffer_free(&text);
}

static void foreign_between(const struct scene *scene)
{
	struct buffer text = load(scene);
	const char *two = memmem(text.data, text.length, "Subject: two", 12);
	char line[600];
	const char *start = two - 2;
	while (start[-1] != '\n')
		start--;
	snprintf(line, sizeof line, "%.*s", (int)(two - start), start);
	buffer_free(&text);
	insert(scene, line,
	       "From a@b Sun Nov 22 02:01:00 2026\nSubject: f1\n\n>From x\n\n"
	       "From c@d Sun Nov 22 02:01:05 2026\nSubject: f2\n\nx\n\n");
}

static void foreign_behind(const struct scene *scene)
{
	insert(scene, "", "From a@b Sun Nov 22 02:01:00 2026\nSubject: f1\n\n>From x\n\n");
}

static void rubbish_behind(const struct scene *scene)
{
	insert(scene, "", "this is no message\n");
}

static void lost_blocks(const struct scene *scene)
{
	struct buffer text = load(scene);
	char *two = memmem(text.data, text.length, "Subject: two", 12);
	assert_non_null(two);
	memset(two, 0, strlen(TWO));
	save(scene, &text);
	buffer_free(&text);
}

static const struct {
	const char *label;
	void (*damage)(const struct scene *scene);
	const char *expected[6]; /* in their order afterwards */
	size_t kept_uids;        /* of ONE, TWO, THREE */
	bool something;          /* is found, and done */
} rows[] = {
	{"nothing", nothing, {ONE, TWO, THREE}, 3, false},
	{"an octet amid", octet_of_two, {ONE, THREE, "Subject: two\n\nbody of twn\n"}, 2, true},
	{"an octet of the last",
	 octet_of_three,
	 {ONE, TWO, "Subject: three\n\nbody of thred\n"},
	 2,
	 true},
	{"a quoted one",
	 quoted_line_of_one,
	 {TWO, THREE, "Subject: one\n\nFrom here\nbody of ond\n"},
	 2,
	 true},
	{"a From line", line_of_two, {ONE, THREE, TWO}, 2, true},
	{"other messages amid",
	 foreign_between,
	 {ONE, TWO, THREE, "Subject: f1\n\nFrom x\n", "Subject: f2\n\nx\n"},
	 3,
	 true},
	{"another message at the end",
	 foreign_behind,
	 {ONE, TWO, THREE, "Subject: f1\n\nFrom x\n"},
	 3,
	 true},
	{"rubbish at the end", rubbish_behind, {ONE, TWO, THREE}, 3, true},
};

static void check_messages(const struct scene *scene, const char *const expected[6],
			   char uids[3][UID_MAX + 1], size_t kept_uids)
{
	struct maildrop *maildrop = scene_open(scene);
	uint32_t count = 0;
	size_t kept = 0;
	while (count < 6 && expected[count] != NULL)
		count++;
	assert_int_equal(maildrop_summary(maildrop).messages, count);
	for (uint32_t number = 1; number <= count; number++) {
		struct maildrop_entry entry = scene_entry(maildrop, number);
		assert_false(entry.damaged);
		scene_expect(maildrop, number, bytes_of(expected[number - 1]));
		for (size_t i = 0; i < 3; i++)
			kept += strcmp(entry.uid, uids[i]) == 0;
	}
	assert_int_equal(kept, kept_uids);
	maildrop_close(maildrop);
}

static void fill_scene(struct scene *scene, char uids[3][UID_MAX + 1])
{
	static const char *const texts[] = {ONE, TWO, THREE};
	scene_begin(scene, STORE_MBOX);
	for (size_t i = 0; i < 3; i++)
		scene_deliver(scene, bytes_of(texts[i]));
	struct maildrop *maildrop = scene_open(scene);
	for (uint32_t i = 0; i < 3; i++)
		memcpy(uids[i], scene_entry(maildrop, i + 1).uid, UID_MAX + 1);
	maildrop_close(maildrop);
}

static void test_damages(void **state)
{
	(void)state;
	/* Straight, or behind an opening, which sets a bad tail aside. */
	for (size_t row = 0; row < 2 * sizeof rows / sizeof rows[0]; row++) {
		size_t at = row / 2, kept = 0;
		struct scene scene;
		char uids[3][UID_MAX + 1];
		test_row(rows[at].label);
		fill_scene(&scene, uids);
		rows[at].damage(&scene);
		if (row % 2 == 1)
			maildrop_close(scene_open(&scene));
		assert_true(!rows[at].something || findings_of(&scene) > 0);
		assert_true((repair(&scene) > 0) == rows[at].something);
		assert_int_equal(findings_of(&scene), 0);
		check_messages(&scene, rows[at].expected, uids, rows[at].kept_uids);
		assert_int_equal(file_list(scene.root.journal, count_kept, &kept), 0);
		assert_true((kept > 0) == rows[at].something);
		assert_int_equal(repair(&scene), 0);
		check_messages(&scene, rows[at].expected, uids, rows[at].kept_uids);
		scene_end(&scene);
	}
}

/* NULs are octets: a message that lost its blocks stays one, and its neighbours theirs. */
static void test_lost_blocks(void **state)
{
	struct scene scene;
	char uids[3][UID_MAX + 1];
	(void)state;
	test_row("lost blocks");
	fill_scene(&scene, uids);
	lost_blocks(&scene);
	assert_true(repair(&scene) > 0);
	assert_int_equal(findings_of(&scene), 0);
	struct maildrop *maildrop = scene_open(&scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 3);
	scene_expect(maildrop, 1, BYTES(ONE));
	scene_expect(maildrop, 2, BYTES(THREE));
	maildrop_close(maildrop);
	scene_end(&scene);
}

/* Two messages with the same damage in the same words are two. */
static void test_twins(void **state)
{
	struct scene scene;
	(void)state;
	test_row("twins");
	scene_begin(&scene, STORE_MBOX);
	scene_deliver(&scene, BYTES(TWO));
	scene_deliver(&scene, BYTES(TWO));
	scratch(&scene, "body of two");
	scratch(&scene, "body of two");
	scene_deliver(&scene, BYTES(ONE));
	assert_true(repair(&scene) > 0);
	assert_int_equal(findings_of(&scene), 0);
	struct maildrop *maildrop = scene_open(&scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 3);
	maildrop_close(maildrop);
	scene_end(&scene);
}

static void test_refused(void **state)
{
	struct scene scene;
	struct findings findings;
	struct error error = {0};
	char uids[3][UID_MAX + 1];
	(void)state;
	fill_scene(&scene, uids);
	struct maildrop *maildrop = scene_open(&scene);
	assert_int_equal(store_repair(&scene.root, &scene.place, &findings, &error), STORE_LOCKED);
	maildrop_close(maildrop);
	scene_end(&scene);
	test_row("no mailbox file yet");
	scene_begin(&scene, STORE_MBOX);
	assert_int_equal(repair(&scene), 0);
	scene_end(&scene);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_damages),
	cmocka_unit_test(test_lost_blocks),
	cmocka_unit_test(test_twins),
	cmocka_unit_test(test_refused),
};

TEST_MAIN(tests)
