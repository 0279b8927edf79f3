/*
 * clock: the time, and the two forms in which mail writes it (clock.h).
 *
 * Guarantees: dates are UTC and in English whatever the locale; a time outside the years 0 to 9999
 * is written as the nearest of them, so that a date always fits its room.
 */
#include "base/clock.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define FIRST_SECOND (-62167219200LL) /* 0000-01-01 00:00:00 */
#define LAST_SECOND  253402300799LL   /* 9999-12-31 23:59:59 */

typedef uint64_t milliseconds_function(void);

static _Atomic(milliseconds_function *) test_clock;

static uint64_t read_clock_ms(clockid_t clock)
{
	milliseconds_function *replaced = atomic_load(&test_clock);
	struct timespec now;

	if (replaced != NULL)
		return replaced();
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_monotonic_ms(void)
{
	return read_clock_ms(CLOCK_MONOTONIC);
}

int64_t clock_unix_ms(void)
{
	return (int64_t)read_clock_ms(CLOCK_REALTIME);
}

int64_t clock_unix_seconds(void)
{
	return clock_unix_ms() / 1000;
}

void clock_set_for_tests(uint64_t (*milliseconds)(void))
{
	atomic_store(&test_clock, milliseconds);
}

static const char *const day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static struct tm utc_parts(int64_t unix_seconds)
{
	time_t seconds = unix_seconds;
	struct tm parts;

	if (seconds < FIRST_SECOND)
		seconds = FIRST_SECOND;
	if (seconds > LAST_SECOND)
		seconds = LAST_SECOND;
	if (gmtime_r(&seconds, &parts) == NULL)
		assert(!"gmtime_r refuses a year below 10000");
	return parts;
}

const char *clock_date_rfc5322(int64_t unix_seconds, char room[CLOCK_DATE_OCTETS])
{
	struct tm parts = utc_parts(unix_seconds);

	snprintf(room, CLOCK_DATE_OCTETS, "%s, %02d %s %04d %02d:%02d:%02d +0000",
		 day_names[parts.tm_wday], parts.tm_mday, month_names[parts.tm_mon],
		 parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
	return room;
}

const char *clock_date_asctime(int64_t unix_seconds, char room[CLOCK_DATE_OCTETS])
{
	struct tm parts = utc_parts(unix_seconds);

	snprintf(room, CLOCK_DATE_OCTETS, "%s %s %2d %02d:%02d:%02d %04d", day_names[parts.tm_wday],
		 month_names[parts.tm_mon], parts.tm_mday, parts.tm_hour, parts.tm_min,
		 parts.tm_sec, parts.tm_year + 1900);
	return room;
}
