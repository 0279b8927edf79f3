/*
 * pop3_server: the engine of a POP3 session, see pop3_server.h.
 *
 * This file keeps the order of things: octets to lines, at most one event, answers to output. What
 * the commands are and do stands in pop3_commands.c.
 *
 * Guarantees: a final dot only behind body_done(true) or a complete listing; +OK to QUIT only
 * behind updated(true); nothing is emitted any more once the session is closed. Must not know:
 * sockets, clocks, stores, accounts.
 */
#include "protocol/pop3_server_private.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/kept.h"
#include "protocol/reply.h"

static const char out_of_memory[] = "out of memory";

/* ---- life ---- */

struct pop3_server *pop3_server_new(const struct pop3_server_options *options)
{
	struct pop3_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return NULL;
	server->options = options;
	server->state = POP3_AUTHORIZATION;
	line_reader_init(&server->line, POP3_LINE_MAX, LINE_ENDS_IN_LF);
	buffer_init(&server->output, OUTPUT_OCTETS_MAX);
	return server;
}

void pop3_server_free(struct pop3_server *server)
{
	if (server == NULL)
		return;
	line_reader_free(&server->line);
	buffer_free(&server->output);
	pop3_forget(server);
	kept_drop(&server->challenge);
	free(server->deleted);
	free(server);
}

void pop3_server_set_secure(struct pop3_server *server, bool login_allowed)
{
	server->login_allowed = login_allowed;
}

void pop3_server_set_stls(struct pop3_server *server, bool possible)
{
	server->stls_possible = possible;
}

void pop3_forget(struct pop3_server *server)
{
	kept_drop(&server->user);
	kept_drop(&server->argument);
}

/* ---- output ---- */

void pop3_close(struct pop3_server *server, const char *reason)
{
	if (server->stage != POP3_STAGE_CLOSED)
		server->reason = reason;
	server->stage = POP3_STAGE_CLOSED;
}

void pop3_emit(struct pop3_server *server, const char *format, ...)
{
	va_list arguments;
	bool fits;

	if (server->stage == POP3_STAGE_CLOSED)
		return;
	va_start(arguments, format);
	fits = buffer_vprint(&server->output, format, arguments);
	va_end(arguments);
	if (!fits)
		pop3_close(server, out_of_memory);
}

void pop3_emit_bytes(struct pop3_server *server, struct bytes octets)
{
	if (server->stage == POP3_STAGE_CLOSED)
		return;
	if (!buffer_append(&server->output, octets))
		pop3_close(server, out_of_memory);
}

static void reply(struct pop3_server *server, const char *status, const char *code,
		  const char *text)
{
	if (server->stage == POP3_STAGE_CLOSED)
		return;
	if (!reply_append(&server->output, status, code, text, POP3_REPLY_MAX))
		pop3_close(server, out_of_memory);
}

void pop3_reply_ok(struct pop3_server *server, const char *text)
{
	reply(server, "+OK", NULL, text);
}

void pop3_reply_error(struct pop3_server *server, const char *code, const char *text)
{
	reply(server, "-ERR", code, text);
}

void pop3_reply_bad(struct pop3_server *server, const char *text)
{
	unsigned max = server->state == POP3_AUTHORIZATION ? POP3_BAD_COMMANDS_MAX
							   : POP3_BAD_COMMANDS_LOGGED_IN_MAX;

	if (++server->bad_commands < max) {
		pop3_reply_error(server, NULL, text);
		return;
	}
	pop3_reply_error(server, NULL, "too many bad commands, good-bye");
	pop3_close(server, "too many bad commands");
}

struct bytes pop3_server_output(const struct pop3_server *server)
{
	return buffer_bytes(&server->output);
}

void pop3_server_sent(struct pop3_server *server, size_t count)
{
	assert(count <= server->output.length);
	buffer_remove_front(&server->output, count);
	if (server->output.length == 0)
		buffer_free(&server->output);
}

/* ---- greeting and end ---- */

/* "<a@b>" in a greeting offers APOP (RFC 1939 section 7), so nothing else may look like it. */
void pop3_server_greet(struct pop3_server *server, const char *host, const char *session,
		       const char *timestamp)
{
	char text[POP3_REPLY_MAX];
	bool apop = timestamp != NULL && kept_set(&server->challenge, bytes_of(timestamp));

	snprintf(text, sizeof(text), "POP3 server ready%s%s%s%s",
		 session != NULL ? ", session " : "", session != NULL ? session : "",
		 apop ? " " : "", apop ? timestamp : "");
	reply(server, "+OK", host, text);
}

void pop3_server_refuse(struct pop3_server *server, const char *response_code, const char *text)
{
	pop3_reply_error(server, response_code, text);
	pop3_close(server, NULL);
}

static bool amid_answer(const struct pop3_server *server)
{
	bool asked = server->stage == POP3_STAGE_READY || server->stage == POP3_STAGE_OPEN;

	return server->stage == POP3_STAGE_BODY || server->begun || server->state == POP3_UPDATE ||
	       (asked && server->event == POP3_START_TLS);
}

void pop3_server_end(struct pop3_server *server, const char *response_code, const char *text)
{
	if (!amid_answer(server))
		pop3_reply_error(server, response_code, text);
	pop3_close(server, NULL);
}

enum pop3_state pop3_server_state(const struct pop3_server *server)
{
	return (enum pop3_state)server->state;
}

bool pop3_server_busy(const struct pop3_server *server)
{
	return server->stage != POP3_STAGE_COMMAND && server->stage != POP3_STAGE_CLOSED;
}

/* ---- input ---- */

static void lose_line(struct pop3_server *server, bool too_long)
{
	pop3_exchange_end(server);
	if (too_long)
		pop3_reply_bad(server, "line too long");
	else
		pop3_reply_error(server, "[SYS/TEMP]", out_of_memory);
}

static void take_line(struct pop3_server *server, struct bytes *in)
{
	const char *long_word = server->exchange ? NULL : "PASS ";
	struct bytes line;
	enum line_result result;

	if (server->state == POP3_AUTHORIZATION && line_reader_is_foreign(&server->line, *in)) {
		*in = (struct bytes){NULL, 0};
		line_reader_free(&server->line);
		pop3_close(server, "not POP3");
		return;
	}
	result = line_reader_next(&server->line, in, long_word, POP3_PASS_LINE_MAX, &line);
	if (result == LINE_PARTIAL)
		return;
	if (result != LINE_COMPLETE)
		lose_line(server, result == LINE_TOO_LONG);
	else if (server->exchange)
		pop3_exchange_line(server, line);
	else
		pop3_command_run(server, line);
	line_reader_free(&server->line);
}

size_t pop3_server_feed(struct pop3_server *server, struct bytes in)
{
	struct bytes rest = in;

	while (rest.length > 0 && server->stage == POP3_STAGE_COMMAND &&
	       server->output.length < POP3_OUTPUT_DRAINED)
		take_line(server, &rest);
	return in.length - rest.length;
}

/* ---- events ---- */

void pop3_ask(struct pop3_server *server, enum pop3_event_kind event)
{
	assert(server->stage == POP3_STAGE_COMMAND || server->stage == POP3_STAGE_DRAIN);
	server->stage = POP3_STAGE_READY;
	server->event = event;
}

static void fill_event(const struct pop3_server *server, struct pop3_event *event_out)
{
	*event_out = (struct pop3_event){.kind = server->event};
	switch (server->event) {
	case POP3_AUTHENTICATE:
		pop3_fill_login(server, event_out);
		break;
	case POP3_TABLE:
		event_out->first = server->first;
		event_out->count = server->count;
		break;
	case POP3_BODY:
		event_out->number = server->first;
		event_out->lines = server->lines;
		break;
	case POP3_UPDATE_MAILDROP:
		event_out->deleted = server->deleted_count > 0 ? server->deleted : NULL;
		event_out->deleted_count = server->deleted_count;
		break;
	case POP3_TRY:
		event_out->argument = server->argument;
		break;
	case POP3_START_TLS:
	case POP3_CLOSE:
		break;
	}
}

static void ask_block(struct pop3_server *server);

bool pop3_server_next(struct pop3_server *server, struct pop3_event *event_out)
{
	if (server->stage == POP3_STAGE_DRAIN && server->output.length < POP3_OUTPUT_DRAINED)
		ask_block(server);
	if (server->stage == POP3_STAGE_CLOSED) {
		*event_out = (struct pop3_event){
			.kind = POP3_CLOSE, .quit = server->quit, .reason = server->reason};
		return true;
	}
	if (server->stage != POP3_STAGE_READY)
		return false;
	fill_event(server, event_out);
	server->stage = POP3_STAGE_OPEN;
	return true;
}

/* Takes the answer to the open event; false when the session has been ended meanwhile. */
static bool take_answer(struct pop3_server *server, enum pop3_event_kind event)
{
	if (server->stage == POP3_STAGE_CLOSED)
		return false;
	assert(server->stage == POP3_STAGE_OPEN && server->event == event);
	server->stage = POP3_STAGE_COMMAND;
	return true;
}

/* ---- answers: login ---- */

static void begin_transaction(struct pop3_server *server, uint32_t messages, uint64_t octets,
			      const char *text)
{
	kept_drop(&server->challenge);
	server->state = POP3_TRANSACTION;
	server->messages = messages;
	server->octets = octets;
	server->octets_at_login = octets;
	if (text != NULL)
		pop3_reply_ok(server, text);
	else
		pop3_emit(server, "+OK %" PRIu32 " messages (%" PRIu64 " octets)\r\n", messages,
			  octets);
}

static void refuse_login(struct pop3_server *server, enum pop3_login login, const char *text)
{
	static const struct {
		const char *code, *text;
	} refusals[] = {
		[POP3_LOGIN_DENIED] = {"[AUTH]", "wrong user or password"},
		[POP3_LOGIN_IN_USE] = {"[IN-USE]", "another session has this maildrop"},
		[POP3_LOGIN_TEMPORARY] = {"[SYS/TEMP]", "no login at the moment, try later"},
		[POP3_LOGIN_PERMANENT] = {"[SYS/PERM]", "this maildrop cannot be opened"},
	};

	assert(login > POP3_LOGIN_OK && login <= POP3_LOGIN_PERMANENT);
	pop3_reply_error(server, refusals[login].code, text != NULL ? text : refusals[login].text);
	if (++server->login_tries >= POP3_LOGIN_TRIES_MAX)
		pop3_close(server, "too many failed logins");
}

void pop3_server_authenticated(struct pop3_server *server, enum pop3_login login, uint32_t messages,
			       uint64_t octets, const char *text)
{
	bool open = take_answer(server, POP3_AUTHENTICATE);

	pop3_forget(server);
	if (!open)
		return;
	if (login == POP3_LOGIN_OK)
		begin_transaction(server, messages, octets, text);
	else
		refuse_login(server, login, text);
}

/* How often a login was tried is all that is kept: a guesser must not get more tries by it. */
void pop3_server_secured(struct pop3_server *server, bool login_allowed)
{
	if (!take_answer(server, POP3_START_TLS))
		return;
	pop3_forget(server);
	server->bad_commands = 0;
	server->stls_possible = false;
	server->login_allowed = login_allowed;
}

/* ---- answers: entries ---- */

bool pop3_is_deleted(const struct pop3_server *server, uint32_t number)
{
	uint32_t bit = number - 1;

	return server->deleted != NULL && (server->deleted[bit / 8] >> bit % 8 & 1) != 0;
}

void pop3_ask_entry(struct pop3_server *server, uint32_t number, pop3_entry_handler *on_entry)
{
	server->on_entry = on_entry;
	server->first = number;
	server->count = 1;
	pop3_ask(server, POP3_TABLE);
}

static void begin_listing(struct pop3_server *server)
{
	if (!server->begun)
		pop3_emit(server, "+OK %" PRIu32 " messages\r\n",
			  server->messages - server->deleted_count);
	server->begun = true;
}

static void end_listing(struct pop3_server *server)
{
	begin_listing(server);
	pop3_emit(server, ".\r\n");
	server->listing = false;
	server->begun = false;
	if (server->stage != POP3_STAGE_CLOSED)
		server->stage = POP3_STAGE_COMMAND;
}

/* Asks for the block at `first`, or ends the listing where no message is left. */
static void ask_block(struct pop3_server *server)
{
	uint32_t left;

	while (server->first <= server->messages && pop3_is_deleted(server, server->first))
		server->first++;
	if (server->first > server->messages) {
		end_listing(server);
		return;
	}
	left = server->messages - server->first + 1;
	server->count = left < POP3_LISTING_BLOCK ? left : POP3_LISTING_BLOCK;
	pop3_ask(server, POP3_TABLE);
}

void pop3_ask_listing(struct pop3_server *server, pop3_entry_handler *on_entry)
{
	server->listing = true;
	server->on_entry = on_entry;
	server->first = 1;
	ask_block(server);
}

static void list_block(struct pop3_server *server, const struct pop3_entry *entries)
{
	begin_listing(server);
	for (uint32_t i = 0; i < server->count; i++) {
		if (!pop3_is_deleted(server, server->first + i))
			server->on_entry(server, server->first + i, &entries[i]);
	}
	if (server->stage == POP3_STAGE_CLOSED)
		return;
	server->first += server->count;
	server->stage = POP3_STAGE_DRAIN;
	/* The end of a listing needs no event: nobody has to ask for it. */
	if (server->first > server->messages)
		end_listing(server);
}

static void fail_table(struct pop3_server *server)
{
	bool begun = server->begun;

	server->listing = false;
	if (begun)
		pop3_close(server, "maildrop cannot be read");
	else
		pop3_reply_error(server, "[SYS/TEMP]", "the maildrop cannot be read");
}

void pop3_server_table(struct pop3_server *server, const struct pop3_entry *entries)
{
	if (!take_answer(server, POP3_TABLE))
		return;
	if (entries == NULL)
		fail_table(server);
	else if (server->listing)
		list_block(server, entries);
	else
		server->on_entry(server, server->first, &entries[0]);
}

/* ---- answers: bodies, update, tests ---- */

void pop3_server_body(struct pop3_server *server, enum pop3_body body, uint64_t octets)
{
	if (!take_answer(server, POP3_BODY))
		return;
	switch (body) {
	case POP3_BODY_FOLLOWS:
		server->stage = POP3_STAGE_BODY;
		if (server->top)
			pop3_reply_ok(server, "top of message follows");
		else
			pop3_emit(server, "+OK %" PRIu64 " octets\r\n", octets);
		break;
	case POP3_BODY_DAMAGED:
		pop3_reply_error(server, "[SYS/PERM]", "this message is damaged");
		break;
	case POP3_BODY_TEMPORARY:
		pop3_reply_error(server, "[SYS/TEMP]", "this message cannot be read at the moment");
		break;
	}
}

void pop3_server_body_done(struct pop3_server *server, bool complete)
{
	if (server->stage == POP3_STAGE_CLOSED)
		return;
	assert(server->stage == POP3_STAGE_BODY);
	if (!complete) {
		pop3_close(server, "message broken off");
		return;
	}
	server->stage = POP3_STAGE_COMMAND;
	pop3_emit(server, ".\r\n");
}

void pop3_server_updated(struct pop3_server *server, bool stable)
{
	if (!take_answer(server, POP3_UPDATE_MAILDROP))
		return;
	if (stable)
		pop3_reply_ok(server, "good-bye");
	else if (server->deleted_count > 0)
		pop3_reply_error(server, "[SYS/TEMP]",
				 "none or only some of the deleted messages were removed");
	else
		pop3_reply_error(server, "[SYS/TEMP]",
				 "the maildrop was not closed as it should be");
	pop3_close(server, stable ? "quit" : "maildrop not updated");
}

void pop3_server_tried(struct pop3_server *server, const char *outcome)
{
	bool open = take_answer(server, POP3_TRY);

	kept_drop(&server->argument);
	if (open)
		pop3_reply_ok(server, outcome);
}
