/*
 * checksum: CRC-32C (Castagnoli, RFC 3720 section 12.1), by the processor's instruction where it
 * has one, else by table. It finds torn and damaged data; it is no defence against an attacker.
 *
 * crc32c(0, x) starts; crc32c(crc32c(0, a), b) == crc32c(0, ab).
 */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include <stdint.h>

#include "base/bytes.h"

uint32_t crc32c(uint32_t crc, struct bytes data);

/* The checksum of a followed by b, from that of a, that of b and the length of b. */
uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b);

/* Tests only: true makes this process use the table. */
void crc32c_set_plain(bool plain);

#endif
