/*
 * bulk: see bulk.h. Plain TCP only.
 */
#include "bench/bulk.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/dialogue.h"

#define PIECE_OCTETS (256 * 1024)
#define EVENTS_MAX   64

struct stream {
	struct connection connection;
	uint64_t pass_octets; /* of all replies of one pass */
	uint64_t received;    /* in the timed part */
	uint64_t asked;       /* messages asked for in the timed part */
	bool over;
};

static char piece[PIECE_OCTETS];

static bool ask(struct stream *stream, const struct bulk_options *options, uint64_t count)
{
	char commands[16 * 1024];
	size_t length = 0;

	for (uint64_t i = 0; i < count && length < sizeof(commands) - 32; i++, stream->asked++)
		length += (size_t)snprintf(commands + length, sizeof(commands) - length,
					   "RETR %" PRIu64 "\r\n",
					   stream->asked % options->messages + 1);
	return length == 0 ||
	       connection_send(&stream->connection, (struct bytes){commands, length});
}

/* ---- the first pass: every octet ---- */

/* Counts the ends of replies, CRLF "." CRLF, across pieces; *matched octets of it have been seen.
 */
static uint64_t count_ends(const char *octets, size_t length, size_t *matched)
{
	static const char end[] = "\r\n.\r\n";
	uint64_t ends = 0;

	for (size_t i = 0; i < length; i++) {
		if (octets[i] != end[*matched])
			*matched = octets[i] == '\r' ? 1 : 0;
		else
			++*matched;
		if (*matched == 5) {
			ends++;
			*matched = 2; /* its CRLF may begin the next end */
		}
	}
	return ends;
}

static bool look_once(struct stream *stream, const struct bulk_options *options, FILE *save)
{
	struct pollfd poll_descriptor = {.fd = stream->connection.descriptor, .events = POLLIN};
	uint64_t ends = 0;
	size_t matched = 0;

	while (ends < options->messages) {
		uint64_t under_way = stream->asked - ends, more = options->messages - stream->asked;
		ssize_t count;

		if (under_way < options->window &&
		    !ask(stream, options,
			 more < options->window - under_way ? more : options->window - under_way))
			return false;
		count = connection_receive(&stream->connection, piece, sizeof(piece));
		if (count < 0)
			return false;
		if (count == 0)
			poll(&poll_descriptor, 1, 1000);
		ends += count_ends(piece, (size_t)count, &matched);
		stream->pass_octets += (uint64_t)count;
		if (save != NULL && fwrite(piece, 1, (size_t)count, save) != (size_t)count)
			return false;
	}
	stream->asked = 0;
	return true;
}

/* ---- the timed part ---- */

static void discard(struct stream *stream)
{
	for (;;) {
		ssize_t count = recv(stream->connection.descriptor, piece, sizeof(piece),
				     MSG_TRUNC | MSG_DONTWAIT);

		if (count > 0) {
			stream->received += (uint64_t)count;
			continue;
		}
		if (count == 0 || (errno != EAGAIN && errno != EINTR))
			stream->over = true;
		return;
	}
}

/* Asks so that about a window is under way; whole passes only, so that the sum can be checked. */
static bool keep_asking(struct stream *stream, const struct bulk_options *options, bool ending)
{
	uint64_t answered = (uint64_t)((double)stream->received / (double)stream->pass_octets *
				       (double)options->messages);
	uint64_t under_way = stream->asked > answered ? stream->asked - answered : 0;
	uint64_t whole =
		(stream->asked + options->messages - 1) / options->messages * options->messages;
	uint64_t want = under_way < options->window ? options->window - under_way : 0;

	if (ending && want > whole - stream->asked)
		want = whole - stream->asked;
	return ask(stream, options, want);
}

static bool complete(const struct stream *stream, const struct bulk_options *options)
{
	return stream->asked % options->messages == 0 &&
	       stream->received == stream->asked / options->messages * stream->pass_octets;
}

static bool serve_events(struct peer *peer, const struct bulk_options *options, bool retrieving,
			 bool ending)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(peer->epoll, events, EVENTS_MAX, 1000);

	for (int i = 0; i < count; i++) {
		struct stream *stream = events[i].data.ptr;

		discard(stream);
		if (stream->over || (retrieving && !keep_asking(stream, options, ending)))
			return false;
	}
	return true;
}

static bool all_complete(const struct stream *streams, const struct bulk_options *options)
{
	for (uint64_t i = 0; i < options->connections; i++) {
		if (!complete(&streams[i], options))
			return false;
	}
	return true;
}

static bool measure(struct peer *peer, struct stream *streams, const struct bulk_options *options,
		    bool retrieving)
{
	double began = seconds_now(), end = began + (double)options->seconds, seconds;
	uint64_t octets = 0;
	bool good = true;

	if (retrieving) {
		printf("ready\n"); /* script/bench reads the processes' clocks now */
		fflush(stdout);
	}
	for (uint64_t i = 0; retrieving && i < options->connections; i++)
		good = good && keep_asking(&streams[i], options, false);
	while (good && seconds_now() < end)
		good = serve_events(peer, options, retrieving, false);
	while (good && retrieving && !all_complete(streams, options))
		good = serve_events(peer, options, true, true);
	seconds = seconds_now() - began;
	for (uint64_t i = 0; i < options->connections; i++)
		octets += streams[i].received;
	printf("{\"octets\": %" PRIu64 ", \"seconds\": %.3f, \"failed\": %d}\n", octets, seconds,
	       !good);
	return good;
}

bool bulk_retrieve(const struct bulk_options *options)
{
	struct stream *streams = calloc(options->connections, sizeof(*streams));
	FILE *save = options->save != NULL ? fopen(options->save, "w") : NULL;
	struct peer peer;
	bool good = streams != NULL && peer_open(&peer, options->address, false);

	for (uint64_t i = 0; good && i < options->connections; i++) {
		streams[i].connection.owner = &streams[i];
		good = dialogue_log_in(&streams[i].connection, &peer, i) &&
		       look_once(&streams[i], options, i == 0 ? save : NULL);
	}
	if (save != NULL)
		good = fclose(save) == 0 && good;
	good = good && measure(&peer, streams, options, true);
	for (uint64_t i = 0; streams != NULL && i < options->connections; i++)
		connection_close(&streams[i].connection);
	free(streams);
	return good;
}

bool bulk_drain(const struct bulk_options *options)
{
	struct stream *streams = calloc(options->connections, sizeof(*streams));
	struct peer peer;
	bool good = streams != NULL && peer_open(&peer, options->address, false);

	for (uint64_t i = 0; good && i < options->connections; i++)
		good = connection_open(&streams[i].connection, &peer, &streams[i]);
	good = good && measure(&peer, streams, options, false);
	for (uint64_t i = 0; streams != NULL && i < options->connections; i++)
		connection_close(&streams[i].connection);
	free(streams);
	return good;
}
