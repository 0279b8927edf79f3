/*
 * log_form: an event of the log taken apart into fields, and the forms it is written in. Pure.
 *
 * The caller's format string says what the fields are: `key=VALUE` words separated by spaces, where
 * VALUE is "…" in quotes, a single number (%u), or anything else. So what an argument holds,
 * whatever it is, stays within its field. Values are printable ASCII in every form; other octets
 * are \xHH, a quote within is \x22. Numbers are numbers in JSON.
 */
#ifndef BASE_LOG_FORM_H
#define BASE_LOG_FORM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

#define LOG_FIELDS_MAX    24
#define LOG_KEY_OCTETS    24
#define LOG_VALUES_OCTETS LOG_LINE_MAX /* of all fields of one event, before they are escaped */
#define LOG_JSON_MAX      4096         /* of a line in JSON: what a pipe takes in one piece */
#define LOG_DATAGRAM_MAX  8192

struct log_value {
	char key[LOG_KEY_OCTETS];
	struct bytes text;
	bool is_number, is_quoted;
};

struct log_record {
	const char *process, *event;
	enum log_level level;
	long pid;
	int64_t unix_ms;
	struct log_value fields[LOG_FIELDS_MAX];
	size_t field_count;
	char values[LOG_VALUES_OCTETS];
};

/* Fills in the fields. What does not fit is cut and ends with "...". */
void log_record_fields(struct log_record *record, const char *format, va_list arguments);

/* Each returns the length of what it wrote. A line ends with LF; a datagram does not. */
size_t log_write_text(const struct log_record *record, char line[LOG_LINE_MAX]);
size_t log_write_json(const struct log_record *record, char line[LOG_JSON_MAX]);
/* RFC 3164 as the socket of the C library's syslog(3) takes it, facility mail. */
size_t log_write_syslog(const struct log_record *record, enum log_format format,
			char datagram[LOG_DATAGRAM_MAX]);
/* systemd's native protocol: MESSAGE, PRIORITY, POSTERN_EVENT, and POSTERN_KEY for each field. */
size_t log_write_journal(const struct log_record *record, enum log_format format,
			 char datagram[LOG_DATAGRAM_MAX]);

const char *log_level_name(enum log_level level);

#endif
