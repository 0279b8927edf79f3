/*
 * pop3_server: the server's side of POP3 (RFC 1939, 2449, 2595, 3206, 5034) as a machine without
 * I/O, clock or store. Octets are fed in, events are pulled out and answered, output is pulled.
 *
 *     pop3_server_feed(octets)                 bytes of the peer
 *     pop3_server_next(&event)                 what the owner is to do; one at a time
 *     pop3_server_authenticated(…) and so on   the answer to that event
 *     pop3_server_output() / _sent()           bytes for the peer
 *
 * Rules
 *   - At most one event is open. While it is, feed takes no octets (returns 0) and next returns
 *     false: commands stay with the owner, pipelining needs no queue here, and back-pressure is the
 *     socket's.
 *   - Feed also stops when output holds OUTPUT_OCTETS_MAX / 2 octets: send first. So the engine
 *     holds one incomplete line and bounded output, and when idle nothing but the struct and a bit
 * a message.
 *   - Message bodies do not pass through. For RETR and TOP the owner answers pop3_server_body(),
 *     sends the output (the +OK line), then the encoded octets itself, then calls
 *     pop3_server_body_done(): only with true does the engine emit the final dot. A body that is
 *     empty or does not end in CRLF is closed by the owner's encoder, not here.
 *   - Only QUIT in TRANSACTION yields an UPDATE event. Its +OK is emitted when the owner answers
 *     that the deletion is on stable storage, else -ERR.
 *   - No octet of the peer's input is ever echoed. What looks like HTTP or TLS instead of a command
 *     ends the session before login, as soon as it can be told, without a word.
 *   - STLS yields START_TLS behind its +OK. Until the answer no octet is taken; what the peer said
 *     before, a user's name, is forgotten. What it says after its command and before the handshake
 *     must never be fed: that is the owner's part (server/conn.h, STEP_TLS).
 *   - Secrets: an AUTHENTICATE event points into the engine; after the answer they are wiped.
 *   - Out of memory: where a reply is still possible, -ERR [SYS/TEMP]; where the reply itself has
 * no room, CLOSE.
 *   - Every text handed in is cut to a reply line and cleaned of what would end it. A response code
 * is written as error_meaning() has it, "[SYS/TEMP]"; NULL and "" are none.
 *
 * Which commands exist, in which states they are legal and how many arguments they take stands in
 * one table (protocol/pop3_commands.c); CAPA and the checks of this loop are derived from it.
 */
#ifndef PROTOCOL_POP3_SERVER_H
#define PROTOCOL_POP3_SERVER_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/limits.h"

struct pop3_server;

enum pop3_state { POP3_AUTHORIZATION = 1, POP3_TRANSACTION = 2, POP3_UPDATE = 4 };

/* What this connection may do, set by its owner; kept by pointer, shared by all connections of a
 * kind. */
struct pop3_server_options {
	const char *implementation; /* after login in CAPA (RFC 2449 section 6.9) */
	bool test_commands;         /* XTRY, for tests of the sandbox; only in test builds */
};

struct pop3_server *pop3_server_new(const struct pop3_server_options *options);
void pop3_server_free(struct pop3_server *server);

/* Says whether passwords may be sent over this connection as it is now (TLS, loopback, or
 * --allow-plaintext). Called before the first feed and again when TLS has begun. */
void pop3_server_set_secure(struct pop3_server *server, bool login_allowed);

/* Says whether STLS is offered: in plain text only, where there is a certificate. False until it is
 * said. After START_TLS it is never offered again. */
void pop3_server_set_stls(struct pop3_server *server, bool possible);

/* Emits the greeting; once. `session` is a word for the logs, or NULL. `timestamp` is "<a@b>" as
 * RFC 1939 section 7 wants it, never the same twice, and offers APOP; NULL: there is no APOP here.
 */
void pop3_server_greet(struct pop3_server *server, const char *host, const char *session,
		       const char *timestamp);

/* Refuses the connection instead: "-ERR [SYS/TEMP] text" and a CLOSE event. */
void pop3_server_refuse(struct pop3_server *server, const char *response_code, const char *text);

/* Takes octets of the peer; returns how many were taken. */
size_t pop3_server_feed(struct pop3_server *server, struct bytes in);

enum pop3_event_kind {
	POP3_AUTHENTICATE, /* user, password … -> pop3_server_authenticated() */
	POP3_START_TLS,    /* send the output, shake hands -> pop3_server_secured() */
	POP3_TABLE,        /* first, count   -> pop3_server_table() */
	POP3_BODY,         /* number, lines  -> pop3_server_body(), later pop3_server_body_done() */
	POP3_UPDATE_MAILDROP, /* deleted     -> pop3_server_updated() */
	POP3_TRY,             /* argument       -> pop3_server_tried(); test builds only */
	POP3_CLOSE /* send the output, then close; nothing to answer; comes again if asked */
};

#define POP3_ALL_LINES UINT64_MAX

enum pop3_mechanism {
	POP3_USER,  /* USER and PASS */
	POP3_PLAIN, /* AUTH PLAIN */
	POP3_APOP   /* `password` is the digest, `challenge` what it was made over */
};

#define POP3_DIGEST_OCTETS 32 /* of APOP: MD5 as lower-case hexadecimal digits */

struct pop3_event {
	enum pop3_event_kind kind;
	enum pop3_mechanism mechanism; /* AUTHENTICATE */
	struct bytes user;     /* AUTHENTICATE: 1 to ACCOUNT_NAME_MAX octets, no control characters;
				  valid until the answer */
	struct bytes password; /* AUTHENTICATE: 1 to PASSWORD_MAX octets, any; valid as long */
	struct bytes authorize; /* AUTHENTICATE: whose maildrop, of the same kind as user (RFC
				   4616); empty: the user's */
	struct bytes challenge; /* AUTHENTICATE with APOP: the timestamp; valid as long */
	uint32_t first, count;  /* TABLE: 1 <= first, 1 <= count <= POP3_LISTING_BLOCK */
	uint32_t number;        /* BODY */
	uint64_t lines;         /* BODY: TOP's lines of the body behind the header, or ALL_LINES */
	const uint8_t *deleted; /* UPDATE: bits as maildrop_update() wants them, valid until
				   the server is freed; NULL: none are set */
	uint32_t deleted_count; /* UPDATE: how many bits are set */
	struct bytes argument;  /* TRY; valid until the answer */
	bool quit;              /* CLOSE: the peer said QUIT and was answered */
	const char *reason;     /* CLOSE: words for the log; NULL: it was the owner's wish */
};

/* The next event; false when there is none (feed more, or send output). An open event is not
 * repeated. */
bool pop3_server_next(struct pop3_server *server, struct pop3_event *event_out);

enum pop3_login {
	POP3_LOGIN_OK,
	POP3_LOGIN_DENIED,    /* -ERR [AUTH] (RFC 3206) */
	POP3_LOGIN_IN_USE,    /* -ERR [IN-USE] (RFC 2449 section 8.1.2) */
	POP3_LOGIN_TEMPORARY, /* -ERR [SYS/TEMP] (RFC 3206) */
	POP3_LOGIN_PERMANENT  /* -ERR [SYS/PERM] */
};

/* Answers AUTHENTICATE. messages and octets count with OK only; `text` may be NULL. */
void pop3_server_authenticated(struct pop3_server *server, enum pop3_login login, uint32_t messages,
			       uint64_t octets, const char *text);

/* Answers START_TLS: the handshake is done. */
void pop3_server_secured(struct pop3_server *server, bool login_allowed);

struct pop3_entry {
	uint64_t octets;
	struct bytes uid;
};

/* Answers TABLE with exactly the entries asked for, or with NULL when the store failed (-ERR while
 * nothing of the reply was emitted; amid a listing CLOSE without its final dot). */
void pop3_server_table(struct pop3_server *server, const struct pop3_entry *entries);

enum pop3_body {
	POP3_BODY_FOLLOWS,  /* emits "+OK … octets"; body_done() must follow */
	POP3_BODY_DAMAGED,  /* -ERR [SYS/PERM]: this message fails its check */
	POP3_BODY_TEMPORARY /* -ERR [SYS/TEMP] */
};

/* Answers BODY. `octets` is what LIST says (also for TOP, where it is not sent). */
void pop3_server_body(struct pop3_server *server, enum pop3_body body, uint64_t octets);

/* The body was sent. true: every octet was read and checked, emits the final dot. false: the next
 * event is CLOSE and nothing more is emitted, so that nobody takes half for whole. */
void pop3_server_body_done(struct pop3_server *server, bool complete);

/* Answers UPDATE_MAILDROP: true emits +OK, false -ERR; a CLOSE event follows. */
void pop3_server_updated(struct pop3_server *server, bool stable);

/* Answers TRY with a word of the test. */
void pop3_server_tried(struct pop3_server *server, const char *outcome);

/* From outside: the session is over now (drain, kick, time-out, take-over). "-ERR [code] text" is
 * emitted, except amid a body, amid a listing, behind the +OK of STLS, and while an UPDATE is open
 * (whose outcome it would belie); the next event is CLOSE. Deletes nothing. An answer that comes
 * afterwards is ignored. */
void pop3_server_end(struct pop3_server *server, const char *response_code, const char *text);

/* Output waiting; empty when there is none. */
struct bytes pop3_server_output(const struct pop3_server *server);
void pop3_server_sent(struct pop3_server *server, size_t count);

enum pop3_state pop3_server_state(const struct pop3_server *server);

/* Amid an event's answer or a listing: the peer waits for us, the idle time-out does not run. */
bool pop3_server_busy(const struct pop3_server *server);

#endif
