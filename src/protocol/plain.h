/*
 * plain: the one message of SASL's mechanism PLAIN (RFC 4616):
 * authorisation identity NUL user NUL password.
 */
#ifndef PROTOCOL_PLAIN_H
#define PROTOCOL_PLAIN_H

#include "base/bytes.h"

struct plain {
	struct bytes authorize; /* whose maildrop; empty: the user's own */
	struct bytes user;
	struct bytes password;
};

/* The parts point into the message. False when it has not exactly two NULs, or no user, or no
 * password. */
bool plain_parse(struct bytes message, struct plain *plain_out);

#endif
