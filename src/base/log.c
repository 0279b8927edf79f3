/*
 * log: one line an event, to standard error (log.h).
 *
 * Guarantees: a line is one write(2) of at most LOG_LINE_MAX octets and has exactly one LF, at its
 * end, whatever the arguments hold: what a peer sent can never look like a line of its own. Writing
 * waits for nobody: a log reader that hangs must not stop mail.
 *
 * Must not know what the events mean, and never fails: nobody could be told.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

static const char *process = "postern";
static enum log_level threshold = LOG_LEVEL_INFO;
static int own_descriptor = -1; /* standard error without waiting; -1: could not be had */
static atomic_uint dropped;     /* lines, since the last one that went out */
static atomic_bool was_cut;     /* the last one went out in part, without its LF */

/* O_NONBLOCK belongs to what all who inherited standard error share, and we have not made it: so a
 * pipe or terminal is opened anew. A file never makes us wait, and a socket cannot be opened so. */
static void open_own(void)
{
	struct stat status;

	if (own_descriptor >= 0)
		close(own_descriptor);
	own_descriptor = -1;
	if (fstat(STDERR_FILENO, &status) == 0 &&
	    (S_ISFIFO(status.st_mode) || isatty(STDERR_FILENO)))
		own_descriptor =
			open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

void log_open(const char *process_name, enum log_level level)
{
	int saved_errno = errno;

	process = process_name;
	threshold = level;
	open_own();
	errno = saved_errno;
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

_Static_assert(LOG_LINE_MAX <= PIPE_BUF, "poll(2) tells whether a line fits into a pipe");

/* Where standard error could not be opened anew, poll(2) is asked first. For a pipe its yes means
 * that PIPE_BUF octets fit, unless another process that shares it is faster. */
static ssize_t write_now(const char *text, size_t length)
{
	struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
	ssize_t count;

	if (own_descriptor >= 0)
		return write(own_descriptor, text, length);
	count = send(STDERR_FILENO, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (count >= 0 || errno != ENOTSOCK)
		return count;
	return poll(&ready, 1, 0) == 1 ? write(STDERR_FILENO, text, length) : -1;
}

/* False when none of it went out. */
static bool put(const char *text, size_t length)
{
	ssize_t count;

	do
		count = write_now(text, length);
	while (count < 0 && errno == EINTR);
	if (count > 0)
		atomic_store(&was_cut, (size_t)count < length);
	return count > 0;
}

static bool confess(unsigned lines)
{
	char line[160];
	size_t length = atomic_load(&was_cut) ? 1 : 0;
	int more;

	line[0] = '\n';
	length +=
		print_head(line + length, sizeof(line) - length, LOG_LEVEL_WARNING, "log-dropped");
	more = snprintf(line + length, sizeof(line) - length, "lines=%u\n", lines);
	return more > 0 && (size_t)more < sizeof(line) - length && put(line, length + (size_t)more);
}

static void write_line(const char *line, size_t length)
{
	int saved_errno = errno;
	unsigned missing = atomic_exchange(&dropped, 0);

	if (missing > 0 && !confess(missing))
		atomic_fetch_add(&dropped, missing + 1);
	else if (!put(line, length) || atomic_load(&was_cut))
		atomic_fetch_add(&dropped, 1);
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
