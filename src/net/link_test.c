/*
 * link: the same octets arrive whatever the pieces, each way a peer can go is told from the others,
 * and a probe tells the living from the vanished.
 */
#include "net/link.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <linux/tcp.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/test.h"
#include "net/test_peer.h"

#define OCTETS (300 * 1000)

static char sent[OCTETS], got[OCTETS];

static void fill(void)
{
	for (size_t i = 0; i < OCTETS; i++)
		sent[i] = (char)(i * 7 + i / 251);
	memset(got, 0, sizeof(got));
}

struct session {
	struct tls *tls;
	struct link *link;
	SSL *client; /* NULL: plain */
	int descriptor;
};

static const struct client_options any_client;

/* With small buffers, so that writes are partial and back-pressure is real. */
static void set_up(struct session *session, const struct client_options *options)
{
	int server;
	*session = (struct session){0};
	tcp_pair("127.0.0.1:0", &server, &session->descriptor);
	setsockopt(server, SOL_SOCKET, SO_SNDBUF, &(int){8192}, sizeof(int));
	session->link = link_new(server);
	assert_non_null(session->link);
	set_nonblocking(session->descriptor);
	if (!options)
		return;
	session->tls = make_tls();
	session->client = client_new(session->descriptor, options);
	assert_true(link_start_tls(session->link, session->tls, "pop3"));
	assert_int_equal(shake_hands(session->link, session->client), LINK_OK);
}

static void tear_down(struct session *session)
{
	SSL_free(session->client);
	close(session->descriptor);
	link_free(session->link);
	tls_free(session->tls);
}

static ssize_t client_read(struct session *session, void *out, size_t size)
{
	if (!session->client)
		return recv(session->descriptor, out, size, 0);
	ERR_clear_error();
	return SSL_read(session->client, out, (int)size);
}

static ssize_t client_write(struct session *session, const void *in, size_t size)
{
	if (!session->client)
		return send(session->descriptor, in, size, MSG_NOSIGNAL);
	ERR_clear_error();
	return SSL_write(session->client, in, (int)size);
}

/* ---- whole streams ---- */

static const struct stream_row {
	const char *name;
	const struct client_options *options;
	size_t piece;
} stream_rows[] = {
	{"plain, one octet", NULL, 1},
	{"plain, a line", NULL, 80},
	{"plain, big", NULL, 65536},
	{"TLS 1.3, one octet", &(const struct client_options){.version = TLS1_3_VERSION}, 1},
	{"TLS 1.3, big", &(const struct client_options){.version = TLS1_3_VERSION}, 65536},
	{"TLS 1.2, odd", &(const struct client_options){.version = TLS1_2_VERSION}, 4099},
};

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The writer is always ahead until the socket takes no more; then the reader gets a turn. */
static void stream_out(struct session *session, size_t total, size_t piece)
{
	size_t written = 0, read = 0;
	bool waited = false;
	while (read < total) {
		size_t count = 0;
		struct bytes next = {sent + written, smaller(piece, total - written)};
		enum link_result result =
			next.length ? link_write(session->link, next, &count) : LINK_WANT_WRITE;
		test_check(result == LINK_OK ? count > 0 && count <= next.length
					     : link_waits(result) && count == 0);
		written += count;
		if (result == LINK_OK)
			continue;
		waited = waited || next.length > 0;
		ssize_t part = client_read(session, got + read, sizeof(got) - read);
		read += part > 0 ? (size_t)part : 0;
	}
	test_check(waited || total < OCTETS);
}

static void stream_in(struct session *session, size_t total, size_t piece)
{
	size_t written = 0, read = 0;
	while (read < total) {
		size_t count;
		if (written < total) {
			ssize_t part = client_write(session, sent + written,
						    smaller(5000, total - written));
			written += part > 0 ? (size_t)part : 0;
		}
		enum link_result result =
			link_read(session->link, got + read, smaller(piece, total - read), &count);
		test_check(result == LINK_OK ? count > 0 && count <= piece
					     : link_waits(result) && count == 0);
		read += count;
	}
}

static void test_streams_arrive_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(stream_rows) / sizeof(*stream_rows); i++) {
		const struct stream_row *row = &stream_rows[i];
		size_t total = row->piece == 1 ? 20000 : OCTETS;
		struct session session;
		test_row(row->name);
		set_up(&session, row->options);
		test_check(link_is_tls(session.link) == (row->options != NULL));
		fill();
		stream_out(&session, total, row->piece);
		test_check(memcmp(sent, got, total) == 0);
		fill();
		stream_in(&session, total, row->piece);
		test_check(memcmp(sent, got, total) == 0);
		tear_down(&session);
	}
}

/* The socket has nothing left, but the link has. */
static void test_pending(void **state)
{
	(void)state;
	struct session session;
	char octets[4];
	size_t count;
	set_up(&session, &any_client);
	assert_false(link_pending(session.link));
	assert_int_equal(client_write(&session, "NOOP\r\n", 6), 6);
	assert_int_equal(link_read(session.link, octets, 4, &count), LINK_OK);
	assert_int_equal(count, 4);
	assert_true(link_pending(session.link));
	assert_int_equal(link_read(session.link, octets, 4, &count), LINK_OK);
	assert_int_equal(count, 2);
	assert_false(link_pending(session.link));
	assert_int_equal(link_read(session.link, octets, 4, &count), LINK_WANT_READ);
	tear_down(&session);
}

/* ---- ends ---- */

static void leave_cleanly(struct session *session)
{
	if (session->client)
		SSL_shutdown(session->client);
	shutdown(session->descriptor, SHUT_WR);
}

static void leave_without_goodbye(struct session *session)
{
	shutdown(session->descriptor, SHUT_WR);
}

static void leave_by_reset(struct session *session)
{
	struct linger linger = {.l_onoff = 1};
	setsockopt(session->descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(session->descriptor);
	session->descriptor = -1;
}

static void leave_half_a_record(struct session *session)
{
	static const char half[] = "\x17\x03\x03\x00\x40"
				   "half";
	assert_int_equal(write(session->descriptor, half, sizeof(half) - 1), sizeof(half) - 1);
	shutdown(session->descriptor, SHUT_WR);
}

static void leave_rubbish(struct session *session)
{
	static const char rubbish[] = "\x17\x03\x03\x00\x20RETR 1 in the middle of TLS records!";
	assert_int_equal(write(session->descriptor, rubbish, sizeof(rubbish) - 1),
			 sizeof(rubbish) - 1);
}

static void stay(struct session *session)
{
	(void)session;
}

static void test_how_a_peer_leaves(void **state)
{
	static const struct {
		const char *name;
		const struct client_options *options;
		void (*leave)(struct session *session);
		enum link_result result;
	} rows[] = {
		{"plain, clean", NULL, leave_cleanly, LINK_END},
		{"plain, reset", NULL, leave_by_reset, LINK_BROKEN},
		{"plain, there", NULL, stay, LINK_WANT_READ},
		{"TLS, clean", &any_client, leave_cleanly, LINK_END},
		{"TLS, truncated", &any_client, leave_without_goodbye, LINK_BROKEN},
		{"TLS, truncated in a record", &any_client, leave_half_a_record, LINK_BROKEN},
		{"TLS, reset", &any_client, leave_by_reset, LINK_BROKEN},
		{"TLS, rubbish", &any_client, leave_rubbish, LINK_BROKEN},
		{"TLS, there", &any_client, stay, LINK_WANT_READ},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct session session;
		char octet;
		size_t count;
		test_row(rows[i].name);
		set_up(&session, rows[i].options);
		rows[i].leave(&session);
		enum link_result result = link_read(session.link, &octet, 1, &count);
		test_check(result == rows[i].result && count == 0);
		bool is_broken = result == LINK_BROKEN;
		test_check((*link_problem(session.link) != '\0') == is_broken);
		if (is_broken) {
			test_check(link_read(session.link, &octet, 1, &count) == LINK_BROKEN);
			test_check(link_write(session.link, BYTES("x"), &count) == LINK_BROKEN);
		}
		link_finish(session.link);
		tear_down(&session);
	}
}

/* A closed peer answers the first octets with a reset, and a later write must not raise a signal.
 */
static void test_writing_to_nobody(void **state)
{
	static const struct client_options *const rows[] = {NULL, &any_client};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct session session;
		enum link_result result;
		size_t count;
		test_row(rows[i] ? "TLS" : "plain");
		set_up(&session, rows[i]);
		leave_by_reset(&session);
		do
			result = link_write(session.link, BYTES("+OK\r\n"), &count);
		while (result == LINK_OK);
		test_check(result == LINK_BROKEN);
		tear_down(&session);
	}
}

static void test_finish_says_goodbye(void **state)
{
	(void)state;
	struct session session;
	char octet;
	set_up(&session, &any_client);
	link_finish(session.link);
	assert_int_equal(client_read(&session, &octet, 1), 0);
	assert_int_equal(SSL_get_error(session.client, 0), SSL_ERROR_ZERO_RETURN);
	tear_down(&session);
}

static void test_blocking_link_has_a_time_out(void **state)
{
	(void)state;
	int ends[2];
	char octet;
	size_t count;
	struct timeval timeout = {.tv_usec = 1000};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	struct link *link = link_new(ends[0]);
	assert_int_equal(link_read(link, &octet, 1, &count), LINK_BROKEN);
	assert_string_equal(link_problem(link), "time-out");
	link_free(link);
	close(ends[1]);
}

static void test_handshakes_that_fail(void **state)
{
	static const struct {
		const char *name;
		struct bytes octets;
	} rows[] = {
		{"plain POP3", {"USER alice\r\nPASS secret\r\n", 25}},
		{"closed at once", {"", 0}},
		{"half a hello", {"\x16\x03\x01\x02\x00\x01\x00", 7}},
		{"SSL 2", {"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", 11}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct session session;
		test_row(rows[i].name);
		set_up(&session, NULL);
		struct tls *tls = make_tls();
		test_check(link_start_tls(session.link, tls, "pop3"));
		test_check(link_handshake(session.link) == LINK_WANT_READ);
		test_check(write(session.descriptor, rows[i].octets.data, rows[i].octets.length) ==
			   (ssize_t)rows[i].octets.length);
		shutdown(session.descriptor, SHUT_WR);
		test_check(link_handshake(session.link) == LINK_BROKEN);
		test_check(*link_problem(session.link) != '\0');
		link_finish(session.link);
		tls_free(tls);
		tear_down(&session);
	}
}

/* ---- words and bindings ---- */

static size_t binding_of_client(SSL *client, bool unique, uint8_t out[LINK_BINDING_MAX])
{
	if (unique)
		return SSL_get_finished(client, out, LINK_BINDING_MAX);
	return SSL_export_keying_material(client, out, 32, "EXPORTER-Channel-Binding", 24, NULL, 0,
					  0)
		       ? 32
		       : 0;
}

static void test_channel_binding(void **state)
{
	static const struct {
		const char *name, *words;
		struct client_options options;
		size_t octets;
		enum link_binding kind;
	} rows[] = {
		{"exporter", "TLSv1.3 ", {.version = TLS1_3_VERSION}, 32, LINK_BINDING_EXPORTER},
		{"unique", "TLSv1.2 ", {.version = TLS1_2_VERSION}, 12, LINK_BINDING_UNIQUE},
		{"unique, forgeable",
		 "TLSv1.2 ",
		 {.version = TLS1_2_VERSION, .no_master_secret = true},
		 0,
		 LINK_BINDING_NONE},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct session session;
		enum link_binding kind;
		uint8_t ours[LINK_BINDING_MAX], theirs[LINK_BINDING_MAX];
		char room[LINK_PEER_OCTETS];
		bool unique = rows[i].options.version == TLS1_2_VERSION;
		test_row(rows[i].name);
		set_up(&session, &rows[i].options);
		test_check(link_channel_binding(session.link, &kind, ours) == rows[i].octets);
		test_check(kind == rows[i].kind);
		test_check(binding_of_client(session.client, unique, theirs) >= rows[i].octets);
		test_check(memcmp(ours, theirs, rows[i].octets) == 0);
		test_check(bytes_start_with(bytes_of(link_tls_words(session.link, room)),
					    bytes_of(rows[i].words)));
		tear_down(&session);
	}
}

static void test_plain_has_no_tls_words(void **state)
{
	(void)state;
	struct session session;
	enum link_binding kind;
	uint8_t binding[LINK_BINDING_MAX];
	char room[LINK_PEER_OCTETS];
	set_up(&session, NULL);
	assert_string_equal(link_tls_words(session.link, room), "");
	assert_int_equal(link_channel_binding(session.link, &kind, binding), 0);
	assert_int_equal(kind, LINK_BINDING_NONE);
	tear_down(&session);
}

static void test_peer_words(void **state)
{
	(void)state;
	struct session session;
	struct address address;
	char expected[ADDRESS_OCTETS], room[LINK_PEER_OCTETS];
	set_up(&session, NULL);
	assert_true(address_of_socket(session.descriptor, &address));
	address_print(&address, expected);
	leave_by_reset(&session); /* the name outlives the connection */
	assert_string_equal(link_peer(session.link, room), expected);
	assert_true(link_peer_is_local(session.link));
	tear_down(&session);

	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	struct link *link = link_new(ends[0]);
	snprintf(expected, sizeof(expected), "unix:uid=%u", (unsigned)getuid());
	assert_string_equal(link_peer(link, room), expected);
	assert_true(link_peer_is_local(link));
	link_free(link);
	close(ends[1]);
}

/* ---- probes ---- */

static void test_probe_of_a_unix_peer(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	struct link *link = link_new(ends[0]);
	link_probe_begin(link);
	assert_true(link_probe_alive(link));
	shutdown(ends[1], SHUT_WR);
	assert_true(link_probe_alive(link)); /* it may still read */
	close(ends[1]);
	assert_false(link_probe_alive(link));
	link_free(link);
}

static bool set_loopback(bool up)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = (short)(up ? IFF_UP : 0)};
	int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = ioctl(descriptor, SIOCSIFFLAGS, &request) == 0;
	close(descriptor);
	return ok;
}

/* A network of our own, which can be cut; false where the system gives none. */
static bool enter_own_network(void)
{
	if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
		return false;
	return set_loopback(true);
}

/* The living get all the time a slow machine needs; the vanished have only the probe's. */
static bool wait_for_answer(struct link *link, bool expected)
{
	uint64_t end_ms = clock_monotonic_ms() + (expected ? 60 * 1000 : PROBE_MS);
	bool alive = link_probe_alive(link);
	while (!alive && clock_monotonic_ms() < end_ms) {
		poll(NULL, 0, 10);
		alive = link_probe_alive(link);
	}
	return alive;
}

static void leave_data_in_flight(struct session *session)
{
	size_t count;
	set_loopback(false);
	assert_int_equal(link_write(session->link, BYTES("+OK\r\n"), &count), LINK_OK);
}

static void cut_the_wire(struct session *session)
{
	(void)session;
	set_loopback(false);
}

static void test_probe_of_a_tcp_peer(void **state)
{
	static const struct {
		const char *name;
		void (*before)(struct session *session);
		void (*after)(struct session *session);
		bool alive;
	} rows[] = {
		{"idle", stay, stay, true},
		{"vanished", stay, cut_the_wire, false},
		{"vanished before", cut_the_wire, stay, false},
		{"vanished with data in flight", leave_data_in_flight, stay, false},
		{"reset", stay, leave_by_reset, false},
	};
	(void)state;
	pid_t child = fork(); /* the other tests stay where they are */
	if (child == 0) {
		if (!enter_own_network())
			_exit(77);
		for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
			struct session session;
			set_loopback(true);
			set_up(&session, NULL);
			rows[i].before(&session);
			link_probe_begin(session.link);
			rows[i].after(&session);
			if (wait_for_answer(session.link, rows[i].alive) != rows[i].alive) {
				print_error("row \"%s\": wrong answer\n", rows[i].name);
				_exit(1);
			}
			tear_down(&session);
		}
		_exit(0);
	}
	int status;
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static bool window_is_closed(const struct link *link)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);
	getsockopt(link_descriptor(link), IPPROTO_TCP, TCP_INFO, &info, &length);
	return info.tcpi_snd_wnd == 0 && info.tcpi_unacked == 0;
}

/* No acknowledgement comes for a long time, because nothing is asked: no news is good news. */
static void test_probe_of_a_peer_that_reads_nothing(void **state)
{
	(void)state;
	struct session session;
	size_t count;
	set_up(&session, NULL);
	while (!window_is_closed(session.link)) {
		link_write(session.link, (struct bytes){sent, sizeof(sent)}, &count);
		poll(NULL, 0, 1);
	}
	while (link_write(session.link, (struct bytes){sent, sizeof(sent)}, &count) == LINK_OK)
		;
	link_probe_begin(session.link);
	assert_true(link_probe_alive(session.link));
	tear_down(&session);
}

static int ignore_broken_pipes(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_streams_arrive_whole),
	cmocka_unit_test(test_pending),
	cmocka_unit_test(test_how_a_peer_leaves),
	cmocka_unit_test_setup(test_writing_to_nobody, ignore_broken_pipes),
	cmocka_unit_test(test_finish_says_goodbye),
	cmocka_unit_test(test_blocking_link_has_a_time_out),
	cmocka_unit_test(test_handshakes_that_fail),
	cmocka_unit_test(test_channel_binding),
	cmocka_unit_test(test_plain_has_no_tls_words),
	cmocka_unit_test(test_peer_words),
	cmocka_unit_test(test_probe_of_a_unix_peer),
	cmocka_unit_test(test_probe_of_a_peer_that_reads_nothing),
	cmocka_unit_test(test_probe_of_a_tcp_peer),
};

TEST_MAIN(tests)
