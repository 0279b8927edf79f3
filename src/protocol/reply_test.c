/*
 * Reply lines: put together, cleaned, cut.
 */
#include "base/test.h"

#include "protocol/memory_test.h"
#include "protocol/reply.h"

static const struct {
	const char *name, *status, *code, *text;
	size_t octets_max;
	const char *line;
} rows[] = {
	{"all", "-ERR", "[AUTH]", "no", 512, "-ERR [AUTH] no\r\n"},
	{"no code", "+OK", NULL, "yes", 512, "+OK yes\r\n"},
	{"empty code", "+OK", "", "yes", 512, "+OK yes\r\n"},
	{"status alone", "+OK", NULL, NULL, 512, "+OK\r\n"},
	{"two lines in a text", "+OK", NULL, "a\r\n.\r\nb", 512, "+OK a??.??b\r\n"},
	{"8 bit and control", "+OK", NULL, "\xC3\xA4\x7F\t~", 512, "+OK ????~\r\n"},
	{"one below the limit", "250", NULL, "abc", 10, "250 abc\r\n"},
	{"at the limit", "250", NULL, "abcd", 10, "250 abcd\r\n"},
	{"one above", "250", NULL, "abcde", 10, "250 abcd\r\n"},
	{"cut before the text", "250", NULL, "abcd", 5, "250\r\n"},
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buffer output;

		test_row(rows[i].name);
		buffer_init(&output, 1000);
		test_check(reply_append(&output, rows[i].status, rows[i].code, rows[i].text,
					rows[i].octets_max));
		test_equal_bytes(buffer_bytes(&output), bytes_of(rows[i].line));
		buffer_free(&output);
	}
}

static void test_no_part_of_a_line(void **state)
{
	struct buffer output;

	(void)state;
	buffer_init(&output, 8);
	assert_true(reply_append(&output, "+OK", NULL, NULL, 512));
	assert_false(reply_append(&output, "+OK", NULL, NULL, 512));
	test_equal_bytes(buffer_bytes(&output), BYTES("+OK\r\n"));
	buffer_free(&output);
	memory_fail_at(0, false);
	assert_false(reply_append(&output, "+OK", NULL, NULL, 512));
	memory_left = -1;
	assert_int_equal(output.length, 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_lines),
	cmocka_unit_test(test_no_part_of_a_line),
};
TEST_MAIN(tests)
