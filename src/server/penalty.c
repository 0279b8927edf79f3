/*
 * penalty: a table of buckets with a few places each.
 *
 * Guarantees: fixed memory and time for whatever comes; the same guess is counted once as long as
 * it is among the last GUESSES_KEPT. Must not know: accounts, and why a login failed.
 */
#include "server/penalty.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/random.h"

#define PLACES       4 /* of a bucket */
#define BUCKETS      (PENALTIES_MAX / PLACES)
#define GUESSES_KEPT 8
#define NO_NAME      0

struct penalty {
	struct peer_key key;
	uint64_t failed_ms; /* the last time; 0: the place is free */
	uint64_t guesses[GUESSES_KEPT];
	uint64_t name; /* keyed checksum of the one that failed; NO_NAME: there were several */
	uint32_t failures;
	uint32_t held;
};

struct penalties {
	uint8_t secret[16];
	struct penalty buckets[BUCKETS][PLACES];
};

struct penalties *penalties_new(void)
{
	struct penalties *penalties = calloc(1, sizeof(*penalties));

	if (penalties)
		random_octets(penalties->secret, sizeof(penalties->secret));
	return penalties;
}

void penalties_free(struct penalties *penalties)
{
	free(penalties);
}

/* Keyed, so that nobody can choose addresses of one bucket, or guesses that look alike. */
static uint64_t mix(uint64_t hash, struct bytes octets)
{
	for (size_t i = 0; i < octets.length; i++) {
		hash = (hash ^ (uint8_t)octets.data[i]) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 29;
	}
	return hash;
}

static uint64_t begin(const struct penalties *penalties)
{
	uint64_t seed;

	memcpy(&seed, penalties->secret, sizeof(seed));
	return mix(seed, (struct bytes){(const char *)penalties->secret + sizeof(seed),
					sizeof(penalties->secret) - sizeof(seed)});
}

static uint64_t mark(const struct penalties *penalties, struct bytes name)
{
	return mix(begin(penalties), name) | 1;
}

static struct penalty *bucket_of(struct penalties *penalties, const struct peer_key *key)
{
	struct bytes octets = {(const char *)key->octets, sizeof(key->octets)};

	return penalties->buckets[mix(begin(penalties), octets) % BUCKETS];
}

static struct penalty *find(struct penalties *penalties, const struct peer_key *key,
			    uint64_t now_ms)
{
	struct penalty *bucket = bucket_of(penalties, key);

	for (size_t i = 0; i < PLACES; i++)
		if (bucket[i].failed_ms != 0 && memcmp(&bucket[i].key, key, sizeof(*key)) == 0 &&
		    now_ms - bucket[i].failed_ms < PENALTY_FORGET_MS)
			return &bucket[i];
	return NULL;
}

/* Of those that are there the one that failed longest ago makes room. */
static struct penalty *add(struct penalties *penalties, const struct peer_key *key)
{
	struct penalty *bucket = bucket_of(penalties, key), *oldest = bucket;

	for (size_t i = 1; i < PLACES; i++)
		if (bucket[i].failed_ms < oldest->failed_ms)
			oldest = &bucket[i];
	memset(oldest, 0, sizeof(*oldest));
	oldest->key = *key;
	return oldest;
}

uint32_t penalty_delay_ms(struct penalties *penalties, const struct peer_key *key, uint64_t now_ms)
{
	const struct penalty *penalty = find(penalties, key, now_ms);
	uint32_t delay_ms = PENALTY_FIRST_MS;

	if (!penalty)
		return 0;
	for (uint32_t i = 1; i < penalty->failures && delay_ms < PENALTY_MAX_MS; i++)
		delay_ms *= 2;
	return delay_ms < PENALTY_MAX_MS ? delay_ms : PENALTY_MAX_MS;
}

static bool is_known(const struct penalty *penalty, uint64_t guess)
{
	for (size_t i = 0; i < GUESSES_KEPT; i++)
		if (penalty->guesses[i] == guess)
			return true;
	return false;
}

void penalty_failed(struct penalties *penalties, const struct peer_key *key, struct bytes name,
		    struct bytes password, uint64_t now_ms)
{
	struct penalty *penalty = find(penalties, key, now_ms);
	uint64_t guess = mix(mix(mix(begin(penalties), name), BYTES("\n")), password) | 1;

	if (!penalty)
		penalty = add(penalties, key);
	if (penalty->failures == 0)
		penalty->name = mark(penalties, name);
	else if (penalty->name != mark(penalties, name))
		penalty->name = NO_NAME;
	penalty->failed_ms = now_ms > 0 ? now_ms : 1;
	if (is_known(penalty, guess))
		return;
	penalty->guesses[penalty->failures++ % GUESSES_KEPT] = guess;
}

void penalty_succeeded(struct penalties *penalties, const struct peer_key *key, struct bytes name,
		       uint64_t now_ms)
{
	struct penalty *penalty = find(penalties, key, now_ms);

	if (penalty && penalty->name == mark(penalties, name))
		memset(penalty, 0, sizeof(*penalty));
}

bool penalty_has_room(struct penalties *penalties, const struct peer_key *key, uint64_t now_ms)
{
	const struct penalty *penalty = find(penalties, key, now_ms);

	return !penalty || penalty->held < PENALTY_HELD_MAX;
}

void penalty_hold(struct penalties *penalties, const struct peer_key *key, uint64_t now_ms)
{
	struct penalty *penalty = find(penalties, key, now_ms);

	if (penalty)
		penalty->held++;
}

/* It may have been forgotten or forgiven meanwhile. */
void penalty_release(struct penalties *penalties, const struct peer_key *key)
{
	struct penalty *bucket = bucket_of(penalties, key);

	for (size_t i = 0; i < PLACES; i++)
		if (memcmp(&bucket[i].key, key, sizeof(*key)) == 0 && bucket[i].held > 0)
			bucket[i].held--;
}
