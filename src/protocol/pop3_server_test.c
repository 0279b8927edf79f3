/*
 * Whole POP3 sessions: long ones, what the owner does from outside, and memory.
 */
#include "protocol/pop3_dialogue_test.h"

static void repeat(struct buffer *buffer, const char *text, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_true(buffer_append(buffer, bytes_of(text)));
}

/* Runs a row that is too long to be split at every point. */
static void run_long_row(struct row *row, const struct buffer *in, const struct buffer *out,
			 const struct buffer *events)
{
	test_row(row->name);
	row->in = buffer_bytes(in);
	row->out = buffer_bytes(out);
	row->events = buffer_bytes(events);
	for (size_t take = 1; take < 100000; take *= 10)
		run_row(row, 0, SIZE_MAX, take);
	run_row(row, 0, 1, SIZE_MAX);
	for (size_t split = 1; split < in->length; split += in->length / 50 + 1)
		run_row(row, split, SIZE_MAX, 1000);
}

static void test_bad_commands_after_login(void **state)
{
	(void)state;
	for (size_t count = POP3_BAD_COMMANDS_LOGGED_IN_MAX - 1;
	     count <= POP3_BAD_COMMANDS_LOGGED_IN_MAX + 1; count++) {
		struct row row = {.name = "bad commands after login"};
		struct buffer in, out, events;
		bool closed = count >= POP3_BAD_COMMANDS_LOGGED_IN_MAX;

		buffer_init(&in, 4000);
		buffer_init(&out, 4000);
		buffer_init(&events, 4000);
		repeat(&in, LOGIN, 1);
		repeat(&in, "X\r\n", count);
		repeat(&out, WELCOME(0, 0), 1);
		repeat(&out, BAD, POP3_BAD_COMMANDS_LOGGED_IN_MAX - 1);
		repeat(&out, TOO_MANY, closed);
		repeat(&events, "login(alice,secret)", 1);
		repeat(&events, "close", closed);
		run_long_row(&row, &in, &out, &events);
		buffer_free(&in);
		buffer_free(&out);
		buffer_free(&events);
	}
}

/* Appends the answer to LIST or UIDL, and the blocks it is asked for in. */
static void expect_listing(struct buffer *out, struct buffer *events, uint32_t messages,
			   uint32_t deleted, bool uidl)
{
	buffer_print(out, "+OK %" PRIu32 " messages\r\n", messages - (deleted > 0));
	for (uint32_t n = 1; n <= messages; n++) {
		if (n == deleted)
			continue;
		if (uidl)
			buffer_print(out, "%" PRIu32 " u%" PRIu32 "\r\n", n, n);
		else
			buffer_print(out, "%" PRIu32 " %" PRIu32 "\r\n", n, 100 + n);
	}
	buffer_print(out, ".\r\n");
	for (uint32_t n = deleted == 1 ? 2 : 1; n <= messages; n += POP3_LISTING_BLOCK) {
		uint32_t left = messages - n + 1;

		buffer_print(events, "table(%" PRIu32 ",%" PRIu32 ")", n,
			     left < POP3_LISTING_BLOCK ? left : POP3_LISTING_BLOCK);
	}
}

static void test_long_sessions(void **state)
{
	static const uint32_t sizes[] = {POP3_LISTING_BLOCK - 1, POP3_LISTING_BLOCK,
					 POP3_LISTING_BLOCK + 1, 1000, 20000};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t n = sizes[i];
		uint64_t octets = (uint64_t)n * 100 + (uint64_t)n * (n + 1) / 2;
		struct row row = {.name = "listings of many messages", .messages = n};
		struct buffer in, out, events;

		buffer_init(&in, 1 << 20);
		buffer_init(&out, 4 << 20);
		buffer_init(&events, 1 << 20);
		repeat(&in, LOGIN "LIST\r\nUIDL\r\nDELE 1\r\nLIST\r\n", 1);
		repeat(&in, "STAT\r\n", 300);
		buffer_print(&out, WELCOME_USER "+OK %" PRIu32 " messages (%" PRIu64 " octets)\r\n",
			     n, octets);
		repeat(&events, "login(alice,secret)", 1);
		expect_listing(&out, &events, n, 0, false);
		expect_listing(&out, &events, n, 0, true);
		repeat(&out, "+OK marked as deleted\r\n", 1);
		repeat(&events, "table(1,1)", 1);
		expect_listing(&out, &events, n, 1, false);
		for (int k = 0; k < 300; k++)
			buffer_print(&out, "+OK %" PRIu32 " %" PRIu64 "\r\n", n - 1, octets - 101);
		if (n <= 1000) {
			run_long_row(&row, &in, &out, &events);
		} else {
			row.in = buffer_bytes(&in);
			row.out = buffer_bytes(&out);
			row.events = buffer_bytes(&events);
			run_row(&row, 0, SIZE_MAX, 1000);
		}
		buffer_free(&in);
		buffer_free(&out);
		buffer_free(&events);
	}
}

static void test_listing_breaks_off(void **state)
{
	struct row row = {.name = "listing breaks off",
			  .messages = POP3_LISTING_BLOCK + 1,
			  .fault = FAULT_BLOCK,
			  .in = BYTES(LOGIN "LIST\r\nNOOP\r\n"),
			  .events = BYTES("login(alice,secret)table(1,64)table(65,1)close")};
	struct buffer out;

	(void)state;
	buffer_init(&out, 4000);
	repeat(&out, WELCOME(65, 8645) "+OK 65 messages\r\n", 1);
	for (int n = 1; n <= POP3_LISTING_BLOCK; n++)
		buffer_print(&out, "%d %d\r\n", n, 100 + n);
	row.out = buffer_bytes(&out);
	run_row_in_all_ways(&row);
	buffer_free(&out);
}

/* ---- what the owner does ---- */

static const struct row plain = {.name = "owner", .messages = 3};

static void test_feed_stops_while_output_waits(void **state)
{
	struct dialogue dialogue;
	size_t fed = 0;

	(void)state;
	dialogue_begin(&dialogue, &plain, SIZE_MAX);
	say(&dialogue, BYTES(LOGIN));
	for (int i = 0; i < 100000; i++)
		fed += pop3_server_feed(dialogue.server, BYTES("NOOP\r\n"));
	assert_in_range(pop3_server_output(dialogue.server).length, OUTPUT_OCTETS_MAX / 2,
			OUTPUT_OCTETS_MAX / 2 + POP3_REPLY_MAX);
	assert_int_equal(fed / 6, pop3_server_output(dialogue.server).length / 5);
	send_all(&dialogue);
	assert_int_equal(pop3_server_feed(dialogue.server, BYTES("NOOP\r\n")), 6);
	dialogue_end(&dialogue);
}

static void test_greeting_and_refusal(void **state)
{
	struct dialogue dialogue;
	struct pop3_event event;

	(void)state;
	dialogue_begin(&dialogue, &plain, SIZE_MAX);
	pop3_server_greet(dialogue.server, "mail.example.org", "7f3a", NULL);
	test_equal_bytes(pop3_server_output(dialogue.server),
			 BYTES("+OK mail.example.org POP3 server ready, session 7f3a\r\n"));
	dialogue_end(&dialogue);
	dialogue_begin(&dialogue, &plain, SIZE_MAX);
	pop3_server_refuse(dialogue.server, "[SYS/TEMP]", "too many connections");
	test_equal_bytes(pop3_server_output(dialogue.server),
			 BYTES("-ERR [SYS/TEMP] too many connections\r\n"));
	for (int i = 0; i < 2; i++) {
		assert_true(pop3_server_next(dialogue.server, &event));
		assert_int_equal(event.kind, POP3_CLOSE);
		assert_false(event.quit);
	}
	dialogue_end(&dialogue);
}

/* Ends a session when the event of the last command is open, answers too late. */
static void test_ended_from_outside(void **state)
{
	static const struct {
		const char *name, *in, *out;
		bool answer_body;
	} ends[] = {
		{"between commands", "", "-ERR [SYS/TEMP] over\r\n", false},
		{"amid a line", "STA", "-ERR [SYS/TEMP] over\r\n", false},
		{"an entry is awaited", "LIST 1\r\n", "-ERR [SYS/TEMP] over\r\n", false},
		{"a listing has not begun", "LIST\r\n", "-ERR [SYS/TEMP] over\r\n", false},
		{"a body is awaited", "RETR 1\r\n", "-ERR [SYS/TEMP] over\r\n", false},
		{"amid a body", "RETR 1\r\n", "+OK 9 octets\r\n", true},
		{"amid the update", "QUIT\r\n", "", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct dialogue dialogue;
		struct pop3_event event = {0};
		bool open;

		test_row(ends[i].name);
		dialogue_begin(&dialogue, &plain, SIZE_MAX);
		say(&dialogue, BYTES(LOGIN));
		pop3_server_feed(dialogue.server, bytes_of(ends[i].in));
		open = pop3_server_next(dialogue.server, &event);
		if (ends[i].answer_body)
			pop3_server_body(dialogue.server, POP3_BODY_FOLLOWS, 9);
		pop3_server_end(dialogue.server, "[SYS/TEMP]", "over");
		if (open && event.kind == POP3_TABLE)
			pop3_server_table(dialogue.server, NULL);
		if (open && event.kind == POP3_BODY)
			pop3_server_body_done(dialogue.server, true);
		if (open && event.kind == POP3_UPDATE_MAILDROP)
			pop3_server_updated(dialogue.server, true);
		pop3_server_end(dialogue.server, "[SYS/TEMP]", "over");
		test_equal_bytes(pop3_server_output(dialogue.server), bytes_of(ends[i].out));
		test_check(pop3_server_next(dialogue.server, &event) && event.kind == POP3_CLOSE);
		dialogue_end(&dialogue);
	}
}

static void test_end_amid_listing(void **state)
{
	static const struct row many = {.name = "end amid a listing", .messages = 1000};
	struct dialogue dialogue;
	struct pop3_event event;
	size_t length;

	(void)state;
	dialogue_begin(&dialogue, &many, SIZE_MAX);
	say(&dialogue, BYTES(LOGIN));
	pop3_server_feed(dialogue.server, BYTES("LIST\r\n"));
	assert_true(pop3_server_next(dialogue.server, &event));
	answer_table(&dialogue, &event);
	length = pop3_server_output(dialogue.server).length;
	pop3_server_end(dialogue.server, "[SYS/TEMP]", "over");
	assert_int_equal(pop3_server_output(dialogue.server).length, length);
	assert_true(pop3_server_next(dialogue.server, &event));
	assert_int_equal(event.kind, POP3_CLOSE);
	dialogue_end(&dialogue);
}

/* ---- memory ---- */

static void test_idle_session_is_small(void **state)
{
	struct dialogue dialogue;

	(void)state;
	assert_in_range(sizeof(struct pop3_server), 1, 400);
	dialogue_begin(&dialogue, &plain, SIZE_MAX);
	say(&dialogue, BYTES(LOGIN "LI"));
	say(&dialogue, BYTES("ST\r\n"));
	assert_null(dialogue.server->line.held.data);
	assert_null(dialogue.server->output.data);
	assert_null(dialogue.server->user.data);
	assert_null(dialogue.server->argument.data);
	assert_null(dialogue.server->deleted);
	dialogue_end(&dialogue);
}

static void check_well_formed(struct bytes out)
{
	if (out.length == 0)
		return;
	test_check(out.length >= 2 && out.data[out.length - 2] == '\r');
	test_check(bytes_start_with(out, BYTES("+OK")) || bytes_start_with(out, BYTES("-ERR")));
}

/* The n-th allocation fails, for every n of a whole session. */
static void run_out_of_memory(bool stays_out)
{
	static const struct row row = {.name = "out of memory",
				       .messages = 100,
				       .test_commands = true,
				       .stls = true,
				       .apop = true};
	static const struct bytes pieces[] = {BYTES("ST"),
					      BYTES("LS\r\nAUTH PLAIN\r\nAG1hb"),
					      BYTES("GxvcnkAYQ==\r\nAPOP a "
						    "c4c9334bac560ecc979e58001b3e22fb\r\nUS"),
					      BYTES("ER alice\r\nPA"),
					      BYTES("SS secret\r\nLI"),
					      BYTES("ST\r\nUIDL 1\r\nRETR 1\r\nTOP 1 1\r\nDELE "
						    "1\r\nXTRY a\r\nRSET\r\nDELE 2\r\nCAPA\r\n"),
					      BYTES("QU"),
					      BYTES("IT\r\n")};
	long allocation = 0;

	do {
		struct dialogue dialogue;

		memory_fail_at(allocation++, stays_out);
		dialogue_begin(&dialogue, &row, SIZE_MAX);
		for (size_t i = 0;
		     dialogue.server != NULL && i < sizeof(pieces) / sizeof(pieces[0]); i++)
			say(&dialogue, pieces[i]);
		memory_left = -1;
		check_well_formed(buffer_bytes(&dialogue.out));
		if (!memory_ran_out)
			test_check(dialogue.closed);
		dialogue_end(&dialogue);
	} while (memory_ran_out);
	assert_in_range(allocation, 15, 1000);
}

static void test_out_of_memory(void **state)
{
	(void)state;
	test_row("one allocation fails");
	run_out_of_memory(false);
	test_row("all allocations from one on fail");
	run_out_of_memory(true);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_bad_commands_after_login),
	cmocka_unit_test(test_long_sessions),
	cmocka_unit_test(test_listing_breaks_off),
	cmocka_unit_test(test_feed_stops_while_output_waits),
	cmocka_unit_test(test_greeting_and_refusal),
	cmocka_unit_test(test_ended_from_outside),
	cmocka_unit_test(test_end_amid_listing),
	cmocka_unit_test(test_idle_session_is_small),
	cmocka_unit_test(test_out_of_memory),
};
TEST_MAIN(tests)
