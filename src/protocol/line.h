/*
 * line: octets to command lines.
 *
 * Complete lines are handed out of the caller's own octets, without a copy; only a line that
 * arrives in pieces is kept, in memory that is given back when it is complete, so that an idle
 * connection holds nothing. A line ends in CRLF, or in a bare LF where the protocol's clients send
 * that (RFC 1939 says CRLF; popa3d and Dovecot take both); where it may not (RFC 5321 section
 * 2.3.8) a LF is part of the line, as a CR is anywhere else.
 *
 * A line longer than the limit is dropped as it comes and reported once, when it has ended: it is
 * never taken for two commands. One word may have longer lines than the others (PASS).
 *
 * A line may be a password: what is held is wiped before it is given back, also where it grows.
 */
#ifndef PROTOCOL_LINE_H
#define PROTOCOL_LINE_H

#include "base/bytes.h"

enum line_ends { LINE_ENDS_IN_LF, LINE_ENDS_IN_CRLF_ONLY };

struct line_reader {
	struct buffer held; /* a line that came in pieces, until it has been used */
	size_t max;         /* octets of a line, its line end included */
	bool complete;      /* what is held was handed out: private */
	bool dropping;      /* inside a line that cannot be held */
	bool lost;          /* it is dropped for lack of memory: private */
	enum line_ends ends;
	bool after_cr; /* the last octet taken was one: private */
};

enum line_result {
	LINE_PARTIAL,  /* all octets were taken; more are needed */
	LINE_COMPLETE, /* *line_out is a line without its end, valid until the next call */
	LINE_TOO_LONG, /* this line was too long: reported when it has ended */
	LINE_LOST      /* memory ran out while it was held: reported when it has ended */
};

void line_reader_init(struct line_reader *reader, size_t max, enum line_ends ends);

/* Wipes and gives back what is held; the reader stays usable. Called when a line has been used, so
 * that nothing of it stays until the next one comes. */
void line_reader_free(struct line_reader *reader);

/* Takes octets from the front of *in, which is moved forward over them. `long_word` names a command
 * (four octets and a space, any case) whose lines may have `long_max` octets instead, more than
 * max; NULL: there is none. */
enum line_result line_reader_next(struct line_reader *reader, struct bytes *in,
				  const char *long_word, size_t long_max, struct bytes *line_out);

/* Is this the first line of an HTTP request? A browser can be made to post commands to any port;
 * engines cut it off before it comes to its body. */
bool line_is_http(struct bytes line);

/* The same of a line that has only begun, a part of which the reader may hold: asked before the
 * octets are given to line_reader_next(), so that nobody waits for the end of a line that is none
 * of ours. Also true of a TLS record where plain text is spoken (a client on the wrong port). */
bool line_reader_is_foreign(const struct line_reader *reader, struct bytes in);

#endif
