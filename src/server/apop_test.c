/*
 * apop: the example of RFC 1939 section 7, and digests that are nearly right.
 */
#include "server/apop.h"

#include "base/test.h"

#define STAMP "<1896.697170952@dbc.mtview.ca.us>"

static const struct {
	const char *name;
	struct bytes challenge, secret, digest;
	bool right;
} rows[] = {
	{"the RFC's example", BYTES(STAMP), BYTES("tanstaaf"),
	 BYTES("c4c9334bac560ecc979e58001b3e22fb"), true},
	{"a secret of no octets", BYTES(""), BYTES(""), BYTES("d41d8cd98f00b204e9800998ecf8427e"),
	 true},
	{"the last digit", BYTES(STAMP), BYTES("tanstaaf"),
	 BYTES("c4c9334bac560ecc979e58001b3e22fa"), false},
	{"the first digit", BYTES(STAMP), BYTES("tanstaaf"),
	 BYTES("d4c9334bac560ecc979e58001b3e22fb"), false},
	{"capitals", BYTES(STAMP), BYTES("tanstaaf"), BYTES("C4C9334BAC560ECC979E58001B3E22FB"),
	 false},
	{"one short", BYTES(STAMP), BYTES("tanstaaf"), BYTES("c4c9334bac560ecc979e58001b3e22f"),
	 false},
	{"one long", BYTES(STAMP), BYTES("tanstaaf"), BYTES("c4c9334bac560ecc979e58001b3e22fb0"),
	 false},
	{"nothing", BYTES(STAMP), BYTES("tanstaaf"), BYTES(""), false},
	{"another secret", BYTES(STAMP), BYTES("tanstaag"),
	 BYTES("c4c9334bac560ecc979e58001b3e22fb"), false},
	{"another timestamp", BYTES("<1@x>"), BYTES("tanstaaf"),
	 BYTES("c4c9334bac560ecc979e58001b3e22fb"), false},
};

static void test_rows(void **state)
{
	(void)state;
	apop_init();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		test_row(rows[i].name);
		test_check(apop_verify(rows[i].challenge, rows[i].secret, rows[i].digest) ==
			   rows[i].right);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
};
TEST_MAIN(tests)
