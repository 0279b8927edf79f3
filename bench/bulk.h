/*
 * bulk: octets a second. Both ways of receiving throw the octets away in the kernel (MSG_TRUNC), so
 * that the generator takes little of the machine, and the same little for server and reference.
 */
#ifndef BENCH_BULK_H
#define BENCH_BULK_H

#include "bench/connection.h"

struct bulk_options {
	const char *address;
	uint64_t connections;
	uint64_t messages; /* in each maildrop; RETR only */
	uint64_t window;   /* RETR commands under way on a connection */
	uint64_t seconds;
	const char *save; /* RETR: the octets of one pass are written here; NULL: not */
};

/* RETR of all messages over and over, pipelined. The first pass of a connection looks at every
 * octet and counts the replies; the later ones must have the same length. */
bool bulk_retrieve(const struct bulk_options *options);

/* Whatever the peer sends. */
bool bulk_drain(const struct bulk_options *options);

#endif
