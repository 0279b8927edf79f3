/*
 * random: octets nobody can guess, and unique-ids made of them (random.h).
 *
 * Guarantees: what it gives out comes from getrandom(2) and nothing else, unless a test has asked
 * for a repeatable sequence; where the kernel has no getrandom the process ends, because a
 * guessable octet in place of a random one would be found by nobody.
 */
#include "base/random.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static atomic_bool repeatable;
static _Atomic uint64_t sequence;

/* The splitmix64 generator: its state only counts, so threads may draw from it at once. */
static uint64_t next_of_sequence(void)
{
	const uint64_t step = 0x9e3779b97f4a7c15ULL;
	uint64_t word = atomic_fetch_add(&sequence, step) + step;

	word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9ULL;
	word = (word ^ word >> 27) * 0x94d049bb133111ebULL;
	return word ^ word >> 31;
}

static void fill_from_sequence(unsigned char *out, size_t size)
{
	for (size_t done = 0; done < size; done += sizeof(uint64_t)) {
		uint64_t word = next_of_sequence();
		size_t left = size - done;

		memcpy(out + done, &word, left < sizeof(word) ? left : sizeof(word));
	}
}

void random_octets(void *out, size_t size)
{
	unsigned char *at = out;

	if (atomic_load(&repeatable)) {
		fill_from_sequence(at, size);
		return;
	}
	while (size > 0) {
		ssize_t count = getrandom(at, size, 0);

		if (count < 0 && errno != EINTR)
			abort();
		if (count > 0) {
			at += count;
			size -= (size_t)count;
		}
	}
}

void random_uid(char out[RANDOM_UID_OCTETS])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char octets[(RANDOM_UID_OCTETS - 1) / 2];

	random_octets(octets, sizeof(octets));
	for (size_t i = 0; i < sizeof(octets); i++) {
		out[2 * i] = digits[octets[i] >> 4];
		out[2 * i + 1] = digits[octets[i] & 15];
	}
	out[RANDOM_UID_OCTETS - 1] = '\0';
}

void random_set_for_tests(uint64_t seed)
{
	atomic_store(&sequence, seed);
	atomic_store(&repeatable, seed != 0);
}
