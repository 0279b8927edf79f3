/*
 * pop3_service: one POP3 session between its engine, auth and a store.
 *
 * Guarantees: one event is worked on at a time; a session that is announced to auth is announced as
 * closed too, after its lock was given back; a probe is answered, with FREE only when the maildrop
 * is closed; a session amid its UPDATE is never given up.
 * Must not know: how a store keeps mail, how a password is checked.
 */
#include "server/pop3_service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "server/pop3_session.h"
#ifdef POSTERN_TEST_COMMANDS
#include "server/trial.h"
#endif

#define STORE_RETRY_MS    25
#define STORE_PATIENCE_MS 30000 /* as DELIVERY_WAIT_MS: what holds ID.file is a delivery */
#define PROBE_LOOK_MS     100   /* a living peer answers soon; then nobody need wait PROBE_MS */

static struct pop3_session *session_of(const struct conn *conn)
{
	return (struct pop3_session *)(uintptr_t)conn;
}

/* ---- tasks ---- */

static void task_work(void *context)
{
	struct pop3_session *session = context;

	session->task->work(session);
}

static void task_done(void *context);

static void task_again(void *context)
{
	struct pop3_session *session = context;

	if (!conn_job(&session->conn, session->task->class, task_work, task_done))
		session->task->settled = true;
}

static void task_done(void *context)
{
	struct pop3_session *session = context;
	struct pop3_task *task = session->task;

	task->settled = task->result != STORE_AGAIN || clock_monotonic_ms() > task->give_up_ms ||
			!conn_retry(&session->conn, STORE_RETRY_MS, task_again);
}

struct pop3_task *pop3_task_new(struct pop3_session *session, enum job_class class,
				loop_callback *work, size_t room)
{
	struct pop3_task *task = malloc(sizeof(*task) + room);

	if (!task)
		return NULL;
	memset(task, 0, sizeof(*task));
	task->class = class;
	task->work = work;
	task->size = room;
	task->give_up_ms = clock_monotonic_ms() + STORE_PATIENCE_MS;
	session->task = task;
	return task;
}

bool pop3_task_submit(struct pop3_session *session)
{
	if (conn_job(&session->conn, session->task->class, task_work, task_done))
		return true;
	pop3_task_end(session);
	return false;
}

bool pop3_task_begin(struct pop3_session *session, enum job_class class, loop_callback *work,
		     size_t room)
{
	return pop3_task_new(session, class, work, room) && pop3_task_submit(session);
}

void pop3_task_end(struct pop3_session *session)
{
	free(session->task);
	session->task = NULL;
}

bool pop3_store_failed(struct pop3_session *session, const char *what, enum store_result result,
		       const struct error *error)
{
	char word[CONN_WORD_OCTETS];

	log_event(LOG_LEVEL_ERROR, "store", "session=%s user=%s while=%s error=\"%s\"",
		  conn_word(&session->conn, word), session->name ? session->name : "-", what,
		  error->code != ERROR_NONE ? error->text : "busy for too long");
	if (result != STORE_CHANGED)
		return false;
	session->conn.reason = "maildrop changed by another program";
	return true;
}

/* ---- announcements ---- */

static void tell_session(struct pop3_session *session, enum session_change change)
{
	struct conn *conn = &session->conn;
	struct message_session message;

	message_init(&message, MESSAGE_SESSION, 0);
	message.session = conn->number;
	message.account = session->account;
	message.change = change;
	message.tls = link_is_tls(conn->link);
	message.since_unix_seconds = conn->since_unix_seconds;
	(void)link_peer(conn->link, message.peer);
	(void)bytes_to_string(bytes_of(session->name), message.name, sizeof(message.name));
	(void)worker_tell(conn->worker, &message);
}

static void announce(struct conn *conn)
{
	struct pop3_session *session = session_of(conn);

	if (!session->maildrop || !session->name)
		return;
	if (!session->announced)
		conn->worker->counters.sessions_now++;
	session->announced = true;
	tell_session(session, SESSION_OPENED);
}

void pop3_announce_closed(struct pop3_session *session)
{
	if (!session->announced)
		return;
	session->announced = false;
	session->conn.worker->counters.sessions_now--;
	tell_session(session, SESSION_CLOSED);
}

/* ---- probes ---- */

static void answer_probe(struct pop3_session *session, enum contest_outcome outcome)
{
	struct message_probed message;

	if (session->probe_request == 0)
		return;
	message_init(&message, MESSAGE_PROBED, session->probe_request);
	message.outcome = outcome;
	(void)worker_tell(session->conn.worker, &message);
	session->probe_request = 0;
	loop_timer_stop(&session->probe_timer);
}

static void on_probe(void *context)
{
	struct pop3_session *session = context;
	struct conn *conn = &session->conn;

	if (conn->closing)
		return;
	if (session->doing == DOING_UPDATE || link_probe_alive(conn->link)) {
		answer_probe(session, CONTEST_ALIVE);
	} else if (clock_monotonic_ms() < session->probe_until_ms) {
		(void)loop_timer(conn->worker->loop, &session->probe_timer, PROBE_LOOK_MS, on_probe,
				 session);
	} else {
		conn->worker->counters.take_overs++;
		conn_cut(conn, "taken over, the peer had vanished");
	}
}

/* When the session is on its way out already, close_session() answers. */
static void probe(struct conn *conn, uint64_t request)
{
	struct pop3_session *session = session_of(conn);

	session->probe_request = request;
	if (conn->closing)
		return;
	session->probe_until_ms = clock_monotonic_ms() + PROBE_MS;
	link_probe_begin(conn->link);
	if (!loop_timer(conn->worker->loop, &session->probe_timer, PROBE_LOOK_MS, on_probe,
			session))
		answer_probe(session, CONTEST_ALIVE);
}

/* ---- events ---- */

bool pop3_collect(struct pop3_session *session)
{
	struct bytes output = pop3_server_output(session->engine);
	size_t taken = conn_take(&session->conn, output);

	pop3_server_sent(session->engine, taken);
	return taken == output.length;
}

static enum conn_step try_out(struct pop3_session *session, struct bytes argument)
{
#ifdef POSTERN_TEST_COMMANDS
	char outcome[TRIAL_OCTETS];

	pop3_server_tried(session->engine, trial_run(argument, outcome));
#else
	(void)argument;
	pop3_server_tried(session->engine, "not a test build");
#endif
	return STEP_MORE;
}

static enum conn_step close_event(struct pop3_session *session, const struct pop3_event *event)
{
	if (event->reason)
		session->conn.reason = event->reason;
	else if (event->quit)
		session->conn.reason = "quit";
	return STEP_CLOSE;
}

static enum conn_step next_event(struct pop3_session *session)
{
	struct pop3_event event;

	if (!pop3_server_next(session->engine, &event))
		return STEP_IDLE;
	switch (event.kind) {
	case POP3_AUTHENTICATE:
		return pop3_login_begin(session, &event);
	case POP3_START_TLS:
		return STEP_TLS;
	case POP3_TABLE:
		session->doing = DOING_TABLE;
		session->first = event.first;
		session->count = event.count;
		return STEP_MORE;
	case POP3_BODY:
		pop3_body_begin(session, &event);
		return STEP_MORE;
	case POP3_UPDATE_MAILDROP:
		return pop3_update_begin(session, &event);
	case POP3_TRY:
		return try_out(session, event.argument);
	case POP3_CLOSE:
		break;
	}
	return close_event(session, &event);
}

static enum conn_step step(struct conn *conn)
{
	struct pop3_session *session = session_of(conn);

	if (!pop3_collect(session))
		return STEP_FULL;
	switch (session->doing) {
	case DOING_NOTHING:
		break;
	case DOING_LOGIN:
		return pop3_login_step(session);
	case DOING_TABLE:
		return pop3_table_step(session);
	case DOING_BODY:
		return pop3_body_step(session);
	case DOING_UPDATE:
		return pop3_update_step(session);
	}
	return next_event(session);
}

/* ---- beginning and end ---- */

/* For APOP: no two greetings have the same (RFC 1939 section 7), whichever worker says them. */
#define TIMESTAMP_OCTETS (1 + RANDOM_UID_OCTETS + 1 + DOMAIN_MAX + 3)
static void make_timestamp(const char *host, char out[TIMESTAMP_OCTETS])
{
	char word[RANDOM_UID_OCTETS];

	random_uid(word);
	(void)snprintf(out, TIMESTAMP_OCTETS, "<%s@%s>", word, host);
}

static bool start(struct conn *conn)
{
	struct pop3_session *session = session_of(conn);
	struct worker *worker = conn->worker;
	char word[CONN_WORD_OCTETS], timestamp[TIMESTAMP_OCTETS];

	session->engine = pop3_server_new(&worker->pop3_options);
	if (!session->engine)
		return false;
	pop3_server_set_secure(session->engine, worker->allow_plaintext ||
							link_is_tls(conn->link) ||
							link_peer_is_local(conn->link));
	pop3_server_set_stls(session->engine, worker->tls && !link_is_tls(conn->link));
	make_timestamp(worker->host, timestamp);
	pop3_server_greet(session->engine, worker->host, conn_word(conn, word),
			  worker->apop ? timestamp : NULL);
	return true;
}

static void secured(struct conn *conn)
{
	pop3_server_secured(session_of(conn)->engine, true);
}

static size_t feed(struct conn *conn, struct bytes in)
{
	return pop3_server_feed(session_of(conn)->engine, in);
}

static void answered(struct conn *conn, const union message *answer)
{
	pop3_login_answered(session_of(conn), answer);
}

/* Before login the time runs from the connection's start, so that a slow trickle of octets does not
 * hold a slot. */
static uint64_t deadline_ms(const struct conn *conn, uint64_t now_ms)
{
	return session_of(conn)->name ? now_ms + POP3_IDLE_TIMEOUT_MS
				      : conn->since_ms + POP3_LOGIN_TIMEOUT_MS;
}

static void end(struct conn *conn, const char *text)
{
	pop3_server_end(session_of(conn)->engine, "[SYS/TEMP]", text);
}

static void log_end(const struct pop3_session *session)
{
	const struct conn *conn = &session->conn;
	char word[CONN_WORD_OCTETS], peer[LINK_PEER_OCTETS];

	log_event(LOG_LEVEL_INFO, "session-end",
		  "session=%s user=%s peer=%s received=%llu sent=%llu retrieved=%u deleted=%u "
		  "seconds=%llu reason=\"%s\"",
		  conn_word(conn, word), session->name ? session->name : "-",
		  link_peer(conn->link, peer), (unsigned long long)conn->octets_received,
		  (unsigned long long)conn->octets_sent, session->retrieved, session->deleted,
		  (unsigned long long)((clock_monotonic_ms() - conn->since_ms) / 1000),
		  conn->reason ? conn->reason : "closed");
}

static void close_session(struct conn *conn)
{
	struct pop3_session *session = session_of(conn);

	if (session->task && session->doing == DOING_UPDATE)
		(void)pop3_update_step(session);
	if (session->task)
		maildrop_close(session->task->maildrop);
	maildrop_close(session->maildrop);
	pop3_announce_closed(session);
	answer_probe(session, CONTEST_FREE);
	log_end(session);
	if (conn->worker->table.session == conn->number)
		conn->worker->table.session = 0;
	pop3_task_end(session);
	pop3_login_free(session);
	pop3_server_free(session->engine);
	free(session->name);
}

static bool is_guest(const struct conn *conn)
{
	const struct pop3_session *session = session_of(conn);

	return session->name == NULL && session->doing == DOING_NOTHING;
}

static bool must_finish(const struct conn *conn)
{
	return session_of(conn)->doing == DOING_UPDATE;
}

const struct conn_service pop3_service = {
	.size = sizeof(struct pop3_session),
	.leaves_slots = true,
	.alpn = "pop3",
	.behind = "octets behind STLS",
	.is_guest = is_guest,
	.start = start,
	.feed = feed,
	.step = step,
	.secured = secured,
	.answered = answered,
	.deadline_ms = deadline_ms,
	.end = end,
	.must_finish = must_finish,
	.announce = announce,
	.probe = probe,
	.close = close_session,
};
