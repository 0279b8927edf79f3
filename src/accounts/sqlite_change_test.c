/*
 * The account database: what addresses and logins mean, quotas, moves, domains, secrets for APOP,
 * and a database of an older Postern.
 */
#include "accounts/test_scene.h"

enum { NOBODY, ALICE, BOB, CAROL, TAGGED };

static void make_people(struct directory *directory, uint64_t ids[5])
{
	ids[NOBODY] = 0;
	ids[ALICE] = add(directory, "alice@example.org");
	ids[BOB] = add(directory, "bob@example.com");
	ids[CAROL] = add(directory, "carol@example.net");
	ids[TAGGED] = add(directory, "tom+real@example.org");
	test_check(directory_add_alias(directory, ids[BOB], "sales@example.org", NULL) == 0);
	test_check(directory_add_alias(directory, ids[BOB], "@example.com", NULL) == 0);
	test_check(directory_add_domain_alias(directory, "example.net", "example.org", NULL) == 0);
	test_check(directory_add_domain_alias(directory, "com.example", "example.com", NULL) == 0);
}

static uint64_t resolve(struct directory *directory, struct bytes address)
{
	struct account account;
	struct error error = {0};
	enum error_code code = directory_resolve(directory, address, &account, &error);

	if (code == ERROR_NO_USER) {
		test_check(error.code == ERROR_NO_USER && error.text[0]);
		return 0;
	}
	if (code != ERROR_NONE)
		fail_msg("row \"%s\": %s", test_row_name, error.text);
	return account.id;
}

static void test_lookups(void **state)
{
	static const struct {
		const char *name;
		int login, address;
	} rows[] = {
		{"alice@example.org", ALICE, ALICE},
		{"Alice", ALICE, ALICE},
		/* aliases of domains: exact names first */
		{"alice@example.net", ALICE, ALICE},
		{"sales@example.net", BOB, BOB},
		{"carol@example.net", CAROL, CAROL},
		{"carol@example.org", NOBODY, NOBODY},
		{"dave@example.net", NOBODY, NOBODY},
		/* user+tag: for mail alone, the first '+' counts, exact names first */
		{"alice+x@example.org", NOBODY, ALICE},
		{"alice+@example.org", NOBODY, ALICE},
		{"alice+x+y@EXAMPLE.net", NOBODY, ALICE},
		{"alice+x", NOBODY, ALICE},
		{"sales+x@example.org", NOBODY, BOB},
		{"tom+real@example.org", TAGGED, TAGGED},
		{"tom+real@example.net", TAGGED, TAGGED},
		{"tom+other@example.org", NOBODY, NOBODY},
		{"+alice@example.org", NOBODY, NOBODY},
		{"dave+x@example.org", NOBODY, NOBODY},
		/* postmaster */
		{"postmaster@example.org", ALICE, ALICE},
		{"postmaster@example.net", ALICE, ALICE},
		{"postmaster+x@example.net", NOBODY, ALICE},
		{"postmaster@com.example", ALICE, ALICE},
		{"postmaster@example.com", ALICE, ALICE},
		{"postmaster@else.example", NOBODY, NOBODY},
		/* the catch-all comes last, and is no login */
		{"anybody@example.com", NOBODY, BOB},
		{"anybody+x@com.example", NOBODY, BOB},
		{"bob+x@com.example", NOBODY, BOB},
		{"anybody@sub.example.com", NOBODY, NOBODY},
		{"@example.com", NOBODY, NOBODY},
		{"@com.example", NOBODY, NOBODY},
	};
	struct directory *directory = open_new();
	uint64_t ids[5];

	(void)state;
	make_people(directory, ids);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		test_row(rows[i].name);
		test_check(find(directory, bytes_of(rows[i].name)) == ids[rows[i].login]);
		test_check(resolve(directory, bytes_of(rows[i].name)) == ids[rows[i].address]);
	}
	directory_close(directory);
}

static void test_domains(void **state)
{
	static const struct {
		const char *alias, *domain;
		enum error_code expected;
	} rows[] = {
		{"new.example", "example.org", ERROR_NONE},
		{"new.example", "example.org", ERROR_DATA},
		{"new.example", "example.com", ERROR_DATA},
		{"other.example", "new.example", ERROR_DATA}, /* a chain */
		{"example.org", "example.com", ERROR_DATA},   /* is meant by another */
		{"x.example", "nowhere.example", ERROR_DATA},
		{"x.example", "x.example", ERROR_DATA},
	};
	struct directory *directory = open_new();
	char alias[DOMAIN_MAX + 1] = "", domain[DOMAIN_MAX + 1];
	uint64_t ids[5];
	bool local;

	(void)state;
	make_people(directory, ids);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error error = {0};

		test_row(rows[i].alias);
		test_check(directory_add_domain_alias(directory, rows[i].alias, rows[i].domain,
						      &error) == rows[i].expected);
		test_check((error.text[0] != 0) == (rows[i].expected != ERROR_NONE));
	}
	test_row("local");
	test_check(directory_is_local(directory, BYTES("new.example"), &local, NULL) == 0 && local);
	test_row("listed");
	test_check(directory_next_domain_alias(directory, "example", alias, domain, NULL) == 0);
	test_equal_bytes(bytes_of(alias), BYTES("example.net"));
	test_equal_bytes(bytes_of(domain), BYTES("example.org"));
	test_row("removed");
	test_check(directory_remove_domain_alias(directory, "new.example", NULL) == ERROR_NONE);
	test_check(directory_remove_domain_alias(directory, "new.example", NULL) == ERROR_NO_USER);
	test_check(directory_is_local(directory, BYTES("new.example"), &local, NULL) == 0 &&
		   !local);
	test_row("default domain");
	test_check(directory_set_default_domain(directory, "nowhere.example", NULL) == ERROR_DATA);
	test_check(directory_set_default_domain(directory, "example.com", NULL) == ERROR_NONE);
	test_check(find(directory, BYTES("bob")) == ids[BOB]);
	test_check(directory_set_default_domain(directory, "example.org", NULL) == ERROR_NONE);
	test_check(find(directory, BYTES("bob")) == 0 && find(directory, BYTES("alice")) != 0);
	directory_close(directory);
}

static void test_aliases(void **state)
{
	struct directory *directory = open_new();
	uint64_t ids[5];

	(void)state;
	make_people(directory, ids);
	test_row("a second catch-all");
	test_check(directory_add_alias(directory, ids[ALICE], "@example.com", NULL) == ERROR_DATA);
	test_row("no domain");
	test_check(directory_add_alias(directory, ids[ALICE], "@", NULL) == ERROR_DATA);
	test_row("another's");
	test_check(directory_remove_alias(directory, ids[ALICE], "sales@example.org", NULL) ==
		   ERROR_NO_USER);
	test_row("removed");
	test_check(directory_remove_alias(directory, ids[BOB], "sales@example.org", NULL) == 0);
	test_check(directory_remove_alias(directory, ids[BOB], "@example.com", NULL) == 0);
	test_check(resolve(directory, BYTES("sales@example.org")) == 0);
	test_check(resolve(directory, BYTES("anybody@example.com")) == 0);
	directory_close(directory);
}

static struct account known(struct directory *directory, const char *name)
{
	struct account account = {0};

	test_check(directory_find(directory, bytes_of(name), &account, NULL) == ERROR_NONE);
	return account;
}

static void test_set(void **state)
{
	struct directory *directory = open_new();
	struct account account;

	(void)state;
	add(directory, "alice@x");
	account = known(directory, "alice@x");
	test_row("as added");
	test_check(account.quota_octets == 0 && account.quota_messages == 0 && !account.disabled);
	account.quota_octets = INT64_MAX;
	account.quota_messages = UINT32_MAX;
	account.disabled = true;
	test_row("set");
	test_check(directory_set(directory, &account, NULL) == ERROR_NONE);
	account = known(directory, "alice@x");
	test_check(account.quota_octets == INT64_MAX && account.quota_messages == UINT32_MAX);
	test_check(account.disabled && account.generation == 1);
	test_row("nobody");
	account.id = 4711;
	test_check(directory_set(directory, &account, NULL) == ERROR_NO_USER);
	directory_close(directory);
}

static void test_move(void **state)
{
	static const struct {
		const char *path;
		uint32_t mail_root;
		enum error_code expected;
	} rows[] = {
		{"x/other", 0, ERROR_NONE},     {"x/bob", 0, ERROR_DATA},
		{"x/bob/inner", 0, ERROR_DATA}, {"x/bob/inner/most", 0, ERROR_DATA},
		{"x", 0, ERROR_DATA}, /* bob's would be within it */
		{"x/bob/inner", 1, ERROR_NONE}, {"x/bobby", 0, ERROR_NONE},
		{"x/bob-2", 0, ERROR_NONE},     {"x/bo", 0, ERROR_NONE},
		{"y", 0, ERROR_NONE},
	};
	struct directory *directory = open_new();
	struct account account, stale;

	(void)state;
	add(directory, "alice@x");
	add(directory, "bob@x");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct account before = known(directory, "alice@x"), after;

		test_row(rows[i].path);
		account = before;
		memset(account.path, 0, sizeof(account.path));
		snprintf(account.path, sizeof(account.path), "%s", rows[i].path);
		snprintf(account.store, sizeof(account.store), "maildir");
		account.mail_root = rows[i].mail_root;
		test_check(directory_move(directory, &account, NULL) == rows[i].expected);
		after = known(directory, "alice@x");
		if (rows[i].expected == ERROR_NONE) {
			test_check(memcmp(&after, &account, sizeof(after)) == 0);
			test_check(after.generation == before.generation + 1);
		} else {
			test_check(memcmp(&after, &before, sizeof(after)) == 0);
		}
	}
	test_row("to where it is, as another kind");
	stale = account = known(directory, "alice@x");
	snprintf(account.store, sizeof(account.store), "mbox");
	test_check(directory_move(directory, &account, NULL) == ERROR_NONE);
	test_row("of an older generation");
	test_check(directory_move(directory, &stale, NULL) == ERROR_TEMPORARY);
	directory_close(directory);
}

/* ---- APOP ---- */

static const char *secret_of(struct directory *directory, uint64_t account)
{
	static char secret[PASSWORD_MAX + 1];
	enum error_code code = directory_apop_secret(directory, account, secret, NULL);

	if (code == ERROR_NO_USER)
		return "(none)";
	test_check(code == ERROR_NONE);
	return secret;
}

#define check_secret(directory, account, expected)                                                 \
	test_equal_bytes(bytes_of(secret_of(directory, account)), bytes_of(expected))

static bool has_file(const char *name)
{
	char file[120];

	snprintf(file, sizeof(file), "%s/%s", folder, name);
	return access(file, F_OK) == 0;
}

static void test_apop(void **state)
{
	struct directory *directory = open_new(), *auth = open_new();
	uint64_t alice = add(directory, "alice@x"), bob = add(directory, "bob@x");

	(void)state;
	test_row("nobody has consented");
	check_secret(auth, alice, "(none)");
	test_check(directory_set_verifier(directory, alice, "first", NULL, NULL) == ERROR_NONE);
	test_check(!has_file("apop.db"));
	test_row("consent, seen by a directory that was open before");
	test_check(directory_set_apop(directory, alice, "tanstaaf", NULL) == ERROR_NONE);
	check_secret(auth, alice, "tanstaaf");
	check_secret(auth, bob, "(none)");
	test_check(known(auth, "alice@x").apop && !known(auth, "bob@x").apop);
	test_row("a new password");
	test_check(directory_set_verifier(directory, alice, "second", "new", NULL) == ERROR_NONE);
	check_secret(auth, alice, "new");
	test_row("a new verifier without its password");
	test_check(directory_set_verifier(directory, alice, "third", NULL, NULL) == ERROR_NONE);
	check_secret(auth, alice, "(none)");
	test_row("withdrawn");
	test_check(directory_set_apop(directory, alice, "again", NULL) == ERROR_NONE);
	check_secret(auth, alice, "again");
	test_check(directory_set_apop(directory, alice, NULL, NULL) == ERROR_NONE);
	check_secret(auth, alice, "(none)");
	test_check(!known(auth, "alice@x").apop);
	test_row("no such account");
	test_check(directory_set_apop(directory, 4711, "x", NULL) == ERROR_NO_USER);
	test_check(directory_set_apop(directory, 4711, NULL, NULL) == ERROR_NO_USER);
	directory_close(directory);
	directory_close(auth);
}

static size_t occurrences(const char *name, const char *word)
{
	static char content[1 << 20];
	char file[120];
	size_t length, found = 0;
	FILE *stream;

	snprintf(file, sizeof(file), "%s/%s", folder, name);
	stream = fopen(file, "r");
	test_check(stream != NULL);
	length = fread(content, 1, sizeof(content), stream);
	fclose(stream);
	for (size_t i = 0; i + strlen(word) <= length; i++)
		found += memcmp(content + i, word, strlen(word)) == 0;
	return found;
}

static void test_apop_wiped(void **state)
{
	struct directory *directory = open_new();
	uint64_t alice = add(directory, "alice@x"), bob = add(directory, "bob@x");

	(void)state;
	test_check(directory_set_apop(directory, alice, "gooseberry", NULL) == ERROR_NONE);
	test_check(directory_set_apop(directory, bob, "elderberry", NULL) == ERROR_NONE);
	test_row("kept apart");
	test_check(occurrences("apop.db", "gooseberry") == 1);
	test_check(occurrences("accounts.db", "gooseberry") == 0);
	test_check(occurrences("accounts.db-wal", "gooseberry") == 0);
	test_row("after a new password");
	test_check(directory_set_verifier(directory, alice, "v", "blackberry", NULL) == 0);
	test_check(occurrences("apop.db", "gooseberry") == 0);
	test_check(occurrences("apop.db", "blackberry") == 1);
	test_row("after remove");
	test_check(directory_remove(directory, alice, NULL) == ERROR_NONE);
	test_check(occurrences("apop.db", "blackberry") == 0);
	test_row("after consent was withdrawn");
	test_check(directory_set_apop(directory, bob, NULL, NULL) == ERROR_NONE);
	test_check(occurrences("apop.db", "elderberry") == 0);
	directory_close(directory);
}

/* Each row is a state that a crash between the two files can leave. */
static void test_apop_crashes(void **state)
{
	static const struct {
		const char *label, *sql, *expected;
	} rows[] = {
		{"secret written, verifier not",
		 "INSERT INTO secret.secret VALUES(1, 'next', 'new')", "old"},
		{"verifier written, old secret not wiped",
		 "INSERT INTO secret.secret VALUES(1, 'next', 'new');"
		 "UPDATE credential SET verifier = 'next'",
		 "new"},
		{"secret written, no consent", "UPDATE account SET apop = 0", "(none)"},
	};
	struct directory *directory;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char sql[400];
		uint64_t alice;

		tear_down(NULL);
		set_up(NULL);
		directory = open_new();
		alice = add(directory, "alice@x");
		test_check(directory_set_apop(directory, alice, "old", NULL) == ERROR_NONE);
		snprintf(sql, sizeof(sql), "ATTACH '%s/apop.db' AS secret; %s", folder,
			 rows[i].sql);
		raw(sql);
		test_row(rows[i].label);
		check_secret(directory, alice, rows[i].expected);
		directory_close(directory);
	}
}

static void test_apop_file(void **state)
{
	struct directory *directory = open_new();
	uint64_t alice = add(directory, "alice@x");
	char secret[PASSWORD_MAX + 1], file[120];

	(void)state;
	snprintf(file, sizeof(file), "%s/apop.db", folder);
	test_check(directory_set_apop(directory, alice, "tanstaaf", NULL) == ERROR_NONE);
	directory_close(directory);
	test_row("open to others");
	test_check(chmod(file, 0644) == 0);
	directory = open_new();
	test_check(directory_apop_secret(directory, alice, secret, NULL) == ERROR_CONFIG);
	test_check(chmod(file, 0600) == 0);
	check_secret(directory, alice, "tanstaaf");
	directory_close(directory);
	test_row("empty: somebody is about to make it");
	test_check(truncate(file, 0) == 0);
	directory = open_new();
	check_secret(directory, alice, "(none)");
	test_check(directory_set_apop(directory, alice, "again", NULL) == ERROR_NONE);
	check_secret(directory, alice, "again");
	directory_close(directory);
}

/* ---- an older database ---- */

static const char version_1[] =
	"PRAGMA journal_mode = WAL;"
	"CREATE TABLE account(id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" generation INTEGER NOT NULL DEFAULT 1, name TEXT NOT NULL UNIQUE, store TEXT NOT NULL,"
	" mail_root INTEGER NOT NULL, path TEXT NOT NULL, disabled INTEGER NOT NULL DEFAULT 0,"
	" created INTEGER NOT NULL, UNIQUE(mail_root, path)) STRICT;"
	"CREATE INDEX account_domain ON account(substr(name, instr(name, '@') + 1));"
	"CREATE TABLE alias(name TEXT PRIMARY KEY,"
	" account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE)"
	" STRICT, WITHOUT ROWID;"
	"CREATE INDEX alias_account ON alias(account, name);"
	"CREATE INDEX alias_domain ON alias(substr(name, instr(name, '@') + 1));"
	"CREATE TABLE credential("
	" account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,"
	" kind TEXT NOT NULL, verifier TEXT NOT NULL, PRIMARY KEY(account, kind, verifier))"
	" STRICT, WITHOUT ROWID;"
	"CREATE TABLE setting(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"PRAGMA application_id = 1347375956;"
	"PRAGMA user_version = 1;"
	"INSERT INTO account(generation, name, store, mail_root, path, disabled, created)"
	" VALUES(3, 'alice@x', 'mbox', 0, 'x/alice', 1, 1234567);"
	"INSERT INTO alias VALUES('sales@x', 1);"
	"INSERT INTO credential VALUES(1, 'password', 'verifier of alice');";

static void test_migration(void **state)
{
	struct directory *directory, *second;
	struct account account;
	char verifier[VERIFIER_MAX + 1];

	(void)state;
	raw(version_1);
	test_check(chmod(path, 0600) == 0);
	test_row("brought up to date, by whoever opens it");
	test_check(directory_open(path, false, &directory, NULL) == ERROR_NONE);
	account = known(directory, "sales@x");
	test_equal_bytes(bytes_of(account.name), BYTES("alice@x"));
	test_equal_bytes(bytes_of(account.path), BYTES("x/alice"));
	test_check(account.id == 1 && account.generation == 3 && account.disabled);
	test_check(account.created_unix_seconds == 1234567 && account.quota_octets == 0);
	test_check(account.quota_messages == 0 && !account.apop);
	test_check(directory_verifier(directory, 1, verifier, NULL) == ERROR_NONE);
	test_equal_bytes(bytes_of(verifier), BYTES("verifier of alice"));
	test_row("and works as one that was made now");
	test_check(directory_add_domain_alias(directory, "y", "x", NULL) == ERROR_NONE);
	test_check(directory_set_apop(directory, 1, "secret", NULL) == ERROR_NONE);
	test_row("opened again");
	test_check(directory_open(path, false, &second, NULL) == ERROR_NONE);
	test_check(known(second, "alice@y").id == 1);
	directory_close(second);
	directory_close(directory);
}

static const struct CMUnitTest tests[] = {
	test_case(test_lookups),    test_case(test_domains),      test_case(test_aliases),
	test_case(test_set),        test_case(test_move),         test_case(test_apop),
	test_case(test_apop_wiped), test_case(test_apop_crashes), test_case(test_apop_file),
	test_case(test_migration),
};

TEST_MAIN(tests)
