/*
 * cmd_kick: `postern kick`: ends sessions of the running server, as if their lines had dropped, but
 * with a word to the peer: nothing is deleted.
 *
 * Must not know: who has which session.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/control_client.h"
#include "cli/option.h"

static enum error_code make_question(struct message_kick *question, bool all, const char *target,
				     struct error *error)
{
	size_t length = target ? strlen(target) : 0;

	message_init(question, MESSAGE_KICK, 1);
	question->all = all;
	if (length > sizeof(question->target.octets))
		return error_set(error, ERROR_NO_USER, "no account has so long a name");
	if (target)
		memcpy(question->target.octets, target, length);
	question->target.length = (uint32_t)length;
	return ERROR_NONE;
}

static enum error_code kick(int descriptor, const struct message_kick *question,
			    uint32_t *sessions_out, struct error *error)
{
	static union message answer;
	enum error_code code = control_ask(descriptor, question, error);

	if (code == ERROR_NONE)
		code = control_next(descriptor, &answer, error);
	if (code != ERROR_NONE)
		return code;
	if (answer.header.type != MESSAGE_KICKED)
		return error_set(error, ERROR_PROTOCOL, "the server answers rubbish");
	*sessions_out = answer.kicked.sessions;
	if (answer.kicked.outcome == ERROR_NO_USER)
		return error_set(error, ERROR_NO_USER, "there is no such account or session");
	if (answer.kicked.outcome != ERROR_NONE)
		return error_set(error, ERROR_TEMPORARY,
				 "the account database does not answer, try again");
	return ERROR_NONE;
}

int cmd_kick(struct context *context, int argc, char **argv)
{
	bool all = false;
	const struct option_row rows[] = {
		{"all", NULL, "every session", &all, NULL, NULL},
	};
	const struct option_page page = {
		.operands = "[ACCOUNT|SESSION]",
		.operands_max = 1,
		.about = "Ends the POP3 sessions of an account, or one session as status and the "
			 "log name it, and says\nhow many. The peer is told; what it had marked as "
			 "deleted stays.",
		.examples = "  postern kick alice@example.org\n"
			    "  postern kick 0.1a002f\n"
			    "  postern kick --all",
		.rows = rows,
		.row_count = 1,
	};
	struct error error = {.code = ERROR_NONE};
	struct message_kick question;
	uint32_t sessions = 0;
	char **operands;
	int count, status, descriptor;
	enum error_code code;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	if (all == (count == 1))
		return command_fail_usage(context, "needs an account, a session or --all");
	code = make_question(&question, all, count == 1 ? operands[0] : NULL, &error);
	descriptor = code == ERROR_NONE ? control_connect(context->root, &error) : -1;
	if (descriptor < 0)
		return command_fail(context, &error);
	code = kick(descriptor, &question, &sessions, &error);
	close(descriptor);
	if (code != ERROR_NONE)
		return command_fail(context, &error);
	printf("%u session%s ended\n", sessions, sessions == 1 ? "" : "s");
	return EX_OK;
}
