/*
 * dialogue: see dialogue.h.
 */
#include "bench/dialogue.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define EVENTS_MAX  256
#define LINE_OCTETS 600
#define SAMPLES_MAX 8000000u

/* Steps are named after the answer that is awaited. */
enum step { STEP_GREETING, STEP_USER, STEP_PASS, STEP_STAT, STEP_QUIT };

struct client {
	struct connection connection;
	enum step step;
	uint64_t account;
	double began;
	bool line_started; /* inside an answer's line; its first octet was seen */
	bool positive;
};

struct run {
	const struct dialogue_options *options;
	struct peer peer;
	struct client *clients;
	uint64_t done, failed, open;
	bool holding; /* ends a client's work behind PASS */
	double end;
	uint32_t *microseconds; /* of each login */
};

/* ---- one client ---- */

static bool command(struct client *client, const char *verb, bool with_account)
{
	char line[LINE_OCTETS];
	int length;

	if (with_account)
		length = snprintf(line, sizeof(line), "%s b%" PRIu64 "@" BENCH_DOMAIN "\r\n", verb,
				  client->account);
	else
		length = snprintf(line, sizeof(line), "%s\r\n", verb);
	return connection_send(&client->connection, (struct bytes){line, (size_t)length});
}

static bool begin(struct run *run, struct client *client)
{
	client->step = STEP_GREETING;
	client->line_started = false;
	client->began = seconds_now();
	if (!connection_open(&client->connection, &run->peer, client)) {
		perror("bench_load: connect");
		run->failed++;
		return false;
	}
	run->open++;
	return true;
}

static void leave(struct run *run, struct client *client)
{
	connection_close(&client->connection);
	run->open--;
}

/* The next account of this client; false when it has no more work. */
static bool advance(const struct run *run, struct client *client)
{
	const struct dialogue_options *options = run->options;

	client->account += options->parallel;
	if (client->account < options->accounts)
		return options->cold || seconds_now() < run->end;
	client->account %= options->parallel;
	return !options->cold && seconds_now() < run->end;
}

static void finish(struct run *run, struct client *client, bool good)
{
	if (good && run->done < SAMPLES_MAX)
		run->microseconds[run->done] = (uint32_t)((seconds_now() - client->began) * 1e6);
	run->done += good;
	run->failed += !good;
	leave(run, client);
	if (run->failed < 1000 && advance(run, client))
		begin(run, client);
}

/* The first few failures are worth a line each, and all are counted. */
static void complain(const struct run *run, const struct client *client, const char *what)
{
	if (run->failed < 5)
		fprintf(stderr, "bench_load: account %" PRIu64 ", step %d: %s\n", client->account,
			(int)client->step, what);
}

/* A whole answer has come; true while the dialogue goes on. */
static bool answered(struct run *run, struct client *client)
{
	if (!client->positive) {
		complain(run, client, "refused");
		finish(run, client, false);
		return false;
	}
	switch (client->step++) {
	case STEP_GREETING:
		return command(client, "USER", true);
	case STEP_USER:
		return command(client, "PASS " BENCH_PASSWORD, false);
	case STEP_PASS:
		if (!run->holding)
			return command(client, "STAT", false);
		run->done++;
		return false;
	case STEP_STAT:
		return command(client, "QUIT", false);
	case STEP_QUIT:
		finish(run, client, true);
	}
	return false;
}

/* Every answer is one line; only its first octet matters. */
static void on_readable(struct run *run, struct client *client)
{
	char octets[LINE_OCTETS];
	ssize_t count;

	while ((count = connection_receive(&client->connection, octets, sizeof(octets))) > 0) {
		for (ssize_t i = 0; i < count; i++) {
			if (!client->line_started)
				client->positive = octets[i] == '+';
			client->line_started = octets[i] != '\n';
			if (!client->line_started && !answered(run, client))
				return;
		}
	}
	if (count < 0) {
		complain(run, client, "cut");
		finish(run, client, false);
	}
}

static void wait_once(struct run *run)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(run->peer.epoll, events, EVENTS_MAX, 1000);

	for (int i = 0; i < count; i++)
		on_readable(run, events[i].data.ptr);
}

/* ---- logins a second ---- */

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void report(struct run *run, double seconds)
{
	uint64_t samples = run->done < SAMPLES_MAX ? run->done : SAMPLES_MAX;
	uint32_t middle = 0, slow = 0;

	if (samples > 0) {
		qsort(run->microseconds, samples, sizeof(uint32_t), compare_u32);
		middle = run->microseconds[samples / 2];
		slow = run->microseconds[samples * 99 / 100];
	}
	printf("{\"logins\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"seconds\": %.3f, "
	       "\"median_us\": %u, \"p99_us\": %u}\n",
	       run->done, run->failed, seconds, middle, slow);
}

bool dialogue_run(const struct dialogue_options *options)
{
	struct run run = {.options = options};
	double began = seconds_now();

	run.clients = calloc(options->parallel, sizeof(*run.clients));
	run.microseconds = calloc(SAMPLES_MAX, sizeof(*run.microseconds));
	if (run.clients == NULL || run.microseconds == NULL ||
	    !peer_open(&run.peer, options->address, options->tls)) {
		fprintf(stderr, "bench_load: no memory, or a bad address\n");
		return false;
	}
	run.end = began + (double)options->seconds;
	for (uint64_t i = 0; i < options->parallel && i < options->accounts; i++) {
		run.clients[i].account = i;
		begin(&run, &run.clients[i]);
	}
	while (run.open > 0)
		wait_once(&run);
	report(&run, seconds_now() - began);
	free(run.clients);
	free(run.microseconds);
	return run.failed == 0;
}

/* ---- idle sessions ---- */

static bool wait_for_line(void)
{
	char line[16];

	return fgets(line, sizeof(line), stdin) != NULL;
}

bool dialogue_hold(const struct dialogue_options *options, const uint64_t *counts, size_t count)
{
	struct run run = {.options = options, .holding = true};
	uint64_t started = 0;

	run.clients = calloc(options->accounts, sizeof(*run.clients));
	if (run.clients == NULL || !peer_open(&run.peer, options->address, options->tls))
		return false;
	for (size_t stage = 0; stage < count; stage++) {
		while (run.done < counts[stage] && run.failed == 0) {
			while (started < counts[stage] && started - run.done < options->parallel) {
				run.clients[started].account = started;
				begin(&run, &run.clients[started++]);
			}
			wait_once(&run);
		}
		printf("holding %" PRIu64 " failed %" PRIu64 "\n", run.done, run.failed);
		fflush(stdout);
		if (!wait_for_line())
			break;
	}
	for (uint64_t i = 0; i < started; i++)
		connection_close(&run.clients[i].connection);
	free(run.clients);
	return run.failed == 0;
}

/* ---- one login, waiting ---- */

static bool wait_for_answer(struct client *client)
{
	struct pollfd poll_descriptor = {.fd = client->connection.descriptor, .events = POLLIN};
	char octets[LINE_OCTETS];
	ssize_t count;

	do {
		count = connection_receive(&client->connection, octets, sizeof(octets));
		if (count == 0)
			poll(&poll_descriptor, 1, 1000);
	} while (count == 0);
	return count > 0 && octets[0] == '+' && octets[count - 1] == '\n';
}

bool dialogue_log_in(struct connection *connection, struct peer *peer, uint64_t account)
{
	struct client client = {.account = account};
	bool good = connection_open(&client.connection, peer, connection->owner) &&
		    wait_for_answer(&client) && command(&client, "USER", true) &&
		    wait_for_answer(&client) && command(&client, "PASS " BENCH_PASSWORD, false) &&
		    wait_for_answer(&client);

	*connection = client.connection;
	return good;
}
