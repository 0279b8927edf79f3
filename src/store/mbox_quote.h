/*
 * mbox_quote: mboxrd quoting. A line of the message that begins with zero or more '>' and then
 * "From " gets one more '>' in the file and loses it when it is handed out, so that what comes out
 * is what came in, signatures included. (mboxo quotes only "From ", and cannot be undone.)
 *
 * A stream, in pieces of any size; a few octets of state. Used on the stored form (LF).
 */
#ifndef STORE_MBOX_QUOTE_H
#define STORE_MBOX_QUOTE_H

#include <stdint.h>

#include "base/bytes.h"

struct mbox_quote {
	int matched; /* QUOTE_IN_LINE, or octets of "From " matched behind a run of '>' */
	bool held;   /* unquoting: a '>' whose fate is open */
};

void mbox_quote_init(struct mbox_quote *quote);

/* How many lines of these octets need quoting (counted where "From " is complete). */
uint64_t mbox_quote_count(struct mbox_quote *quote, struct bytes in);

/* Room for quoting or unquoting `length` octets, wherever they are split. */
size_t mbox_quote_max(size_t length);

/* Quotes `in` to out, or undoes it; returns the octets written. Up to 5 octets are held back until
 * it is known what they are; mbox_quote_end() puts them out (nothing, when all ended in LF).
 * Removing works in place when `out` is MBOX_QUOTE_HELD or more octets before `in`. */
#define MBOX_QUOTE_HELD 6
size_t mbox_quote_add(struct mbox_quote *quote, struct bytes in, char *out);
size_t mbox_quote_remove(struct mbox_quote *quote, struct bytes in, char *out);
size_t mbox_quote_end(struct mbox_quote *quote, char *out);

#endif
