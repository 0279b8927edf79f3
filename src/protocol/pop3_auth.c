/*
 * pop3_auth: the commands of the AUTHORIZATION state: USER and PASS (RFC 1939), APOP (section 7),
 * AUTH with the mechanism PLAIN (RFC 5034, RFC 4616), STLS (RFC 2595).
 *
 * Each way to log in ends in the same event, AUTHENTICATE. What is malformed is refused here and
 * without the code [AUTH]: it says nothing about a password, and a client would ask its user for
 * another one (RFC 3206 section 4).
 *
 * Guarantees: secrets are held in kept.h's memory and nowhere else; whether there is such a user
 * is not told by USER but at the end, for both in the same words. Must not know: accounts.
 */
#include "protocol/pop3_server_private.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base64.h"
#include "protocol/kept.h"
#include "protocol/plain.h"

static const char out_of_memory[] = "out of memory";

static bool is_user(struct bytes name)
{
	for (size_t i = 0; i < name.length; i++) {
		unsigned char octet = (unsigned char)name.data[i];

		if (octet < ' ' || octet == 0x7F)
			return false;
	}
	return name.length <= ACCOUNT_NAME_MAX;
}

static bool keep(struct pop3_server *server, struct bytes *kept, struct bytes octets)
{
	if (kept_set(kept, octets))
		return true;
	pop3_forget(server);
	pop3_reply_error(server, "[SYS/TEMP]", out_of_memory);
	return false;
}

static void ask_login(struct pop3_server *server, enum pop3_mechanism mechanism)
{
	server->mechanism = (uint8_t)mechanism;
	pop3_ask(server, POP3_AUTHENTICATE);
}

void pop3_fill_login(const struct pop3_server *server, struct pop3_event *event_out)
{
	struct plain plain;

	event_out->mechanism = (enum pop3_mechanism)server->mechanism;
	event_out->user = server->user;
	event_out->password = server->argument;
	if (server->mechanism == POP3_APOP)
		event_out->challenge = server->challenge;
	if (server->mechanism == POP3_PLAIN && plain_parse(server->argument, &plain)) {
		event_out->authorize = plain.authorize;
		event_out->user = plain.user;
		event_out->password = plain.password;
	}
}

/* ---- USER and PASS ---- */

void pop3_run_user(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	struct bytes name = arguments->list[0];

	pop3_forget(server);
	if (!is_user(name))
		pop3_reply_bad(server, "not a user name");
	else if (keep(server, &server->user, name))
		pop3_reply_ok(server, "send PASS");
}

void pop3_run_pass(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	if (server->user.data == NULL)
		pop3_reply_error(server, NULL, "send USER first");
	else if (arguments->list[0].length > PASSWORD_MAX)
		pop3_reply_bad(server, "password too long");
	else if (keep(server, &server->argument, arguments->list[0]))
		ask_login(server, POP3_USER);
}

/* ---- APOP ---- */

static bool is_digest(struct bytes text)
{
	for (size_t i = 0; i < text.length; i++) {
		char octet = text.data[i];

		if ((octet < '0' || octet > '9') && (octet < 'a' || octet > 'f'))
			return false;
	}
	return text.length == POP3_DIGEST_OCTETS;
}

void pop3_run_apop(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	pop3_forget(server);
	if (!is_user(arguments->list[0]))
		pop3_reply_bad(server, "not a user name");
	else if (!is_digest(arguments->list[1]))
		pop3_reply_bad(server, "not a digest");
	else if (keep(server, &server->user, arguments->list[0]) &&
		 keep(server, &server->argument, arguments->list[1]))
		ask_login(server, POP3_APOP);
}

/* ---- AUTH ---- */

void pop3_exchange_end(struct pop3_server *server)
{
	server->exchange = false;
	server->line.max = POP3_LINE_MAX;
}

static void take_message(struct pop3_server *server)
{
	struct plain plain;

	if (!plain_parse(server->argument, &plain) || !is_user(plain.user) ||
	    !is_user(plain.authorize))
		pop3_reply_bad(server, "not a message of PLAIN");
	else if (plain.password.length > PASSWORD_MAX)
		pop3_reply_bad(server, "password too long");
	else
		ask_login(server, POP3_PLAIN);
	if (server->stage != POP3_STAGE_READY)
		pop3_forget(server);
}

/* Decoded in the memory it is kept in: a secret has one place. */
static void take_response(struct pop3_server *server, struct bytes text)
{
	size_t length = BASE64_DECODED_MAX(text.length);
	char *octets = malloc(length + 1);

	if (octets == NULL) {
		pop3_reply_error(server, "[SYS/TEMP]", out_of_memory);
		return;
	}
	if (!base64_decode(text, octets, &length)) {
		explicit_bzero(octets, length);
		free(octets);
		pop3_reply_bad(server, "not base64");
		return;
	}
	server->argument = (struct bytes){octets, length};
	take_message(server);
}

void pop3_exchange_line(struct pop3_server *server, struct bytes line)
{
	uint8_t bad_before = server->bad_commands;

	pop3_exchange_end(server);
	if (bytes_equal(line, BYTES("*")))
		pop3_reply_error(server, NULL, "cancelled");
	else
		take_response(server, line);
	if (server->bad_commands == bad_before)
		server->bad_commands = 0;
}

/* Some clients ask with a bare AUTH which mechanisms there are, as in a draft older than CAPA. */
static void list_mechanisms(struct pop3_server *server)
{
	pop3_reply_ok(server, "mechanisms follow");
	pop3_emit(server, "PLAIN\r\n.\r\n");
}

static void begin_exchange(struct pop3_server *server)
{
	server->exchange = true;
	server->line.max = POP3_SASL_LINE_MAX;
	pop3_emit(server, "+ \r\n"); /* RFC 5034 section 4: an empty challenge */
}

void pop3_run_auth(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	pop3_forget(server);
	if (arguments->count == 0)
		list_mechanisms(server);
	else if (!bytes_equal_nocase(arguments->list[0], BYTES("PLAIN")))
		pop3_reply_error(server, NULL, "no such mechanism");
	else if (arguments->count == 1)
		begin_exchange(server);
	else if (bytes_equal(arguments->list[1], BYTES("="))) /* an empty response, RFC 5034 */
		take_response(server, BYTES(""));
	else
		take_response(server, arguments->list[1]);
}

/* ---- STLS ---- */

void pop3_run_stls(struct pop3_server *server, const struct pop3_arguments *arguments)
{
	(void)arguments;
	pop3_forget(server);
	pop3_reply_ok(server, "begin TLS");
	if (server->stage == POP3_STAGE_COMMAND)
		pop3_ask(server, POP3_START_TLS);
}
