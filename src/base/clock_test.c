/*
 * Tests of the clock and of the dates of mail.
 */
#include "base/clock.h"

#include <locale.h>

#include "base/test.h"

static void test_dates(void **state)
{
	static const struct {
		int64_t seconds;
		const char *rfc5322, *asctime;
	} rows[] = {
		{0, "Thu, 01 Jan 1970 00:00:00 +0000", "Thu Jan  1 00:00:00 1970"},
		{1795312860, "Sun, 22 Nov 2026 02:01:00 +0000", "Sun Nov 22 02:01:00 2026"},
		{951782399, "Mon, 28 Feb 2000 23:59:59 +0000", "Mon Feb 28 23:59:59 2000"},
		{951782400, "Tue, 29 Feb 2000 00:00:00 +0000", "Tue Feb 29 00:00:00 2000"},
		{-1, "Wed, 31 Dec 1969 23:59:59 +0000", "Wed Dec 31 23:59:59 1969"},
		{2147483648, "Tue, 19 Jan 2038 03:14:08 +0000", "Tue Jan 19 03:14:08 2038"},
		{253402300799, "Fri, 31 Dec 9999 23:59:59 +0000", "Fri Dec 31 23:59:59 9999"},
		{253402300800, "Fri, 31 Dec 9999 23:59:59 +0000", "Fri Dec 31 23:59:59 9999"},
		{INT64_MAX, "Fri, 31 Dec 9999 23:59:59 +0000", "Fri Dec 31 23:59:59 9999"},
		{INT64_MIN, "Sat, 01 Jan 0000 00:00:00 +0000", "Sat Jan  1 00:00:00 0000"},
	};
	char room[CLOCK_DATE_OCTETS];

	(void)state;
	setenv("TZ", "Asia/Tokyo", 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_string_equal(clock_date_rfc5322(rows[i].seconds, room), rows[i].rfc5322);
		assert_string_equal(clock_date_asctime(rows[i].seconds, room), rows[i].asctime);
		assert_int_equal(strlen(room), 24);
	}
}

static uint64_t fixed_clock(void)
{
	return 1795312860999;
}

static void test_replaced(void **state)
{
	uint64_t before = clock_monotonic_ms();

	(void)state;
	clock_set_for_tests(fixed_clock);
	assert_int_equal(clock_monotonic_ms(), 1795312860999);
	assert_int_equal(clock_unix_ms(), 1795312860999);
	assert_int_equal(clock_unix_seconds(), 1795312860);
	clock_set_for_tests(NULL);
	assert_true(clock_monotonic_ms() >= before);
	assert_int_not_equal(clock_monotonic_ms(), 1795312860999);
	assert_true(clock_unix_seconds() > 1700000000);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_dates),
	cmocka_unit_test(test_replaced),
};

TEST_MAIN(tests)
