/*
 * dialogue: greeting, USER, PASS, then either STAT and QUIT or nothing more, one command at a time
 * (pipelining off), over many connections at once. Account n is "bN@DOMAIN" with one password for
 * all, as script/bench made them.
 */
#ifndef BENCH_DIALOGUE_H
#define BENCH_DIALOGUE_H

#include "bench/connection.h"

#define BENCH_DOMAIN   "bench.example.org"
#define BENCH_PASSWORD "bench password"

struct dialogue_options {
	const char *address;
	bool tls;
	bool cold;         /* end when each account had one login; else after seconds */
	uint64_t parallel; /* connections at a time; connection i uses accounts i, i+parallel, … */
	uint64_t accounts;
	uint64_t seconds;
};

/* Logs in and out; prints one line of JSON. False when any login failed. */
bool dialogue_run(const struct dialogue_options *options);

/* Logs in one session an account up to each of the counts; at each count prints "holding N" and
 * waits for a line on standard input. */
bool dialogue_hold(const struct dialogue_options *options, const uint64_t *counts, size_t count);

/* USER and PASS on a new connection, waiting for each answer. */
bool dialogue_log_in(struct connection *connection, struct peer *peer, uint64_t account);

#endif
