/*
 * Verifiers of ours and of others, passwords of all octets, and what the cache may remember.
 */
#include "accounts/secret.h"
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/test.h"

#define SALT "c29tZXNhbHQ" /* "somesalt" */
#define HASH "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
#define OK   "$argon2id$v=19$m=65536,t=2,p=1$" SALT "$" HASH

static const struct {
	const char *label;
	struct bytes verifier;
	bool usable;
} verifier_rows[] = {
	{"reference", BYTES(OK), true},
	{"empty", BYTES(""), false},
	{"plain text", BYTES("secret"), false},
	{"argon2i", BYTES("$argon2i$v=19$m=65536,t=2,p=1$" SALT "$" HASH), false},
	{"bcrypt", BYTES("$2y$10$abcdefghijklmnopqrstuv"), false},
	{"no version", BYTES("$argon2id$m=65536,t=2,p=1$" SALT "$" HASH), false},
	{"old version", BYTES("$argon2id$v=16$m=65536,t=2,p=1$" SALT "$" HASH), false},
	{"order", BYTES("$argon2id$v=19$t=2,m=65536,p=1$" SALT "$" HASH), false},
	{"leading zero", BYTES("$argon2id$v=19$m=065536,t=2,p=1$" SALT "$" HASH), false},
	{"minus", BYTES("$argon2id$v=19$m=-1,t=2,p=1$" SALT "$" HASH), false},
	{"past 32 bits", BYTES("$argon2id$v=19$m=4294967297,t=2,p=1$" SALT "$" HASH), false},
	{"256 MiB", BYTES("$argon2id$v=19$m=262144,t=2,p=1$" SALT "$" HASH), true},
	{"one KiB above", BYTES("$argon2id$v=19$m=262145,t=2,p=1$" SALT "$" HASH), false},
	{"no passes", BYTES("$argon2id$v=19$m=65536,t=0,p=1$" SALT "$" HASH), false},
	{"16 passes", BYTES("$argon2id$v=19$m=65536,t=16,p=1$" SALT "$" HASH), true},
	{"17 passes", BYTES("$argon2id$v=19$m=65536,t=17,p=1$" SALT "$" HASH), false},
	{"no lanes", BYTES("$argon2id$v=19$m=65536,t=2,p=0$" SALT "$" HASH), false},
	{"16 lanes", BYTES("$argon2id$v=19$m=65536,t=2,p=16$" SALT "$" HASH), true},
	{"17 lanes", BYTES("$argon2id$v=19$m=65536,t=2,p=17$" SALT "$" HASH), false},
	{"least memory", BYTES("$argon2id$v=19$m=16,t=2,p=2$" SALT "$" HASH), true},
	{"too little memory", BYTES("$argon2id$v=19$m=15,t=2,p=2$" SALT "$" HASH), false},
	{"short salt", BYTES("$argon2id$v=19$m=65536,t=2,p=1$c29tZXM$" HASH), false},
	{"padded salt", BYTES("$argon2id$v=19$m=65536,t=2,p=1$" SALT "=$" HASH), false},
	{"salt not base64", BYTES("$argon2id$v=19$m=65536,t=2,p=1$c29t*XNhbHQ$" HASH), false},
	{"short hash", BYTES("$argon2id$v=19$m=65536,t=2,p=1$" SALT "$CTFhFdXPJO1aFaMa"), false},
	{"no hash", BYTES("$argon2id$v=19$m=65536,t=2,p=1$" SALT), false},
	{"tail", BYTES(OK "$"), false},
	{"far too long", BYTES(OK OK OK), false},
	{"newline", BYTES(OK "\n"), false},
	{"NUL", BYTES(OK "\0"), false},
};

static void test_verifiers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(verifier_rows) / sizeof(verifier_rows[0]); i++) {
		struct error error = {0};
		enum error_code code = secret_check_verifier(verifier_rows[i].verifier, &error);

		test_row(verifier_rows[i].label);
		test_check(code == (verifier_rows[i].usable ? ERROR_NONE : ERROR_DATA));
		test_check((error.text[0] == '\0') == verifier_rows[i].usable);
	}
}

/* Computed by the reference implementation of argon2 (its test.c), so that verifiers of other
 * programs are known to work, with one lane and with two. */
static const struct {
	const char *label, *verifier, *password;
	bool right;
} known_rows[] = {
	{"one lane", OK, "password", true},
	{"one lane, wrong", OK, "passwore", false},
	{"one lane, empty", OK, "", false},
	{"two lanes",
	 "$argon2id$v=19$m=256,t=2,p=2$" SALT "$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
	 "password", true},
	{"two lanes, wrong",
	 "$argon2id$v=19$m=256,t=2,p=2$" SALT "$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
	 "Password", false},
	{"nobody", NULL, "password", false},
	{"nobody, empty", NULL, "", false},
	{"not a verifier", "password", "password", false},
	{"asks for too much", "$argon2id$v=19$m=4194304,t=2,p=1$" SALT "$" HASH, "password", false},
};

static void test_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(known_rows) / sizeof(known_rows[0]); i++) {
		test_row(known_rows[i].label);
		test_check(
			secret_verify(known_rows[i].verifier, bytes_of(known_rows[i].password)) ==
			(known_rows[i].right ? ERROR_NONE : ERROR_DENIED));
	}
}

static void fill(char *room, size_t length)
{
	for (size_t i = 0; i < length; i++)
		room[i] = (char)('a' + i % 26);
}

/* Any password is verified as it was given, or refused with a reason. */
static void test_passwords(void **state)
{
	static char longest[PASSWORD_MAX], too_long[PASSWORD_MAX + 1], huge[10240];
	const struct {
		const char *label;
		struct bytes password;
		bool allowed;
	} rows[] = {
		{"one octet", BYTES("x"), true},
		{"spaces", BYTES(" a b "), true},
		{"quotes", BYTES("'; DROP TABLE account; --\""), true},
		{"dots", BYTES("../../etc"), true},
		{"percent", BYTES("%2f%00%n%s"), true},
		{"utf-8", BYTES("\xc3\xa4\xe2\x82\xac"), true},
		{"overlong", BYTES("\xc0\xaf\xff\xfe\x80"), true},
		{"control", BYTES("\x01\x1b\x7f\t"), true},
		{"braces", BYTES("{PLAIN}x"), true},
		{"longest", {longest, sizeof(longest)}, true},
		{"one below", {longest, sizeof(longest) - 1}, true},
		{"one above", {too_long, sizeof(too_long)}, false},
		{"10 kB", {huge, sizeof(huge)}, false},
		{"empty", BYTES(""), false},
		{"NUL", BYTES("a\0b"), false},
		{"CR", BYTES("a\r"), false},
		{"LF", BYTES("a\nb"), false},
	};

	(void)state;
	fill(longest, sizeof(longest));
	fill(too_long, sizeof(too_long));
	fill(huge, sizeof(huge));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char verifier[VERIFIER_MAX + 1];
		struct error error = {0};
		enum error_code code = secret_hash(rows[i].password, verifier, &error);

		test_row(rows[i].label);
		test_check(code == (rows[i].allowed ? ERROR_NONE : ERROR_DATA));
		test_check(secret_check_password(rows[i].password, NULL) == code);
		test_check((verifier[0] != '\0') == rows[i].allowed);
		if (code != ERROR_NONE) {
			test_check(error.text[0] != '\0');
			test_check(ERROR_DENIED == secret_verify(OK, rows[i].password));
			continue;
		}
		test_check(secret_check_verifier(bytes_of(verifier), NULL) == ERROR_NONE);
		test_check(secret_verify(verifier, rows[i].password) == ERROR_NONE);
		test_check(ERROR_DENIED ==
			   secret_verify(verifier, bytes_first(rows[i].password,
							       rows[i].password.length - 1)));
	}
}

/* Leaves room for what the test itself needs, but not for the 64 MiB that the verifier asks for. */
static bool limit_memory(void)
{
	char line[128];
	unsigned long long data_kb = 0;
	FILE *status = fopen("/proc/self/status", "r");
	while (status != NULL && fgets(line, sizeof line, status) != NULL)
		if (sscanf(line, "VmData: %llu", &data_kb) == 1)
			break;
	if (status != NULL)
		fclose(status);
	struct rlimit limit = {(data_kb << 10) + (32 << 20), (data_kb << 10) + (32 << 20)};
	return data_kb > 0 && setrlimit(RLIMIT_DATA, &limit) == 0;
}

/* A machine out of memory must not tell a user that his password is wrong, whether we compute the
 * hash ourselves or, for two lanes, have it compared. */
static void test_without_memory(void **state)
{
	static const char *const verifiers[] = {
		OK, "$argon2id$v=19$m=65536,t=2,p=2$" SALT "$" HASH,
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$" HASH};

	(void)state;
	for (size_t i = 0; i < sizeof(verifiers) / sizeof(verifiers[0]); i++) {
		int status;
		pid_t child;

		test_row(verifiers[i]);
		test_check(secret_verify(verifiers[i], BYTES("passwort")) == ERROR_DENIED);
		child = fork();
		if (child == 0) {
			if (!limit_memory())
				_exit(2);
			_exit(secret_verify(verifiers[i], BYTES("passwort")) == ERROR_TEMPORARY
				      ? 0
				      : 1);
		}
		test_check(waitpid(child, &status, 0) == child);
		test_check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

static void test_salted(void **state)
{
	char first[VERIFIER_MAX + 1], second[VERIFIER_MAX + 1];

	(void)state;
	test_row("two hashes of one password differ");
	test_check(secret_hash(BYTES("x"), first, NULL) == ERROR_NONE);
	test_check(secret_hash(BYTES("x"), second, NULL) == ERROR_NONE);
	test_check(strcmp(first, second) != 0);
}

/* One success is remembered; every row differs from it in one thing and must not be found. */
static void test_cache_key(void **state)
{
	static const struct {
		const char *label;
		uint64_t account;
		const char *verifier;
		struct bytes password;
	} rows[] = {
		{"another account", 2, "verifier", BYTES("password")},
		{"another verifier", 1, "verifies", BYTES("password")},
		{"another password", 1, "verifier", BYTES("passwore")},
		{"a longer password", 1, "verifier", BYTES("password\0")},
		{"the border moved", 1, "verifierp", BYTES("assword")},
		{"empty", 1, "", BYTES("")},
	};
	struct secret_cache *cache = secret_cache_new(64), *other = secret_cache_new(64);

	(void)state;
	secret_cache_add(cache, 1, "verifier", BYTES("password"));
	test_row("remembered");
	test_check(secret_cache_has(cache, 1, "verifier", BYTES("password")));
	test_check(!secret_cache_has(other, 1, "verifier", BYTES("password")));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		test_row(rows[i].label);
		test_check(!secret_cache_has(cache, rows[i].account, rows[i].verifier,
					     rows[i].password));
	}
	secret_cache_free(cache);
	secret_cache_free(other);
	secret_cache_free(NULL);
}

/* However many are added, the newest is there and the number remembered has its limit. */
static void test_cache_gives_way(void **state)
{
	static const size_t sizes[] = {0, 1, 4, 5, 64};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct secret_cache *cache = secret_cache_new(sizes[i]);
		size_t remembered = 0;

		test_row("gives way");
		for (uint64_t account = 1; account <= 1000; account++) {
			secret_cache_add(cache, account, "v", BYTES("p"));
			secret_cache_add(cache, account, "v", BYTES("p"));
			test_check(secret_cache_has(cache, account, "v", BYTES("p")));
		}
		for (uint64_t account = 1; account <= 1000; account++)
			remembered += secret_cache_has(cache, account, "v", BYTES("p"));
		test_check(remembered >= 1 && remembered <= sizes[i] + 4);
		secret_cache_free(cache);
	}
}

/* Comes first: libsodium wants to be told once. */
static void test_init(void **state)
{
	(void)state;
	secret_init();
	secret_init();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_init),           cmocka_unit_test(test_verifiers),
	cmocka_unit_test(test_known),          cmocka_unit_test(test_passwords),
	cmocka_unit_test(test_without_memory), cmocka_unit_test(test_salted),
	cmocka_unit_test(test_cache_key),      cmocka_unit_test(test_cache_gives_way),
};

TEST_MAIN(tests)
