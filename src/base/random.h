/*
 * random: octets nobody can guess (getrandom), and unique-ids made of them.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_octets(void *out, size_t size); /* never fails: the kernel always has them */

/* 128 random bits as 32 hexadecimal digits and a NUL: a unique-id (RFC 1939 section 7: 1 to 70
 * octets of 0x21 to 0x7E). Hexadecimal, because some clients fold case. */
#define RANDOM_UID_OCTETS 33
void random_uid(char out[RANDOM_UID_OCTETS]);

/* Tests only: from now on a repeatable sequence; 0 gives the real one back. */
void random_set_for_tests(uint64_t seed);

#endif
