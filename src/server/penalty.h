/*
 * penalty: how long an address that has guessed passwords waits for the answer to its next login.
 *
 * Each new wrong guess doubles the wait, from 2 s to 15 s. A guess that was made before (a mail
 * program with an old password tries it for ever) counts once. A login that succeeds waits like all
 * others, or silence would tell that a guess was wrong; then the address is forgiven, if it has
 * failed for that name alone: one's own account must not pay for guessing another's. As many
 * answers as PENALTY_HELD_MAX are held back for an address at a time, or many connections would
 * guess so many times as fast. What has not failed
 * for PENALTY_FORGET_MS is forgotten. Pure: the clock is the caller's, the memory fixed: where the
 * table is full, of those that share a bucket the one that failed longest ago is forgotten.
 */
#ifndef SERVER_PENALTY_H
#define SERVER_PENALTY_H

#include "base/bytes.h"
#include "server/peers.h"

struct penalties;

struct penalties *penalties_new(void); /* NULL: out of memory */
void penalties_free(struct penalties *penalties);

/* For a login of this address, now. */
uint32_t penalty_delay_ms(struct penalties *penalties, const struct peer_key *key, uint64_t now_ms);

/* It failed. Name and password are not kept, but a keyed checksum of them. */
void penalty_failed(struct penalties *penalties, const struct peer_key *key, struct bytes name,
		    struct bytes password, uint64_t now_ms);
void penalty_succeeded(struct penalties *penalties, const struct peer_key *key, struct bytes name,
		       uint64_t now_ms);

/* May one more answer be held back for this address? And: it is, it was given. */
bool penalty_has_room(struct penalties *penalties, const struct peer_key *key, uint64_t now_ms);
void penalty_hold(struct penalties *penalties, const struct peer_key *key, uint64_t now_ms);
void penalty_release(struct penalties *penalties, const struct peer_key *key);

#endif
