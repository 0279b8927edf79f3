/*
 * reply: one reply line of POP3 or SMTP, put together in one place.
 *
 * Texts come from the server's owner and may have been made of anything: an octet that is not
 * printable ASCII becomes '?', so that no text ends the line early or starts another one, and what
 * is too long is cut.
 */
#ifndef PROTOCOL_REPLY_H
#define PROTOCOL_REPLY_H

#include "base/bytes.h"

/* Appends "status code text" CRLF; code and text may be NULL or empty. The line has at most
 * octets_max octets with its end. False, and nothing appended, when there is no room. */
bool reply_append(struct buffer *output, const char *status, const char *code, const char *text,
		  size_t octets_max);

#endif
