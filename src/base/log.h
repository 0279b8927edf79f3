/*
 * log: one line an event, in fields that a machine can take apart:
 *
 *   2026-11-22T02:01:00.123Z worker[4711] info login: session=7f3a user="alice@example.org" …
 *
 * to standard error, to the socket of syslog(3) or to systemd's journal, as text or as JSON
 * (base/log_form.h). A line is written by one system call and never waited for: while who reads the
 * log does not, lines are dropped, and the next one that goes out comes behind one that says how
 * many were (log-dropped: lines=N). Octets from outside go in through log_field(), which escapes
 * and quotes them; the format string is ours. Never a secret, never the content of a message.
 * Postern returns errors or logs them, not both (base/error.h).
 *
 * In a process that may open no socket, the lines for a logger go to standard error as packets that
 * are ready for it (LOG_FRAMED), and whoever holds the other end passes them on by log_forward().
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/bytes.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_JOURNAL };
enum log_format { LOG_AS_TEXT, LOG_AS_JSON };

#define LOG_LINE_MAX 1024 /* of text */

/* "supervisor", "auth", "worker". To standard error, as text. Again after that was replaced. */
void log_open(const char *process_name, enum log_level level);

struct log_output {
	enum log_target target;
	enum log_format format;
	enum log_level level;
	const char *socket; /* of the logger; NULL: the system's */
	bool framed;        /* standard error takes the logger's packets */
};

/* From now on there. A logger that does not answer is tried again, at most once a second. */
void log_redirect(const struct log_output *output);

/* NULL when somebody takes what is sent to this target now, else where nobody listens. */
const char *log_missing_logger(enum log_target target);

/* event is one word, the rest `key=value` pairs in our own format string. */
void log_event(enum log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Passes on a packet that came from a process whose log is framed: as it is where it is for the
 * logger, else (what a library or a dying process says) as an event `stderr`. */
void log_forward(struct bytes packet);

/* Quotes foreign octets for a value: "…" with \xHH escapes. Returns room. */
#define LOG_FIELD_OCTETS 400
const char *log_field(struct bytes text, char room[LOG_FIELD_OCTETS]);

#endif
