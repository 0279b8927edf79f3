/*
 * peers: a short list, searched from its beginning; an entry without connections is free.
 *
 * Guarantees: fixed memory. Must not know: sockets.
 */
#include "server/peers.h"

#include <assert.h>
#include <stddef.h>

bool peers_add(struct peers *peers, uid_t uid, uint32_t connections_max)
{
	for (size_t i = 0; i < PEERS_MAX; i++) {
		if (peers->list[i].connections == 0 || peers->list[i].uid != uid)
			continue;
		if (peers->list[i].connections >= connections_max)
			return false;
		peers->list[i].connections++;
		return true;
	}
	for (size_t i = 0; i < PEERS_MAX && connections_max > 0; i++) {
		if (peers->list[i].connections > 0)
			continue;
		peers->list[i].uid = uid;
		peers->list[i].connections = 1;
		return true;
	}
	return false;
}

void peers_remove(struct peers *peers, uid_t uid)
{
	for (size_t i = 0; i < PEERS_MAX; i++) {
		if (peers->list[i].connections == 0 || peers->list[i].uid != uid)
			continue;
		peers->list[i].connections--;
		return;
	}
	assert(!"a peer that was never added");
}
