/*
 * worker: what the connections of one worker share. Private to worker.c, conn.c and the services.
 *
 * One loop, one thread pool, one channel to auth. The scratch memory is for one callback of the
 * loop at a time: a connection that must keep octets longer copies them.
 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include "net/link.h"
#include "net/loop.h"
#include "net/tls.h"
#include "protocol/pop3_server.h"
#include "protocol/smtp_server.h"
#include "server/channel.h"
#include "server/jobs.h"
#include "server/message.h"
#include "server/peers.h"
#include "store/store.h"

struct conn;
struct conn_service;

struct listener {
	struct worker *worker;
	enum listener_kind kind;
	int descriptor;
	struct loop_watch *watch;
};

/* The last block of a maildrop's table that was looked at, so that pipelined RETRs of neighbouring
 * messages ask the store once. */
struct table_block {
	uint64_t session; /* 0: nobody's */
	uint32_t first, count;
	struct maildrop_entry entries[POP3_LISTING_BLOCK];
};

#define WORKER_INPUT_OCTETS  (64 * 1024)
#define WORKER_STORED_OCTETS (OUTPUT_OCTETS_MAX / 2)

struct worker {
	struct loop *loop;
	struct jobs *jobs;
	struct channel *supervisor;
	struct channel *auth; /* NULL while auth is gone */
	uint32_t auth_pid;    /* of the last one */
	struct store_root root;
	struct tls *tls;
	struct buffer certificate_pem, key_pem; /* while they arrive */
	uint8_t tickets[2][TLS_TICKET_KEY_OCTETS];
	struct counters counters;
	struct pop3_server_options pop3_options;
	struct smtp_server_options lmtp_options, smtp_options;
	char host[DOMAIN_MAX + 3];
	uint32_t number;
	uid_t owner_uid;
	bool allow_plaintext;
	bool apop;
	bool has_tickets;
	bool draining; /* no new connections; the process ends with its last one */
	bool at_once;  /* and the sessions end with the answer under way */

	struct listener listeners[LISTENERS_MAX];
	uint32_t listener_count;
	struct loop_timer *accept_timer; /* runs while accepting is paused */
	struct peers *users;	 /* at unix sockets */
	struct peers *addresses; /* of strangers, at the ports for everybody */
	uint32_t connections_per_address;
	struct network trusted[TRUSTED_NETWORKS_MAX];
	uint32_t trusted_count;
	uint32_t trusted_users[TRUSTED_USERS_MAX];
	uint32_t trusted_user_count;

	/* Connections by slot; the slot is part of the number of a session and of a question. */
	struct conn *conns[SESSIONS_MAX];
	uint16_t free_slots[SESSIONS_MAX];
	uint32_t conn_count, conn_max, slots_used;
	uint32_t pop3_count, pop3_max; /* of conn_count those of POP3 and SMTP, fewer than conn_max */
	uint64_t serial;
	uint64_t answer_ms; /* how long auth may take for one */

	struct buffer output; /* of the connection at work; empty between two callbacks */
	struct table_block table;
	char input[WORKER_INPUT_OCTETS];
	char stored[WORKER_STORED_OCTETS];
};

/* A number unique for the worker's life with the slot in it. */
uint64_t worker_number(struct worker *worker, uint32_t slot);
struct conn *worker_conn(struct worker *worker, uint64_t number); /* by its slot only; or NULL */

/* How many of so many connections may be those of POP3 and SMTP: the others are kept for LMTP. */
uint32_t worker_pop3_max(uint32_t conn_max);

/* A slot for a new connection, none when the worker is full for its service. */
bool worker_is_full(const struct worker *worker, const struct conn_service *service);
bool worker_add(struct worker *worker, struct conn *conn, uint32_t *slot_out);
void worker_remove(struct worker *worker, uint32_t slot);

/* To auth; false when it is gone. */
bool worker_tell(struct worker *worker, const void *message);

/* The worker's life: from its first message, which was read by child.c. An exit code. */
int worker_run(int descriptor, const struct message_configure *configure, const int *descriptors);

/* ---- listeners (listener.c) ---- */

/* Takes over a listening socket; it is not accepted from yet. False when there are too many. */
bool listener_add(struct worker *worker, enum listener_kind kind, int descriptor);
bool listener_start_all(struct worker *worker);
void listener_close_all(struct worker *worker);

#endif
