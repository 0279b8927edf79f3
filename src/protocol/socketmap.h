/*
 * socketmap: the answering side of Postfix's socketmap_table(5) as a machine without I/O: requests
 * "NAME SPACE KEY" come as netstrings ("9:users joe,"), and so do the answers "OK data",
 * "NOTFOUND ", "TEMP reason" and "PERM reason", one after the other over a connection that stays.
 *
 *     socketmap_feed(octets)      bytes of the peer
 *     socketmap_next(&event)      what the owner is to look up; one at a time
 *     socketmap_answer(…)         the answer to that event
 *     socketmap_output(), _sent() bytes for the peer
 *
 * Rules as in pop3_server.h: at most one event open, while it is nothing is taken; output bounded.
 *   - What is no netstring, or a longer one than SOCKETMAP_REQUEST_MAX, ends the connection without
 *     a word: where the next request would begin is not known then. No octet of the peer comes back
 *     but as the owner says.
 *   - A request without a key is answered PERM.
 */
#ifndef PROTOCOL_SOCKETMAP_H
#define PROTOCOL_SOCKETMAP_H

#include "base/bytes.h"
#include "base/limits.h"

struct socketmap;

struct socketmap *socketmap_new(void);
void socketmap_free(struct socketmap *socketmap);

size_t socketmap_feed(struct socketmap *socketmap, struct bytes in);

enum socketmap_event_kind {
	SOCKETMAP_LOOKUP, /* name, key -> socketmap_answer() */
	SOCKETMAP_CLOSE   /* send the output, then close; nothing to answer */
};

struct socketmap_event {
	enum socketmap_event_kind kind;
	struct bytes name, key; /* LOOKUP: valid until the answer */
};

bool socketmap_next(struct socketmap *socketmap, struct socketmap_event *event_out);

enum socketmap_outcome { SOCKETMAP_OK, SOCKETMAP_NOTFOUND, SOCKETMAP_TEMP, SOCKETMAP_PERM };

/* Answers LOOKUP; text is the data (which may be the key of the event) or the reason, empty with
 * NOTFOUND, at most SOCKETMAP_ANSWER_MAX octets. */
void socketmap_answer(struct socketmap *socketmap, enum socketmap_outcome outcome,
		      struct bytes text);

/* From outside: over now. The next event is CLOSE; a later answer is ignored. */
void socketmap_end(struct socketmap *socketmap);

struct bytes socketmap_output(const struct socketmap *socketmap);
void socketmap_sent(struct socketmap *socketmap, size_t count);

#endif
