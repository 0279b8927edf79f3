/*
 * cmd_status: `postern status`: what the running server is doing, asked over ROOT/run/control.sock.
 *
 * Must not know: how the server counts. It prints what server/message.h has.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/control_client.h"
#include "cli/json.h"
#include "cli/option.h"
#include "server/config.h"

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
	json_t *about, *processes, *sessions;
	uint64_t total[COUNTER_ROWS]; /* of all workers, those that are no more included */
	bool sessions_begun;          /* the text has its heading */
};

static uint64_t counter(const struct counters *counters, size_t row)
{
	uint64_t value;

	memcpy(&value, (const char *)counters + counter_rows[row].offset, sizeof(value));
	return value;
}

static const char *date(int64_t unix_seconds, char room[32])
{
	time_t seconds = (time_t)unix_seconds;
	struct tm parts;

	if (!gmtime_r(&seconds, &parts) || strftime(room, 32, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		return "?";
	return room;
}

static void print_about(const struct message_about *about)
{
	char room[32];

	printf("postern %s, since %s\n", about->version, date(about->started_unix_seconds, room));
	for (uint32_t i = 0; i < about->listener_count; i++)
		printf("listening %s %s\n", config_listener_name(about->listeners[i].kind),
		       about->listeners[i].address);
	if (about->certificate_expires_unix_seconds != 0)
		printf("certificate until %s\n",
		       date(about->certificate_expires_unix_seconds, room));
}

static void take_about(struct answer *answer, const struct message_about *about)
{
	json_t *listeners;
	char started[32], expires[32];

	if (!answer->json) {
		print_about(about);
		return;
	}
	listeners = json_array();
	for (uint32_t i = 0; i < about->listener_count; i++)
		json_array_append_new(listeners,
				      json_pack("{s:s, s:s}", "kind",
						config_listener_name(about->listeners[i].kind),
						"address", about->listeners[i].address));
	json_decref(answer->about);
	answer->about = json_pack("{s:s, s:s, s:I, s:s, s:o}", "version", about->version, "since",
				  date(about->started_unix_seconds, started), "uptime_seconds",
				  (json_int_t)(clock_unix_seconds() - about->started_unix_seconds),
				  "certificate_expires",
				  date(about->certificate_expires_unix_seconds, expires),
				  "listeners", listeners);
}

static const char *role_name(uint32_t role)
{
	return role == PROCESS_AUTH ? "auth" : role == PROCESS_WORKER ? "worker" : "ended";
}

static void add_to_total(struct answer *answer, const struct counters *counters)
{
	for (size_t i = 0; i < COUNTER_ROWS; i++)
		answer->total[i] += counter(counters, i);
}

static void take_process(struct answer *answer, const struct message_status_process *process)
{
	bool counts = process->role != PROCESS_AUTH;
	json_t *value;

	add_to_total(answer, &process->counters);
	if (process->role == PROCESS_ENDED)
		return; /* no process: of the sum only */
	if (!answer->json) {
		printf("%s %u (pid %u)", role_name(process->role), process->number, process->pid);
		if (counts)
			printf(": %llu connections, %llu sessions",
			       (unsigned long long)process->counters.connections_now,
			       (unsigned long long)process->counters.sessions_now);
		printf("\n");
		return;
	}
	value = json_pack("{s:s, s:I, s:I}", "role", role_name(process->role), "number",
			  (json_int_t)process->number, "pid", (json_int_t)process->pid);
	for (size_t i = 0; counts && i < COUNTER_ROWS; i++)
		json_object_set_new(value, counter_rows[i].name,
				    json_integer((json_int_t)counter(&process->counters, i)));
	json_array_append_new(answer->processes, value);
}

static json_t *total_as_json(const struct answer *answer)
{
	json_t *value = json_object();

	for (size_t i = 0; i < COUNTER_ROWS; i++)
		json_object_set_new(value, counter_rows[i].name,
				    json_integer((json_int_t)answer->total[i]));
	return value;
}

static void print_total(const struct answer *answer)
{
	for (size_t i = 0; i < COUNTER_ROWS; i++)
		printf("  %-20s %12llu\n", counter_rows[i].name,
		       (unsigned long long)answer->total[i]);
}

static void take_session(struct answer *answer, const struct message_status_session *session)
{
	char room[32], word[32];

	(void)snprintf(word, sizeof(word), "%x.%llx", session->worker,
		       (unsigned long long)session->session);
	if (answer->json) {
		json_array_append_new(answer->sessions,
				      json_pack("{s:s, s:s, s:s, s:b, s:I, s:s}", "session", word,
						"account", session->name, "peer", session->peer,
						"tls", session->tls != 0, "worker",
						(json_int_t)session->worker, "since",
						date(session->since_unix_seconds, room)));
		return;
	}
	if (!answer->sessions_begun)
		printf("%-14s %-32s %-24s %-4s %s\n", "SESSION", "ACCOUNT", "PEER", "TLS", "SINCE");
	answer->sessions_begun = true;
	printf("%-14s %-32s %-24s %-4s %s\n", word, session->name, session->peer,
	       session->tls ? "yes" : "no", date(session->since_unix_seconds, room));
}

/* ---- asking ---- */

static bool take(struct answer *answer, const union message *message)
{
	switch (message->header.type) {
	case MESSAGE_ABOUT:
		take_about(answer, &message->about);
		return true;
	case MESSAGE_STATUS_PROCESS:
		take_process(answer, &message->status_process);
		return true;
	case MESSAGE_STATUS_SESSION:
		take_session(answer, &message->status_session);
		return true;
	default:
		return false;
	}
}

static enum error_code ask(int descriptor, struct answer *answer, struct error *error)
{
	struct message_status question;
	static union message message;
	enum error_code code;

	message_init(&question, MESSAGE_STATUS, 1);
	code = control_ask(descriptor, &question, error);
	while (code == ERROR_NONE) {
		code = control_next(descriptor, &message, error);
		if (code == ERROR_NONE && message.header.type == MESSAGE_STATUS_END)
			return ERROR_NONE;
		if (code == ERROR_NONE && !take(answer, &message))
			code = error_set(error, ERROR_PROTOCOL, "the server answers rubbish");
	}
	return code;
}

int cmd_status(struct context *context, int argc, char **argv)
{
	struct answer answer = {.json = false};
	const struct option_row rows[] = {
		{"json", NULL, "as a JSON object", &answer.json, NULL, NULL},
	};
	const struct option_page page = {
		.operands = "",
		.about = "Shows the running server, its processes, who is logged in, and what was "
			 "counted since its start.",
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
	descriptor = control_connect(context->root, &error);
	if (descriptor >= 0) {
		answer.about = json_object();
		answer.processes = json_array();
		answer.sessions = json_array();
		code = ask(descriptor, &answer, &error);
		close(descriptor);
	}
	if (code == ERROR_NONE && answer.json)
		return json_finish(context,
				   json_pack("{s:o, s:o, s:o, s:o}", "server", answer.about,
					     "total", total_as_json(&answer), "processes",
					     answer.processes, "sessions", answer.sessions));
	if (code == ERROR_NONE) {
		printf("%s", answer.sessions_begun ? "" : "nobody is logged in\n");
		print_total(&answer);
	}
	json_decref(answer.about);
	json_decref(answer.processes);
	json_decref(answer.sessions);
	return code == ERROR_NONE ? EX_OK : command_fail(context, &error);
}
