/*
 * base64: the vectors of RFC 4648 section 10, each way to be wrong, and all groups with padding.
 */
#include "base/test.h"

#include "protocol/base64.h"

static const struct {
	const char *name;
	struct bytes text;
	bool right;
	struct bytes octets;
} rows[] = {
	{"nothing", BYTES(""), true, BYTES("")},
	{"f", BYTES("Zg=="), true, BYTES("f")},
	{"fo", BYTES("Zm8="), true, BYTES("fo")},
	{"foo", BYTES("Zm9v"), true, BYTES("foo")},
	{"foob", BYTES("Zm9vYg=="), true, BYTES("foob")},
	{"fooba", BYTES("Zm9vYmE="), true, BYTES("fooba")},
	{"foobar", BYTES("Zm9vYmFy"), true, BYTES("foobar")},
	{"NUL octets", BYTES("AGEAYg=="), true, BYTES("\0a\0b")},
	{"the last digits", BYTES("+/+/"), true, BYTES("\xFB\xFF\xBF")},
	{"padding left out", BYTES("Zg"), false, BYTES("")},
	{"half of it left out", BYTES("Zg="), false, BYTES("")},
	{"padding too long", BYTES("Z==="), false, BYTES("")},
	{"padding alone", BYTES("===="), false, BYTES("")},
	{"padding amid", BYTES("Zg==Zg=="), false, BYTES("")},
	{"a digit behind padding", BYTES("Zg=v"), false, BYTES("")},
	{"bits that mean nothing, two", BYTES("Zh=="), false, BYTES("")},
	{"bits that mean nothing, one", BYTES("Zm9="), false, BYTES("")},
	{"a space", BYTES("Zm9 "), false, BYTES("")},
	{"a line end", BYTES("Zm9v\r\n\r\n"), false, BYTES("")},
	{"digits of base64url", BYTES("-_-_"), false, BYTES("")},
	{"a NUL", BYTES("Zm9\0"), false, BYTES("")},
	{"8 bit", BYTES("Zm9\xE9"), false, BYTES("")},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* As much room as is promised to be enough. */
		char *room = malloc(BASE64_DECODED_MAX(rows[i].text.length) + 1);
		struct bytes octets = {room, 0};

		assert_non_null(room);
		test_row(rows[i].name);
		test_check(base64_decode(rows[i].text, room, &octets.length) == rows[i].right);
		if (rows[i].right)
			test_equal_bytes(octets, rows[i].octets);
		free(room);
	}
}

/* There is one text for one octet and for two: of all that could be read, 256 and 65,536 are. */
static void test_one_text_for_each(void **state)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char group[4] = "====", room[3];
	size_t one = 0, two = 0, length;

	(void)state;
	for (size_t a = 0; a < 64; a++) {
		for (size_t b = 0; b < 64; b++) {
			group[0] = digits[a];
			group[1] = digits[b];
			group[2] = '=';
			one += base64_decode((struct bytes){group, 4}, room, &length);
			for (size_t c = 0; c < 64; c++) {
				group[2] = digits[c];
				two += base64_decode((struct bytes){group, 4}, room, &length);
			}
		}
	}
	assert_int_equal(one, 256);
	assert_int_equal(two, 65536);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
	cmocka_unit_test(test_one_text_for_each),
};
TEST_MAIN(tests)
