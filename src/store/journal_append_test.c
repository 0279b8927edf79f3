/*
 * journal_append_test: appends while a program that takes no lock writes to the file as well.
 */
#include <errno.h>

#include "store/journal_append.h"
#include "store/test_scene.h"

static struct file *begin(struct scene *scene, struct journal_append *append)
{
	struct file *file;
	struct bytes there = BYTES("From a@b\n\n");
	scene_begin(scene, STORE_SPOOL);
	snprintf(scene->place.path, sizeof scene->place.path, "alice");
	assert_int_equal(file_open(scene->root.mail[0], "alice", FILE_WRITE | FILE_CREATE, &file),
			 0);
	assert_int_equal(file_write(file, &there, 1, 0), 0);
	assert_int_equal(journal_append_begin(&scene->root, &scene->place, append), 0);
	assert_int_equal(journal_append_write(append, BYTES("From us\n\nhello\n\n")), 0);
	return file;
}

static void expect(struct file *file, struct bytes wanted)
{
	char room[256];
	ssize_t length = file_read(file, room, sizeof room, 0, false);
	struct bytes found = {room, length < 0 ? 0 : (size_t)length};
	test_equal_bytes(found, wanted);
}

static void test_append(void **state)
{
	struct scene scene;
	struct journal_append append;
	struct file *file = begin(&scene, &append);
	(void)state;
	assert_int_equal(journal_append_do(&append, file, 10), 0);
	journal_append_end(&append);
	expect(file, BYTES("From a@b\n\nFrom us\n\nhello\n\n"));
	assert_false(journal_append_exists(&scene.root, &scene.place));
	file_close(file);
	scene_end(&scene);
}

/* What came behind the end while the journal was written stays, and nothing is begun. */
static void test_grown_meanwhile(void **state)
{
	struct scene scene;
	struct journal_append append;
	struct file *file = begin(&scene, &append);
	(void)state;
	assert_int_equal(
		file_write(file, &BYTES("From c@d\n\na message longer than ours\n"), 1, 10), 0);
	assert_int_equal(journal_append_do(&append, file, 10), -EAGAIN);
	journal_append_end(&append);
	expect(file, BYTES("From a@b\n\nFrom c@d\n\na message longer than ours\n"));
	assert_false(journal_append_exists(&scene.root, &scene.place));
	file_close(file);
	scene_end(&scene);
}

static void test_shrunk_meanwhile(void **state)
{
	struct scene scene;
	struct journal_append append;
	struct file *file = begin(&scene, &append);
	(void)state;
	assert_int_equal(file_set_size(file, 4), 0);
	assert_int_equal(journal_append_do(&append, file, 10), -EAGAIN);
	journal_append_end(&append);
	expect(file, BYTES("From"));
	file_close(file);
	scene_end(&scene);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_append),
	cmocka_unit_test(test_grown_meanwhile),
	cmocka_unit_test(test_shrunk_meanwhile),
};

TEST_MAIN(tests)
