/*
 * peers: what each peer has of a worker, so that one of them cannot take everything: connections,
 * and octets in a while.
 *
 * A peer is a local user at a unix socket, or an address; of IPv6 the first 64 bits, because
 * whoever has one address of such a network has them all. A worker counts for itself: nothing is
 * shared between processes, so a server of N workers grants up to N times as much.
 *
 * Octets are a bucket that runs dry at a steady rate, a full one in PEER_OCTETS_MS. An entry
 * without connections stays until its bucket is empty, or, where the table is full, until a new
 * peer needs its place.
 */
#ifndef SERVER_PEERS_H
#define SERVER_PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "net/address.h"

struct peer_key {
	uint8_t octets[16];
};

/* A user is counted for each kind of socket by itself. */
struct peer_key peers_user(uid_t uid, uint32_t kind);
/* False for a unix socket. */
bool peers_address(const struct address *address, struct peer_key *key_out);

struct peers;

/* For at most entries_max peers at the same time; more are refused. octets_max is the bucket of
 * each; 0: has no bottom. NULL: out of memory. */
struct peers *peers_new(uint32_t entries_max, uint64_t octets_max);
void peers_free(struct peers *peers); /* NULL is allowed */

/* One connection more of this peer; false, and nothing changed, when it has connections_max, the
 * table is full, or memory has run out. */
bool peers_enter(struct peers *peers, const struct peer_key *key, uint32_t connections_max,
		 uint64_t now_ms);
void peers_leave(struct peers *peers, const struct peer_key *key, uint64_t now_ms);

/* Of a peer with a connection: so many octets more, if they are granted. */
bool peers_spend(struct peers *peers, const struct peer_key *key, uint64_t octets, uint64_t now_ms);

#endif
