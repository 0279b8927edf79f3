/*
 * peers: a hash table of those who have something.
 *
 * Guarantees: at most entries_max entries; one is there as long as its peer has a connection. Must
 * not know: sockets, protocols.
 */
#include "server/peers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/random.h"
#include "net/network.h"

#define CHAINS 1024

struct entry {
	struct entry *next;
	struct peer_key key;
	uint32_t connections;
	uint64_t octets; /* in the bucket, as of then_ms */
	uint64_t then_ms;
};

struct peers {
	struct entry *chains[CHAINS];
	uint64_t seed; /* peers choose their addresses; they shall not choose their chain */
	uint32_t count, max;
	uint64_t octets_max;
};

struct peer_key peers_user(uid_t uid, uint32_t kind)
{
	struct peer_key key = {{0}};

	memcpy(key.octets, &uid, sizeof(uid));
	memcpy(key.octets + 8, &kind, sizeof(kind));
	return key;
}

bool peers_address(const struct address *address, struct peer_key *key_out)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (!network_octets(address, key_out->octets))
		return false;
	if (memcmp(key_out->octets, mapped, sizeof(mapped)) != 0)
		memset(key_out->octets + 8, 0, 8);
	return true;
}

struct peers *peers_new(uint32_t entries_max, uint64_t octets_max)
{
	struct peers *peers = calloc(1, sizeof(*peers));

	if (!peers)
		return NULL;
	peers->max = entries_max;
	peers->octets_max = octets_max;
	random_octets(&peers->seed, sizeof(peers->seed));
	return peers;
}

void peers_free(struct peers *peers)
{
	for (size_t i = 0; peers && i < CHAINS; i++) {
		while (peers->chains[i]) {
			struct entry *entry = peers->chains[i];

			peers->chains[i] = entry->next;
			free(entry);
		}
	}
	free(peers);
}

/* ---- entries ---- */

/* The pointer to the entry with this key, or the one at the end of its chain. */
static struct entry **find(struct peers *peers, const struct peer_key *key)
{
	uint64_t hash = peers->seed;
	struct entry **at;

	for (size_t i = 0; i < sizeof(key->octets); i++) {
		hash = (hash ^ key->octets[i]) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 29;
	}
	at = &peers->chains[hash % CHAINS];
	while (*at && memcmp(&(*at)->key, key, sizeof(*key)) != 0)
		at = &(*at)->next;
	return at;
}

static void remove_entry(struct peers *peers, struct entry **at)
{
	struct entry *entry = *at;

	*at = entry->next;
	free(entry);
	peers->count--;
}

/* What has run out of the bucket since then. */
static void drain(const struct peers *peers, struct entry *entry, uint64_t now_ms)
{
	uint64_t passed_ms = now_ms > entry->then_ms ? now_ms - entry->then_ms : 0;
	uint64_t gone = passed_ms >= PEER_OCTETS_MS
				? peers->octets_max
				: passed_ms * peers->octets_max / PEER_OCTETS_MS;

	entry->octets -= gone < entry->octets ? gone : entry->octets;
	entry->then_ms = now_ms;
}

/* A place for a new peer: that of the one without connections who has the least to lose. */
static bool make_room(struct peers *peers, uint64_t now_ms)
{
	struct entry **least = NULL;

	if (peers->count < peers->max)
		return true;
	for (size_t i = 0; i < CHAINS; i++) {
		for (struct entry **at = &peers->chains[i]; *at; at = &(*at)->next) {
			if ((*at)->connections > 0)
				continue;
			drain(peers, *at, now_ms);
			if (!least || (*at)->octets < (*least)->octets)
				least = at;
		}
	}
	if (least)
		remove_entry(peers, least);
	return least != NULL;
}

static struct entry *add(struct peers *peers, const struct peer_key *key, uint64_t now_ms)
{
	struct entry *entry = make_room(peers, now_ms) ? calloc(1, sizeof(*entry)) : NULL;

	if (!entry)
		return NULL;
	entry->key = *key;
	entry->then_ms = now_ms;
	*find(peers, key) = entry;
	peers->count++;
	return entry;
}

/* ---- what peers do ---- */

bool peers_enter(struct peers *peers, const struct peer_key *key, uint32_t connections_max,
		 uint64_t now_ms)
{
	struct entry *entry = *find(peers, key);

	if (connections_max == 0 || (entry && entry->connections >= connections_max))
		return false;
	if (!entry)
		entry = add(peers, key, now_ms);
	if (!entry)
		return false;
	entry->connections++;
	return true;
}

void peers_leave(struct peers *peers, const struct peer_key *key, uint64_t now_ms)
{
	struct entry **at = find(peers, key);

	assert(*at && (*at)->connections > 0);
	drain(peers, *at, now_ms);
	if (--(*at)->connections == 0 && (*at)->octets == 0)
		remove_entry(peers, at);
}

bool peers_spend(struct peers *peers, const struct peer_key *key, uint64_t octets, uint64_t now_ms)
{
	struct entry *entry = *find(peers, key);

	assert(entry && entry->connections > 0);
	if (peers->octets_max == 0)
		return true;
	drain(peers, entry, now_ms);
	if (octets > peers->octets_max - entry->octets)
		return false;
	entry->octets += octets;
	return true;
}
