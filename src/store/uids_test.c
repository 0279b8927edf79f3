/*
 * uids: what a line is, what is left of a file that was cut or damaged, adding and removing.
 */
#include "store/uids.h"

#include "store/test_scene.h"

static struct bytes line(struct buffer *room, const char *key, const char *uid)
{
	buffer_init(room, 4096);
	assert_true(uids_print(room, bytes_of(key), bytes_of(uid)));
	return buffer_bytes(room);
}

static void write_file(const struct scene *scene, struct bytes octets)
{
	struct file *file;
	char name[UIDS_NAME_OCTETS];
	uids_label(uids_owner(&scene->place), name);
	assert_int_equal(file_open(scene->root.uids, name + strlen("uids/"),
				   FILE_WRITE | FILE_CREATE, &file),
			 0);
	assert_int_equal(file_set_size(file, 0), 0);
	assert_int_equal(file_write(file, &octets, 1, 0), 0);
	file_close(file);
}

static const struct {
	const char *name;
	const char *before, *after; /* around a sound line "key uid" */
	size_t bad;
	bool tail;
} rows[] = {
	{"sound alone", "", "", 0, false},
	{"bad line before", "x\n", "", 1, false},
	{"empty line before", "\n", "", 1, false},
	{"wrong check", "key uid 00000000\n", "", 1, false},
	{"no unique-id", "key 00000000\n", "", 1, false},
	{"torn", "", "key2 ui", 0, true},
	{"torn at its end", "", "key2 uid2 12345678", 0, true},
	{"bad line behind", "", "x\n", 0, true},
	{"zeroes behind", "", "\001\002", 0, true},
};

static void test_what_is_left(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct scene scene;
		struct uids uids;
		struct buffer sound, text;
		scene_begin(&scene, STORE_MAILDIR);
		test_row(rows[i].name);
		buffer_init(&text, 4096);
		buffer_append(&text, bytes_of(rows[i].before));
		buffer_append(&text, line(&sound, "key", "uid"));
		size_t end = text.length;
		buffer_append(&text, bytes_of(rows[i].after));
		write_file(&scene, buffer_bytes(&text));
		assert_int_equal(uids_load(&scene.root, uids_owner(&scene.place), &uids), 0);
		test_check(uids.count == 1 && uids.bad == rows[i].bad && uids.end == end);
		test_check((uids.end < uids.text.length) == rows[i].tail);
		test_equal_bytes(uids_find(&uids, BYTES("key")), BYTES("uid"));
		assert_int_equal(uids_find(&uids, BYTES("key2")).length, 0);
		assert_int_equal(uids_mend(&scene.root, uids_owner(&scene.place), &uids), 0);
		uids_free(&uids);
		assert_int_equal(uids_load(&scene.root, uids_owner(&scene.place), &uids), 0);
		test_check(uids.text.length == end);
		uids_free(&uids);
		buffer_free(&sound);
		buffer_free(&text);
		scene_end(&scene);
	}
}

static void test_a_line_is_not_believed(void **state)
{
	static const char *const bad[] = {"", "key", "key uid", "key uid ", "key uid 0000000g"};
	struct uids uids;
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct buffer text;
		buffer_init(&text, 4096);
		buffer_append(&text, bytes_of(bad[i]));
		buffer_append(&text, BYTES("\n"));
		test_row(bad[i]);
		assert_true(uids_parse(&text, &uids));
		test_check(uids.count == 0 && uids.end == 0);
		uids_free(&uids);
		buffer_free(&text);
	}
}

static bool is_odd(void *context, const char *key)
{
	(void)context;
	return (key[strlen(key) - 1] - '0') % 2 == 1;
}

static bool is_any(void *context, const char *key)
{
	(void)context;
	(void)key;
	return true;
}

static void append(const struct scene *scene, int first, int count)
{
	struct buffer lines;
	uint64_t end;
	buffer_init(&lines, 1 << 20);
	for (int i = first; i < first + count; i++) {
		char key[32], uid[32];
		snprintf(key, sizeof key, "key-%d", i);
		snprintf(uid, sizeof uid, "uid-%d", i);
		assert_true(uids_print(&lines, bytes_of(key), bytes_of(uid)));
	}
	assert_int_equal(
		uids_append(&scene->root, uids_owner(&scene->place), buffer_bytes(&lines), &end),
		0);
	buffer_free(&lines);
}

static size_t count_lines(const struct scene *scene)
{
	struct uids uids;
	assert_int_equal(uids_load(&scene->root, uids_owner(&scene->place), &uids), 0);
	size_t count = uids.count;
	for (size_t i = 0; i < count; i++) {
		char number[32];
		struct bytes key = {uids.text.data + uids.list[i].key, uids.list[i].key_length};
		assert_true(bytes_to_string(bytes_skip(key, 4), number, sizeof number));
		struct bytes uid = uids_find(&uids, key);
		test_equal_bytes(bytes_skip(uid, 4), bytes_of(number));
	}
	uids_free(&uids);
	return count;
}

static void test_adding_and_removing(void **state)
{
	struct scene scene;
	char path[160], name[64];
	(void)state;
	scene_begin(&scene, STORE_MAILDIR);
	assert_int_equal(count_lines(&scene), 0);
	append(&scene, 0, 300);
	append(&scene, 300, 1);
	assert_int_equal(count_lines(&scene), 301);
	assert_int_equal(uids_remove(&scene.root, uids_owner(&scene.place), is_odd, NULL), 0);
	assert_int_equal(count_lines(&scene), 151);
	append(&scene, 301, 1);
	uids_take_back(&scene.root, uids_owner(&scene.place), 0);
	assert_int_equal(count_lines(&scene), 0);
	append(&scene, 0, 2);
	assert_int_equal(uids_remove(&scene.root, uids_owner(&scene.place), is_any, NULL), 0);
	scene_file(&scene, uids_label(uids_owner(&scene.place), name), path);
	assert_int_equal(access(path, F_OK), -1); /* no lines, no file */
	scene_end(&scene);
}

/* What cannot be read is not thrown away by the way. */
static void test_damaged_files_are_not_rewritten(void **state)
{
	struct scene scene;
	struct uids uids;
	struct buffer sound, text;
	(void)state;
	scene_begin(&scene, STORE_MAILDIR);
	buffer_init(&text, 4096);
	buffer_append(&text, BYTES("who knows\n"));
	buffer_append(&text, line(&sound, "key-1", "uid-1"));
	write_file(&scene, buffer_bytes(&text));
	assert_int_equal(uids_remove(&scene.root, uids_owner(&scene.place), is_any, NULL), 0);
	assert_int_equal(uids_load(&scene.root, uids_owner(&scene.place), &uids), 0);
	test_equal_bytes(buffer_bytes(&uids.text), buffer_bytes(&text));
	uids_free(&uids);
	buffer_free(&sound);
	buffer_free(&text);
	scene_end(&scene);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_what_is_left),
	cmocka_unit_test(test_a_line_is_not_believed),
	cmocka_unit_test(test_adding_and_removing),
	cmocka_unit_test(test_damaged_files_are_not_rewritten),
};

TEST_MAIN(tests)
