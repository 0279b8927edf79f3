/*
 * Any octets, split anywhere, with any answers of the owner: the first octets of the input are the
 * answers, the rest is what the peer says. Checked: one event at a time, bounded output, as many
 * replies to a message as recipients were accepted, each positive only behind
 * delivered(ERROR_NONE), ABORT for what was begun, silence behind CLOSE.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/smtp_server.h"

#define CHOICES 16

struct owner {
	struct smtp_server *server;
	bool lmtp;
	const uint8_t *choices;
	size_t next_choice;
	uint32_t recipients;         /* accepted, as the owner counts them */
	uint64_t octets_max, octets; /* of the message, in stored form */
	bool closed;
};

static unsigned choose(struct owner *owner, unsigned count)
{
	return owner->choices[owner->next_choice++ % CHOICES] % count;
}

static enum error_code choose_outcome(struct owner *owner)
{
	return choose(owner, 3) != 0 ? ERROR_NONE : (enum error_code)choose(owner, ERROR_CODES);
}

static struct bytes output(const struct owner *owner)
{
	struct bytes text = smtp_server_output(owner->server);

	assert(text.length <= OUTPUT_OCTETS_MAX);
	return text;
}

static void deliver(struct owner *owner, uint32_t index)
{
	enum error_code outcome = choose_outcome(owner);
	size_t before = output(owner).length;
	struct bytes reply;

	smtp_server_delivered(owner->server, index, outcome, choose(owner, 2) ? "a\r\nb" : NULL);
	reply = bytes_skip(output(owner), before);
	assert(bytes_start_with(reply, BYTES("250 2.")) == (outcome == ERROR_NONE));
	assert(reply.length > 2 &&
	       memchr(reply.data, '\n', reply.length) == reply.data + reply.length - 1);
}

static void answer_recipient(struct owner *owner, const struct smtp_event *event)
{
	enum error_code outcome = choose_outcome(owner);

	assert(event->recipient.length >= 1 && event->recipient.length < SMTP_PATH_MAX);
	for (size_t i = 0; i < event->recipient.length; i++)
		assert(event->recipient.data[i] >= ' ' && event->recipient.data[i] <= '~');
	assert(owner->recipients < SMTP_RECIPIENTS_MAX);
	owner->recipients += outcome == ERROR_NONE;
	smtp_server_recipient(owner->server, outcome, NULL);
}

static void answer_begin(struct owner *owner, const struct smtp_event *event)
{
	assert(event->recipients == owner->recipients && owner->recipients > 0);
	assert(event->helo.data != NULL);
	assert(event->sender.length < SMTP_PATH_MAX && event->helo.length >= 1);
	assert(event->declared_octets <= owner->octets_max);
	owner->octets = 0;
	smtp_server_begun(owner->server, choose_outcome(owner), NULL);
}

static void answer_message(struct owner *owner, const struct smtp_event *event)
{
	uint32_t answers = owner->lmtp ? event->recipients : 1;

	assert(event->recipients == owner->recipients);
	for (uint32_t i = 0; i < answers; i++)
		deliver(owner, i);
	owner->recipients = 0;
}

static void answer(struct owner *owner, const struct smtp_event *event)
{
	struct smtp_event second;

	if (event->kind != SMTP_ABORT && event->kind != SMTP_CLOSE) {
		assert(!smtp_server_next(owner->server, &second));
		assert(smtp_server_feed(owner->server, BYTES("NOOP\r\n")) == 0);
	}
	switch (event->kind) {
	case SMTP_RECIPIENT:
		answer_recipient(owner, event);
		break;
	case SMTP_BEGIN:
		answer_begin(owner, event);
		break;
	case SMTP_BODY:
		assert(event->body.length >= 1 && event->body.length <= SMTP_BODY_MAX);
		owner->octets += event->body.length;
		assert(owner->octets <= owner->octets_max);
		smtp_server_taken(owner->server, choose_outcome(owner), NULL);
		break;
	case SMTP_MESSAGE:
		answer_message(owner, event);
		break;
	case SMTP_START_TLS:
		smtp_server_secured(owner->server);
		break;
	case SMTP_ABORT:
		assert(owner->recipients > 0);
		owner->recipients = 0;
		break;
	case SMTP_CLOSE:
		assert(owner->recipients == 0);
		owner->closed = true;
		break;
	}
}

static void pump(struct owner *owner)
{
	struct smtp_event event;

	while (!owner->closed && smtp_server_next(owner->server, &event))
		answer(owner, &event);
	smtp_server_sent(owner->server, choose(owner, 2) == 0 ? output(owner).length
							      : (output(owner).length + 1) / 2);
}

static void finish(struct owner *owner)
{
	struct smtp_event event;
	size_t before;

	if (!owner->closed) {
		smtp_server_end(owner->server, "over");
		while (!owner->closed) {
			assert(smtp_server_next(owner->server, &event));
			answer(owner, &event);
		}
	}
	before = output(owner).length;
	assert(smtp_server_feed(owner->server, BYTES("NOOP\r\n")) == 0);
	smtp_server_end(owner->server, "over");
	assert(output(owner).length == before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_server_options options = {.host = "host"};
	struct owner owner = {.choices = data};
	struct bytes in;
	bool rejects, offers_tls;

	if (size < CHOICES)
		return 0;
	in = (struct bytes){(const char *)data + CHOICES, size - CHOICES};
	owner.lmtp = options.lmtp = choose(&owner, 2) == 0;
	rejects = choose(&owner, 2) == 0;
	offers_tls = choose(&owner, 2) == 0;
	owner.octets_max = options.octets_max = choose(&owner, 256);
	owner.server = smtp_server_new(&options);
	if (rejects)
		smtp_server_reject_bare_lf(owner.server);
	if (offers_tls)
		smtp_server_offer_tls(owner.server);
	smtp_server_greet(owner.server);
	while (in.length > 0 && !owner.closed) {
		struct bytes piece = bytes_first(in, 1 + choose(&owner, 255));
		size_t taken = smtp_server_feed(owner.server, piece);

		assert(taken <= piece.length);
		in = bytes_skip(in, taken);
		pump(&owner);
	}
	finish(&owner);
	smtp_server_free(owner.server);
	return 0;
}
