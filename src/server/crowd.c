/*
 * crowd: see crowd.h. Chance, because the oldest of all could be kept out by whoever knows how old
 * it is, and because looking at all of them for each newcomer is work that an attacker would give
 * us. Must not know: what a guest has said.
 */
#include "server/crowd.h"

#include "base/random.h"

#define SAMPLE 16 /* guests looked at, of which the oldest goes */

/* The slots for LMTP are given up for LMTP alone: else POP3 would have more than its share. */
static struct conn *guest_at(const struct worker *worker, uint32_t slot,
			     const struct conn_service *newcomer)
{
	struct conn *conn = worker->conns[slot];

	if (conn == NULL || conn->closing || conn->service->is_guest == NULL ||
	    (newcomer->leaves_slots && !conn->service->leaves_slots))
		return NULL;
	return conn->handshaking || conn->service->is_guest(conn) ? conn : NULL;
}

static uint32_t random_below(uint32_t end)
{
	uint32_t number;

	random_octets(&number, sizeof(number));
	return (uint32_t)((uint64_t)number * end >> 32);
}

struct conn *crowd_choose(const struct worker *worker, const struct conn_service *newcomer)
{
	struct conn *oldest = NULL;
	uint32_t start;

	if (worker->slots_used == 0)
		return NULL;
	for (int i = 0; i < SAMPLE; i++) {
		struct conn *guest = guest_at(worker, random_below(worker->slots_used), newcomer);

		if (guest != NULL && (oldest == NULL || guest->since_ms < oldest->since_ms))
			oldest = guest;
	}
	start = random_below(worker->slots_used);
	for (uint32_t i = 0; oldest == NULL && i < worker->slots_used; i++)
		oldest = guest_at(worker, (start + i) % worker->slots_used, newcomer);
	return oldest;
}
