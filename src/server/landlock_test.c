/*
 * landlock: the rules of each version of the interface, entered on the kernel that is there, which
 * then keeps to them: also those that older kernels have.
 */
#include "server/landlock.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/test.h"

enum { FENCED = 1, MOVES_A_FILE = 2, NOT_ENTERED = 4 };

/* In a child, which stays inside: what it can do, as bits. */
static int look_from_inside(long version, bool moves, int folder)
{
	bool there = false;
	struct error error;
	int seen = 0, file;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    landlock_enter(version, &folder, 1, moves, &there, &error) != ERROR_NONE)
		return NOT_ENTERED;
	file = openat(folder, "tmp/x", O_WRONLY | O_CREAT, 0600);
	if (file >= 0 && renameat(folder, "tmp/x", folder, "new/x") == 0)
		seen |= MOVES_A_FILE;
	file = open("/etc/passwd", O_RDONLY);
	if (file < 0)
		seen |= FENCED;
	return there == (file < 0) ? seen : NOT_ENTERED;
}

static int look(long version, bool moves, int folder)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0)
		_exit(look_from_inside(version, moves, folder));
	test_check(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
	(void)unlinkat(folder, "tmp/x", 0);
	(void)unlinkat(folder, "new/x", 0);
	return WEXITSTATUS(status);
}

/* A delivery to a Maildir moves a file from tmp to new. */
static void test_versions(void **state)
{
	static const struct {
		const char *name;
		long version;
		bool moves;
		int seen;
	} rows[] = {
		{"none, a worker", 0, true, MOVES_A_FILE},
		{"none, auth", 0, false, MOVES_A_FILE},
		{"5.13 to 5.18, a worker", 1, true, MOVES_A_FILE},
		{"5.13 to 5.18, auth", 1, false, FENCED},
		{"5.19, a worker", 2, true, FENCED | MOVES_A_FILE},
		{"5.19, auth", 2, false, FENCED | MOVES_A_FILE},
		{"6.2", 3, true, FENCED | MOVES_A_FILE},
		{"6.7", 4, true, FENCED | MOVES_A_FILE},
		{"6.10", 5, true, FENCED | MOVES_A_FILE},
		{"6.12", 6, true, FENCED | MOVES_A_FILE},
		{"one to come", 1000, true, FENCED | MOVES_A_FILE},
	};
	char root[] = "/tmp/landlock-test-XXXXXX";
	long known = landlock_version();
	int folder;

	(void)state;
	test_check(mkdtemp(root) != NULL);
	folder = open(root, O_RDONLY | O_DIRECTORY);
	test_check(mkdirat(folder, "tmp", 0700) == 0 && mkdirat(folder, "new", 0700) == 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].version > known && !(rows[i].version == 1000 && known >= 6))
			continue;
		test_row(rows[i].name);
		test_check(look(rows[i].version, rows[i].moves, folder) == rows[i].seen);
	}
	(void)unlinkat(folder, "tmp", AT_REMOVEDIR);
	(void)unlinkat(folder, "new", AT_REMOVEDIR);
	close(folder);
	(void)rmdir(root);
	if (known < 2)
		test_skip("the kernel has no Landlock, or an old one");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_versions),
};
TEST_MAIN(tests)
