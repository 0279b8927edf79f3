/*
 * mbox_quote: see mbox_quote.h. Between line starts the work is memchr and memcpy; only the first
 * octets of a line that could become ">*From " are looked at one by one.
 */
#include "store/mbox_quote.h"

#include <string.h>

static const char from[] = "From ";

enum { FROM_OCTETS = 5, QUOTE_IN_LINE = -1 };

void mbox_quote_init(struct mbox_quote *quote)
{
	*quote = (struct mbox_quote){0};
}

size_t mbox_quote_max(size_t length)
{
	/* One octet for each "From " line at most, and what an earlier piece left behind. */
	return length + length / FROM_OCTETS + FROM_OCTETS + 2;
}

/* Octets up to and with the next line end; moves *in over them. Sets whether a line begins then. */
static struct bytes rest_of_line(struct mbox_quote *quote, struct bytes *in)
{
	const char *end = memchr(in->data, '\n', in->length);
	size_t length = end != NULL ? (size_t)(end - in->data) + 1 : in->length;
	struct bytes line = bytes_first(*in, length);
	*in = bytes_skip(*in, length);
	if (end != NULL)
		quote->matched = 0;
	return line;
}

/* One octet at or near a line start. True when it completes "From ". */
static bool match_octet(struct mbox_quote *quote, char octet)
{
	if (quote->matched == 0 && octet == '>')
		return false;
	if (octet == from[quote->matched]) {
		if (++quote->matched == FROM_OCTETS) {
			quote->matched = QUOTE_IN_LINE;
			return true;
		}
		return false;
	}
	quote->matched = octet == '\n' ? 0 : QUOTE_IN_LINE;
	return false;
}

uint64_t mbox_quote_count(struct mbox_quote *quote, struct bytes in)
{
	uint64_t count = 0;
	while (in.length > 0) {
		if (quote->matched == QUOTE_IN_LINE) {
			rest_of_line(quote, &in);
			continue;
		}
		count += match_octet(quote, in.data[0]);
		in = bytes_skip(in, 1);
	}
	return count;
}

static size_t put(char *out, struct bytes octets)
{
	memmove(out, octets.data, octets.length); /* removing may be done in place */
	return octets.length;
}

size_t mbox_quote_add(struct mbox_quote *quote, struct bytes in, char *out)
{
	size_t written = 0;
	while (in.length > 0) {
		if (quote->matched == QUOTE_IN_LINE) {
			struct bytes line = rest_of_line(quote, &in);
			written += put(out + written, line);
			continue;
		}
		char octet = in.data[0];
		in = bytes_skip(in, 1);
		int before = quote->matched;
		bool complete = match_octet(quote, octet);
		if (quote->matched > before)
			continue; /* further into "From ": held back as a number */
		if (complete)
			out[written++] =
				'>'; /* at the end of a run of '>' it is as good as before */
		written += put(out + written, (struct bytes){from, (size_t)before});
		out[written++] = octet;
	}
	return written;
}

size_t mbox_quote_remove(struct mbox_quote *quote, struct bytes in, char *out)
{
	size_t written = 0;
	while (in.length > 0) {
		if (quote->matched == QUOTE_IN_LINE) {
			struct bytes line = rest_of_line(quote, &in);
			written += put(out + written, line);
			continue;
		}
		char octet = in.data[0];
		in = bytes_skip(in, 1);
		if (quote->matched == 0 && octet == '>') {
			/* Of a run, all but the last can go out: one is enough to be dropped. */
			if (quote->held)
				out[written++] = '>';
			quote->held = true;
			continue;
		}
		int before = quote->matched;
		bool complete = match_octet(quote, octet);
		if (quote->matched > before)
			continue; /* further into "From ": held back as a number */
		if (quote->held && !complete)
			out[written++] = '>';
		quote->held = false;
		written += put(out + written, (struct bytes){from, (size_t)before});
		out[written++] = octet;
	}
	return written;
}

size_t mbox_quote_end(struct mbox_quote *quote, char *out)
{
	size_t written = 0;
	if (quote->held)
		out[written++] = '>';
	if (quote->matched > 0)
		written += put(out + written, (struct bytes){from, (size_t)quote->matched});
	mbox_quote_init(quote);
	return written;
}
