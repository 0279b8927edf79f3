/*
 * Spools as other programs leave them: what is read of them, which unique-ids come out,
 * and what a session gets when the file is not what it was.
 */
#include <fcntl.h>
#include <unistd.h>

#include "store/index.h"
#include "store/test_scene.h"

#define FROM    "From x@y Sun Nov 22 02:01:00 2026\n"
#define FROM_CR "From x@y Sun Nov 22 02:01:00 2026\r\n"

static void spool_path(const struct scene *scene, char path[160])
{
	scene_file(scene, "mail/alice", path);
}

static void begin(struct scene *scene)
{
	scene_begin(scene, STORE_SPOOL);
	snprintf(scene->place.path, sizeof scene->place.path, "alice");
}

static void spew(const struct scene *scene, struct bytes content, int flags)
{
	char path[160];
	spool_path(scene, path);
	int descriptor = open(path, O_WRONLY | O_CREAT | flags, 0600);
	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, content.data, content.length), content.length);
	close(descriptor);
}

static struct buffer slurp(const struct scene *scene)
{
	struct buffer content;
	char path[160], piece[4096];
	ssize_t length;
	spool_path(scene, path);
	int descriptor = open(path, O_RDONLY);
	buffer_init(&content, 1 << 25);
	assert_true(descriptor >= 0);
	while ((length = read(descriptor, piece, sizeof piece)) > 0)
		assert_true(buffer_append(&content, (struct bytes){piece, (size_t)length}));
	close(descriptor);
	return content;
}

/* ---- reading ---- */

/* What MTAs, and older ones, write on the From line. */
static void sender_and_date(void **state)
{
	static const struct {
		const char *line, *sender;
		int64_t unix_seconds;
	} lines[] = {
		{"From x@y Sun Nov 22 02:01:00 2026\n", "x@y", 1795312860},
		{"From x@y Sun Nov 22 02:01:00 2026\r\n", "x@y", 1795312860},
		{"From x@y Sun Nov 22 03:01:00 2026 +0100\n", "x@y", 1795312860},
		{"From x@y Sun Nov 22 02:01 UTC 2026\n", "x@y", 1795312860},
		{"From MAILER-DAEMON Sun Nov 22 02:01:00 2026\n", "", 1795312860},
		{"From x@y whenever\n", "x@y", 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct scene scene;
		struct maildrop_envelope envelope;
		test_row(lines[i].line);
		begin(&scene);
		spew(&scene, bytes_of(lines[i].line), O_APPEND);
		spew(&scene, BYTES("a\n\n"), O_APPEND);
		struct maildrop *maildrop = scene_open(&scene);
		maildrop_envelope(maildrop, 1, &envelope);
		test_equal_bytes(bytes_of(envelope.sender), bytes_of(lines[i].sender));
		test_check(envelope.received_unix_seconds == lines[i].unix_seconds);
		maildrop_close(maildrop);
		scene_end(&scene);
	}
}

static const struct row {
	const char *name;
	struct bytes file;
	const char *messages[4];
} rows[] = {
	{"nothing", {"", 0}, {NULL}},
	{"only LF", BYTES("\n\n\n"), {NULL}},
	{"no mailbox", BYTES("hello\nFrom x\n"), {NULL}},
	{"binary", BYTES("\0\1\2\377From \0\n\n\n\0"), {NULL}},
	{"one", BYTES(FROM "a: b\n\nc\n\n"), {"a: b\n\nc\n"}},
	{"one without its blank line", BYTES(FROM "a: b\n\nc\n"), {"a: b\n\nc\n"}},
	{"one without its last line end", BYTES(FROM "a: b\n\nc"), {"a: b\n\nc\n"}},
	{"one that ends in blank lines", BYTES(FROM "a\n\n\n\n"), {"a\n\n\n"}},
	{"an empty one", BYTES(FROM "\n" FROM "a\n\n"), {"", "a\n"}},
	{"a From line and no more", BYTES(FROM), {""}},
	{"a torn From line", BYTES(FROM "a\n\nFrom x@y Su"), {"a\n", ""}},
	{"two", BYTES(FROM "a\n\n" FROM "b\n\n"), {"a\n", "b\n"}},
	{"no blank line, but a date", BYTES(FROM "a\n" FROM "b\n\n"), {"a\n", "b\n"}},
	{"no blank line and no date", BYTES(FROM "a\nFrom here\nb\n\n"), {"a\nFrom here\nb\n"}},
	{"a blank line and no date", BYTES(FROM "a\n\nFrom here\nb\n\n"), {"a\n", "b\n"}},
	{"quoted by others", BYTES(FROM "a\n\n>From here\n\n"), {"a\n\n>From here\n"}},
	{"garbage first", BYTES("x\n\n" FROM "a\n\n"), {"a\n"}},
	{"garbage first, no blank line", BYTES("x\n" FROM "a\n\n"), {"a\n"}},
	{"CRLF",
	 BYTES(FROM_CR "a\r\n\r\nb\r\n\r\n" FROM_CR "c\r\rd\r\n\r\n"),
	 {"a\n\nb\n", "c\r\rd\n"}},
	{"CRLF, torn behind CR", BYTES(FROM_CR "a\r"), {"a\n"}},
	{"CR as data", BYTES(FROM "a\r\n\nb\r\n\n"), {"a\r\n\nb\r\n"}},
	{"our quoting",
	 BYTES("From x Sun Nov 22 02:01:00 2026 mboxrd=2\na\n\n>From b\n>>From c\n\n"),
	 {"a\n\nFrom b\n>From c\n"}},
	{"our quoting, altered",
	 BYTES("From x Sun Nov 22 02:01:00 2026 mboxrd=2\na\n\n>From b\n\n"),
	 {"a\n\n>From b\n"}},
	{"our quoting, one unquoted",
	 BYTES("From x Sun Nov 22 02:01:00 2026 mboxrd=2\na\nFrom b\n>From c\n\n"),
	 {"a\nFrom b\n>From c\n"}},
	{"a false Content-Length",
	 BYTES(FROM "Content-Length: 9999\n\na\n\n" FROM "b\n\n"),
	 {"Content-Length: 9999\n\na\n", "b\n"}},
};

static void what_is_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct scene scene;
		uint32_t count = 0;
		test_row(rows[i].name);
		begin(&scene);
		spew(&scene, rows[i].file, O_TRUNC);
		struct maildrop *maildrop = scene_open(&scene);
		while (count < 4 && rows[i].messages[count] != NULL)
			count++;
		assert_int_equal(maildrop_summary(maildrop).messages, count);
		for (uint32_t n = 0; n < count; n++)
			scene_expect(maildrop, n + 1, bytes_of(rows[i].messages[n]));
		maildrop_close(maildrop);
		struct buffer after = slurp(&scene);
		test_equal_bytes(buffer_bytes(&after), rows[i].file); /* looking changes nothing */
		buffer_free(&after);
		scene_end(&scene);
	}
}

/* Whatever stood in the file stays there, and ours comes out as it went in. */
static void what_is_delivered_behind_it(void **state)
{
	static const char text[] = "Subject: x\n\nFrom me\n>From you\n\nFrom us\n";
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct scene scene;
		uint32_t count = 0;
		test_row(rows[i].name);
		begin(&scene);
		spew(&scene, rows[i].file, O_TRUNC);
		scene_deliver(&scene, bytes_of(text));
		scene_deliver(&scene, BYTES("b"));
		struct maildrop *maildrop = scene_open(&scene);
		while (count < 4 && rows[i].messages[count] != NULL)
			count++;
		assert_int_equal(maildrop_summary(maildrop).messages, count + 2);
		for (uint32_t n = 0; n < count; n++)
			scene_expect(maildrop, n + 1, bytes_of(rows[i].messages[n]));
		scene_expect(maildrop, count + 1, bytes_of(text));
		scene_expect(maildrop, count + 2, BYTES("b\n"));
		maildrop_close(maildrop);
		struct buffer after = slurp(&scene);
		assert_true(bytes_start_with(buffer_bytes(&after), rows[i].file));
		buffer_free(&after);
		scene_end(&scene);
	}
}

static void a_line_of_ten_megabytes(void **state)
{
	(void)state;
	enum { size = 10 * 1024 * 1024 };
	static char octets[size + 1024];
	for (unsigned round = 0; round < 2; round++) {
		struct scene scene;
		struct bytes from = BYTES(FROM);
		size_t front = round == 0 ? from.length : 0;
		begin(&scene);
		memcpy(octets, from.data, front);
		memset(octets + front, 'F', size);
		if (round == 1)
			memcpy(octets, "From x", 6); /* too long for a From line */
		memcpy(octets + front + size, "\n\n" FROM "a\n", 38);
		spew(&scene, (struct bytes){octets, front + size + 38}, O_TRUNC);
		struct maildrop *maildrop = scene_open(&scene);
		assert_int_equal(maildrop_summary(maildrop).messages, round == 0 ? 2 : 1);
		if (round == 0)
			scene_expect(maildrop, 1, (struct bytes){octets + front, size + 1});
		scene_expect(maildrop, round == 0 ? 2 : 1, BYTES("a\n"));
		maildrop_close(maildrop);
		scene_end(&scene);
	}
}

/* ---- unique-ids ---- */

static struct maildrop_entry entry_of(const struct scene *scene, uint32_t number)
{
	struct maildrop *maildrop = scene_open(scene);
	struct maildrop_entry entry = scene_entry(maildrop, number);
	maildrop_close(maildrop);
	return entry;
}

/* What mail readers write into a message changes nothing, anything else does. */
static void unique_ids(void **state)
{
	static const struct {
		const char *name, *text;
		bool same;
	} ids[] = {
		{"the message", "A: 1\nB: 2\n\nbody\n\n", true},
		{"mutt",
		 "A: 1\nB: 2\nStatus: RO\nX-Status: A\nContent-Length: 5\nLines: 1\n\nbody\n\n",
		 true},
		{"Dovecot", "A: 1\nX-UID: 12 \nX-Keywords: a\n b\n\tc\nStatus: O\nB: 2\n\nbody\n\n",
		 true},
		{"UW IMAP", "X-IMAP: 1 2\nA: 1\nX-IMAPbase: 1 2\nB: 2\nX-UID: 1\n\nbody\n\n", true},
		{"any case", "STATUS: x\nA: 1\nB: 2\n\nbody\n\n", true},
		{"no blank line behind", "A: 1\nB: 2\n\nbody\n", true},
		{"no line end", "A: 1\nB: 2\n\nbody", true},
		{"another header", "A: 1\nB: 3\n\nbody\n\n", false},
		{"another body", "A: 1\nB: 2\n\nBody\n\n", false},
		{"such a line in the body", "A: 1\nB: 2\n\nStatus: RO\nbody\n\n", false},
		{"a longer name", "A: 1\nB: 2\nStatus-X: RO\n\nbody\n\n", false},
		{"a continued line of another", "A: 1\nB: 2\n c\n\nbody\n\n", false},
	};
	char first[UID_MAX + 1] = "";
	(void)state;
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		struct scene scene;
		char file[512];
		test_row(ids[i].name);
		begin(&scene);
		snprintf(file, sizeof file, FROM "%s", ids[i].text);
		spew(&scene, bytes_of(file), O_TRUNC);
		struct maildrop_entry entry = entry_of(&scene, 1);
		assert_int_equal(entry.uid_length, 32);
		if (i == 0)
			memcpy(first, entry.uid, sizeof first);
		test_check((strcmp(entry.uid, first) == 0) == ids[i].same);
		scene_end(&scene);
	}
}

static void remove_message(const struct scene *scene, uint8_t bits)
{
	struct error error = {0};
	struct maildrop *maildrop = scene_open(scene);
	assert_int_equal(maildrop_update(maildrop, &bits, &error), STORE_OK);
	maildrop_close(maildrop);
}

static void identical_copies(void **state)
{
	struct scene scene;
	struct maildrop_entry entries[4];
	(void)state;
	begin(&scene);
	spew(&scene, BYTES(FROM "a\n\n" FROM "a\n\n" FROM "b\n\n"), O_TRUNC);
	for (uint32_t i = 0; i < 2; i++)
		entries[i] = entry_of(&scene, i + 1);
	assert_string_not_equal(entries[0].uid, entries[1].uid);
	remove_message(&scene, 1); /* the number stays with its copy */
	assert_string_equal(entry_of(&scene, 1).uid, entries[1].uid);
	spew(&scene, BYTES(FROM "a\n\n"), O_APPEND); /* and the next gets another */
	entries[2] = entry_of(&scene, 3);
	assert_string_not_equal(entries[2].uid, entries[0].uid);
	assert_string_not_equal(entries[2].uid, entries[1].uid);
	spew(&scene, BYTES(FROM "Status: RO\na\n\n" FROM "b\n\n" FROM "a\n\n"), O_TRUNC);
	assert_string_equal(entry_of(&scene, 1).uid, entries[1].uid); /* even marked and moved */
	assert_string_equal(entry_of(&scene, 3).uid, entries[2].uid);
	scene_end(&scene);
}

static void brought_along(void **state)
{
	struct scene scene;
	char index[160];
	struct bytes none = {NULL, 0};
	(void)state;
	begin(&scene);
	assert_int_equal(scene_try_deliver(&scene, BYTES("a\n"), none, "mine", true), STORE_OK);
	assert_int_equal(scene_try_deliver(&scene, BYTES("b\n"), none, "mine", true), STORE_EXISTS);
	assert_int_equal(scene_try_deliver(&scene, BYTES("a\n"), none, "mine.too", true), STORE_OK);
	assert_int_equal(scene_try_deliver(&scene, BYTES("a\n"), none, "", true), STORE_OK);
	for (unsigned round = 0; round < 2; round++) {
		assert_string_equal(entry_of(&scene, 1).uid, "mine");
		assert_string_equal(entry_of(&scene, 2).uid, "mine.too");
		assert_int_equal(entry_of(&scene, 3).uid_length, 34);
		scene_index_file(&scene, index);
		assert_int_equal(unlink(index), 0);
	}
	remove_message(&scene, 7);
	scene_end(&scene);
}

/* ---- what it reads ---- */

/* Once the clock has gone on, an unchanged spool is opened without reading its mail, and one that
 * grew from its last message on. */
static void little_is_read(void **state)
{
	struct scene scene;
	struct file_status status;
	struct file *file;
	(void)state;
	begin(&scene);
	char *text = malloc(1000000);
	memset(text, 'x', 1000000);
	scene_deliver(&scene, (struct bytes){text, 1000000});
	scene_deliver(&scene, BYTES("a\n"));
	free(text);
	assert_int_equal(file_open(scene.root.mail[0], "alice", FILE_READ, &file), 0);
	assert_int_equal(file_status(file, &status), 0);
	file_close(file);
	uint64_t later = status.changed_ns + 4000000000; /* where the clock has whole seconds */
	if (status.changed_ns % 1000000000 != 0)
		later = status.changed_ns + 50000000;
	while (disk_now_ns(scene.root.disk) < later)
		;
	maildrop_close(scene_open(&scene));
	for (unsigned round = 0; round < 2; round++) {
		uint64_t before = file_octets_read();
		struct maildrop *maildrop = scene_open(&scene);
		assert_int_equal(maildrop_summary(maildrop).messages, 2 + round);
		assert_true(file_octets_read() - before < 8192);
		maildrop_close(maildrop);
		spew(&scene, BYTES(FROM "b\n\n"), O_APPEND);
	}
	scene_end(&scene);
}

/* ---- files that are none, and files that change ---- */

static void make_nothing(const char *path)
{
	(void)path;
}

static void make_fifo(const char *path)
{
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void make_folder(const char *path)
{
	assert_int_equal(mkdir(path, 0700), 0);
}

static void make_link(const char *path)
{
	assert_int_equal(symlink("/etc/passwd", path), 0);
}

static void make_dangling_link(const char *path)
{
	assert_int_equal(symlink("nowhere", path), 0);
}

static void make_second_name(const char *path)
{
	char other[200];
	snprintf(other, sizeof other, "%s.other", path);
	int descriptor = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(descriptor >= 0);
	close(descriptor);
	assert_int_equal(link(path, other), 0);
}

static void what_is_no_spool(void **state)
{
	static const struct {
		const char *name;
		void (*make)(const char *path);
		const char *says;
	} kinds[] = {
		{"missing", make_nothing, NULL},
		{"a FIFO", make_fifo, "not a regular file"},
		{"a folder", make_folder, "not a regular file"},
		{"a symbolic link", make_link, "symbolic link"},
		{"a symbolic link to nothing", make_dangling_link, "symbolic link"},
		{"a second name", make_second_name, "second name"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct scene scene;
		struct error error = {0};
		struct maildrop *maildrop = NULL;
		struct findings findings;
		char path[160];
		enum store_result expected = kinds[i].says != NULL ? STORE_IO : STORE_OK;
		test_row(kinds[i].name);
		begin(&scene);
		spool_path(&scene, path);
		kinds[i].make(path);
		test_check(maildrop_open(&scene.root, &scene.place, STORE_SESSION, &maildrop,
					 &error) == expected);
		test_check(kinds[i].says == NULL || strstr(error.text, kinds[i].says) != NULL);
		maildrop_close(maildrop);
		test_check(store_verify(&scene.root, &scene.place, &findings, &error) == expected);
		findings_free(&findings);
		test_check(scene_try_deliver(&scene, BYTES("a\n"), (struct bytes){NULL, 0}, "",
					     true) == expected);
		scene_end(&scene);
	}
}

static void vanish(const struct scene *scene)
{
	char path[160];
	spool_path(scene, path);
	assert_int_equal(unlink(path), 0);
}

static void replace(const struct scene *scene)
{
	struct buffer content = slurp(scene);
	char path[160], other[200];
	spool_path(scene, path);
	snprintf(other, sizeof other, "%s.other", path);
	assert_int_equal(rename(path, other), 0); /* so that its number is not used again */
	spew(scene, buffer_bytes(&content), O_TRUNC);
	buffer_free(&content);
}

static void shrink(const struct scene *scene)
{
	char path[160];
	spool_path(scene, path);
	assert_int_equal(truncate(path, 37), 0);
}

static void rewrite(const struct scene *scene)
{
	spew(scene, BYTES(FROM "Status: RO\na\n\n" FROM "b\n\n"), O_TRUNC);
}

static void grow(const struct scene *scene)
{
	spew(scene, BYTES(FROM "c\n\n"), O_APPEND);
}

/* Without a From line what is appended is more of the last message. */
static void grow_within(const struct scene *scene)
{
	spew(scene, BYTES("c\n"), O_APPEND);
}

static void a_file_that_changes(void **state)
{
	static const struct {
		const char *name;
		void (*change)(const struct scene *scene);
		enum store_result reading, updating; /* of the second message */
		uint32_t left;
	} changes[] = {
		{"grows", grow, STORE_OK, STORE_OK, 2},
		{"grows within its last message", grow_within, STORE_OK, STORE_CHANGED, 2},
		{"vanishes", vanish, STORE_OK, STORE_CHANGED, 0},
		{"is replaced", replace, STORE_OK, STORE_CHANGED, 2},
		{"shrinks", shrink, STORE_CHANGED, STORE_CHANGED, 1},
		{"is rewritten", rewrite, STORE_CHANGED, STORE_CHANGED, 2},
	};
	(void)state;
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		struct scene scene;
		struct error error = {0};
		struct buffer read;
		uint8_t second = 2;
		test_row(changes[i].name);
		begin(&scene);
		spew(&scene, BYTES(FROM "a\n\n" FROM "b\n\n"), O_TRUNC);
		struct maildrop *maildrop = scene_open(&scene);
		changes[i].change(&scene);
		test_check(scene_read(maildrop, 2, 4096, &read) == changes[i].reading);
		buffer_free(&read);
		test_check(maildrop_update(maildrop, &second, &error) == changes[i].updating);
		maildrop_close(maildrop);
		maildrop = scene_open(&scene);
		test_check(maildrop_summary(maildrop).messages == changes[i].left);
		maildrop_close(maildrop);
		scene_end(&scene);
	}
}

/* ---- looking after ---- */

static size_t count_findings(const struct scene *scene, bool repair)
{
	struct findings findings;
	struct error error = {0};
	size_t count = 0;
	enum store_result result =
		repair ? store_repair(&scene->root, &scene->place, &findings, &error)
		       : store_verify(&scene->root, &scene->place, &findings, &error);
	assert_int_equal(result, STORE_OK);
	for (size_t i = 0; i < findings.count; i++)
		count += strncmp(findings.list[i].file, "journal/aside.", 14) != 0;
	findings_free(&findings);
	return count;
}

static void verify_and_repair(void **state)
{
	static const struct {
		const char *name;
		struct bytes file;
		size_t findings, left;
		uint32_t messages;
	} spools[] = {
		{"in order", BYTES(FROM "a\n\n" FROM "b\n\n"), 0, 0, 2},
		{"empty", {"", 0}, 0, 0, 0},
		{"torn", BYTES(FROM "a\n\n" FROM "b"), 1, 0, 2},
		{"not closed", BYTES(FROM "a\n"), 1, 0, 1},
		{"garbage", BYTES("xyz\n\n"), 1, 0, 0},
		{"garbage before a message", BYTES("xyz\n\n" FROM "a\n\n" FROM "b\n"), 2, 0, 2},
		{"no blank line between two", BYTES(FROM "a\n" FROM "b\n\n"), 1, 1, 2},
	};
	(void)state;
	for (size_t i = 0; i < sizeof spools / sizeof spools[0]; i++) {
		struct scene scene;
		test_row(spools[i].name);
		begin(&scene);
		spew(&scene, spools[i].file, O_TRUNC);
		test_check(count_findings(&scene, false) == spools[i].findings);
		count_findings(&scene, true);
		test_check(count_findings(&scene, false) == spools[i].left);
		struct maildrop *maildrop = scene_open(&scene);
		test_check(maildrop_summary(maildrop).messages == spools[i].messages);
		maildrop_close(maildrop);
		test_check(count_findings(&scene, false) == spools[i].left);
		scene_end(&scene);
	}
}

static void erasing(void **state)
{
	struct scene scene;
	struct error error = {0};
	char path[160];
	(void)state;
	begin(&scene);
	assert_int_equal(
		scene_try_deliver(&scene, BYTES("a\n"), (struct bytes){NULL, 0}, "mine", true),
		STORE_OK);
	assert_int_equal(store_retire(&scene.root, &scene.place, STORE_ERASE, &error), STORE_OK);
	static const char *const names[] = {"mail/alice", "mail/alice.lock"};
	for (size_t i = 0; i < 2; i++) {
		scene_file(&scene, names[i], path);
		assert_int_equal(access(path, F_OK), -1);
	}
	scene_end(&scene);
}

const struct CMUnitTest tests[] = {
	cmocka_unit_test(sender_and_date),
	cmocka_unit_test(what_is_read),
	cmocka_unit_test(what_is_delivered_behind_it),
	cmocka_unit_test(a_line_of_ten_megabytes),
	cmocka_unit_test(unique_ids),
	cmocka_unit_test(identical_copies),
	cmocka_unit_test(brought_along),
	cmocka_unit_test(little_is_read),
	cmocka_unit_test(what_is_no_spool),
	cmocka_unit_test(a_file_that_changes),
	cmocka_unit_test(verify_and_repair),
	cmocka_unit_test(erasing),
};

TEST_MAIN(tests)
