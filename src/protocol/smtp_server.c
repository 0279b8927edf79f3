/*
 * smtp_server: the engine of an SMTP or LMTP connection, see smtp_server.h.
 *
 * This file keeps the order of things: octets to lines or to a message, at most one event, answers
 * to output. What the commands are and do stands in smtp_commands.c.
 *
 * Guarantees: only CRLF "." CRLF ends a message; a positive reply to a message only behind
 * delivered(ERROR_NONE); one reply for each accepted recipient (LMTP); nothing is emitted any more
 * once the connection is closed. Must not know: sockets, clocks, stores, accounts.
 */
#include "protocol/smtp_server_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/kept.h"
#include "protocol/reply.h"

/* A line of at most so many octets for each of SMTP_RECIPIENTS_MAX recipients fits into what
 * OUTPUT_OCTETS_MAX leaves when feed stops at half of it. */
#define SMTP_REPLY_MAX 256

_Static_assert(SMTP_RECIPIENTS_MAX *SMTP_REPLY_MAX + 2 * SMTP_LINE_MAX < OUTPUT_OCTETS_MAX / 2,
	       "the replies of a message fit");

/* ---- life ---- */

struct smtp_server *smtp_server_new(const struct smtp_server_options *options)
{
	struct smtp_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return NULL;
	server->options = options;
	line_reader_init(&server->line, SMTP_LINE_MAX, LINE_ENDS_IN_CRLF_ONLY);
	buffer_init(&server->output, OUTPUT_OCTETS_MAX);
	return server;
}

static void free_decoded(struct smtp_server *server)
{
	free(server->decoded);
	server->decoded = NULL;
}

static void reset_transaction(struct smtp_server *server)
{
	kept_drop(&server->sender);
	kept_drop(&server->refusal_text);
	free_decoded(server);
	server->refusal = NULL;
	server->has_sender = false;
	server->recipients = 0;
	server->answered = 0;
}

void smtp_server_free(struct smtp_server *server)
{
	if (server == NULL)
		return;
	reset_transaction(server);
	kept_drop(&server->helo);
	kept_drop(&server->recipient);
	line_reader_free(&server->line);
	buffer_free(&server->output);
	free(server);
}

/* ---- output ---- */

void smtp_close(struct smtp_server *server)
{
	/* What was handed to the owner with MESSAGE is the owner's to finish or to drop. */
	if (server->stage == SMTP_STAGE_OPEN && server->event == SMTP_MESSAGE)
		server->recipients = 0;
	server->stage = SMTP_STAGE_CLOSED;
}

void smtp_emit(struct smtp_server *server, const char *format, ...)
{
	va_list arguments;
	bool fits;

	if (server->stage == SMTP_STAGE_CLOSED)
		return;
	va_start(arguments, format);
	fits = buffer_vprint(&server->output, format, arguments);
	va_end(arguments);
	if (!fits)
		smtp_close(server);
}

void smtp_reply(struct smtp_server *server, const char *status, const char *text)
{
	if (server->stage == SMTP_STAGE_CLOSED)
		return;
	if (!reply_append(&server->output, status, NULL, text, SMTP_REPLY_MAX))
		smtp_close(server);
}

void smtp_reply_no_memory(struct smtp_server *server)
{
	smtp_reply(server, "451 4.3.0", "out of memory");
}

void smtp_reply_bad(struct smtp_server *server, const char *status, const char *text)
{
	if (++server->bad_commands < SMTP_BAD_COMMANDS_MAX) {
		smtp_reply(server, status, text);
		return;
	}
	smtp_reply(server, "421 4.7.0", "too many bad commands, good-bye");
	smtp_close(server);
}

struct bytes smtp_server_output(const struct smtp_server *server)
{
	return buffer_bytes(&server->output);
}

void smtp_server_sent(struct smtp_server *server, size_t count)
{
	assert(count <= server->output.length);
	buffer_remove_front(&server->output, count);
	if (server->output.length == 0)
		buffer_free(&server->output);
}

/* ---- greeting and end ---- */

void smtp_server_reject_bare_lf(struct smtp_server *server)
{
	server->rejects_bare_lf = true;
}

void smtp_server_offer_tls(struct smtp_server *server)
{
	server->offers_tls = true;
}

void smtp_server_greet(struct smtp_server *server)
{
	smtp_emit(server, "220 %s %s\r\n", server->options->host,
		  server->options->lmtp ? "LMTP ready" : "ESMTP ready");
}

void smtp_server_refuse(struct smtp_server *server, const char *text)
{
	smtp_reply(server, "421 4.3.2", text);
	smtp_close(server);
}

/* Amid a message nobody reads replies before its end. */
static bool amid_data(const struct smtp_server *server)
{
	return server->decoded != NULL &&
	       !(server->event == SMTP_BEGIN &&
		 (server->stage == SMTP_STAGE_READY || server->stage == SMTP_STAGE_OPEN));
}

void smtp_server_end(struct smtp_server *server, const char *text)
{
	if (!amid_data(server))
		smtp_reply(server, "421 4.3.2", text);
	smtp_close(server);
}

bool smtp_server_busy(const struct smtp_server *server)
{
	return server->stage == SMTP_STAGE_READY || server->stage == SMTP_STAGE_OPEN;
}

/* ---- events ---- */

void smtp_ask(struct smtp_server *server, enum smtp_event_kind event)
{
	if (server->stage == SMTP_STAGE_CLOSED)
		return;
	server->stage = SMTP_STAGE_READY;
	server->event = event;
}

void smtp_abort(struct smtp_server *server)
{
	if (server->recipients > 0)
		smtp_ask(server, SMTP_ABORT);
	else
		reset_transaction(server);
}

static void fill_event(const struct smtp_server *server, struct smtp_event *event_out)
{
	*event_out = (struct smtp_event){.kind = server->event};
	switch (server->event) {
	case SMTP_RECIPIENT:
		event_out->recipient = server->recipient;
		event_out->declared_octets = server->declared_octets;
		break;
	case SMTP_BEGIN:
		event_out->sender = server->sender;
		event_out->helo = server->helo;
		event_out->declared_octets = server->declared_octets;
		event_out->eight_bit = server->eight_bit;
		event_out->extended = server->extended;
		event_out->recipients = server->recipients;
		break;
	case SMTP_BODY:
		event_out->body = (struct bytes){server->decoded, server->decoded_length};
		break;
	case SMTP_MESSAGE:
		event_out->recipients = server->recipients;
		break;
	case SMTP_START_TLS:
	case SMTP_ABORT:
	case SMTP_CLOSE:
		break;
	}
}

static void next_when_closed(struct smtp_server *server, struct smtp_event *event_out)
{
	bool owner_knows = server->recipients > 0;

	reset_transaction(server);
	*event_out = (struct smtp_event){.kind = owner_knows ? SMTP_ABORT : SMTP_CLOSE};
}

bool smtp_server_next(struct smtp_server *server, struct smtp_event *event_out)
{
	if (server->stage == SMTP_STAGE_CLOSED) {
		next_when_closed(server, event_out);
		return true;
	}
	if (server->stage != SMTP_STAGE_READY)
		return false;
	fill_event(server, event_out);
	server->stage = SMTP_STAGE_OPEN;
	if (server->event == SMTP_ABORT) {
		reset_transaction(server);
		server->stage = SMTP_STAGE_COMMAND;
	}
	return true;
}

/* Takes the answer to the open event; false when the connection has been ended meanwhile. */
static bool take_answer(struct smtp_server *server, enum smtp_event_kind event)
{
	if (server->stage == SMTP_STAGE_CLOSED)
		return false;
	assert(server->stage == SMTP_STAGE_OPEN && server->event == event);
	server->stage = SMTP_STAGE_COMMAND;
	return true;
}

/* ---- the message ---- */

bool smtp_prepare_data(struct smtp_server *server)
{
	server->decoded = malloc(SMTP_BODY_MAX);
	wire_decoder_init(&server->decoder, WIRE_CRLF_ONLY, true);
	server->size = (struct wire_size){.octets = 0};
	return server->decoded != NULL;
}

static bool has_bare_lf(const struct smtp_server *server)
{
	return server->rejects_bare_lf && server->decoder.bare_lf;
}

static bool is_too_large(const struct smtp_server *server)
{
	return wire_size_octets(&server->size) > server->options->octets_max;
}

/* From then on the message is read to its end, and the owner hears no more of it. */
static bool is_refused(const struct smtp_server *server)
{
	return server->refusal != NULL || has_bare_lf(server) || is_too_large(server);
}

static void reply_to_all(struct smtp_server *server, const char *status, const char *text)
{
	uint32_t replies = server->options->lmtp ? server->recipients : 1;

	for (uint32_t i = 0; i < replies; i++)
		smtp_reply(server, status, text);
}

/* Where there are several reasons, the one that is given does not depend on how the message was cut
 * into pieces. */
static void reply_refusal(struct smtp_server *server)
{
	char text[SMTP_REPLY_MAX];

	if (has_bare_lf(server)) {
		reply_to_all(server, "550 5.6.0", "a bare LF is no line end in SMTP");
		return;
	}
	if (is_too_large(server)) {
		reply_to_all(server, "552 5.3.4", "the message is too large");
		return;
	}
	(void)bytes_to_string(bytes_first(server->refusal_text, sizeof(text) - 1), text,
			      sizeof(text));
	reply_to_all(server, server->refusal, text);
}

static void end_message(struct smtp_server *server)
{
	free_decoded(server);
	server->stage = SMTP_STAGE_COMMAND;
	if (!is_refused(server)) {
		smtp_ask(server, SMTP_MESSAGE);
		return;
	}
	reply_refusal(server);
	smtp_abort(server);
}

static void take_data(struct smtp_server *server, struct bytes *in)
{
	size_t taken = wire_decode(&server->decoder, bytes_first(*in, SMTP_BODY_MAX - 2),
				   server->decoded, &server->decoded_length);

	*in = bytes_skip(*in, taken);
	wire_size_add(&server->size, (struct bytes){server->decoded, server->decoded_length});
	if (server->decoded_length > 0 && !is_refused(server))
		smtp_ask(server, SMTP_BODY);
	else if (wire_decoder_at_end(&server->decoder))
		end_message(server);
}

/* ---- input ---- */

/* A connection that never delivers anything is not kept up for ever by commands that are no errors,
 * and nobody tries out one recipient after the other. */
static void run_line(struct smtp_server *server, struct bytes line)
{
	if (server->helo.data == NULL && line_is_http(line)) {
		smtp_close(server);
	} else if (server->commands == SMTP_COMMANDS_MAX) {
		smtp_reply(server, "421 4.7.0", "too many commands for no message, good-bye");
		smtp_close(server);
	} else if (line.length > 0 && memchr(line.data, '\n', line.length) != NULL) {
		smtp_reply_bad(server, "500 5.5.2", "a line ends in CR LF, and in nothing else");
	} else {
		server->commands++;
		smtp_command_run(server, line);
	}
}

static void take_line(struct smtp_server *server, struct bytes *in)
{
	struct bytes line;

	switch (line_reader_next(&server->line, in, NULL, 0, &line)) {
	case LINE_PARTIAL:
		return;
	case LINE_COMPLETE:
		run_line(server, line);
		break;
	case LINE_TOO_LONG:
		smtp_reply_bad(server, "500 5.5.2", "line too long");
		break;
	case LINE_LOST:
		smtp_reply_no_memory(server);
		break;
	}
	line_reader_free(&server->line);
}

size_t smtp_server_feed(struct smtp_server *server, struct bytes in)
{
	struct bytes rest = in;

	while (rest.length > 0 && server->output.length < OUTPUT_OCTETS_MAX / 2) {
		if (server->stage == SMTP_STAGE_COMMAND)
			take_line(server, &rest);
		else if (server->stage == SMTP_STAGE_DATA)
			take_data(server, &rest);
		else
			break;
	}
	return in.length - rest.length;
}

/* ---- answers ---- */

void smtp_server_recipient(struct smtp_server *server, enum error_code outcome, const char *text)
{
	bool open = take_answer(server, SMTP_RECIPIENT);

	kept_drop(&server->recipient);
	if (!open)
		return;
	switch (outcome) {
	case ERROR_NONE:
		server->recipients++;
		smtp_reply(server, "250 2.1.5", text != NULL ? text : "recipient accepted");
		break;
	case ERROR_NO_USER:
		smtp_reply(server, "550 5.1.1", text != NULL ? text : "no such user here");
		break;
	case ERROR_NOT_LOCAL:
		smtp_reply(server, "550 5.7.1", text != NULL ? text : "relaying denied");
		break;
	case ERROR_DENIED:
		smtp_reply(server, "550 5.2.1", text != NULL ? text : "this mailbox is disabled");
		break;
	case ERROR_FULL:
		smtp_reply(server, "452 4.2.2", text != NULL ? text : "this mailbox is full");
		break;
	default:
		smtp_reply(server, error_meaning(outcome)->smtp,
			   text != NULL ? text : "recipient not accepted");
	}
}

void smtp_server_begun(struct smtp_server *server, enum error_code outcome, const char *text)
{
	if (!take_answer(server, SMTP_BEGIN))
		return;
	if (outcome != ERROR_NONE) {
		free_decoded(server);
		smtp_reply(server, error_meaning(outcome)->smtp,
			   text != NULL ? text : "no message is taken at the moment");
		return;
	}
	server->stage = SMTP_STAGE_DATA;
	smtp_reply(server, "354", text != NULL ? text : "send the message, end with <CRLF>.<CRLF>");
}

void smtp_server_taken(struct smtp_server *server, enum error_code outcome, const char *text)
{
	if (!take_answer(server, SMTP_BODY))
		return;
	server->stage = SMTP_STAGE_DATA;
	if (outcome != ERROR_NONE) {
		server->refusal = error_meaning(outcome)->smtp;
		/* Without memory the status goes out alone. */
		(void)kept_set(&server->refusal_text,
			       bytes_of(text != NULL ? text : "the message could not be taken"));
	}
	if (wire_decoder_at_end(&server->decoder))
		end_message(server);
}

void smtp_server_delivered(struct smtp_server *server, uint32_t index, enum error_code outcome,
			   const char *text)
{
	bool lmtp = server->options->lmtp;

	if (!take_answer(server, SMTP_MESSAGE))
		return;
	assert(index == server->answered);
	/* Open until the last one is answered; smtp_close() looks at the stage. */
	server->stage = SMTP_STAGE_OPEN;
	server->answered++;
	if (outcome == ERROR_NONE)
		server->commands = 0;
	if (outcome == ERROR_NONE)
		smtp_reply(server, lmtp ? "250 2.1.5" : "250 2.0.0",
			   text != NULL ? text : "delivered");
	else
		smtp_reply(server, error_meaning(outcome)->smtp,
			   text != NULL ? text : "not delivered");
	if (server->stage == SMTP_STAGE_CLOSED || (lmtp && server->answered < server->recipients))
		return;
	reset_transaction(server);
	server->stage = SMTP_STAGE_COMMAND;
}

void smtp_server_secured(struct smtp_server *server)
{
	if (!take_answer(server, SMTP_START_TLS))
		return;
	kept_drop(&server->helo);
	server->bad_commands = 0;
	server->offers_tls = false;
	smtp_abort(server);
}
