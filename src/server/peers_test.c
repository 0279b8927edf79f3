/*
 * peers: the limits of one peer and of the table, one below, at and above.
 */
#include "server/peers.h"

#include "base/limits.h"
#include "base/test.h"

#define OCTETS_MAX (PEER_OCTETS_MS * 5) /* of which 5,000 run out in a second */

static struct peer_key key_of(const char *text)
{
	struct address address;
	struct peer_key key;

	test_check(address_parse(bytes_of(text), &address, NULL) == ERROR_NONE);
	test_check(peers_address(&address, &key));
	return key;
}

static void test_connections_of_one(void **state)
{
	struct peers *peers = peers_new(10, OCTETS_MAX);
	struct peer_key one = peers_user(1000, 1), other = peers_user(1001, 1);

	(void)state;
	test_row("one peer");
	for (uint32_t i = 0; i < PEER_CONNECTIONS_MAX; i++)
		test_check(peers_enter(peers, &one, PEER_CONNECTIONS_MAX, 0));
	test_check(!peers_enter(peers, &one, PEER_CONNECTIONS_MAX, 0));
	test_check(peers_enter(peers, &other, PEER_CONNECTIONS_MAX, 0));
	peers_leave(peers, &one, 0);
	test_check(peers_enter(peers, &one, PEER_CONNECTIONS_MAX, 0));
	test_check(!peers_enter(peers, &one, PEER_CONNECTIONS_MAX, 0));
	test_check(!peers_enter(peers, &other, 0, 0));
	other = peers_user(1000, 2);
	test_check(peers_enter(peers, &other, PEER_CONNECTIONS_MAX, 0));
	peers_free(peers);
}

static void test_many(void **state)
{
	enum { MANY = 5000 };
	struct peers *peers = peers_new(MANY, OCTETS_MAX);
	struct peer_key late = peers_user(MANY, 1), gone = peers_user(17, 1);

	(void)state;
	test_row("many peers");
	for (uid_t uid = 0; uid < MANY; uid++) {
		struct peer_key key = peers_user(uid, 1);

		test_check(peers_enter(peers, &key, 1, 0));
	}
	test_check(!peers_enter(peers, &late, 1, 0));
	peers_leave(peers, &gone, 0);
	test_check(peers_enter(peers, &late, 1, 0));
	test_check(!peers_enter(peers, &gone, 1, 0));
	peers_free(peers);
}

static void test_octets(void **state)
{
	const uint64_t a_second = 5000;
	struct peers *peers = peers_new(10, OCTETS_MAX);
	struct peer_key key = peers_user(1, 1);

	(void)state;
	test_row("octets");
	test_check(peers_enter(peers, &key, 5, 1000));
	test_check(peers_spend(peers, &key, OCTETS_MAX - 1, 1000));
	test_check(!peers_spend(peers, &key, 2, 1000));
	test_check(peers_spend(peers, &key, 1, 1000));
	test_check(!peers_spend(peers, &key, 1, 1000));
	test_check(!peers_spend(peers, &key, a_second + 1, 2000));
	test_check(peers_spend(peers, &key, a_second, 2000));
	/* Leaving and coming again does not empty the bucket. */
	peers_leave(peers, &key, 2000);
	test_check(peers_enter(peers, &key, 5, 2000));
	test_check(!peers_spend(peers, &key, 1, 2000));
	test_check(peers_spend(peers, &key, OCTETS_MAX, 2000 + PEER_OCTETS_MS));
	test_check(!peers_spend(peers, &key, UINT64_MAX, 9 * (uint64_t)PEER_OCTETS_MS));
	/* A clock that stands or goes back gives nothing. */
	test_check(peers_spend(peers, &key, OCTETS_MAX, 9 * (uint64_t)PEER_OCTETS_MS));
	test_check(!peers_spend(peers, &key, 1, 1));
	peers_free(peers);
}

static void test_no_bottom(void **state)
{
	struct peers *peers = peers_new(10, 0);
	struct peer_key key = peers_user(1, 1);

	(void)state;
	test_row("no bottom");
	test_check(peers_enter(peers, &key, 1, 0));
	for (int i = 0; i < 3; i++)
		test_check(peers_spend(peers, &key, UINT64_MAX, 0));
	peers_free(peers);
}

/* The largest that can be set neither overflows nor stands still. */
static void test_large_bucket(void **state)
{
	const uint64_t large = (uint64_t)USER_MEGABYTES_MOST << 20;
	struct peers *peers = peers_new(10, large);
	struct peer_key key = peers_user(1, 1);

	(void)state;
	test_row("a large bucket");
	test_check(peers_enter(peers, &key, 1, 0));
	test_check(peers_spend(peers, &key, large, 0));
	test_check(!peers_spend(peers, &key, large / 2 + 1, PEER_OCTETS_MS / 2));
	test_check(peers_spend(peers, &key, large / 2, PEER_OCTETS_MS / 2));
	test_check(peers_spend(peers, &key, large / 2, PEER_OCTETS_MS - 1 + PEER_OCTETS_MS / 2));
	peers_free(peers);
}

/* The one without connections that has the emptiest bucket goes for another. */
static void test_room(void **state)
{
	struct peers *peers = peers_new(3, OCTETS_MAX);
	struct peer_key here = peers_user(1, 1), more = peers_user(2, 1), less = peers_user(3, 1);
	struct peer_key late = peers_user(4, 1), later = peers_user(5, 1);

	(void)state;
	test_row("room");
	test_check(peers_enter(peers, &here, 1, 0) && peers_enter(peers, &more, 1, 0) &&
		   peers_enter(peers, &less, 1, 0));
	test_check(peers_spend(peers, &more, OCTETS_MAX, 0));
	test_check(peers_spend(peers, &less, OCTETS_MAX - 1, 0));
	peers_leave(peers, &more, 0);
	peers_leave(peers, &less, 0);
	test_check(peers_enter(peers, &late, 1, 0));
	test_check(!peers_enter(peers, &here, 1, 0));
	test_check(peers_enter(peers, &more, 1, 0));
	test_check(!peers_spend(peers, &more, 1, 0)); /* was not forgotten */
	test_check(!peers_enter(peers, &later, 1, 0));
	peers_free(peers);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *name, *one, *other;
		bool same;
	} pairs[] = {
		{"IPv4", "192.0.2.1:1", "192.0.2.1:2", true},
		{"IPv4, other", "192.0.2.1:1", "192.0.2.2:1", false},
		{"mapped", "192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		{"of one /64", "[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::2]:1", true},
		{"of two", "[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false},
	};
	struct peer_key key;
	struct address address;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct peer_key one = key_of(pairs[i].one), other = key_of(pairs[i].other);

		test_row(pairs[i].name);
		test_check((memcmp(&one, &other, sizeof(one)) == 0) == pairs[i].same);
	}
	test_row("a unix socket");
	test_check(address_parse(BYTES("unix:/x"), &address, NULL) == ERROR_NONE);
	test_check(!peers_address(&address, &key));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_connections_of_one),
	cmocka_unit_test(test_many),
	cmocka_unit_test(test_octets),
	cmocka_unit_test(test_room),
	cmocka_unit_test(test_addresses),
	cmocka_unit_test(test_no_bottom),
	cmocka_unit_test(test_large_bucket),
};
TEST_MAIN(tests)
