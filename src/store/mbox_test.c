/*
 * mbox_test: what the own mbox must bear: torn and altered files, a useless index, files that are
 * no mailbox, and removal in its own place.
 */
#include <fcntl.h>

#include "base/number.h"
#include "store/index.h"
#include "store/journal.h"
#include "store/mbox_line.h"
#include "store/test_scene.h"

#define TEXT_A BYTES("Subject: a\n\nthe first\n")
#define TEXT_B BYTES("Subject: b\n\nFrom the second\n")
#define TEXT_C BYTES("Subject: c\n\nthe third\n")

static struct buffer slurp(const char *path)
{
	struct buffer content;
	char piece[4096];
	ssize_t length;
	int descriptor = open(path, O_RDONLY);
	buffer_init(&content, 1 << 24);
	assert_true(descriptor >= 0);
	while ((length = read(descriptor, piece, sizeof piece)) > 0)
		assert_true(buffer_append(&content, (struct bytes){piece, (size_t)length}));
	close(descriptor);
	return content;
}

static void spew(const char *path, struct bytes content)
{
	int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, content.data, content.length), content.length);
	close(descriptor);
}

static void begin_with_three(struct scene *scene, char mbox[160], char index[160])
{
	scene_begin(scene, STORE_MBOX);
	scene_deliver(scene, TEXT_A);
	scene_deliver(scene, TEXT_B);
	scene_deliver(scene, TEXT_C);
	scene_file(scene, "mail/example.org/alice", mbox);
	scene_index_file(scene, index);
}

static size_t findings_of(struct scene *scene)
{
	struct findings findings;
	struct error error = {0};
	assert_int_equal(store_verify(&scene->root, &scene->place, &findings, &error), STORE_OK);
	size_t count = findings.count;
	findings_free(&findings);
	return count;
}

/* ---- the usual case reads no mail ---- */

static void an_unchanged_maildrop_reads_no_mail(void **state)
{
	(void)state;
	struct scene scene;
	scene_begin(&scene, STORE_MBOX);
	char *text = malloc(1000000);
	memset(text, 'x', 1000000);
	scene_deliver(&scene, (struct bytes){text, 1000000});
	for (unsigned i = 0; i < 3; i++) {
		uint64_t before = file_octets_read();
		struct maildrop *maildrop = scene_open(&scene);
		assert_int_equal(maildrop_summary(maildrop).octets, 1000002);
		assert_true(file_octets_read() - before < 2048);
		maildrop_close(maildrop);
	}
	free(text);
	scene_end(&scene);
}

static void a_maildrop_that_grew_is_read_from_where_it_grew(void **state)
{
	(void)state;
	struct scene scene;
	char index[160], mbox[160];
	scene_begin(&scene, STORE_MBOX);
	char *text = malloc(1000000);
	memset(text, 'x', 1000000);
	scene_deliver(&scene, (struct bytes){text, 1000000});
	scene_index_file(&scene, index);
	scene_file(&scene, "mail/example.org/alice", mbox);
	struct buffer old_index = slurp(index);
	scene_deliver(&scene, TEXT_A);
	spew(index, buffer_bytes(&old_index));
	uint64_t before = file_octets_read();
	struct maildrop *maildrop = scene_open(&scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 2);
	assert_true(file_octets_read() - before < 8192);
	scene_expect(maildrop, 2, TEXT_A);
	maildrop_close(maildrop);
	buffer_free(&old_index);
	free(text);
	scene_end(&scene);
}

/* A tmpfs has no RWF_NOWAIT: each call that must not wait says AGAIN, as for mail that is not in
 * the page cache, and the same call that may wait goes on from there. */
static void calls_that_must_not_wait(void **state)
{
	(void)state;
	struct scene scene;
	struct error error = {0};
	struct maildrop_entry entry;
	struct bytes texts[] = {TEXT_A, TEXT_B, BYTES("")};
	size_t length;
	char octets[4096];
	scene_begin_in(&scene, STORE_MBOX, "/dev/shm");
	for (unsigned i = 0; i < 3; i++)
		scene_deliver(&scene, texts[i]);
	struct maildrop *maildrop = scene_open(&scene);
	for (uint32_t i = 0; i < 3; i++) {
		if (maildrop_table(maildrop, i + 1, 1, true, &entry, &error) == STORE_OK) {
			maildrop_close(maildrop);
			scene_end(&scene);
			test_skip("/dev/shm is no tmpfs");
		}
		assert_int_equal(maildrop_read(maildrop, i + 1, 0, true, octets, sizeof octets,
					       &length, &error),
				 STORE_AGAIN);
		scene_expect(maildrop, i + 1, texts[i]);
	}
	maildrop_close(maildrop);
	scene_end(&scene);
}

/* ---- torn tails ---- */

static void cut_at_every_octet(void **state)
{
	(void)state;
	struct scene scene;
	char mbox[160], index[160];
	begin_with_three(&scene, mbox, index);
	struct buffer whole = slurp(mbox), whole_index = slurp(index);
	for (size_t length = 0; length <= whole.length; length++) {
		char name[32];
		snprintf(name, sizeof name, "cut at %zu", length);
		test_row(name);
		spew(mbox, bytes_first(buffer_bytes(&whole), length));
		spew(index, buffer_bytes(&whole_index));
		if (length % 2 == 0)
			assert_int_equal(unlink(index), 0);
		struct maildrop *maildrop = scene_open(&scene);
		uint32_t messages = maildrop_summary(maildrop).messages;
		test_check(messages <= 3 && (length < whole.length || messages == 3));
		for (uint32_t i = 1; i <= messages; i++)
			scene_expect(maildrop, i, i == 1 ? TEXT_A : i == 2 ? TEXT_B : TEXT_C);
		maildrop_close(maildrop);
		scene_deliver(&scene, TEXT_A);
		maildrop = scene_open(&scene);
		test_check(maildrop_summary(maildrop).messages == messages + 1);
		scene_expect(maildrop, messages + 1, TEXT_A);
		maildrop_close(maildrop);
		test_check(findings_of(&scene) == 0);
	}
	buffer_free(&whole);
	buffer_free(&whole_index);
	scene_end(&scene);
}

/* Whatever single octet is altered, with or without the index: every other message is there, and
 * the altered one is refused or set aside, never handed out. */
static void alter_every_octet(void **state)
{
	(void)state;
	struct scene scene;
	char mbox[160], index[160];
	begin_with_three(&scene, mbox, index);
	struct buffer whole = slurp(mbox), whole_index = slurp(index);
	for (size_t at = 0; at < 2 * whole.length; at++) {
		char name[32];
		snprintf(name, sizeof name, "altered at %zu", at);
		test_row(name);
		whole.data[at / 2] ^= 0x20;
		spew(mbox, buffer_bytes(&whole));
		whole.data[at / 2] ^= 0x20;
		spew(index, buffer_bytes(&whole_index));
		if (at % 2 == 0)
			assert_int_equal(unlink(index), 0);
		struct maildrop *maildrop = scene_open(&scene);
		uint32_t right = 0;
		for (uint32_t i = 1; i <= maildrop_summary(maildrop).messages; i++) {
			struct buffer read;
			if (scene_read(maildrop, i, 4096, &read) == STORE_OK) {
				struct bytes got = buffer_bytes(&read);
				test_check(bytes_equal(got, TEXT_A) || bytes_equal(got, TEXT_B) ||
					   bytes_equal(got, TEXT_C));
				right++;
			}
			buffer_free(&read);
		}
		test_check(right >= 2);
		maildrop_close(maildrop);
	}
	buffer_free(&whole);
	buffer_free(&whole_index);
	scene_end(&scene);
}

/* Adds up the octets that were set aside: the last part of such a name. */
static bool count_aside(void *context, const char *name)
{
	size_t *octets = context;
	const char *dot = strrchr(name, '.');
	uint64_t length = 0;
	if (bytes_start_with(bytes_of(name), BYTES("aside.")) &&
	    number_parse(bytes_of(dot + 1), UINT32_MAX, &length))
		*octets += length;
	return true;
}

/* A sender writes a line of ours into his message, for the day that an octet of the record goes
 * bad: nothing behind it may be hidden, cut, or get an id that is not its own. */
static void forged_lines(void **state)
{
	(void)state;
	static const char *const places[] = {"see: %s and so on\n", "%s\n", ">%s\n", "\r%s\n"};
	for (size_t row = 0; row < 2 * sizeof places / sizeof places[0]; row++) {
		struct scene scene;
		char mbox[160], index[160], forged[FROM_LINE_MAX], text[2 * FROM_LINE_MAX];
		test_row(places[row / 2]);
		struct mbox_line line = {
			.length = row % 2 == 0 ? 999999999 : 3, .uid_length = 6, .uid = "forged"};
		size_t length = mbox_line_print(&line, BYTES("a@b"), forged);
		forged[length - 1] = '\0';
		snprintf(text, sizeof text, places[row / 2], forged);
		scene_begin(&scene, STORE_MBOX);
		scene_deliver(&scene, TEXT_A);
		scene_deliver(&scene, bytes_of(text));
		scene_deliver(&scene, TEXT_B);
		scene_deliver(&scene, TEXT_C);
		scene_file(&scene, "mail/example.org/alice", mbox);
		scene_index_file(&scene, index);
		struct buffer whole = slurp(mbox);
		struct mbox_line first;
		assert_int_equal(mbox_line_parse(buffer_bytes(&whole), &first), MBOX_LINE_OK);
		whole.data[mbox_record_octets(&first) + 6] ^= 1; /* in the forger's From line */
		spew(mbox, buffer_bytes(&whole));
		unlink(index);
		struct maildrop *maildrop = scene_open(&scene);
		test_check(maildrop_summary(maildrop).messages == 3);
		scene_expect(maildrop, 1, TEXT_A);
		scene_expect(maildrop, 2, TEXT_B);
		scene_expect(maildrop, 3, TEXT_C);
		maildrop_close(maildrop);
		buffer_free(&whole);
		scene_end(&scene);
	}
}

/* What is torn behind octets that are not ours may be anything: it is kept aside with them. */
static void torn_behind_strange_is_set_aside(void **state)
{
	(void)state;
	struct scene scene;
	char mbox[160], index[160];
	size_t aside = 0;
	begin_with_three(&scene, mbox, index);
	struct buffer whole = slurp(mbox);
	struct mbox_line first;
	assert_int_equal(mbox_line_parse(buffer_bytes(&whole), &first), MBOX_LINE_OK);
	whole.data[mbox_record_octets(&first) + 6] ^= 1; /* the second's From line */
	spew(mbox, bytes_first(buffer_bytes(&whole), whole.length - 4));
	unlink(index);
	struct maildrop *maildrop = scene_open(&scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 1);
	maildrop_close(maildrop);
	struct buffer now = slurp(mbox);
	assert_int_equal(now.length, mbox_record_octets(&first));
	assert_int_equal(file_list(scene.root.journal, count_aside, &aside), 0);
	assert_int_equal(aside, whole.length - 4 - now.length);
	buffer_free(&now);
	buffer_free(&whole);
	scene_end(&scene);
}

static void a_full_tail_that_fails_is_set_aside(void **state)
{
	(void)state;
	struct scene scene;
	char mbox[160], index[160];
	size_t aside = 0;
	begin_with_three(&scene, mbox, index);
	struct buffer whole = slurp(mbox);
	whole.data[whole.length - 3] ^= 1;
	spew(mbox, buffer_bytes(&whole));
	unlink(index);
	struct maildrop *maildrop = scene_open(&scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 2);
	maildrop_close(maildrop);
	assert_int_equal(file_list(scene.root.journal, count_aside, &aside), 0);
	assert_true(aside > 0);
	assert_int_equal(findings_of(&scene), 1);
	maildrop_close(scene_open(&scene));
	buffer_free(&whole);
	scene_end(&scene);
}

static bool count_name(void *context, const char *name)
{
	size_t *count = context;
	(void)name;
	++*count;
	return true;
}

/* Nothing of the mail stays, whatever a crash had left; and doing it twice is fine. */
static void erasing_leaves_nothing(void **state)
{
	(void)state;
	struct scene scene;
	struct error error = {0};
	char mbox[160], index[160], path[160];
	size_t left = 0;
	begin_with_three(&scene, mbox, index);
	snprintf(path, sizeof path, "%s/journal/aside.%llu.00000000.7", scene.path,
		 (unsigned long long)scene.place.account);
	spew(path, BYTES("content"));
	snprintf(path, sizeof path, "%s/journal/%llu.redo", scene.path,
		 (unsigned long long)scene.place.account);
	spew(path, BYTES("content"));
	snprintf(path, sizeof path, "%s/mail/example.org/.postern-%llu.new", scene.path,
		 (unsigned long long)scene.place.account);
	spew(path, BYTES("content"));
	assert_int_equal(store_retire(&scene.root, &scene.place, STORE_ERASE, &error), STORE_OK);
	assert_int_equal(store_retire(&scene.root, &scene.place, STORE_ERASE, &error),
			 STORE_CHANGED);
	assert_int_equal(
		store_retire(&scene.root, &scene.place, STORE_ERASE | STORE_RESUME, &error),
		STORE_OK);
	struct file *folder;
	assert_int_equal(file_open(scene.root.mail[0], "example.org", FILE_DIRECTORY, &folder), 0);
	assert_int_equal(file_list(folder, count_name, &left), 0);
	assert_int_equal(file_list(scene.root.journal, count_name, &left), 0);
	assert_int_equal(file_list(scene.root.index, count_name, &left), 0);
	assert_int_equal(left, 0);
	file_close(folder);
	scene_end(&scene);
}

/* Not even the domain's folder is there. */
static void erasing_what_never_got_mail(void **state)
{
	(void)state;
	struct scene scene;
	struct error error = {0};
	scene_begin(&scene, STORE_MBOX);
	assert_int_equal(store_retire(&scene.root, &scene.place, STORE_ERASE, &error), STORE_OK);
	scene_end(&scene);
}

/* ---- a useless index ---- */

/* A hole in the middle, and a file that has grown since: all is scanned, nothing refused. */
static void a_hole_in_an_index_that_is_behind(void **state)
{
	(void)state;
	struct scene scene;
	char mbox[160], index[160];
	begin_with_three(&scene, mbox, index);
	struct buffer whole = slurp(index);
	scene_deliver(&scene, TEXT_A);
	memset(whole.data + 128, 0, 128);
	spew(index, buffer_bytes(&whole));
	struct maildrop *maildrop = scene_open(&scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 4);
	scene_expect(maildrop, 4, TEXT_A);
	maildrop_close(maildrop);
	buffer_free(&whole);
	scene_end(&scene);
}

static void any_index_gives_the_same_table(void **state)
{
	(void)state;
	struct scene scene;
	char mbox[160], index[160];
	begin_with_three(&scene, mbox, index);
	struct buffer whole = slurp(index);
	for (size_t row = 0; row < whole.length * 2 + 3; row++) {
		char name[32];
		snprintf(name, sizeof name, "index %zu", row);
		test_row(name);
		struct bytes content = buffer_bytes(&whole);
		if (row < whole.length) {
			whole.data[row] ^= 0x55;
			spew(index, content);
			whole.data[row] ^= 0x55;
		} else if (row < 2 * whole.length) {
			spew(index, bytes_first(content, row - whole.length));
		} else if (row == 2 * whole.length) {
			spew(index, BYTES("not an index at all"));
		} else {
			unlink(index);
		}
		struct error error = {0};
		struct maildrop_entry entries[3];
		struct maildrop *maildrop = scene_open(&scene);
		test_check(maildrop_summary(maildrop).messages == 3);
		enum store_result result = maildrop_table(maildrop, 1, 3, false, entries, &error);
		if (result !=
		    STORE_OK) { /* an entry amid a live index: the next opening is right */
			test_check(result == STORE_IO);
			maildrop_close(maildrop);
			maildrop = scene_open(&scene);
		}
		scene_expect(maildrop, 1, TEXT_A);
		scene_expect(maildrop, 2, TEXT_B);
		scene_expect(maildrop, 3, TEXT_C);
		maildrop_close(maildrop);
	}
	buffer_free(&whole);
	scene_end(&scene);
}

/* ---- files that are no mailbox ---- */

static void strange_files(void **state)
{
	(void)state;
	char *long_line = malloc(10000001);
	memset(long_line, 'y', 10000000);
	long_line[10000000] = '\n';
	const struct {
		const char *name;
		struct bytes content;
		uint32_t messages;
	} rows[] = {
		{"0 octets", BYTES(""), 0},
		{"binary", BYTES("\0\1\2\3\377\376"), 0},
		{"another program's mbox", BYTES("From x Sat Nov 22 2026\nSubject: y\n\nz\n\n"), 0},
		{"CRLF", BYTES("From x\r\n\r\n"), 0},
		{"only a line end", BYTES("\n"), 0},
		{"a 10 MB line", {long_line, 10000001}, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct scene scene;
		char mbox[160], index[160];
		test_row(rows[i].name);
		scene_begin(&scene, STORE_MBOX);
		scene_file(&scene, "mail/example.org", mbox);
		assert_int_equal(mkdir(mbox, 0700), 0);
		scene_file(&scene, "mail/example.org/alice", mbox);
		scene_index_file(&scene, index);
		spew(mbox, rows[i].content);
		struct maildrop *maildrop = scene_open(&scene);
		test_check(maildrop_summary(maildrop).messages == rows[i].messages);
		maildrop_close(maildrop);
		scene_deliver(&scene, TEXT_A);
		maildrop = scene_open(&scene);
		scene_expect(maildrop, rows[i].messages + 1, TEXT_A);
		maildrop_close(maildrop);
		scene_end(&scene);
	}
	free(long_line);
}

static void what_is_no_file_is_refused(void **state)
{
	(void)state;
	static const char *const names[] = {"fifo", "symbolic link", "directory"};
	for (unsigned row = 0; row < 3; row++) {
		struct scene scene;
		char path[160];
		struct error error = {0};
		struct maildrop *maildrop;
		test_row(names[row]);
		scene_begin(&scene, STORE_MBOX);
		scene_file(&scene, "mail/example.org", path);
		assert_int_equal(mkdir(path, 0700), 0);
		scene_file(&scene, "mail/example.org/alice", path);
		assert_int_equal(row == 0   ? mkfifo(path, 0600)
				 : row == 1 ? symlink("/etc/passwd", path)
					    : mkdir(path, 0700),
				 0);
		test_check(maildrop_open(&scene.root, &scene.place, 0, &maildrop, &error) ==
			   STORE_IO);
		test_check(error.text[0] != '\0');
		test_check(scene_try_deliver(&scene, TEXT_A, (struct bytes){0}, "", true) ==
			   STORE_IO);
		scene_end(&scene);
	}
}

/* ---- removal in its own place ---- */

static void compact_in_place(void **state)
{
	(void)state;
	const size_t size = 3 * JOURNAL_PIECE_OCTETS + 4321;
	const struct {
		const char *name;
		struct range keep[4];
		size_t count;
	} rows[] = {
		{"nothing", {{0, 0}}, 0},
		{"front", {{0, 1000}}, 1},
		{"back", {{17, size}}, 1},
		{"big hole", {{0, 5}, {2 * JOURNAL_PIECE_OCTETS, size}}, 2},
		{"runs", {{0, 5}, {6, 7}, {8, 2000000}, {2000001, size}}, 4},
		{"middle", {{100, JOURNAL_PIECE_OCTETS + 100}}, 1},
	};
	char *text = malloc(size);
	for (size_t at = 0; at < size; at++)
		text[at] = (char)(at * 2654435761u >> 13);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct scene scene;
		struct error error = {0};
		struct file *file;
		char path[160];
		struct buffer expected;
		test_row(rows[i].name);
		scene_begin(&scene, STORE_MBOX);
		assert_int_equal(store_make_reserve(&scene.root, &error), STORE_OK);
		snprintf(scene.place.path, sizeof scene.place.path, "plain");
		scene_file(&scene, "mail/plain", path);
		for (unsigned round = 0; round < 2; round++) { /* the reserve comes back */
			spew(path, (struct bytes){text, size});
			assert_int_equal(file_open(scene.root.mail[0], "plain", FILE_WRITE, &file),
					 0);
			test_check(journal_compact(&scene.root, &scene.place, file, size,
						   rows[i].keep, rows[i].count, false,
						   &error) == STORE_OK);
			file_close(file);
			buffer_init(&expected, size);
			for (size_t k = 0; k < rows[i].count; k++)
				buffer_append(&expected,
					      (struct bytes){text + rows[i].keep[k].start,
							     rows[i].keep[k].end -
								     rows[i].keep[k].start});
			struct buffer got = slurp(path);
			test_check(bytes_equal(buffer_bytes(&got), buffer_bytes(&expected)));
			test_check(journal_replay(&scene.root, &scene.place) == 0);
			buffer_free(&got);
			buffer_free(&expected);
		}
		store_free_reserve(&scene.root);
		scene_end(&scene);
	}
	free(text);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(an_unchanged_maildrop_reads_no_mail),
	cmocka_unit_test(a_maildrop_that_grew_is_read_from_where_it_grew),
	cmocka_unit_test(calls_that_must_not_wait),
	cmocka_unit_test(cut_at_every_octet),
	cmocka_unit_test(alter_every_octet),
	cmocka_unit_test(forged_lines),
	cmocka_unit_test(torn_behind_strange_is_set_aside),
	cmocka_unit_test(a_full_tail_that_fails_is_set_aside),
	cmocka_unit_test(erasing_leaves_nothing),
	cmocka_unit_test(erasing_what_never_got_mail),
	cmocka_unit_test(a_hole_in_an_index_that_is_behind),
	cmocka_unit_test(any_index_gives_the_same_table),
	cmocka_unit_test(strange_files),
	cmocka_unit_test(what_is_no_file_is_refused),
	cmocka_unit_test(compact_in_place),
};

TEST_MAIN(tests)
