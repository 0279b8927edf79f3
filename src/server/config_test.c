/*
 * config: words and files, understood and not.
 */
#include "server/config.h"

#include <fcntl.h>

#include "base/test.h"
#include "server/instance.h"

#define WORDS_MAX 8

struct row {
	const char *name;
	const char *file; /* postern.conf; NULL: none */
	const char *words[WORDS_MAX];
	enum error_code code;
	const char *complains_about; /* a part of the text */
	uint32_t listeners;          /* the socket of ROOT included */
	uint32_t workers;            /* 0: not looked at */
	bool allow_plaintext;
};

static const struct row rows[] = {
	{"nothing", NULL, {NULL}, ERROR_NONE, NULL, 3, 0, false},
	{"one address", NULL, {"--pop3", "127.0.0.1:1"}, ERROR_NONE, NULL, 2, 0, false},
	{"with =", NULL, {"--pop3=:1", "--workers=3"}, ERROR_NONE, NULL, 2, 3, false},
	{"repeated", NULL, {"--pop3s", ":1", "--pop3s", "[::1]:2"}, ERROR_NONE, NULL, 3, 0, false},
	{"LMTP alone", NULL, {"--lmtp", "unix:/x", "--lmtp", ":24"}, ERROR_NONE, NULL, 5, 0, false},
	{"a switch", NULL, {"--allow-plaintext"}, ERROR_NONE, NULL, 3, 0, true},
	{"most workers", NULL, {"--workers", "64"}, ERROR_NONE, NULL, 3, 64, false},
	{"too many workers", NULL, {"--workers", "65"}, ERROR_USAGE, "65", 0, 0, false},
	{"no workers", NULL, {"--workers", "0"}, ERROR_USAGE, "workers", 0, 0, false},
	{"unknown", NULL, {"--pop4", ":1"}, ERROR_USAGE, "--pop4", 0, 0, false},
	{"no flag", NULL, {"pop3"}, ERROR_USAGE, "pop3", 0, 0, false},
	{"no value", NULL, {"--pop3"}, ERROR_USAGE, "--pop3", 0, 0, false},
	{"twice", NULL, {"--workers", "1", "--workers", "2"}, ERROR_USAGE, "twice", 0, 0, false},
	{"a host name", NULL, {"--pop3", "mail:110"}, ERROR_USAGE, "mail:110", 0, 0, false},
	{"SMTP and socketmap",
	 NULL,
	 {"--smtp", ":25", "--socketmap", "unix:/x"},
	 ERROR_NONE,
	 NULL,
	 5,
	 0,
	 false},
	{"SMTP on a unix socket", NULL, {"--smtp", "unix:/x"}, ERROR_USAGE, "unix:/x", 0, 0, false},
	{"POP3 on a unix socket", NULL, {"--pop3", "unix:/x"}, ERROR_USAGE, "unix:/x", 0, 0, false},
	{"half a pair", NULL, {"--tls-key", "x"}, ERROR_USAGE, "--tls-key: tls-cert", 0, 0, false},
	{"the file",
	 "[serve]\nworkers = 2\nallow-plaintext = yes\n",
	 {NULL},
	 ERROR_NONE,
	 NULL,
	 3,
	 2,
	 true},
	{"flags win",
	 "[serve]\nworkers = 2\npop3 = :1\npop3 = :2\n",
	 {"--workers", "5", "--pop3", ":3"},
	 ERROR_NONE,
	 NULL,
	 2,
	 5,
	 false},
	{"file, other kind by flag",
	 "[serve]\npop3 = :1\n",
	 {"--pop3s", ":2"},
	 ERROR_NONE,
	 NULL,
	 3,
	 0,
	 false},
	{"file, unknown key",
	 "[serve]\n\nworker = 2\n",
	 {NULL},
	 ERROR_CONFIG,
	 "line 3",
	 0,
	 0,
	 false},
	{"file, unknown section",
	 "[server]\nworkers = 2\n",
	 {NULL},
	 ERROR_CONFIG,
	 "line 1",
	 0,
	 0,
	 false},
	{"file, no key", "[serve]\nworkers\n", {NULL}, ERROR_CONFIG, "line 2", 0, 0, false},
	{"file, neither yes nor no",
	 "[serve]\nallow-plaintext = 1\n",
	 {NULL},
	 ERROR_CONFIG,
	 "line 2",
	 0,
	 0,
	 false},
	{"file, longest line",
	 "[serve]\n#\nworkers = 000000000000000000000000000000000000000000000000"
	 "0000000000000000000000000000000000000000000000000000000000000000000"
	 "000000000000000000000000000000000000000000000000000000000000000000000"
	 "0000001\n",
	 {NULL},
	 ERROR_CONFIG,
	 "line 3",
	 0,
	 0,
	 false},
	{"file, indented",
	 "[serve]\npop3 = :1\n  workers = 4\n",
	 {NULL},
	 ERROR_NONE,
	 NULL,
	 2,
	 4,
	 false},
	{"file, from another system",
	 "\xef\xbb\xbf[serve]\r\nworkers = 4\r\n",
	 {NULL},
	 ERROR_NONE,
	 NULL,
	 3,
	 4,
	 false},
	{"file, comments",
	 "; a\n# b\n\n[serve] ; c\nworkers = 4 ; d\n",
	 {NULL},
	 ERROR_NONE,
	 NULL,
	 3,
	 4,
	 false},
	{"our name", NULL, {"--host-name", "mx.example.org"}, ERROR_NONE, NULL, 3, 0, false},
	{"a bad name", NULL, {"--host-name", "mx_"}, ERROR_USAGE, "mx_", 0, 0, false},
	{"what was meant",
	 NULL,
	 {"--worker", "3"},
	 ERROR_USAGE,
	 "--worker; did you mean --workers?",
	 0,
	 0,
	 false},
	{"no such log",
	 NULL,
	 {"--log-to", "file"},
	 ERROR_USAGE,
	 "stderr, syslog or journal",
	 0,
	 0,
	 false},
};

static char folder[] = "/tmp/config-test-XXXXXX";

static int words_of(const struct row *row, char *arguments[WORDS_MAX])
{
	int count = 0;

	while (count < WORDS_MAX && row->words[count]) {
		arguments[count] = strdup(row->words[count]);
		count++;
	}
	return count;
}

static void write_file(int directory, const char *text)
{
	struct error error;

	instance_remove(directory, "postern.conf");
	if (text)
		test_check(instance_write(directory, "postern.conf", bytes_of(text), 0600,
					  &error) == ERROR_NONE);
}

static void run(const struct row *row, int directory)
{
	static struct config config;
	char *arguments[WORDS_MAX];
	struct error error = {0};
	int count = words_of(row, arguments);

	test_row(row->name);
	write_file(directory, row->file);
	test_check(config_parse(count, arguments, folder, &config, &error) == row->code);
	if (row->code == ERROR_NONE) {
		test_check(config.listener_count == row->listeners);
		test_check(row->workers == 0 ? config.workers >= 1
					     : config.workers == row->workers);
		test_check(config.allow_plaintext == row->allow_plaintext);
	} else {
		test_check(strstr(error.text, row->complains_about) != NULL);
	}
	for (int i = 0; i < count; i++)
		free(arguments[i]);
}

static void test_rows(void **state)
{
	int directory;

	(void)state;
	test_check(mkdtemp(folder) != NULL);
	directory = open(folder, O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run(&rows[i], directory);
	instance_remove(directory, "postern.conf");
	close(directory);
	(void)rmdir(folder);
}

static const struct wrong_row {
	const char *name, *file, *word;
	const char *texts[5];
} wrong[] = {
	{"none", "[serve]\nworkers = 1\n", NULL, {NULL}},
	{"keys, in their order",
	 "[serve]\nworker = 1\npop3 = x\nworkers = 65\nlog-to = file\n",
	 "--pop4=x",
	 {"line 2: no such key: worker; did you mean workers?",
	  "line 3: ", "line 4: workers is not a number from 1 to 64: 65",
	  "line 5: log-to is not stderr, syslog or journal: file",
	  "no such flag: --pop4=x; did you mean --pop3?"}},
	{"lines that are none",
	 "[serve]\nworkers\nbeta\n[other]\nworkers = 0\n[serve\nworkers = 0\n",
	 NULL,
	 {"line 2: neither", "line 3: neither", "line 4: no such section", "line 6: neither"}},
	{"no section",
	 "workers = 0\npop3 = x\n[serve]\nworkers = 0\n",
	 NULL,
	 {"line 1: a key before", "line 4: workers"}},
	{"half a pair",
	 "[serve]\ntls-key = x\nx = y\n",
	 NULL,
	 {"line 3: no such key: x", "line 2: tls-key: tls-cert and tls-key belong"}},
	{"empty values",
	 "[serve]\nmail-root =\nworkers =\npop3 =\ntls-cert =\ntrusted-user =\n",
	 NULL,
	 {"line 2: a value is missing behind: mail-root", "line 3: a value is missing",
	  "line 4: a value is missing", "line 5: a value is missing",
	  "line 6: a value is missing behind: trusted-user"}},
	{"one unix socket twice",
	 "[serve]\nlmtp = unix:/x/y\nsocketmap = unix:/x/y\nlmtp = unix:/x/z\n",
	 NULL,
	 {"line 3: socketmap: unix:/x/y is given twice"}},
	{"one by two names",
	 "[serve]\nlmtp = unix:/tmp/y\nsocketmap = unix:/tmp/../tmp/y\n",
	 NULL,
	 {"line 3: socketmap: unix:/tmp/../tmp/y is given twice"}},
	{"our own unix sockets",
	 "[serve]\nsocketmap = unix:run/lmtp.sock\nlmtp = unix:run/control.sock\n",
	 NULL,
	 {"line 2: socketmap: ", "line 3: lmtp: "}},
	{"one port twice",
	 "[serve]\npop3 = 127.0.0.1:1\npop3s = 127.0.0.1:1\nsmtp = :0\nsmtp = :0\n",
	 NULL,
	 {"line 3: pop3s: 127.0.0.1:1 is given twice"}},
	{"by a flag",
	 "[serve]\npop3 = 127.0.0.1:1\n",
	 "--pop3s=127.0.0.1:1",
	 {"--pop3s: 127.0.0.1:1 is given twice"}},
};

/* Every problem is told, each once, with its line. */
static void test_problems(void **state)
{
	static struct problems problems;
	static struct config config;
	char root[] = "/tmp/config-test-XXXXXX";
	int directory;

	(void)state;
	test_check(mkdtemp(root) != NULL);
	directory = open(root, O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char word[32] = "", *words[] = {word};
		size_t count = 0;

		test_row(wrong[i].name);
		snprintf(word, sizeof(word), "%s", wrong[i].word ? wrong[i].word : "");
		write_file(directory, wrong[i].file);
		problems_free(&problems);
		config_read(wrong[i].word ? 1 : 0, words, root, &config, &problems);
		for (; count < 5 && wrong[i].texts[count]; count++)
			test_check(strstr(problems.list[count].text, wrong[i].texts[count]));
		test_check(problems.count == count);
	}
	problems_free(&problems);
	instance_remove(directory, "postern.conf");
	close(directory);
	(void)rmdir(root);
}

/* All of them are listed, however many. */
static void test_many_problems(void **state)
{
	static const size_t counts[] = {0, 1, 15, 16, 17, 64, 65, 5000};
	struct problems problems = {.count = 0};
	char *text = NULL, last[32];
	size_t length = 0, lines;

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		FILE *out = open_memstream(&text, &length);

		for (size_t j = 1; j <= counts[i]; j++)
			(void)problems_add(&problems, ERROR_CONFIG, "number %zu", j);
		problems_print(&problems, "x: ", out);
		fclose(out);
		lines = 0;
		for (size_t j = 0; j < length; j++)
			lines += text[j] == '\n';
		snprintf(last, sizeof(last), "x: number %zu\n", counts[i]);
		test_check(problems.count == counts[i] && lines == counts[i]);
		test_check(counts[i] == 0 || strstr(text, last) != NULL);
		problems_free(&problems);
		free(text);
	}
}

static void check_path(const char *path, const char *expected, const char *root, const char *here)
{
	char whole[2 * PATH_MAX];

	if (expected[0] == '=')
		snprintf(whole, sizeof(whole), "%s", expected + 1);
	else if (expected[0] == '.')
		snprintf(whole, sizeof(whole), "%s%s", here, expected + 1);
	else
		snprintf(whole, sizeof(whole), "%s%s", root, expected);
	test_check(strcmp(path, whole) == 0);
}

/* Each limit one below, at and above it. */
static void test_listeners_max(void **state)
{
	static const struct {
		const char *name;
		int flags;
		enum error_code code;
	} limits[] = {
		/* The socket of ROOT is one of them. */
		{"one below", LISTENERS_MAX - 2, ERROR_NONE},
		{"at", LISTENERS_MAX - 1, ERROR_NONE},
		{"above", LISTENERS_MAX, ERROR_USAGE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		static struct config config;
		char flag[] = "--pop3=:0";
		char *arguments[LISTENERS_MAX];
		struct error error;

		test_row(limits[i].name);
		for (int j = 0; j < limits[i].flags; j++)
			arguments[j] = flag;
		test_check(config_parse(limits[i].flags, arguments, "/nowhere", &config, &error) ==
			   limits[i].code);
	}
}

/* Relative paths: the file's begin at ROOT, those of flags in the current folder. */
static void test_paths(void **state)
{
	static const struct {
		const char *name;
		const char *file;
		const char *words[4];
		const char *certificate, *key, *lmtp; /* "/…" in the root, "=…" as it stands */
	} paths[] = {
		{"file, relative",
		 "tls-cert = tls/a\ntls-key = b\nlmtp = unix:run/x\n",
		 {NULL},
		 "/tls/a",
		 "/b",
		 "/run/x"},
		{"file, absolute",
		 "tls-cert = /a\ntls-key = /tls/b\nlmtp = unix:/x\n",
		 {NULL},
		 "=/a",
		 "=/tls/b",
		 "=unix:/x"},
		{"flags",
		 "lmtp = unix:run/x\n",
		 {"--tls-cert=tls/a", "--tls-key=/b", "--lmtp=unix:y"},
		 "./tls/a",
		 "=/b",
		 "=unix:y"},
	};
	char root[] = "/tmp/config-test-XXXXXX", here[PATH_MAX];
	int directory;

	(void)state;
	test_check(mkdtemp(root) != NULL && getcwd(here, sizeof(here)) != NULL);
	directory = open(root, O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		static struct config config;
		char text[200], words[4][32], lmtp[ADDRESS_OCTETS], *arguments[4];
		struct error error = {0};
		int count = 0;

		test_row(paths[i].name);
		snprintf(text, sizeof(text), "[serve]\n%s", paths[i].file);
		write_file(directory, text);
		for (; paths[i].words[count]; count++) {
			snprintf(words[count], sizeof(words[count]), "%s", paths[i].words[count]);
			arguments[count] = words[count];
		}
		test_check(config_parse(count, arguments, root, &config, &error) == ERROR_NONE);
		check_path(config.tls_certificate, paths[i].certificate, root, here);
		check_path(config.tls_key, paths[i].key, root, here);
		(void)address_print(&config.listeners[0].address, lmtp);
		check_path(paths[i].lmtp[0] == '=' ? lmtp : lmtp + strlen("unix:"), paths[i].lmtp,
			   root, here);
	}
	instance_remove(directory, "postern.conf");
	close(directory);
	(void)rmdir(root);
}

/* Every flag that is understood is in the help. */
/* Of each list one below, at and above its limit; networks and users as they are told to a worker.
 */
static void test_trust(void **state)
{
	static const struct {
		const char *name, *flag, *value;
		int flags;
		uint32_t networks, users; /* of a config without problems; 0: a problem */
	} rows_of_trust[] =
		{
			{"neither", NULL, NULL, 0, 2, 0},
			{"a network", "--trusted-network", "192.0.2.0/24", 1, 1, 0},
			{"none", "--trusted-network", "none", 1, 0, 0},
			{"networks, one below", "--trusted-network", "::1",
			 TRUSTED_NETWORKS_MAX - 1, TRUSTED_NETWORKS_MAX - 1, 0},
			{"networks, at", "--trusted-network", "::1", TRUSTED_NETWORKS_MAX,
			 TRUSTED_NETWORKS_MAX, 0},
			{"a user by number", "--trusted-user", "4711", 1, 2, 1},
			{"a user by name", "--trusted-user", "root", 1, 2, 1},
			{"users, one below", "--trusted-user", "7", TRUSTED_USERS_MAX - 1, 2,
			 TRUSTED_USERS_MAX - 1},
			{"users, at", "--trusted-user", "7", TRUSTED_USERS_MAX, 2,
			 TRUSTED_USERS_MAX},
		},
	  problems[] = {
		  {"networks, above", "--trusted-network", "::1", TRUSTED_NETWORKS_MAX + 1, 0, 0},
		  {"users, above", "--trusted-user", "7", TRUSTED_USERS_MAX + 1, 0, 0},
		  {"no network", "--trusted-network", "192.0.2.1/24", 1, 0, 0},
		  {"no user", "--trusted-user", "no such user", 1, 0, 0},
	  };
	static struct config config;
	char *arguments[2 * (TRUSTED_NETWORKS_MAX + 1)];
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(rows_of_trust) / sizeof(rows_of_trust[0]); i++) {
		test_row(rows_of_trust[i].name);
		for (int j = 0; j < rows_of_trust[i].flags; j++) {
			arguments[2 * j] = (char *)(uintptr_t)rows_of_trust[i].flag;
			arguments[2 * j + 1] = (char *)(uintptr_t)rows_of_trust[i].value;
		}
		test_check(config_parse(2 * rows_of_trust[i].flags, arguments, "/nowhere", &config,
					&error) == ERROR_NONE);
		test_check(config.trusted_count == rows_of_trust[i].networks);
		test_check(config.trusted_user_count == rows_of_trust[i].users);
	}
	for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++) {
		test_row(problems[i].name);
		for (int j = 0; j < problems[i].flags; j++) {
			arguments[2 * j] = (char *)(uintptr_t)problems[i].flag;
			arguments[2 * j + 1] = (char *)(uintptr_t)problems[i].value;
		}
		test_check(config_parse(2 * problems[i].flags, arguments, "/nowhere", &config,
					&error) == ERROR_USAGE);
	}
}

static void test_message_limits(void **state)
{
	static const struct {
		const char *value;
		bool good;
	} values[] = {{"65535", false},    {"65536", true},     {"65537", true},
		      {"268435455", true}, {"268435456", true}, {"268435457", false},
		      {"1M", false},       {"", false}};
	static struct config config;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char flag[] = "--message-octets-max";
		char *arguments[] = {flag, (char *)(uintptr_t)values[i].value};

		test_row(values[i].value);
		test_check((config_parse(2, arguments, "/nowhere", &config, &error) ==
			    ERROR_NONE) == values[i].good);
	}
}

static void test_help(void **state)
{
	static const char *const flags[] = {"--pop3 ",
					    "--pop3s ",
					    "--lmtp ",
					    "--tls-cert ",
					    "--tls-key ",
					    "--workers ",
					    "--allow-plaintext ",
					    "--mail-root ",
					    "--connections-per-address ",
					    "--smtp ",
					    "--host-name ",
					    "--socketmap ",
					    "--message-octets-max ",
					    "--trusted-network ",
					    "--trusted-user ",
					    "--megabytes-per-user ",
					    "--log-to ",
					    "--log-format ",
					    "--log-level "};
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	config_help(out);
	fclose(out);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		test_row(flags[i]);
		test_check(strstr(text, flags[i]) != NULL);
	}
	free(text);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),          cmocka_unit_test(test_problems),
	cmocka_unit_test(test_many_problems), cmocka_unit_test(test_listeners_max),
	cmocka_unit_test(test_paths),         cmocka_unit_test(test_help),
	cmocka_unit_test(test_trust),         cmocka_unit_test(test_message_limits),
};
TEST_MAIN(tests)
