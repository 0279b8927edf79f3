/*
 * conn: a service of one-letter commands over a socket pair, with a peer that reads slowly, not at
 * all, closes early, or waits too long.
 */
#include "server/conn.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/test.h"
#include "net/test_peer.h"
#include "server/intake_service.h"
#include "server/pop3_service.h"
#include "server/pop3_session.h"

#define MUCH (1024 * 1024) /* what `b` puts out */

struct fake {
	struct conn conn;
	char command; /* under way; 0: none */
	bool job_done;
	size_t left;
};

static struct {
	struct worker *worker;
	int peer;
	struct loop_watch *watch;
	struct buffer received;
	size_t read_at_once; /* 0: the peer does not read */
	SSL *client;         /* the peer's TLS; NULL: it speaks plainly */
	uint64_t time_out_ms;
	size_t unsent_max;
	unsigned jobs_done;
	int auth; /* our end of the channel to an auth that never says a word */
	bool closed, cut_amid_job, speaks_tls, silent;
	struct conn *conn;              /* the last one that was begun */
	struct loop_timer *kick, *over; /* of its kick; of what it must finish */
	bool must_finish;
	const char *reason;
} world;

/* ---- the service ---- */

static void job_work(void *context)
{
	struct fake *fake = context;

	fake->job_done = true;
}

static void job_over(void *context)
{
	(void)context;
	world.jobs_done++;
}

static bool start(struct conn *conn)
{
	((struct fake *)conn)->command = '+'; /* as an engine keeps its greeting for step() */
	return true;
}

static size_t feed(struct conn *conn, struct bytes in)
{
	struct fake *fake = (struct fake *)conn;

	if (fake->command != 0)
		return 0;
	fake->command = in.data[0];
	fake->left = fake->command == 'b' ? MUCH : 0;
	return 1;
}

static enum conn_step put_much(struct fake *fake)
{
	static const char block[4096] = {0};
	size_t room = conn_room(&fake->conn);

	if (fake->conn.unsent.length > world.unsent_max)
		world.unsent_max = fake->conn.unsent.length;
	if (room < sizeof(block))
		return STEP_FULL;
	(void)conn_put(&fake->conn, (struct bytes){block, sizeof(block)});
	fake->left -= sizeof(block);
	if (fake->left == 0)
		fake->command = 0;
	return STEP_MORE;
}

static enum conn_step step_job(struct fake *fake)
{
	if (!fake->job_done) {
		test_check(conn_job(&fake->conn, JOB_OPEN, job_work, job_over));
		if (world.cut_amid_job)
			return STEP_CUT;
		return STEP_WAIT;
	}
	fake->job_done = false;
	fake->command = 0;
	(void)conn_put(&fake->conn, BYTES("W"));
	return STEP_MORE;
}

static enum conn_step ask(struct fake *fake)
{
	struct message_resolve message;

	message_init(&message, MESSAGE_RESOLVE, 0);
	test_check(conn_ask(&fake->conn, &message));
	fake->command = 'N';
	return STEP_WAIT;
}

static void answered(struct conn *conn, const union message *answer)
{
	test_check(((struct fake *)conn)->command == 'N' && !answer);
}

static enum conn_step step(struct conn *conn)
{
	struct fake *fake = (struct fake *)conn;

	if (conn_room(conn) == 0)
		return STEP_FULL;
	switch (fake->command) {
	case 0:
		return STEP_IDLE;
	case 'b':
		return put_much(fake);
	case 'w':
		return step_job(fake);
	case 'a':
		return ask(fake);
	case 'T': /* the peer's next octet has arrived, and nobody has read it */
		test_check(write(world.peer, "x", 1) == 1);
		return STEP_TLS;
	case 't':
		(void)conn_put(conn, BYTES("t"));
		return STEP_TLS;
	case 'q':
		return STEP_CLOSE;
	default:
		(void)conn_put(conn, (struct bytes){&fake->command, 1});
		fake->command = 0;
		return STEP_MORE;
	}
}

static void secured(struct conn *conn)
{
	((struct fake *)conn)->command = 's';
}

static uint64_t deadline_ms(const struct conn *conn, uint64_t now_ms)
{
	(void)conn;
	return now_ms + world.time_out_ms;
}

static void end(struct conn *conn, const char *text)
{
	(void)text;
	(void)conn_put(conn, BYTES("!"));
	((struct fake *)conn)->command = 'q';
}

static bool must_finish(const struct conn *conn)
{
	(void)conn;
	return world.must_finish;
}

static void close_fake(struct conn *conn)
{
	test_check(!world.must_finish);
	world.closed = true;
	world.reason = conn->reason;
	test_check(!conn->job.pending);
}

static const struct conn_service fake_service = {
	.size = sizeof(struct fake),
	.alpn = "fake",
	.behind = "octets behind t",
	.late = "too late",
	.start = start,
	.feed = feed,
	.step = step,
	.secured = secured,
	.answered = answered,
	.deadline_ms = deadline_ms,
	.end = end,
	.must_finish = must_finish,
	.close = close_fake,
};

/* The same, but at a time-out it says nothing. */
static struct conn_service silent_service;

/* ---- the peer ---- */

/* In small steps, as often as the socket has something: the handshake, then "yq" to be answered. */
static ssize_t read_tls(char *room, size_t size)
{
	int got = 0;

	if (!SSL_is_init_finished(world.client)) {
		if (SSL_do_handshake(world.client) != 1) {
			errno = EAGAIN;
			return -1;
		}
		test_check(SSL_write(world.client, "yq", 2) == 2);
	}
	got = SSL_read(world.client, room, (int)size);
	if (got <= 0 && client_waits(world.client, got))
		errno = EAGAIN;
	else if (got <= 0)
		return 0;
	return got;
}

static void begin_client(void)
{
	static const struct client_options any;
	char room[1];

	world.client = client_new(world.peer, &any);
	test_check(read_tls(room, 1) < 0); /* sends the hello */
}

static void on_peer(void *context, bool readable, bool writable)
{
	static char room[MUCH];
	ssize_t got = world.client ? read_tls(room, world.read_at_once)
				   : read(world.peer, room, world.read_at_once);

	(void)context;
	(void)readable;
	(void)writable;
	if (got > 0) {
		(void)buffer_append(&world.received, (struct bytes){room, (size_t)got});
		if (bytes_equal(buffer_bytes(&world.received), BYTES("+xt")) && world.speaks_tls)
			begin_client();
		return;
	}
	if (got < 0 && errno == EAGAIN)
		return;
	loop_unwatch(&world.watch);
	if (world.closed)
		loop_stop(world.worker->loop);
}

static void begin(uint64_t time_out_ms, size_t read_at_once, struct bytes sent, bool half_close)
{
	int ends[2];
	struct conn *conn;

	world.time_out_ms = time_out_ms;
	world.read_at_once = read_at_once;
	world.closed = false;
	world.unsent_max = world.jobs_done = 0;
	buffer_init(&world.received, 8 * MUCH);
	test_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	world.peer = ends[1];
	test_check(write(ends[1], sent.data, sent.length) == (ssize_t)sent.length);
	if (half_close)
		test_check(shutdown(ends[1], SHUT_WR) == 0);
	silent_service = fake_service;
	silent_service.late = NULL;
	conn = conn_new(world.worker, world.silent ? &silent_service : &fake_service, ends[0],
			false);
	test_check(conn != NULL);
	world.conn = conn;
	if (read_at_once > 0)
		test_check(loop_watch(world.worker->loop, &world.watch, ends[1], true, false,
				      on_peer, NULL));
	conn_start(conn);
}

static void look_for_end(void *context)
{
	struct loop_timer **timer = context;

	if (world.closed && !world.watch)
		loop_stop(world.worker->loop);
	else
		(void)loop_timer(world.worker->loop, timer, 5, look_for_end, timer);
}

static void finish(const char *reason)
{
	struct loop_timer *timer = NULL;

	look_for_end(&timer);
	loop_run(world.worker->loop);
	loop_timer_stop(&timer);
	test_check(world.closed && world.worker->conn_count == 0);
	test_check(world.worker->output.length == 0);
	test_check((world.reason == NULL) == (reason == NULL));
	test_check(!reason || strcmp(world.reason, reason) == 0);
	close(world.peer);
}

/* ---- rows ---- */

static const struct row {
	const char *name;
	struct bytes sent;
	bool half_close;
	size_t read_at_once;
	const char *received; /* `b`s left out */
	size_t much;          /* how often MUCH was received */
	unsigned jobs;
	const char *reason;
} rows[] = {
	{"pipelined", {"xyzq", 4}, false, 100, "+xyz", 0, 0, NULL},
	{"nothing behind the end", {"xqyz", 4}, false, 100, "+x", 0, 0, NULL},
	{"one octet at a time", {"xyzq", 4}, false, 1, "+xyz", 0, 0, NULL},
	{"half closed", {"xy", 2}, true, 100, "+xy", 0, 0, "peer closed"},
	{"half closed at once", {"", 0}, true, 100, "+", 0, 0, "peer closed"},
	{"jobs", {"wxwwyq", 6}, false, 100, "+WxWWy", 0, 3, NULL},
	{"half closed behind jobs", {"wwx", 3}, true, 100, "+WWx", 0, 2, "peer closed"},
	{"questions without an answer", {"xayawq", 6}, false, 100, "+xNyNW", 0, 1, NULL},
	{"much", {"bxq", 3}, false, MUCH, "+x", 1, 0, NULL},
	{"much, read slowly", {"bbwxq", 5}, false, 3000, "+Wx", 2, 1, NULL},
	{"octets behind the command for TLS", {"xtx", 3}, false, 100, "+", 0, 0, "octets behind t"},
	{"octets in the socket", {"xT", 2}, false, 100, "+", 0, 0, "octets behind t"},
	{"a handshake that never comes", {"xt", 2}, false, 100, "+xt", 0, 0, "time-out"},
	{"a time-out", {"x", 1}, false, 100, "+x!", 0, 0, "time-out"},
};

static void check_received(const struct row *row)
{
	struct buffer words;
	size_t zeroes = 0;

	buffer_init(&words, 100);
	for (size_t i = 0; i < world.received.length; i++) {
		if (world.received.data[i] == '\0')
			zeroes++;
		else
			(void)buffer_append(&words, (struct bytes){&world.received.data[i], 1});
	}
	test_equal_bytes(buffer_bytes(&words), bytes_of(row->received));
	test_check(zeroes == row->much * MUCH);
	buffer_free(&words);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		test_row(rows[i].name);
		begin(100, rows[i].read_at_once, rows[i].sent, rows[i].half_close);
		finish(rows[i].reason);
		check_received(&rows[i]);
		test_check(world.jobs_done == rows[i].jobs);
		buffer_free(&world.received);
	}
}

static void test_time_out_without_a_word(void **state)
{
	(void)state;
	test_row("without a word");
	world.silent = true;
	begin(100, 100, BYTES("x"), false);
	finish("time-out");
	test_equal_bytes(buffer_bytes(&world.received), BYTES("+x"));
	buffer_free(&world.received);
	world.silent = false;
}

/* A peer that asks for much and reads nothing costs a bounded buffer, and its time runs out. */
static void test_peer_does_not_read(void **state)
{
	(void)state;
	test_row("does not read");
	begin(50, 0, BYTES("bbbbbbbbb"), false);
	finish("time-out");
	test_check(world.unsent_max <= OUTPUT_OCTETS_MAX);
}

static void test_secured(void **state)
{
	(void)state;
	test_row("a handshake");
	world.speaks_tls = true;
	begin(10000, 100, BYTES("xt"), false);
	finish(NULL);
	test_equal_bytes(buffer_bytes(&world.received), BYTES("+xtsy"));
	world.speaks_tls = false;
	SSL_free(world.client);
	world.client = NULL;
	buffer_free(&world.received);
}

static void on_over(void *context)
{
	(void)context;
	world.must_finish = false;
}

static void on_kick(void *context)
{
	(void)context;
	conn_kick(world.conn, "kicked", "go");
}

/* Whatever the peer does, it is gone soon; but not before what must be finished is. */
static void test_kick(void **state)
{
	static const struct {
		const char *name;
		struct bytes sent;
		size_t read_at_once;
		bool must_finish;
		const char *received; /* NULL: not all of the answer */
	} kicks[] = {
		{"idle", {"x", 1}, 100, false, "+x!"},
		{"amid an answer, reads nothing", {"bbbbbb", 6}, 0, false, NULL},
		{"amid an answer, reads little", {"bbbbbb", 6}, 1, false, NULL},
		{"what must be finished", {"bbbbbb", 6}, 0, true, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(kicks) / sizeof(kicks[0]); i++) {
		test_row(kicks[i].name);
		world.must_finish = kicks[i].must_finish;
		begin(3600 * 1000, kicks[i].read_at_once, kicks[i].sent, false);
		test_check(loop_timer(world.worker->loop, &world.kick, 1, on_kick, NULL));
		if (kicks[i].must_finish)
			test_check(
				loop_timer(world.worker->loop, &world.over, 1500, on_over, NULL));
		finish("kicked");
		loop_timer_stop(&world.kick);
		loop_timer_stop(&world.over);
		if (kicks[i].received)
			test_equal_bytes(buffer_bytes(&world.received),
					 bytes_of(kicks[i].received));
		test_check(world.received.length < 6 * MUCH);
		buffer_free(&world.received);
	}
}

/* A connection that is cut amid its job ends when the job is over. */
static void test_cut_amid_job(void **state)
{
	(void)state;
	test_row("cut amid a job");
	world.cut_amid_job = true;
	begin(10000, 100, BYTES("wx"), false);
	test_check(!world.closed);
	finish(NULL);
	world.cut_amid_job = false;
	test_check(world.jobs_done == 1);
	buffer_free(&world.received);
}

static void test_slots_of_pop3(void **state)
{
	static const struct {
		const char *name;
		uint32_t conn_max, pop3_max;
	} slots[] = {
		{"one", 1, 1},
		{"two", 2, 1},
		{"half, one below", 15, 8},
		{"half", 16, 8},
		{"the least", 18, 10},
		{"the least, at", 8 * SLOTS_LMTP_MIN, 56},
		{"the least, above", 9 * SLOTS_LMTP_MIN, 63},
		{"most", SESSIONS_MAX, 17500},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		test_row(slots[i].name);
		test_check(worker_pop3_max(slots[i].conn_max) == slots[i].pop3_max);
	}
}

/* Of real services, for a connection that began at 1000 ms. */
static void test_deadlines(void **state)
{
	enum { BEGIN = 1000, SMTP_LAST = SMTP_SESSION_MAX_MS - SMTP_TIMEOUT_MS };
	static const struct {
		const char *name;
		const struct conn_service *service;
		uint64_t after_ms, deadline_after_ms;
	} deadlines[] = {
		{"LMTP, at once", &lmtp_service, 0, SMTP_TIMEOUT_MS},
		{"LMTP, one below", &lmtp_service, SMTP_LAST - 1, SMTP_SESSION_MAX_MS - 1},
		{"LMTP, at", &lmtp_service, SMTP_LAST, SMTP_SESSION_MAX_MS},
		{"LMTP, above", &lmtp_service, SMTP_LAST + 1, SMTP_SESSION_MAX_MS},
		{"LMTP, over", &lmtp_service, SMTP_SESSION_MAX_MS + 1, SMTP_SESSION_MAX_MS},
		{"POP3 before login, one below", &pop3_service, POP3_LOGIN_TIMEOUT_MS - 1,
		 POP3_LOGIN_TIMEOUT_MS},
		{"POP3 before login, at", &pop3_service, POP3_LOGIN_TIMEOUT_MS,
		 POP3_LOGIN_TIMEOUT_MS},
		{"POP3 before login, above", &pop3_service, POP3_LOGIN_TIMEOUT_MS + 1,
		 POP3_LOGIN_TIMEOUT_MS},
	};
	static const uint64_t idle[] = {0, POP3_IDLE_TIMEOUT_MS - 1, POP3_IDLE_TIMEOUT_MS,
					POP3_IDLE_TIMEOUT_MS + 1};
	char name[] = "alice@example.org";
	struct pop3_session session = {.conn = {.since_ms = BEGIN}};

	(void)state;
	for (size_t i = 0; i < sizeof(deadlines) / sizeof(deadlines[0]); i++) {
		test_row(deadlines[i].name);
		test_check(deadlines[i].service->deadline_ms(&session.conn,
							     BEGIN + deadlines[i].after_ms) ==
			   BEGIN + deadlines[i].deadline_after_ms);
	}
	/* RFC 1939 section 3: at least 10 minutes, from each sign of life on. */
	assert_true(POP3_IDLE_TIMEOUT_MS >= 10 * 60 * 1000);
	session.name = name;
	for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++)
		assert_int_equal(pop3_service.deadline_ms(&session.conn, BEGIN + idle[i]),
				 BEGIN + idle[i] + POP3_IDLE_TIMEOUT_MS);
}

static void on_message(void *context, const union message *message, const int *descriptors,
		       size_t descriptor_count)
{
	(void)context;
	(void)message;
	(void)descriptors;
	(void)descriptor_count;
}

static void on_closed(void *context)
{
	(void)context;
}

static bool make_auth(struct worker *worker)
{
	int ends[2];

	if (!worker->loop || !channel_pair(ends))
		return false;
	world.auth = ends[1];
	worker->auth = channel_new(worker->loop, ends[0], on_message, on_closed, NULL);
	worker->answer_ms = 20;
	return worker->auth != NULL;
}

static int set_up(void **state)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	(void)state;
	world.worker = worker;
	buffer_init(&worker->output, OUTPUT_OCTETS_MAX);
	worker->conn_max = 2;
	worker->tls = make_tls();
	worker->loop = loop_open(2);
	worker->jobs = worker->loop ? jobs_new(worker->loop) : NULL;
	return worker->jobs && make_auth(worker) &&
			       buffer_reserve(&worker->output, OUTPUT_OCTETS_MAX)
		       ? 0
		       : -1;
}

static int tear_down(void **state)
{
	(void)state;
	channel_free(world.worker->auth);
	close(world.auth);
	jobs_free(world.worker->jobs);
	loop_close(world.worker->loop);
	buffer_free(&world.worker->output);
	tls_free(world.worker->tls);
	free(world.worker);
	return 0;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
	cmocka_unit_test(test_time_out_without_a_word),
	cmocka_unit_test(test_peer_does_not_read),
	cmocka_unit_test(test_cut_amid_job),
	cmocka_unit_test(test_kick),
	cmocka_unit_test(test_slots_of_pop3),
	cmocka_unit_test(test_deadlines),
	cmocka_unit_test(test_secured),
};
TEST_MAIN_WITH(tests, set_up, tear_down)
