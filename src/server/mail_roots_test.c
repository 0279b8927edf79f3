/*
 * mail_roots: numbers that stay, whatever becomes of the keys; paths that are refused.
 */
#include "server/mail_roots.h"

#include <fcntl.h>

#include "base/test.h"

#define ROOT "/x/postern"

static char folder[64];
static struct instance instance;

static int set_up(void **state)
{
	const char *parent = getenv("TMPDIR");

	(void)state;
	snprintf(folder, sizeof(folder), "%s/roots-XXXXXX", parent ? parent : "/tmp");
	assert_non_null(mkdtemp(folder));
	instance = (struct instance){.root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	return instance.root >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	instance_remove(instance.root, "mail-roots");
	close(instance.root);
	return rmdir(folder);
}

static struct mail_roots roots;

static enum error_code number(const char *first, const char *second, const char *third)
{
	static char configured[3][PATH_MAX];
	const char *const given[] = {first, second, third};
	struct error error = {0};
	size_t count = 0;
	enum error_code code;

	while (count < 3 && given[count]) {
		snprintf(configured[count], PATH_MAX, "%s", given[count]);
		count++;
	}
	code = mail_roots_number(&instance, ROOT, (const char(*)[PATH_MAX])configured, count,
				 &roots, &error);
	test_check((code == ERROR_NONE) == (error.text[0] == '\0'));
	return code;
}

static void check_path(uint32_t at, const char *expected)
{
	test_equal_bytes(bytes_of(roots.path[at]), bytes_of(expected));
}

static void test_numbers_stay(void **state)
{
	(void)state;
	test_row("none");
	test_check(number(NULL, NULL, NULL) == ERROR_NONE && roots.count == 1);
	test_row("two");
	test_check(number("/srv/b", "/srv/a", NULL) == ERROR_NONE && roots.count == 3);
	check_path(1, "/srv/b");
	check_path(2, "/srv/a");
	test_row("in another order, and one more before them");
	test_check(number("/srv/c", "/srv/a", "/srv/b") == ERROR_NONE && roots.count == 4);
	check_path(1, "/srv/b");
	check_path(2, "/srv/a");
	check_path(3, "/srv/c");
	test_row("one named no more");
	test_check(number("/srv/c", NULL, NULL) == ERROR_NONE && roots.count == 4);
	check_path(1, "");
	check_path(2, "");
	check_path(3, "/srv/c");
	test_row("and again");
	test_check(number("/srv/a", NULL, NULL) == ERROR_NONE && roots.count == 3);
	check_path(2, "/srv/a");
}

static void test_too_many(void **state)
{
	char path[40];

	(void)state;
	for (int i = 1; i <= MAIL_ROOTS_MAX; i++) {
		snprintf(path, sizeof(path), "/srv/%d", i);
		test_row(path);
		test_check(number(path, NULL, NULL) ==
			   (i < MAIL_ROOTS_MAX ? ERROR_NONE : ERROR_CONFIG));
	}
	test_row("the last that had room");
	test_check(number("/srv/7", NULL, NULL) == ERROR_NONE && roots.count == MAIL_ROOTS_MAX);
}

static void test_refused(void **state)
{
	static const char *const rows[] = {
		"relative",        "",           "/",
		"/srv/",           "/srv//mail", "/srv/./mail",
		"/srv/..",         "/a\nb",      "/x/postern",
		"/x/postern/mail", "/x",         "/taken",
		"/taken/inner",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		test_row(rows[i]);
		test_check(number("/taken", rows[i], NULL) == ERROR_CONFIG);
	}
	test_row("only alike");
	test_check(number("/taken", "/takenover", "/x/postern2") == ERROR_NONE);
}

static void test_foreign_file(void **state)
{
	static const char *const rows[] = {"no line end", "\n", "/a\n\n/b\n",
					   "/1\n/2\n/3\n/4\n/5\n/6\n/7\n/8\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		test_row(rows[i]);
		test_check(instance_write(instance.root, "mail-roots", bytes_of(rows[i]), 0644,
					  NULL) == ERROR_NONE);
		test_check(number("/srv", NULL, NULL) == ERROR_CONFIG);
	}
}

static void test_find(void **state)
{
	static const struct {
		const char *path;
		uint32_t number;
		const char *below; /* NULL: in none */
	} rows[] = {
		{"/srv/alice", 1, "alice"},
		{"/srv/a/b", 1, "a/b"},
		{"/srv", 0, NULL},
		{"/srvalice", 0, NULL},
		{ROOT "/mail/alice", 0, "alice"},
		{ROOT "/accounts/x", 0, NULL},
		{"/else/alice", 0, NULL},
	};

	(void)state;
	test_check(number("/srv", NULL, NULL) == ERROR_NONE);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t at = 99;
		const char *below = NULL;

		test_row(rows[i].path);
		test_check(mail_roots_find(&roots, ROOT, rows[i].path, &at, &below) ==
			   (rows[i].below != NULL));
		if (rows[i].below) {
			test_check(at == rows[i].number);
			test_equal_bytes(bytes_of(below), bytes_of(rows[i].below));
		}
	}
}

#define test_case(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static const struct CMUnitTest tests[] = {
	test_case(test_numbers_stay), test_case(test_too_many), test_case(test_refused),
	test_case(test_foreign_file), test_case(test_find),
};

TEST_MAIN(tests)
