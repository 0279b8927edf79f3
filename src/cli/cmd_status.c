/*
 * cmd_status: `postern status`: what the running server is doing, asked over ROOT/run/control.sock.
 *
 * Must not know: how the server counts. It prints what server/message.h has.
 */
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/json.h"
#include "cli/option.h"
#include "server/channel.h"

#define ANSWER_MS 10000

/* One row for each counter, for text and JSON alike. */
static const struct {
	const char *name;
	size_t offset;
} counter_rows[] = {
	{"connections", offsetof(struct counters, connections)},
	{"connections_now", offsetof(struct counters, connections_now)},
	{"sessions_now", offsetof(struct counters, sessions_now)},
	{"logins", offsetof(struct counters, logins)},
	{"logins_failed", offsetof(struct counters, logins_failed)},
	{"logins_in_use", offsetof(struct counters, logins_in_use)},
	{"take_overs", offsetof(struct counters, take_overs)},
	{"messages_retrieved", offsetof(struct counters, messages_retrieved)},
	{"octets_sent", offsetof(struct counters, octets_sent)},
	{"messages_deleted", offsetof(struct counters, messages_deleted)},
	{"messages_delivered", offsetof(struct counters, messages_delivered)},
	{"deliveries_deferred", offsetof(struct counters, deliveries_deferred)},
	{"deliveries_refused", offsetof(struct counters, deliveries_refused)},
	{"file_octets_read", offsetof(struct counters, file_octets_read)},
};
#define COUNTER_ROWS (sizeof(counter_rows) / sizeof(counter_rows[0]))

struct answer {
	bool json;
	json_t *processes, *sessions;
	bool sessions_begun; /* the text has its heading */
};

static uint64_t counter(const struct counters *counters, size_t row)
{
	uint64_t value;

	memcpy(&value, (const char *)counters + counter_rows[row].offset, sizeof(value));
	return value;
}

static void take_process(struct answer *answer, const struct message_status_process *process)
{
	const char *role = process->role == PROCESS_AUTH ? "auth" : "worker";
	json_t *value;

	if (!answer->json) {
		printf("%s %u (pid %u)\n", role, process->number, process->pid);
		for (size_t i = 0; process->role == PROCESS_WORKER && i < COUNTER_ROWS; i++)
			printf("  %-20s %12llu\n", counter_rows[i].name,
			       (unsigned long long)counter(&process->counters, i));
		return;
	}
	value = json_pack("{s:s, s:I, s:I}", "role", role, "number", (json_int_t)process->number,
			  "pid", (json_int_t)process->pid);
	for (size_t i = 0; process->role == PROCESS_WORKER && i < COUNTER_ROWS; i++)
		json_object_set_new(value, counter_rows[i].name,
				    json_integer((json_int_t)counter(&process->counters, i)));
	json_array_append_new(answer->processes, value);
}

static const char *date(int64_t unix_seconds, char room[32])
{
	time_t seconds = (time_t)unix_seconds;
	struct tm parts;

	if (!gmtime_r(&seconds, &parts) || strftime(room, 32, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		return "?";
	return room;
}

static void take_session(struct answer *answer, const struct message_status_session *session)
{
	char room[32];

	if (answer->json) {
		json_array_append_new(answer->sessions,
				      json_pack("{s:s, s:s, s:b, s:I, s:s}", "account",
						session->name, "peer", session->peer, "tls",
						session->tls != 0, "worker",
						(json_int_t)session->worker, "since",
						date(session->since_unix_seconds, room)));
		return;
	}
	if (!answer->sessions_begun)
		printf("%-32s %-24s %-5s %-6s %s\n", "ACCOUNT", "PEER", "TLS", "WORKER", "SINCE");
	answer->sessions_begun = true;
	printf("%-32s %-24s %-5s %-6u %s\n", session->name, session->peer,
	       session->tls ? "yes" : "no", session->worker,
	       date(session->since_unix_seconds, room));
}

/* ---- asking ---- */

static int connect_to_control(const char *root, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int length =
		snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/control.sock", root);
	int descriptor;

	if (length < 0 || (size_t)length >= sizeof(address.sun_path)) {
		error_set(error, ERROR_CONFIG, "the path of the root is too long for a socket");
		return -1;
	}
	descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (descriptor >= 0 &&
	    connect(descriptor, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return descriptor;
	if (errno == EACCES || errno == EPERM)
		error_set(error, ERROR_DENIED, "only the instance's owner and root may ask");
	else
		error_set(error, ERROR_UNAVAILABLE, "no server runs in %.180s (%s)", root,
			  strerror(errno));
	if (descriptor >= 0)
		close(descriptor);
	return -1;
}

static enum error_code ask(int descriptor, struct answer *answer, struct error *error)
{
	struct message_status question;
	static union message message;

	message_init(&question, MESSAGE_STATUS, 1);
	if (!channel_send_blocking(descriptor, &question))
		return error_set(error, ERROR_UNAVAILABLE, "the server does not take the question");
	for (;;) {
		int descriptors[MESSAGE_DESCRIPTORS_MAX];
		size_t count = 0;

		if (!channel_receive_blocking(descriptor, &message, descriptors, &count, ANSWER_MS))
			return error_set(
				error, ERROR_UNAVAILABLE,
				"the server did not answer to the end (are you its owner?)");
		while (count > 0)
			close(descriptors[--count]);
		if (message.header.type == MESSAGE_STATUS_PROCESS)
			take_process(answer, &message.status_process);
		else if (message.header.type == MESSAGE_STATUS_SESSION)
			take_session(answer, &message.status_session);
		else if (message.header.type == MESSAGE_STATUS_END)
			return ERROR_NONE;
		else
			return error_set(error, ERROR_PROTOCOL, "the server answers rubbish");
	}
}

int cmd_status(struct context *context, int argc, char **argv)
{
	struct answer answer = {.json = false};
	const struct option_row rows[] = {
		{"json", NULL, "as a JSON object", &answer.json, NULL, NULL},
	};
	const struct option_page page = {
		.operands = "",
		.about =
			"Shows the processes of the running server with their counters, and who is "
			"logged in.",
		.examples = "  postern status\n"
			    "  postern status --json | jq '.sessions | length'",
		.rows = rows,
		.row_count = 1,
	};
	struct error error = {.code = ERROR_NONE};
	enum error_code code = ERROR_UNAVAILABLE;
	char **operands;
	int count, status, descriptor;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	descriptor = connect_to_control(context->root, &error);
	if (descriptor >= 0) {
		answer.processes = json_array();
		answer.sessions = json_array();
		code = ask(descriptor, &answer, &error);
		close(descriptor);
	}
	if (code == ERROR_NONE && answer.json)
		return json_finish(context, json_pack("{s:o, s:o}", "processes", answer.processes,
						      "sessions", answer.sessions));
	if (code == ERROR_NONE && !answer.sessions_begun)
		printf("nobody is logged in\n");
	json_decref(answer.processes);
	json_decref(answer.sessions);
	return code == ERROR_NONE ? EX_OK : command_fail(context, &error);
}
