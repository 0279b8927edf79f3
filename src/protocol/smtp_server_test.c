/*
 * Whole SMTP and LMTP sessions: limits, long ones, what the owner does from outside, and memory.
 */
#include "protocol/smtp_dialogue_test.h"

struct script {
	struct buffer in, out, events;
};

static void script_begin(struct script *script)
{
	buffer_init(&script->in, 8 << 20);
	buffer_init(&script->out, 1 << 20);
	buffer_init(&script->events, 8 << 20);
}

static void script_add(struct script *script, const char *in, const char *out, const char *events,
		       size_t count)
{
	for (size_t i = 0; i < count; i++) {
		assert_true(buffer_append(&script->in, bytes_of(in)));
		assert_true(buffer_append(&script->out, bytes_of(out)));
		assert_true(buffer_append(&script->events, bytes_of(events)));
	}
}

/* Runs what is too long to be split at every point. */
static void script_run(struct script *script, const struct row *kind)
{
	struct row row = *kind;
	size_t step = script->in.length / 50 + 1;

	row.in = buffer_bytes(&script->in);
	row.out = buffer_bytes(&script->out);
	row.events = buffer_bytes(&script->events);
	run_row(&row, 0, SIZE_MAX, SIZE_MAX);
	run_row(&row, 0, SIZE_MAX, 100);
	run_row(&row, 0, row.in.length < 100000 ? 1 : 4099, SIZE_MAX);
	for (size_t split = 1; split < row.in.length; split += step)
		run_row(&row, split, SIZE_MAX, 1000);
	buffer_free(&script->in);
	buffer_free(&script->out);
	buffer_free(&script->events);
}

/* ---- limits ---- */

static void test_line_limits(void **state)
{
	static const struct {
		const char *name, *end;
		size_t octets;
		bool taken;
	} lines[] = {
		{"one below", "\r\n", SMTP_LINE_MAX - 1, true},
		{"at the limit", "\r\n", SMTP_LINE_MAX, true},
		{"one above", "\r\n", SMTP_LINE_MAX + 1, false},
		{"far above", "\r\n", 20000, false},
	};
	static char line[20001];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct row kind = {.name = lines[i].name};
		struct script script;
		size_t end_octets = strlen(lines[i].end);

		memset(line, 'x', lines[i].octets);
		memcpy(line, "NOOP ", 5);
		memcpy(line + lines[i].octets - end_octets, lines[i].end, end_octets + 1);
		script_begin(&script);
		script_add(&script, line,
			   lines[i].taken ? "250 2.0.0 nothing was done\r\n"
					  : "500 5.5.2 line too long\r\n",
			   "", 1);
		script_run(&script, &kind);
	}
}

static void test_helo_limits(void **state)
{
	(void)state;
	for (size_t octets = DOMAIN_MAX - 1; octets <= DOMAIN_MAX + 1; octets++) {
		struct row kind = {.name = "host name"};
		struct script script;
		char line[300];

		memset(line, 'x', sizeof(line));
		memcpy(line, "LHLO ", 5);
		memcpy(line + 5 + octets, "\r\n", 3);
		script_begin(&script);
		script_add(&script, line,
			   octets <= DOMAIN_MAX ? FEATURES : "501 5.5.4 not a host name\r\n", "",
			   1);
		script_run(&script, &kind);
	}
}

static void test_recipient_limits(void **state)
{
	(void)state;
	for (size_t count = SMTP_RECIPIENTS_MAX - 1; count <= SMTP_RECIPIENTS_MAX + 1; count++) {
		size_t taken = count < SMTP_RECIPIENTS_MAX ? count : SMTP_RECIPIENTS_MAX;
		struct row kind = {.name = "recipients"};
		struct script script;
		char begun[100];

		snprintf(begun, sizeof(begun), "begin(s@y,me.example,0,%zu)x\nmessage(%zu)", taken,
			 taken);
		script_begin(&script);
		script_add(&script, LHLO MAIL, FEATURES MAIL_OK, "", 1);
		script_add(&script, RCPT, RCPT_OK, "rcpt(a@x)", taken);
		script_add(&script, RCPT, "452 4.5.3 too many recipients\r\n", "", count - taken);
		script_add(&script, "DATA\r\nx\r\n.\r\n", GO_AHEAD, begun, 1);
		script_add(&script, "", DELIVERED, "", taken);
		script_run(&script, &kind);
	}
}

static void test_bad_command_limits(void **state)
{
	(void)state;
	for (size_t count = SMTP_BAD_COMMANDS_MAX - 1; count <= SMTP_BAD_COMMANDS_MAX + 1;
	     count++) {
		struct row kind = {.name = "bad commands"};
		struct script script;

		script_begin(&script);
		script_add(&script, START, STARTED, "rcpt(a@x)", 1);
		script_add(&script, "X\r\n", "500 5.5.1 no such command\r\n", "",
			   SMTP_BAD_COMMANDS_MAX - 1);
		if (count >= SMTP_BAD_COMMANDS_MAX)
			script_add(&script, "X\r\n",
				   "421 4.7.0 too many bad commands, good-bye\r\n", "abortclose",
				   1);
		if (count > SMTP_BAD_COMMANDS_MAX)
			script_add(&script, "X\r\n", "", "", 1);
		script_run(&script, &kind);
	}
}

static void test_out_of_turn_is_not_bad(void **state)
{
	struct row kind = {.name = "recipients of a refused sender"};
	struct script script;

	(void)state;
	script_begin(&script);
	script_add(&script, LHLO, FEATURES, "", 1);
	script_add(&script, RCPT, "503 5.5.1 send MAIL first\r\n", "", 2 * SMTP_BAD_COMMANDS_MAX);
	script_run(&script, &kind);
}

static void test_command_limits(void **state)
{
	(void)state;
	for (size_t count = SMTP_COMMANDS_MAX - 1; count <= SMTP_COMMANDS_MAX + 1; count++) {
		struct row kind = {.name = "commands without a message"};
		struct script script;

		script_begin(&script);
		/* Whatever came before a message is forgiven. */
		script_add(&script, LHLO, FEATURES, "", 1);
		script_add(&script, RCPT, "503 5.5.1 send MAIL first\r\n", "",
			   SMTP_COMMANDS_MAX - 4);
		script_add(&script, MAIL RCPT "DATA\r\nx\r\n.\r\n",
			   MAIL_OK RCPT_OK GO_AHEAD DELIVERED,
			   "rcpt(a@x)begin(s@y,me.example,0,1)x\nmessage(1)", 1);
		script_add(&script, "NOOP\r\n", "250 2.0.0 nothing was done\r\n", "",
			   count < SMTP_COMMANDS_MAX ? count : SMTP_COMMANDS_MAX);
		if (count > SMTP_COMMANDS_MAX)
			script_add(&script, "NOOP\r\n",
				   "421 4.7.0 too many commands for no message, good-bye\r\n",
				   "close", 1);
		script_run(&script, &kind);
	}
}

/* ---- long ones ---- */

static void test_many_pipelined_messages(void **state)
{
	struct row kind = {.name = "pipelined messages"};
	struct script script;

	(void)state;
	script_begin(&script);
	script_add(&script, LHLO, FEATURES, "", 1);
	script_add(&script, MAIL RCPT "DATA\r\n..x\r\n.\r\nNOOP\r\n",
		   MAIL_OK RCPT_OK GO_AHEAD DELIVERED "250 2.0.0 nothing was done\r\n",
		   "rcpt(a@x)begin(s@y,me.example,0,1).x\nmessage(1)", 300);
	script_add(&script, "QUIT\r\n", BYE, "close", 1);
	script_run(&script, &kind);
}

static void test_long_message(void **state)
{
	struct row kind = {.name = "a long message", .octets_max = 3 << 20};
	struct script script;

	(void)state;
	script_begin(&script);
	script_add(&script, START "DATA\r\n", "", "rcpt(a@x)begin(s@y,me.example,0,1)", 1);
	script_add(&script, "..line of some length\r\n\r\n", "", ".line of some length\n\n", 10000);
	script_add(&script, "x", "", "x", 1000000);
	script_add(&script, "\r\n.\r\n", "", "\nmessage(1)", 1);
	assert_true(buffer_print(
		&script.out,
		"250-mx.example\r\n250-PIPELINING\r\n250-SIZE %d\r\n"
		"250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n" MAIL_OK RCPT_OK GO_AHEAD DELIVERED,
		3 << 20));
	script_run(&script, &kind);
}

static void test_feed_stops_while_output_waits(void **state)
{
	static const struct row kind = {.name = "output waits"};
	struct dialogue dialogue;

	(void)state;
	test_row(kind.name);
	dialogue_begin(&dialogue, &kind, SIZE_MAX);
	for (int i = 0; i < SMTP_COMMANDS_MAX - 1; i++)
		smtp_server_feed(dialogue.server, BYTES("HELP\r\n"));
	test_check(smtp_server_output(dialogue.server).length < OUTPUT_OCTETS_MAX / 2 + 512);
	test_check(smtp_server_output(dialogue.server).length >= OUTPUT_OCTETS_MAX / 2);
	pump(&dialogue);
	test_check(smtp_server_feed(dialogue.server, BYTES("NOOP\r\n")) == 6);
	dialogue_end(&dialogue);
}

/* Replies to the most recipients, each as long as a reply may be, behind as much other output as
 * feed lets stand: none is lost. */
static void test_all_replies_fit(void **state)
{
	static const struct row kind = {.name = "all replies fit"};
	struct dialogue dialogue;
	struct smtp_event event;
	char text[1000];
	size_t before;

	(void)state;
	test_row(kind.name);
	memset(text, 't', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	dialogue_begin(&dialogue, &kind, SIZE_MAX);
	say(&dialogue, BYTES(LHLO MAIL));
	for (int i = 0; i < SMTP_RECIPIENTS_MAX; i++)
		say(&dialogue, BYTES(RCPT));
	while (smtp_server_output(dialogue.server).length < OUTPUT_OCTETS_MAX / 2 - 100)
		smtp_server_feed(dialogue.server, BYTES("HELP\r\n"));
	smtp_server_feed(dialogue.server, BYTES("DATA\r\n"));
	assert_true(smtp_server_next(dialogue.server, &event));
	smtp_server_begun(dialogue.server, ERROR_NONE, "");
	test_check(smtp_server_feed(dialogue.server, BYTES(".\r\n")) == 3);
	assert_true(smtp_server_next(dialogue.server, &event));
	test_check(event.kind == SMTP_MESSAGE);
	before = smtp_server_output(dialogue.server).length;
	for (uint32_t i = 0; i < event.recipients; i++)
		smtp_server_delivered(dialogue.server, i, ERROR_NONE, text);
	test_check(smtp_server_output(dialogue.server).length ==
		   before + SMTP_RECIPIENTS_MAX * 256);
	test_check(!smtp_server_next(dialogue.server, &event));
	dialogue_end(&dialogue);
}

/* ---- what the owner does ---- */

static void test_greeting_and_refusal(void **state)
{
	static const struct row lmtp = {.name = "LMTP"}, smtp = {.name = "SMTP", .smtp = true};
	struct dialogue dialogue;
	struct smtp_event event;

	(void)state;
	dialogue_begin(&dialogue, &lmtp, SIZE_MAX);
	smtp_server_greet(dialogue.server);
	test_equal_bytes(smtp_server_output(dialogue.server),
			 BYTES("220 mx.example LMTP ready\r\n"));
	dialogue_end(&dialogue);
	dialogue_begin(&dialogue, &smtp, SIZE_MAX);
	smtp_server_greet(dialogue.server);
	test_equal_bytes(smtp_server_output(dialogue.server),
			 BYTES("220 mx.example ESMTP ready\r\n"));
	dialogue_end(&dialogue);
	dialogue_begin(&dialogue, &smtp, SIZE_MAX);
	smtp_server_refuse(dialogue.server, "too many connections");
	test_equal_bytes(smtp_server_output(dialogue.server),
			 BYTES("421 4.3.2 too many connections\r\n"));
	for (int i = 0; i < 2; i++) {
		assert_true(smtp_server_next(dialogue.server, &event));
		assert_int_equal(event.kind, SMTP_CLOSE);
	}
	dialogue_end(&dialogue);
}

static void answer_too_late(struct smtp_server *server, enum smtp_event_kind event)
{
	switch (event) {
	case SMTP_RECIPIENT:
		smtp_server_recipient(server, ERROR_NONE, NULL);
		break;
	case SMTP_BEGIN:
		smtp_server_begun(server, ERROR_NONE, NULL);
		break;
	case SMTP_BODY:
		smtp_server_taken(server, ERROR_NONE, NULL);
		break;
	case SMTP_MESSAGE:
		smtp_server_delivered(server, 0, ERROR_NONE, NULL);
		break;
	case SMTP_START_TLS:
		smtp_server_secured(server);
		break;
	case SMTP_ABORT:
	case SMTP_CLOSE:
		break;
	}
}

static void test_ended_from_outside(void **state)
{
#define OVER "421 4.3.2 over\r\n"
	static const struct {
		const char *name, *in, *out;
		bool open, abort;
		enum smtp_event_kind event; /* open when it ends */
	} ends[] = {
		{"between commands", "", OVER, false, false, SMTP_CLOSE},
		{"amid a line", "NOO", OVER, false, false, SMTP_CLOSE},
		{"a recipient is awaited", MAIL RCPT, MAIL_OK OVER, true, false, SMTP_RECIPIENT},
		{"amid a transaction", MAIL RCPT "NOO", MAIL_OK RCPT_OK OVER, false, true,
		 SMTP_CLOSE},
		{"the beginning is awaited", MAIL RCPT "DATA\r\n", MAIL_OK RCPT_OK OVER, true, true,
		 SMTP_BEGIN},
		{"amid a message", MAIL RCPT "DATA\r\n.", MAIL_OK RCPT_OK GO_AHEAD, false, true,
		 SMTP_CLOSE},
		{"octets are being taken", MAIL RCPT "DATA\r\nx", MAIL_OK RCPT_OK GO_AHEAD, true,
		 true, SMTP_BODY},
		{"TLS is awaited", "STARTTLS\r\n", "220 2.0.0 begin TLS\r\n" OVER, true, false,
		 SMTP_START_TLS},
		{"a delivery is under way", MAIL RCPT "DATA\r\n.\r\n",
		 MAIL_OK RCPT_OK GO_AHEAD OVER, true, false, SMTP_MESSAGE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		static const struct row kind = {.name = "ended from outside", .tls = true};
		struct bytes in = bytes_of(ends[i].in);
		struct dialogue dialogue;
		struct smtp_event event;
		bool open = false;

		dialogue_begin(&dialogue, &kind, SIZE_MAX);
		say(&dialogue, BYTES(LHLO));
		test_row(ends[i].name);
		while (!open && in.length > 0) {
			in = bytes_skip(in, smtp_server_feed(dialogue.server, in));
			while (!open && smtp_server_next(dialogue.server, &event)) {
				open = ends[i].open && event.kind == ends[i].event;
				if (!open)
					answer(&dialogue, &event);
			}
		}
		test_check(open == ends[i].open);
		smtp_server_end(dialogue.server, "over");
		smtp_server_end(dialogue.server, "over");
		if (open)
			answer_too_late(dialogue.server, event.kind);
		test_equal_bytes(smtp_server_output(dialogue.server), bytes_of(ends[i].out));
		if (ends[i].abort)
			test_check(smtp_server_next(dialogue.server, &event) &&
				   event.kind == SMTP_ABORT);
		test_check(smtp_server_next(dialogue.server, &event) && event.kind == SMTP_CLOSE);
		dialogue_end(&dialogue);
	}
}

/* ---- memory ---- */

static void test_idle_connection_is_small(void **state)
{
	static const struct row kind = {.name = "idle"};
	struct dialogue dialogue;

	(void)state;
	assert_in_range(sizeof(struct smtp_server), 1, 400);
	dialogue_begin(&dialogue, &kind, SIZE_MAX);
	say(&dialogue, BYTES(START "DATA\r\nx\r\n.\r\nNO"));
	say(&dialogue, BYTES("OP\r\n"));
	assert_null(dialogue.server->decoded);
	assert_null(dialogue.server->line.held.data);
	assert_null(dialogue.server->output.data);
	assert_null(dialogue.server->sender.data);
	assert_null(dialogue.server->recipient.data);
	dialogue_end(&dialogue);
}

/* Every line of the output is whole, and what is said of a message is true. */
static void check_output(const struct dialogue *dialogue)
{
	struct bytes out = buffer_bytes(&dialogue->out), events = buffer_bytes(&dialogue->events);
	bool delivered = false, message;

	for (struct bytes at = out; at.length > 0; at = bytes_skip(at, 1))
		delivered = delivered || bytes_start_with(at, BYTES(DELIVERED));
	for (message = false; events.length > 0; events = bytes_skip(events, 1))
		message = message || bytes_start_with(events, BYTES("message("));
	test_check(!delivered || message);
	test_check(out.length == 0 || out.data[out.length - 1] == '\n');
}

/* The n-th allocation fails, for every n of a whole session. */
static void run_out_of_memory(bool stays_out)
{
	static const struct row kinds[] = {{.name = "out of memory"},
					   {.name = "and a refusal", .fault = FAULT_TAKEN}};
	static const struct bytes pieces[] = {BYTES("LHLO me"),
					      BYTES(".example\r\n" MAIL "RC"),
					      BYTES("PT TO:<a@x>\r\n" RCPT "DATA\r\n"),
					      BYTES("..message\r\n.\r\n" MAIL RCPT "RSET\r\n"),
					      BYTES("HELP\r\nQU"),
					      BYTES("IT\r\n")};

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		long allocation = 0;

		do {
			struct dialogue dialogue;

			test_row(kinds[k].name);
			memory_fail_at(allocation++, stays_out);
			dialogue_begin(&dialogue, &kinds[k], SIZE_MAX);
			for (size_t i = 0;
			     dialogue.server != NULL && i < sizeof(pieces) / sizeof(pieces[0]); i++)
				say(&dialogue, pieces[i]);
			memory_left = -1;
			check_output(&dialogue);
			if (!memory_ran_out)
				test_check(dialogue.closed);
			dialogue_end(&dialogue);
		} while (memory_ran_out);
		assert_in_range(allocation, 10, 1000);
	}
}

static void test_out_of_memory(void **state)
{
	(void)state;
	run_out_of_memory(false);
	run_out_of_memory(true);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_line_limits),
	cmocka_unit_test(test_helo_limits),
	cmocka_unit_test(test_recipient_limits),
	cmocka_unit_test(test_bad_command_limits),
	cmocka_unit_test(test_out_of_turn_is_not_bad),
	cmocka_unit_test(test_command_limits),
	cmocka_unit_test(test_many_pipelined_messages),
	cmocka_unit_test(test_long_message),
	cmocka_unit_test(test_feed_stops_while_output_waits),
	cmocka_unit_test(test_all_replies_fit),
	cmocka_unit_test(test_greeting_and_refusal),
	cmocka_unit_test(test_ended_from_outside),
	cmocka_unit_test(test_idle_connection_is_small),
	cmocka_unit_test(test_out_of_memory),
};
TEST_MAIN(tests)
