/*
 * The account database: lookups, changes, transactions beside other writers, and files that are
 * missing, foreign, open to others or in the wrong place.
 */
#include "accounts/test_scene.h"

static void test_find(void **state)
{
	static const struct {
		const char *label;
		struct bytes name;
		int account; /* 1 alice, 2 bob, 0 nobody */
	} rows[] = {
		{"name", BYTES("alice@example.org"), 1},
		{"second", BYTES("bob@example.net"), 2},
		{"case", BYTES("ALICE@Example.ORG"), 1},
		{"bare", BYTES("alice"), 1},
		{"bare of another domain", BYTES("bob"), 0},
		{"alias", BYTES("sales@example.org"), 1},
		{"alias in a domain of its own", BYTES("b@alias.example"), 2},
		{"bare alias", BYTES("sales"), 1},
		{"postmaster", BYTES("postmaster@example.org"), 1},
		{"postmaster elsewhere", BYTES("Postmaster@example.net"), 1},
		{"postmaster of an alias's domain", BYTES("postmaster@alias.example"), 2},
		{"bare postmaster", BYTES("postmaster"), 1},
		{"postmaster not local", BYTES("postmaster@else.example"), 0},
		{"postmaster prefix", BYTES("postmasters@example.org"), 0},
		{"domain only", BYTES("@example.org"), 0},
		{"unknown", BYTES("carol@example.org"), 0},
		{"empty", BYTES(""), 0},
		{"SQL", BYTES("' OR '1'='1"), 0},
		{"SQL with domain", BYTES("'or''='@example.org"), 0},
		{"like", BYTES("%@example.org"), 0},
		{"underscore", BYTES("alic_@example.org"), 0},
		{"NUL", BYTES("alice@example.org\0"), 0},
		{"NUL inside", BYTES("alice\0@example.org"), 0},
		{"newline", BYTES("alice@example.org\n"), 0},
		{"space", BYTES(" alice@example.org"), 0},
		{"path", BYTES("../alice"), 0},
		{"percent", BYTES("%2falice@example.org"), 0},
		{"overlong", BYTES("\xc0\xaf@example.org"), 0},
		{"full width", BYTES("\xef\xbd\x81lice@example.org"), 0},
	};
	struct directory *directory = open_new();
	uint64_t ids[3] = {0};

	(void)state;
	ids[1] = add(directory, "alice@example.org");
	ids[2] = add(directory, "bob@example.net");
	test_check(directory_add_alias(directory, ids[1], "sales@example.org", NULL) == 0);
	test_check(directory_add_alias(directory, ids[2], "b@alias.example", NULL) == 0);
	test_check(directory_add_alias(directory, ids[2], "postmaster@alias.example", NULL) == 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		test_row(rows[i].label);
		test_check(find(directory, rows[i].name) == ids[rows[i].account]);
	}
	directory_close(directory);
}

/* Octets of every kind as a name: refused with a reason, or added and found again as they are. */
static void test_any_name(void **state)
{
	static char huge[10240];
	static const char alphabet[] = "aZ0.@'\"%/\\-_+\n\r\t \0{}|~\x80\xc0\xaf\xff;";
	struct directory *directory = open_new();
	uint32_t seed = 12345, added = 0, refused = 0;

	(void)state;
	add(directory, "first@example.org");
	memset(huge, 'x', sizeof(huge));
	test_row("10 kB");
	test_check(find(directory, (struct bytes){huge, sizeof(huge)}) == 0);
	for (int round = 0; round < 3000; round++) {
		char given[24], label[16];
		struct account account = {.store = "mbox"}, found;
		struct error error = {0};
		size_t length;

		seed = seed * 1664525 + 1013904223;
		length = seed >> 28;
		for (size_t i = 0; i < length; i++) {
			seed = seed * 1664525 + 1013904223;
			given[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		snprintf(label, sizeof(label), "%d", round);
		test_row(label);
		if (account_name_normalise((struct bytes){given, length}, "example.org",
					   account.name, &error) != ERROR_NONE) {
			test_check(error.code == ERROR_DATA && error.text[0]);
			test_check(find(directory, (struct bytes){given, length}) == 0);
			refused++;
			continue;
		}
		test_check(account_path(account.name, account.path));
		if (find(directory, bytes_of(account.name)) == 0) {
			test_check(directory_add(directory, &account, VERIFIER, &error) == 0);
			added++;
		}
		test_check(directory_find(directory, (struct bytes){given, length}, &found, NULL) ==
			   0);
		test_check(strcmp(found.name, account.name) == 0);
		test_check(strcmp(found.path, account.path) == 0);
	}
	test_row("both kinds were met");
	test_check(added > 50 && refused > 50);
	directory_close(directory);
}

static void test_taken(void **state)
{
	struct directory *directory = open_new();
	struct account account = {.name = "alice@example.org", .store = "mbox", .path = "x/other"};
	uint64_t alice = add(directory, "alice@example.org"), bob = add(directory, "bob@x");

	(void)state;
	test_row("the name of an account");
	test_check(directory_add(directory, &account, VERIFIER, NULL) == ERROR_DATA);
	test_row("the name of an account as alias");
	test_check(directory_add_alias(directory, bob, "alice@example.org", NULL) == ERROR_DATA);
	test_check(directory_add_alias(directory, alice, "alice@example.org", NULL) == ERROR_DATA);
	test_row("an alias as alias");
	test_check(directory_add_alias(directory, bob, "sales@x", NULL) == ERROR_NONE);
	test_check(directory_add_alias(directory, alice, "sales@x", NULL) == ERROR_DATA);
	test_row("an alias as account");
	snprintf(account.name, sizeof(account.name), "sales@x");
	test_check(directory_add(directory, &account, VERIFIER, NULL) == ERROR_DATA);
	test_row("the path of an account");
	snprintf(account.name, sizeof(account.name), "carol@x");
	snprintf(account.path, sizeof(account.path), "x/bob");
	test_check(directory_add(directory, &account, VERIFIER, NULL) == ERROR_DATA);
	test_row("the same path in another mail root");
	account.mail_root = 1;
	test_check(directory_add(directory, &account, VERIFIER, NULL) == ERROR_NONE);
	test_row("not a name");
	test_check(directory_add_alias(directory, bob, "not a name", NULL) == ERROR_DATA);
	test_row("no such account");
	test_check(directory_add_alias(directory, 4711, "new@x", NULL) == ERROR_NO_USER);
	test_check(directory_set_verifier(directory, 4711, VERIFIER, NULL, NULL) == ERROR_NO_USER);
	test_check(directory_remove(directory, 4711, NULL) == ERROR_NO_USER);
	directory_close(directory);
}

static void test_verifier(void **state)
{
	struct directory *directory = open_new();
	char verifier[VERIFIER_MAX + 1];
	struct account account = {.name = "bare@x", .store = "mbox", .path = "x/bare"};
	uint64_t alice = add(directory, "alice@x");

	(void)state;
	test_row("as given");
	test_check(directory_verifier(directory, alice, verifier, NULL) == ERROR_NONE);
	test_equal_bytes(bytes_of(verifier), BYTES(VERIFIER));
	test_row("changed");
	test_check(directory_set_verifier(directory, alice, "another", NULL, NULL) == ERROR_NONE);
	test_check(directory_verifier(directory, alice, verifier, NULL) == ERROR_NONE);
	test_equal_bytes(bytes_of(verifier), BYTES("another"));
	test_row("none");
	test_check(directory_add(directory, &account, NULL, NULL) == ERROR_NONE);
	test_check(directory_verifier(directory, account.id, verifier, NULL) == ERROR_NO_USER);
	test_equal_bytes(bytes_of(verifier), BYTES(""));
	test_row("no such account");
	test_check(directory_verifier(directory, 4711, verifier, NULL) == ERROR_NO_USER);
	directory_close(directory);
}

static void test_remove(void **state)
{
	struct directory *directory = open_new();
	char verifier[VERIFIER_MAX + 1];
	uint64_t bob = add(directory, "bob@x"), alice = add(directory, "alice@y"), again;
	bool local;

	(void)state;
	test_check(directory_add_alias(directory, alice, "sales@z", NULL) == ERROR_NONE);
	test_row("all of it is gone");
	test_check(directory_remove(directory, alice, NULL) == ERROR_NONE);
	test_check(find(directory, BYTES("alice@y")) == 0);
	test_check(find(directory, BYTES("sales@z")) == 0);
	test_check(directory_verifier(directory, alice, verifier, NULL) == ERROR_NO_USER);
	test_check(directory_is_local(directory, BYTES("z"), &local, NULL) == 0 && !local);
	test_row("the other one is not");
	test_check(find(directory, BYTES("bob@x")) == bob);
	test_row("the number does not come back");
	directory_close(directory);
	directory = open_new();
	again = add(directory, "alice@y");
	test_check(again > alice);
	test_row("a second time");
	test_check(directory_remove(directory, alice, NULL) == ERROR_NO_USER);
	directory_close(directory);
}

static void test_listing(void **state)
{
	static const char *const names[] = {"c@x", "a@x", "b@y"};
	struct directory *directory = open_new();
	struct account account = {.id = 0};
	char alias[ACCOUNT_NAME_MAX + 1] = "", domain[DOMAIN_MAX + 1];
	uint64_t first;

	(void)state;
	test_row("empty");
	test_check(directory_next(directory, 0, &account, NULL) == ERROR_NO_USER);
	test_check(directory_default_domain(directory, domain, NULL) == 0 && !domain[0]);
	test_check(find(directory, BYTES("c")) == 0);
	for (size_t i = 0; i < 3; i++)
		add(directory, names[i]);
	for (size_t i = 0; i < 3; i++) {
		test_row(names[i]);
		test_check(directory_next(directory, account.id, &account, NULL) == ERROR_NONE);
		test_equal_bytes(bytes_of(account.name), bytes_of(names[i]));
		test_check(account.created_unix_seconds > 0);
	}
	test_row("behind the last");
	test_check(directory_next(directory, account.id, &account, NULL) == ERROR_NO_USER);
	test_check(directory_default_domain(directory, domain, NULL) == 0);
	test_equal_bytes(bytes_of(domain), BYTES("x"));
	first = find(directory, BYTES("c@x"));
	test_check(directory_add_alias(directory, first, "z@x", NULL) == ERROR_NONE);
	test_check(directory_add_alias(directory, first, "y@x", NULL) == ERROR_NONE);
	test_row("aliases");
	test_check(directory_next_alias(directory, first, alias, alias, NULL) == ERROR_NONE);
	test_equal_bytes(bytes_of(alias), BYTES("y@x"));
	test_check(directory_next_alias(directory, first, alias, alias, NULL) == ERROR_NONE);
	test_equal_bytes(bytes_of(alias), BYTES("z@x"));
	test_check(directory_next_alias(directory, first, alias, alias, NULL) == ERROR_NO_USER);
	directory_close(directory);
}

static void test_transaction(void **state)
{
	struct directory *directory = open_new(), *other = open_new();
	struct account account = {.name = "b@x", .store = "mbox", .path = "x/b"};

	(void)state;
	add(directory, "a@x");
	test_row("undone");
	test_check(directory_begin(directory, NULL) == ERROR_NONE);
	test_check(directory_add(directory, &account, VERIFIER, NULL) == ERROR_NONE);
	test_check(find(directory, BYTES("b@x")) != 0 && find(other, BYTES("b@x")) == 0);
	test_check(directory_commit(directory, false, NULL) == ERROR_NONE);
	test_check(find(directory, BYTES("b@x")) == 0);
	test_row("kept, after a refused row");
	test_check(directory_begin(directory, NULL) == ERROR_NONE);
	test_check(directory_add(directory, &account, VERIFIER, NULL) == ERROR_NONE);
	test_check(directory_add(directory, &account, VERIFIER, NULL) == ERROR_DATA);
	test_check(directory_commit(directory, true, NULL) == ERROR_NONE);
	test_check(find(other, BYTES("b@x")) != 0);
	test_row("while another writes");
	test_check(directory_begin(other, NULL) == ERROR_NONE);
	test_check(find(directory, BYTES("a@x")) != 0);
	test_check(directory_set_verifier(directory, 1, VERIFIER, NULL, NULL) == ERROR_TEMPORARY);
	test_check(directory_begin(directory, NULL) == ERROR_TEMPORARY);
	test_check(directory_commit(other, false, NULL) == ERROR_NONE);
	test_check(directory_set_verifier(directory, 1, VERIFIER, NULL, NULL) == ERROR_NONE);
	directory_close(directory);
	directory_close(other);
}

/* Statements are kept for the life of a process: another may change the schema meanwhile. */
static void test_schema_changes_under_us(void **state)
{
	struct directory *directory = open_new();
	uint64_t alice = add(directory, "alice@x");

	(void)state;
	test_check(find(directory, BYTES("alice@x")) == alice);
	raw("ALTER TABLE account ADD COLUMN more TEXT; CREATE TABLE another(x)");
	test_check(find(directory, BYTES("alice@x")) == alice);
	add(directory, "bob@x");
	directory_close(directory);
}

/* Rows that some other program wrote are refused, never cut or overrun. */
static void test_foreign_rows(void **state)
{
	static const char *const changes[] = {
		"UPDATE account SET path = printf('%0400d', 0)",
		"UPDATE account SET store = 'a store with a long name'",
		"UPDATE account SET store = 'mb' || char(0) || 'ox'",
		"UPDATE account SET mail_root = 8",
		"UPDATE account SET mail_root = -1",
	};
	struct account account;

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct directory *directory = open_new();

		add(directory, "alice@x");
		raw(changes[i]);
		test_check(directory_find(directory, BYTES("alice@x"), &account, NULL) ==
			   ERROR_CONFIG);
		raw("DELETE FROM account");
		directory_close(directory);
	}
}

static void expect_open(const char *label, bool create, enum error_code expected)
{
	struct directory *directory = NULL;
	struct error error = {0};
	enum error_code code = directory_open(path, create, &directory, &error);

	test_row(label);
	if (code != expected)
		fail_msg("row \"%s\": code %d, wanted %d: %s", label, (int)code, (int)expected,
			 error.text);
	test_check((directory != NULL) == (code == ERROR_NONE));
	if (code != ERROR_NONE)
		test_check(error.code == code && error.text[0]);
	directory_close(directory);
}

static void write_file(const char *content, mode_t mode)
{
	FILE *file = fopen(path, "w");

	test_check(file != NULL);
	fputs(content, file);
	test_check(fclose(file) == 0 && chmod(path, mode) == 0);
}

static void test_open(void **state)
{
	char elsewhere[100];

	(void)state;
	expect_open("missing", false, ERROR_CONFIG);
	write_file("", 0600);
	expect_open("empty", false, ERROR_CONFIG);
	expect_open("empty, to be made", true, ERROR_NONE);
	expect_open("made", false, ERROR_NONE);
	chmod(path, 0640);
	expect_open("open to a group", false, ERROR_CONFIG);
	write_file("this is not a database, and is long enough to be one: "
		   "0123456789012345678901234567890123456789012345678901234567890123456789",
		   0600);
	expect_open("not a database", true, ERROR_CONFIG);
	unlink(path);
	test_check(symlink("/etc/passwd", path) == 0);
	expect_open("symbolic link", true, ERROR_CONFIG);
	unlink(path);
	test_check(mkdir(path, 0700) == 0);
	expect_open("a folder", true, ERROR_CONFIG);
	rmdir(path);
	raw("CREATE TABLE theirs(x)");
	chmod(path, 0600);
	expect_open("another program's", true, ERROR_CONFIG);
	raw("PRAGMA application_id = 1347375956; PRAGMA user_version = 99");
	expect_open("of a newer Postern", true, ERROR_CONFIG);
	snprintf(elsewhere, sizeof(elsewhere), "%s/no/such/folder", folder);
	snprintf(path, sizeof(path), "%.70s", elsewhere);
	expect_open("no folder", true, ERROR_SYSTEM);
}

/* Needs a user who is not root; started as root it becomes nobody in the file system's eyes. */
static void test_read_only_folder(void **state)
{
	uid_t before = geteuid();

	(void)state;
	directory_close(open_new());
	test_check(chmod(folder, 0555) == 0);
	if (before == 0)
		test_check(chown(path, 65534, 65534) == 0 && seteuid(65534) == 0);
	expect_open("read-only folder", true, ERROR_SYSTEM);
	if (before == 0)
		test_check(seteuid(0) == 0);
}

static void test_modes(void **state)
{
	static const char *const tails[] = {"", "-wal", "-shm"};
	mode_t mask = umask(0);
	struct directory *directory = open_new();

	(void)state;
	add(directory, "alice@x");
	for (size_t i = 0; i < 3; i++) {
		char name[100];
		struct stat status;

		snprintf(name, sizeof(name), "%s%s", path, tails[i]);
		test_row(tails[i]);
		test_check(stat(name, &status) == 0);
		test_check((status.st_mode & 07777) == 0600);
	}
	umask(mask);
	directory_close(directory);
	directory_close(NULL);
}

static const struct CMUnitTest tests[] = {
	test_case(test_find),         test_case(test_any_name),
	test_case(test_taken),        test_case(test_verifier),
	test_case(test_remove),       test_case(test_listing),
	test_case(test_transaction),  test_case(test_schema_changes_under_us),
	test_case(test_foreign_rows), test_case(test_open),
	test_case(test_modes),        test_case(test_read_only_folder),
};

TEST_MAIN(tests)
