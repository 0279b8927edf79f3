/*
 * smtp_dialogue_test: the owner of an SMTP engine in tests: canned mailboxes, faults on demand; and
 * the ways in which a dialogue is run.
 *
 * Each row is run whole, octet by octet, split in two at every point, and with output taken a few
 * octets at a time; output and events must be the same each time. How a message is cut into BODY
 * events depends on the pieces; it is noted as a whole, with MESSAGE.
 */
#ifndef PROTOCOL_SMTP_DIALOGUE_TEST_H
#define PROTOCOL_SMTP_DIALOGUE_TEST_H

#include "base/test.h"

#include <inttypes.h>

#include "protocol/memory_test.h"
#include "protocol/smtp_server_private.h"

enum fault {
	FAULT_NONE,
	FAULT_BEGIN,  /* the message is not begun */
	FAULT_TAKEN,  /* its first octets cannot be taken */
	FAULT_DELIVER /* all but every third delivery fail */
};

struct row {
	const char *name;
	enum fault fault;
	bool smtp, reject_bare_lf, tls;
	uint64_t octets_max; /* 0: 1000 */
	struct bytes in, out, events;
};

struct dialogue {
	const struct row *row;
	struct smtp_server_options options;
	struct smtp_server *server;
	struct buffer out, events, body;
	size_t take; /* octets of output taken at a time */
	bool closed;
};

/* The bookkeeping of the test must not be what runs out of memory. */
static inline void note_octets(struct buffer *buffer, struct bytes octets)
{
	long left = memory_left;

	memory_left = -1;
	assert_true(buffer_append(buffer, octets));
	memory_left = left;
}

static inline void note(struct dialogue *dialogue, const char *format, ...)
{
	long left = memory_left;
	va_list arguments;

	memory_left = -1;
	va_start(arguments, format);
	assert_true(buffer_vprint(&dialogue->events, format, arguments));
	va_end(arguments);
	memory_left = left;
}

static inline void answer_recipient(struct dialogue *dialogue, const struct smtp_event *event)
{
	static const struct {
		const char *address, *text;
		enum error_code outcome;
	} mailboxes[] = {
		{"nobody@x", NULL, ERROR_NO_USER},      {"off@x", NULL, ERROR_DENIED},
		{"full@x", NULL, ERROR_FULL},           {"later@x", NULL, ERROR_TEMPORARY},
		{"a@elsewhere", NULL, ERROR_NOT_LOCAL}, {"quota@x", NULL, ERROR_QUOTA},
		{"odd@x", "one\r\n250 two", ERROR_IO},
	};

	note(dialogue, "rcpt(%.*s)", (int)event->recipient.length, event->recipient.data);
	for (size_t i = 0; i < sizeof(mailboxes) / sizeof(mailboxes[0]); i++) {
		if (bytes_equal(event->recipient, bytes_of(mailboxes[i].address))) {
			smtp_server_recipient(dialogue->server, mailboxes[i].outcome,
					      mailboxes[i].text);
			return;
		}
	}
	smtp_server_recipient(dialogue->server, ERROR_NONE, NULL);
}

static inline void answer_begin(struct dialogue *dialogue, const struct smtp_event *event)
{
	note(dialogue, "begin(%.*s,%s%.*s,%" PRIu64 "%s,%" PRIu32 ")", (int)event->sender.length,
	     event->sender.data, event->extended ? "" : "HELO ", (int)event->helo.length,
	     event->helo.data, event->declared_octets, event->eight_bit ? ",8" : "",
	     event->recipients);
	dialogue->body.length = 0;
	smtp_server_begun(dialogue->server,
			  dialogue->row->fault == FAULT_BEGIN ? ERROR_UNAVAILABLE : ERROR_NONE,
			  NULL);
}

static inline void answer_body(struct dialogue *dialogue, const struct smtp_event *event)
{
	test_check(event->body.length > 0 && event->body.length <= SMTP_BODY_MAX);
	note_octets(&dialogue->body, event->body);
	smtp_server_taken(dialogue->server,
			  dialogue->row->fault == FAULT_TAKEN ? ERROR_FULL : ERROR_NONE, NULL);
}

static inline void answer_message(struct dialogue *dialogue, const struct smtp_event *event)
{
	static const enum error_code outcomes[] = {ERROR_TEMPORARY, ERROR_NONE, ERROR_FULL};
	uint32_t answers = dialogue->row->smtp ? 1 : event->recipients;

	note_octets(&dialogue->events, buffer_bytes(&dialogue->body));
	note(dialogue, "message(%" PRIu32 ")", event->recipients);
	for (uint32_t i = 0; i < answers; i++) {
		test_check(smtp_server_feed(dialogue->server, BYTES("NOOP\r\n")) == 0);
		smtp_server_delivered(
			dialogue->server, i,
			dialogue->row->fault == FAULT_DELIVER ? outcomes[i % 3] : ERROR_NONE, NULL);
	}
}

static inline void answer(struct dialogue *dialogue, const struct smtp_event *event)
{
	struct smtp_event second;

	if (event->kind != SMTP_CLOSE && event->kind != SMTP_ABORT) {
		test_check(!smtp_server_next(dialogue->server, &second));
		test_check(smtp_server_feed(dialogue->server, BYTES("NOOP\r\n")) == 0);
		test_check(smtp_server_busy(dialogue->server));
	}
	switch (event->kind) {
	case SMTP_RECIPIENT:
		answer_recipient(dialogue, event);
		break;
	case SMTP_BEGIN:
		answer_begin(dialogue, event);
		break;
	case SMTP_BODY:
		answer_body(dialogue, event);
		break;
	case SMTP_MESSAGE:
		answer_message(dialogue, event);
		break;
	case SMTP_START_TLS:
		note(dialogue, "tls");
		smtp_server_secured(dialogue->server);
		break;
	case SMTP_ABORT:
		note(dialogue, "abort");
		break;
	case SMTP_CLOSE:
		note(dialogue, "close");
		dialogue->closed = true;
		break;
	}
}

static inline void pump(struct dialogue *dialogue)
{
	struct smtp_event event;

	while (!dialogue->closed && smtp_server_next(dialogue->server, &event))
		answer(dialogue, &event);
	test_check(smtp_server_output(dialogue->server).length <= OUTPUT_OCTETS_MAX);
	while (smtp_server_output(dialogue->server).length > 0) {
		struct bytes output =
			bytes_first(smtp_server_output(dialogue->server), dialogue->take);

		note_octets(&dialogue->out, output);
		smtp_server_sent(dialogue->server, output.length);
	}
}

static inline void say(struct dialogue *dialogue, struct bytes in)
{
	while (in.length > 0 && !dialogue->closed) {
		in = bytes_skip(in, smtp_server_feed(dialogue->server, in));
		pump(dialogue);
	}
	if (dialogue->closed)
		test_check(smtp_server_feed(dialogue->server, BYTES("NOOP\r\n")) == 0);
}

static inline void dialogue_begin(struct dialogue *dialogue, const struct row *row, size_t take)
{
	*dialogue = (struct dialogue){
		.row = row,
		.take = take,
		.options = {.lmtp = !row->smtp,
			    .octets_max = row->octets_max > 0 ? row->octets_max : 1000,
			    .host = "mx.example"},
	};
	buffer_init(&dialogue->out, 4 << 20);
	buffer_init(&dialogue->events, 4 << 20);
	buffer_init(&dialogue->body, 4 << 20);
	dialogue->server = smtp_server_new(&dialogue->options);
	if (dialogue->server != NULL && row->reject_bare_lf)
		smtp_server_reject_bare_lf(dialogue->server);
	if (dialogue->server != NULL && row->tls)
		smtp_server_offer_tls(dialogue->server);
}

static inline void dialogue_end(struct dialogue *dialogue)
{
	buffer_free(&dialogue->out);
	buffer_free(&dialogue->events);
	buffer_free(&dialogue->body);
	smtp_server_free(dialogue->server);
}

/* The input goes in in two parts, each in pieces of `piece` octets. */
static inline void run_row(const struct row *row, size_t split, size_t piece, size_t take)
{
	struct bytes parts[2] = {bytes_first(row->in, split), bytes_skip(row->in, split)};
	struct dialogue dialogue;

	test_row(row->name);
	dialogue_begin(&dialogue, row, take);
	for (size_t i = 0; i < 2; i++) {
		for (; parts[i].length > 0; parts[i] = bytes_skip(parts[i], piece)) {
			struct bytes octets = bytes_first(parts[i], piece);
			/* Behind the end of this memory nothing may be read. */
			char *copy = malloc(octets.length);

			assert_non_null(copy);
			memcpy(copy, octets.data, octets.length);
			say(&dialogue, (struct bytes){copy, octets.length});
			free(copy);
		}
	}
	test_equal_bytes(buffer_bytes(&dialogue.out), row->out);
	test_equal_bytes(buffer_bytes(&dialogue.events), row->events);
	dialogue_end(&dialogue);
}

static inline void run_row_in_all_ways(const struct row *row)
{
	run_row(row, 0, SIZE_MAX, SIZE_MAX);
	run_row(row, 0, SIZE_MAX, 7);
	run_row(row, 0, 1, SIZE_MAX);
	for (size_t split = 1; split < row->in.length; split++)
		run_row(row, split, SIZE_MAX, SIZE_MAX);
}

/* ---- words of dialogues ---- */

#define LHLO "LHLO me.example\r\n"
#define EHLO "EHLO me.example\r\n"
#define FEATURES                                                                                   \
	"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n"                    \
	"250 ENHANCEDSTATUSCODES\r\n"
#define FEATURES_TLS                                                                               \
	"250-mx.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-STARTTLS\r\n"    \
	"250 ENHANCEDSTATUSCODES\r\n"
#define MAIL      "MAIL FROM:<s@y>\r\n"
#define MAIL_OK   "250 2.1.0 sender accepted\r\n"
#define RCPT      "RCPT TO:<a@x>\r\n"
#define RCPT_OK   "250 2.1.5 recipient accepted\r\n"
#define GO_AHEAD  "354 send the message, end with <CRLF>.<CRLF>\r\n"
#define DELIVERED "250 2.1.5 delivered\r\n"
#define BYE       "221 2.0.0 good-bye\r\n"
#define RSET_OK   "250 2.0.0 nothing is under way\r\n"
#define START     LHLO MAIL RCPT
#define STARTED   FEATURES MAIL_OK RCPT_OK
#define NOT_MAIL  "501 5.1.7 not FROM:<address>\r\n"
#define NOT_RCPT  "501 5.1.3 not TO:<address>\r\n"

#endif
