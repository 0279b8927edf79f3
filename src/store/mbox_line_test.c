/*
 * mbox_line_test: what is printed is parsed, what is altered is not, what is cut is short.
 */
#include "base/checksum.h"
#include "base/test.h"
#include "store/mbox_line.h"

static const struct {
	const char *name;
	struct bytes sender;
	const char *uid;
	uint64_t length, quoted;
	const char *begins;
} rows[] = {
	{"usual", BYTES("bob@example.net"), "0123456789abcdef0123456789abcdef", 812, 0,
	 "From bob@example.net Sun Nov 22 02:01:00 2026 postern=1 "},
	{"null sender", BYTES(""), "x", 0, 0, "From MAILER-DAEMON Sun Nov 22 02:01:00 2026 "},
	{"sender with a space", BYTES("\"a b\"@c"), "x", 1, 1, "From MAILER-DAEMON "},
	{"sender with a control", BYTES("a\n@c"), "x", 1, 1, "From MAILER-DAEMON "},
	{"sender like a mark", BYTES("postern=1"), "postern=1", 1, 1, "From postern=1 "},
	{"largest", BYTES("a@b"),
	 "!~34567890123456789012345678901234567890123456789012345678901234567890", INT64_MAX,
	 INT64_MAX, "From a@b "},
};

static struct mbox_line line_of(size_t row)
{
	struct mbox_line line = {.length = rows[row].length,
				 .quoted = rows[row].quoted,
				 .checksum = 0x00c0ffee,
				 .received_unix_seconds = 1795312860,
				 .uid_length = (uint8_t)strlen(rows[row].uid)};
	memcpy(line.uid, rows[row].uid, line.uid_length);
	return line;
}

static void print_and_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[FROM_LINE_MAX + 16] = {0};
		struct mbox_line line = line_of(i), parsed;
		test_row(rows[i].name);
		size_t length = mbox_line_print(&line, rows[i].sender, text);
		test_check(length == line.octets && text[length - 1] == '\n');
		test_check(
			bytes_start_with((struct bytes){text, length}, bytes_of(rows[i].begins)));
		memcpy(text + length, "From next", 9);
		test_check(mbox_line_parse((struct bytes){text, length + 9}, &parsed) ==
			   MBOX_LINE_OK);
		test_check(parsed.length == line.length && parsed.quoted == line.quoted &&
			   parsed.checksum == line.checksum && parsed.octets == line.octets &&
			   parsed.received_unix_seconds == line.received_unix_seconds &&
			   strcmp(parsed.uid, line.uid) == 0);
		for (size_t cut = 0; cut < length; cut++)
			test_check(mbox_line_parse((struct bytes){text, cut}, &parsed) ==
				   MBOX_LINE_SHORT);
		for (size_t at = 0; at < length; at++) {
			for (unsigned bit = 0; bit < 8; bit++) {
				text[at] ^= (char)(1 << bit);
				test_check(mbox_line_parse((struct bytes){text, length}, &parsed) !=
					   MBOX_LINE_OK);
				text[at] ^= (char)(1 << bit);
			}
		}
	}
}

static void longest_line(void **state)
{
	(void)state;
	char text[FROM_LINE_MAX + 1];
	struct mbox_line parsed;
	memset(text, 'x', sizeof text);
	memcpy(text, "From ", 5);
	assert_int_equal(mbox_line_parse((struct bytes){text, FROM_LINE_MAX - 1}, &parsed),
			 MBOX_LINE_SHORT);
	assert_int_equal(mbox_line_parse((struct bytes){text, FROM_LINE_MAX}, &parsed),
			 MBOX_LINE_STRANGE);
	assert_int_equal(mbox_line_parse((struct bytes){text, FROM_LINE_MAX + 1}, &parsed),
			 MBOX_LINE_STRANGE);
	assert_int_equal(mbox_line_parse(BYTES("Subject: x\n"), &parsed), MBOX_LINE_STRANGE);
}

/* A line whose own checksum is right, but which says nothing: found by the fuzzer. */
static void mark_at_the_very_end(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"From a Sun Nov 22 02:01:00 2026 postern=1 received=",
		"From a Sun Nov 22 02:01:00 2026 postern=1",
		"From a postern=1 received=1 length=1 quoted=0 content=00000000 uid=",
		"From a postern=1 received=1 length=1 quoted=0 content=00000000 uid=x y",
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		char text[FROM_LINE_MAX];
		struct mbox_line parsed;
		test_row(texts[i]);
		int length = snprintf(text, sizeof text, "%s line=%08x\n", texts[i],
				      crc32c(0, bytes_of(texts[i])));
		test_check(mbox_line_parse((struct bytes){text, (size_t)length}, &parsed) ==
			   MBOX_LINE_STRANGE);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(print_and_parse),
	cmocka_unit_test(longest_line),
	cmocka_unit_test(mark_at_the_very_end),
};

TEST_MAIN(tests)
