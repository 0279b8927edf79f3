/*
 * Dialogues with the POP3 engine: each command in each state, with right and wrong arguments, and
 * every limit of a line one below, at and one above it.
 */
#include "protocol/pop3_dialogue_test.h"

/* ---- rows ---- */

/* in, out, events; everything before the first command is done by the engine, not by the row */
#define ROW(label, input, output, event_text, ...)                                                 \
	{                                                                                          \
		.name = label, .in = {input, sizeof(input) - 1},                                   \
		.out = {output, sizeof(output) - 1},                                               \
		.events = {event_text, sizeof(event_text) - 1}, __VA_ARGS__                        \
	}

static const struct row rows[] = {
	/* AUTHORIZATION */
	ROW("nothing", "", "", "", .messages = 0),
	ROW("quit", "QUIT\r\n", BYE, "quit", .messages = 0),
	ROW("nothing behind quit", "QUIT\r\nNOOP\r\n", BYE, "quit", .messages = 0),
	ROW("lower case and bare LF", "quit\n", BYE, "quit", .messages = 0),
	ROW("half a command", "QUI", "", "", .messages = 0),
	ROW("capa", "CAPA\r\n",
	    "+OK capabilities follow\r\nTOP\r\nUIDL\r\nUSER\r\nSASL PLAIN\r\n" CAPABILITIES ".\r\n",
	    "", .messages = 0),
	ROW("capa, no login", "CAPA\r\n",
	    "+OK capabilities follow\r\nTOP\r\nUIDL\r\n" CAPABILITIES ".\r\n", "",
	    .insecure = true),
	ROW("capa, logged in", LOGIN "CAPA\r\n",
	    WELCOME(0, 0) "+OK capabilities follow\r\nTOP\r\nUIDL\r\nUSER\r\nSASL "
			  "PLAIN\r\n" CAPABILITIES "IMPLEMENTATION Postern\r\n.\r\n",
	    "login(alice,secret)", .messages = 0),
	ROW("login in the clear", "USER alice\r\nPASS secret\r\nPASS x\r\nPASS x\r\nQUIT\r\n",
	    "-ERR use TLS: passwords are not taken in the clear\r\n"
	    "-ERR use TLS: passwords are not taken in the clear\r\n"
	    "-ERR use TLS: passwords are not taken in the clear\r\n"
	    "-ERR use TLS: passwords are not taken in the clear\r\n" BYE,
	    "quit", .insecure = true),
	ROW("login", LOGIN, WELCOME(2, 203), "login(alice,secret)", .messages = 2),
	ROW("login with LF", "user alice\npass secret\n", WELCOME(2, 203), "login(alice,secret)",
	    .messages = 2),
	ROW("password with spaces", "USER alice\r\nPASS  two  words \r\n",
	    WELCOME_USER "+OK as you like\r\n", "login(alice, two  words )", .messages = 2),
	ROW("pass first", "PASS secret\r\n", "-ERR send USER first\r\n", "", .messages = 0),
	ROW("pass again", "USER mallory\r\nPASS a\r\nPASS b\r\n",
	    WELCOME_USER "-ERR [AUTH] wrong user or password\r\n-ERR send USER first\r\n",
	    "login(mallory,a)", .messages = 0),
	ROW("user twice", "USER mallory\r\n" LOGIN, WELCOME_USER WELCOME(0, 0),
	    "login(alice,secret)", .messages = 0),
	ROW("user with spaces and 8 bit", "USER J\xC3\xB6rg at home\r\nPASS x\r\n",
	    WELCOME_USER "-ERR [AUTH] wrong user or password\r\n", "login(J\xC3\xB6rg at home,x)",
	    .messages = 0),
	ROW("user with control", "USER a\tb\r\n", "-ERR not a user name\r\n", "", .messages = 0),
	ROW("user with NUL", "USER alice\0x\r\n", "-ERR not a user name\r\n", "", .messages = 0),
	ROW("user with CR", "USER alice\rx\r\n", "-ERR not a user name\r\n", "", .messages = 0),
	ROW("user without name", "USER\r\nUSER \r\n",
	    "-ERR wrong arguments\r\n-ERR wrong arguments\r\n", "", .messages = 0),
	ROW("pass without password", "USER alice\r\nPASS\r\nPASS \r\n",
	    WELCOME_USER "-ERR wrong arguments\r\n-ERR wrong arguments\r\n", "", .messages = 0),
	ROW("in use", "USER busy\r\nPASS secret\r\n",
	    WELCOME_USER "-ERR [IN-USE] another session has this maildrop\r\n",
	    "login(busy,secret)", .messages = 0),
	ROW("a text that would be two lines", "USER later\r\nPASS secret\r\n",
	    WELCOME_USER "-ERR [SYS/TEMP] line one??+OK two\r\n", "login(later,secret)",
	    .messages = 0),
	ROW("permanent", "USER never\r\nPASS secret\r\n",
	    WELCOME_USER "-ERR [SYS/PERM] this maildrop cannot be opened\r\n",
	    "login(never,secret)", .messages = 0),
	ROW("two tries", "USER a\r\nPASS b\r\nUSER a\r\nPASS b\r\nNOOP\r\n",
	    WELCOME_USER "-ERR [AUTH] wrong user or password\r\n" WELCOME_USER
			 "-ERR [AUTH] wrong user or password\r\n-ERR log in first\r\n",
	    "login(a,b)login(a,b)", .messages = 0),
	ROW("three tries", "USER a\r\nPASS b\r\nUSER a\r\nPASS b\r\nUSER a\r\nPASS b\r\nNOOP\r\n",
	    WELCOME_USER "-ERR [AUTH] wrong user or password\r\n" WELCOME_USER
			 "-ERR [AUTH] wrong user or password\r\n" WELCOME_USER
			 "-ERR [AUTH] wrong user or password\r\n",
	    "login(a,b)login(a,b)login(a,b)close", .messages = 0),
	ROW("two bad", "X\r\nY\r\nQUIT\r\n", BAD BAD BYE, "quit", .messages = 0),
	ROW("three bad", "X\r\nY\r\nZ\r\nQUIT\r\n", BAD BAD TOO_MANY, "close", .messages = 0),
	ROW("four bad", "X\r\nY\r\nZ\r\nX\r\n", BAD BAD TOO_MANY, "close", .messages = 0),
	ROW("a good one between", "X\r\nY\r\nUSER a\r\nX\r\nY\r\n", BAD BAD WELCOME_USER BAD BAD,
	    "", .messages = 0),
	ROW("illegal before login", "STAT\r\nLIST\r\n",
	    "-ERR log in first\r\n-ERR log in first\r\n", "", .messages = 0),
	ROW("illegal before login 2", "RETR 1\r\nDELE 1\r\n",
	    "-ERR log in first\r\n-ERR log in first\r\n", "", .messages = 0),
	ROW("illegal before login 3", "NOOP\r\nRSET\r\n",
	    "-ERR log in first\r\n-ERR log in first\r\n", "", .messages = 0),
	ROW("illegal before login 4", "TOP 1 1\r\nUIDL\r\n",
	    "-ERR log in first\r\n-ERR log in first\r\n", "", .messages = 0),
	ROW("empty line", "\r\n\n", BAD BAD, "", .messages = 0),
	ROW("NUL in a command", "QUIT\0\r\nQU\0IT\r\n", BAD BAD, "", .messages = 0),
	ROW("NUL behind a space", "QUIT \0\r\n", "-ERR wrong arguments\r\n", "", .messages = 0),
	ROW("CR in a command", "QUIT\r\r\nQU\rIT\r\n", BAD BAD, "", .messages = 0),
	ROW("space in front", " QUIT\r\n", BAD, "", .messages = 0),
	ROW("argument to quit", "QUIT now\r\nQUIT \r\n",
	    "-ERR wrong arguments\r\n-ERR wrong arguments\r\n", "", .messages = 0),
	ROW("a browser", "GET / HTTP/1.1\r\nUSER alice\r\n", "", "close", .messages = 0),
	ROW("a form", "POST /x HTTP/1.1\r\n", "", "close", .messages = 0),
	ROW("a proxy", "CONNECT x:110 HTTP/1.1\r\n", "", "close", .messages = 0),
	ROW("GET without a space", "GET\r\n", BAD, "", .messages = 0),
	ROW("GET later", LOGIN "GET / HTTP/1.1\r\n", WELCOME(0, 0) BAD, "login(alice,secret)",
	    .messages = 0),

	/* TRANSACTION */
	ROW("stat and noop", LOGIN "STAT\r\nNOOP\r\n", WELCOME(3, 306) "+OK 3 306\r\n+OK\r\n",
	    "login(alice,secret)", .messages = 3),
	ROW("login again", LOGIN "USER bob\r\nPASS x\r\n",
	    WELCOME(0, 0) "-ERR already logged in\r\n-ERR already logged in\r\n",
	    "login(alice,secret)", .messages = 0),
	ROW("list", LOGIN "LIST\r\n",
	    WELCOME(3, 306) "+OK 3 messages\r\n1 101\r\n2 102\r\n3 103\r\n.\r\n",
	    "login(alice,secret)table(1,3)", .messages = 3),
	ROW("list of nothing", LOGIN "LIST\r\nUIDL\r\n",
	    WELCOME(0, 0) "+OK 0 messages\r\n.\r\n+OK 0 messages\r\n.\r\n", "login(alice,secret)",
	    .messages = 0),
	ROW("list one", LOGIN "LIST 2\r\n", WELCOME(3, 306) "+OK 2 102\r\n",
	    "login(alice,secret)table(2,1)", .messages = 3),
	ROW("uidl", LOGIN "UIDL\r\nUIDL 3\r\n",
	    WELCOME(3, 306) "+OK 3 messages\r\n1 u1\r\n2 u2\r\n3 u3\r\n.\r\n+OK 3 u3\r\n",
	    "login(alice,secret)table(1,3)table(3,1)", .messages = 3),
	ROW("numbers at the edge",
	    LOGIN "LIST 0\r\nLIST 1\r\nLIST 3\r\nLIST 4\r\nLIST 4294967297\r\n",
	    WELCOME(3, 306) "-ERR no such message\r\n+OK 1 101\r\n+OK 3 103\r\n"
			    "-ERR no such message\r\n-ERR no such message\r\n",
	    "login(alice,secret)table(1,1)table(3,1)", .messages = 3),
	ROW("numbers that are none",
	    LOGIN "LIST +1\r\nLIST -1\r\nLIST 1x\r\nLIST 1\0\r\nLIST 99999999999999999999\r\n"
		  "RETR x\r\nDELE x\r\nUIDL x\r\nTOP x 1\r\nTOP 1 x\r\nTOP 1 -1\r\n",
	    WELCOME(3, 306) "-ERR not a message number\r\n-ERR not a message number\r\n"
			    "-ERR not a message number\r\n-ERR not a message number\r\n"
			    "-ERR not a message number\r\n-ERR not a message number\r\n"
			    "-ERR not a message number\r\n-ERR not a message number\r\n"
			    "-ERR not a message number\r\n-ERR not a number of lines\r\n"
			    "-ERR not a number of lines\r\n",
	    "login(alice,secret)", .messages = 3),
	ROW("wrong arguments",
	    LOGIN "LIST  1\r\nLIST \r\nLIST 1 \r\nLIST 1 2\r\nRETR\r\nDELE\r\nTOP 1\r\nTOP 1  1\r\n"
		  "TOP 1 1 1\r\nSTAT 1\r\nNOOP 1\r\nRSET 1\r\nCAPA 1\r\nUIDL 1 2\r\n",
	    WELCOME(3,
		    306) "-ERR wrong arguments\r\n-ERR wrong arguments\r\n-ERR wrong arguments\r\n"
			 "-ERR wrong arguments\r\n-ERR wrong arguments\r\n-ERR wrong arguments\r\n"
			 "-ERR wrong arguments\r\n-ERR wrong arguments\r\n-ERR wrong arguments\r\n"
			 "-ERR wrong arguments\r\n-ERR wrong arguments\r\n-ERR wrong arguments\r\n"
			 "-ERR wrong arguments\r\n-ERR wrong arguments\r\n",
	    "login(alice,secret)", .messages = 3),
	ROW("retr", LOGIN "RETR 2\r\nNOOP\r\n",
	    WELCOME(3, 306) "+OK 102 octets\r\n..body\r\n.\r\n+OK\r\n",
	    "login(alice,secret)body(2)", .messages = 3),
	ROW("top", LOGIN "TOP 1 0\r\nTOP 3 18446744073709551614\r\nTOP 3 18446744073709551615\r\n",
	    WELCOME(3, 306) "+OK top of message follows\r\n..body\r\n.\r\n"
			    "+OK top of message follows\r\n..body\r\n.\r\n"
			    "-ERR not a number of lines\r\n",
	    "login(alice,secret)body(1,0)body(3,18446744073709551614)", .messages = 3),
	ROW("a body that breaks off", LOGIN "RETR 1\r\nNOOP\r\n",
	    WELCOME(1, 101) "+OK 101 octets\r\n..body\r\n", "login(alice,secret)body(1)close",
	    .messages = 1, .fault = FAULT_BODY),
	ROW("a damaged message", LOGIN "RETR 1\r\nNOOP\r\n",
	    WELCOME(1, 101) "-ERR [SYS/PERM] this message is damaged\r\n+OK\r\n",
	    "login(alice,secret)body(1)", .messages = 1, .fault = FAULT_DAMAGED),
	ROW("an unreadable message", LOGIN "TOP 1 1\r\nNOOP\r\n",
	    WELCOME(1, 101) "-ERR [SYS/TEMP] this message cannot be read at the moment\r\n+OK\r\n",
	    "login(alice,secret)body(1,1)", .messages = 1, .fault = FAULT_TEMPORARY),
	ROW("unreadable entries", LOGIN "LIST 1\r\nUIDL 1\r\nLIST\r\nDELE 1\r\nSTAT\r\nNOOP\r\n",
	    WELCOME(1, 101) "-ERR [SYS/TEMP] the maildrop cannot be read\r\n"
			    "-ERR [SYS/TEMP] the maildrop cannot be read\r\n"
			    "-ERR [SYS/TEMP] the maildrop cannot be read\r\n"
			    "-ERR [SYS/TEMP] the maildrop cannot be read\r\n+OK 1 101\r\n+OK\r\n",
	    "login(alice,secret)table(1,1)table(1,1)table(1,1)table(1,1)", .messages = 1,
	    .fault = FAULT_TABLE),
	ROW("dele",
	    LOGIN "DELE 2\r\nDELE 2\r\nSTAT\r\nLIST\r\nUIDL\r\nLIST 2\r\nUIDL 2\r\nRETR 2\r\n"
		  "TOP 2 0\r\nLIST 3\r\nQUIT\r\n",
	    WELCOME(3, 306) "+OK marked as deleted\r\n-ERR this message is deleted\r\n+OK 2 204\r\n"
			    "+OK 2 messages\r\n1 101\r\n3 103\r\n.\r\n"
			    "+OK 2 messages\r\n1 u1\r\n3 u3\r\n.\r\n"
			    "-ERR this message is deleted\r\n-ERR this message is deleted\r\n"
			    "-ERR this message is deleted\r\n-ERR this message is deleted\r\n"
			    "+OK 3 103\r\n" BYE,
	    "login(alice,secret)table(2,1)table(1,3)table(1,3)table(3,1)update(1:010)quit",
	    .messages = 3),
	ROW("dele of all", LOGIN "DELE 1\r\nDELE 2\r\nSTAT\r\nLIST\r\nQUIT\r\n",
	    WELCOME(2, 203) "+OK marked as deleted\r\n+OK marked as deleted\r\n+OK 0 0\r\n"
			    "+OK 0 messages\r\n.\r\n" BYE,
	    "login(alice,secret)table(1,1)table(2,1)update(2:11)quit", .messages = 2),
	ROW("rset", LOGIN "DELE 1\r\nRSET\r\nSTAT\r\nLIST 1\r\nQUIT\r\n",
	    WELCOME(2, 203) "+OK marked as deleted\r\n+OK nothing is marked as deleted\r\n"
			    "+OK 2 203\r\n+OK 1 101\r\n" BYE,
	    "login(alice,secret)table(1,1)table(1,1)update(0)quit", .messages = 2),
	ROW("dele that failed", LOGIN "DELE 1\r\nQUIT\r\n",
	    WELCOME(1, 101) "-ERR [SYS/TEMP] the maildrop cannot be read\r\n" BYE,
	    "login(alice,secret)table(1,1)update(0)quit", .messages = 1, .fault = FAULT_TABLE),
	ROW("quit with nothing deleted", LOGIN "QUIT\r\nNOOP\r\n", WELCOME(2, 203) BYE,
	    "login(alice,secret)update(0)quit", .messages = 2),
	ROW("update fails", LOGIN "DELE 1\r\nQUIT\r\n",
	    WELCOME(2, 203) "+OK marked as deleted\r\n-ERR [SYS/TEMP] none or only some of the "
			    "deleted "
			    "messages were removed\r\n",
	    "login(alice,secret)table(1,1)update(1:10)quit", .messages = 2, .fault = FAULT_UPDATE),
	ROW("close fails", LOGIN "QUIT\r\n",
	    WELCOME(2, 203) "-ERR [SYS/TEMP] the maildrop was not closed as it should be\r\n",
	    "login(alice,secret)update(0)quit", .messages = 2, .fault = FAULT_UPDATE),
	ROW("listing breaks off behind a block", LOGIN "UIDL 65\r\nNOOP\r\n",
	    WELCOME(65, 8645) "-ERR [SYS/TEMP] the maildrop cannot be read\r\n+OK\r\n",
	    "login(alice,secret)table(65,1)", .messages = 65, .fault = FAULT_BLOCK),

	/* XTRY */
	ROW("try without option", "XTRY open /\r\n", BAD, "", .messages = 0),
	ROW("try", "XTRY open /\r\n" LOGIN "XTRY  x\r\nXTRY\r\n",
	    "+OK refused\r\n" WELCOME(0, 0) "+OK refused\r\n-ERR wrong arguments\r\n",
	    "try(open /)login(alice,secret)try( x)", .test_commands = true),
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_row_in_all_ways(&rows[i]);
}

/* ---- limits ---- */

/* "WORD" and as many 'a' as make `octets` with the line end. */
static struct bytes long_line(char *room, const char *word, size_t octets, const char *end)
{
	size_t word_octets = strlen(word), end_octets = strlen(end);

	memcpy(room, word, word_octets);
	memset(room + word_octets, 'a', octets - word_octets - end_octets);
	memcpy(room + octets - end_octets, end, end_octets);
	return (struct bytes){room, octets};
}

static void test_line_limits(void **state)
{
	static const struct {
		const char *name, *word, *end;
		size_t octets;
		const char *out;
	} lines[] = {
		{"line, one below", "X", "\r\n", POP3_LINE_MAX - 1, BAD},
		{"line, at the limit", "X", "\r\n", POP3_LINE_MAX, BAD},
		{"line, one above", "X", "\r\n", POP3_LINE_MAX + 1, "-ERR line too long\r\n"},
		{"bare LF, at the limit", "X", "\n", POP3_LINE_MAX, BAD},
		{"bare LF, one above", "X", "\n", POP3_LINE_MAX + 1, "-ERR line too long\r\n"},
		{"far too long", "X", "\r\n", 9000, "-ERR line too long\r\n"},
		{"two lines are not made of one", "X", "\nQUIT\r\n", 9000,
		 "-ERR line too long\r\n" BYE},
		{"user, one below", "USER ", "\r\n", 5 + ACCOUNT_NAME_MAX - 1 + 2, WELCOME_USER},
		{"user, at the limit", "USER ", "\r\n", 5 + ACCOUNT_NAME_MAX + 2, WELCOME_USER},
		{"user, one above", "USER ", "\r\n", 5 + ACCOUNT_NAME_MAX + 3,
		 "-ERR not a user name\r\n"},
		{"pass, one below", "pAss ", "\r\n", POP3_PASS_LINE_MAX - 1,
		 "-ERR send USER first\r\n"},
		{"pass, at the limit", "pass ", "\r\n", POP3_PASS_LINE_MAX,
		 "-ERR send USER first\r\n"},
		{"pass, one above", "pass ", "\r\n", POP3_PASS_LINE_MAX + 1,
		 "-ERR line too long\r\n"},
		{"password, one below", "USER a\r\nPASS ", "\r\n", 13 + PASSWORD_MAX - 1 + 2,
		 WELCOME_USER "-ERR [AUTH] wrong user or password\r\n"},
		{"password, at the limit", "USER a\r\nPASS ", "\r\n", 13 + PASSWORD_MAX + 2,
		 WELCOME_USER "-ERR [AUTH] wrong user or password\r\n"},
		{"password, one above", "USER a\r\nPASS ", "\r\n", 13 + PASSWORD_MAX + 3,
		 WELCOME_USER "-ERR password too long\r\n"},
	};
	static char room[9000], events[3000];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct row row = {.name = lines[i].name, .out = bytes_of(lines[i].out)};

		row.in = long_line(room, lines[i].word, lines[i].octets, lines[i].end);
		if (strstr(lines[i].out, "[AUTH]") != NULL) {
			int length = snprintf(events, sizeof(events), "login(a,%.*s)",
					      (int)row.in.length - 15, row.in.data + 13);
			row.events = (struct bytes){events, (size_t)length};
		} else if (strstr(lines[i].out, "good-bye") != NULL) {
			row.events = BYTES("quit");
		}
		run_row_in_all_ways(&row);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
	cmocka_unit_test(test_line_limits),
};
TEST_MAIN(tests)
