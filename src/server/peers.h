/*
 * peers: how many connections each local user has to a unix socket, so that one user's script
 * cannot take all of them.
 */
#ifndef SERVER_PEERS_H
#define SERVER_PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PEERS_MAX 256 /* users with a connection at the same time; more are refused */

struct peers {
	struct {
		uid_t uid;
		uint32_t connections;
	} list[PEERS_MAX];
};

/* One connection more of this user; false, and nothing changed, when it has connections_max. */
bool peers_add(struct peers *peers, uid_t uid, uint32_t connections_max);
void peers_remove(struct peers *peers, uid_t uid);

#endif
