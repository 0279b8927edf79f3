/*
 * verifier: prints an argon2id PHC string for a password, at the cost asked for. Ten thousand
 * accounts are imported with a cheap one, so that the measurement of idle sessions is not a
 * measurement of hashing.
 *
 *   bench_verifier PASSWORD MEMORY_OCTETS PASSES
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/number.h"

int main(int argc, char **argv)
{
	char verifier[crypto_pwhash_STRBYTES];
	uint64_t memory, passes;

	if (argc != 4 || !number_parse(bytes_of(argv[2]), 1u << 30, &memory) ||
	    !number_parse(bytes_of(argv[3]), 16, &passes) || sodium_init() < 0)
		return EX_USAGE;
	if (crypto_pwhash_str(verifier, argv[1], strlen(argv[1]), passes, memory) != 0)
		return EX_UNAVAILABLE;
	puts(verifier);
	return EX_OK;
}
