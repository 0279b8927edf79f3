/*
 * Any octets, split anywhere, with any answers of the owner: the first octets of the input are the
 * answers, the rest is what the peer says. Checked: one event at a time, bounded output, a final
 * dot only behind body_done(true) and a whole listing, +OK to QUIT only behind updated(true),
 * silence behind CLOSE.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/pop3_server.h"

#define CHOICES           16
#define MESSAGES_MAX_HERE 200

struct owner {
	struct pop3_server *server;
	const uint8_t *choices;
	size_t next_choice;
	uint32_t messages;
	unsigned handshakes;
	bool body_open, closed;
};

static unsigned choose(struct owner *owner, unsigned count)
{
	return owner->choices[owner->next_choice++ % CHOICES] % count;
}

static size_t output_length(const struct owner *owner)
{
	size_t length = pop3_server_output(owner->server).length;

	assert(length <= OUTPUT_OCTETS_MAX);
	return length;
}

static bool output_ends(const struct owner *owner, const char *end)
{
	struct bytes output = pop3_server_output(owner->server);
	size_t length = strlen(end);

	return output.length >= length &&
	       memcmp(output.data + output.length - length, end, length) == 0;
}

static void send_some(struct owner *owner)
{
	size_t length = output_length(owner);

	pop3_server_sent(owner->server, choose(owner, 2) == 0 ? length : (length + 1) / 2);
}

static void answer_login(struct owner *owner, const struct pop3_event *event)
{
	assert(event->user.length >= 1 && event->user.length <= ACCOUNT_NAME_MAX);
	assert(event->authorize.length <= ACCOUNT_NAME_MAX);
	assert(event->password.length >= 1 && event->password.length <= PASSWORD_MAX);
	assert((event->mechanism == POP3_APOP) == (event->challenge.length > 0));
	if (choose(owner, 4) != 0)
		pop3_server_authenticated(owner->server, POP3_LOGIN_OK, owner->messages, 1000,
					  NULL);
	else
		pop3_server_authenticated(owner->server, POP3_LOGIN_DENIED + choose(owner, 4), 0, 0,
					  "no\r\n.");
}

static void answer_table(struct owner *owner, const struct pop3_event *event)
{
	struct pop3_entry entries[POP3_LISTING_BLOCK];
	size_t before = output_length(owner);

	assert(event->first >= 1 && event->count >= 1 && event->count <= POP3_LISTING_BLOCK);
	assert(event->first + event->count - 1 <= owner->messages);
	if (choose(owner, 8) == 0) {
		pop3_server_table(owner->server, NULL);
		assert(!output_ends(owner, "\r\n.\r\n") || output_length(owner) == before);
		return;
	}
	for (uint32_t i = 0; i < event->count; i++)
		entries[i] = (struct pop3_entry){choose(owner, 250), BYTES("0123456789abcdef")};
	pop3_server_table(owner->server, entries);
}

static void answer_body(struct owner *owner, const struct pop3_event *event)
{
	assert(event->number >= 1 && event->number <= owner->messages);
	owner->body_open = choose(owner, 4) != 0;
	pop3_server_body(
		owner->server,
		owner->body_open ? POP3_BODY_FOLLOWS : POP3_BODY_DAMAGED + choose(owner, 2), 7);
	assert(!output_ends(owner, "\r\n.\r\n"));
}

static void finish_body(struct owner *owner)
{
	bool complete = choose(owner, 4) != 0;
	struct pop3_event event;

	pop3_server_sent(owner->server, output_length(owner));
	assert(pop3_server_feed(owner->server, BYTES("NOOP\r\n")) == 0);
	pop3_server_body_done(owner->server, complete);
	owner->body_open = false;
	if (complete) {
		assert(output_ends(owner, ".\r\n"));
		return;
	}
	assert(output_length(owner) == 0);
	assert(pop3_server_next(owner->server, &event) && event.kind == POP3_CLOSE);
}

static void answer_update(struct owner *owner, const struct pop3_event *event)
{
	bool stable = choose(owner, 2) == 0;
	struct bytes output;

	assert((event->deleted == NULL) == (event->deleted_count == 0));
	assert(event->deleted_count <= owner->messages);
	pop3_server_sent(owner->server, output_length(owner));
	pop3_server_updated(owner->server, stable);
	output = pop3_server_output(owner->server);
	assert(bytes_start_with(output, stable ? BYTES("+OK") : BYTES("-ERR")));
}

static void answer(struct owner *owner, const struct pop3_event *event)
{
	struct pop3_event second;

	if (event->kind == POP3_CLOSE) {
		owner->closed = true;
		return;
	}
	assert(!pop3_server_next(owner->server, &second));
	assert(pop3_server_feed(owner->server, BYTES("NOOP\r\n")) == 0);
	if (choose(owner, 64) == 63)
		pop3_server_end(owner->server, "[SYS/TEMP]", "over");
	switch (event->kind) {
	case POP3_AUTHENTICATE:
		answer_login(owner, event);
		break;
	case POP3_START_TLS:
		assert(pop3_server_state(owner->server) == POP3_AUTHORIZATION);
		assert(++owner->handshakes == 1);
		pop3_server_sent(owner->server, output_length(owner));
		pop3_server_secured(owner->server, true);
		break;
	case POP3_TABLE:
		answer_table(owner, event);
		break;
	case POP3_BODY:
		answer_body(owner, event);
		break;
	case POP3_UPDATE_MAILDROP:
		if (pop3_server_busy(owner->server))
			answer_update(owner, event);
		break;
	case POP3_TRY:
		pop3_server_tried(owner->server, "refused");
		break;
	case POP3_CLOSE:
		break;
	}
}

static void pump(struct owner *owner)
{
	struct pop3_event event;

	do {
		send_some(owner);
		if (owner->body_open && pop3_server_busy(owner->server))
			finish_body(owner);
		owner->body_open = false;
		if (!owner->closed && pop3_server_next(owner->server, &event))
			answer(owner, &event);
	} while (!owner->closed && (pop3_server_busy(owner->server) || output_length(owner) > 0));
}

static void check_silence(struct owner *owner)
{
	size_t before = output_length(owner);

	assert(pop3_server_feed(owner->server, BYTES("NOOP\r\n")) == 0);
	pop3_server_end(owner->server, "[SYS/TEMP]", "over");
	assert(output_length(owner) == before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pop3_server_options options = {.implementation = "Postern",
							   .test_commands = true};
	struct owner owner = {.choices = data};
	struct bytes in;

	if (size < CHOICES)
		return 0;
	in = (struct bytes){(const char *)data + CHOICES, size - CHOICES};
	owner.messages = choose(&owner, MESSAGES_MAX_HERE);
	owner.server = pop3_server_new(&options);
	pop3_server_set_secure(owner.server, choose(&owner, 8) != 0);
	pop3_server_set_stls(owner.server, choose(&owner, 2) == 0);
	pop3_server_greet(owner.server, "host", NULL, choose(&owner, 2) == 0 ? "<1.2@host>" : NULL);
	while (in.length > 0 && !owner.closed) {
		struct bytes piece = bytes_first(in, 1 + choose(&owner, 255));
		size_t taken = pop3_server_feed(owner.server, piece);

		assert(taken <= piece.length);
		in = bytes_skip(in, taken);
		pump(&owner);
	}
	if (owner.closed)
		check_silence(&owner);
	pop3_server_free(owner.server);
	return 0;
}
