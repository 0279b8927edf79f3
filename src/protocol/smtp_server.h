/*
 * smtp_server: the receiving side of SMTP (RFC 5321) and LMTP (RFC 2033) as a machine without I/O,
 * clock or store. LMTP is a flag: it differs by its greeting command (LHLO) and by one reply a
 * recipient behind the final dot.
 *
 *     smtp_server_feed(octets)              bytes of the peer
 *     smtp_server_next(&event)              what the owner is to do; one at a time
 *     smtp_server_recipient(…) and so on    the answer to that event
 *     smtp_server_output() / _sent()        bytes for the peer
 *
 * Rules as in pop3_server.h: at most one event open, while it is nothing is taken; output bounded.
 *   - The message arrives as BODY events in stored form (base/wire.h), which point into the engine
 *     and are valid until the answer. Only CRLF "." CRLF ends it. Behind the end comes MESSAGE: the
 *     owner delivers and answers for each recipient (LMTP) or once (SMTP). A positive reply is
 *     emitted only for an answer that says so.
 *   - A bare LF in the message is noticed; behind smtp_server_reject_bare_lf() it is read to its
 *     true end and refused with 550 (SMTP smuggling); else it is taken as a line end of the stored
 *     form. A bare CR is an octet of its line.
 *   - Past `octets_max` the rest is read and dropped, and the message refused with 552.
 *   - A transaction that ends in any other way (RSET, LHLO/EHLO/HELO, STARTTLS, QUIT, a message
 *     refused here, smtp_server_end()) yields ABORT when a recipient had been accepted, before a
 *     CLOSE.
 *   - START_TLS: nothing is taken until smtp_server_secured(), and then nothing is left of what was
 *     said before (RFC 3207 section 4.2).
 *   - Out of memory: 451 4.3.0 where a reply is possible, else CLOSE.
 *   - Every text handed in is cut to a reply line and cleaned of what would end it.
 */
#ifndef PROTOCOL_SMTP_SERVER_H
#define PROTOCOL_SMTP_SERVER_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"

struct smtp_server;

struct smtp_server_options { /* kept by pointer, shared by all connections of a kind */
	bool lmtp;
	uint64_t octets_max;
	const char *host; /* our name, for greeting and replies */
};

struct smtp_server *smtp_server_new(const struct smtp_server_options *options);
void smtp_server_free(struct smtp_server *server);

/* Before the first feed: this peer's bare LFs are refused; STARTTLS is offered. */
void smtp_server_reject_bare_lf(struct smtp_server *server);
void smtp_server_offer_tls(struct smtp_server *server);

void smtp_server_greet(struct smtp_server *server);
void smtp_server_refuse(struct smtp_server *server, const char *text); /* 421 and CLOSE */

size_t smtp_server_feed(struct smtp_server *server, struct bytes in);

enum smtp_event_kind {
	SMTP_RECIPIENT, /* recipient  -> smtp_server_recipient() */
	SMTP_BEGIN,     /* DATA: sender, declared_octets -> smtp_server_begun() */
	SMTP_BODY,      /* body, at most SMTP_BODY_MAX -> smtp_server_taken() */
	SMTP_MESSAGE, /* complete   -> smtp_server_delivered() for each accepted recipient in their
			 order (LMTP), or once with index 0 (SMTP) */
	SMTP_START_TLS, /* send the output, shake hands -> smtp_server_secured() */
	SMTP_ABORT,     /* forget recipients and message; nothing to answer */
	SMTP_CLOSE      /* send the output, then close; nothing to answer */
};

#define SMTP_BODY_MAX (32 * 1024 + 2) /* octets of one BODY event */

struct smtp_event {
	enum smtp_event_kind kind;
	struct bytes
		recipient;   /* RECIPIENT: the address without angle brackets, shorter than
				SMTP_PATH_MAX (protocol/smtp_address.h); valid until the answer */
	struct bytes sender; /* BEGIN: the same for the sender, may be empty; valid until CLOSE,
				ABORT, the last answer to MESSAGE or a BEGIN answered by an error */
	struct bytes helo;   /* BEGIN: what the peer called itself, letters, digits and "-._:[]"
				only; valid as long */
	bool extended;       /* BEGIN: the peer said EHLO or LHLO */
	uint64_t declared_octets; /* RECIPIENT, BEGIN: SIZE of MAIL FROM, or 0 */
	bool eight_bit;           /* BEGIN: BODY=8BITMIME */
	struct bytes body;        /* BODY */
	uint32_t recipients;      /* BEGIN, MESSAGE: how many were accepted */
};

bool smtp_server_next(struct smtp_server *server, struct smtp_event *event_out);

/* Answers RECIPIENT: ERROR_NONE accepts; NO_USER is 550 5.1.1, NOT_LOCAL 550 5.7.1, DENIED 550
 * 5.2.1, FULL 452 4.2.2, the rest as error_meaning() says. */
void smtp_server_recipient(struct smtp_server *server, enum error_code outcome, const char *text);

/* Answers BEGIN: ERROR_NONE is 354, all else as error_meaning() says. */
void smtp_server_begun(struct smtp_server *server, enum error_code outcome, const char *text);

/* Answers BODY: ERROR_NONE goes on; all else reads the message to its end and refuses it then. */
void smtp_server_taken(struct smtp_server *server, enum error_code outcome, const char *text);

/* Answers MESSAGE for accepted recipient `index` (from 0, ascending, each once). ERROR_NONE emits
 * 250 2.0.0 (LMTP: 2.1.5) with `text`, and means: on stable storage. */
void smtp_server_delivered(struct smtp_server *server, uint32_t index, enum error_code outcome,
			   const char *text);

/* Answers START_TLS: the peer talks within TLS from here on. */
void smtp_server_secured(struct smtp_server *server);

/* From outside: over now (drain, time-out): 421 where a reply is possible, then CLOSE (behind an
 * ABORT unless MESSAGE is open, whose deliveries are the owner's). Later answers are ignored. */
void smtp_server_end(struct smtp_server *server, const char *text);

struct bytes smtp_server_output(const struct smtp_server *server);
void smtp_server_sent(struct smtp_server *server, size_t count);
bool smtp_server_busy(const struct smtp_server *server);

#endif
