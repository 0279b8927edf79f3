/*
 * Dialogues with the socketmap engine, each whole, octet by octet and split at every point.
 */
#include "protocol/socketmap.h"

#include "base/test.h"
#include "protocol/memory_test.h"

#define CLOSE "|" /* noted in the output where the connection ends */

static const struct row {
	const char *name;
	struct bytes in, out;
} rows[] = {
	{"nothing", BYTES(""), BYTES("")},
	{"found", BYTES("9:m joe@x.y,"), BYTES("9:OK m/joe@,")},
	{"not found", BYTES("6:m none,"), BYTES("9:NOTFOUND ,")},
	{"the key is the answer", BYTES("8:m itself,6:m none,"), BYTES("9:OK itself,9:NOTFOUND ,")},
	{"later", BYTES("7:m later,"), BYTES("9:TEMP wait,")},
	{"never", BYTES("7:m never,"), BYTES("7:PERM no,")},
	{"several", BYTES("6:m none,6:m none,7:m later,"),
	 BYTES("9:NOTFOUND ,9:NOTFOUND ,9:TEMP wait,")},
	{"a key with spaces and other octets", BYTES("10:m a \0,:\xff b,"), BYTES("9:OK m/a \0,,")},
	{"no key", BYTES("1:m,"), BYTES("25:PERM not a name and a key,")},
	{"an empty key", BYTES("2:m ,"), BYTES("5:OK m/,")},
	{"no name", BYTES("2: m,"), BYTES("25:PERM not a name and a key,")},
	{"nothing in it", BYTES("0:,6:m none,"),
	 BYTES("25:PERM not a name and a key,9:NOTFOUND ,")},
	{"not whole", BYTES("6:m non"), BYTES("")},
	{"no comma", BYTES("6:m none;6:m none,"), BYTES(CLOSE)},
	{"one octet too many", BYTES("5:m none,"), BYTES(CLOSE)},
	{"a zero in front", BYTES("06:m none,"), BYTES(CLOSE)},
	{"a sign", BYTES("+6:m none,"), BYTES(CLOSE)},
	{"no length", BYTES(":m none,"), BYTES(CLOSE)},
	{"a browser", BYTES("GET / HTTP/1.1\r\n"), BYTES(CLOSE)},
	{"behind an answer", BYTES("6:m none,x"), BYTES("9:NOTFOUND ," CLOSE)},
	{"far too long", BYTES("99999999999999999999999:m "), BYTES(CLOSE)},
};

static void answer(struct socketmap *socketmap, const struct socketmap_event *event)
{
	char text[8];

	test_check(socketmap_feed(socketmap, BYTES("1")) == 0);
	if (bytes_start_with(event->key, BYTES("itself"))) {
		socketmap_answer(socketmap, SOCKETMAP_OK, event->key);
	} else if (bytes_equal(event->key, BYTES("none"))) {
		socketmap_answer(socketmap, SOCKETMAP_NOTFOUND, BYTES(""));
	} else if (bytes_equal(event->key, BYTES("later"))) {
		socketmap_answer(socketmap, SOCKETMAP_TEMP, BYTES("wait"));
	} else if (bytes_equal(event->key, BYTES("never"))) {
		socketmap_answer(socketmap, SOCKETMAP_PERM, BYTES("no"));
	} else {
		struct bytes key = bytes_first(event->key, 4);

		memcpy(text, "m/", 2);
		memcpy(text + 2, key.data, key.length);
		socketmap_answer(socketmap, SOCKETMAP_OK, (struct bytes){text, 2 + key.length});
	}
}

/* Feeds all of it; true when the connection was closed. */
static bool say(struct socketmap *socketmap, struct bytes in, struct buffer *out)
{
	struct socketmap_event event;

	do {
		in = bytes_skip(in, socketmap_feed(socketmap, in));
		while (socketmap_next(socketmap, &event)) {
			if (event.kind == SOCKETMAP_CLOSE) {
				test_check(socketmap_feed(socketmap, BYTES("1")) == 0);
				return true;
			}
			answer(socketmap, &event);
		}
		test_check(buffer_append(out, socketmap_output(socketmap)));
		socketmap_sent(socketmap, socketmap_output(socketmap).length);
	} while (in.length > 0);
	return false;
}

static void run(const struct row *row, size_t split, size_t piece)
{
	struct bytes parts[2] = {bytes_first(row->in, split), bytes_skip(row->in, split)};
	struct socketmap *socketmap = socketmap_new();
	struct buffer out;
	bool closed = false;

	test_row(row->name);
	buffer_init(&out, 100000);
	for (size_t i = 0; i < 2; i++) {
		for (; !closed && parts[i].length > 0; parts[i] = bytes_skip(parts[i], piece)) {
			struct bytes octets = bytes_first(parts[i], piece);
			char *copy = malloc(octets.length); /* behind its end nothing is read */

			memcpy(copy, octets.data, octets.length);
			closed = say(socketmap, (struct bytes){copy, octets.length}, &out);
			free(copy);
		}
	}
	test_check(buffer_append(&out, socketmap_output(socketmap)));
	if (closed)
		test_check(buffer_append(&out, BYTES(CLOSE)));
	test_equal_bytes(buffer_bytes(&out), row->out);
	socketmap_free(socketmap);
	buffer_free(&out);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		run(&rows[i], 0, SIZE_MAX);
		run(&rows[i], 0, 1);
		for (size_t split = 1; split < rows[i].in.length; split++)
			run(&rows[i], split, SIZE_MAX);
	}
}

/* ---- limits ---- */

static void test_request_limits(void **state)
{
	static char request[SOCKETMAP_REQUEST_MAX + 32];

	(void)state;
	for (size_t length = SOCKETMAP_REQUEST_MAX - 1; length <= SOCKETMAP_REQUEST_MAX + 1;
	     length++) {
		int digits = snprintf(request, sizeof(request), "%zu:m ", length) - 2;
		struct row row = {.name = "request", .out = BYTES("9:OK m/xxxx,")};

		memset(request + digits + 2, 'x', length - 2);
		request[(size_t)digits + length] = ',';
		row.in = (struct bytes){request, (size_t)digits + length + 1};
		if (length > SOCKETMAP_REQUEST_MAX)
			row.out = BYTES(CLOSE);
		run(&row, 0, SIZE_MAX);
		run(&row, 0, 1);
	}
}

static void test_answer_limit(void **state)
{
	static char text[SOCKETMAP_ANSWER_MAX];
	struct socketmap *socketmap = socketmap_new();
	struct socketmap_event event;

	(void)state;
	test_row("the longest answer");
	memset(text, 't', sizeof(text));
	test_check(socketmap_feed(socketmap, BYTES("3:m k,")) == 6);
	test_check(socketmap_next(socketmap, &event));
	socketmap_answer(socketmap, SOCKETMAP_OK, (struct bytes){text, sizeof(text)});
	test_check(!socketmap_next(socketmap, &event));
	test_check(bytes_start_with(socketmap_output(socketmap), BYTES("1003:OK ttt")));
	socketmap_free(socketmap);
}

static void test_feed_stops_while_output_waits(void **state)
{
	struct socketmap *socketmap = socketmap_new();

	(void)state;
	test_row("output waits");
	for (int i = 0; i < 10000; i++)
		(void)socketmap_feed(socketmap, BYTES("1:m,"));
	test_check(socketmap_output(socketmap).length >= OUTPUT_OCTETS_MAX / 2);
	test_check(socketmap_output(socketmap).length < OUTPUT_OCTETS_MAX / 2 + 100);
	socketmap_free(socketmap);
}

static void test_ended_from_outside(void **state)
{
	struct socketmap *socketmap = socketmap_new();
	struct socketmap_event event;

	(void)state;
	test_row("ended amid a question");
	test_check(socketmap_feed(socketmap, BYTES("3:m k,")) == 6);
	test_check(socketmap_next(socketmap, &event));
	socketmap_end(socketmap);
	socketmap_answer(socketmap, SOCKETMAP_NOTFOUND, BYTES(""));
	test_check(socketmap_output(socketmap).length == 0);
	test_check(socketmap_next(socketmap, &event) && event.kind == SOCKETMAP_CLOSE);
	socketmap_free(socketmap);
}

/* The n-th allocation fails: the connection ends, and no half answer goes out. */
static void test_out_of_memory(void **state)
{
	long allocation = 0;

	(void)state;
	test_row("out of memory");
	do {
		struct socketmap *socketmap;
		struct socketmap_event event;
		bool closed = true;

		memory_fail_at(allocation++, false);
		socketmap = socketmap_new();
		if (socketmap != NULL) {
			(void)socketmap_feed(socketmap, BYTES("3:m k,"));
			closed =
				!socketmap_next(socketmap, &event) || event.kind == SOCKETMAP_CLOSE;
			if (!closed)
				socketmap_answer(socketmap, SOCKETMAP_OK, BYTES("text"));
			closed = socketmap_next(socketmap, &event);
		}
		memory_left = -1;
		test_check(closed == memory_ran_out);
		socketmap_free(socketmap);
	} while (memory_ran_out);
	assert_in_range(allocation, 3, 20);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
	cmocka_unit_test(test_request_limits),
	cmocka_unit_test(test_answer_limit),
	cmocka_unit_test(test_feed_stops_while_output_waits),
	cmocka_unit_test(test_ended_from_outside),
	cmocka_unit_test(test_out_of_memory),
};
TEST_MAIN(tests)
