/*
 * clock: the time, behind one function each, so that tests can set it.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_monotonic_ms(void); /* never goes back; for time-outs */
int64_t clock_unix_seconds(void);  /* wall clock; for dates in mail and logs; may jump */
int64_t clock_unix_ms(void);	   /* the same clock, finer */

/* Tests only: replaces all three; NULL gives the real ones back. The function returns milliseconds. */
void clock_set_for_tests(uint64_t (*milliseconds)(void));

/* RFC 5322 section 3.3 date, "Sun, 22 Nov 2026 02:01:00 +0000", always UTC. */
#define CLOCK_DATE_OCTETS 40
const char *clock_date_rfc5322(int64_t unix_seconds, char room[CLOCK_DATE_OCTETS]);

/* The date of a From line, "Sun Nov 22 02:01:00 2026" (asctime), always UTC, always 24 octets. */
const char *clock_date_asctime(int64_t unix_seconds, char room[CLOCK_DATE_OCTETS]);

#endif
