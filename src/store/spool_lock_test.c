/*
 * A spool's locks towards other programs: dotlocks of all kinds, a kernel lock of another process,
 * and none where none can be made.
 */
#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/test_scene.h"

#define FROM "From x@y Sun Nov 22 02:01:00 2026\n"

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

static void remove_message(const struct scene *scene, uint8_t bits)
{
	struct error error = {0};
	struct maildrop *maildrop = scene_open(scene);
	assert_int_equal(maildrop_update(maildrop, &bits, &error), STORE_OK);
	maildrop_close(maildrop);
}

static void write_lock(const struct scene *scene, const char *text)
{
	char path[200];
	scene_file(scene, "mail/alice.lock", path);
	int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, text, strlen(text)), strlen(text));
	close(descriptor);
}

static void dotlocks(void **state)
{
	char own[32], child[32];
	snprintf(own, sizeof own, "%ld\n", (long)getpid());
	pid_t gone = fork();
	if (gone == 0)
		_exit(0);
	assert_int_equal(waitpid(gone, NULL, 0), gone);
	snprintf(child, sizeof child, "%ld\n", (long)gone);
	const struct {
		const char *name, *text;
		long age; /* seconds */
		enum store_result result;
	} locks[] = {
		{"of a process", own, 0, STORE_AGAIN},
		{"of a process, old", own, 1000, STORE_AGAIN},
		{"of a process that may be another user's", "1\n", 1000, STORE_AGAIN},
		{"of a process that is gone", child, 0, STORE_OK},
		{"empty, new", "", 0, STORE_AGAIN},
		{"empty, old", "", 1000, STORE_OK},
		{"no number, new", "hello\n", 0, STORE_AGAIN},
		{"no number, old", "hello\n", 1000, STORE_OK},
		{"a number that is none", "99999999999999999999\n", 0, STORE_AGAIN},
		{"a negative one", "-1\n", 0, STORE_AGAIN},
		{"ours", "1 postern 7\n", 0, STORE_OK},
	};
	(void)state;
	for (size_t i = 0; i < sizeof locks / sizeof locks[0]; i++) {
		struct scene scene;
		char path[200];
		struct timespec times[2] = {{.tv_sec = time(NULL) - locks[i].age},
					    {.tv_sec = time(NULL) - locks[i].age}};
		test_row(locks[i].name);
		begin(&scene);
		write_lock(&scene, locks[i].text);
		scene_file(&scene, "mail/alice.lock", path);
		assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
		test_check(scene_try_deliver(&scene, BYTES("a\n"), (struct bytes){NULL, 0}, "",
					     true) == locks[i].result);
		test_check((access(path, F_OK) == 0) == (locks[i].result == STORE_AGAIN));
		scene_end(&scene);
	}
}

/* As MTAs lock: a lock of a process, not of an open file. */
static void a_lock_of_another_process(void **state)
{
	struct scene scene;
	char path[160], octet;
	int ready[2], done[2];
	(void)state;
	begin(&scene);
	spew(&scene, BYTES(FROM "a\n\n"), O_TRUNC);
	spool_path(&scene, path);
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(done), 0);
	pid_t child = fork();
	if (child == 0) {
		struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		int descriptor = open(path, O_RDWR);
		bool good = fcntl(descriptor, F_SETLK, &lock) == 0 && write(ready[1], "x", 1) == 1;
		close(done[1]);
		_exit(good && read(done[0], &octet, 1) == 0 ? 0 : 1);
	}
	struct error error = {0};
	struct maildrop *maildrop;
	assert_int_equal(read(ready[0], &octet, 1), 1);
	assert_int_equal(maildrop_open(&scene.root, &scene.place, STORE_SESSION, &maildrop, &error),
			 STORE_AGAIN);
	assert_int_equal(scene_try_deliver(&scene, BYTES("a\n"), (struct bytes){NULL, 0}, "", true),
			 STORE_AGAIN);
	scene_file(&scene, "mail/alice.lock", path);
	assert_int_equal(access(path, F_OK), -1); /* not kept while another is missing */
	close(done[0]);
	close(done[1]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	scene_deliver(&scene, BYTES("b\n"));
	maildrop = scene_open(&scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 2);
	maildrop_close(maildrop);
	close(ready[0]);
	close(ready[1]);
	scene_end(&scene);
}

/* No name is left for a dotlock: the kernel's lock alone must do. */
static void no_dotlock_can_be_made(void **state)
{
	struct scene scene;
	(void)state;
	begin(&scene);
	memset(scene.place.path, 'a', 254);
	scene.place.path[254] = '\0';
	scene_deliver(&scene, BYTES("a\n"));
	scene_deliver(&scene, BYTES("b\n"));
	remove_message(&scene, 1);
	struct maildrop *maildrop = scene_open(&scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 1);
	maildrop_close(maildrop);
	scene_end(&scene);
}

const struct CMUnitTest tests[] = {
	cmocka_unit_test(dotlocks),
	cmocka_unit_test(a_lock_of_another_process),
	cmocka_unit_test(no_dotlock_can_be_made),
};

TEST_MAIN(tests)
