/*
 * smtp_address: the paths of MAIL and RCPT (RFC 5321 section 4.1.2), strictly.
 *
 * A source route is taken and ignored (RFC 5321 appendix C). A quoted local part that needs no
 * quotes loses them, because both forms mean the same mailbox (section 4.1.2); any other keeps its
 * form. A local part alone is taken: which domain it means is the owner's business. Octets outside
 * printable ASCII are refused: SMTPUTF8 is not offered.
 */
#ifndef PROTOCOL_SMTP_ADDRESS_H
#define PROTOCOL_SMTP_ADDRESS_H

#include "base/bytes.h"
#include "base/limits.h"

struct smtp_address {
	char text[SMTP_PATH_MAX]; /* without angle brackets; not terminated */
	size_t length;            /* at most SMTP_PATH_MAX - 2; 0: the null path <> */
};

/* Parses the path that *text begins with and moves *text behind it. */
bool smtp_address_parse(struct bytes *text, struct smtp_address *address_out);

#endif
