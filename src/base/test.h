/*
 * test: what a unit test includes, and cmocka fenced (docs/design/0005-tests.md):
 *   - one group a program: `TEST_MAIN(tests)`, or TEST_MAIN_WITH() when it has a setup;
 *   - a test that cannot run here says so by test_skip();
 *   - code under test that calls exit() ends the program with status 99, not 0;
 *   - tests are rows and a loop, the row's name in the message: `test_row(name)` before each;
 *   - at its end every program prints "test: PROGRAM: N passed, N failed, N skipped".
 */
#ifndef BASE_TEST_H
#define BASE_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"

static int test_finished;
static int test_skipped;

static inline void test_guard(void)
{
	if (!test_finished)
		_exit(99);
}

/* Says why a test cannot run here, and leaves it. cmocka's skip() would not be counted. */
#define test_skip(reason)                                                                          \
	do {                                                                                       \
		print_message("skipped: %s\n", reason);                                            \
		test_skipped++;                                                                    \
		skip();                                                                            \
	} while (0)

/* failures is negative when the setup of the group failed: then nothing ran. */
static inline int test_summary(int failures, size_t total)
{
	int failed = failures < 0 ? (int)total : failures;

	test_finished = 1;
	fflush(stderr);
	printf("test: %s: %d passed, %d failed, %d skipped\n", program_invocation_short_name,
	       (int)total - failed - test_skipped, failed, test_skipped);
	return failed > 0 ? 1 : 0;
}

/* For a program whose main() does more than TEST_MAIN_WITH(); the caller knows no total. */
static inline int test_end(int failures)
{
	test_finished = 1;
	return failures != 0 ? 1 : 0;
}

/* Names the row under test: printed when an assertion in it fails. */
static const char *test_row_name = "";
static inline void test_row(const char *name)
{
	test_row_name = name;
}

#define test_check(condition)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("row \"%s\": not true: %s", test_row_name, #condition);           \
	} while (0)

#define test_equal_bytes(actual, expected)                                                         \
	do {                                                                                       \
		struct bytes test_a = (actual), test_b = (expected);                               \
		if (!bytes_equal(test_a, test_b))                                                  \
			fail_msg("row \"%s\": %s\n got (%zu): %.*s\nwant (%zu): %.*s",             \
				 test_row_name, #actual, test_a.length, (int)test_a.length,        \
				 test_a.data, test_b.length, (int)test_b.length, test_b.data);     \
	} while (0)

#define TEST_MAIN_WITH(tests, setup, teardown)                                                     \
	int main(void)                                                                             \
	{                                                                                          \
		atexit(test_guard);                                                                \
		return test_summary(cmocka_run_group_tests(tests, setup, teardown),                \
				    sizeof(tests) / sizeof((tests)[0]));                           \
	}

#define TEST_MAIN(tests) TEST_MAIN_WITH(tests, NULL, NULL)

#endif
