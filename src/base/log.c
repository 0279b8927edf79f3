/*
 * log: one line an event, and where it goes (log.h).
 *
 * Guarantees: a line is one system call and has exactly one LF, at its end, whatever the arguments
 * hold: what a peer sent can never look like a line of its own. Writing waits for nobody: a log
 * reader that hangs must not stop mail.
 *
 * Must not know what the events mean, and never fails: nobody could be told.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log_form.h"

#define SYSLOG_SOCKET  "/dev/log"
#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define CONNECT_MS     1000
#define FRAME          '\x01' /* before a packet that is ready for the logger */

static const char *process = "postern";
static struct log_output output = {.level = LOG_LEVEL_INFO};
static int own_descriptor = -1; /* standard error without waiting; -1: could not be had */
static int logger = -1;         /* connected to output.socket */
static uint64_t logger_tried_ms;

/* Of two threads that find the reader slow, the second must know what the first could not write. It
 * is held for one system call that does not wait. */
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;
static unsigned dropped; /* lines, since the last one that went out */
static bool was_cut;     /* the last one went out in part, without its LF */

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
	output = (struct log_output){.level = level};
	open_own();
	errno = saved_errno;
}

static void close_logger(void)
{
	if (logger >= 0)
		close(logger);
	logger = -1;
	logger_tried_ms = 0;
}

void log_redirect(const struct log_output *wanted)
{
	int saved_errno = errno;

	(void)pthread_mutex_lock(&writing);
	tzset(); /* for syslog's dates: in the sandbox there is no file to read */
	close_logger();
	output = *wanted;
	if (!output.socket)
		output.socket = output.target == LOG_TO_SYSLOG ? SYSLOG_SOCKET : JOURNAL_SOCKET;
	(void)pthread_mutex_unlock(&writing);
	errno = saved_errno;
}

/* ---- one piece ---- */

_Static_assert(LOG_JSON_MAX <= PIPE_BUF, "poll(2) tells whether a line fits into a pipe");

/* Where standard error could not be opened anew, poll(2) is asked first. For a pipe its yes means
 * that PIPE_BUF octets fit, unless another process that shares it is faster. */
static ssize_t write_line(const char *text, size_t length)
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

/* A descriptor, or -1. */
static int connect_to(const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (descriptor >= 0 &&
	    bytes_to_string(bytes_of(path), name.sun_path, sizeof(name.sun_path)) &&
	    connect(descriptor, (const struct sockaddr *)&name, sizeof(name)) == 0)
		return descriptor;
	if (descriptor >= 0)
		close(descriptor);
	return -1;
}

const char *log_missing_logger(enum log_target target)
{
	const char *path = target == LOG_TO_SYSLOG ? SYSLOG_SOCKET : JOURNAL_SOCKET;
	int descriptor = target == LOG_TO_STDERR ? STDERR_FILENO : connect_to(path);

	if (descriptor > STDERR_FILENO)
		close(descriptor);
	return descriptor < 0 ? path : NULL;
}

static bool connect_logger(void)
{
	uint64_t now_ms = clock_monotonic_ms();

	if (logger >= 0)
		return true;
	if (logger_tried_ms != 0 && now_ms - logger_tried_ms < CONNECT_MS)
		return false;
	logger_tried_ms = now_ms;
	logger = connect_to(output.socket);
	return logger >= 0;
}

static ssize_t send_packet(const char *packet, size_t length)
{
	ssize_t count;

	if (output.framed)
		return send(STDERR_FILENO, packet, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!connect_logger())
		return -1;
	count = send(logger, packet, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (count < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EMSGSIZE)
		close_logger(); /* it was restarted: its socket is another */
	return count;
}

/* False when none of it went out. */
static bool put(const char *text, size_t length)
{
	ssize_t count;

	do
		count = output.target == LOG_TO_STDERR ? write_line(text, length)
						       : send_packet(text, length);
	while (count < 0 && errno == EINTR);
	if (count > 0)
		was_cut = (size_t)count < length;
	return count > 0;
}

/* ---- records ---- */

static void begin(struct log_record *record, enum log_level level, const char *event)
{
	record->process = process;
	record->event = event;
	record->level = level;
	record->pid = (long)getpid();
	record->unix_ms = clock_unix_ms();
	record->field_count = 0;
}

/* As the output wants it. */
static size_t print(const struct log_record *record, char room[LOG_DATAGRAM_MAX + 1])
{
	size_t frame = output.framed ? 1 : 0;

	room[0] = FRAME;
	if (output.target == LOG_TO_SYSLOG)
		return frame + log_write_syslog(record, output.format, room + frame);
	if (output.target == LOG_TO_JOURNAL)
		return frame + log_write_journal(record, output.format, room + frame);
	return output.format == LOG_AS_JSON ? log_write_json(record, room)
					    : log_write_text(record, room);
}

__attribute__((format(printf, 4, 5))) static void fill(struct log_record *record,
						       enum log_level level, const char *event,
						       const char *format, ...)
{
	va_list arguments;

	begin(record, level, event);
	va_start(arguments, format);
	log_record_fields(record, format, arguments);
	va_end(arguments);
}

static bool confess(unsigned lines)
{
	struct log_record record;
	char line[LOG_DATAGRAM_MAX + 2];
	size_t end = was_cut ? 1 : 0;

	fill(&record, LOG_LEVEL_WARNING, "log-dropped", "lines=%u", lines);
	line[0] = '\n';
	return put(line, end + print(&record, line + end));
}

/* Under the lock. */
static void write_piece(const char *piece, size_t length)
{
	unsigned missing = dropped;

	dropped = 0;
	if (missing > 0 && !confess(missing))
		dropped = missing + 1;
	else if (!put(piece, length) || was_cut)
		dropped++;
}

static void write_record(const struct log_record *record)
{
	char line[LOG_DATAGRAM_MAX + 1];
	int saved_errno = errno;

	(void)pthread_mutex_lock(&writing);
	write_piece(line, print(record, line));
	(void)pthread_mutex_unlock(&writing);
	errno = saved_errno;
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
	struct log_record record;
	va_list arguments;

	if (level > output.level)
		return;
	begin(&record, level, event);
	va_start(arguments, format);
	log_record_fields(&record, format, arguments);
	va_end(arguments);
	write_record(&record);
}

void log_forward(struct bytes packet)
{
	int saved_errno = errno;
	char room[LOG_FIELD_OCTETS];

	if (packet.length > 0 && packet.data[0] != FRAME) {
		log_event(LOG_LEVEL_ERROR, "stderr", "text=%s", log_field(packet, room));
	} else if (packet.length > 1 && output.target != LOG_TO_STDERR) {
		(void)pthread_mutex_lock(&writing);
		write_piece(packet.data + 1, packet.length - 1);
		(void)pthread_mutex_unlock(&writing);
	}
	errno = saved_errno;
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
