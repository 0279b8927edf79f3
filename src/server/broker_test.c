/*
 * broker_test: what the supervisor hands out, and what it refuses, over the same file calls a store
 * makes; needs to be root for files of other users, and else tests with those of the one it runs
 * as.
 */
#include "server/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"
#include "server/channel.h"

#define ALICE 64101
#define BOB   64102

static uid_t alice(void)
{
	return geteuid() == 0 ? ALICE : geteuid();
}

static bool owner_of(const char *user, uid_t *uid_out)
{
	bool known = true;

	if (strcmp(user, "alice") == 0 || strcmp(user, "fifo") == 0 || strcmp(user, "link") == 0 ||
	    strcmp(user, "names") == 0 || strcmp(user, "folder") == 0)
		*uid_out = alice();
	else if (strcmp(user, "bob") == 0)
		*uid_out = BOB;
	else if (strcmp(user, "root") == 0)
		*uid_out = 0;
	else
		known = false;
	return known;
}

/* The supervisor: answers until the other end closes. */
struct scene {
	char path[64];
	int folder, ends[2];
	pthread_t thread;
	struct broker *broker;
	struct file *root;
};

static void *serve(void *context)
{
	static union message message;
	struct scene *scene = context;
	int none[MESSAGE_DESCRIPTORS_MAX], opened;
	size_t count;

	while (channel_receive_blocking(scene->ends[1], &message, none, &count, 10000)) {
		struct message_borrowed answer;

		broker_answer(&message.borrow, message.borrow.mail_root == 1 ? scene->folder : -1,
			      owner_of, &answer, &opened);
		(void)channel_send_blocking(scene->ends[1], &answer, &opened, answer.opened);
		if (opened >= 0)
			close(opened);
	}
	return NULL;
}

static void put(const struct scene *scene, const char *name, uid_t owner)
{
	int descriptor = openat(scene->folder, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(descriptor >= 0);
	if (geteuid() == 0)
		assert_int_equal(fchown(descriptor, owner, 0), 0);
	close(descriptor);
}

static void begin(struct scene *scene, uint32_t mail_root)
{
	struct file *folder;

	*scene = (struct scene){.path = "/tmp/postern-broker-XXXXXX"};
	assert_non_null(mkdtemp(scene->path));
	scene->folder = open(scene->path, O_RDONLY | O_DIRECTORY);
	assert_true(scene->folder >= 0);
	assert_int_equal(file_open_root(scene->path, &folder), 0);
	assert_true(channel_pair(scene->ends));
	assert_int_equal(pthread_create(&scene->thread, NULL, serve, scene), 0);
	scene->broker = broker_new(scene->ends[0]);
	assert_non_null(scene->broker);
	scene->root = broker_folder(scene->broker, mail_root, folder);
	assert_non_null(scene->root);
}

static void end(struct scene *scene)
{
	char command[128];

	file_close(scene->root);
	broker_free(scene->broker);
	pthread_join(scene->thread, NULL);
	close(scene->ends[1]);
	for (const char *const *name =
		     (const char *const[]){"alice", "alice.lock", "bob", "fifo", "link", "names",
					   "other", "folder", "stranger", NULL};
	     *name != NULL; name++) {
		(void)snprintf(command, sizeof(command), "%s/%s", scene->path, *name);
		(void)remove(command);
	}
	close(scene->folder);
	assert_int_equal(rmdir(scene->path), 0);
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		unsigned flags;
		int result;
		bool as_root; /* only root can make the case */
	} rows[] = {
		{"alice", FILE_READ, 0, false},
		{"alice", FILE_WRITE, 0, false},
		{"alice", FILE_WRITE | FILE_CREATE, 0, false},
		{"alice", FILE_CREATE | FILE_EXCLUSIVE, -EEXIST, false},
		{"alice.lock", FILE_READ, -ENOENT, false},
		{"bob", FILE_READ, -EPERM, false}, /* belongs to alice */
		{"root", FILE_READ, -EPERM, false},
		{"root.lock", FILE_CREATE | FILE_EXCLUSIVE, -EPERM, false},
		{"stranger", FILE_READ, -EPERM, false},
		{".lock", FILE_READ, -EPERM, false},
		{".alice", FILE_READ, -EPERM, false},
		{"folder/alice", FILE_READ, -EPERM, false},
		{"../alice", FILE_READ, -EINVAL, false},
		{"link", FILE_READ, -ELOOP, false},
		{"link", FILE_WRITE | FILE_CREATE, -ELOOP, false},
		{"fifo", FILE_READ, -EINVAL, false},
		{"fifo", FILE_WRITE, -EINVAL, false},
		{"names", FILE_READ, -EMLINK, false},
		{"folder", FILE_READ, -EINVAL, false},
		{"folder", FILE_WRITE, -EINVAL, false},
	};
	struct scene scene;

	(void)state;
	begin(&scene, 1);
	put(&scene, "alice", alice());
	put(&scene, "bob", alice());
	put(&scene, "names", alice());
	put(&scene, "stranger", alice());
	assert_int_equal(linkat(scene.folder, "names", scene.folder, "other", 0), 0);
	assert_int_equal(symlinkat("alice", scene.folder, "link"), 0);
	assert_int_equal(mkfifoat(scene.folder, "fifo", 0600), 0);
	assert_int_equal(mkdirat(scene.folder, "folder", 0700), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct file *file;

		test_row(rows[i].name);
		test_check(file_open(scene.root, rows[i].name, rows[i].flags, &file) ==
			   rows[i].result);
		file_close(file);
	}
	end(&scene);
}

static void test_dotlock(void **state)
{
	struct scene scene;
	struct stat status;
	struct file *file;

	(void)state;
	begin(&scene, 1);
	put(&scene, "alice", alice());
	assert_int_equal(file_open(scene.root, "alice.lock",
				   FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, &file),
			 0);
	file_close(file);
	assert_int_equal(fstatat(scene.folder, "alice.lock", &status, 0), 0);
	assert_int_equal(status.st_uid, alice());
	assert_int_equal(status.st_mode & 07777, 0644);
	assert_int_equal(file_open(scene.root, "alice.lock",
				   FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, &file),
			 -EEXIST);
	assert_int_equal(file_open(scene.root, "alice.lock", FILE_READ, &file), 0);
	file_close(file);
	assert_int_equal(file_open(scene.root, "alice.lock", FILE_WRITE, &file), -EPERM);
	assert_int_equal(file_unlink(scene.root, "alice.lock"), 0);
	assert_int_equal(file_unlink(scene.root, "alice.lock"), -ENOENT);
	assert_int_equal(file_unlink(scene.root, "alice"), -EPERM);
	end(&scene);
}

/* A spool that is made belongs to its user from the first moment. */
static void test_made(void **state)
{
	struct scene scene;
	struct stat status;
	struct file *file;

	(void)state;
	begin(&scene, 1);
	assert_int_equal(file_open(scene.root, "alice", FILE_WRITE | FILE_CREATE, &file), 0);
	assert_int_equal(file_write(file, &(struct bytes){"x\n", 2}, 1, 0), 0);
	file_close(file);
	assert_int_equal(fstatat(scene.folder, "alice", &status, 0), 0);
	assert_int_equal(status.st_uid, alice());
	assert_int_equal(status.st_mode & 07777, 0660);
	assert_int_equal(status.st_size, 2);
	assert_int_equal(file_sync(scene.root), 0);
	end(&scene);
}

/* What is no matter of the broker, and a root that is none of its. */
static void test_refused(void **state)
{
	struct scene scene;
	struct file *file;

	(void)state;
	begin(&scene, 2);
	assert_int_equal(file_open(scene.root, "alice", FILE_READ, &file), -EPERM);
	assert_int_equal(file_rename(scene.root, "alice", scene.root, "bob"), -EPERM);
	assert_int_equal(file_link(scene.root, "alice", scene.root, "bob"), -EPERM);
	assert_int_equal(file_make_directory(scene.root, "alice"), -EPERM);
	end(&scene);
}

/* A supervisor that is gone is an error, for this question and all later ones, and no wait. */
static void test_gone(void **state)
{
	struct scene scene;
	struct file *file;

	(void)state;
	begin(&scene, 1);
	assert_int_equal(shutdown(scene.ends[1], SHUT_RDWR), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(file_open(scene.root, "alice", FILE_READ, &file), -EIO);
	end(&scene);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_names),   cmocka_unit_test(test_dotlock), cmocka_unit_test(test_made),
	cmocka_unit_test(test_refused), cmocka_unit_test(test_gone),
};

TEST_MAIN(tests)
