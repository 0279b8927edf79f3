/*
 * conn: one connection = link + engine + service.
 *
 * conn.c moves octets: from the link to the service's engine, and from the worker's scratch output
 * to the link, with time-outs and back-pressure. The service (pop3_service.c, intake_service.c)
 * answers what its engine asks.
 *
 * Rules
 *   - The service's step() is called again and again until it says why it stops; what it puts out
 *     meanwhile goes out in one write.
 *   - While the service waits (a job, a question to auth, a retry) nothing is read: the peer's
 *     commands stay in the socket.
 *   - A slow peer costs OUTPUT_OCTETS_MAX octets of memory at most: as long as something is left of
 *     the output, step() is not called.
 *   - What goes on for us (job, question) never counts against the peer's time-out.
 *   - STEP_TLS: whatever the peer has sent behind its command and before our reply (read already or
 *     still in the socket) came in plain text, from anybody on the way; the connection is cut, and
 *     nothing of it reaches the engine. What comes behind the reply is the handshake's.
 *   - A connection lost amid a job ends when the job is done; until then its maildrop stays locked.
 *
 * All functions are for the loop's thread, and those marked (callback) must not be called from
 * within step() or feed().
 */
#ifndef SERVER_CONN_H
#define SERVER_CONN_H

#include "server/jobs.h"
#include "server/worker.h"

enum conn_step {
	STEP_MORE,  /* something was done: call again */
	STEP_IDLE,  /* the engine has nothing for us: feed it */
	STEP_WAIT,  /* a job, question or retry is under way; conn_resume() will follow */
	STEP_FULL,  /* no room: send the output, then call again */
	STEP_TLS,   /* send the output, then shake hands; secured() will follow */
	STEP_CLOSE, /* send the output, then close */
	STEP_CUT    /* close at once; conn->reason says why */
};

struct conn_service {
	size_t size; /* of the service's struct, whose first member is struct conn */
	bool leaves_slots; /* its connections are not given those kept for LMTP */
	const char *alpn;   /* the one protocol name for ALPN, see link_start_tls() */
	const char *behind; /* why a connection is cut that has octets behind its STLS */
	const char *late;   /* what end() says at a time-out; NULL: closed without a word, as RFC 1939
			     * section 3 wants it */
	/* Would nothing be lost but its place, if it were sent away now (crowd.h)? NULL: never so. */
	bool (*is_guest)(const struct conn *conn);
	bool (*start)(struct conn *conn); /* makes the engine and greets; false: out of memory */
	size_t (*feed)(struct conn *conn, struct bytes in);
	enum conn_step (*step)(struct conn *conn);
	void (*secured)(struct conn *conn); /* TLS has begun as STEP_TLS asked for */
	void (*answered)(struct conn *conn, const union message *answer);  /* NULL: none will come */
	uint64_t (*deadline_ms)(const struct conn *conn, uint64_t now_ms); /* for the peer */
	void (*end)(struct conn *conn, const char *text); /* time-out, drain: engine says goodbye */
	/* Is it amid what must come to its end, even when it is kicked? NULL: never. */
	bool (*must_finish)(const struct conn *conn);
	void (*announce)(
		struct conn *conn); /* tells (a new) auth of the session, if there is one */
	void (*probe)(struct conn *conn, uint64_t request); /* see MESSAGE_PROBE */
	void (*close)(struct conn *conn); /* frees what the service has; logs the session's end */
};

struct conn {
	struct worker *worker;
	const struct conn_service *service;
	struct link *link; /* NULL when it is closed and only a job keeps the conn */
	struct loop_watch *watch;
	struct loop_timer *timer; /* the peer's time-out */
	struct loop_timer *retry; /* of a retry, or the end of the time for an answer */
	loop_callback *on_retry;
	loop_callback *on_done;
	uint64_t number;   /* of the session, see worker_number() */
	uint64_t question; /* asked of auth and not answered; 0: none */
	uint64_t deadline_ms;
	uint64_t octets_sent, octets_received;
	const char *reason;   /* why it ended, for the log */
	struct buffer held;   /* input the engine has not taken yet */
	struct buffer unsent; /* output the link has not taken yet */
	struct job job;
	const char *goodbye; /* to be said as soon as no answer is under way; NULL: go on */
	int64_t since_unix_seconds;
	uint64_t since_ms;
	uint32_t slot;
	struct peers *counted; /* among whom the peer is counted, by this key; NULL: it is not */
	struct peer_key peer;
	bool trusted; /* its address, or it is on this machine */
	bool handshaking;
	bool securing; /* from STEP_TLS until secured() */
	bool retrying;
	bool input_ended;
	bool broken;  /* the link is of no more use */
	bool closing; /* only a job keeps the conn */
	bool watches_writable;
	bool read_wants_write, write_wants_read; /* TLS */
	bool yielding; /* has more to do, but others are to have their turn */
};

/* Takes over the descriptor. NULL, and the descriptor closed, when memory has
 * run out or there are too many connections. */
struct conn *conn_new(struct worker *worker, const struct conn_service *service, int descriptor,
		      bool tls);
/* Does the rest of what conn_new() began, once the caller has set what it has to (callback). */
void conn_start(struct conn *conn);

/* Goes on after conn_job(), conn_ask() or conn_retry() (callback); may end the connection. */
void conn_resume(struct conn *conn);

/* Ends the session from outside with a word to the peer, as soon as that is possible (callback). */
void conn_end(struct conn *conn, const char *reason, const char *text);

/* The same, and cuts it when it is still there after CONN_KICK_MS: its answer is long, or the peer
 * does not read it. Only what the service says must_finish() of is waited for. */
#define CONN_KICK_MS 1000
void conn_kick(struct conn *conn, const char *reason, const char *text);

/* Ends it at once, without a word (callback). */
void conn_cut(struct conn *conn, const char *reason);

/* Room in the output, and how to fill it: conn_put is all or nothing, conn_take takes what fits and
 * says how much that was. */
size_t conn_room(const struct conn *conn);
bool conn_put(struct conn *conn, struct bytes octets);
size_t conn_take(struct conn *conn, struct bytes octets);

/* Does work(conn) in a thread, then done(conn), also when the connection was lost meanwhile, and
 * conn_resume(conn). False when there are too many already. */
bool conn_job(struct conn *conn, enum job_class class, loop_callback *work, loop_callback *done);

/* Sends a question (its header.request is set here); service->answered() and conn_resume() follow,
 * with NULL when auth is lost or has said nothing after AUTH_ANSWER_MS. False when auth is gone. */
bool conn_ask(struct conn *conn, void *message);

/* Calls on_retry(conn), then conn_resume(conn), after delay_ms. False when memory has run out. */
bool conn_retry(struct conn *conn, uint64_t delay_ms, loop_callback *on_retry);

bool conn_waiting(const struct conn *conn);

/* A word for the logs: worker's number and the session's. */
#define CONN_WORD_OCTETS 32
const char *conn_word(const struct conn *conn, char room[CONN_WORD_OCTETS]);

/* ---- for worker.c ---- */

/* The answer to its question has come, or NULL: never will (callback). */
void conn_answered(struct conn *conn, const union message *answer);

#endif
