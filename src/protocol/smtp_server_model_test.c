/*
 * All strings of up to six symbols over {CR, LF, CRLF, dot, NUL, x}, each as a message, against a
 * model that was written apart from the decoder: it cuts the stream at every CRLF and looks at
 * whole lines. Where the engine sees an end, the model must, and nothing else may be one.
 */
#include "protocol/smtp_dialogue_test.h"

#define SYMBOLS     6
#define SYMBOLS_MAX 6
#define TEXT_MAX    64

static const struct bytes symbols[SYMBOLS] = {BYTES("\r"), BYTES("\n"), BYTES("\r\n"),
					      BYTES("."),  {"\0", 1},   BYTES("x")};

struct text {
	char octets[TEXT_MAX];
	size_t length;
};

static void add(struct text *text, struct bytes octets)
{
	memcpy(text->octets + text->length, octets.data, octets.length);
	text->length += octets.length;
}

static struct bytes octets_of(const struct text *text)
{
	return (struct bytes){text->octets, text->length};
}

/* ---- the model ---- */

struct expected {
	struct text stored;
	bool bare_lf;
	size_t end; /* behind the final dot line */
};

static size_t line_length(struct bytes text)
{
	size_t at = 0;

	while (at + 1 < text.length && !(text.data[at] == '\r' && text.data[at + 1] == '\n'))
		at++;
	assert_true(at + 1 < text.length); /* the input ends in CRLF */
	return at;
}

static void expect(struct bytes wire, struct expected *expected_out)
{
	struct bytes rest = wire;

	memset(expected_out, 0, sizeof(*expected_out));
	for (;;) {
		struct bytes line = bytes_first(rest, line_length(rest));

		rest = bytes_skip(rest, line.length + 2);
		if (bytes_equal(line, BYTES("."))) {
			expected_out->end = wire.length - rest.length;
			return;
		}
		if (bytes_start_with(line, BYTES(".")))
			line = bytes_skip(line, 1);
		if (line.length > 0 && memchr(line.data, '\n', line.length) != NULL)
			expected_out->bare_lf = true;
		add(&expected_out->stored, line);
		add(&expected_out->stored, BYTES("\n"));
	}
}

/* ---- the engine ---- */

struct outcome {
	struct text stored;
	bool refused, delivered;
	size_t end;
};

/* Feeds in pieces of so many octets until the message has ended. */
static void run_engine(struct smtp_server *server, struct bytes wire, size_t piece,
		       struct outcome *outcome_out)
{
	size_t before = smtp_server_output(server).length;
	struct smtp_event event;

	memset(outcome_out, 0, sizeof(*outcome_out));
	while (!outcome_out->delivered && !outcome_out->refused) {
		struct bytes in = bytes_first(bytes_skip(wire, outcome_out->end), piece);

		assert_true(in.length > 0); /* the end was not seen */
		outcome_out->end += smtp_server_feed(server, in);
		while (smtp_server_next(server, &event)) {
			if (event.kind == SMTP_BODY) {
				add(&outcome_out->stored, event.body);
				smtp_server_taken(server, ERROR_NONE, NULL);
			} else if (event.kind == SMTP_MESSAGE) {
				outcome_out->delivered = true;
				smtp_server_delivered(server, 0, ERROR_NONE, NULL);
			} else {
				assert_int_equal(event.kind, SMTP_ABORT);
				outcome_out->refused = true;
			}
		}
	}
	test_check(bytes_start_with(bytes_skip(smtp_server_output(server), before),
				    outcome_out->refused ? BYTES("550 ") : BYTES("250 ")));
	smtp_server_sent(server, smtp_server_output(server).length);
}

static void begin_message(struct dialogue *dialogue)
{
	struct smtp_event event;

	(void)smtp_server_feed(dialogue->server, BYTES(MAIL));
	(void)smtp_server_feed(dialogue->server, BYTES(RCPT));
	assert_true(smtp_server_next(dialogue->server, &event));
	smtp_server_recipient(dialogue->server, ERROR_NONE, NULL);
	(void)smtp_server_feed(dialogue->server, BYTES("DATA\r\n"));
	assert_true(smtp_server_next(dialogue->server, &event));
	smtp_server_begun(dialogue->server, ERROR_NONE, NULL);
	smtp_server_sent(dialogue->server, smtp_server_output(dialogue->server).length);
}

static void check(struct dialogue *dialogue, struct bytes wire, size_t piece)
{
	struct expected expected;
	struct outcome outcome;

	expect(wire, &expected);
	begin_message(dialogue);
	run_engine(dialogue->server, wire, piece, &outcome);
	test_check(outcome.refused == (dialogue->row->reject_bare_lf && expected.bare_lf));
	if (piece == 1)
		test_check(outcome.end == expected.end);
	if (outcome.delivered)
		test_equal_bytes(octets_of(&outcome.stored), octets_of(&expected.stored));
}

/* What follows the end is commands for the engine: none of these strings holds one, and a peer that
 * says nothing else is not what this test is about, so the rest is dropped. */
static void run_all(const struct row *row, size_t piece)
{
	struct dialogue dialogue;
	unsigned count = 1;

	test_row(row->name);
	dialogue_begin(&dialogue, row, SIZE_MAX);
	say(&dialogue, row->smtp ? BYTES(EHLO) : BYTES(LHLO));
	for (size_t length = 0; length <= SYMBOLS_MAX; length++, count *= SYMBOLS) {
		for (unsigned number = 0; number < count; number++) {
			struct text wire = {.length = 0};
			unsigned left = number;

			for (size_t i = 0; i < length; i++, left /= SYMBOLS)
				add(&wire, symbols[left % SYMBOLS]);
			add(&wire, BYTES("\r\n.\r\n"));
			check(&dialogue, octets_of(&wire), piece);
			dialogue.server->commands = 0;
		}
	}
	dialogue_end(&dialogue);
}

static void test_all_strings(void **state)
{
	static const struct row smtp = {.name = "SMTP, normalised", .smtp = true};
	static const struct row strict = {
		.name = "SMTP, refused", .smtp = true, .reject_bare_lf = true};
	static const struct row lmtp = {.name = "LMTP, normalised"};

	(void)state;
	run_all(&smtp, 1);
	run_all(&strict, 1);
	run_all(&strict, SIZE_MAX);
	run_all(&lmtp, SIZE_MAX);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_all_strings),
};
TEST_MAIN(tests)
