/*
 * Dialogues of the AUTHORIZATION state: AUTH PLAIN, APOP, STLS; every limit of an exchange one
 * below, at and one above it.
 */
#include "protocol/pop3_dialogue_test.h"

#define ROW(label, input, output, event_text, ...)                                                 \
	{                                                                                          \
		.name = label, .in = {input, sizeof(input) - 1},                                   \
		.out = {output, sizeof(output) - 1},                                               \
		.events = {event_text, sizeof(event_text) - 1}, __VA_ARGS__                        \
	}

#define ALICE      "AGFsaWNlAHNlY3JldA==" /* NUL alice NUL secret */
#define MALLORY    "AG1hbGxvcnkAYQ=="     /* NUL mallory NUL a */
#define GO_ON      "+ \r\n"
#define IN         "+OK 2 messages (203 octets)\r\n"
#define DIGEST     "c4c9334bac560ecc979e58001b3e22fb" /* of RFC 1939 section 7 */
#define MALFORMED  "-ERR not a message of PLAIN\r\n"
#define NOT_BASE64 "-ERR not base64\r\n"
#define PLAIN_TEXT "+OK capabilities follow\r\nTOP\r\nUIDL\r\nSTLS\r\n" CAPABILITIES ".\r\n"
#define INSIDE                                                                                     \
	"+OK capabilities follow\r\nTOP\r\nUIDL\r\nUSER\r\nSASL PLAIN\r\n" CAPABILITIES ".\r\n"
#define BEGIN  "+OK begin TLS\r\n"
#define NO_TLS "-ERR TLS cannot begin here\r\n"

static const struct row rows[] = {
	/* AUTH PLAIN */
	ROW("initial response", "AUTH PLAIN " ALICE "\r\n", IN, "plain(alice,secret)",
	    .messages = 2),
	ROW("line of its own", "AUTH PLAIN\r\n" ALICE "\r\n", GO_ON IN, "plain(alice,secret)",
	    .messages = 2),
	ROW("lower case and LF", "auth plain\n" ALICE "\n", GO_ON IN, "plain(alice,secret)",
	    .messages = 2),
	ROW("blanks behind", "AUTH PLAIN  \r\n" ALICE "\r\n", GO_ON IN, "plain(alice,secret)",
	    .messages = 2),
	ROW("an identity", "AUTH PLAIN Ym9iAGFsaWNlAHNlY3JldA==\r\n", IN, "plain(bob=alice,secret)",
	    .messages = 2),
	ROW("not denied by a name", "AUTH PLAIN AGJ1c3kAc2VjcmV0\r\n",
	    "-ERR [IN-USE] another session has this maildrop\r\n", "plain(busy,secret)",
	    .messages = 2),
	ROW("capa behind auth", "AUTH PLAIN " ALICE "\r\nCAPA\r\n",
	    IN "+OK capabilities follow\r\nTOP\r\nUIDL\r\nUSER\r\nSASL PLAIN\r\n" CAPABILITIES
	       "IMPLEMENTATION Postern\r\n.\r\n",
	    "plain(alice,secret)", .messages = 2),
	ROW("denied", "AUTH PLAIN " MALLORY "\r\nAUTH PLAIN\r\n" MALLORY "\r\nQUIT\r\n",
	    DENIED GO_ON DENIED BYE, "plain(mallory,a)plain(mallory,a)quit", .messages = 2),
	ROW("two tries, and one of another kind",
	    "AUTH PLAIN " MALLORY "\r\nUSER a\r\nPASS b\r\nAUTH PLAIN\r\n" MALLORY "\r\nNOOP\r\n",
	    DENIED WELCOME_USER DENIED GO_ON DENIED,
	    "plain(mallory,a)login(a,b)plain(mallory,a)close", .messages = 2),
	ROW("empty response", "AUTH PLAIN =\r\n", MALFORMED, "", .messages = 2),
	ROW("empty line", "AUTH PLAIN\r\n\r\nQUIT\r\n", GO_ON MALFORMED BYE, "quit", .messages = 2),
	ROW("one equals sign is no line", "AUTH PLAIN\r\n=\r\n", GO_ON NOT_BASE64, "",
	    .messages = 2),
	ROW("cancelled", "AUTH PLAIN\r\n*\r\nQUIT\r\n", GO_ON "-ERR cancelled\r\n" BYE, "quit",
	    .messages = 2),
	ROW("cancelled with LF", "AUTH PLAIN\n*\nQUIT\n", GO_ON "-ERR cancelled\r\n" BYE, "quit",
	    .messages = 2),
	ROW("a star is no initial response", "AUTH PLAIN *\r\n", NOT_BASE64, "", .messages = 2),
	ROW("a command is no response", "AUTH PLAIN\r\nQUIT\r\nQUIT\r\n", GO_ON MALFORMED BYE,
	    "quit", .messages = 2),
	ROW("not base64", "AUTH PLAIN AGF?\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA\r\n",
	    NOT_BASE64 NOT_BASE64, "", .messages = 2),
	ROW("white space in it", "AUTH PLAIN\r\nAGFsaWNl AHNlY3JldA=\r\nQUIT\r\n",
	    GO_ON NOT_BASE64 BYE, "quit", .messages = 2),
	ROW("white space behind it", "AUTH PLAIN\r\n" ALICE " \r\n", GO_ON NOT_BASE64, "",
	    .messages = 2),
	ROW("three bad", "AUTH PLAIN =\r\nAUTH PLAIN =\r\nAUTH PLAIN =\r\nQUIT\r\n",
	    MALFORMED MALFORMED TOO_MANY, "close", .messages = 2),
	ROW("three bad lines", "AUTH PLAIN\r\n!\r\nX\r\nX\r\nQUIT\r\n",
	    GO_ON NOT_BASE64 BAD TOO_MANY, "close", .messages = 2),
	ROW("one NUL", "AUTH PLAIN YWxpY2UAc2VjcmV0\r\n", MALFORMED, "", .messages = 2),
	ROW("three NULs", "AUTH PLAIN AGFsaWNlAHNlY3JldAA=\r\n", MALFORMED, "", .messages = 2),
	ROW("a control in the user", "AUTH PLAIN AGEKYgBj\r\n", MALFORMED, "", .messages = 2),
	ROW("a control in the identity", "AUTH PLAIN CgBhAGI=\r\n", MALFORMED, "", .messages = 2),
	ROW("two responses", "AUTH PLAIN " ALICE " " ALICE "\r\n", "-ERR wrong arguments\r\n", "",
	    .messages = 2),
	ROW("bare auth", "AUTH\r\nAUTH \r\nauth   \n",
	    "+OK mechanisms follow\r\nPLAIN\r\n.\r\n"
	    "+OK mechanisms follow\r\nPLAIN\r\n.\r\n"
	    "+OK mechanisms follow\r\nPLAIN\r\n.\r\n",
	    "", .messages = 2),
	ROW("other mechanisms", "AUTH CRAM-MD5\r\nAUTH LOGIN\r\nAUTH X\r\nAUTH PLAINS\r\nQUIT\r\n",
	    "-ERR no such mechanism\r\n-ERR no such mechanism\r\n-ERR no such mechanism\r\n"
	    "-ERR no such mechanism\r\n" BYE,
	    "quit", .messages = 2),
	ROW("auth in the clear", "AUTH\r\nAUTH PLAIN\r\nAUTH PLAIN " ALICE "\r\nQUIT\r\n",
	    NO_CLEAR NO_CLEAR NO_CLEAR BYE, "quit", .insecure = true),
	ROW("auth when logged in", LOGIN "AUTH PLAIN\r\nAUTH\r\n",
	    WELCOME_USER IN "-ERR already logged in\r\n-ERR already logged in\r\n",
	    "login(alice,secret)", .messages = 2),
	ROW("auth forgets the user", "USER alice\r\nAUTH PLAIN\r\n*\r\nPASS secret\r\n",
	    WELCOME_USER GO_ON "-ERR cancelled\r\n-ERR send USER first\r\n", "", .messages = 2),
	ROW("a browser in an exchange", "AUTH PLAIN\r\nGET / HTTP/1.1\r\n", GO_ON, "close",
	    .messages = 2),

	/* APOP */
	ROW("no apop", "APOP mrose " DIGEST "\r\n", BAD, "", .messages = 2),
	ROW("apop", "APOP mrose " DIGEST "\r\n", DENIED, "apop(mrose," DIGEST ",<1.2@host>)",
	    .apop = true),
	ROW("apop in the clear", "apop mrose " DIGEST "\n", DENIED,
	    "apop(mrose," DIGEST ",<1.2@host>)", .apop = true, .insecure = true),
	ROW("apop, three tries",
	    "APOP a " DIGEST "\r\nAPOP b " DIGEST "\r\nAPOP c " DIGEST "\r\nQUIT\r\n",
	    DENIED DENIED DENIED,
	    "apop(a," DIGEST ",<1.2@host>)apop(b," DIGEST ",<1.2@host>)"
	    "apop(c," DIGEST ",<1.2@host>)close",
	    .apop = true),
	ROW("a digest too short", "APOP mrose c4c9334bac560ecc979e58001b3e22f\r\n",
	    "-ERR not a digest\r\n", "", .apop = true),
	ROW("a digest too long", "APOP mrose " DIGEST "0\r\n", "-ERR not a digest\r\n", "",
	    .apop = true),
	ROW("a digest in capitals", "APOP mrose C4C9334BAC560ECC979E58001B3E22FB\r\n",
	    "-ERR not a digest\r\n", "", .apop = true),
	ROW("no digest", "APOP mrose\r\nAPOP\r\n",
	    "-ERR wrong arguments\r\n-ERR wrong arguments\r\n", "", .apop = true),
	ROW("a user of controls", "APOP a\tb " DIGEST "\r\n", "-ERR not a user name\r\n", "",
	    .apop = true),
	ROW("apop forgets the user", "USER alice\r\nAPOP x y\r\nPASS secret\r\n",
	    WELCOME_USER "-ERR not a digest\r\n-ERR send USER first\r\n", "", .apop = true),
	ROW("apop when logged in", LOGIN "APOP mrose " DIGEST "\r\n", WELCOME(0, 0) BAD,
	    "login(alice,secret)", .apop = true),

	/* STLS */
	ROW("stls", "CAPA\r\nSTLS\r\nCAPA\r\nSTLS\r\n" LOGIN,
	    PLAIN_TEXT BEGIN INSIDE NO_TLS WELCOME_USER IN, "tlslogin(alice,secret)", .messages = 2,
	    .insecure = true, .stls = true),
	ROW("stls with LF", "stls\nCAPA\n", BEGIN INSIDE, "tls", .insecure = true, .stls = true),
	ROW("no certificate", "STLS\r\nCAPA\r\n", NO_TLS INSIDE, "", .messages = 2),
	ROW("an argument", "STLS now\r\n", "-ERR wrong arguments\r\n", "", .stls = true),
	ROW("stls when logged in", LOGIN "STLS\r\nCAPA\r\n",
	    WELCOME(0, 0) "-ERR already logged in\r\n+OK capabilities follow\r\nTOP\r\nUIDL\r\n"
			  "USER\r\nSASL PLAIN\r\n" CAPABILITIES "IMPLEMENTATION Postern\r\n.\r\n",
	    "login(alice,secret)", .stls = true),
	ROW("stls forgets the user", "USER alice\r\nSTLS\r\nPASS secret\r\n",
	    WELCOME_USER BEGIN "-ERR send USER first\r\n", "tls", .stls = true),
	ROW("stls forgets bad commands", "X\r\nY\r\nSTLS\r\nX\r\nY\r\nQUIT\r\n",
	    BAD BAD BEGIN BAD BAD BYE, "tlsquit", .stls = true),
	ROW("stls does not forget tries",
	    "USER a\r\nPASS b\r\nUSER a\r\nPASS b\r\nSTLS\r\nUSER a\r\nPASS b\r\nQUIT\r\n",
	    WELCOME_USER DENIED WELCOME_USER DENIED BEGIN WELCOME_USER DENIED,
	    "login(a,b)login(a,b)tlslogin(a,b)close", .stls = true),
	ROW("apop inside", "STLS\r\nAPOP mrose " DIGEST "\r\n", BEGIN DENIED,
	    "tlsapop(mrose," DIGEST ",<1.2@host>)", .stls = true, .apop = true),

	/* What is not POP3 */
	ROW("TLS in plain text", "\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03\nQUIT\r\n", "",
	    "close", .messages = 2),
	ROW("an endless request", "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "", "close", .messages = 2),
	ROW("a reply", "HTTP/1.1 200 OK\r\n", "", "close", .messages = 2),
	ROW("a method of its own", "BREW /pot HTTP/1.1\r\nQUIT\r\n", "", "close", .messages = 2),
	ROW("a user of that name", "USER x HTTP/1.1\r\n", WELCOME_USER, "", .messages = 2),
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_row_in_all_ways(&rows[i]);
}

/* ---- limits ---- */

/* 'A' is a digit of base64; so many of them are NULs, no message. */
static void test_line_limits(void **state)
{
	static const struct {
		const char *name, *front, *end;
		size_t octets; /* of the last line, line end included */
		const char *out;
	} lines[] = {
		{"response, the longest text", GO_ON, "\r\n", POP3_SASL_LINE_MAX - 2, MALFORMED},
		{"response, one below", GO_ON, "\r\n", POP3_SASL_LINE_MAX - 1, NOT_BASE64},
		{"response, at the limit", GO_ON, "\r\n", POP3_SASL_LINE_MAX, NOT_BASE64},
		{"response, one above", GO_ON, "\r\n", POP3_SASL_LINE_MAX + 1,
		 "-ERR line too long\r\n"},
		{"response, at the limit, LF", GO_ON, "\n", POP3_SASL_LINE_MAX, NOT_BASE64},
		{"response, one above, LF", GO_ON, "\n", POP3_SASL_LINE_MAX + 1,
		 "-ERR line too long\r\n"},
		{"a PASS line is none here", GO_ON "PASS ", "\r\n", POP3_SASL_LINE_MAX + 1,
		 "-ERR line too long\r\n"},
		{"initial, one below", "AUTH PLAIN ", "\r\n", POP3_LINE_MAX - 1, NOT_BASE64},
		{"initial, at the limit", "AUTH PLAIN ", "\r\n", POP3_LINE_MAX, NOT_BASE64},
		{"initial, one above", "AUTH PLAIN ", "\r\n", POP3_LINE_MAX + 1,
		 "-ERR line too long\r\n"},
	};
	static char room[POP3_SASL_LINE_MAX + 100], out[100];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		bool response = lines[i].front[0] == '+';
		const char *front = response ? lines[i].front + strlen(GO_ON) : lines[i].front;
		struct row row = {.name = lines[i].name, .out = bytes_of(out)};
		size_t head = 0, end = strlen(lines[i].end);

		if (response)
			head = (size_t)snprintf(room, sizeof(room), "AUTH PLAIN\r\n");
		memset(room + head, 'A', lines[i].octets);
		memcpy(room + head, front, strlen(front));
		memcpy(room + head + lines[i].octets - end, lines[i].end, end);
		memcpy(room + head + lines[i].octets, "QUIT\r\n", 6);
		row.in = (struct bytes){room, head + lines[i].octets + 6};
		snprintf(out, sizeof(out), "%s%s" BYE, response ? GO_ON : "", lines[i].out);
		row.out = bytes_of(out);
		row.events = BYTES("quit");
		test_row(row.name);
		run_row(&row, 0, SIZE_MAX, SIZE_MAX);
		run_row(&row, 0, 1, SIZE_MAX);
		for (size_t split = 1; split < row.in.length; split += 97)
			run_row(&row, split, SIZE_MAX, SIZE_MAX);
	}
}

static struct bytes encode(struct bytes octets, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t length = 0;

	for (size_t at = 0; at < octets.length; at += 3) {
		uint32_t bits = 0;
		size_t left = octets.length - at;

		for (size_t i = 0; i < 3; i++)
			bits = bits << 8 | (i < left ? (uint8_t)octets.data[at + i] : 0);
		for (size_t i = 0; i < 4; i++)
			out[length++] = i <= left ? digits[bits >> (18 - 6 * i) & 63] : '=';
	}
	return (struct bytes){out, length};
}

/* Identity, user and password, each one below its limit, at it, and one above. */
static void test_message_limits(void **state)
{
	static const struct {
		const char *name;
		size_t authorize, user, password;
		const char *out;
	} sizes[] = {
		{"identity, one below", ACCOUNT_NAME_MAX - 1, 1, 1, DENIED},
		{"identity, at the limit", ACCOUNT_NAME_MAX, 1, 1, DENIED},
		{"identity, one above", ACCOUNT_NAME_MAX + 1, 1, 1, MALFORMED},
		{"user, one below", 0, ACCOUNT_NAME_MAX - 1, 1, DENIED},
		{"user, at the limit", 0, ACCOUNT_NAME_MAX, 1, DENIED},
		{"user, one above", 0, ACCOUNT_NAME_MAX + 1, 1, MALFORMED},
		{"password, one below", 0, 1, PASSWORD_MAX - 1, DENIED},
		{"password, at the limit", 0, 1, PASSWORD_MAX, DENIED},
		{"password, one above", 0, 1, PASSWORD_MAX + 1, "-ERR password too long\r\n"},
		{"all at the limit", ACCOUNT_NAME_MAX, ACCOUNT_NAME_MAX, PASSWORD_MAX, DENIED},
	};
	static char message[2000], text[3000], in[3100], out[100];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct row row = {.name = sizes[i].name, .in = {in, 0}};
		struct dialogue dialogue;
		struct bytes line;
		size_t length = sizes[i].authorize + sizes[i].user + sizes[i].password + 2;

		memset(message, 'x', length);
		message[sizes[i].authorize] = '\0';
		message[sizes[i].authorize + 1 + sizes[i].user] = '\0';
		line = encode((struct bytes){message, length}, text);
		row.in.length = (size_t)snprintf(in, sizeof(in), "AUTH PLAIN\r\n%.*s\r\n",
						 (int)line.length, line.data);
		snprintf(out, sizeof(out), GO_ON "%s", sizes[i].out);
		test_row(row.name);
		dialogue_begin(&dialogue, &row, SIZE_MAX);
		say(&dialogue, row.in);
		test_equal_bytes(buffer_bytes(&dialogue.out), bytes_of(out));
		test_check((dialogue.events.length > 0) == (strcmp(sizes[i].out, DENIED) == 0));
		dialogue_end(&dialogue);
	}
}

/* ---- what the owner does ---- */

static void test_nothing_is_taken_before_the_handshake(void **state)
{
	static const struct row row = {.name = "stls", .stls = true};
	struct dialogue dialogue;
	struct pop3_event event;

	(void)state;
	dialogue_begin(&dialogue, &row, SIZE_MAX);
	assert_int_equal(pop3_server_feed(dialogue.server, BYTES("STLS\r\nUSER a\r\n")), 6);
	assert_true(pop3_server_next(dialogue.server, &event));
	assert_int_equal(event.kind, POP3_START_TLS);
	assert_int_equal(pop3_server_feed(dialogue.server, BYTES("USER a\r\n")), 0);
	test_equal_bytes(pop3_server_output(dialogue.server), BYTES(BEGIN));
	/* Whoever ends the session now must not put a line in front of the handshake. */
	pop3_server_end(dialogue.server, "[SYS/TEMP]", "over");
	pop3_server_secured(dialogue.server, true);
	test_equal_bytes(pop3_server_output(dialogue.server), BYTES(BEGIN));
	assert_true(pop3_server_next(dialogue.server, &event));
	assert_int_equal(event.kind, POP3_CLOSE);
	dialogue_end(&dialogue);
}

static void test_greeting_offers_apop(void **state)
{
	struct pop3_server_options options = {0};
	struct pop3_server *server = pop3_server_new(&options);

	(void)state;
	pop3_server_greet(server, "mail.example.org", "7f3a", "<5a.1@mail.example.org>");
	test_equal_bytes(pop3_server_output(server),
			 BYTES("+OK mail.example.org POP3 server ready, session 7f3a "
			       "<5a.1@mail.example.org>\r\n"));
	pop3_server_free(server);
}

static void test_words_for_the_log(void **state)
{
	static const struct {
		const char *in, *reason;
	} ends[] = {
		{"QUIT\r\n", NULL},
		{"GET /", "not POP3"},
		{"X\r\nX\r\nX\r\n", "too many bad commands"},
		{"USER a\r\nPASS a\r\nUSER a\r\nPASS a\r\nUSER a\r\nPASS a\r\n",
		 "too many failed logins"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		static const struct row row = {.name = "reasons"};
		struct dialogue dialogue;
		struct pop3_event event;

		test_row(ends[i].in);
		dialogue_begin(&dialogue, &row, SIZE_MAX);
		say(&dialogue, bytes_of(ends[i].in));
		test_check(pop3_server_next(dialogue.server, &event) && event.kind == POP3_CLOSE);
		test_check((event.reason == NULL) == (ends[i].reason == NULL));
		test_check(!event.reason || strcmp(event.reason, ends[i].reason) == 0);
		dialogue_end(&dialogue);
	}
}

/* Nothing of a secret stays: neither in the engine nor, as it is freed, in its memory. */
static void test_nothing_is_kept_behind_a_login(void **state)
{
	static const struct row row = {.name = "kept", .apop = true};
	struct dialogue dialogue;

	(void)state;
	dialogue_begin(&dialogue, &row, SIZE_MAX);
	say(&dialogue, BYTES("AUTH PLAIN =\r\n"));
	assert_null(dialogue.server->argument.data);
	say(&dialogue, BYTES("AUTH PLAIN\r\n" ALICE "\r\n"));
	assert_null(dialogue.server->line.held.data);
	assert_null(dialogue.server->user.data);
	assert_null(dialogue.server->argument.data);
	assert_null(dialogue.server->challenge.data);
	dialogue_end(&dialogue);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
	cmocka_unit_test(test_line_limits),
	cmocka_unit_test(test_message_limits),
	cmocka_unit_test(test_nothing_is_taken_before_the_handshake),
	cmocka_unit_test(test_greeting_offers_apop),
	cmocka_unit_test(test_words_for_the_log),
	cmocka_unit_test(test_nothing_is_kept_behind_a_login),
};
TEST_MAIN(tests)
