/*
 * wire: between the stored form of a message (lines end in LF) and the form on the wire (lines end
 * in CRLF, a line that begins with a dot gets another one: RFC 1939 section 3, RFC 5321 section
 * 4.5.2). One module for stores (to know the octets), server and client.
 *
 * Stored form: any octets; LF ends a line; a CR is data unless it stands before LF in what a peer
 * or a file gives us, where CRLF is one line end. Hence encode(decode(x)) == x for every x in which
 * CRLF ends every line, whatever NULs, bare CRs or 8-bit octets it holds.
 *
 * Both directions are streams: the caller hands in pieces of any size, split anywhere, and the
 * result is the same as for the whole. Neither keeps data, only a few octets of state. A vector
 * fast path and a plain twin give the same octets; wire_set_plain() chooses the twin (tests).
 */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include <stdint.h>

#include "base/bytes.h"

/* ---- stored form to wire ---- */

struct wire_encoder {
	bool in_line; /* the last octet encoded was not an LF */
	bool stuff;   /* byte-stuffing wanted; without it only line ends change */
};

void wire_encoder_init(struct wire_encoder *encoder, bool stuff);

/* The most octets that encoding `length` octets can yield, wire_encode_end() included. */
size_t wire_encoded_max(size_t length);

/* Encodes all of `in` to `out`, which has room for wire_encoded_max(in.length) octets and does not
 * overlap it. Returns the octets written. */
size_t wire_encode(struct wire_encoder *encoder, struct bytes in, char *out);

/* Closes a last line that lacks its LF: writes CRLF or nothing. The final dot is the engine's. */
size_t wire_encode_end(struct wire_encoder *encoder, char out[2]);

/* ---- octets on the wire, without encoding (RFC 1939 section 11: no stuffing, no final dot) ---- */

struct wire_size {
	uint64_t octets; /* so far, as CRLF text */
	bool in_line;
};

void wire_size_add(struct wire_size *size, struct bytes in);
uint64_t wire_size_octets(const struct wire_size *size); /* a last line without LF counts its CRLF */

/* ---- wire to stored form, up to the final dot ---- */

enum wire_line_end {
	WIRE_CRLF_ONLY, /* a bare LF is noticed (decoder.bare_lf) and taken as data: an LF */
	WIRE_ANY_LF	/* a bare LF ends a line as CRLF does: POP3 replies of sloppy servers, files */
};

enum wire_decoder_state { WIRE_LINE_START, WIRE_IN_LINE, WIRE_CR, WIRE_DOT, WIRE_DOT_CR, WIRE_END };

struct wire_decoder {
	enum wire_decoder_state state;
	enum wire_line_end line_end;
	bool dots;    /* byte-stuffed, ends at the final dot; else the stream ends elsewhere */
	bool bare_lf; /* a bare LF was seen (SMTP smuggling, RFC 5321 section 2.3.8) */
	bool bare_cr; /* a CR without LF was seen; it stays in the message */
};

void wire_decoder_init(struct wire_decoder *decoder, enum wire_line_end line_end, bool dots);

/* Decodes from `in` to `out`, which has room for in.length + 2 octets (a CR or a dot held back from
 * the piece before may come out first) and does not overlap it. Stops behind the final dot line.
 * Returns the octets of `in` taken; *written_out gets the octets put to `out`.
 * Only CRLF "." CRLF ends (with WIRE_ANY_LF also LF "." LF and its mixtures); a dot line whose
 * dot follows a bare LF never ends a WIRE_CRLF_ONLY stream and is not unstuffed either. */
size_t wire_decode(struct wire_decoder *decoder, struct bytes in, char *out, size_t *written_out);

bool wire_decoder_at_end(const struct wire_decoder *decoder);

/* For streams without dots: what is held back (a last CR). Writes 0 to 2 octets. */
size_t wire_decode_end(struct wire_decoder *decoder, char out[2]);

/* Tests only: true makes this process use the plain twin of the vector path. */
void wire_set_plain(bool plain);

#endif
