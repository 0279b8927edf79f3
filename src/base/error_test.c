/*
 * Tests of the table of errors, of cutting long texts, and of escaping.
 */
#include "base/error.h"

#include <errno.h>

#include "base/test.h"

static bool digits_match(const char *text, const char *pattern)
{
	for (; *pattern != '\0'; text++, pattern++) {
		if (*pattern == '9' ? *text < '0' || *text > '9' : *text != *pattern)
			return false;
	}
	return *text == '\0';
}

static void test_table(void **state)
{
	(void)state;
	for (unsigned code = 0; code < ERROR_CODES; code++) {
		const struct error_meaning *meaning = error_meaning(code);
		bool temporary = meaning->smtp[0] == '4';

		test_row(meaning->name);
		test_check(digits_match(meaning->smtp, "999 9.9.9"));
		test_check(meaning->smtp[0] == meaning->smtp[4]);
		test_check((code == ERROR_NONE) == (meaning->exit_code == 0));
		test_check((code == ERROR_NONE) == (meaning->smtp[0] == '2'));
		test_check(code == ERROR_NONE ||
			   (meaning->exit_code >= 64 && meaning->exit_code <= 78));
		test_check(meaning->exit_code != 75 || temporary);
		test_check(meaning->pop3_response[0] == '\0' ||
			   (meaning->pop3_response[0] == '[' &&
			    meaning->pop3_response[strlen(meaning->pop3_response) - 1] == ']'));
		for (unsigned other = 0; other < code; other++)
			test_check(strcmp(error_meaning(other)->name, meaning->name) != 0);
	}
	assert_string_equal(error_meaning(ERROR_IN_USE)->pop3_response, "[IN-USE]");
	assert_string_equal(error_meaning(ERROR_DENIED)->pop3_response, "[AUTH]");
	assert_int_equal(error_meaning(ERROR_UNAVAILABLE)->exit_code, 75);
	assert_int_equal(error_meaning(ERROR_USAGE)->exit_code, 64);
}

static void test_errno(void **state)
{
	static const struct {
		int number;
		enum error_code code;
		const char *text;
	} rows[] = {
		{ENOSPC, ERROR_FULL, "opening x: No space left on device"},
		{EFBIG, ERROR_FULL, "opening x: File too large"},
		{EDQUOT, ERROR_FULL, "opening x: Disk quota exceeded"},
		{EIO, ERROR_IO, "opening x: Input/output error"},
		{EMFILE, ERROR_TEMPORARY, "opening x: Too many open files"},
		{ENFILE, ERROR_TEMPORARY, "opening x: Too many open files in system"},
		{ENOMEM, ERROR_TEMPORARY, "opening x: Cannot allocate memory"},
		{EAGAIN, ERROR_TEMPORARY, "opening x: Resource temporarily unavailable"},
		{EINTR, ERROR_TEMPORARY, "opening x: Interrupted system call"},
		{EACCES, ERROR_SYSTEM, "opening x: Permission denied"},
		{EPERM, ERROR_SYSTEM, "opening x: Operation not permitted"},
		{EROFS, ERROR_SYSTEM, "opening x: Read-only file system"},
		{ENOENT, ERROR_SYSTEM, "opening x: No such file or directory"},
		{4095, ERROR_SYSTEM, "opening x: unknown error of the system"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error error;

		assert_int_equal(error_set_errno(&error, -rows[i].number, "opening %s", "x"),
				 rows[i].code);
		assert_int_equal(error.code, rows[i].code);
		assert_string_equal(error.text, rows[i].text);
		assert_int_equal(error_set_errno(NULL, -rows[i].number, "x"), rows[i].code);
	}
}

/* Texts one below, at and one above the limit. */
static void test_cut(void **state)
{
	static char text[ERROR_TEXT_MAX + 10];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (int length = ERROR_TEXT_MAX - 2; length <= ERROR_TEXT_MAX; length++) {
		struct error error;
		bool cut = length >= ERROR_TEXT_MAX;

		error_set(&error, ERROR_DATA, "%.*s", length, text);
		assert_int_equal(strlen(error.text), cut ? ERROR_TEXT_MAX - 1 : length);
		assert_string_equal(error.text + strlen(error.text) - 3, cut ? "..." : "xxx");
		error_set_errno(&error, -EIO, "%.*s", length, text);
		assert_int_equal(strlen(error.text), ERROR_TEXT_MAX - 1);
		assert_non_null(strstr(error.text, "xxx...: Input/output error"));
		error_set(&error, ERROR_DATA, "%s", "short");
		error_prefix(&error, "%.*s", length, text);
		assert_int_equal(strlen(error.text), ERROR_TEXT_MAX - 1);
		assert_string_equal(error.text + strlen(error.text) - 3, "...");
	}
}

static void test_prefix(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(error_set(&error, ERROR_FULL, "no room for %d octets", 7), ERROR_FULL);
	error_prefix(&error, "delivering to %s: ", "alice");
	assert_string_equal(error.text, "delivering to alice: no room for 7 octets");
	assert_int_equal(error.code, ERROR_FULL);
	error_set(&error, ERROR_IO, "again: %s", error.text); /* the old text as an argument */
	assert_string_equal(error.text, "again: delivering to alice: no room for 7 octets");
	assert_int_equal(error_set(NULL, ERROR_IO, "x"), ERROR_IO);
	error_prefix(NULL, "x");
}

static void test_escape(void **state)
{
	static const struct {
		struct bytes text;
		size_t room;
		const char *result;
	} rows[] = {
		{BYTES("abc ~!\"'"), 20, "abc ~!\"'"},
		{BYTES("a\\b"), 20, "a\\x5cb"},
		{BYTES("\r\n\0\x1b\x7f\x80\xff"), 40, "\\x0d\\x0a\\x00\\x1b\\x7f\\x80\\xff"},
		{{NULL, 0}, 1, ""},
		{BYTES("abcdef"), 7, "abcdef"},
		{BYTES("abcdefg"), 7, "abc..."},
		{BYTES("abcde\n"), 10, "abcde\\x0a"},
		{BYTES("abcde\n"), 9, "abcde..."},
		{BYTES("ab\n\n"), 10, "ab\\x0a..."},
		{BYTES("ab\n\n"), 9, "ab..."},
		{BYTES("abc"), 3, ".."},
		{BYTES("abc"), 1, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char room[48];

		memset(room, '#', sizeof(room));
		assert_ptr_equal(error_escape(rows[i].text, room, rows[i].room), room);
		assert_string_equal(room, rows[i].result);
		assert_int_equal(room[rows[i].room], '#');
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_table),  cmocka_unit_test(test_errno),  cmocka_unit_test(test_cut),
	cmocka_unit_test(test_prefix), cmocka_unit_test(test_escape),
};

TEST_MAIN(tests)
