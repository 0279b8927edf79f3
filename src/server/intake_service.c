/*
 * intake_service: one LMTP or SMTP connection between its engine, auth and the stores.
 *
 * Recipients are looked up one by one (intake_recipient.c); the message goes into a draft; behind
 * the final dot it goes to all maildrops (batch.h), again and again while one of them is held, up
 * to DELIVERY_WAIT_MS.
 *
 * Guarantees: a message is answered 250 only for an outcome that means stable storage, by SMTP only
 * when that is so for all recipients; each delivery is logged, also when the peer has gone
 * meanwhile.
 * Must not know: how mail is stored or a name is looked up.
 */
#include "server/intake_service.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "server/intake_session.h"

/* The first pause; the next are twice as long, and each up to twice that, so that two rivals do not
 * keep in step. */
#define DELIVERY_RETRY_MS    20
#define DELIVERY_DOUBLES_MAX 3

struct intake_session *intake_session_of(const struct conn *conn)
{
	return (struct intake_session *)(uintptr_t)conn;
}

void intake_begin(struct intake_session *session, enum intake_doing doing)
{
	session->doing = doing;
	session->answered = false;
	session->outcome = ERROR_NONE;
	session->error = (struct error){0};
}

/* ---- the draft ---- */

static void drop_message(struct intake_session *session)
{
	draft_free(session->draft);
	session->draft = NULL;
	free(session->recipients);
	session->recipients = NULL;
	session->recipient_count = session->recipient_room = 0;
}

static void begin_message(struct intake_session *session, const struct smtp_event *event)
{
	struct worker *worker = session->conn.worker;
	struct batch *batch = &session->batch;
	struct batch_recipient *first =
		session->recipients + session->recipient_count - event->recipients;

	assert(event->recipients <= session->recipient_count);
	draft_free(session->draft);
	session->draft = draft_new(worker->root.mail[0], session->options->octets_max);
	if (!session->draft) {
		smtp_server_begun(session->engine, ERROR_TEMPORARY, "out of memory, try later");
		return;
	}
	*batch = (struct batch){
		.root = &worker->root,
		.draft = session->draft,
		.all_or_nothing = !session->options->lmtp,
		.recipients = first,
		.count = event->recipients,
		.trace = {.sender = event->sender,
			  .helo = event->helo,
			  .peer = bytes_of(session->peer),
			  .host = bytes_of(worker->host),
			  .session = bytes_of(session->word),
			  .only_address = bytes_of(event->recipients == 1 ? first->address : ""),
			  .lmtp = session->options->lmtp,
			  .extended = event->extended,
			  .tls = link_is_tls(session->conn.link)},
	};
	smtp_server_begun(session->engine, ERROR_NONE, "go on");
}

static void write_work(void *context)
{
	struct intake_session *session = context;

	session->outcome = draft_write(session->draft, session->body, &session->error);
}

static void job_done(void *context)
{
	struct intake_session *session = context;

	session->answered = true;
}

static enum conn_step answer_body(struct intake_session *session, enum error_code outcome)
{
	session->doing = INTAKE_NOTHING;
	if (outcome != ERROR_NONE) {
		log_event(LOG_LEVEL_WARNING, "draft", "session=%s error=\"%s\"", session->word,
			  session->error.text);
		draft_free(session->draft);
		session->draft = NULL;
	}
	smtp_server_taken(session->engine, outcome,
			  outcome == ERROR_TOO_LARGE ? "message too large" : "cannot take it now");
	return STEP_MORE;
}

/* A local user who is counted may fill the disk only so fast. */
static bool may_send(struct intake_session *session, size_t octets)
{
	const struct conn *conn = &session->conn;

	return conn->counted != conn->worker->users ||
	       peers_spend(conn->counted, &conn->peer, octets, clock_monotonic_ms());
}

static enum conn_step begin_body(struct intake_session *session, struct bytes body)
{
	intake_begin(session, INTAKE_WRITING);
	session->body = body;
	if (!may_send(session, body.length))
		return answer_body(session, error_set(&session->error, ERROR_FULL,
						      "too many octets of one user"));
	if (draft_in_memory(session->draft, body.length)) {
		write_work(session);
		return answer_body(session, session->outcome);
	}
	if (!conn_job(&session->conn, JOB_DRAFT, write_work, job_done))
		return answer_body(session, ERROR_TEMPORARY);
	return STEP_WAIT;
}

/* ---- delivery ---- */

static void deliver_work(void *context)
{
	struct intake_session *session = context;

	session->result = batch_deliver(&session->batch);
}

static void start_delivery(void *context)
{
	struct intake_session *session = context;
	struct batch *batch = &session->batch;

	session->answered = false;
	batch->last_try = clock_monotonic_ms() >= session->give_up_ms;
	if (conn_job(&session->conn, JOB_DELIVER, deliver_work, job_done))
		return;
	for (size_t i = 0; i < batch->count; i++) {
		batch->recipients[i].done = true;
		batch->recipients[i].outcome = ERROR_TEMPORARY;
		error_set(&batch->recipients[i].error, ERROR_TEMPORARY, "too many deliveries wait");
	}
	session->result = BATCH_DONE;
	session->answered = true;
}

static enum conn_step begin_delivery(struct intake_session *session)
{
	intake_begin(session, INTAKE_DELIVERING);
	session->looked_up_again = false;
	session->doubles = 0;
	session->give_up_ms = clock_monotonic_ms() + DELIVERY_WAIT_MS;
	session->batch.received_unix_seconds = clock_unix_seconds();
	session->batch.trace.unix_seconds = session->batch.received_unix_seconds;
	start_delivery(session);
	return session->answered ? STEP_MORE : STEP_WAIT;
}

static void log_delivery(const struct intake_session *session,
			 const struct batch_recipient *recipient)
{
	char room[LOG_FIELD_OCTETS];
	const char *sender = log_field(session->batch.trace.sender, room);
	unsigned long long octets = session->batch.sealed ? draft_facts(session->draft)->length : 0;

	if (recipient->outcome == ERROR_NONE)
		log_event(LOG_LEVEL_INFO, "delivery",
			  "session=%s user=%s peer=%s sender=%s octets=%llu uid=%s "
			  "outcome=delivered",
			  session->word, recipient->account, session->peer, sender, octets,
			  recipient->uid);
	else
		log_event(LOG_LEVEL_WARNING, "delivery",
			  "session=%s user=%s peer=%s sender=%s octets=%llu uid=- outcome=%s "
			  "error=\"%s\"",
			  session->word, recipient->account, session->peer, sender, octets,
			  error_meaning(recipient->outcome)->name, recipient->error.text);
}

static void count_delivery(struct counters *counters, enum error_code outcome)
{
	if (outcome == ERROR_NONE)
		counters->messages_delivered++;
	else if (error_meaning(outcome)->smtp[0] == '4')
		counters->deliveries_deferred++;
	else
		counters->deliveries_refused++;
}

static void account_for(struct intake_session *session)
{
	bool taken = false;

	for (size_t i = 0; i < session->batch.count; i++) {
		taken = taken || session->batch.recipients[i].outcome == ERROR_NONE;
		log_delivery(session, &session->batch.recipients[i]);
		count_delivery(&session->conn.worker->counters,
			       session->batch.recipients[i].outcome);
	}
	session->messages += taken;
	session->batch.count = 0; /* once only */
}

static enum conn_step answer_message(struct intake_session *session)
{
	struct batch *batch = &session->batch;
	uint32_t count = (uint32_t)batch->count;

	account_for(session);
	for (uint32_t i = 0; i < (batch->all_or_nothing ? 1 : count); i++) {
		char text[UID_MAX + 32];
		const struct batch_recipient *recipient = &batch->recipients[i];

		(void)snprintf(text, sizeof(text), "delivered as %s", recipient->uid);
		smtp_server_delivered(session->engine, i, recipient->outcome,
				      recipient->outcome == ERROR_NONE ? text : "not delivered");
	}
	drop_message(session);
	session->doing = INTAKE_NOTHING;
	return STEP_MORE;
}

/* Looks up those whose maildrop has moved, one after the other; then tries all again. */
static enum conn_step look_up_again(struct intake_session *session)
{
	struct batch *batch = &session->batch;

	for (size_t i = 0; i < batch->count; i++) {
		struct batch_recipient *recipient = &batch->recipients[i];

		if (!recipient->changed)
			continue;
		recipient->changed = false;
		session->looked_up = i;
		session->answered = false;
		if (intake_ask_place(session, bytes_of(recipient->account)))
			return STEP_WAIT;
		session->outcome = ERROR_TEMPORARY;
		session->answered = true;
		return STEP_MORE;
	}
	session->result = BATCH_DONE;
	session->looked_up_again = true;
	start_delivery(session);
	return session->answered ? STEP_MORE : STEP_WAIT;
}

/* One recipient who is no more would fail the message for all others; when the sender tries again,
 * RCPT tells him which it is. */
static enum error_code outcome_when_gone(const struct intake_session *session)
{
	bool others = session->batch.all_or_nothing && session->batch.count > 1;

	return others ? ERROR_TEMPORARY : session->outcome;
}

static enum conn_step delivery_changed(struct intake_session *session)
{
	struct batch_recipient *asked = &session->batch.recipients[session->looked_up];

	if (session->looked_up_again) /* moved twice within a delivery: let the sender try later */
		session->give_up_ms = 0;
	if (session->outcome != ERROR_NONE) {
		asked->done = true;
		asked->outcome = outcome_when_gone(session);
		error_set(&asked->error, asked->outcome, "the account is gone");
		session->outcome = ERROR_NONE;
	}
	return look_up_again(session);
}

static enum conn_step delivery_step(struct intake_session *session)
{
	uint64_t delay = (uint64_t)DELIVERY_RETRY_MS << session->doubles;
	uint8_t jitter;

	if (session->result == BATCH_DONE)
		return answer_message(session);
	if (session->result == BATCH_CHANGED)
		return delivery_changed(session);
	random_octets(&jitter, sizeof(jitter));
	delay += jitter * delay / UINT8_MAX;
	if (session->doubles < DELIVERY_DOUBLES_MAX)
		session->doubles++;
	if (conn_retry(&session->conn, delay, start_delivery))
		return STEP_WAIT;
	session->give_up_ms = 0;
	start_delivery(session);
	return session->answered ? STEP_MORE : STEP_WAIT;
}

/* ---- the conn's service ---- */

static enum conn_step next_event(struct intake_session *session)
{
	struct smtp_event event;

	if (!smtp_server_next(session->engine, &event))
		return STEP_IDLE;
	switch (event.kind) {
	case SMTP_RECIPIENT:
		return intake_recipient_begin(session, &event);
	case SMTP_BEGIN:
		begin_message(session, &event);
		return STEP_MORE;
	case SMTP_BODY:
		return begin_body(session, event.body);
	case SMTP_MESSAGE:
		return begin_delivery(session);
	case SMTP_START_TLS:
		return STEP_TLS;
	case SMTP_ABORT:
		drop_message(session);
		return STEP_MORE;
	case SMTP_CLOSE:
		break;
	}
	return STEP_CLOSE;
}

static bool collect(struct intake_session *session)
{
	struct bytes output = smtp_server_output(session->engine);
	size_t taken = conn_take(&session->conn, output);

	smtp_server_sent(session->engine, taken);
	return taken == output.length;
}

static enum conn_step step(struct conn *conn)
{
	struct intake_session *session = intake_session_of(conn);

	if (!collect(session))
		return STEP_FULL;
	switch (session->doing) {
	case INTAKE_NOTHING:
		break;
	case INTAKE_RESOLVING:
	case INTAKE_LOOKING:
		return intake_recipient_step(session);
	case INTAKE_WRITING:
		return answer_body(session, session->outcome);
	case INTAKE_DELIVERING:
		return delivery_step(session);
	}
	return next_event(session);
}

static bool start(struct conn *conn, const struct smtp_server_options *options)
{
	struct intake_session *session = intake_session_of(conn);

	session->options = options;
	session->engine = smtp_server_new(options);
	if (!session->engine)
		return false;
	if (!conn->trusted)
		smtp_server_reject_bare_lf(session->engine);
	(void)link_peer(conn->link, session->peer);
	(void)conn_word(conn, session->word);
	/* There is nobody between us and a peer at a unix socket. */
	if (conn->worker->tls && !bytes_start_with(bytes_of(session->peer), BYTES("unix:")))
		smtp_server_offer_tls(session->engine);
	smtp_server_greet(session->engine);
	return true;
}

static bool start_lmtp(struct conn *conn)
{
	return start(conn, &conn->worker->lmtp_options);
}

static bool start_smtp(struct conn *conn)
{
	return start(conn, &conn->worker->smtp_options);
}

static void secured(struct conn *conn)
{
	smtp_server_secured(intake_session_of(conn)->engine);
}

static size_t feed(struct conn *conn, struct bytes in)
{
	return smtp_server_feed(intake_session_of(conn)->engine, in);
}

static uint64_t deadline_ms(const struct conn *conn, uint64_t now_ms)
{
	uint64_t next_ms = now_ms + SMTP_TIMEOUT_MS;
	uint64_t last_ms = conn->since_ms + SMTP_SESSION_MAX_MS;

	return next_ms < last_ms ? next_ms : last_ms;
}

static void end(struct conn *conn, const char *text)
{
	smtp_server_end(intake_session_of(conn)->engine, text);
}

static void log_end(const struct intake_session *session)
{
	const struct conn *conn = &session->conn;

	log_event(LOG_LEVEL_INFO, "intake-end",
		  "session=%s peer=%s protocol=%s tls=%s received=%llu sent=%llu messages=%u "
		  "refused=%u seconds=%llu reason=\"%s\"",
		  session->word, session->peer, session->options->lmtp ? "LMTP" : "SMTP",
		  link_is_tls(conn->link) ? "yes" : "no", (unsigned long long)conn->octets_received,
		  (unsigned long long)conn->octets_sent, session->messages, session->refused,
		  (unsigned long long)((clock_monotonic_ms() - conn->since_ms) / 1000),
		  conn->reason ? conn->reason : "closed");
}

/* A delivery that was finished while the peer left is logged; one that waits was not done. */
static void close_session(struct conn *conn)
{
	struct intake_session *session = intake_session_of(conn);

	if (session->doing == INTAKE_DELIVERING && session->answered &&
	    session->result == BATCH_DONE)
		account_for(session);
	drop_message(session);
	if (session->engine)
		log_end(session);
	smtp_server_free(session->engine);
}

static bool is_guest(const struct conn *conn)
{
	const struct intake_session *session = intake_session_of(conn);

	return session->doing == INTAKE_NOTHING && session->recipient_count == 0 &&
	       session->draft == NULL;
}

#define SHARED                                                                                     \
	.size = sizeof(struct intake_session), .behind = "octets behind STARTTLS",                 \
	.late = "no command for too long, goodbye", .is_guest = is_guest, .feed = feed,            \
	.step = step, .secured = secured, .answered = intake_answered, .deadline_ms = deadline_ms, \
	.end = end, .close = close_session

const struct conn_service lmtp_service = {SHARED, .alpn = "lmtp", .start = start_lmtp};

/* Strangers leave the slots that are kept for the MTA beside us. */
const struct conn_service smtp_service = {SHARED, .alpn = "smtp", .start = start_smtp,
					  .leaves_slots = true};
