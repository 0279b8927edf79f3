/*
 * plain: messages of PLAIN, right and wrong.
 */
#include "base/test.h"

#include "protocol/plain.h"

static const struct {
	const char *name;
	struct bytes message;
	bool right;
	struct bytes authorize, user, password;
} rows[] = {
	{"no identity", BYTES("\0tim\0tanstaaftanstaaf"), true, BYTES(""), BYTES("tim"),
	 BYTES("tanstaaftanstaaf")},
	{"an identity", BYTES("Ursel\0Kurt\0xipj3plmq"), true, BYTES("Ursel"), BYTES("Kurt"),
	 BYTES("xipj3plmq")},
	{"one octet each", BYTES("\0a\0b"), true, BYTES(""), BYTES("a"), BYTES("b")},
	{"spaces and 8 bit", BYTES("\0J\xC3\xB6rg \0 p "), true, BYTES(""), BYTES("J\xC3\xB6rg "),
	 BYTES(" p ")},
	{"nothing", BYTES(""), false, BYTES(""), BYTES(""), BYTES("")},
	{"no NUL", BYTES("tim"), false, BYTES(""), BYTES(""), BYTES("")},
	{"one NUL", BYTES("tim\0secret"), false, BYTES(""), BYTES(""), BYTES("")},
	{"three NULs", BYTES("\0tim\0sec\0ret"), false, BYTES(""), BYTES(""), BYTES("")},
	{"a NUL at the end", BYTES("\0tim\0secret\0"), false, BYTES(""), BYTES(""), BYTES("")},
	{"NULs alone", BYTES("\0\0"), false, BYTES(""), BYTES(""), BYTES("")},
	{"no user", BYTES("tim\0\0secret"), false, BYTES(""), BYTES(""), BYTES("")},
	{"no password", BYTES("\0tim\0"), false, BYTES(""), BYTES(""), BYTES("")},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct plain plain;

		test_row(rows[i].name);
		test_check(plain_parse(rows[i].message, &plain) == rows[i].right);
		if (!rows[i].right)
			continue;
		test_equal_bytes(plain.authorize, rows[i].authorize);
		test_equal_bytes(plain.user, rows[i].user);
		test_equal_bytes(plain.password, rows[i].password);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
};
TEST_MAIN(tests)
