/*
 * cmd_deliver: `postern deliver ACCOUNT`: the message on standard input to the running server, over
 * LMTP (RFC 2033) on ROOT/run/lmtp.sock. For .forward, Postfix's pipe(8), procmail, under any uid.
 *
 * Guarantees: exit code 0 only behind the server's final 250, which means that the message is on
 * stable storage; 67 when the account is refused, 65 when the message is; any doubt is 75, so that
 * the caller tries again. Standard error begins with an enhanced status code (RFC 3463), which
 * pipe(8) takes over. Bounded memory, whatever the message's size.
 *
 * Must not know: accounts, stores; it needs no right but to the socket.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/wire.h"
#include "cli/mail_reader.h"
#include "cli/option.h"
#include "net/address.h"

#define REPLY_OCTETS    2048
#define REPLY_LINES_MAX 100
#define SEND_OCTETS     16384
#define ANSWER_MS       (10 * 60 * 1000) /* RFC 5321 section 4.5.3.2.6: behind the final dot */
#define FALLBACK_ROOT   "/var/lib/postern"

struct lmtp {
	int socket;
	char input[REPLY_OCTETS];
	size_t input_length;
	int code;                /* of the last reply */
	char text[REPLY_OCTETS]; /* of its last line, behind the code */
};

/* "4.3.0 why": a line for people and for pipe(8). Returns the exit code. */
static int give_up(int exit_code, const char *status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static int give_up(int exit_code, const char *status, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s ", status);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return exit_code;
}

/* ---- the conversation ---- */

static bool send_all(struct lmtp *lmtp, struct bytes text)
{
	while (text.length > 0) {
		ssize_t count = send(lmtp->socket, text.data, text.length, MSG_NOSIGNAL);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return false;
		text = bytes_skip(text, (size_t)count);
	}
	return true;
}

/* Moves the next line of the server to lmtp->text; false when there is none or it is too long. */
static bool read_line(struct lmtp *lmtp, size_t *length_out)
{
	for (;;) {
		const char *end = memchr(lmtp->input, '\n', lmtp->input_length);
		ssize_t count;

		if (end) {
			size_t length = (size_t)(end - lmtp->input), taken = length + 1;

			memcpy(lmtp->text, lmtp->input, length);
			if (length > 0 && lmtp->text[length - 1] == '\r')
				length--;
			lmtp->text[length] = '\0';
			*length_out = length;
			lmtp->input_length -= taken;
			memmove(lmtp->input, lmtp->input + taken, lmtp->input_length);
			return true;
		}
		if (lmtp->input_length == sizeof(lmtp->input))
			return false;
		count = recv(lmtp->socket, lmtp->input + lmtp->input_length,
			     sizeof(lmtp->input) - lmtp->input_length, 0);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return false;
		lmtp->input_length += (size_t)count;
	}
}

static bool is_digit(char octet, char least)
{
	return octet >= least && octet <= '9';
}

/* RFC 5321 section 4.2.1: lines "250-…" and a last one "250 …". */
static bool read_reply(struct lmtp *lmtp)
{
	const char *text = lmtp->text;
	size_t length;

	for (int line = 0; line < REPLY_LINES_MAX; line++) {
		if (!read_line(lmtp, &length) || length < 3 || !is_digit(text[0], '2') ||
		    !is_digit(text[1], '0') || !is_digit(text[2], '0'))
			return false;
		if (length > 3 && text[3] == '-')
			continue;
		if (length > 3 && text[3] != ' ')
			return false;
		lmtp->code = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
		length = length > 4 ? length - 4 : 0;
		memmove(lmtp->text, text + 4, length);
		lmtp->text[length] = '\0';
		return true;
	}
	return false;
}

static bool command(struct lmtp *lmtp, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static bool command(struct lmtp *lmtp, const char *format, ...)
{
	char line[SMTP_LINE_MAX];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	return length > 0 && (size_t)length < sizeof(line) &&
	       send_all(lmtp, (struct bytes){line, (size_t)length}) && read_reply(lmtp);
}

static int lost(void)
{
	return give_up(EX_TEMPFAIL, "4.4.2", "the server closed the connection or does not answer");
}

/* A reply that is not the one hoped for, with its enhanced status code or one made up. */
static int refused(const struct lmtp *lmtp, int exit_code)
{
	char room[REPLY_OCTETS];
	const char *text = error_escape(bytes_of(lmtp->text), room, sizeof(room));
	bool enhanced = is_digit(text[0], '2') && text[1] == '.';

	if (enhanced)
		fprintf(stderr, "%s\n", text);
	else
		fprintf(stderr, "%d.0.0 %d %s\n", lmtp->code / 100, lmtp->code, text);
	return exit_code;
}

/* ---- a message ---- */

/* What may stand between angle brackets: no space, control or 8-bit octet, no bracket. */
static bool is_path(const char *text)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i++) {
		if (text[i] <= ' ' || text[i] >= 0x7f || text[i] == '<' || text[i] == '>')
			return false;
	}
	return length <= SMTP_PATH_MAX - 2;
}

static bool send_piece(struct lmtp *lmtp, struct wire_encoder *encoder, struct bytes piece)
{
	static char room[2 * SEND_OCTETS + 64];

	while (piece.length > 0) {
		struct bytes part = bytes_first(piece, SEND_OCTETS);
		size_t length;

		if (wire_encoded_max(part.length) > sizeof(room))
			part = bytes_first(part, SEND_OCTETS / 2);
		length = wire_encode(encoder, part, room);
		if (!send_all(lmtp, (struct bytes){room, length}))
			return false;
		piece = bytes_skip(piece, part.length);
	}
	return true;
}

/* Without a final dot the server drops what it got: that is how a failure of ours ends. */
static int send_message(struct lmtp *lmtp, struct mail_reader *reader)
{
	struct error error = {.code = ERROR_NONE};
	struct wire_encoder encoder;
	struct bytes piece;
	char end[2];
	size_t length;

	wire_encoder_init(&encoder, true);
	do {
		if (mail_reader_piece(reader, &piece, &error) != ERROR_NONE)
			return give_up(EX_TEMPFAIL, "4.3.0", "standard input: %s", error.text);
		if (!send_piece(lmtp, &encoder, piece))
			return lost();
	} while (piece.length > 0);
	length = wire_encode_end(&encoder, end);
	if (!send_all(lmtp, (struct bytes){end, length}) || !command(lmtp, ".\r\n"))
		return lost();
	if (lmtp->code == 250)
		return EX_OK;
	return refused(lmtp, lmtp->code >= 500 ? EX_DATAERR : EX_TEMPFAIL);
}

/* Only what says that this recipient is refused for good; a 503, say, is a doubt. */
static int recipient_refused(const struct lmtp *lmtp)
{
	bool for_good = lmtp->code == 550 || lmtp->code == 551 || lmtp->code == 553 ||
			(lmtp->code == 501 && strncmp(lmtp->text, "5.1.", 4) == 0);

	return refused(lmtp, for_good ? EX_NOUSER : EX_TEMPFAIL);
}

/* `mild`: the sender is only what a From line said; one that the server does not take is left out.
 */
static int deliver(struct lmtp *lmtp, const char *account, const char *sender, bool mild,
		   struct mail_reader *reader)
{
	int status;

	if (!read_reply(lmtp) || (lmtp->code == 220 && !command(lmtp, "LHLO localhost\r\n")))
		return lost();
	if (lmtp->code != 250)
		return refused(lmtp, EX_TEMPFAIL);
	if (!command(lmtp, "MAIL FROM:<%s>\r\n", sender))
		return lost();
	if (lmtp->code >= 500 && mild && !command(lmtp, "MAIL FROM:<>\r\n"))
		return lost();
	if (lmtp->code != 250)
		return refused(lmtp, EX_TEMPFAIL);
	if (!command(lmtp, "RCPT TO:<%s>\r\n", account))
		return lost();
	if (lmtp->code != 250)
		return recipient_refused(lmtp);
	if (!command(lmtp, "DATA\r\n"))
		return lost();
	if (lmtp->code != 354)
		return refused(lmtp, lmtp->code >= 500 ? EX_DATAERR : EX_TEMPFAIL);
	status = send_message(lmtp, reader);
	if (status == EX_OK)
		(void)send_all(lmtp, BYTES("QUIT\r\n"));
	return status;
}

/* ---- the command ---- */

static int connect_to(const char *root, struct error *error)
{
	struct address address;
	char text[PATH_MAX];
	int length = snprintf(text, sizeof(text), "unix:%s/run/lmtp.sock", root);

	if (length < 0 || (size_t)length >= sizeof(text)) {
		error_set(error, ERROR_USAGE, "the path of the root is too long");
		return -1;
	}
	if (address_parse(bytes_of(text), &address, error) != ERROR_NONE)
		return -1;
	return address_connect(&address, ANSWER_MS, error);
}

/* A .forward of any user means the machine's instance, unless the user runs one. */
static int connect_to_server(const struct context *context, struct error *error)
{
	int socket = connect_to(context->root, error);

	if (socket < 0 && !context->root_chosen && strcmp(context->root, FALLBACK_ROOT) != 0)
		socket = connect_to(FALLBACK_ROOT, error);
	return socket;
}

static int run(const struct context *context, const char *account, const char *sender)
{
	struct error error = {.code = ERROR_NONE};
	struct lmtp lmtp = {.input_length = 0};
	struct mail_envelope envelope;
	struct mail_reader reader;
	bool found;
	int status;

	lmtp.socket = connect_to_server(context, &error);
	if (lmtp.socket < 0)
		return give_up(EX_TEMPFAIL, "4.3.2", "no server answers: %s", error.text);
	if (!mail_reader_init(&reader, STDIN_FILENO, MAIL_MESSAGE))
		status = give_up(EX_TEMPFAIL, "4.3.0", "no memory");
	else if (mail_reader_next(&reader, &found, &envelope, &error) != ERROR_NONE)
		status = give_up(EX_TEMPFAIL, "4.3.0", "standard input: %s", error.text);
	else if (!found)
		status = give_up(EX_DATAERR, "5.6.0", "the message is empty");
	else if (sender)
		status = deliver(&lmtp, account, sender, false, &reader);
	else
		status = deliver(&lmtp, account, is_path(envelope.sender) ? envelope.sender : "",
				 true, &reader);
	mail_reader_free(&reader);
	close(lmtp.socket);
	return status;
}

int cmd_deliver(struct context *context, int argc, char **argv)
{
	const char *sender = NULL;
	const struct option_row rows[] = {
		{"sender", "ADDRESS", "envelope sender; <> or nothing for none", NULL, &sender,
		 NULL},
	};
	const struct option_page page = {
		.operands = "ACCOUNT",
		.operands_min = 1,
		.operands_max = 1,
		.about =
			"Hands the message on standard input to the running server, for an account "
			"or alias. Any\nuser may. A leading \"From \" line is envelope, not "
			"message. "
			"Exits with 0 when the message is\non stable storage, 67 when there is no "
			"such account, 65 when the message is refused, and\n75 when it should be "
			"tried again, which includes that no server runs.",
		.examples =
			"  printf 'Subject: hello\\n\\nIt works.\\n' | postern deliver alice\n"
			"  in ~/.forward:     |\"/usr/bin/postern deliver alice@example.org\"\n"
			"  in master.cf:      postern unix - n n - 20 pipe\n"
			"                       user=nobody argv=/usr/bin/postern deliver --sender "
			"${sender} ${recipient}",
		.rows = rows,
		.row_count = 1,
	};
	char **operands;
	int count, status;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	if (sender && strcmp(sender, "<>") == 0)
		sender = "";
	if (sender && !is_path(sender))
		return command_fail_usage(context, "--sender is not an address");
	if (operands[0][0] == '\0' || !is_path(operands[0]))
		return give_up(EX_NOUSER, "5.1.3", "this is not the name of an account");
	return run(context, operands[0], sender);
}
