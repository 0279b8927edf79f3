/*
 * Tests of log lines: their form, their limit, and that foreign octets cannot make a second line.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

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
	log_open("worker", LOG_LEVEL_INFO);
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
		 "2026-11-22T02:01:00.007Z worker[%ld] error disk: "
		 "text=\"a\\x0ab\\x0d\\x1b\\x7f\\x09\"\n",
		 (long)getpid(), (long)getpid());
	assert_string_equal(captured, expected);
}

static int long_length;

static void log_long(void)
{
	static char text[2 * LOG_LINE_MAX];

	memset(text, 'x', sizeof(text));
	log_event(LOG_LEVEL_INFO, "long", "text=x%.*s", long_length, text);
}

static void test_long_lines(void **state)
{
	const int room = LOG_LINE_MAX - 8; /* before what ends a line that is cut */
	int head;

	(void)state;
	long_length = 0;
	capture(log_long);
	head = (int)strlen(captured) - 1;
	for (long_length = room - head - 1; long_length <= room - head + 1; long_length++) {
		bool cut = head + long_length > room;

		capture(log_long);
		assert_int_equal(strlen(captured), cut ? room + 4 : head + long_length + 1);
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

/* ---- who reads the log does not ---- */

enum kind { A_PIPE, A_PIPE_NOT_OPENED, A_SOCKET };

/* Standard error is a pipe or socket that is read only when the row says so. */
static const struct {
	const char *name;
	enum kind kind;
} stalled[] = {
	{"pipe, opened anew", A_PIPE},
	{"pipe of somebody else: poll(2)", A_PIPE_NOT_OPENED},
	{"socket", A_SOCKET},
};

static int make_ends(enum kind kind, int ends_out[2])
{
	return kind == A_SOCKET ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends_out) : pipe(ends_out);
}

static size_t read_all(int descriptor, char *text, size_t room)
{
	size_t length = 0;
	ssize_t got;

	while ((got = recv(descriptor, text + length, room - length, MSG_DONTWAIT)) > 0 ||
	       (got < 0 && errno == ENOTSOCK && (fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0) &&
		(got = read(descriptor, text + length, room - length)) > 0))
		length += (size_t)got;
	return length;
}

#define LINES 4000 /* more than any pipe or socket buffers of a line each */

/* Every line that came is whole; those that did not are confessed to the last one. */
static void check_lines(char *text, size_t length)
{
	unsigned came = 0, confessed = 0;
	char *rest = NULL;

	test_check(length > 0 && text[length - 1] == '\n');
	text[length - 1] = '\0';
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		const char *told = strstr(line, "warning log-dropped: lines=");
		unsigned lines = 0;

		if (told && sscanf(told, "warning log-dropped: lines=%u", &lines) == 1)
			confessed += lines;
		else
			came++;
	}
	test_check(confessed > 0);
	test_check(came + confessed == LINES + 2);
}

static void test_stalled_reader(void **state)
{
	static char text[LINES * 256];
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	for (size_t i = 0; i < sizeof(stalled) / sizeof(stalled[0]); i++) {
		int ends[2], saved = dup(STDERR_FILENO), flags;
		size_t length;

		test_row(stalled[i].name);
		test_check(make_ends(stalled[i].kind, ends) == 0);
		dup2(stalled[i].kind == A_PIPE_NOT_OPENED ? nowhere : ends[1], STDERR_FILENO);
		log_open("worker", LOG_LEVEL_INFO);
		dup2(ends[1], STDERR_FILENO);
		for (int line = 0; line < LINES; line++)
			log_event(LOG_LEVEL_INFO, "line", "number=%d text=\"%0100d\"", line, 0);
		flags = fcntl(STDERR_FILENO, F_GETFL);
		length = read_all(ends[0], text, sizeof(text));
		log_event(LOG_LEVEL_INFO, "line", "number=again");
		log_event(LOG_LEVEL_INFO, "line", "number=last");
		length += read_all(ends[0], text + length, sizeof(text) - length);
		dup2(saved, STDERR_FILENO);
		close(saved);
		close(ends[0]);
		close(ends[1]);
		test_check(!(flags & O_NONBLOCK)); /* it is not ours alone */
		check_lines(text, length);
	}
	close(nowhere);
}

/* ---- threads ---- */

#define THREADS      4
#define THREAD_LINES 3000

static void *log_many(void *context)
{
	for (int line = 0; line < THREAD_LINES; line++)
		log_event(LOG_LEVEL_INFO, "line", "number=%d text=\"%0200d\"", line, 0);
	return context;
}

/* Of a terminal: it takes lines in part. */
static void make_terminal(int ends_out[2])
{
	struct termios mode;

	ends_out[0] = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
	test_check(ends_out[0] >= 0 && grantpt(ends_out[0]) == 0 && unlockpt(ends_out[0]) == 0);
	ends_out[1] = open(ptsname(ends_out[0]), O_RDWR | O_NOCTTY);
	test_check(ends_out[1] >= 0 && tcgetattr(ends_out[1], &mode) == 0);
	cfmakeraw(&mode);
	test_check(tcsetattr(ends_out[1], TCSANOW, &mode) == 0);
}

/* A terminal that takes lines in part: threads that find it so never glue two lines. */
static void test_threads(void **state)
{
	static char text[THREADS * THREAD_LINES * 300];
	pthread_t threads[THREADS];
	int ends[2], saved = dup(STDERR_FILENO);
	size_t length = 0, running = THREADS, lines = 0;
	char *rest = NULL;

	(void)state;
	make_terminal(ends);
	dup2(ends[1], STDERR_FILENO);
	log_open("worker", LOG_LEVEL_INFO);
	for (size_t i = 0; i < THREADS; i++)
		test_check(pthread_create(&threads[i], NULL, log_many, NULL) == 0);
	while (running > 0) {
		length += read_all(ends[0], text + length, 1000);
		if (pthread_tryjoin_np(threads[running - 1], NULL) == 0)
			running--;
	}
	length += read_all(ends[0], text + length, sizeof(text) - length - 1);
	log_event(LOG_LEVEL_INFO, "line", "number=last");
	length += read_all(ends[0], text + length, sizeof(text) - length - 1);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[0]);
	close(ends[1]);
	text[length] = '\0';
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		size_t begun = strlen(line) < 11 ? strlen(line) : 11; /* of one that was cut */

		test_check(strncmp(line, "2026-11-22T", begun) == 0);
		test_check(strstr(line + 1, "2026-11-22T") == NULL);
		lines++;
	}
	test_check(lines > 0);
}

/* ---- loggers ---- */

/* A logger that is not there, then is, goes away and comes back; what was lost is confessed. */
static void test_logger(void **state)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct log_output to = {LOG_TO_SYSLOG, LOG_AS_TEXT, LOG_LEVEL_INFO, name.sun_path, false};
	char packet[2048] = "";
	int receiving;

	(void)state;
	snprintf(name.sun_path, sizeof(name.sun_path), "/tmp/log-test-%ld", (long)getpid());
	log_redirect(&to);
	log_event(LOG_LEVEL_INFO, "lost", "number=%d", 1);
	receiving = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	test_check(bind(receiving, (struct sockaddr *)&name, sizeof(name)) == 0);
	log_redirect(&to); /* a second has not passed yet */
	log_event(LOG_LEVEL_INFO, "login", "user=%s", "alice");
	test_check(recv(receiving, packet, sizeof(packet) - 1, 0) > 0);
	test_check(strstr(packet, "warning log-dropped: lines=1") != NULL);
	test_check(recv(receiving, packet, sizeof(packet) - 1, 0) > 0);
	test_check(strstr(packet, "info login: user=alice") != NULL);
	close(receiving);
	unlink(name.sun_path);
	log_event(LOG_LEVEL_INFO, "lost", "number=%d", 2);
	receiving = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	test_check(bind(receiving, (struct sockaddr *)&name, sizeof(name)) == 0);
	log_event(LOG_LEVEL_INFO, "login", "user=%s", "bob");
	test_check(recv(receiving, packet, sizeof(packet) - 1, 0) > 0);
	test_check(strstr(packet, "lines=1") != NULL);
	close(receiving);
	unlink(name.sun_path);
	log_open("worker", LOG_LEVEL_INFO);
}

/* What a process without sockets says goes on by another's hand. */
static void test_framed(void **state)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct log_output framed = {LOG_TO_JOURNAL, LOG_AS_TEXT, LOG_LEVEL_INFO, NULL, true};
	struct log_output to = {LOG_TO_JOURNAL, LOG_AS_TEXT, LOG_LEVEL_INFO, name.sun_path, false};
	char first[4096] = "", second[4096] = "", packet[4096] = "";
	int ends[2], receiving = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int saved = dup(STDERR_FILENO);
	ssize_t lengths[2];

	(void)state;
	snprintf(name.sun_path, sizeof(name.sun_path), "/tmp/log-test-%ld", (long)getpid());
	test_check(bind(receiving, (struct sockaddr *)&name, sizeof(name)) == 0);
	test_check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
	dup2(ends[1], STDERR_FILENO);
	log_redirect(&framed);
	log_event(LOG_LEVEL_INFO, "login", "user=%s", "alice");
	test_check(write(STDERR_FILENO, "assertion\nfailed", 16) == 16);
	dup2(saved, STDERR_FILENO);
	close(saved);
	lengths[0] = recv(ends[0], first, sizeof(first), MSG_DONTWAIT);
	lengths[1] = recv(ends[0], second, sizeof(second), MSG_DONTWAIT);
	test_check(lengths[0] > 0 && lengths[1] == 16);
	log_redirect(&to);
	log_forward((struct bytes){first, (size_t)lengths[0]});
	test_check(recv(receiving, packet, sizeof(packet) - 1, 0) == lengths[0] - 1);
	test_check(strncmp(packet, "MESSAGE=info login: user=alice\n", 31) == 0);
	log_forward((struct bytes){second, (size_t)lengths[1]});
	test_check(recv(receiving, packet, sizeof(packet) - 1, 0) > 0);
	test_check(strstr(packet, "POSTERN_EVENT=stderr\nPOSTERN_TEXT=assertion\\x0afailed\n"));
	close(ends[0]);
	close(ends[1]);
	close(receiving);
	unlink(name.sun_path);
	log_open("worker", LOG_LEVEL_INFO);
}

static int open_log(void **state)
{
	(void)state;
	clock_set_for_tests(fixed_clock);
	log_open("worker", LOG_LEVEL_INFO);
	return 0;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_lines),   cmocka_unit_test(test_long_lines),
	cmocka_unit_test(test_fields),  cmocka_unit_test(test_stalled_reader),
	cmocka_unit_test(test_threads), cmocka_unit_test(test_logger),
	cmocka_unit_test(test_framed),
};

TEST_MAIN_WITH(tests, open_log, NULL)
