/*
 * test_scene: what the tests of the account database share: a folder of its own for each test, a
 * new database in it, and rows.
 */
#ifndef ACCOUNTS_TEST_SCENE_H
#define ACCOUNTS_TEST_SCENE_H

#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "accounts/directory.h"
#include "base/test.h"

#define VERIFIER "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA"

static char folder[64], path[80];

/* Each test has a folder of its own under the build's working directory or /tmp. */
static inline int set_up(void **state)
{
	const char *parent = getenv("TMPDIR");

	(void)state;
	snprintf(folder, sizeof(folder), "%s/accounts-XXXXXX", parent ? parent : "/tmp");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/accounts.db", folder);
	return 0;
}

static inline int tear_down(void **state)
{
	static const char *const names[] = {"accounts.db", "accounts.db-wal", "accounts.db-shm",
					    "apop.db", "apop.db-journal"};

	(void)state;
	chmod(folder, 0700);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char name[120];

		snprintf(name, sizeof(name), "%s/%s", folder, names[i]);
		if (unlink(name) != 0)
			rmdir(name);
	}
	return rmdir(folder);
}

static inline struct directory *open_new(void)
{
	struct directory *directory;
	struct error error = {0};

	test_row("open");
	if (directory_open(path, true, &directory, &error) != ERROR_NONE)
		fail_msg("%s", error.text);
	return directory;
}

static inline uint64_t add(struct directory *directory, const char *name)
{
	struct account account = {.mail_root = 0};
	struct error error = {0};

	snprintf(account.name, sizeof(account.name), "%s", name);
	snprintf(account.store, sizeof(account.store), "mbox");
	test_row(name);
	test_check(account_path(name, account.path));
	if (directory_add(directory, &account, VERIFIER, &error) != ERROR_NONE)
		fail_msg("%s: %s", name, error.text);
	test_check(account.id > 0 && account.generation == 1 && !account.disabled);
	return account.id;
}

static inline uint64_t find(struct directory *directory, struct bytes name)
{
	struct account account;
	struct error error = {0};
	enum error_code code = directory_find(directory, name, &account, &error);

	if (code == ERROR_NO_USER) {
		test_check(error.code == ERROR_NO_USER && error.text[0]);
		return 0;
	}
	if (code != ERROR_NONE)
		fail_msg("row \"%s\": %s", test_row_name, error.text);
	return account.id;
}

static inline void raw(const char *sql)
{
	sqlite3 *database;

	test_row(sql);
	test_check(sqlite3_open(path, &database) == SQLITE_OK);
	test_check(sqlite3_exec(database, sql, NULL, NULL, NULL) == SQLITE_OK);
	test_check(sqlite3_close(database) == SQLITE_OK);
}

#define test_case(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

#endif
