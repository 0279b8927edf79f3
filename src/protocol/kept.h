/*
 * kept: a copy of some octets of a peer, in exactly the memory it needs, wiped when it goes.
 *
 * An idle engine keeps nothing; what it must keep across an event (a user and a password, a sender)
 * is short, and its length is known when it is kept.
 */
#ifndef PROTOCOL_KEPT_H
#define PROTOCOL_KEPT_H

#include "base/bytes.h"

/* Puts a copy of source in the place of what is kept. False when memory has run out: then nothing
 * is kept. */
bool kept_set(struct bytes *kept, struct bytes source);

/* Wipes and frees; the kept octets are then empty. */
void kept_drop(struct bytes *kept);

#endif
