/*
 * peers: the limit of one user and of the list, one below, at and above.
 */
#include "server/peers.h"

#include "base/limits.h"
#include "base/test.h"

static void test_one_user(void **state)
{
	static struct peers peers;

	(void)state;
	test_row("one user");
	for (uint32_t i = 0; i < PEER_CONNECTIONS_MAX; i++)
		test_check(peers_add(&peers, 1000, PEER_CONNECTIONS_MAX));
	test_check(!peers_add(&peers, 1000, PEER_CONNECTIONS_MAX));
	test_check(peers_add(&peers, 1001, PEER_CONNECTIONS_MAX));
	peers_remove(&peers, 1000);
	test_check(peers_add(&peers, 1000, PEER_CONNECTIONS_MAX));
	test_check(!peers_add(&peers, 1000, PEER_CONNECTIONS_MAX));
}

static void test_many_users(void **state)
{
	static struct peers peers;

	(void)state;
	test_row("many users");
	for (uid_t uid = 0; uid < PEERS_MAX; uid++)
		test_check(peers_add(&peers, uid, 1));
	test_check(!peers_add(&peers, PEERS_MAX, 1));
	peers_remove(&peers, 17);
	test_check(peers_add(&peers, PEERS_MAX, 1));
	test_check(!peers_add(&peers, 17, 1));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_one_user),
	cmocka_unit_test(test_many_users),
};
TEST_MAIN(tests)
