/*
 * maildir_name: names of ours and of others, their order, and that no two are the same.
 */
#include "store/maildir_name.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"

#define OWN "1795312860.M000007R0123456789abcdef,S=812,W=830,C=1c291ca3"

static const struct {
	const char *name;
	bool own;
	uint64_t second;
	uint32_t microsecond;
	const char *uid; /* "": a hash */
} rows[] = {
	{OWN, true, 1795312860, 7, OWN},
	{OWN ":2,RS", true, 1795312860, 7, OWN},
	{OWN ":", true, 1795312860, 7, OWN},
	/* not as we write it */
	{"1795312860.M7R0123456789abcdef,S=812,W=830,C=1c291ca3", false, 1795312860, 7, NULL},
	{"1795312860.M000007R0123456789ABCDEF,S=812,W=830,C=1c291ca3", false, 1795312860, 7, NULL},
	{"1795312860.M000007R0123456789abcde,S=812,W=830,C=1c291ca3", false, 1795312860, 7, NULL},
	{"1795312860.M000007R0123456789abcdef,S=0812,W=830,C=1c291ca3", false, 1795312860, 7, NULL},
	{"1795312860.M000007R0123456789abcdef,S=,W=830,C=1c291ca3", false, 1795312860, 7, NULL},
	{"1795312860.M000007R0123456789abcdef,S=812,W=830", false, 1795312860, 7, NULL},
	{"1795312860.M000007R0123456789abcdef,S=812,W=830,C=1c291ca3.", false, 1795312860, 7, NULL},
	{"1795312860.M000007R0123456789abcdef,S=812,W=18446744073709551616,C=1c291ca3", false,
	 1795312860, 7, ""},
	{"17953128600.M000007R0123456789abcdef,S=812,W=830,C=1c291ca3", false, 17953128600, 7,
	 NULL},
	{"01795312860.M000007R0123456789abcdef,S=812,W=830,C=1c291ca3", false, 1795312860, 7, NULL},
	/* of others */
	{"1795312860.M5P12.host,S=3:2,S", false, 1795312860, 5, "1795312860.M5P12.host,S=3"},
	{"1795312860.12_3.host", false, 1795312860, 0, NULL},
	{"1795312860.M1000000.host", false, 1795312860, 0, NULL},
	{"1795312860", false, 1795312860, 0, NULL},
	{"99999999999999999999.x", false, 0, 0, NULL},
	{"msg.a:2,S", false, 0, 0, "msg.a"},
	{"a b", false, 0, 0, ""},
	{"\303\251", false, 0, 0, ""},
	{":2,S", false, 0, 0, ""},
	{"7777777777777777777777777777777777777777777777777777777777777777777777", false, 0, 0,
	 NULL},
	{"77777777777777777777777777777777777777777777777777777777777777777777777", false, 0, 0,
	 ""},
};

static void test_names_are_taken_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char uid[UID_MAX + 1];
		struct maildir_name name = maildir_name_parse(rows[i].name);
		test_row(rows[i].name);
		test_check(name.own == rows[i].own);
		test_check(name.second == rows[i].second);
		test_check(name.microsecond == rows[i].microsecond);
		test_check(name.base.length == strcspn(rows[i].name, ":"));
		test_check(maildir_name_uid(rows[i].name, uid));
		const char *wanted = rows[i].uid != NULL ? rows[i].uid : rows[i].name;
		test_check(wanted[0] != '\0' ? strcmp(uid, wanted) == 0 : strlen(uid) == 32);
		if (name.own)
			test_check(name.length == 812 && name.octets == 830 &&
				   name.checksum == 0x1c291ca3);
	}
}

static void test_order(void **state)
{
	static const char *const sorted[] = {
		"Z",
		"a",
		"7.x",
		"1795312859.M999999.x",
		"1795312860.a",
		"1795312860.M1.a",
		"1795312860.M1.b:2,A",
		"1795312860.M1.ba",
		"1795312860.M000010.a",
		"1795312861.a",
	};
	size_t count = sizeof sorted / sizeof sorted[0];
	(void)state;
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++) {
			struct maildir_name a = maildir_name_parse(sorted[i]),
					    b = maildir_name_parse(sorted[j]);
			int order = maildir_name_compare(&a, &b);
			test_row(sorted[i]);
			test_check((order > 0) - (order < 0) == (i > j) - (i < j));
		}
}

static void test_a_name_of_ours_is_known_again(void **state)
{
	static const struct {
		uint64_t microseconds, length, octets;
		size_t name_octets;
	} sizes[] = {
		{0, 0, 0, 54},
		{1795312860000007, 812, 830, 58},
		{1795312860999999, 999999999, 999999999, UID_MAX},
		{1795312860999999, 999999999, 1000000000, UID_MAX + 1},
		{UINT64_MAX, UINT64_MAX, UINT64_MAX, 92},
	};
	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		char text[MAILDIR_NAME_MAX + 1], uid[UID_MAX + 1];
		maildir_name_make(sizes[i].microseconds, sizes[i].length, sizes[i].octets, 0xabc,
				  text);
		struct maildir_name name = maildir_name_parse(text);
		test_row(text);
		test_check(name.own && name.length == sizes[i].length &&
			   name.octets == sizes[i].octets && name.checksum == 0xabc);
		test_check(name.base.length == sizes[i].name_octets);
		test_check(maildir_name_uid(text, uid));
		test_check((strcmp(uid, text) == 0) == (sizes[i].name_octets <= UID_MAX));
	}
}

/* ---- no two are the same: threads, processes, a clock that is set back ---- */

#define MAKERS 16
#define EACH   4000

static uint64_t clock_goes_back(void)
{
	static _Atomic uint64_t calls;
	return 1795312860000 - calls++ % 3 * 1000; /* and comes to the same time again and again */
}

static void *make_names(void *context)
{
	char(*names)[MAILDIR_NAME_MAX + 1] = context;
	for (size_t i = 0; i < EACH; i++)
		maildir_name_make((uint64_t)clock_unix_ms() * 1000, 1, 2, 3, names[i]);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void all_differ(char (*names)[MAILDIR_NAME_MAX + 1], size_t count)
{
	qsort(names, count, sizeof *names, compare);
	for (size_t i = 1; i < count; i++)
		assert_string_not_equal(names[i - 1], names[i]);
}

static void test_threads_never_make_the_same(void **state)
{
	char(*names)[MAILDIR_NAME_MAX + 1] = calloc(MAKERS * EACH, sizeof *names);
	pthread_t threads[MAKERS];
	(void)state;
	assert_non_null(names);
	clock_set_for_tests(clock_goes_back);
	for (size_t i = 0; i < MAKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, make_names, names + i * EACH),
				 0);
	for (size_t i = 0; i < MAKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	clock_set_for_tests(NULL);
	all_differ(names, MAKERS * EACH);
	free(names);
}

/* Each is a copy of this one, memory and all, as after a restart in the worst case. */
static pid_t start_maker(char (*names)[MAILDIR_NAME_MAX + 1], int *pipe_out)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		make_names(names);
		size_t octets = EACH * sizeof *names, at = 0;
		while (at < octets) {
			ssize_t written = write(ends[1], (char *)names + at, octets - at);
			if (written <= 0)
				_exit(1);
			at += (size_t)written;
		}
		_exit(0);
	}
	close(ends[1]);
	*pipe_out = ends[0];
	return child;
}

static void test_processes_never_make_the_same(void **state)
{
	char(*names)[MAILDIR_NAME_MAX + 1] = calloc(MAKERS * EACH, sizeof *names);
	pid_t children[MAKERS];
	int pipes[MAKERS];
	(void)state;
	assert_non_null(names);
	clock_set_for_tests(clock_goes_back);
	for (size_t i = 0; i < MAKERS; i++)
		children[i] = start_maker(names, &pipes[i]);
	clock_set_for_tests(NULL);
	for (size_t i = 0; i < MAKERS; i++) {
		int status;
		size_t octets = EACH * sizeof *names, at = 0;
		while (at < octets) {
			ssize_t some = read(pipes[i], (char *)(names + i * EACH) + at, octets - at);
			assert_true(some > 0);
			at += (size_t)some;
		}
		close(pipes[i]);
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	all_differ(names, MAKERS * EACH);
	free(names);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_names_are_taken_apart),
	cmocka_unit_test(test_order),
	cmocka_unit_test(test_a_name_of_ours_is_known_again),
	cmocka_unit_test(test_threads_never_make_the_same),
	cmocka_unit_test(test_processes_never_make_the_same),
};

TEST_MAIN(tests)
