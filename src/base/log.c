/*
 * log: one line an event, to standard error (log.h).
 *
 * Guarantees: a line is one write(2) of at most LOG_LINE_MAX octets and has exactly one LF, at its
 * end, whatever the arguments hold: what a peer sent can never look like a line of its own.
 *
 * Must not know what the events mean, and never fails: nobody could be told.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

static const char *process = "postern";
static enum log_level threshold = LOG_LEVEL_INFO;

void log_open(const char *process_name, enum log_level level)
{
	process = process_name;
	threshold = level;
}

static const char *level_name(enum log_level level)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};

	return (unsigned)level < sizeof(names) / sizeof(names[0]) ? names[level] : "error";
}

static size_t print_head(char *line, size_t room, enum log_level level, const char *event)
{
	int64_t now_ms = clock_unix_ms();
	time_t now = now_ms / 1000;
	struct tm parts = {0};
	int length;

	gmtime_r(&now, &parts);
	length = snprintf(line, room, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s[%ld] %s %s: ",
			  parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
			  parts.tm_min, parts.tm_sec, (int)(now_ms % 1000), process, (long)getpid(),
			  level_name(level), event);
	if (length < 0)
		return 0;
	return (size_t)length < room ? (size_t)length : room - 1;
}

static void replace_controls(char *line, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	}
}

static void write_line(const char *line, size_t length)
{
	int saved_errno = errno;
	ssize_t count;

	do
		count = write(STDERR_FILENO, line, length);
	while (count < 0 && errno == EINTR);
	errno = saved_errno;
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
	char line[LOG_LINE_MAX + 1]; /* vsnprintf's NUL; an LF takes its place */
	size_t length;
	va_list arguments;
	int more;

	if (level > threshold)
		return;
	length = print_head(line, LOG_LINE_MAX, level, event);
	va_start(arguments, format);
	more = vsnprintf(line + length, LOG_LINE_MAX - length, format, arguments);
	va_end(arguments);
	if (more > 0 && (size_t)more >= LOG_LINE_MAX - length) {
		length = LOG_LINE_MAX - 1;
		memcpy(line + length - 3, "...", 3);
	} else if (more > 0) {
		length += (size_t)more;
	}
	replace_controls(line, length);
	line[length] = '\n';
	write_line(line, length + 1);
}

/* Octet by octet through error_escape(), because inside quotes the quote must be escaped too. */
const char *log_field(struct bytes text, char room[LOG_FIELD_OCTETS])
{
	const size_t end_max = LOG_FIELD_OCTETS - sizeof("...\"");
	size_t length = 0;
	char piece[5];

	room[length++] = '"';
	for (size_t i = 0; i < text.length; i++) {
		struct bytes octet = {text.data + i, 1};
		const char *escaped =
			text.data[i] == '"' ? "\\x22" : error_escape(octet, piece, sizeof(piece));
		size_t more = strlen(escaped);

		if (length + more > end_max) {
			memcpy(room + length, "...", 3);
			length += 3;
			break;
		}
		memcpy(room + length, escaped, more);
		length += more;
	}
	memcpy(room + length, "\"", 2);
	return room;
}
