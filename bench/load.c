/*
 * load: the load generator's command line. Prints JSON for script/bench.
 *
 *   bench_load logins --address A --parallel N --accounts N (--seconds N | --cold) [--tls]
 *   bench_load hold --address A --parallel N --accounts N [--tls] COUNT…
 *   bench_load retrieve --address A --connections N --messages N --window N --seconds N [--save F]
 *   bench_load drain --address A --connections N --seconds N
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/number.h"
#include "bench/bulk.h"
#include "bench/dialogue.h"

#define COUNTS_MAX 8

struct options {
	struct dialogue_options dialogue;
	struct bulk_options bulk;
	uint64_t counts[COUNTS_MAX];
	size_t count;
};

static const struct option names[] = {{"address", required_argument, NULL, 'a'},
				      {"parallel", required_argument, NULL, 'p'},
				      {"accounts", required_argument, NULL, 'n'},
				      {"seconds", required_argument, NULL, 's'},
				      {"connections", required_argument, NULL, 'c'},
				      {"messages", required_argument, NULL, 'm'},
				      {"window", required_argument, NULL, 'w'},
				      {"save", required_argument, NULL, 'f'},
				      {"tls", no_argument, NULL, 't'},
				      {"cold", no_argument, NULL, 'C'},
				      {NULL, 0, NULL, 0}};

static uint64_t *number_option(struct options *options, int letter)
{
	switch (letter) {
	case 'p':
		return &options->dialogue.parallel;
	case 'n':
		return &options->dialogue.accounts;
	case 's':
		return &options->dialogue.seconds;
	case 'c':
		return &options->bulk.connections;
	case 'm':
		return &options->bulk.messages;
	case 'w':
		return &options->bulk.window;
	default:
		return NULL;
	}
}

static bool parse(int argc, char **argv, struct options *options)
{
	int letter;

	while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1) {
		uint64_t *number = number_option(options, letter);

		if (number != NULL && !number_parse(bytes_of(optarg), 1000000000, number))
			return false;
		if (letter == '?')
			return false;
		if (letter == 'a')
			options->dialogue.address = options->bulk.address = optarg;
		if (letter == 'f')
			options->bulk.save = optarg;
		options->dialogue.tls |= letter == 't';
		options->dialogue.cold |= letter == 'C';
	}
	options->bulk.seconds = options->dialogue.seconds;
	for (; optind < argc && options->count < COUNTS_MAX; optind++) {
		if (!number_parse(bytes_of(argv[optind]), options->dialogue.accounts,
				  &options->counts[options->count++]))
			return false;
	}
	return options->bulk.address != NULL && optind == argc;
}

static bool run(const char *mode, const struct options *options)
{
	if (strcmp(mode, "logins") == 0)
		return dialogue_run(&options->dialogue);
	if (strcmp(mode, "hold") == 0)
		return dialogue_hold(&options->dialogue, options->counts, options->count);
	if (strcmp(mode, "retrieve") == 0)
		return bulk_retrieve(&options->bulk);
	if (strcmp(mode, "drain") == 0)
		return bulk_drain(&options->bulk);
	fprintf(stderr, "bench_load: no such mode: %s\n", mode);
	return false;
}

int main(int argc, char **argv)
{
	struct options options = {
		.dialogue = {.parallel = 8, .accounts = 100, .seconds = 5},
		.bulk = {.connections = 2, .messages = 100, .window = 32},
	};

	signal(SIGPIPE, SIG_IGN);
	if (argc < 2 || !parse(argc - 1, argv + 1, &options)) {
		fprintf(stderr, "bench_load: usage is at the head of bench/load.c\n");
		return EX_USAGE;
	}
	return run(argv[1], &options) ? EX_OK : EX_UNAVAILABLE;
}
