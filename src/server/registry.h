/*
 * registry: which worker has which session; lives in auth. Pure bookkeeping: no I/O.
 *
 * The kernel lock alone decides who has a maildrop. The registry only knows whom to ask when a
 * second login finds it locked, and whom to list. Workers announce sessions; when auth was
 * restarted they announce them anew; when a worker's channel closes its sessions are forgotten.
 *
 * A contest: a worker found a maildrop locked. The registry finds the session that has it and says
 * whom to ask to probe; newcomers that arrive meanwhile wait for the same answer (one probe at a
 * time a maildrop). A worker that is asked and says nothing (it is stopped, its disk hangs) still
 * holds the lock: then the session counts as alive.
 */
#ifndef SERVER_REGISTRY_H
#define SERVER_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "server/message.h"

struct registry;

struct registry *registry_new(void);
void registry_free(struct registry *registry);

/* False when memory has run out or the session is known already. */
bool registry_open(struct registry *registry, uint32_t worker,
		   const struct message_session *session);
/* Ends the session; a contest about it ends with FREE. */
void registry_close(struct registry *registry, uint32_t worker, uint64_t session);
/* Its channel closed: its sessions end likewise, and nobody of it waits for an answer any more. */
void registry_forget_worker(struct registry *registry, uint32_t worker);

struct contestant {
	uint32_t worker;
	uint64_t request;
};

enum registry_contest {
	REGISTRY_ASK,    /* send PROBE for *session_out to *worker_out with request *probe_out */
	REGISTRY_JOINED, /* a probe is under way; this one waits with it */
	REGISTRY_NOBODY  /* no session known, or no memory: answer UNKNOWN */
};
/* end_ms: until when the answer to the probe is waited for, where this makes one. */
enum registry_contest registry_contest(struct registry *registry, uint64_t account,
				       struct contestant newcomer, uint64_t end_ms,
				       uint32_t *worker_out, uint64_t *session_out,
				       uint64_t *probe_out);

/* The answer to a probe. */
void registry_probed(struct registry *registry, uint32_t worker, uint64_t probe,
		     enum contest_outcome outcome);

/* Ends the contests whose time is over, with ALIVE. False when there are no others left. */
bool registry_expire(struct registry *registry, uint64_t now_ms);

/* The next contestant who is to be told, after any of the calls above; false when there is none. */
bool registry_next_answer(struct registry *registry, struct contestant *contestant_out,
			  enum contest_outcome *outcome_out);

/* Walks the sessions: cursor starts at 0. False behind the last. */
bool registry_next_session(const struct registry *registry, size_t *cursor,
			   struct message_status_session *session_out);
size_t registry_count(const struct registry *registry);

#endif
