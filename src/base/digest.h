/*
 * digest: SHA-256 (FIPS 180-4), in one call or piece by piece: names for content that nobody can
 * make to collide. For finding torn and damaged data checksum.h is faster and enough.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdint.h>

#include "base/bytes.h"

#define DIGEST_OCTETS 32

struct digest; /* one at a time; used for any number of contents, one after the other */

struct digest *digest_new(void);         /* NULL when memory has run out */
void digest_free(struct digest *digest); /* NULL is allowed */

/* Begins a content; what was added before is forgotten. */
void digest_begin(struct digest *digest);
void digest_add(struct digest *digest, struct bytes octets);
/* Only digest_begin() may follow. */
void digest_end(struct digest *digest, uint8_t out[DIGEST_OCTETS]);

/* In one call; false when memory has run out. */
bool digest_of(struct bytes octets, uint8_t out[DIGEST_OCTETS]);

/* The first `octets` of a digest as lower-case hexadecimal and a NUL: 2 * octets + 1 in `out`. */
void digest_hex(const uint8_t digest[DIGEST_OCTETS], size_t octets, char *out);

#endif
