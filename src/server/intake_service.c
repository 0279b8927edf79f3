/*
 * intake_service: one LMTP connection between its engine, auth and the stores.
 *
 * Recipients are looked up one by one; the message goes into a draft; behind the final dot it goes
 * to all maildrops (batch.h), again and again while one of them is held, up to DELIVERY_WAIT_MS.
 *
 * Guarantees: a recipient is answered 250 only for an outcome that means stable storage; each
 * delivery is logged, also when the peer has gone meanwhile.
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
#include "server/batch.h"

#define DELIVERY_RETRY_MS 20 /* and up to as much again, so that two rivals do not keep in step */

enum intake_doing { INTAKE_NOTHING, INTAKE_RESOLVING, INTAKE_WRITING, INTAKE_DELIVERING };

struct intake_session {
	struct conn conn;
	struct smtp_server *engine;
	enum intake_doing doing;
	bool answered; /* what is being done is over, and outcome says how */
	enum error_code outcome;
	struct error error;
	/* Those the engine was told of as accepted, in this order. A transaction that was dropped
	 * before its message leaves some behind: BEGIN says how many of the last ones count. */
	struct batch_recipient *recipients;
	size_t recipient_count, recipient_room;
	size_t looked_up; /* of batch.recipients, when places are looked up again */
	bool looked_up_again;
	struct draft *draft;
	struct bytes body;
	struct batch batch;
	enum batch_result result;
	uint64_t give_up_ms;
	char peer[LINK_PEER_OCTETS];
	char word[CONN_WORD_OCTETS];
};

static struct intake_session *session_of(const struct conn *conn)
{
	return (struct intake_session *)(uintptr_t)conn;
}

static void begin(struct intake_session *session, enum intake_doing doing)
{
	session->doing = doing;
	session->answered = false;
	session->outcome = ERROR_NONE;
	session->error = (struct error){0};
}

/* ---- recipients ---- */

/* Room for one more. The engine never has more than SMTP_RECIPIENTS_MAX in a transaction, so of
 * twice as many the older half is left over from dropped ones. */
static struct batch_recipient *add_recipient(struct intake_session *session)
{
	size_t size = sizeof(*session->recipients);

	if (session->recipient_count == (size_t)2 * SMTP_RECIPIENTS_MAX) {
		session->recipient_count = SMTP_RECIPIENTS_MAX;
		memmove(session->recipients, session->recipients + SMTP_RECIPIENTS_MAX,
			SMTP_RECIPIENTS_MAX * size);
	}
	if (session->recipient_count == session->recipient_room) {
		size_t room = session->recipient_room ? 2 * session->recipient_room : 1;
		void *grown = realloc(session->recipients, room * size);

		if (!grown)
			return NULL;
		session->recipients = grown;
		session->recipient_room = room;
	}
	memset(&session->recipients[session->recipient_count], 0, size);
	return &session->recipients[session->recipient_count++];
}

static bool ask_place(struct intake_session *session, struct bytes address)
{
	struct message_resolve message;

	message_init(&message, MESSAGE_RESOLVE, 0);
	if (address.length > sizeof(message.address.octets))
		return false;
	message.address.length = (uint32_t)address.length;
	memcpy(message.address.octets, address.data, address.length);
	return conn_ask(&session->conn, &message);
}

/* At RCPT a new recipient; behind the message the place of one whose maildrop has moved. */
static void answered(struct conn *conn, const union message *answer)
{
	struct intake_session *session = session_of(conn);
	struct batch_recipient *recipient;

	session->answered = true;
	session->outcome = answer && answer->header.type == MESSAGE_RESOLVED
				   ? (enum error_code)answer->resolved.outcome
				   : ERROR_TEMPORARY;
	if (session->outcome != ERROR_NONE)
		return;
	recipient = session->doing == INTAKE_RESOLVING
			    ? add_recipient(session)
			    : &session->batch.recipients[session->looked_up];
	if (!recipient) {
		session->outcome = ERROR_TEMPORARY;
		return;
	}
	recipient->place = answer->resolved.place;
	memcpy(recipient->account, answer->resolved.account, sizeof(recipient->account));
}

static const char *recipient_words(enum error_code outcome)
{
	switch (outcome) {
	case ERROR_NONE:
		return "recipient accepted";
	case ERROR_NO_USER:
		return "no such user here";
	case ERROR_DENIED:
		return "this account is disabled";
	default:
		return "cannot look up users now";
	}
}

static enum conn_step answer_recipient(struct intake_session *session, enum error_code outcome)
{
	if (outcome != ERROR_NONE)
		session->conn.worker->counters.deliveries_refused++;
	session->doing = INTAKE_NOTHING;
	smtp_server_recipient(session->engine, outcome, recipient_words(outcome));
	return STEP_MORE;
}

static enum conn_step begin_recipient(struct intake_session *session, struct bytes address)
{
	begin(session, INTAKE_RESOLVING);
	return ask_place(session, address) ? STEP_WAIT : answer_recipient(session, ERROR_TEMPORARY);
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

	draft_free(session->draft);
	session->draft = NULL;
	if (event->recipients <= session->recipient_count)
		session->draft = draft_new(worker->root.mail[0], MESSAGE_OCTETS_MAX);
	if (!session->draft) {
		smtp_server_begun(session->engine, ERROR_TEMPORARY, "out of memory, try later");
		return;
	}
	*batch = (struct batch){
		.root = &worker->root,
		.draft = session->draft,
		.all_or_nothing = !worker->lmtp_options.lmtp,
		.recipients = session->recipients + session->recipient_count - event->recipients,
		.count = event->recipients,
		.trace = {.sender = event->sender,
			  .helo = event->helo,
			  .peer = bytes_of(session->peer),
			  .host = bytes_of(worker->host),
			  .session = bytes_of(session->word),
			  .lmtp = worker->lmtp_options.lmtp,
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

static enum conn_step begin_body(struct intake_session *session, struct bytes body)
{
	begin(session, INTAKE_WRITING);
	session->body = body;
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
	begin(session, INTAKE_DELIVERING);
	session->looked_up_again = false;
	session->give_up_ms = clock_monotonic_ms() + DELIVERY_WAIT_MS;
	session->batch.received_unix_seconds = clock_unix_seconds();
	session->batch.trace.unix_seconds = session->batch.received_unix_seconds;
	start_delivery(session);
	return session->answered ? STEP_MORE : STEP_WAIT;
}

static void log_delivery(const struct intake_session *session,
			 const struct batch_recipient *recipient)
{
	char sender[LOG_FIELD_OCTETS];
	bool good = recipient->outcome == ERROR_NONE;

	log_event(good ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "delivery",
		  "session=%s user=%s peer=%s sender=%s octets=%llu uid=%s outcome=%s%s%s%s",
		  session->word, recipient->account, session->peer,
		  log_field(session->batch.trace.sender, sender),
		  session->batch.sealed ? (unsigned long long)draft_facts(session->draft)->length
					: 0,
		  good ? recipient->uid : "-",
		  good ? "delivered" : error_meaning(recipient->outcome)->name,
		  good ? "" : " error=\"", good ? "" : recipient->error.text, good ? "" : "\"");
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
	for (size_t i = 0; i < session->batch.count; i++) {
		log_delivery(session, &session->batch.recipients[i]);
		count_delivery(&session->conn.worker->counters,
			       session->batch.recipients[i].outcome);
	}
	session->batch.count = 0; /* once only */
}

static enum conn_step answer_message(struct intake_session *session)
{
	struct batch *batch = &session->batch;
	uint32_t count = (uint32_t)batch->count;

	account_for(session);
	for (uint32_t i = 0; i < (session->conn.worker->lmtp_options.lmtp ? count : 1); i++) {
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
		if (ask_place(session, bytes_of(recipient->account)))
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

static enum conn_step delivery_changed(struct intake_session *session)
{
	struct batch_recipient *asked = &session->batch.recipients[session->looked_up];

	if (session->looked_up_again) /* moved twice within a delivery: let the sender try later */
		session->give_up_ms = 0;
	if (session->outcome != ERROR_NONE) {
		asked->done = true;
		asked->outcome = session->outcome;
		session->outcome = ERROR_NONE;
	}
	return look_up_again(session);
}

static enum conn_step delivery_step(struct intake_session *session)
{
	uint64_t delay = DELIVERY_RETRY_MS;
	uint8_t jitter;

	if (session->result == BATCH_DONE)
		return answer_message(session);
	if (session->result == BATCH_CHANGED)
		return delivery_changed(session);
	random_octets(&jitter, sizeof(jitter));
	delay += (uint64_t)jitter * DELIVERY_RETRY_MS / UINT8_MAX;
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
		return begin_recipient(session, event.recipient);
	case SMTP_BEGIN:
		begin_message(session, &event);
		return STEP_MORE;
	case SMTP_BODY:
		return begin_body(session, event.body);
	case SMTP_MESSAGE:
		return begin_delivery(session);
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
	struct intake_session *session = session_of(conn);

	if (!collect(session))
		return STEP_FULL;
	switch (session->doing) {
	case INTAKE_NOTHING:
		break;
	case INTAKE_RESOLVING:
		return answer_recipient(session, session->outcome);
	case INTAKE_WRITING:
		return answer_body(session, session->outcome);
	case INTAKE_DELIVERING:
		return delivery_step(session);
	}
	return next_event(session);
}

static bool start(struct conn *conn)
{
	struct intake_session *session = session_of(conn);

	session->engine = smtp_server_new(&conn->worker->lmtp_options);
	if (!session->engine)
		return false;
	(void)link_peer(conn->link, session->peer);
	(void)conn_word(conn, session->word);
	smtp_server_greet(session->engine);
	return true;
}

static size_t feed(struct conn *conn, struct bytes in)
{
	return smtp_server_feed(session_of(conn)->engine, in);
}

static uint64_t deadline_ms(const struct conn *conn, uint64_t now_ms)
{
	uint64_t next_ms = now_ms + SMTP_TIMEOUT_MS;
	uint64_t last_ms = conn->since_ms + SMTP_SESSION_MAX_MS;

	return next_ms < last_ms ? next_ms : last_ms;
}

static void end(struct conn *conn, const char *text)
{
	smtp_server_end(session_of(conn)->engine, text);
}

/* A delivery that was finished while the peer left is logged; one that waits was not done. */
static void close_session(struct conn *conn)
{
	struct intake_session *session = session_of(conn);

	if (session->doing == INTAKE_DELIVERING && session->answered &&
	    session->result == BATCH_DONE)
		account_for(session);
	drop_message(session);
	smtp_server_free(session->engine);
}

static bool is_guest(const struct conn *conn)
{
	const struct intake_session *session = session_of(conn);

	return session->doing == INTAKE_NOTHING && session->recipient_count == 0 &&
	       session->draft == NULL;
}

const struct conn_service intake_service = {
	.size = sizeof(struct intake_session),
	.is_guest = is_guest,
	.start = start,
	.feed = feed,
	.step = step,
	.answered = answered,
	.deadline_ms = deadline_ms,
	.end = end,
	.close = close_session,
};
