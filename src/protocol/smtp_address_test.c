/*
 * SMTP paths: what is taken, as what, and what is refused; every limit one below, at, one above.
 */
#include "base/test.h"

#include "protocol/smtp_address.h"

static const struct {
	const char *text, *address; /* NULL: refused */
	const char *rest;
} rows[] = {
	{"<>", "", ""},
	{"<> SIZE=1", "", " SIZE=1"},
	{"<a@b>", "a@b", ""},
	{"<a@b>x", "a@b", "x"},
	{"<postmaster>", "postmaster", ""},
	{"<a.b+c=d@e-f.g_h.i>", "a.b+c=d@e-f.g_h.i", ""},
	{"<!#$%&'*+-/=?^_`{|}~@b>", "!#$%&'*+-/=?^_`{|}~@b", ""},
	{"<a@[192.0.2.1]>", "a@[192.0.2.1]", ""},
	{"<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", ""},
	{"<@r1:a@b>", "a@b", ""},
	{"<@r1,@r2.x,@[1.2.3.4]:a@b>", "a@b", ""},
	{"<\"a\"@b>", "a@b", ""},
	{"<\"a.b\\c\"@d>", "a.bc@d", ""},
	{"<\"a b\"@c>", "\"a b\"@c", ""},
	{"<\"a@b>\"@c> X", "\"a@b>\"@c", " X"},
	{"<\"a\\\"b\"@c>", "\"a\\\"b\"@c", ""},
	{"<\"\"@c>", "\"\"@c", ""},
	{"<\".\"@c>", "\".\"@c", ""},
	{"<\"a\">", "a", ""},
	{"", NULL, ""},
	{"a@b", NULL, ""},
	{"<", NULL, ""},
	{"<a@b", NULL, ""},
	{"< a@b>", NULL, ""},
	{"<a@b >", NULL, ""},
	{"<a b@c>", NULL, ""},
	{"<@b>", NULL, ""},
	{"<a@>", NULL, ""},
	{"<a@@b>", NULL, ""},
	{"<a@b@c>", NULL, ""},
	{"<.a@b>", NULL, ""},
	{"<a.@b>", NULL, ""},
	{"<a..b@c>", NULL, ""},
	{"<a@.b>", NULL, ""},
	{"<a@b.>", NULL, ""},
	{"<a@b..c>", NULL, ""},
	{"<a@b/c>", NULL, ""},
	{"<a@[]>", NULL, ""},
	{"<a@[1.2.3.4>", NULL, ""},
	{"<a@[1 2]>", NULL, ""},
	{"<@r1 a@b>", NULL, ""},
	{"<@r1,:a@b>", NULL, ""},
	{"<@r1,a@b>", NULL, ""},
	{"<a\xC3\xA4@b>", NULL, ""},
	{"<\"a\xC3\xA4\"@b>", NULL, ""},
	{"<\"a\tb\"@c>", NULL, ""},
	{"<\"a@b>", NULL, ""},
	{"<\"a\\", NULL, ""},
	{"<\"a\"b@c>", NULL, ""},
	{"<a\"b\"@c>", NULL, ""},
	{"<a@b\r>", NULL, ""},
};

static void test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* In exactly the memory it needs, so that a read behind it is seen. */
		size_t length = strlen(rows[i].text);
		char *copy = malloc(length > 0 ? length : 1);
		struct bytes text = {copy, length};
		struct smtp_address address;

		test_row(rows[i].text);
		assert_non_null(copy);
		memcpy(copy, rows[i].text, length);
		test_check(smtp_address_parse(&text, &address) == (rows[i].address != NULL));
		if (rows[i].address != NULL) {
			test_equal_bytes(((struct bytes){address.text, address.length}),
					 bytes_of(rows[i].address));
			test_equal_bytes(text, bytes_of(rows[i].rest));
		}
		free(copy);
	}
}

static void test_nul_is_no_end(void **state)
{
	struct smtp_address address;
	struct bytes inside = BYTES("<a\0b@c>"), quoted = BYTES("<\"a\0\"@c>"),
		     domain = BYTES("<a@b\0>"), literal = BYTES("<a@[1\0]>");

	(void)state;
	assert_false(smtp_address_parse(&inside, &address));
	assert_false(smtp_address_parse(&quoted, &address));
	assert_false(smtp_address_parse(&domain, &address));
	assert_false(smtp_address_parse(&literal, &address));
}

static bool parses(size_t local_octets, bool quoted, size_t domain_octets)
{
	char text[2000];
	struct smtp_address address;
	struct bytes path;
	size_t length = 0;

	text[length++] = '<';
	if (quoted)
		text[length++] = '"';
	memset(text + length, quoted ? ' ' : 'a', local_octets);
	length += local_octets;
	if (quoted)
		text[length++] = '"';
	text[length++] = '@';
	memset(text + length, 'b', domain_octets);
	length += domain_octets;
	text[length++] = '>';
	path = (struct bytes){text, length};
	return smtp_address_parse(&path, &address);
}

static void test_limits(void **state)
{
	static const struct {
		const char *name;
		size_t local_octets;
		bool quoted;
		size_t domain_octets;
		bool taken;
	} limits[] = {
		{"path, one below", 100, false, SMTP_PATH_MAX - 2 - 101 - 1, true},
		{"path, at the limit", 100, false, SMTP_PATH_MAX - 2 - 101, true},
		{"path, one above", 100, false, SMTP_PATH_MAX - 2 - 101 + 1, false},
		{"local part takes all", 300, false, 1, false},
		{"quoted, one below", SMTP_PATH_MAX - 2 - 5, true, 1, true},
		{"quoted, at the limit", SMTP_PATH_MAX - 2 - 4, true, 1, true},
		{"quoted, one above", SMTP_PATH_MAX - 2 - 3, true, 1, false},
		{"quoted, far above", 1900, true, 1, false},
		{"domain, longest that fits", 0 + 1, false, SMTP_PATH_MAX - 2 - 2, true},
		{"domain, one above", 1, false, DOMAIN_MAX + 1, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		test_row(limits[i].name);
		test_check(parses(limits[i].local_octets, limits[i].quoted,
				  limits[i].domain_octets) == limits[i].taken);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_forms),
	cmocka_unit_test(test_nul_is_no_end),
	cmocka_unit_test(test_limits),
};
TEST_MAIN(tests)
