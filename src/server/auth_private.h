/*
 * auth_private: what the files of the auth process share.
 *
 *   auth.c        the process, its channels, contests, status
 *   auth_login.c  LOGIN and RESOLVE
 *   control.c     the control socket
 */
#ifndef SERVER_AUTH_PRIVATE_H
#define SERVER_AUTH_PRIVATE_H

#include "accounts/directory.h"
#include "accounts/secret.h"
#include "server/auth.h"
#include "server/channel.h"
#include "server/control.h"
#include "server/jobs.h"
#include "server/penalty.h"
#include "server/registry.h"

/* A worker, as long as its channel is open. */
struct auth_peer {
	struct auth *auth;
	struct auth_peer *next;
	struct channel *channel;
	uint64_t id; /* never used twice, unlike the worker's number */
	uint32_t worker, pid;
	bool counted; /* its counters have come in this round */
	struct counters counters;
};

struct auth {
	struct loop *loop;
	struct jobs *jobs;
	struct channel *supervisor;
	struct directory *directory;
	struct secret_cache *cache;
	struct registry *registry;
	struct penalties *penalties;
	uint32_t penalized;                           /* answers that are held back now */
	struct network trusted[TRUSTED_NETWORKS_MAX]; /* without penalties; until the next RULES */
	uint32_t trusted_count;
	struct control *control;
	struct auth_peer *peers;
	struct counters ended; /* of the workers that are no more, as far as they told */
	struct message_about about;
	uint64_t peer_ids, count_round;
	struct loop_timer *count_timer, *contest_timer;
	bool counting;
	bool apop; /* is offered */
};

/* NULL when that worker's channel has closed. */
struct auth_peer *auth_peer(struct auth *auth, uint64_t id);

/* Answered now or when a hash is done. */
void auth_login(struct auth_peer *peer, const struct message_login *message);
void auth_resolve(struct auth_peer *peer, const struct message_resolve *message);

#endif
