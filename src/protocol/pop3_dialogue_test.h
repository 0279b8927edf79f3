/*
 * pop3_dialogue_test: the owner of a POP3 engine in tests: canned accounts, a canned maildrop,
 * faults on demand; and the ways in which a dialogue is run.
 *
 * Each row is run whole, octet by octet, split in two at every point, and with output taken a few
 * octets at a time; output and events must be the same each time.
 */
#ifndef PROTOCOL_POP3_DIALOGUE_TEST_H
#define PROTOCOL_POP3_DIALOGUE_TEST_H

#include "base/test.h"

#include <inttypes.h>

#include "protocol/memory_test.h"
#include "protocol/pop3_server_private.h"

/* ---- the owner: canned accounts and a canned maildrop ---- */

enum fault {
	FAULT_NONE,
	FAULT_BODY,      /* the body breaks off */
	FAULT_DAMAGED,   /* the message fails its check */
	FAULT_TEMPORARY, /* the message cannot be read now */
	FAULT_TABLE,     /* no entry can be read */
	FAULT_BLOCK,     /* entries behind the first block cannot be read */
	FAULT_UPDATE
};

struct row {
	const char *name;
	uint32_t messages;
	enum fault fault;
	bool insecure, test_commands, stls, apop;
	struct bytes in, out, events;
};

struct dialogue {
	const struct row *row;
	struct pop3_server *server;
	struct buffer out, events;
	size_t take; /* octets of output taken at a time */
	bool closed;
};

static void note(struct dialogue *dialogue, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	/* The bookkeeping of the test must not be what runs out of memory. */
	long left = memory_left;
	memory_left = -1;
	assert_true(buffer_vprint(&dialogue->events, format, arguments));
	memory_left = left;
	va_end(arguments);
}

static void note_octets(struct dialogue *dialogue, struct bytes octets)
{
	long left = memory_left;

	memory_left = -1;
	assert_true(buffer_append(&dialogue->out, octets));
	memory_left = left;
}

static void send_some(struct dialogue *dialogue)
{
	struct bytes output = bytes_first(pop3_server_output(dialogue->server), dialogue->take);

	assert_true(pop3_server_output(dialogue->server).length <= OUTPUT_OCTETS_MAX);
	note_octets(dialogue, output);
	pop3_server_sent(dialogue->server, output.length);
}

static void send_all(struct dialogue *dialogue)
{
	while (pop3_server_output(dialogue->server).length > 0)
		send_some(dialogue);
}

static void note_login(struct dialogue *dialogue, const struct pop3_event *event)
{
	static const char *const words[] = {
		[POP3_USER] = "login", [POP3_PLAIN] = "plain", [POP3_APOP] = "apop"};

	note(dialogue, "%s(", words[event->mechanism]);
	if (event->authorize.length > 0)
		note(dialogue, "%.*s=", (int)event->authorize.length, event->authorize.data);
	note(dialogue, "%.*s,%.*s", (int)event->user.length, event->user.data,
	     (int)event->password.length, event->password.data);
	if (event->mechanism == POP3_APOP)
		note(dialogue, ",%.*s", (int)event->challenge.length, event->challenge.data);
	note(dialogue, ")");
}

static void answer_login(struct dialogue *dialogue, const struct pop3_event *event)
{
	static const struct {
		const char *user, *password, *text;
		enum pop3_login login;
	} logins[] = {
		{"alice", "secret", NULL, POP3_LOGIN_OK},
		{"alice", " two  words ", "as you like", POP3_LOGIN_OK},
		{"busy", "secret", NULL, POP3_LOGIN_IN_USE},
		{"later", "secret", "line one\r\n+OK two", POP3_LOGIN_TEMPORARY},
		{"never", "secret", NULL, POP3_LOGIN_PERMANENT},
	};
	uint64_t octets = 0;

	note_login(dialogue, event);
	for (uint32_t n = 1; n <= dialogue->row->messages; n++)
		octets += 100 + n;
	for (size_t i = 0; i < sizeof(logins) / sizeof(logins[0]); i++) {
		if (bytes_equal(event->user, bytes_of(logins[i].user)) &&
		    bytes_equal(event->password, bytes_of(logins[i].password))) {
			pop3_server_authenticated(dialogue->server, logins[i].login,
						  dialogue->row->messages, octets, logins[i].text);
			return;
		}
	}
	pop3_server_authenticated(dialogue->server, POP3_LOGIN_DENIED, 0, 0, NULL);
}

static void answer_table(struct dialogue *dialogue, const struct pop3_event *event)
{
	struct pop3_entry entries[POP3_LISTING_BLOCK];
	char uids[POP3_LISTING_BLOCK][24];

	assert_in_range(event->count, 1, POP3_LISTING_BLOCK);
	assert_in_range(event->first, 1, dialogue->row->messages);
	assert_in_range(event->first + event->count - 1, 1, dialogue->row->messages);
	note(dialogue, "table(%" PRIu32 ",%" PRIu32 ")", event->first, event->count);
	if (dialogue->row->fault == FAULT_TABLE ||
	    (dialogue->row->fault == FAULT_BLOCK && event->first > 1)) {
		pop3_server_table(dialogue->server, NULL);
		return;
	}
	for (uint32_t i = 0; i < event->count; i++) {
		int length = snprintf(uids[i], sizeof(uids[i]), "u%" PRIu32, event->first + i);

		entries[i] = (struct pop3_entry){100 + event->first + i, {uids[i], (size_t)length}};
	}
	pop3_server_table(dialogue->server, entries);
}

static void answer_body(struct dialogue *dialogue, const struct pop3_event *event)
{
	static const enum pop3_body bodies[] = {
		[FAULT_DAMAGED] = POP3_BODY_DAMAGED, [FAULT_TEMPORARY] = POP3_BODY_TEMPORARY};
	enum fault fault = dialogue->row->fault;

	if (event->lines == POP3_ALL_LINES)
		note(dialogue, "body(%" PRIu32 ")", event->number);
	else
		note(dialogue, "body(%" PRIu32 ",%" PRIu64 ")", event->number, event->lines);
	if (fault == FAULT_DAMAGED || fault == FAULT_TEMPORARY) {
		pop3_server_body(dialogue->server, bodies[fault], 0);
		return;
	}
	pop3_server_body(dialogue->server, POP3_BODY_FOLLOWS, 100 + event->number);
	send_all(dialogue);
	if (pop3_server_next(dialogue->server, &(struct pop3_event){0}))
		return; /* the reply found no memory */
	assert_int_equal(pop3_server_feed(dialogue->server, BYTES("NOOP\r\n")), 0);
	note_octets(dialogue, BYTES("..body\r\n"));
	pop3_server_body_done(dialogue->server, fault != FAULT_BODY);
}

static void answer(struct dialogue *dialogue, const struct pop3_event *event)
{
	struct pop3_event second;

	if (event->kind != POP3_CLOSE) {
		assert_false(pop3_server_next(dialogue->server, &second));
		assert_int_equal(pop3_server_feed(dialogue->server, BYTES("NOOP\r\n")), 0);
		assert_true(pop3_server_busy(dialogue->server));
	}
	switch (event->kind) {
	case POP3_AUTHENTICATE:
		answer_login(dialogue, event);
		break;
	case POP3_START_TLS:
		note(dialogue, "tls");
		send_all(dialogue);
		pop3_server_secured(dialogue->server, true);
		break;
	case POP3_TABLE:
		answer_table(dialogue, event);
		break;
	case POP3_BODY:
		answer_body(dialogue, event);
		break;
	case POP3_UPDATE_MAILDROP:
		note(dialogue, "update(%" PRIu32, event->deleted_count);
		for (uint32_t i = 0; event->deleted != NULL && i < dialogue->row->messages; i++)
			note(dialogue, "%s%d", i == 0 ? ":" : "",
			     event->deleted[i / 8] >> i % 8 & 1);
		note(dialogue, ")");
		pop3_server_updated(dialogue->server, dialogue->row->fault != FAULT_UPDATE);
		break;
	case POP3_TRY:
		note(dialogue, "try(%.*s)", (int)event->argument.length, event->argument.data);
		pop3_server_tried(dialogue->server, "refused");
		break;
	case POP3_CLOSE:
		note(dialogue, event->quit ? "quit" : "close");
		dialogue->closed = true;
		break;
	}
}

static void pump(struct dialogue *dialogue)
{
	struct pop3_event event;

	do {
		while (!dialogue->closed && pop3_server_next(dialogue->server, &event))
			answer(dialogue, &event);
		send_some(dialogue);
	} while (pop3_server_output(dialogue->server).length > 0);
	if (!dialogue->closed && pop3_server_next(dialogue->server, &event)) {
		answer(dialogue, &event);
		pump(dialogue);
	}
}

static void say(struct dialogue *dialogue, struct bytes in)
{
	while (in.length > 0 && !dialogue->closed) {
		size_t taken = pop3_server_feed(dialogue->server, in);

		in = bytes_skip(in, taken);
		pump(dialogue);
	}
	if (dialogue->closed)
		assert_int_equal(pop3_server_feed(dialogue->server, BYTES("NOOP\r\n")), 0);
}

static void prepare(struct pop3_server *server, const struct row *row)
{
	pop3_server_set_secure(server, !row->insecure);
	pop3_server_set_stls(server, row->stls);
	if (!row->apop)
		return;
	pop3_server_greet(server, "host", NULL, "<1.2@host>");
	pop3_server_sent(server, pop3_server_output(server).length);
}

static void dialogue_begin(struct dialogue *dialogue, const struct row *row, size_t take)
{
	static struct pop3_server_options options = {.implementation = "Postern"};

	*dialogue = (struct dialogue){.row = row, .take = take};
	options.test_commands = row->test_commands;
	buffer_init(&dialogue->out, 4 << 20);
	buffer_init(&dialogue->events, 1 << 20);
	dialogue->server = pop3_server_new(&options);
	if (dialogue->server != NULL)
		prepare(dialogue->server, row);
}

static void dialogue_end(struct dialogue *dialogue)
{
	buffer_free(&dialogue->out);
	buffer_free(&dialogue->events);
	pop3_server_free(dialogue->server);
}

/* The input goes in in two parts, each in pieces of `piece` octets. */
static void run_row(const struct row *row, size_t split, size_t piece, size_t take)
{
	struct bytes parts[2] = {bytes_first(row->in, split), bytes_skip(row->in, split)};
	struct dialogue dialogue;

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
	test_row(row->name);
	run_row(row, 0, SIZE_MAX, SIZE_MAX);
	run_row(row, 0, SIZE_MAX, 7);
	run_row(row, 0, 1, SIZE_MAX);
	for (size_t split = 1; split < row->in.length; split++)
		run_row(row, split, SIZE_MAX, SIZE_MAX);
}

/* ---- words of dialogues ---- */

#define LOGIN                     "USER alice\r\nPASS secret\r\n"
#define WELCOME_USER              "+OK send PASS\r\n"
#define WELCOME(messages, octets) WELCOME_USER "+OK " #messages " messages (" #octets " octets)\r\n"
#define BAD                       "-ERR no such command\r\n"
#define BYE                       "+OK good-bye\r\n"
#define TOO_MANY                  "-ERR too many bad commands, good-bye\r\n"
#define DENIED                    "-ERR [AUTH] wrong user or password\r\n"
#define NO_CLEAR                  "-ERR use TLS: passwords are not taken in the clear\r\n"
#define CAPABILITIES              "RESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\n"

#endif
