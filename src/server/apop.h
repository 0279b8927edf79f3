/*
 * apop: is this the digest of APOP (RFC 1939 section 7)?
 *
 * MD5 over the timestamp of the greeting and a secret both sides know. It keeps the secret off a
 * wire without TLS, but not from somebody who sees the exchange and tries passwords at home; hence
 * it is off unless asked for.
 */
#ifndef SERVER_APOP_H
#define SERVER_APOP_H

#include "base/bytes.h"

/* Once a process, before it shuts itself in: the library looks for its configuration then. */
void apop_init(void);

/* `digest` is lower-case hexadecimal digits. Takes as long whichever of them is wrong. */
bool apop_verify(struct bytes challenge, struct bytes secret, struct bytes digest);

#endif
