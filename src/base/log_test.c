/*
 * Tests of log lines: their form, their limit, and that foreign octets cannot make a second line.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/test.h"

static uint64_t fixed_clock(void)
{
	return 1795312860007;
}

static char captured[4 * LOG_LINE_MAX];

/* Standard error is a file while the line is written; `log` does all of the test's logging. */
static void capture(void (*log)(void))
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	ssize_t length;

	assert_non_null(file);
	dup2(fileno(file), STDERR_FILENO);
	log();
	dup2(saved, STDERR_FILENO);
	close(saved);
	length = pread(fileno(file), captured, sizeof(captured) - 1, 0);
	fclose(file);
	assert_true(length >= 0);
	captured[length] = '\0';
}

static void log_three(void)
{
	log_event(LOG_LEVEL_INFO, "login", "session=%s user=%s", "7f3a", "alice@example.org");
	log_event(LOG_LEVEL_DEBUG, "detail", "not=wanted");
	log_event(LOG_LEVEL_ERROR, "disk", "text=%s", "a\nb\r\x1b\x7f\t");
}

static void test_lines(void **state)
{
	char expected[400];

	(void)state;
	capture(log_three);
	snprintf(expected, sizeof(expected),
		 "2026-11-22T02:01:00.007Z worker[%ld] info login: session=7f3a "
		 "user=alice@example.org\n"
		 "2026-11-22T02:01:00.007Z worker[%ld] error disk: text=a?b????\n",
		 (long)getpid(), (long)getpid());
	assert_string_equal(captured, expected);
}

static int long_length;

static void log_long(void)
{
	static char text[2 * LOG_LINE_MAX];

	memset(text, 'x', sizeof(text));
	log_event(LOG_LEVEL_INFO, "long", "%.*s", long_length, text);
}

static void test_long_lines(void **state)
{
	int head;

	(void)state;
	long_length = 0;
	capture(log_long);
	head = (int)strlen(captured);
	for (long_length = LOG_LINE_MAX - head - 1; long_length <= LOG_LINE_MAX - head + 1;
	     long_length++) {
		bool cut = head + long_length > LOG_LINE_MAX;

		capture(log_long);
		assert_int_equal(strlen(captured), cut ? LOG_LINE_MAX : head + long_length);
		assert_string_equal(captured + strlen(captured) - 4, cut ? "...\n" : "xxx\n");
	}
}

static void test_fields(void **state)
{
	static char text[LOG_FIELD_OCTETS * 2];
	char room[LOG_FIELD_OCTETS];

	(void)state;
	assert_string_equal(log_field((struct bytes){NULL, 0}, room), "\"\"");
	assert_string_equal(log_field(BYTES("a b"), room), "\"a b\"");
	assert_string_equal(log_field(BYTES("a\" user=\"b\\\n\0"), room),
			    "\"a\\x22 user=\\x22b\\x5c\\x0a\\x00\"");
	for (unsigned kind = 0; kind < 2; kind++) {
		memset(text, kind == 0 ? 'x' : '\n', sizeof(text));
		log_field((struct bytes){text, sizeof(text)}, room);
		assert_true(strlen(room) < LOG_FIELD_OCTETS);
		assert_true(strlen(room) > LOG_FIELD_OCTETS - 10);
		assert_string_equal(room + strlen(room) - 4, "...\"");
	}
}

static int open_log(void **state)
{
	(void)state;
	clock_set_for_tests(fixed_clock);
	log_open("worker", LOG_LEVEL_INFO);
	return 0;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_lines),
	cmocka_unit_test(test_long_lines),
	cmocka_unit_test(test_fields),
};

TEST_MAIN_WITH(tests, open_log, NULL)
