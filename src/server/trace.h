/*
 * trace: the headers that a delivery puts on top of a message: Return-Path, Delivered-To, Received,
 * in this order (RFC 5321 section 4.4), in stored form. They hold no state.
 */
#ifndef SERVER_TRACE_H
#define SERVER_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct trace {
	struct bytes sender;       /* the envelope's; may be empty */
	struct bytes recipient;    /* the account */
	struct bytes helo;         /* what the peer called itself; may be empty */
	struct bytes peer;         /* where it is: link_peer() */
	struct bytes only_address; /* of a message to one recipient: as the sender has it */
	struct bytes host;         /* us */
	struct bytes session;      /* a word for the logs */
	bool lmtp, tls;
	bool extended; /* the peer said EHLO, not HELO */
	int64_t unix_seconds;
};

#define TRACE_OCTETS_MAX 4096

/* Octets of the peer that are not printable, or would end what they stand in, come out as '?'.
 * False when memory has run out. */
bool trace_print(const struct trace *trace, struct buffer *headers);

#endif
