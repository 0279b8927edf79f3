/*
 * trace: the headers, whatever the peer says.
 */
#include "server/trace.h"

#include "base/test.h"

static const struct row {
	const char *name;
	struct bytes sender, helo;
	bool tls;
	const char *expected;
	const char *peer; /* NULL: unix:uid=7 */
	bool smtp, extended;
	const char *only_address;
} rows[] = {
	{"plain",
	 {"bob@x.org", 9},
	 {"mx.x.org", 8},
	 false,
	 "Return-Path: <bob@x.org>\nDelivered-To: alice@y.org\n"
	 "Received: from mx.x.org (unix:uid=7)\n\tby host with LMTP id 0.1;\n"
	 "\tSun, 22 Nov 2026 02:01:00 +0000\n",
	 .peer = NULL},
	{"bounce, no name, TLS",
	 {NULL, 0},
	 {NULL, 0},
	 true,
	 "Return-Path: <>\nDelivered-To: alice@y.org\n"
	 "Received: from unknown (unix:uid=7)\n\tby host with LMTPS id 0.1;\n"
	 "\tSun, 22 Nov 2026 02:01:00 +0000\n",
	 .peer = NULL},
	{"octets that would end something",
	 {"a\nX: y>\0\xff", 9},
	 {"b) (c;\r\n\\", 9},
	 false,
	 "Return-Path: <a?X:?y?\?\?>\nDelivered-To: alice@y.org\n"
	 "Received: from b?\?\?c?\?\?\? (unix:uid=7)\n\tby host with LMTP id 0.1;\n"
	 "\tSun, 22 Nov 2026 02:01:00 +0000\n",
	 .peer = NULL},
	{"a quoted sender comes back as it came",
	 {"\"a b\\\"(c;\"@x.org", 16},
	 {"mx", 2},
	 false,
	 "Return-Path: <\"a b\\\"(c;\"@x.org>\nDelivered-To: alice@y.org\n"
	 "Received: from mx (unix:uid=7)\n\tby host with LMTP id 0.1;\n"
	 "\tSun, 22 Nov 2026 02:01:00 +0000\n",
	 .peer = NULL},
	{"quotes that do not close",
	 {"\"a>b\\", 5},
	 {"mx", 2},
	 false,
	 "Return-Path: <\"a?b?>\nDelivered-To: alice@y.org\n"
	 "Received: from mx (unix:uid=7)\n\tby host with LMTP id 0.1;\n"
	 "\tSun, 22 Nov 2026 02:01:00 +0000\n",
	 .peer = NULL},
	{"SMTP, IPv4, one recipient",
	 {"b@x", 3},
	 {"mx", 2},
	 false,
	 "Return-Path: <b@x>\nDelivered-To: alice@y.org\n"
	 "Received: from mx ([192.0.2.1])\n\tby host with ESMTP id 0.1\n\tfor <Sales@y.org>;\n"
	 "\tSun, 22 Nov 2026 02:01:00 +0000\n",
	 .peer = "192.0.2.1:4025",
	 .smtp = true,
	 .extended = true,
	 .only_address = "Sales@y.org"},
	{"SMTP, IPv6, TLS, quotes keep an address",
	 {"b@x", 3},
	 {"mx", 2},
	 true,
	 "Return-Path: <b@x>\nDelivered-To: alice@y.org\n"
	 "Received: from mx ([IPv6:2001:db8::1])\n\tby host with ESMTPS id 0.1\n\tfor "
	 "<\"a>b\"@y.org>;\n"
	 "\tSun, 22 Nov 2026 02:01:00 +0000\n",
	 .peer = "[2001:db8::1]:4025",
	 .smtp = true,
	 .extended = true,
	 .only_address = "\"a>b\"@y.org"},
	{"HELO",
	 {"b@x", 3},
	 {"mx", 2},
	 false,
	 "Return-Path: <b@x>\nDelivered-To: alice@y.org\n"
	 "Received: from mx ([192.0.2.1])\n\tby host with SMTP id 0.1;\n"
	 "\tSun, 22 Nov 2026 02:01:00 +0000\n",
	 .peer = "192.0.2.1:4025",
	 .smtp = true},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct trace trace = {
			.sender = rows[i].sender,
			.helo = rows[i].helo,
			.recipient = BYTES("alice@y.org"),
			.peer = bytes_of(rows[i].peer ? rows[i].peer : "unix:uid=7"),
			.only_address = bytes_of(rows[i].only_address ? rows[i].only_address : ""),
			.host = BYTES("host"),
			.session = BYTES("0.1"),
			.lmtp = !rows[i].smtp,
			.extended = rows[i].extended,
			.tls = rows[i].tls,
			.unix_seconds = 1795312860};
		struct buffer out;

		test_row(rows[i].name);
		buffer_init(&out, TRACE_OCTETS_MAX);
		test_check(trace_print(&trace, &out));
		test_equal_bytes(buffer_bytes(&out), bytes_of(rows[i].expected));
		buffer_free(&out);
	}
}

/* The longest of everything fits. */
static void test_longest(void **state)
{
	static char long_word[5000];
	struct bytes word = {long_word, sizeof(long_word)};
	struct bytes peer = {long_word, 64}, host = {long_word, 255};
	struct trace trace = {.sender = word,
			      .helo = word,
			      .recipient = word,
			      .peer = peer,
			      .host = host,
			      .only_address = word};
	struct buffer out;

	(void)state;
	test_row("longest");
	memset(long_word, 'x', sizeof(long_word));
	buffer_init(&out, TRACE_OCTETS_MAX);
	test_check(trace_print(&trace, &out));
	buffer_free(&out);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
	cmocka_unit_test(test_longest),
};
TEST_MAIN(tests)
