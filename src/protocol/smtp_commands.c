/*
 * smtp_commands: the tables of SMTP and LMTP commands and extensions, and a handler for each.
 *
 * The tables are the only place that knows them. smtp_command_run() enforces a row before its
 * handler is called; the answer to EHLO and LHLO, the parameters of MAIL and HELP are derived from
 * the same rows, so that what is announced and what is done cannot differ.
 *
 * To add a command or an extension: a row and a handler here, rows in smtp_commands_test.c.
 */
#include "protocol/smtp_server_private.h"

#include <inttypes.h>

#include "base/number.h"
#include "protocol/kept.h"
#include "protocol/smtp_address.h"

enum command_flags {
	COMMAND_SMTP = 1 << 0,        /* legal where SMTP is spoken */
	COMMAND_LMTP = 1 << 1,        /* legal where LMTP is spoken */
	COMMAND_HELO = 1 << 2,        /* only behind HELO, EHLO or LHLO */
	COMMAND_SENDER = 1 << 3,      /* only behind MAIL */
	COMMAND_RECIPIENT = 1 << 4,   /* only when a recipient was accepted */
	COMMAND_ARGUMENT = 1 << 5,    /* needs something behind its name */
	COMMAND_NO_ARGUMENT = 1 << 6, /* may have nothing behind its name */
	COMMAND_EXTENDED = 1 << 7,    /* answers with the extensions */
	COMMAND_TLS = 1 << 8,         /* only where TLS is offered */
	COMMAND_UNLISTED = 1 << 9     /* known by name only: HELP does not list it */
};

struct command {
	const char *name;
	unsigned flags;
	void (*handler)(struct smtp_server *server, const struct command *command,
			struct bytes argument);
};

struct extension {
	const char *keyword;
	bool has_size;         /* announced with the largest message taken */
	bool needs_tls;        /* announced where TLS is offered */
	const char *parameter; /* of MAIL; NULL: none */
	/* Takes the parameter's value; returns NULL, or the reply that refuses it. */
	const char *(*take)(struct smtp_server *server, struct bytes value);
};

/* ---- extensions ---- */

/* RFC 1870 section 6 */
static const char *take_size(struct smtp_server *server, struct bytes value)
{
	if (!number_parse(value, UINT64_MAX, &server->declared_octets))
		return "501 5.5.4 SIZE is not a number";
	if (server->declared_octets > server->options->octets_max)
		return "552 5.3.4 the message is too large";
	return NULL;
}

/* RFC 6152 section 2 */
static const char *take_body(struct smtp_server *server, struct bytes value)
{
	server->eight_bit = bytes_equal_nocase(value, BYTES("8BITMIME"));
	if (!server->eight_bit && !bytes_equal_nocase(value, BYTES("7BIT")))
		return "501 5.5.4 BODY is 7BIT or 8BITMIME";
	return NULL;
}

static const struct extension extensions[] = {
	{"PIPELINING", false, false, NULL, NULL},          {"SIZE", true, false, "SIZE", take_size},
	{"8BITMIME", false, false, "BODY", take_body},     {"STARTTLS", false, true, NULL, NULL},
	{"ENHANCEDSTATUSCODES", false, false, NULL, NULL}, /* the last: announced always */
};

#define EXTENSIONS (sizeof(extensions) / sizeof(extensions[0]))

static void announce(struct smtp_server *server)
{
	smtp_emit(server, "250-%s\r\n", server->options->host);
	for (size_t i = 0; i < EXTENSIONS; i++) {
		if (extensions[i].needs_tls && !server->offers_tls)
			continue;
		smtp_emit(server, "250%c%s", i + 1 < EXTENSIONS ? '-' : ' ', extensions[i].keyword);
		if (extensions[i].has_size)
			smtp_emit(server, " %" PRIu64, server->options->octets_max);
		smtp_emit(server, "\r\n");
	}
}

/* ---- HELO, EHLO, LHLO ---- */

/* A domain or an address literal (RFC 5321 section 4.1.3), not looked at any closer; the underscore
 * is in many a host's name. It goes into trace headers, so nothing else may be in it. */
static bool is_host(struct bytes text)
{
	for (size_t i = 0; i < text.length; i++) {
		char octet = text.data[i];

		if (!((octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') ||
		      (octet >= '0' && octet <= ':') || octet == '-' || octet == '.' ||
		      octet == '_' || octet == '[' || octet == ']'))
			return false;
	}
	return text.length <= DOMAIN_MAX;
}

static void run_helo(struct smtp_server *server, const struct command *command,
		     struct bytes argument)
{
	if (!is_host(argument)) {
		smtp_reply_bad(server, "501 5.5.4", "not a host name");
		return;
	}
	if (!kept_set(&server->helo, argument)) {
		smtp_reply_no_memory(server);
		return;
	}
	server->extended = (command->flags & COMMAND_EXTENDED) != 0;
	if (server->extended)
		announce(server);
	else
		smtp_emit(server, "250 %s\r\n", server->options->host);
	smtp_abort(server); /* RFC 5321 section 4.1.4 */
}

/* ---- MAIL, RCPT ---- */

static struct bytes until(struct bytes text, char octet)
{
	size_t length = 0;

	while (length < text.length && text.data[length] != octet)
		length++;
	return bytes_first(text, length);
}

/* "FROM:<path>" or "TO:<path>", and what follows it. */
static bool take_path(const char *word, struct bytes *text, struct smtp_address *address_out)
{
	struct bytes start = bytes_of(word);

	if (!bytes_equal_nocase(bytes_first(*text, start.length), start))
		return false;
	*text = bytes_skip(*text, start.length);
	return smtp_address_parse(text, address_out) && (text->length == 0 || text->data[0] == ' ');
}

static const char *take_parameter(struct smtp_server *server, struct bytes parameter,
				  unsigned *seen)
{
	struct bytes name = until(parameter, '=');

	for (size_t i = 0; i < EXTENSIONS; i++) {
		if (extensions[i].parameter == NULL ||
		    !bytes_equal_nocase(name, bytes_of(extensions[i].parameter)))
			continue;
		if ((*seen & 1U << i) != 0)
			return "501 5.5.4 parameter given twice";
		*seen |= 1U << i;
		return extensions[i].take(server, bytes_skip(parameter, name.length + 1));
	}
	return "555 5.5.4 unknown parameter";
}

/* " SIZE=1000 BODY=8BITMIME"; NULL, or the reply that refuses it. */
static const char *take_parameters(struct smtp_server *server, struct bytes text)
{
	const char *refusal = NULL;
	unsigned seen = 0;

	server->declared_octets = 0;
	server->eight_bit = false;
	while (refusal == NULL && text.length > 0) {
		struct bytes parameter = until(bytes_skip(text, 1), ' ');

		refusal = take_parameter(server, parameter, &seen);
		text = bytes_skip(text, parameter.length + 1);
	}
	return refusal;
}

static void run_mail(struct smtp_server *server, const struct command *command,
		     struct bytes argument)
{
	struct smtp_address sender;
	const char *refusal;

	(void)command;
	if (server->has_sender) {
		smtp_reply(server, "503 5.5.1", "there is a sender already");
		return;
	}
	if (!take_path("FROM:", &argument, &sender)) {
		smtp_reply_bad(server, "501 5.1.7", "not FROM:<address>");
		return;
	}
	refusal = take_parameters(server, argument);
	if (refusal != NULL) {
		smtp_reply(server, refusal, NULL);
		return;
	}
	if (!kept_set(&server->sender, (struct bytes){sender.text, sender.length})) {
		smtp_reply_no_memory(server);
		return;
	}
	server->has_sender = true;
	smtp_reply(server, "250 2.1.0", "sender accepted");
}

static void run_rcpt(struct smtp_server *server, const struct command *command,
		     struct bytes argument)
{
	struct smtp_address recipient;

	(void)command;
	if (!take_path("TO:", &argument, &recipient) || recipient.length == 0)
		smtp_reply_bad(server, "501 5.1.3", "not TO:<address>");
	else if (argument.length > 0)
		smtp_reply(server, "555 5.5.4", "unknown parameter");
	else if (server->recipients >= SMTP_RECIPIENTS_MAX)
		smtp_reply(server, "452 4.5.3", "too many recipients");
	else if (!kept_set(&server->recipient, (struct bytes){recipient.text, recipient.length}))
		smtp_reply_no_memory(server);
	else
		smtp_ask(server, SMTP_RECIPIENT);
}

/* ---- the others ---- */

static void run_data(struct smtp_server *server, const struct command *command,
		     struct bytes argument)
{
	(void)command;
	(void)argument;
	if (smtp_prepare_data(server))
		smtp_ask(server, SMTP_BEGIN);
	else
		smtp_reply_no_memory(server);
}

static void run_rset(struct smtp_server *server, const struct command *command,
		     struct bytes argument)
{
	(void)command;
	(void)argument;
	smtp_reply(server, "250 2.0.0", "nothing is under way");
	smtp_abort(server);
}

static void run_noop(struct smtp_server *server, const struct command *command,
		     struct bytes argument)
{
	(void)command;
	(void)argument;
	smtp_reply(server, "250 2.0.0", "nothing was done");
}

static void run_quit(struct smtp_server *server, const struct command *command,
		     struct bytes argument)
{
	(void)command;
	(void)argument;
	smtp_reply(server, "221 2.0.0", "good-bye");
	smtp_close(server);
}

/* RFC 5321 section 7.3: who lives here is not told */
static void run_vrfy(struct smtp_server *server, const struct command *command,
		     struct bytes argument)
{
	(void)command;
	(void)argument;
	smtp_reply(server, "252 2.0.0", "send mail and see");
}

/* RFC 3207 section 4. The owner has to see to it that nothing follows before the handshake. */
static void run_starttls(struct smtp_server *server, const struct command *command,
			 struct bytes argument)
{
	(void)command;
	(void)argument;
	smtp_reply(server, "220 2.0.0", "begin TLS");
	smtp_ask(server, SMTP_START_TLS);
}

/* Known, but not done here (RFC 5321 section 4.2.4). */
static void run_nothing(struct smtp_server *server, const struct command *command,
			struct bytes argument)
{
	(void)command;
	(void)argument;
	smtp_reply_bad(server, "502 5.5.1", "not done here");
}

static void run_help(struct smtp_server *server, const struct command *command,
		     struct bytes argument);

/* ---- the table ---- */

#define BOTH (COMMAND_SMTP | COMMAND_LMTP)

static const struct command commands[] = {
	{"HELO", COMMAND_SMTP | COMMAND_ARGUMENT, run_helo},
	{"EHLO", COMMAND_SMTP | COMMAND_ARGUMENT | COMMAND_EXTENDED, run_helo},
	{"LHLO", COMMAND_LMTP | COMMAND_ARGUMENT | COMMAND_EXTENDED, run_helo},
	{"MAIL", BOTH | COMMAND_HELO | COMMAND_ARGUMENT, run_mail},
	{"RCPT", BOTH | COMMAND_SENDER | COMMAND_ARGUMENT, run_rcpt},
	{"DATA", BOTH | COMMAND_SENDER | COMMAND_RECIPIENT | COMMAND_NO_ARGUMENT, run_data},
	{"RSET", BOTH | COMMAND_NO_ARGUMENT, run_rset},
	{"NOOP", BOTH, run_noop},
	{"QUIT", BOTH | COMMAND_NO_ARGUMENT, run_quit},
	{"VRFY", BOTH | COMMAND_ARGUMENT, run_vrfy},
	{"HELP", BOTH, run_help},
	{"STARTTLS", BOTH | COMMAND_TLS | COMMAND_NO_ARGUMENT, run_starttls},
	{"EXPN", BOTH | COMMAND_UNLISTED, run_nothing},
	{"AUTH", BOTH | COMMAND_UNLISTED, run_nothing},
	{"BDAT", BOTH | COMMAND_UNLISTED, run_nothing},
	{"STARTTLS", BOTH | COMMAND_UNLISTED, run_nothing}, /* where TLS is not offered */
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static bool is_offered(const struct smtp_server *server, const struct command *command)
{
	return (command->flags & (server->options->lmtp ? COMMAND_LMTP : COMMAND_SMTP)) != 0 &&
	       ((command->flags & COMMAND_TLS) == 0 || server->offers_tls);
}

static void run_help(struct smtp_server *server, const struct command *command,
		     struct bytes argument)
{
	(void)command;
	(void)argument;
	smtp_emit(server, "214 2.0.0");
	for (size_t i = 0; i < COMMANDS; i++) {
		if (is_offered(server, &commands[i]) && (commands[i].flags & COMMAND_UNLISTED) == 0)
			smtp_emit(server, " %s", commands[i].name);
	}
	smtp_emit(server, "\r\n");
}

/* ---- lines to commands ---- */

static const struct command *find_command(const struct smtp_server *server, struct bytes name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (is_offered(server, &commands[i]) &&
		    bytes_equal_nocase(name, bytes_of(commands[i].name)))
			return &commands[i];
	}
	return NULL;
}

/* Is it this command's turn? Replies when it is not. That is no bad command: with pipelining a
 * refused MAIL brings one such reply for each recipient behind it. */
static bool is_in_sequence(struct smtp_server *server, const struct command *command)
{
	const char *text = NULL;

	if ((command->flags & COMMAND_HELO) != 0 && server->helo.data == NULL)
		text = server->options->lmtp ? "send LHLO first" : "send HELO or EHLO first";
	else if ((command->flags & COMMAND_SENDER) != 0 && !server->has_sender)
		text = "send MAIL first";
	else if ((command->flags & COMMAND_RECIPIENT) != 0 && server->recipients == 0)
		text = "no recipient was accepted";
	if (text != NULL)
		smtp_reply(server, "503 5.5.1", text);
	return text == NULL;
}

/* White space before the line end is tolerated (RFC 5321 section 4.1.1). */
static struct bytes trim_end(struct bytes line)
{
	while (line.length > 0 && line.data[line.length - 1] == ' ')
		line.length--;
	return line;
}

static bool has_right_form(const struct command *command, struct bytes argument)
{
	if ((command->flags & COMMAND_ARGUMENT) != 0)
		return argument.length > 0;
	return argument.length == 0 || (command->flags & COMMAND_NO_ARGUMENT) == 0;
}

void smtp_command_run(struct smtp_server *server, struct bytes line)
{
	struct bytes name, argument;
	const struct command *command;
	uint8_t bad_before = server->bad_commands;

	line = trim_end(line);
	name = until(line, ' ');
	argument = bytes_skip(line, name.length + 1);
	command = find_command(server, name);
	if (command == NULL) {
		smtp_reply_bad(server, "500 5.5.1", "no such command");
		return;
	}
	if (!has_right_form(command, argument)) {
		smtp_reply_bad(server, "501 5.5.4", "wrong arguments");
		return;
	}
	if (is_in_sequence(server, command))
		command->handler(server, command, argument);
	if (server->bad_commands == bad_before)
		server->bad_commands = 0;
}
