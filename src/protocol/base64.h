/*
 * base64: the octets behind one line of base64 (RFC 4648 section 4), as SASL sends them.
 *
 * Strict, because a second way to write the same octets is a way past whoever looks at them: no
 * white space, no other characters, padding to a multiple of four and only at the end, bits that
 * stand for nothing are zero (RFC 4648 sections 3.3 and 3.5).
 */
#ifndef PROTOCOL_BASE64_H
#define PROTOCOL_BASE64_H

#include "base/bytes.h"

/* At most so many octets come out of so many digits. */
#define BASE64_DECODED_MAX(digits) ((digits) / 4 * 3)

/* Writes the octets to out, which has room for BASE64_DECODED_MAX(text.length). False when the text
 * is not base64. Nothing stands for no octets. */
bool base64_decode(struct bytes text, char *out, size_t *length_out);

#endif
