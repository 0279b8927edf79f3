/*
 * From lines as programs write them, with what is to be understood of each.
 */
#include "base/from_line.h"
#include "base/test.h"

static const struct {
	const char *line;
	const char *sender;
	int64_t unix_seconds; /* -1: no date */
} rows[] = {
	{"From a@b Sun Nov 22 02:01:00 2026", "a@b", 1795312860},
	{"From a@b  Sun Nov 22 02:01:00 2026\r\n", "a@b", 1795312860},
	{"From <a@b> Sun Nov 22 02:01:00 2026\n", "a@b", 1795312860},
	{"From a@b Sun Nov 22 02:01 2026", "a@b", 1795312860},
	{"From a@b Sun Nov 22 02:01:00 UTC 2026", "a@b", 1795312860},
	{"From a@b Sun Nov 22 03:01:00 +0100 2026", "a@b", 1795312860},
	{"From a@b Sun Nov 22 03:01:00 2026 +0100", "a@b", 1795312860},
	{"From a@b Sat Nov 21 21:31:00 2026 -0430", "a@b", 1795312860},
	{"From a@b Sun Nov 22 02:01:00 2026 remote from x", "a@b", 1795312860},
	{"From a@b Sun Nov 22 02:01:00 2026 postern=1 length=3", "a@b", 1795312860},
	{"From a@b Thu Jan  1 00:00:00 1970", "a@b", 0},
	{"From a@b Thu Feb 29 00:00:00 2024", "a@b", 1709164800},
	{"From alice Sun Nov 22 02:01:00 2026", "alice", 1795312860},
	{"From MAILER-DAEMON Sun Nov 22 02:01:00 2026", "", 1795312860},
	{"From <> Sun Nov 22 02:01:00 2026", "", 1795312860},
	{"From - Sun Nov 22 02:01:00 2026", "", 1795312860},
	{"From Sun Nov 22 02:01:00 2026", "", 1795312860},
	{"From two words Sun Nov 22 02:01:00 2026", "", 1795312860},
	{"From a<b Sun Nov 22 02:01:00 2026", "", 1795312860},
	{"From a\x01"
	 "b Sun Nov 22 02:01:00 2026",
	 "", 1795312860},
	{"From a@b", "a@b", -1},
	{"From a@b Sun Feb 30 00:00:00 2026", "a@b", -1},
	{"From a@b Sun Nov 22 24:00:00 2026", "a@b", -1},
	{"From a@b Sun Nov 22 02:60:00 2026", "a@b", -1},
	{"From a@b Sun Nov 22 02:01:00 26", "a@b", -1},
	{"From a@b Sun Nov 22 02:01:00 1969", "a@b", -1},
	{"From a@b Sun Nov 22 02-01-00 2026", "a@b", -1},
	{"From a@b Son Nov 22 02:01:00 2026", "a@b", -1},
	{"From a@b Sun Nov 22 02:01:00", "a@b", -1},
	{"From here on it is better", "", -1},
	{"From ", "", -1},
	{"From  \n", "", -1},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct from_line from = from_line_parse(bytes_of(rows[i].line));

		test_row(rows[i].line);
		test_check(from_line_begins(bytes_of(rows[i].line)));
		test_equal_bytes(from.sender, bytes_of(rows[i].sender));
		test_check(from.dated == (rows[i].unix_seconds >= 0));
		test_check(!from.dated || from.unix_seconds == rows[i].unix_seconds);
	}
}

static void test_begins(void **state)
{
	static const char *const others[] = {"", "From", "From:", "from a", ">From a", " From a"};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		test_row(others[i]);
		test_check(!from_line_begins(bytes_of(others[i])));
	}
}

/* Every beginning of a line, in memory of exactly its length, so that a sanitizer sees over-reads.
 */
static void test_cut(void **state)
{
	static const char line[] = "From <a@b> Sun Nov 22 03:01:00 2026 +0100";

	(void)state;
	for (size_t length = 5; length < sizeof(line); length++) {
		char *copy = malloc(length);

		test_row(line);
		test_check(copy != NULL);
		memcpy(copy, line, length);
		(void)from_line_parse((struct bytes){copy, length});
		free(copy);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
	cmocka_unit_test(test_begins),
	cmocka_unit_test(test_cut),
};

TEST_MAIN(tests)
