/*
 * convert: from each kind to each other, and from each state that an interruption can leave.
 */
#include <errno.h>

#include "store/convert.h"

#include "store/test_scene.h"

#define MESSAGES 300 /* more than a batch */

struct commit {
	enum store_result result;
	bool happens;
	struct scene *scene;
	const struct place *to;
	void (*meanwhile)(struct scene *scene);
	int times;
};

static enum store_result commit(void *context, struct error *error)
{
	struct commit *commit = context;
	commit->times++;
	if (commit->meanwhile != NULL)
		commit->meanwhile(commit->scene);
	if (commit->result != STORE_OK)
		error_set(error, ERROR_TEMPORARY, "no");
	if (commit->happens)
		commit->scene->place = *commit->to;
	return commit->result;
}

static struct conversion begin(struct scene *scene, enum store_kind kind, const char *path,
			       struct commit *committing)
{
	struct conversion conversion = {.from = scene->place, .commit = commit};
	conversion.to.kind = kind;
	snprintf(conversion.to.path, sizeof conversion.to.path, "%s", path);
	committing->scene = scene;
	conversion.context = committing;
	return conversion;
}

static enum store_result run(struct scene *scene, struct conversion *conversion)
{
	struct error error = {0};
	struct commit *committing = conversion->context;
	committing->to = &conversion->to;
	enum store_result result = store_convert(&scene->root, conversion, &error);
	assert_true((result == STORE_OK) == (error.text[0] == '\0'));
	return result;
}

/* ---- what is in a maildrop ---- */

static struct bytes text_of(int number, struct buffer *room)
{
	buffer_init(room, 1 << 20);
	buffer_print(room, "Subject: %d\n\n", number);
	if (number % 7 == 0)
		buffer_print(room, "From here\n>From there\n");
	for (int i = 0; number % 50 == 1 && i < 3000; i++)
		buffer_print(room, "a line of a message that does not stay in memory %d\n", i);
	buffer_print(room, "%d.\n", number);
	return buffer_bytes(room);
}

static void fill(struct scene *scene, int count)
{
	for (int i = 1; i <= count; i++) {
		struct buffer room;
		char uid[32];
		struct bytes text = text_of(i, &room);
		snprintf(uid, sizeof uid, "%s%d", i % 2 ? "brought-" : "", i);
		assert_int_equal(
			scene_try_deliver(scene, text, (struct bytes){0}, i % 2 ? uid : "", true),
			STORE_OK);
		buffer_free(&room);
	}
}

static char uids[MESSAGES + 1][UID_MAX + 1];

static void remember_uids(const struct scene *scene, int count)
{
	struct maildrop *maildrop = scene_open(scene);
	for (int i = 1; i <= count; i++)
		memcpy(uids[i], scene_entry(maildrop, (uint32_t)i).uid, UID_MAX + 1);
	maildrop_close(maildrop);
}

static void expect(const struct scene *scene, int count)
{
	struct maildrop *maildrop = scene_open(scene);
	assert_int_equal(maildrop_summary(maildrop).messages, count);
	for (int i = 1; i <= count; i++) {
		struct buffer room;
		scene_expect(maildrop, (uint32_t)i, text_of(i, &room));
		test_equal_bytes(bytes_of(scene_entry(maildrop, (uint32_t)i).uid),
				 bytes_of(uids[i]));
		buffer_free(&room);
	}
	maildrop_close(maildrop);
}

static void expect_clean(const struct scene *scene)
{
	struct findings findings;
	struct error error = {0};
	assert_int_equal(store_verify(&scene->root, &scene->place, &findings, &error), STORE_OK);
	if (findings.count > 0)
		fail_msg("row \"%s\": %s: %s", test_row_name, findings.list[0].file,
			 findings.list[0].text);
	findings_free(&findings);
}

static bool has_file(const struct scene *scene, const char *name)
{
	char path[160];
	scene_file(scene, name, path);
	return access(path, F_OK) == 0;
}

static bool has_record(const struct scene *scene)
{
	char name[64];
	snprintf(name, sizeof name, "journal/%llu.move", (unsigned long long)scene->place.account);
	return has_file(scene, name);
}

static uint32_t count_at(const struct scene *scene, const struct place *place)
{
	struct error error = {0};
	struct maildrop *maildrop;
	struct place any = *place;
	any.generation = UINT64_MAX;
	assert_int_equal(maildrop_open(&scene->root, &any, STORE_PEEK, &maildrop, &error),
			 STORE_OK);
	uint32_t messages = maildrop_summary(maildrop).messages;
	maildrop_close(maildrop);
	return messages;
}

/* ---- tests ---- */

static const struct {
	const char *label;
	enum store_kind from, to;
	const char *path;
} rows[] = {
	{"mbox to Maildir", STORE_MBOX, STORE_MAILDIR, "example.org/alice~maildir"},
	{"mbox to mbox", STORE_MBOX, STORE_MBOX, "elsewhere/deep/alice"},
	{"Maildir to mbox", STORE_MAILDIR, STORE_MBOX, "example.org/alice~mbox"},
	{"Maildir to Maildir", STORE_MAILDIR, STORE_MAILDIR, "elsewhere/alice"},
	{"mbox to spool", STORE_MBOX, STORE_SPOOL, "example.org/alice~spool"},
	{"spool to mbox", STORE_SPOOL, STORE_MBOX, "example.org/alice~mbox"},
	{"spool to Maildir", STORE_SPOOL, STORE_MAILDIR, "example.org/alice~maildir"},
	{"Maildir to spool", STORE_MAILDIR, STORE_SPOOL, "elsewhere/alice"},
	{"spool to spool", STORE_SPOOL, STORE_SPOOL, "elsewhere/alice"},
};

#define EACH_ROW(scene)                                                                            \
	for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++)                            \
		if (store_kind_name(rows[row].from) != NULL &&                                     \
		    store_kind_name(rows[row].to) != NULL &&                                       \
		    (test_row(rows[row].label), scene_begin(&(scene), rows[row].from), true))

static void test_there_and_back(void **state)
{
	struct scene scene;
	(void)state;
	EACH_ROW(scene)
	{
		struct commit committing = {.result = STORE_OK, .happens = true};
		struct place first = scene.place;
		fill(&scene, MESSAGES);
		remember_uids(&scene, MESSAGES);
		struct conversion there = begin(&scene, rows[row].to, rows[row].path, &committing);
		assert_int_equal(run(&scene, &there), STORE_OK);
		assert_int_equal(there.messages, MESSAGES);
		assert_true(there.committed && !there.old_left && there.stayed == 0);
		expect(&scene, MESSAGES);
		expect_clean(&scene);
		assert_false(has_record(&scene));
		assert_int_equal(count_at(&scene, &first), 0);
		struct conversion back =
			begin(&scene, rows[row].from, "example.org/alice.2", &committing);
		assert_int_equal(run(&scene, &back), STORE_OK);
		expect(&scene, MESSAGES);
		expect_clean(&scene);
		scene_end(&scene);
	}
}

/* Through all kinds and home again, with one name for the account. */
static void test_through_all_kinds(void **state)
{
	static const struct {
		enum store_kind kind;
		const char *path;
	} steps[] = {{STORE_SPOOL, "example.org/alice~spool"},
		     {STORE_MAILDIR, "example.org/alice~maildir"},
		     {STORE_MBOX, "example.org/alice"}};
	struct commit committing = {.result = STORE_OK, .happens = true};
	struct scene scene;
	(void)state;
	test_row("mbox, spool, Maildir, mbox");
	scene_begin(&scene, STORE_MBOX);
	fill(&scene, MESSAGES);
	remember_uids(&scene, MESSAGES);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		struct conversion conversion =
			begin(&scene, steps[i].kind, steps[i].path, &committing);
		assert_int_equal(run(&scene, &conversion), STORE_OK);
		assert_true(conversion.committed && !conversion.old_left);
		expect(&scene, MESSAGES);
		expect_clean(&scene);
	}
	scene_end(&scene);
}

static void test_old_places_are_changed(void **state)
{
	struct scene scene;
	struct error error = {0};
	struct maildrop *maildrop;
	(void)state;
	EACH_ROW(scene)
	{
		struct commit committing = {.result = STORE_OK, .happens = true};
		struct place first = scene.place;
		fill(&scene, 1);
		struct conversion conversion =
			begin(&scene, rows[row].to, rows[row].path, &committing);
		assert_int_equal(run(&scene, &conversion), STORE_OK);
		assert_int_equal(
			maildrop_open(&scene.root, &first, STORE_SESSION, &maildrop, &error),
			STORE_CHANGED);
		scene.place = first;
		assert_int_equal(
			scene_try_deliver(&scene, BYTES("x\n"), (struct bytes){0}, "", true),
			STORE_CHANGED);
		scene_end(&scene);
	}
}

/* Locks are per open file: a second handle of this process counts as another. */
static void nobody_else(struct scene *scene)
{
	struct error error = {0};
	struct maildrop *maildrop;
	assert_int_equal(scene_try_deliver(scene, BYTES("x\n"), (struct bytes){0}, "", true),
			 STORE_AGAIN);
	assert_int_not_equal(
		maildrop_open(&scene->root, &scene->place, STORE_SESSION, &maildrop, &error),
		STORE_OK);
}

static void test_locks(void **state)
{
	struct scene scene;
	(void)state;
	EACH_ROW(scene)
	{
		struct commit committing = {
			.result = STORE_OK, .happens = true, .meanwhile = nobody_else};
		fill(&scene, 3);
		remember_uids(&scene, 3);
		struct maildrop *maildrop = scene_open(&scene);
		struct conversion conversion =
			begin(&scene, rows[row].to, rows[row].path, &committing);
		assert_int_equal(run(&scene, &conversion), STORE_LOCKED);
		assert_int_equal(committing.times, 0);
		maildrop_close(maildrop);
		expect(&scene, 3);
		assert_int_equal(run(&scene, &conversion), STORE_OK);
		assert_int_equal(committing.times, 1);
		expect(&scene, 3);
		scene_end(&scene);
	}
}

static void test_refused_commit(void **state)
{
	struct scene scene;
	(void)state;
	EACH_ROW(scene)
	{
		struct commit committing = {.result = STORE_IO};
		fill(&scene, 3);
		remember_uids(&scene, 3);
		struct conversion conversion =
			begin(&scene, rows[row].to, rows[row].path, &committing);
		assert_int_equal(run(&scene, &conversion), STORE_IO);
		assert_false(conversion.committed);
		assert_false(has_record(&scene));
		assert_int_equal(count_at(&scene, &conversion.to), 0);
		expect(&scene, 3);
		expect_clean(&scene);
		scene_end(&scene);
	}
}

/* Another program's message, put where the mail is moving to. */
static void deliver_there(const struct scene *scene, const struct place *there)
{
	char name[MAILDROP_PATH_MAX + 32], path[MAILDROP_PATH_MAX + 128];
	bool folder = there->kind == STORE_MAILDIR;
	struct bytes text =
		folder ? BYTES("Subject: other\n\nx\n")
		       : BYTES("From a@b Sun Nov 22 02:01:00 2026\nSubject: other\n\nx\n\n");
	snprintf(name, sizeof name, "mail/%s%s", there->path,
		 folder ? "/new/1795312999.other" : "");
	snprintf(path, sizeof path, "%s/%s", scene->path, name);
	for (char *at = path + strlen(scene->path) + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
		*at = '/';
	}
	FILE *file = fopen(path, "a");
	assert_non_null(file);
	assert_int_equal(fwrite(text.data, 1, text.length, file), text.length);
	assert_int_equal(fclose(file), 0);
}

static void deliver_once(void *context, uint64_t done, uint64_t total)
{
	struct commit *committing = context;
	(void)done;
	(void)total;
	if (committing->times++ == 0)
		deliver_there(committing->scene, committing->to);
}

/* It stays, whether the move is given up or comes to its end. */
static void test_others_mail_stays(void **state)
{
	static const enum store_result results[] = {STORE_IO, STORE_OK};
	struct scene scene;
	(void)state;
	for (size_t end = 0; end < 2; end++)
		EACH_ROW(scene)
		{
			struct commit committing = {.result = results[end],
						    .happens = results[end] == STORE_OK};
			fill(&scene, 3);
			struct conversion conversion =
				begin(&scene, rows[row].to, rows[row].path, &committing);
			if (rows[row].to != STORE_MBOX)
				conversion.progress = deliver_once;
			assert_int_equal(run(&scene, &conversion), results[end]);
			assert_int_equal(count_at(&scene, &conversion.to),
					 (rows[row].to != STORE_MBOX) +
						 (results[end] == STORE_OK ? 3 : 0));
			assert_int_equal(
				count_at(&scene, &scene.place),
				results[end] == STORE_OK && rows[row].to != STORE_MBOX ? 4 : 3);
			scene_end(&scene);
		}
}

static void test_mail_in_the_new_place(void **state)
{
	struct scene scene;
	(void)state;
	EACH_ROW(scene)
	{
		struct commit committing = {.result = STORE_OK, .happens = true};
		struct place first = scene.place;
		fill(&scene, 2);
		remember_uids(&scene, 2);
		struct conversion conversion =
			begin(&scene, rows[row].to, rows[row].path, &committing);
		scene.place.account += 1000;
		scene.place.kind = rows[row].to;
		snprintf(scene.place.path, sizeof scene.place.path, "%s", rows[row].path);
		scene_deliver(&scene, BYTES("somebody's\n"));
		scene.place = first;
		assert_int_equal(run(&scene, &conversion), STORE_EXISTS);
		assert_int_equal(committing.times, 0);
		assert_int_equal(count_at(&scene, &conversion.to), 1);
		expect(&scene, 2);
		scene_end(&scene);
	}
}

/* Interrupted at the commit: what the row says decides. */
static void test_resume(void **state)
{
	struct scene scene;
	struct error error = {0};
	(void)state;
	for (int happened = 0; happened < 2; happened++) {
		EACH_ROW(scene)
		{
			struct commit committing = {.result = STORE_UNKNOWN,
						    .happens = happened == 1};
			struct place first = scene.place;
			bool resumed = false;
			fill(&scene, 3);
			remember_uids(&scene, 3);
			struct conversion conversion =
				begin(&scene, rows[row].to, rows[row].path, &committing);
			assert_int_equal(run(&scene, &conversion), STORE_UNKNOWN);
			assert_true(has_record(&scene));
			expect(&scene, 3);
			assert_int_equal(
				store_convert_resume(&scene.root, &scene.place, &resumed, &error),
				STORE_OK);
			assert_true(resumed);
			assert_false(has_record(&scene));
			assert_int_equal(count_at(&scene, happened ? &first : &conversion.to), 0);
			expect(&scene, 3);
			expect_clean(&scene);
			assert_int_equal(
				store_convert_resume(&scene.root, &scene.place, &resumed, &error),
				STORE_OK);
			assert_false(resumed);
			scene_end(&scene);
		}
	}
}

/* A delivery that knew the old place came between the commit and the raise of the generation. */
/* What was deleted in the new place since does not come back when the rest of the move is done. */
static void test_deleted_since(void **state)
{
	struct scene scene;
	struct error error = {0};
	(void)state;
	EACH_ROW(scene)
	{
		struct commit committing = {.result = STORE_UNKNOWN, .happens = true};
		uint8_t marks = 1 << 1;
		bool resumed;
		fill(&scene, 3);
		struct conversion conversion =
			begin(&scene, rows[row].to, rows[row].path, &committing);
		assert_int_equal(run(&scene, &conversion), STORE_UNKNOWN);
		struct maildrop *maildrop = scene_open(&scene);
		assert_int_equal(maildrop_update(maildrop, &marks, &error), STORE_OK);
		maildrop_close(maildrop);
		assert_int_equal(store_convert_resume(&scene.root, &scene.place, &resumed, &error),
				 STORE_OK);
		assert_true(resumed);
		assert_int_equal(count_at(&scene, &scene.place), 2);
		assert_int_equal(count_at(&scene, &conversion.from), 0);
		scene_end(&scene);
	}
}

static void test_straggler(void **state)
{
	struct scene scene;
	struct error error = {0};
	(void)state;
	EACH_ROW(scene)
	{
		struct commit committing = {.result = STORE_UNKNOWN, .happens = true};
		struct place first = scene.place, now;
		struct buffer room;
		bool resumed;
		fill(&scene, 3);
		remember_uids(&scene, 3);
		struct conversion conversion =
			begin(&scene, rows[row].to, rows[row].path, &committing);
		assert_int_equal(run(&scene, &conversion), STORE_UNKNOWN);
		now = scene.place;
		scene.place = first;
		memcpy(uids[4], "late", 5);
		assert_int_equal(scene_try_deliver(&scene, text_of(4, &room), (struct bytes){0},
						   uids[4], true),
				 STORE_OK);
		buffer_free(&room);
		scene.place = now;
		assert_int_equal(store_convert_resume(&scene.root, &scene.place, &resumed, &error),
				 STORE_OK);
		expect(&scene, 4);
		expect_clean(&scene); /* before another look at the old place takes the index */
		assert_int_equal(count_at(&scene, &first), 0);
		scene_end(&scene);
	}
}

static void test_next_conversion_resumes(void **state)
{
	struct scene scene;
	(void)state;
	EACH_ROW(scene)
	{
		struct commit committing = {.result = STORE_UNKNOWN};
		fill(&scene, 3);
		remember_uids(&scene, 3);
		struct conversion conversion =
			begin(&scene, rows[row].to, rows[row].path, &committing);
		assert_int_equal(run(&scene, &conversion), STORE_UNKNOWN);
		committing.result = STORE_OK;
		committing.happens = true;
		assert_int_equal(run(&scene, &conversion), STORE_OK);
		expect(&scene, 3);
		expect_clean(&scene);
		scene_end(&scene);
	}
}

static void test_sender_and_date_stay(void **state)
{
	struct scene scene;
	(void)state;
	EACH_ROW(scene)
	{
		struct commit committing = {.result = STORE_OK, .happens = true};
		struct maildrop_envelope envelope;
		fill(&scene, 1);
		struct conversion conversion =
			begin(&scene, rows[row].to, rows[row].path, &committing);
		assert_int_equal(run(&scene, &conversion), STORE_OK);
		struct maildrop *maildrop = scene_open(&scene);
		maildrop_envelope(maildrop, 1, &envelope);
		assert_int_equal(envelope.received_unix_seconds, 1795312860);
		if (rows[row].from != STORE_MAILDIR && rows[row].to != STORE_MAILDIR)
			test_equal_bytes(bytes_of(envelope.sender), BYTES("bob@example.net"));
		maildrop_close(maildrop);
		scene_end(&scene);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_there_and_back),          cmocka_unit_test(test_through_all_kinds),
	cmocka_unit_test(test_old_places_are_changed),  cmocka_unit_test(test_locks),
	cmocka_unit_test(test_refused_commit),          cmocka_unit_test(test_others_mail_stays),
	cmocka_unit_test(test_mail_in_the_new_place),   cmocka_unit_test(test_resume),
	cmocka_unit_test(test_deleted_since),           cmocka_unit_test(test_straggler),
	cmocka_unit_test(test_next_conversion_resumes), cmocka_unit_test(test_sender_and_date_stay),
};

TEST_MAIN(tests)
