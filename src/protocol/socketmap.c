/*
 * socketmap: netstrings in, netstrings out, see socketmap.h.
 *
 * Guarantees: holds one request at most; answers in the order of the requests; nothing is emitted
 * any more once the connection is closed. Must not know: what is looked up, sockets, clocks.
 */
#include "protocol/socketmap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum stage {
	STAGE_LENGTH, /* digits and the colon are taken */
	STAGE_TEXT,   /* the octets are */
	STAGE_COMMA,
	STAGE_READY, /* a request waits to be pulled */
	STAGE_OPEN,  /* it was pulled, its answer is awaited */
	STAGE_CLOSED
};

struct socketmap {
	struct buffer request, output;
	size_t length; /* of the request, as far as its digits have come */
	unsigned digits;
	enum stage stage;
};

_Static_assert(SOCKETMAP_ANSWER_MAX + 32 < OUTPUT_OCTETS_MAX / 2, "an answer fits");

struct socketmap *socketmap_new(void)
{
	struct socketmap *socketmap = calloc(1, sizeof(*socketmap));

	if (socketmap == NULL)
		return NULL;
	buffer_init(&socketmap->request, SOCKETMAP_REQUEST_MAX);
	buffer_init(&socketmap->output, OUTPUT_OCTETS_MAX);
	return socketmap;
}

void socketmap_free(struct socketmap *socketmap)
{
	if (socketmap == NULL)
		return;
	buffer_free(&socketmap->request);
	buffer_free(&socketmap->output);
	free(socketmap);
}

void socketmap_end(struct socketmap *socketmap)
{
	socketmap->stage = STAGE_CLOSED;
}

/* ---- output ---- */

struct bytes socketmap_output(const struct socketmap *socketmap)
{
	return buffer_bytes(&socketmap->output);
}

void socketmap_sent(struct socketmap *socketmap, size_t count)
{
	assert(count <= socketmap->output.length);
	buffer_remove_front(&socketmap->output, count);
	if (socketmap->output.length == 0)
		buffer_free(&socketmap->output);
}

static void emit(struct socketmap *socketmap, enum socketmap_outcome outcome, struct bytes text)
{
	static const char *const words[] = {[SOCKETMAP_OK] = "OK",
					    [SOCKETMAP_NOTFOUND] = "NOTFOUND",
					    [SOCKETMAP_TEMP] = "TEMP",
					    [SOCKETMAP_PERM] = "PERM"};
	size_t length = strlen(words[outcome]) + 1 + text.length;

	assert(text.length <= SOCKETMAP_ANSWER_MAX);
	if (!buffer_print(&socketmap->output, "%zu:%s ", length, words[outcome]) ||
	    !buffer_append(&socketmap->output, text) ||
	    !buffer_append(&socketmap->output, BYTES(",")))
		socketmap->stage = STAGE_CLOSED;
}

/* ---- input ---- */

static void begin_request(struct socketmap *socketmap)
{
	buffer_free(&socketmap->request);
	socketmap->length = 0;
	socketmap->digits = 0;
	socketmap->stage = STAGE_LENGTH;
}

/* A netstring's length has no zero in front; "0:," is a request of nothing. */
static void take_digit(struct socketmap *socketmap, char octet)
{
	bool is_digit = octet >= '0' && octet <= '9';

	if (octet == ':' && socketmap->digits > 0) {
		socketmap->stage = socketmap->length > 0 ? STAGE_TEXT : STAGE_COMMA;
		return;
	}
	if (!is_digit || (socketmap->digits > 0 && socketmap->length == 0)) {
		socketmap->stage = STAGE_CLOSED;
		return;
	}
	socketmap->length = socketmap->length * 10 + (size_t)(octet - '0');
	socketmap->digits++;
	if (socketmap->length > SOCKETMAP_REQUEST_MAX)
		socketmap->stage = STAGE_CLOSED;
}

static void take_text(struct socketmap *socketmap, struct bytes *in)
{
	struct bytes piece = bytes_first(*in, socketmap->length - socketmap->request.length);

	if (!buffer_append(&socketmap->request, piece))
		socketmap->stage = STAGE_CLOSED;
	else if (socketmap->request.length == socketmap->length)
		socketmap->stage = STAGE_COMMA;
	*in = bytes_skip(*in, piece.length);
}

static bool split(struct bytes request, struct bytes *name_out, struct bytes *key_out)
{
	size_t length = 0;

	while (length < request.length && request.data[length] != ' ')
		length++;
	*name_out = bytes_first(request, length);
	*key_out = bytes_skip(request, length + 1);
	return length > 0 && length < request.length;
}

static void take_comma(struct socketmap *socketmap, char octet)
{
	struct bytes name, key;

	if (octet != ',') {
		socketmap->stage = STAGE_CLOSED;
	} else if (split(buffer_bytes(&socketmap->request), &name, &key)) {
		socketmap->stage = STAGE_READY;
	} else {
		begin_request(socketmap);
		emit(socketmap, SOCKETMAP_PERM, BYTES("not a name and a key"));
	}
}

size_t socketmap_feed(struct socketmap *socketmap, struct bytes in)
{
	struct bytes rest = in;

	while (rest.length > 0 && socketmap->stage < STAGE_READY &&
	       socketmap->output.length < OUTPUT_OCTETS_MAX / 2) {
		char octet = rest.data[0];

		if (socketmap->stage == STAGE_TEXT) {
			take_text(socketmap, &rest);
			continue;
		}
		if (socketmap->stage == STAGE_LENGTH)
			take_digit(socketmap, octet);
		else
			take_comma(socketmap, octet);
		rest = bytes_skip(rest, 1);
	}
	return in.length - rest.length;
}

/* ---- events ---- */

bool socketmap_next(struct socketmap *socketmap, struct socketmap_event *event_out)
{
	*event_out = (struct socketmap_event){.kind = SOCKETMAP_CLOSE};
	if (socketmap->stage == STAGE_CLOSED)
		return true;
	if (socketmap->stage != STAGE_READY)
		return false;
	event_out->kind = SOCKETMAP_LOOKUP;
	(void)split(buffer_bytes(&socketmap->request), &event_out->name, &event_out->key);
	socketmap->stage = STAGE_OPEN;
	return true;
}

void socketmap_answer(struct socketmap *socketmap, enum socketmap_outcome outcome,
		      struct bytes text)
{
	if (socketmap->stage == STAGE_CLOSED)
		return;
	assert(socketmap->stage == STAGE_OPEN);
	emit(socketmap, outcome, text); /* which may be the key */
	if (socketmap->stage != STAGE_CLOSED)
		begin_request(socketmap);
}
