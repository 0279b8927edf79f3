/*
 * Names from outside, their normal form or refusal, and the paths made of them.
 */
#include "accounts/directory.h"
#include "base/test.h"

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10
#define L63 A60 "aaa"

struct name_row {
	const char *label;
	struct bytes given;
	const char *default_domain;
	const char *name; /* NULL: refused */
};

static const struct name_row name_rows[] = {
	{"plain", BYTES("alice@example.org"), "", "alice@example.org"},
	{"upper case", BYTES("Alice@EXAMPLE.Org"), "", "alice@example.org"},
	{"bare with default", BYTES("alice"), "example.org", "alice@example.org"},
	{"bare without default", BYTES("alice"), "", NULL},
	{"default not used", BYTES("a@b"), "example.org", "a@b"},
	{"default lowered", BYTES("a"), "Example.ORG", "a@example.org"},
	{"one label", BYTES("root@localhost"), "", "root@localhost"},
	{"atext", BYTES("!#$%&'*+-/=?^_`{|}~@x"), "", "!#$%&'*+-/=?^_`{|}~@x"},
	{"dots", BYTES("a.b.c@d.e"), "", "a.b.c@d.e"},
	{"plus", BYTES("alice+tag@x"), "", "alice+tag@x"},
	{"digits", BYTES("1@1.2"), "", "1@1.2"},
	{"empty", BYTES(""), "", NULL},
	{"empty with default", BYTES(""), "x", NULL},
	{"no local", BYTES("@x"), "", NULL},
	{"no domain", BYTES("a@"), "", NULL},
	{"no domain, default", BYTES("a@"), "x", NULL},
	{"two ats", BYTES("a@b@c"), "", NULL},
	{"leading dot", BYTES(".a@x"), "", NULL},
	{"trailing dot", BYTES("a.@x"), "", NULL},
	{"double dot", BYTES("a..b@x"), "", NULL},
	{"dot dot", BYTES("..@x"), "", NULL},
	{"domain dot dot", BYTES("a@.."), "", NULL},
	{"domain trailing dot", BYTES("a@x."), "", NULL},
	{"domain leading dot", BYTES("a@.x"), "", NULL},
	{"label leading hyphen", BYTES("a@-x"), "", NULL},
	{"label trailing hyphen", BYTES("a@x-.y"), "", NULL},
	{"hyphen inside", BYTES("a@x-y"), "", "a@x-y"},
	{"domain slash", BYTES("a@x/../y"), "", NULL},
	{"domain underscore", BYTES("a@x_y"), "", NULL},
	{"address literal", BYTES("a@[127.0.0.1]"), "", NULL},
	{"quoted", BYTES("\"a b\"@x"), "", NULL},
	{"space", BYTES("a b@x"), "", NULL},
	{"NUL", BYTES("a\0b@x"), "", NULL},
	{"NUL at the end", BYTES("a@x\0"), "", NULL},
	{"newline", BYTES("a\n@x"), "", NULL},
	{"CR in domain", BYTES("a@x\r"), "", NULL},
	{"utf-8", BYTES("\xc3\xa4@x"), "", NULL},
	{"overlong slash", BYTES("\xc0\xaf@x"), "", NULL},
	{"angle", BYTES("<a@x>"), "", NULL},
	{"colon", BYTES("a:b@x"), "", NULL},
	{"backslash", BYTES("a\\b@x"), "", NULL},
	{"local of 64", BYTES(A60 "aaaa@x"), "", A60 "aaaa@x"},
	{"local of 63", BYTES(L63 "@x"), "", L63 "@x"},
	{"local of 65", BYTES(A60 "aaaaa@x"), "", NULL},
	{"label of 63", BYTES("a@" L63), "", "a@" L63},
	{"label of 64", BYTES("a@" L63 "a"), "", NULL},
	{"domain of 253", BYTES("a@" L63 "." L63 "." L63 "." A60 "a"), "",
	 "a@" L63 "." L63 "." L63 "." A60 "a"},
	{"domain of 252", BYTES("a@" L63 "." L63 "." L63 "." A60), "",
	 "a@" L63 "." L63 "." L63 "." A60},
	{"domain of 254", BYTES("a@" L63 "." L63 "." L63 "." A60 "aa"), "", NULL},
	{"longest", BYTES(A60 "aaaa@" L63 "." L63 "." L63 "." A60 "a"), "",
	 A60 "aaaa@" L63 "." L63 "." L63 "." A60 "a"},
};

static void test_normalise(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(name_rows) / sizeof(name_rows[0]); i++) {
		const struct name_row *row = &name_rows[i];
		char name[ACCOUNT_NAME_MAX + 1] = "untouched";
		struct error error = {0};
		enum error_code code =
			account_name_normalise(row->given, row->default_domain, name, &error);

		test_row(row->label);
		test_check(code == (row->name ? ERROR_NONE : ERROR_DATA));
		test_equal_bytes(bytes_of(name), bytes_of(row->name ? row->name : ""));
		if (!row->name)
			test_check(error.code == ERROR_DATA && error.text[0] != '\0');
	}
}

/* Whatever the octets: refused, or a name that is its own normal form and makes a safe path. */
static void test_every_octet(void **state)
{
	(void)state;
	for (int octet = 0; octet < 256; octet++) {
		char given[] = {'a', (char)octet, 'b', '@', 'x'}, name[ACCOUNT_NAME_MAX + 1],
		     again[ACCOUNT_NAME_MAX + 1], path[MAILDROP_PATH_MAX + 1], label[8];
		struct bytes text = {given, sizeof(given)};

		snprintf(label, sizeof(label), "0x%02x", octet);
		test_row(label);
		if (account_name_normalise(text, "", name, NULL) != ERROR_NONE)
			continue;
		test_check(octet > 0x20 && octet < 0x7f);
		test_check(account_name_normalise(bytes_of(name), "", again, NULL) == ERROR_NONE);
		test_check(strcmp(name, again) == 0);
		test_check(account_path(name, path));
		test_check(strspn(path + 2, "abcdefghijklmnopqrstuvwxyzABCDEF0123456789.%-_+") ==
			   strlen(path) - 2);
	}
}

static const struct {
	const char *name, *path;
} path_rows[] = {
	{"alice@example.org", "example.org/alice"},
	{"a.b+c-d_e@x", "x/a.b+c-d_e"},
	{".hidden@x", "x/%2Ehidden"},
	{"..@x", "x/%2E."},
	{"a.lock@x", "x/a%2Elock"},
	{".lock@x", "x/%2Elock"},
	{"a.lock.b@x.lock", "x%2Elock/a.lock.b"},
	{"a/../b@x", "x/a%2F..%2Fb"},
	{"a%2fb@x", "x/a%252fb"},
	{"!#$%&'*=?^`{|}~@x", "x/%21%23%24%25%26%27%2A%3D%3F%5E%60%7B%7C%7D%7E"},
	{"a@.x", "%2Ex/a"},
	{"a@x/y", "x%2Fy/a"},
	{"a", ""},
	{"@x", ""},
	{"a@", ""},
	{"", ""},
};

static void test_path(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(path_rows) / sizeof(path_rows[0]); i++) {
		char path[MAILDROP_PATH_MAX + 1];

		test_row(path_rows[i].name);
		test_check(account_path(path_rows[i].name, path) == (path_rows[i].path[0] != '\0'));
		test_equal_bytes(bytes_of(path), bytes_of(path_rows[i].path));
	}
}

/* The path one below, at, and one above its limit: a domain of plain octets and a local part in
 * which some octets take three. */
static void test_path_limit(void **state)
{
	(void)state;
	for (size_t domain = 188; domain <= 194; domain++) {
		char name[ACCOUNT_NAME_MAX + 1], path[MAILDROP_PATH_MAX + 1];
		size_t length = domain + 1 + 3 * 64;

		memset(name, '/', 64);
		name[64] = '@';
		memset(name + 65, 'x', domain);
		name[65 + domain] = '\0';
		test_row(name + 65);
		test_check(account_path(name, path) == (length <= MAILDROP_PATH_MAX));
		test_check(strlen(path) == (length <= MAILDROP_PATH_MAX ? length : 0));
	}
}

static void test_path_check(void **state)
{
	static char longest[MAILDROP_PATH_MAX + 1];
	static const struct {
		const char *path;
		bool good;
	} rows[] = {
		{"alice", true},      {"example.org/alice", true},
		{"a/b/c", true},      {"a%2Fb", true},
		{"~a'b", true},       {"a..b", true},
		{"", false},          {"/a", false},
		{"a/", false},        {"a//b", false},
		{".", false},         {"..", false},
		{"a/../b", false},    {"../a", false},
		{"a/..", false},      {".hidden", false},
		{"a/.hidden", false}, {"a b", false},
		{"a\nb", false},      {"a\x7f", false},
		{"\xc3\xa4", false},  {"a.lock", false},
		{"a/b.lock", false},  {"a.lock/b", true},
		{"a.locked", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		test_row(rows[i].path);
		test_check((account_path_check(bytes_of(rows[i].path), NULL) == ERROR_NONE) ==
			   rows[i].good);
	}
	memset(longest, 'x', sizeof(longest));
	test_row("one below, at, and one above the longest");
	for (size_t length = MAILDROP_PATH_MAX - 1; length <= MAILDROP_PATH_MAX + 1; length++)
		test_check((account_path_check((struct bytes){longest, length}, NULL) ==
			    ERROR_NONE) == (length <= MAILDROP_PATH_MAX));
	test_row("NUL inside");
	test_check(account_path_check(BYTES("a\0b"), NULL) == ERROR_DATA);
}

static void test_domain_normalise(void **state)
{
	char domain[DOMAIN_MAX + 1];

	(void)state;
	test_row("lower case");
	test_check(account_domain_normalise(BYTES("Example.ORG"), domain, NULL) == ERROR_NONE);
	test_equal_bytes(bytes_of(domain), BYTES("example.org"));
	test_row("not one");
	test_check(account_domain_normalise(BYTES("a@b"), domain, NULL) == ERROR_DATA);
	test_check(account_domain_normalise(BYTES(""), domain, NULL) == ERROR_DATA);
	test_check(account_domain_normalise(BYTES("a..b"), domain, NULL) == ERROR_DATA);
	test_equal_bytes(bytes_of(domain), BYTES(""));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_normalise),  cmocka_unit_test(test_every_octet),
	cmocka_unit_test(test_path),       cmocka_unit_test(test_path_limit),
	cmocka_unit_test(test_path_check), cmocka_unit_test(test_domain_normalise),
};

TEST_MAIN(tests)
