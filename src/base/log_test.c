/*
 * Tests of log lines: their form, their limit, and that foreign octets cannot make a second line.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
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
		 "2026-11-22T02:01:00.007Z worker[%ld] error disk: text=a?b????\n",
		 (long)getpid(), (long)getpid());
	assert_string_equal(captured, expected);
}

static int long_length;

static void log_long(void)
{
	static char text[2 * LOG_LINE_MAX];

	memset(text, 'x', sizeof(text));
	log_event(LOG_LEVEL_INFO, "long", "%.*s", long_length, text);
}

static void test_long_lines(void **state)
{
	int head;

	(void)state;
	long_length = 0;
	capture(log_long);
	head = (int)strlen(captured);
	for (long_length = LOG_LINE_MAX - head - 1; long_length <= LOG_LINE_MAX - head + 1;
	     long_length++) {
		bool cut = head + long_length > LOG_LINE_MAX;

		capture(log_long);
		assert_int_equal(strlen(captured), cut ? LOG_LINE_MAX : head + long_length);
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

static int open_log(void **state)
{
	(void)state;
	clock_set_for_tests(fixed_clock);
	log_open("worker", LOG_LEVEL_INFO);
	return 0;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_lines),
	cmocka_unit_test(test_long_lines),
	cmocka_unit_test(test_fields),
	cmocka_unit_test(test_stalled_reader),
};

TEST_MAIN_WITH(tests, open_log, NULL)
