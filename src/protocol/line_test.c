/*
 * Octets to lines: every row whole, octet by octet and split in two at every point.
 */
#include "base/test.h"

#include "protocol/line.h"
#include "protocol/memory_test.h"

#define MAX      8
#define LONG_MAX 12

static const struct {
	const char *name;
	struct bytes in, out, /* lines as <line>, ! for too long */
		strict;       /* the same where only CRLF ends a line */
} rows[] = {
	{"nothing", BYTES(""), BYTES(""), BYTES("")},
	{"no end", BYTES("abc"), BYTES(""), BYTES("")},
	{"one line", BYTES("abc\r\n"), BYTES("<abc>"), BYTES("<abc>")},
	{"bare LF", BYTES("abc\n"), BYTES("<abc>"), BYTES("")},
	{"empty lines", BYTES("\r\n\n\r\n"), BYTES("<><><>"), BYTES("<><\n>")},
	{"CR is data", BYTES("a\rb\r\r\n"), BYTES("<a\rb\r>"), BYTES("<a\rb\r>")},
	{"CR LF CR", BYTES("a\r\n\rb\n"), BYTES("<a><\rb>"), BYTES("<a>")},
	{"NUL is data", BYTES("a\0b\r\n"), BYTES("<a\0b>"), BYTES("<a\0b>")},
	{"one below the limit", BYTES("abcde\r\n"), BYTES("<abcde>"), BYTES("<abcde>")},
	{"at the limit", BYTES("abcdef\r\n"), BYTES("<abcdef>"), BYTES("<abcdef>")},
	{"one above", BYTES("abcdefg\r\n"), BYTES("!"), BYTES("!")},
	{"one above without an end", BYTES("abcdefghi"), BYTES(""), BYTES("")},
	{"at the limit with LF", BYTES("abcdefg\n"), BYTES("<abcdefg>"), BYTES("")},
	{"one above with LF", BYTES("abcdefgh\n"), BYTES("!"), BYTES("")},
	{"goes on behind it", BYTES("abcdefghijklmnopqrstuvw\r\nab\r\n"), BYTES("!<ab>"),
	 BYTES("!<ab>")},
	{"two too long", BYTES("abcdefgh\nabcdefgh\na\n"), BYTES("!!<a>"), BYTES("")},
	{"long word", BYTES("long abcde\r\n"), BYTES("<long abcde>"), BYTES("<long abcde>")},
	{"long word, any case", BYTES("LoNg abcde\r\n"), BYTES("<LoNg abcde>"),
	 BYTES("<LoNg abcde>")},
	{"long word, one above", BYTES("LONG abcdef\r\n"), BYTES("!"), BYTES("!")},
	{"long word without its space", BYTES("LONGabcde\r\n"), BYTES("!"), BYTES("!")},
	{"long word alone", BYTES("LONG\r\nabcdefg\r\n"), BYTES("<LONG>!"), BYTES("<LONG>!")},
	{"LF amid a line", BYTES("a\nb\r\n"), BYTES("<a><b>"), BYTES("<a\nb>")},
	{"LF LF", BYTES("\n\nab\r\n"), BYTES("<><><ab>"), BYTES("<\n\nab>")},
	{"too long with LF in it", BYTES("abcdefgh\nabc\r\nd\r\n"), BYTES("!<abc><d>"),
	 BYTES("!<d>")},
};

static void take_all(struct line_reader *reader, struct bytes in, struct buffer *out)
{
	struct bytes line;

	while (in.length > 0) {
		switch (line_reader_next(reader, &in, "LONG ", LONG_MAX, &line)) {
		case LINE_PARTIAL:
			test_check(in.length == 0);
			break;
		case LINE_COMPLETE:
			buffer_append(out, BYTES("<"));
			buffer_append(out, line);
			buffer_append(out, BYTES(">"));
			break;
		case LINE_TOO_LONG:
			buffer_append(out, BYTES("!"));
			break;
		case LINE_LOST:
			buffer_append(out, BYTES("?"));
			break;
		}
	}
}

static void run_row(struct bytes in, struct bytes expected, enum line_ends ends, size_t split,
		    size_t piece)
{
	struct line_reader reader;
	struct buffer out;

	buffer_init(&out, 1000);
	line_reader_init(&reader, MAX, ends);
	take_all(&reader, bytes_first(in, split), &out);
	for (in = bytes_skip(in, split); in.length > 0; in = bytes_skip(in, piece))
		take_all(&reader, bytes_first(in, piece), &out);
	test_equal_bytes(buffer_bytes(&out), expected);
	line_reader_free(&reader);
	buffer_free(&out);
}

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		test_row(rows[i].name);
		run_row(rows[i].in, rows[i].out, LINE_ENDS_IN_LF, 0, 1);
		run_row(rows[i].in, rows[i].strict, LINE_ENDS_IN_CRLF_ONLY, 0, 1);
		for (size_t split = 0; split <= rows[i].in.length; split++) {
			run_row(rows[i].in, rows[i].out, LINE_ENDS_IN_LF, split, SIZE_MAX);
			run_row(rows[i].in, rows[i].strict, LINE_ENDS_IN_CRLF_ONLY, split,
				SIZE_MAX);
		}
	}
}

static void test_nothing_is_held_behind_a_line(void **state)
{
	struct line_reader reader;
	struct bytes in = BYTES("c\r\nde"), line;

	(void)state;
	line_reader_init(&reader, MAX, LINE_ENDS_IN_LF);
	line_reader_next(&reader, &(struct bytes){"ab", 2}, NULL, 0, &line);
	assert_non_null(reader.held.data);
	assert_int_equal(line_reader_next(&reader, &in, NULL, 0, &line), LINE_COMPLETE);
	test_equal_bytes(line, BYTES("abc"));
	line_reader_free(&reader);
	assert_null(reader.held.data);
	assert_int_equal(line_reader_next(&reader, &in, NULL, 0, &line), LINE_PARTIAL);
	assert_non_null(reader.held.data);
	line_reader_free(&reader);
}

static void test_lost_line(void **state)
{
	struct line_reader reader;
	struct bytes in = BYTES("ab"), rest = BYTES("c\r\nde\r\n"), line;

	(void)state;
	line_reader_init(&reader, MAX, LINE_ENDS_IN_LF);
	memory_fail_at(0, false);
	assert_int_equal(line_reader_next(&reader, &in, NULL, 0, &line), LINE_PARTIAL);
	memory_left = -1;
	assert_int_equal(line_reader_next(&reader, &rest, NULL, 0, &line), LINE_LOST);
	assert_int_equal(line_reader_next(&reader, &rest, NULL, 0, &line), LINE_COMPLETE);
	test_equal_bytes(line, BYTES("de"));
	line_reader_free(&reader);
}

static void test_http(void **state)
{
	(void)state;
	assert_true(line_is_http(BYTES("GET / HTTP/1.1")));
	assert_true(line_is_http(BYTES("CONNECT a:1 HTTP/1.0")));
	assert_false(line_is_http(BYTES("GET")));
	assert_false(line_is_http(BYTES("get /")));
	assert_false(line_is_http(BYTES("")));
	assert_true(line_is_http(BYTES("HTTP/1.1 200 OK")));
	assert_true(line_is_http(BYTES("PROPFIND /x HTTP/1.1")));
	assert_true(line_is_http(BYTES(" HTTP/1.0")));
	assert_false(line_is_http(BYTES("USER x HTTP/1.")));
	assert_false(line_is_http(BYTES("USER x HTTP/1.1 ")));
}

static const struct {
	const char *name;
	struct bytes in;
	size_t known_at; /* octets of it that are enough; 0: it is a line of ours */
} beginnings[] = {
	{"nothing", BYTES(""), 0},
	{"a command", BYTES("STAT\r\n"), 0},
	{"a request", BYTES("GET / HT"), 4},
	{"a form", BYTES("POST /x HTTP/1.1\r\n"), 5},
	{"the longest", BYTES("OPTIONS * HTTP/1.1\r\n"), 8},
	{"a reply", BYTES("HTTP/1.1 200 OK"), 5},
	{"lower case", BYTES("get / HTTP/1.1\r\n"), 0},
	{"GET alone", BYTES("GET\r\n"), 0},
	{"TLS", BYTES("\x16\x03\x01\x02"), 1},
	{"TLS later", BYTES("A\x16\x03\x01"), 0},
	{"behind a line", BYTES("a\r\nGET "), 7},
	{"amid what is dropped", BYTES("abcdefghijGET /\n"), 0},
};

/* Known at the same octet, whether the line comes whole or octet by octet. */
static void test_foreign(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
		struct line_reader reader;
		size_t known_at = 0;
		struct bytes line;

		test_row(beginnings[i].name);
		line_reader_init(&reader, MAX, LINE_ENDS_IN_LF);
		for (size_t at = 0; at < beginnings[i].in.length && known_at == 0; at++) {
			struct bytes octet = {beginnings[i].in.data + at, 1};

			if (line_reader_is_foreign(&reader, octet))
				known_at = at + 1;
			(void)line_reader_next(&reader, &octet, NULL, 0, &line);
		}
		test_check(known_at == beginnings[i].known_at);
		line_reader_free(&reader);
		line_reader_init(&reader, MAX, LINE_ENDS_IN_LF);
		test_check(line_reader_is_foreign(&reader, beginnings[i].in) ==
			   (known_at > 0 && strncmp(beginnings[i].name, "behind", 6) != 0));
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_lines),     cmocka_unit_test(test_nothing_is_held_behind_a_line),
	cmocka_unit_test(test_lost_line), cmocka_unit_test(test_http),
	cmocka_unit_test(test_foreign),
};
TEST_MAIN(tests)
