/*
 * pop3_commands: the table of POP3 commands, and a handler for each.
 *
 * The table is the only place that knows the commands: name, states in which a command is legal,
 * number of arguments, flags, what it adds to CAPA, handler. pop3_command_run() enforces the row
 * before a handler is called, so a handler deals with what is right; CAPA is printed from the same
 * rows, so that what is announced and what is done cannot differ.
 *
 * To add a command: a row and a handler here, rows in pop3_commands_test.c.
 */
#include "protocol/pop3_server_private.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "protocol/kept.h"

enum command_flags {
	COMMAND_REST = 1 << 0, /* one argument, the rest of the line as it is */
	COMMAND_NUMBERED =
		1 << 1,         /* the first argument is a message that exists and is not deleted */
	COMMAND_LOGIN = 1 << 2, /* only where passwords may be sent */
	COMMAND_TEST = 1 << 3,  /* only where the options say so */
	COMMAND_STLS = 1 << 4,  /* only where TLS can begin */
	COMMAND_APOP = 1 << 5,  /* only where the greeting had a timestamp */
	COMMAND_BLANKS = 1 << 6 /* blanks at the end are none of an argument */
};

struct command {
	const char *name;
	unsigned states;
	size_t arguments_min, arguments_max;
	unsigned flags;
	const char *capability; /* RFC 2449 section 6; NULL: none */
	pop3_command_handler *handler;
};

/* ---- TRANSACTION ---- */

static void run_stat(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	(void)arguments;
	pop3_emit(server, "+OK %" PRIu32 " %" PRIu64 "\r\n",
		  server->messages - server->deleted_count, server->octets);
}

/* Digits in front of `end`; returns where they begin. Listings are long: no format string. */
static char *put_digits(uint64_t number, char *end)
{
	do {
		*--end = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	return end;
}

/* "number value", the line of a listing, or behind +OK the answer for a single message. */
static void emit_entry(struct pop3_server *server, uint32_t number, struct bytes value)
{
	char line[4 + 10 + 1 + UID_MAX + 2], *end = line;
	char digits[10], *first = put_digits(number, digits + sizeof(digits));
	size_t count = (size_t)(digits + sizeof(digits) - first);

	assert(value.length <= UID_MAX);
	if (!server->listing)
		end = mempcpy(end, "+OK ", 4);
	end = mempcpy(end, first, count);
	*end++ = ' ';
	end = mempcpy(end, value.data, value.length);
	end = mempcpy(end, "\r\n", 2);
	pop3_emit_bytes(server, (struct bytes){line, (size_t)(end - line)});
}

static void list_entry(struct pop3_server *server, uint32_t number, const struct pop3_entry *entry)
{
	char digits[20], *end = digits + sizeof(digits), *first = put_digits(entry->octets, end);

	emit_entry(server, number, (struct bytes){first, (size_t)(end - first)});
}

static void run_list(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	if (arguments->count > 0)
		pop3_ask_entry(server, arguments->number, list_entry);
	else
		pop3_ask_listing(server, list_entry);
}

static void uidl_entry(struct pop3_server *server, uint32_t number, const struct pop3_entry *entry)
{
	emit_entry(server, number, entry->uid);
}

static void run_uidl(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	if (arguments->count > 0)
		pop3_ask_entry(server, arguments->number, uidl_entry);
	else
		pop3_ask_listing(server, uidl_entry);
}

static void run_retr(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	server->first = arguments->number;
	server->lines = POP3_ALL_LINES;
	server->top = false;
	pop3_ask(server, POP3_BODY);
}

static void run_top(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	if (!number_parse(arguments->list[1], POP3_ALL_LINES - 1, &server->lines)) {
		pop3_reply_bad(server, "not a number of lines");
		return;
	}
	server->first = arguments->number;
	server->top = true;
	pop3_ask(server, POP3_BODY);
}

static void dele_entry(struct pop3_server *server, uint32_t number, const struct pop3_entry *entry)
{
	uint32_t bit = number - 1;

	server->deleted[bit / 8] |= (uint8_t)(1U << bit % 8);
	server->deleted_count++;
	server->octets -= entry->octets < server->octets ? entry->octets : server->octets;
	pop3_reply_ok(server, "marked as deleted");
}

/* The entry is asked for because STAT must know the octets that are left (RFC 1939 section 5). */
static void run_dele(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	if (server->deleted == NULL)
		server->deleted = calloc((server->messages + 7ULL) / 8, 1);
	if (server->deleted == NULL)
		pop3_reply_error(server, "[SYS/TEMP]", "out of memory");
	else
		pop3_ask_entry(server, arguments->number, dele_entry);
}

static void run_rset(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	(void)arguments;
	free(server->deleted);
	server->deleted = NULL;
	server->deleted_count = 0;
	server->octets = server->octets_at_login;
	pop3_reply_ok(server, "nothing is marked as deleted");
}

/* ---- any state ---- */

static void run_noop(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	(void)arguments;
	pop3_reply_ok(server, NULL);
}

static void run_quit(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	(void)arguments;
	server->quit = true;
	if (server->state == POP3_TRANSACTION) {
		server->state = POP3_UPDATE;
		pop3_ask(server, POP3_UPDATE_MAILDROP);
		return;
	}
	pop3_reply_ok(server, "good-bye");
	pop3_close(server, NULL);
}

static void run_try(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	if (!kept_set(&server->argument, arguments->list[0]))
		pop3_reply_error(server, "[SYS/TEMP]", "out of memory");
	else
		pop3_ask(server, POP3_TRY);
}

static void run_capa(struct pop3_server *server, const struct pop3_arguments *arguments);

/* ---- the table ---- */

#define ANY_STATE (POP3_AUTHORIZATION | POP3_TRANSACTION)

static const struct command commands[] = {
	{"TOP", POP3_TRANSACTION, 2, 2, COMMAND_NUMBERED, "TOP", run_top},
	{"UIDL", POP3_TRANSACTION, 0, 1, COMMAND_NUMBERED, "UIDL", run_uidl},
	{"USER", POP3_AUTHORIZATION, 1, 1, COMMAND_REST | COMMAND_LOGIN, "USER", pop3_run_user},
	{"PASS", POP3_AUTHORIZATION, 1, 1, COMMAND_REST | COMMAND_LOGIN, NULL, pop3_run_pass},
	{"APOP", POP3_AUTHORIZATION, 2, 2, COMMAND_APOP, NULL, pop3_run_apop},
	{"AUTH", POP3_AUTHORIZATION, 0, 2, COMMAND_LOGIN | COMMAND_BLANKS, "SASL PLAIN",
	 pop3_run_auth},
	{"STLS", POP3_AUTHORIZATION, 0, 0, COMMAND_STLS, "STLS", pop3_run_stls},
	{"STAT", POP3_TRANSACTION, 0, 0, 0, NULL, run_stat},
	{"LIST", POP3_TRANSACTION, 0, 1, COMMAND_NUMBERED, NULL, run_list},
	{"RETR", POP3_TRANSACTION, 1, 1, COMMAND_NUMBERED, NULL, run_retr},
	{"DELE", POP3_TRANSACTION, 1, 1, COMMAND_NUMBERED, NULL, run_dele},
	{"NOOP", POP3_TRANSACTION, 0, 0, 0, NULL, run_noop},
	{"RSET", POP3_TRANSACTION, 0, 0, 0, NULL, run_rset},
	{"QUIT", ANY_STATE, 0, 0, 0, NULL, run_quit},
	{"CAPA", ANY_STATE, 0, 0, 0, NULL, run_capa},
	{"XTRY", ANY_STATE, 1, 1, COMMAND_REST | COMMAND_TEST, NULL, run_try},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* What a session can do besides its commands. EXPIRE NEVER: Postern removes nothing by itself (RFC
 * 2449 section 6.7). */
static const char *const other_capabilities[] = {"RESP-CODES", "AUTH-RESP-CODE", "PIPELINING",
						 "EXPIRE NEVER"};

/* USER and SASL are announced in both states, where logins are allowed on this connection; STLS
 * before login only (RFC 2449 sections 6.3 and 6.4, RFC 2595 section 4). */
static bool is_offered(const struct pop3_server *server, const struct command *command)
{
	if ((command->flags & COMMAND_STLS) != 0)
		return server->stls_possible && server->state == POP3_AUTHORIZATION;
	return (command->flags & COMMAND_LOGIN) == 0 || server->login_allowed;
}

static void run_capa(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	(void)arguments;
	pop3_reply_ok(server, "capabilities follow");
	for (size_t i = 0; i < COMMANDS; i++) {
		if (commands[i].capability != NULL && is_offered(server, &commands[i]))
			pop3_emit(server, "%s\r\n", commands[i].capability);
	}
	for (size_t i = 0; i < sizeof(other_capabilities) / sizeof(other_capabilities[0]); i++)
		pop3_emit(server, "%s\r\n", other_capabilities[i]);
	/* Not before login: RFC 2449 section 6.9 leaves it to us, and a scanner need not know. */
	if (server->state == POP3_TRANSACTION && server->options->implementation != NULL)
		pop3_emit(server, "IMPLEMENTATION %s\r\n", server->options->implementation);
	pop3_emit(server, ".\r\n");
}

/* ---- lines to commands ---- */

static struct bytes until_space(struct bytes text)
{
	size_t length = 0;

	while (length < text.length && text.data[length] != ' ')
		length++;
	return bytes_first(text, length);
}

static const struct command *find_command(const struct pop3_server *server, struct bytes name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if ((commands[i].flags & COMMAND_TEST) != 0 && !server->options->test_commands)
			continue;
		if ((commands[i].flags & COMMAND_APOP) != 0 && server->challenge.data == NULL)
			continue;
		if (bytes_equal_nocase(name, bytes_of(commands[i].name)))
			return &commands[i];
	}
	return NULL;
}

/* Splits what follows the name, from its space on. Exactly one space stands before an argument, and
 * none is empty (RFC 1939 section 3). */
static bool split(const struct command *command, struct bytes rest,
		  struct pop3_arguments *arguments_out)
{
	*arguments_out = (struct pop3_arguments){.count = 0};
	while ((command->flags & COMMAND_BLANKS) != 0 && rest.length > 0 &&
	       rest.data[rest.length - 1] == ' ')
		rest.length--;
	while (rest.length > 0) {
		struct bytes argument = bytes_skip(rest, 1);

		if ((command->flags & COMMAND_REST) == 0)
			argument = until_space(argument);
		if (argument.length == 0 || arguments_out->count >= command->arguments_max)
			return false;
		arguments_out->list[arguments_out->count++] = argument;
		rest = bytes_skip(rest, argument.length + 1);
	}
	return arguments_out->count >= command->arguments_min;
}

/* Checks a message number; replies when it is none. */
static bool find_message(struct pop3_server *server, struct pop3_arguments *arguments)
{
	uint64_t number;

	if (!number_parse(arguments->list[0], UINT64_MAX, &number)) {
		pop3_reply_bad(server, "not a message number");
		return false;
	}
	if (number == 0 || number > server->messages) {
		pop3_reply_error(server, NULL, "no such message");
		return false;
	}
	if (pop3_is_deleted(server, (uint32_t)number)) {
		pop3_reply_error(server, NULL, "this message is deleted");
		return false;
	}
	arguments->number = (uint32_t)number;
	return true;
}

static void refuse_unknown(struct pop3_server *server, struct bytes line)
{
	if (server->state == POP3_AUTHORIZATION && line_is_http(line))
		pop3_close(server, "not POP3");
	else
		pop3_reply_bad(server, "no such command");
}

void pop3_command_run(struct pop3_server *server, struct bytes line)
{
	struct bytes name = until_space(line);
	const struct command *command = find_command(server, name);
	uint8_t bad_before = server->bad_commands;
	struct pop3_arguments arguments;

	if (command == NULL) {
		refuse_unknown(server, line);
		return;
	}
	if ((command->states & server->state) == 0) {
		pop3_reply_bad(server, server->state == POP3_AUTHORIZATION ? "log in first"
									   : "already logged in");
		return;
	}
	if (!is_offered(server, command)) {
		pop3_reply_error(server, NULL,
				 (command->flags & COMMAND_STLS) != 0
					 ? "TLS cannot begin here"
					 : "use TLS: passwords are not taken in the clear");
		return;
	}
	if (!split(command, bytes_skip(line, name.length), &arguments)) {
		pop3_reply_bad(server, "wrong arguments");
		return;
	}
	if ((command->flags & COMMAND_NUMBERED) != 0 && arguments.count > 0 &&
	    !find_message(server, &arguments))
		return;
	command->handler(server, &arguments);
	if (server->bad_commands == bad_before)
		server->bad_commands = 0;
}
