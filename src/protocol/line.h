/*
 * line: octets to command lines.
 *
 * Complete lines are handed out of the caller's own octets, without a copy; only a line that
 * arrives in pieces is kept, in memory that is given back when it is complete, so that an idle
 * connection holds nothing. A line ends in CRLF, or, for the sake of real clients, in a bare LF
 * (RFC 1939 says CRLF; popa3d and Dovecot take both); a CR anywhere else is part of the line.
 *
 * A line longer than the limit is reported once, when it begins to be too long, and then dropped up
 * to its end: it is never taken for two commands. The limit may be raised while a line is under way
 * (PASS may be longer than other commands): line_reader_peek() shows how it begins.
 */
#ifndef PROTOCOL_LINE_H
#define PROTOCOL_LINE_H

#include "base/bytes.h"

struct line_reader {
	struct buffer held; /* a line that is not complete yet */
	size_t max;	    /* octets of a line, its line end included */
	bool dropping;	    /* inside a line that was too long */
	bool bare_lf;	    /* the last line ended in a bare LF */
};

enum line_result {
	LINE_PARTIAL,  /* all octets were taken; more are needed */
	LINE_COMPLETE, /* *line_out is a line without its end, valid until the next call */
	LINE_TOO_LONG  /* this line is too long: reported when it has ended */
};

void line_reader_init(struct line_reader *reader, size_t max);
void line_reader_free(struct line_reader *reader); /* wipes: a line may be a password */

/* Takes octets from the front of *in, which is moved forward over them. `long_word` names a command
 * (four octets and a space, any case) whose lines may have `long_max` octets instead. */
enum line_result line_reader_next(struct line_reader *reader, struct bytes *in,
				  const char *long_word, size_t long_max, struct bytes *line_out);

#endif
