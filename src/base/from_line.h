/*
 * from_line: the line "From SENDER DATE" that stands before a message in an mbox, and before what
 * some programs hand to a delivery command. It is envelope, never message.
 */
#ifndef BASE_FROM_LINE_H
#define BASE_FROM_LINE_H

#include <stdint.h>

#include "base/bytes.h"

struct from_line {
	struct bytes sender;  /* points into the line; empty when there is none to be had */
	bool dated;           /* the date was understood */
	int64_t unix_seconds; /* if dated */
};

/* Begins with "From "? */
bool from_line_begins(struct bytes line);

/* Takes what can be understood of a line that begins so (with or without its line end). The date is
 * that of asctime: "Sun Nov 22 02:01:00 2026", also without seconds, with a zone before or behind
 * the year (numeric ones count, names are taken for UTC), and with more words behind it. */
struct from_line from_line_parse(struct bytes line);

#endif
