/*
 * Tests of strict numbers.
 */
#include "base/number.h"

#include "base/test.h"

static void test_decimal(void **state)
{
	static const struct {
		const char *name;
		struct bytes text;
		uint64_t max;
		bool accepted;
		uint64_t number;
	} rows[] = {
		{"zero", BYTES("0"), 0, true, 0},
		{"below", BYTES("41"), 42, true, 41},
		{"at", BYTES("42"), 42, true, 42},
		{"above", BYTES("43"), 42, false, 0},
		{"zeroes in front", BYTES("0042"), 42, true, 42},
		{"largest", BYTES("18446744073709551615"), UINT64_MAX, true, UINT64_MAX},
		{"would wrap by adding", BYTES("18446744073709551616"), UINT64_MAX, false, 0},
		{"would wrap by ten", BYTES("99999999999999999999"), UINT64_MAX, false, 0},
		{"2^32 + 1", BYTES("4294967297"), UINT32_MAX, false, 0},
		{"twenty digits", BYTES("00000000000000000001"), 9, true, 1},
		{"too long", BYTES("000000000000000000001"), 9, false, 0},
		{"empty", {NULL, 0}, 9, false, 0},
		{"minus", BYTES("-1"), UINT64_MAX, false, 0},
		{"plus", BYTES("+1"), 9, false, 0},
		{"space in front", BYTES(" 1"), 9, false, 0},
		{"space behind", BYTES("1 "), 9, false, 0},
		{"hexadecimal", BYTES("0x1"), 9, false, 0},
		{"nul", BYTES("1\0"), 9, false, 0},
		{"before the digits", BYTES("/"), 99, false, 0},
		{"behind the digits", BYTES(":"), 99, false, 0},
		{"high octet", BYTES("\xb1"), 999, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t number = 7;

		test_row(rows[i].name);
		test_check(number_parse(rows[i].text, rows[i].max, &number) == rows[i].accepted);
		test_check(number == (rows[i].accepted ? rows[i].number : 7));
	}
}

static void test_hexadecimal(void **state)
{
	static const struct {
		const char *name;
		struct bytes text;
		bool accepted;
		uint32_t number;
	} rows[] = {
		{"zero", BYTES("00000000"), true, 0},
		{"all digits", BYTES("0189afbc"), true, 0x0189afbc},
		{"largest", BYTES("ffffffff"), true, UINT32_MAX},
		{"upper case", BYTES("FFFFFFFF"), false, 0},
		{"behind f", BYTES("0000000g"), false, 0},
		{"before a", BYTES("0000000`"), false, 0},
		{"seven", BYTES("0000000"), false, 0},
		{"nine", BYTES("000000000"), false, 0},
		{"empty", {NULL, 0}, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t number = 7;

		test_row(rows[i].name);
		test_check(number_parse_hex32(rows[i].text, &number) == rows[i].accepted);
		test_check(number == (rows[i].accepted ? rows[i].number : 7));
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_decimal),
	cmocka_unit_test(test_hexadecimal),
};

TEST_MAIN(tests)
