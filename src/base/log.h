/*
 * log: one line an event, to standard error, in fields that a machine can take apart:
 *
 *   2026-11-22T02:01:00.123Z worker[4711] info login: session=7f3a user=alice@example.org …
 *
 * A line is at most LOG_LINE_MAX octets, written by one write(2), and never waited for: while who
 * reads the log does not, lines are dropped, and the next one that goes out comes behind one that
 * says how many were (log-dropped: lines=N). Octets from outside go in through
 * log_field(), which escapes and quotes them; the format string is ours. Never a secret, never the
 * content of a message. Postern returns errors or logs them, not both (base/error.h).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/bytes.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_JOURNAL };
enum log_format { LOG_AS_TEXT, LOG_AS_JSON };

#define LOG_LINE_MAX 1024

/* "supervisor", "auth", "worker". Again after standard error was replaced. */
void log_open(const char *process_name, enum log_level level);

/* event is one word, the rest `key=value` pairs in our own format string. */
void log_event(enum log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Quotes foreign octets for a value: "…" with \xHH escapes. Returns room. */
#define LOG_FIELD_OCTETS 400
const char *log_field(struct bytes text, char room[LOG_FIELD_OCTETS]);

#endif
