/*
 * conn: moves octets between a link and a service, and keeps the time-outs.
 *
 * Guarantees: the rules of conn.h. All decisions about what to watch are in settle(), all sending
 * in flush(), all receiving in receive(). Must not know: POP3, SMTP, stores.
 */
#include "server/conn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* A connection that always has more to do (a fast peer, a large message) gives way to others after
 * so many rounds, each at most OUTPUT_OCTETS_MAX. */
#define PUMP_TURNS_MAX 16

static void on_ready(void *context, bool readable, bool writable);
static void on_time_out(void *context);

const char *conn_word(const struct conn *conn, char room[CONN_WORD_OCTETS])
{
	(void)snprintf(room, CONN_WORD_OCTETS, "%x.%llx", (unsigned)conn->worker->number,
		       (unsigned long long)conn->number);
	return room;
}

bool conn_waiting(const struct conn *conn)
{
	return conn->job.pending || conn->question != 0 || conn->retrying;
}

size_t conn_room(const struct conn *conn)
{
	return OUTPUT_OCTETS_MAX - conn->worker->output.length;
}

bool conn_put(struct conn *conn, struct bytes octets)
{
	return buffer_append(&conn->worker->output, octets);
}

/* ---- beginning and end ---- */

size_t conn_take(struct conn *conn, struct bytes octets)
{
	struct bytes fits = bytes_first(octets, conn_room(conn));

	return fits.length > 0 && conn_put(conn, fits) ? fits.length : 0;
}

static void touch(struct conn *conn)
{
	conn->deadline_ms = conn->service->deadline_ms(conn, clock_monotonic_ms());
}

static void free_conn(struct conn *conn)
{
	loop_unwatch(&conn->watch);
	loop_timer_stop(&conn->timer);
	loop_timer_stop(&conn->retry);
	link_free(conn->link);
	buffer_wipe(&conn->held);
	buffer_free(&conn->held);
	buffer_free(&conn->unsent);
	free(conn);
}

/* The service is told before the link goes: its last log line names the peer. */
static void release(struct conn *conn)
{
	struct worker *worker = conn->worker;
	uint32_t slot = conn->slot;

	conn->service->close(conn);
	if (conn->counted)
		peers_leave(conn->counted, &conn->peer, clock_monotonic_ms());
	worker_remove(worker, slot);
	free_conn(conn);
}

static void close_now(struct conn *conn)
{
	loop_unwatch(&conn->watch);
	loop_timer_stop(&conn->timer);
	loop_timer_stop(&conn->retry);
	conn->retrying = false;
	conn->question = 0;
	conn->closing = true;
	if (!conn->job.pending)
		release(conn);
}

/* Closing a socket with unread input resets the connection, and the peer may lose our last words:
 * so what has come is read away first. */
static void close_politely(struct conn *conn)
{
	size_t length;

	link_finish(conn->link);
	for (int i = 0; i < 4; i++)
		if (link_read(conn->link, conn->worker->input, WORKER_INPUT_OCTETS, &length) !=
		    LINK_OK)
			break;
	close_now(conn);
}

struct conn *conn_new(struct worker *worker, const struct conn_service *service, int descriptor,
		      bool tls)
{
	struct conn *conn = calloc(1, service->size);

	if (!conn || !(conn->link = link_new(descriptor))) {
		close(descriptor);
		free(conn);
		return NULL;
	}
	conn->worker = worker;
	conn->service = service;
	conn->since_ms = clock_monotonic_ms();
	conn->since_unix_seconds = clock_unix_seconds();
	conn->handshaking = tls;
	buffer_init(&conn->held, WORKER_INPUT_OCTETS);
	buffer_init(&conn->unsent, OUTPUT_OCTETS_MAX);
	touch(conn);
	if ((tls && !link_start_tls(conn->link, worker->tls, service->alpn)) ||
	    !loop_timer(worker->loop, &conn->timer, conn->deadline_ms - conn->since_ms, on_time_out,
			conn) ||
	    !loop_watch(worker->loop, &conn->watch, descriptor, true, false, on_ready, conn) ||
	    !worker_add(worker, conn, &conn->slot)) {
		free_conn(conn);
		return NULL;
	}
	conn->number = worker_number(worker, conn->slot);
	return conn;
}

/* ---- octets ---- */

/* Sends from the front of *out; false when the link takes no more for now, or is broken. */
static bool send_some(struct conn *conn, struct bytes *out)
{
	conn->write_wants_read = false;
	while (out->length > 0) {
		size_t written = 0;
		enum link_result result = link_write(conn->link, *out, &written);

		if (result == LINK_WANT_READ || result == LINK_WANT_WRITE) {
			conn->write_wants_read = result == LINK_WANT_READ;
			return false;
		}
		if (result != LINK_OK) {
			conn->broken = true;
			conn->reason = "connection lost";
			return false;
		}
		*out = bytes_skip(*out, written);
		conn->octets_sent += written;
		conn->worker->counters.octets_sent += written;
		touch(conn);
	}
	return true;
}

/* True when all output is with the kernel. */
static bool flush(struct conn *conn)
{
	struct buffer *output = &conn->worker->output;
	struct bytes out = buffer_bytes(&conn->unsent);

	if (out.length > 0) {
		bool sent = send_some(conn, &out);

		buffer_remove_front(&conn->unsent, conn->unsent.length - out.length);
		if (!sent)
			return false;
		buffer_free(&conn->unsent);
	}
	out = buffer_bytes(output);
	if (out.length == 0)
		return true;
	if (!send_some(conn, &out) && !conn->broken && !buffer_append(&conn->unsent, out)) {
		conn->broken = true;
		conn->reason = "out of memory";
	}
	output->length = 0;
	return conn->unsent.length == 0 && !conn->broken;
}

/* Octets of the peer, in the worker's scratch memory; false when there are none for now. */
static bool receive(struct conn *conn, struct bytes *in_out)
{
	size_t length = 0;
	enum link_result result =
		link_read(conn->link, conn->worker->input, WORKER_INPUT_OCTETS, &length);

	conn->read_wants_write = result == LINK_WANT_WRITE;
	switch (result) {
	case LINK_OK:
		*in_out = (struct bytes){conn->worker->input, length};
		conn->octets_received += length;
		touch(conn);
		return true;
	case LINK_END:
		conn->input_ended = true;
		conn->reason = "peer closed";
		return false;
	case LINK_BROKEN:
		conn->broken = true;
		conn->reason = "connection lost";
		return false;
	default:
		return false;
	}
}

/* Lets the service work until it stops for a reason other than hunger. */
static enum conn_step serve(struct conn *conn, struct bytes *in)
{
	bool fed = true;

	for (;;) {
		enum conn_step step = conn->service->step(conn);

		if (step == STEP_MORE)
			continue;
		if (step != STEP_IDLE)
			return step;
		if (conn->goodbye) {
			conn->service->end(conn, conn->goodbye);
			conn->goodbye = NULL;
			continue;
		}
		if (in->length == 0)
			return STEP_IDLE;
		assert(fed); /* an idle engine that takes nothing would hang for ever */
		size_t taken = conn->service->feed(conn, *in);
		*in = bytes_skip(*in, taken);
		fed = taken > 0;
	}
}

static bool keep_input(struct conn *conn, struct bytes in)
{
	if (conn->held.length == 0)
		return in.length == 0 || buffer_append(&conn->held, in);
	if (in.length > 0)
		buffer_remove_front(&conn->held, conn->held.length - in.length);
	else
		buffer_free(&conn->held);
	return true;
}

static void settle(struct conn *conn, enum conn_step step, struct bytes in)
{
	bool unsent = conn->unsent.length > 0;
	bool writable = unsent || conn->yielding || conn->read_wants_write;
	bool readable = !unsent && step == STEP_IDLE;

	if (!conn->broken && !keep_input(conn, in)) {
		conn->broken = true;
		conn->reason = "out of memory";
	}
	if (conn->broken || step == STEP_CUT || (conn->input_ended && readable)) {
		conn->worker->output.length = 0;
		close_now(conn);
		return;
	}
	if (conn_waiting(conn) && !writable && !conn->watches_writable)
		return; /* on_ready() puts the watch to sleep when that turns out to be needed */
	conn->watches_writable = writable;
	(void)loop_watch(conn->worker->loop, &conn->watch, link_descriptor(conn->link),
			 readable || conn->write_wants_read, writable, on_ready, conn);
}

/* The service wants TLS. Its +OK has not left yet, so a peer that waits for it has sent nothing:
 * what is here was put behind the command by somebody on the way (RFC 2595 section 4 has the rest
 * of the session take place inside TLS), or by a client that does not wait. */
static enum conn_step begin_securing(struct conn *conn, struct bytes in)
{
	char word[CONN_WORD_OCTETS], peer[LINK_PEER_OCTETS];

	conn->securing = true;
	if (in.length == 0 && !link_has_plain_input(conn->link))
		return STEP_TLS;
	conn->reason = conn->service->behind;
	log_event(LOG_LEVEL_WARNING, "injection", "session=%s peer=%s reason=\"%s\"",
		  conn_word(conn, word), link_peer(conn->link, peer), conn->reason);
	return STEP_CUT;
}

static void shake_hands(struct conn *conn);

static void begin_tls(struct conn *conn)
{
	buffer_free(&conn->held);
	conn->handshaking = true;
	if (link_start_tls(conn->link, conn->worker->tls, conn->service->alpn)) {
		shake_hands(conn);
	} else {
		conn->reason = "out of memory";
		close_now(conn);
	}
}

static enum conn_step step_before(const struct conn *conn)
{
	if (conn_waiting(conn))
		return STEP_WAIT;
	return conn->securing ? STEP_TLS : STEP_FULL;
}

static void pump(struct conn *conn, bool readable)
{
	struct bytes in = buffer_bytes(&conn->held);
	enum conn_step step = step_before(conn);

	assert(conn->worker->output.length == 0);
	conn->yielding = false;
	for (int turns = 0; flush(conn) && step != STEP_WAIT; turns++) {
		if (step == STEP_CLOSE) {
			close_politely(conn);
			return;
		}
		if (step == STEP_TLS) {
			begin_tls(conn);
			return;
		}
		if (step == STEP_IDLE && in.length == 0) {
			if (!readable)
				break;
			buffer_free(&conn->held);
			if (!receive(conn, &in))
				break;
			readable = link_pending(conn->link);
		}
		if (turns == PUMP_TURNS_MAX) {
			conn->yielding = true;
			break;
		}
		step = serve(conn, &in);
		if (step == STEP_TLS)
			step = begin_securing(conn, in);
		if (step == STEP_CUT)
			break;
	}
	settle(conn, step, in);
}

/* ---- callbacks ---- */

static void start(struct conn *conn)
{
	if (!conn->service->start(conn)) {
		conn->reason = "out of memory";
		close_now(conn);
		return;
	}
	pump(conn, link_pending(conn->link));
}

static void go_on_secured(struct conn *conn)
{
	conn->securing = false;
	conn->service->secured(conn);
	pump(conn, link_pending(conn->link));
}

static void shake_hands(struct conn *conn)
{
	enum link_result result = link_handshake(conn->link);

	if (result == LINK_WANT_READ || result == LINK_WANT_WRITE) {
		(void)loop_watch(conn->worker->loop, &conn->watch, link_descriptor(conn->link),
				 result == LINK_WANT_READ, result == LINK_WANT_WRITE, on_ready,
				 conn);
	} else if (result == LINK_OK) {
		conn->handshaking = false;
		if (conn->securing)
			go_on_secured(conn);
		else
			start(conn);
	} else {
		conn->reason = "TLS handshake failed";
		close_now(conn);
	}
}

void conn_start(struct conn *conn)
{
	if (conn->handshaking)
		shake_hands(conn);
	else
		start(conn);
}

static void on_ready(void *context, bool readable, bool writable)
{
	struct conn *conn = context;

	if (conn->handshaking) {
		shake_hands(conn);
	} else if (conn_waiting(conn) && conn->unsent.length == 0) {
		conn->watches_writable = false;
		(void)loop_watch(conn->worker->loop, &conn->watch, link_descriptor(conn->link),
				 false, false, on_ready, conn);
	} else {
		pump(conn, readable || (writable && conn->read_wants_write));
	}
}

static void on_time_out(void *context)
{
	struct conn *conn = context;
	uint64_t now = clock_monotonic_ms();

	if (conn_waiting(conn))
		touch(conn);
	if (now < conn->deadline_ms || conn_waiting(conn)) {
		uint64_t left = conn->deadline_ms > now ? conn->deadline_ms - now : 1000;

		(void)loop_timer(conn->worker->loop, &conn->timer, left, on_time_out, conn);
	} else if (conn->handshaking || conn->unsent.length > 0 || conn->goodbye ||
		   !conn->service->late) {
		conn_cut(conn, "time-out");
	} else {
		/* If it is still there after another second, it is cut. */
		(void)loop_timer(conn->worker->loop, &conn->timer, 1000, on_time_out, conn);
		conn_end(conn, "time-out", conn->service->late);
	}
}

void conn_resume(struct conn *conn)
{
	if (conn->closing) {
		if (!conn->job.pending)
			release(conn);
		return;
	}
	if (conn_waiting(conn))
		return;
	touch(conn);
	pump(conn, false);
}

void conn_end(struct conn *conn, const char *reason, const char *text)
{
	if (conn->closing)
		return;
	conn->reason = reason;
	if (conn->handshaking) {
		close_now(conn);
		return;
	}
	conn->goodbye = text;
	if (!conn_waiting(conn) && conn->unsent.length == 0)
		pump(conn, false);
}

static void on_kicked(void *context)
{
	struct conn *conn = context;

	if (conn->service->must_finish && conn->service->must_finish(conn))
		(void)loop_timer(conn->worker->loop, &conn->timer, CONN_KICK_MS, on_kicked, conn);
	else
		conn_cut(conn, conn->reason);
}

/* The timer of the peer's time-out serves: what the peer still does grants it no more time. */
void conn_kick(struct conn *conn, const char *reason, const char *text)
{
	if (conn->closing)
		return;
	(void)loop_timer(conn->worker->loop, &conn->timer, CONN_KICK_MS, on_kicked, conn);
	conn_end(conn, reason, text);
}

void conn_cut(struct conn *conn, const char *reason)
{
	if (conn->closing)
		return;
	conn->reason = reason;
	close_now(conn);
}

/* ---- waiting ---- */

static void on_job_done(void *context)
{
	struct conn *conn = context;

	conn->on_done(conn);
	conn_resume(conn);
}

bool conn_job(struct conn *conn, enum job_class class, loop_callback *work, loop_callback *done)
{
	if (conn->closing)
		return false;
	conn->on_done = done;
	return jobs_submit(conn->worker->jobs, &conn->job, class, work, on_job_done, conn);
}

/* Auth is there and silent (it is stopped, its disk hangs). What it says after this is nobody's. */
static void on_no_answer(void *context)
{
	struct conn *conn = context;
	char word[CONN_WORD_OCTETS];

	log_event(LOG_LEVEL_WARNING, "no-answer", "session=%s from=auth", conn_word(conn, word));
	conn_answered(conn, NULL);
}

bool conn_ask(struct conn *conn, void *message)
{
	struct message_header *header = message;

	if (conn->closing)
		return false;
	assert(conn->question == 0);
	header->request = worker_number(conn->worker, conn->slot);
	if (!loop_timer(conn->worker->loop, &conn->retry, conn->worker->answer_ms, on_no_answer,
			conn))
		return false;
	if (!worker_tell(conn->worker, message)) {
		loop_timer_stop(&conn->retry);
		return false;
	}
	conn->question = header->request;
	return true;
}

void conn_answered(struct conn *conn, const union message *answer)
{
	conn->question = 0;
	loop_timer_stop(&conn->retry);
	conn->service->answered(conn, answer);
	conn_resume(conn);
}

static void on_retry(void *context)
{
	struct conn *conn = context;

	conn->retrying = false;
	loop_timer_stop(&conn->retry); /* rarely needed: an idle session has none */
	conn->on_retry(conn);
	conn_resume(conn);
}

bool conn_retry(struct conn *conn, uint64_t delay_ms, loop_callback *callback)
{
	if (conn->closing ||
	    !loop_timer(conn->worker->loop, &conn->retry, delay_ms, on_retry, conn))
		return false;
	conn->on_retry = callback;
	conn->retrying = true;
	return true;
}
