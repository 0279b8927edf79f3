/*
 * network: what is one, what lies in it.
 */
#include "net/network.h"

#include "base/test.h"

static const struct row {
	const char *network; /* as written */
	bool good;
	const char *inside, *outside; /* addresses; NULL: none */
} rows[] = {
	{"127.0.0.0/8", true, "127.255.255.255:1", "128.0.0.0:1"},
	{"127.0.0.0/8", true, "127.0.0.0:1", "126.255.255.255:1"},
	{"127.0.0.0/8", true, "[::ffff:127.0.0.1]:1", "[::1]:1"},
	{"192.0.2.7", true, "192.0.2.7:1", "192.0.2.6:1"},
	{"192.0.2.6/31", true, "192.0.2.7:1", "192.0.2.8:1"},
	{"192.0.2.6/32", true, "192.0.2.6:1", "192.0.2.7:1"},
	{"0.0.0.0/0", true, "255.1.2.3:1", "[2001:db8::1]:1"},
	{"::/0", true, "[2001:db8::1]:1", "unix:/x"},
	{"::/0", true, "192.0.2.6:1", NULL},
	{"::1", true, "[::1]:1", "[::2]:1"},
	{"::1/128", true, "[::1]:1", "127.0.0.1:1"},
	{"2001:db8::/32", true, "[2001:db8:ffff::1]:1", "[2001:db9::1]:1"},
	{"2001:db8:0:8000::/49", true, NULL, "[2001:db8::]:1"},
	{"::ffff:192.0.2.0/120", true, "192.0.2.255:1", "192.0.3.0:1"},
	{"192.0.2.1/24", false, NULL, NULL},
	{"192.0.2.0/33", false, NULL, NULL},
	{"::/129", false, NULL, NULL},
	{"192.0.2.0/", false, NULL, NULL},
	{"192.0.2.0/+8", false, NULL, NULL},
	{"192.0.2.0/8/8", false, NULL, NULL},
	{"/8", false, NULL, NULL},
	{"", false, NULL, NULL},
	{"192.0.2", false, NULL, NULL},
	{"[::1]", false, NULL, NULL},
	{"localhost", false, NULL, NULL},
};

static struct address address_of(const char *text)
{
	struct address address;

	test_check(address_parse(bytes_of(text), &address, NULL) == ERROR_NONE);
	return address;
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct network network;
		struct address address;
		struct error error;

		test_row(rows[i].network);
		test_check((network_parse(bytes_of(rows[i].network), &network, &error) ==
			    ERROR_NONE) == rows[i].good);
		if (!rows[i].good)
			test_check(error.code == ERROR_CONFIG);
		if (rows[i].inside) {
			address = address_of(rows[i].inside);
			test_check(network_has(&network, &address));
		}
		if (rows[i].outside) {
			address = address_of(rows[i].outside);
			test_check(!network_has(&network, &address));
		}
	}
}

/* A NUL does not end what is looked at. */
static void test_nul(void **state)
{
	struct network network;

	(void)state;
	test_row("a NUL");
	test_check(network_parse(BYTES("::1\0"), &network, NULL) == ERROR_CONFIG);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
	cmocka_unit_test(test_nul),
};
TEST_MAIN(tests)
