/*
 * Dialogues with the SMTP and LMTP engine: each command in and out of its turn, addresses,
 * parameters, messages and what is no end of a message.
 */
#include "protocol/smtp_dialogue_test.h"

#define ROW(label, input, output, event_text, ...)                                                 \
	{                                                                                          \
		.name = label, .in = {input, sizeof(input) - 1},                                   \
		.out = {output, sizeof(output) - 1},                                               \
		.events = {event_text, sizeof(event_text) - 1}, __VA_ARGS__                        \
	}
#define LMTP .smtp = false
#define SMTP .smtp = true

static const struct row rows[] = {
	/* commands */
	ROW("nothing", "", "", "", LMTP),
	ROW("quit", "QUIT\r\nNOOP\r\n", BYE, "close", LMTP),
	ROW("lower case, space at the end", "quit \r\n", BYE, "close", LMTP),
	ROW("LF ends no line", "NOOP\nQUIT\r\nQUIT\r\n",
	    "500 5.5.2 a line ends in CR LF, and in nothing else\r\n" BYE, "close", LMTP),
	ROW("nor in SMTP", "\nQUIT\r\nQUIT\r\n",
	    "500 5.5.2 a line ends in CR LF, and in nothing else\r\n" BYE, "close", SMTP),
	ROW("lhlo", LHLO, FEATURES, "", LMTP),
	ROW("ehlo", EHLO, FEATURES, "", SMTP),
	ROW("helo", "HELO me.example\r\n", "250 mx.example\r\n", "", SMTP),
	ROW("lhlo in SMTP", LHLO, "500 5.5.1 no such command\r\n", "", SMTP),
	ROW("ehlo in LMTP", EHLO "HELO x\r\n",
	    "500 5.5.1 no such command\r\n500 5.5.1 no such command\r\n", "", LMTP),
	ROW("lhlo without a name", "LHLO\r\nLHLO \r\n",
	    "501 5.5.4 wrong arguments\r\n501 5.5.4 wrong arguments\r\n", "", LMTP),
	ROW("lhlo with what is no name", "LHLO a b\r\nLHLO a\tb\r\nLHLO (x)\r\nLHLO a\0b\r\n",
	    "501 5.5.4 not a host name\r\n501 5.5.4 not a host name\r\n501 5.5.4 not a host "
	    "name\r\n"
	    "501 5.5.4 not a host name\r\n",
	    "", LMTP),
	ROW("lhlo with a literal", "LHLO [IPv6:::1]\r\n", FEATURES, "", LMTP),
	ROW("noop, vrfy, help", "NOOP\r\nNOOP x y\r\nVRFY a\r\nVRFY\r\nHELP\r\n",
	    "250 2.0.0 nothing was done\r\n250 2.0.0 nothing was done\r\n"
	    "252 2.0.0 send mail and see\r\n501 5.5.4 wrong arguments\r\n"
	    "214 2.0.0 LHLO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP\r\n",
	    "", LMTP),
	ROW("help in SMTP", "HELP\r\n",
	    "214 2.0.0 HELO EHLO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP\r\n", "", SMTP),
	ROW("unknown and empty", "SAML x\r\n\r\nDATAX\r\nQU\0IT\r\nQUIT\0\r\n",
	    "500 5.5.1 no such command\r\n500 5.5.1 no such command\r\n500 5.5.1 no such "
	    "command\r\n"
	    "500 5.5.1 no such command\r\n500 5.5.1 no such command\r\n",
	    "", LMTP),
	ROW("arguments where none belong", LHLO "RSET x\r\nQUIT x\r\nDATA x\r\n",
	    FEATURES "501 5.5.4 wrong arguments\r\n501 5.5.4 wrong arguments\r\n"
		     "501 5.5.4 wrong arguments\r\n",
	    "", LMTP),
	ROW("known, but not done", "EXPN x\r\nAUTH PLAIN AGEAYg==\r\nBDAT 5 LAST\r\nSTARTTLS\r\n",
	    "502 5.5.1 not done here\r\n502 5.5.1 not done here\r\n502 5.5.1 not done here\r\n"
	    "502 5.5.1 not done here\r\n",
	    "", SMTP),
	ROW("a browser, before anything", "GET / HTTP/1.1\r\nHost: <secret>\r\n\r\n", "", "close",
	    SMTP),
	ROW("a browser", "POST / HTTP/1.1\r\n" LHLO, "", "close", LMTP),

	/* sequence */
	ROW("mail before lhlo", MAIL, "503 5.5.1 send LHLO first\r\n", "", LMTP),
	ROW("mail before ehlo", MAIL, "503 5.5.1 send HELO or EHLO first\r\n", "", SMTP),
	ROW("rcpt and data before mail", LHLO RCPT "DATA\r\n",
	    FEATURES "503 5.5.1 send MAIL first\r\n503 5.5.1 send MAIL first\r\n", "", LMTP),
	ROW("data before rcpt", LHLO MAIL "DATA\r\n",
	    FEATURES MAIL_OK "503 5.5.1 no recipient was accepted\r\n", "", LMTP),
	ROW("mail twice", LHLO MAIL MAIL,
	    FEATURES MAIL_OK "503 5.5.1 there is a sender already\r\n", "", LMTP),
	ROW("rset", START "RSET\r\nDATA\r\n" MAIL "RSET\r\nRSET\r\n",
	    STARTED RSET_OK "503 5.5.1 send MAIL first\r\n" MAIL_OK RSET_OK RSET_OK,
	    "rcpt(a@x)abort", LMTP),
	ROW("lhlo amid a transaction", START LHLO RCPT,
	    STARTED FEATURES "503 5.5.1 send MAIL first\r\n", "rcpt(a@x)abort", LMTP),
	ROW("quit amid a transaction", START "QUIT\r\n", STARTED BYE, "rcpt(a@x)abortclose", LMTP),
	ROW("quit, no recipient accepted", LHLO MAIL "RCPT TO:<nobody@x>\r\nQUIT\r\n",
	    FEATURES MAIL_OK "550 5.1.1 no such user here\r\n" BYE, "rcpt(nobody@x)close", LMTP),

	/* STARTTLS (RFC 3207): what was said before is forgotten, and it is not offered again */
	ROW("starttls", EHLO "STARTTLS\r\n" MAIL EHLO "STARTTLS\r\nHELP\r\n",
	    FEATURES_TLS "220 2.0.0 begin TLS\r\n503 5.5.1 send HELO or EHLO first\r\n" FEATURES
			 "502 5.5.1 not done here\r\n"
			 "214 2.0.0 HELO EHLO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP\r\n",
	    "tls", SMTP, .tls = true),
	ROW("starttls amid a transaction", LHLO MAIL RCPT "STARTTLS\r\n" LHLO "DATA\r\n",
	    FEATURES_TLS MAIL_OK RCPT_OK "220 2.0.0 begin TLS\r\n" FEATURES
					 "503 5.5.1 send MAIL first\r\n",
	    "rcpt(a@x)tlsabort", LMTP, .tls = true),
	ROW("starttls behind MAIL", EHLO MAIL "STARTTLS\r\n" EHLO RCPT,
	    FEATURES_TLS MAIL_OK "220 2.0.0 begin TLS\r\n" FEATURES "503 5.5.1 send MAIL first\r\n",
	    "tls", SMTP, .tls = true),
	ROW("starttls with an argument", "STARTTLS x\r\nHELP\r\n",
	    "501 5.5.4 wrong arguments\r\n"
	    "214 2.0.0 HELO EHLO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP STARTTLS\r\n",
	    "", SMTP, .tls = true),
	ROW("helo tells no extensions", "HELO me.example\r\n" MAIL RCPT "DATA\r\n.\r\n",
	    "250 mx.example\r\n" MAIL_OK RCPT_OK GO_AHEAD "250 2.0.0 delivered\r\n",
	    "rcpt(a@x)begin(s@y,HELO me.example,0,1)message(1)", SMTP, .tls = true),

	/* recipients */
	ROW("not ours, and full", EHLO MAIL "RCPT TO:<a@elsewhere>\r\nRCPT TO:<quota@x>\r\n",
	    FEATURES MAIL_OK "550 5.7.1 relaying denied\r\n452 4.2.2 recipient not accepted\r\n",
	    "rcpt(a@elsewhere)rcpt(quota@x)", SMTP),
	ROW("a source route", EHLO MAIL "RCPT TO:<@one.example,@two.example:a@x>\r\n",
	    FEATURES MAIL_OK RCPT_OK, "rcpt(a@x)", SMTP),
	ROW("8-bit addresses",
	    EHLO "MAIL FROM:<\xC3\xA9@y>\r\nMAIL FROM:<s@y> SMTPUTF8\r\n" MAIL
		 "RCPT TO:<\xC3\xA9@x>\r\nRCPT TO:<a@\xC3\xA9>\r\n",
	    FEATURES NOT_MAIL "555 5.5.4 unknown parameter\r\n" MAIL_OK NOT_RCPT NOT_RCPT, "",
	    SMTP),
	ROW("refused recipients",
	    LHLO MAIL "RCPT TO:<nobody@x>\r\nRCPT TO:<off@x>\r\nRCPT TO:<full@x>\r\n"
		      "RCPT TO:<later@x>\r\nRCPT TO:<odd@x>\r\nDATA\r\n",
	    FEATURES MAIL_OK
	    "550 5.1.1 no such user here\r\n550 5.2.1 this mailbox is disabled\r\n"
	    "452 4.2.2 this mailbox is full\r\n451 4.3.0 recipient not accepted\r\n"
	    "451 4.3.0 one??250 two\r\n503 5.5.1 no recipient was accepted\r\n",
	    "rcpt(nobody@x)rcpt(off@x)rcpt(full@x)rcpt(later@x)rcpt(odd@x)", LMTP),
	ROW("rcpt forms",
	    LHLO MAIL "RCPT TO: <a@x>\r\nRCPT TO:a@x\r\nRCPT TO:<>\r\nRCPT <a@x>\r\n"
		      "RCPT TO:<a@x> NOTIFY=NEVER\r\nrcpt to:<a@x> \r\n",
	    FEATURES MAIL_OK NOT_RCPT NOT_RCPT NOT_RCPT NOT_RCPT
	    "555 5.5.4 unknown parameter\r\n" RCPT_OK,
	    "rcpt(a@x)", LMTP),

	/* sender and parameters */
	ROW("parameters", LHLO "mail from:<> size=999 body=8bitmime\r\n" RCPT "DATA\r\n.\r\n",
	    FEATURES MAIL_OK RCPT_OK GO_AHEAD DELIVERED,
	    "rcpt(a@x)begin(,me.example,999,8,1)message(1)", LMTP),
	ROW("7 bit", LHLO "MAIL FROM:<s@y> BODY=7BIT\r\n" RCPT "DATA\r\n.\r\n",
	    FEATURES MAIL_OK RCPT_OK GO_AHEAD DELIVERED,
	    "rcpt(a@x)begin(s@y,me.example,0,1)message(1)", LMTP),
	ROW("parameters of a refused MAIL are forgotten",
	    LHLO "MAIL FROM:<s@y> SIZE=5 BODY=8BITMIME X=1\r\n" START "DATA\r\n.\r\n",
	    FEATURES "555 5.5.4 unknown parameter\r\n" STARTED GO_AHEAD DELIVERED,
	    "rcpt(a@x)begin(s@y,me.example,0,1)message(1)", LMTP),
	ROW("wrong parameters",
	    LHLO "MAIL FROM:<s@y> SIZE\r\nMAIL FROM:<s@y> SIZE=+1\r\nMAIL FROM:<s@y> BODY=9BIT\r\n"
		 "MAIL FROM:<s@y> SIZE=1 SIZE=1\r\nMAIL FROM:<s@y> RET=HDRS\r\n"
		 "MAIL FROM:<s@y>  SIZE=1\r\nMAIL FROM:<s@y>SIZE=1\r\n"
		 "MAIL FROM:<s@y> SIZE=99999999999999999999999\r\n",
	    FEATURES "501 5.5.4 SIZE is not a number\r\n501 5.5.4 SIZE is not a number\r\n"
		     "501 5.5.4 BODY is 7BIT or 8BITMIME\r\n501 5.5.4 parameter given twice\r\n"
		     "555 5.5.4 unknown parameter\r\n555 5.5.4 unknown parameter\r\n" NOT_MAIL
		     "501 5.5.4 SIZE is not a number\r\n",
	    "", LMTP),
	ROW("size, one below", LHLO "MAIL FROM:<s@y> SIZE=999\r\n", FEATURES MAIL_OK, "", LMTP),
	ROW("size, at the limit", LHLO "MAIL FROM:<s@y> SIZE=1000\r\n", FEATURES MAIL_OK, "", LMTP),
	ROW("size, one above", LHLO "MAIL FROM:<s@y> SIZE=1001\r\n" RCPT,
	    FEATURES "552 5.3.4 the message is too large\r\n503 5.5.1 send MAIL first\r\n", "",
	    LMTP),

	/* messages */
	ROW("a message", START "DATA\r\nA: b\r\n\r\nx\r\n.\r\nNOOP\r\nQUIT\r\n",
	    STARTED GO_AHEAD DELIVERED "250 2.0.0 nothing was done\r\n" BYE,
	    "rcpt(a@x)begin(s@y,me.example,0,1)A: b\n\nx\nmessage(1)close", LMTP),
	ROW("a message by SMTP", EHLO MAIL RCPT RCPT "DATA\r\nx\r\n.\r\nRSET\r\n",
	    FEATURES MAIL_OK RCPT_OK RCPT_OK GO_AHEAD "250 2.0.0 delivered\r\n" RSET_OK,
	    "rcpt(a@x)rcpt(a@x)begin(s@y,me.example,0,2)x\nmessage(2)", SMTP),
	ROW("refused delivery by SMTP", EHLO MAIL RCPT RCPT "DATA\r\nx\r\n.\r\n",
	    FEATURES MAIL_OK RCPT_OK RCPT_OK GO_AHEAD "451 4.3.0 not delivered\r\n",
	    "rcpt(a@x)rcpt(a@x)begin(s@y,me.example,0,2)x\nmessage(2)", SMTP,
	    .fault = FAULT_DELIVER),
	ROW("one reply a recipient",
	    START "RCPT TO:<nobody@x>\r\n" RCPT RCPT "DATA\r\nx\r\n.\r\n" MAIL,
	    STARTED
	    "550 5.1.1 no such user here\r\n" RCPT_OK RCPT_OK GO_AHEAD
	    "451 4.3.0 not delivered\r\n250 2.1.5 delivered\r\n452 4.3.1 not delivered\r\n" MAIL_OK,
	    "rcpt(a@x)rcpt(nobody@x)rcpt(a@x)rcpt(a@x)begin(s@y,me.example,0,3)x\nmessage(3)", LMTP,
	    .fault = FAULT_DELIVER),
	ROW("two messages", START "DATA\r\n1\r\n.\r\n" MAIL RCPT "DATA\r\n2\r\n.\r\n",
	    STARTED GO_AHEAD DELIVERED MAIL_OK RCPT_OK GO_AHEAD DELIVERED,
	    "rcpt(a@x)begin(s@y,me.example,0,1)1\nmessage(1)"
	    "rcpt(a@x)begin(s@y,me.example,0,1)2\nmessage(1)",
	    LMTP),
	ROW("nothing in it", START "DATA\r\n.\r\n", STARTED GO_AHEAD DELIVERED,
	    "rcpt(a@x)begin(s@y,me.example,0,1)message(1)", LMTP),
	ROW("dots", START "DATA\r\n..\r\n..a\r\n.b\r\na.\r\n...\r\n.\r\n",
	    STARTED GO_AHEAD DELIVERED,
	    "rcpt(a@x)begin(s@y,me.example,0,1).\n.a\nb\na.\n..\nmessage(1)", LMTP),
	ROW("NUL and 8 bit", START "DATA\r\na\0b\xFF\r\n.\r\n", STARTED GO_AHEAD DELIVERED,
	    "rcpt(a@x)begin(s@y,me.example,0,1)a\0b\xFF\nmessage(1)", LMTP),
	ROW("no end yet", START "DATA\r\nx\r\n.", STARTED GO_AHEAD,
	    "rcpt(a@x)begin(s@y,me.example,0,1)", LMTP),
	ROW("begin refused: what follows are commands", START "DATA\r\nNOOP\r\nRSET\r\n",
	    STARTED
	    "451 4.3.2 no message is taken at the moment\r\n250 2.0.0 nothing was done\r\n" RSET_OK,
	    "rcpt(a@x)begin(s@y,me.example,0,1)abort", LMTP, .fault = FAULT_BEGIN),
	ROW("cannot be taken", START RCPT "DATA\r\nx\r\ny\r\n.\r\nNOOP\r\n",
	    STARTED RCPT_OK GO_AHEAD "452 4.3.1 the message could not be taken\r\n"
				     "452 4.3.1 the message could not be taken\r\n"
				     "250 2.0.0 nothing was done\r\n",
	    "rcpt(a@x)rcpt(a@x)begin(s@y,me.example,0,2)abort", LMTP, .fault = FAULT_TAKEN),
	ROW("cannot be taken, SMTP", EHLO MAIL RCPT RCPT "DATA\r\nx\r\n.\r\n",
	    FEATURES MAIL_OK RCPT_OK RCPT_OK GO_AHEAD
	    "452 4.3.1 the message could not be taken\r\n",
	    "rcpt(a@x)rcpt(a@x)begin(s@y,me.example,0,2)abort", SMTP, .fault = FAULT_TAKEN),

	/* what is no end of a message (SMTP smuggling) */
	ROW("LF . LF", START "DATA\r\nx\n.\nMAIL\r\n.\r\n", STARTED GO_AHEAD DELIVERED,
	    "rcpt(a@x)begin(s@y,me.example,0,1)x\n.\nMAIL\nmessage(1)", LMTP),
	ROW("LF . CRLF", START "DATA\r\nx\n.\r\nMAIL\r\n.\r\n", STARTED GO_AHEAD DELIVERED,
	    "rcpt(a@x)begin(s@y,me.example,0,1)x\n.\nMAIL\nmessage(1)", LMTP),
	ROW("CRLF . LF", START "DATA\r\nx\r\n.\nMAIL\r\n.\r\n", STARTED GO_AHEAD DELIVERED,
	    "rcpt(a@x)begin(s@y,me.example,0,1)x\n\nMAIL\nmessage(1)", LMTP),
	ROW("CR . CR", START "DATA\r\nx\r.\rMAIL\r\n.\r\n", STARTED GO_AHEAD DELIVERED,
	    "rcpt(a@x)begin(s@y,me.example,0,1)x\r.\rMAIL\nmessage(1)", LMTP),
	ROW("CR . CRLF", START "DATA\r\nx\r.\r\nMAIL\r\n.\r\n", STARTED GO_AHEAD DELIVERED,
	    "rcpt(a@x)begin(s@y,me.example,0,1)x\r.\nMAIL\nmessage(1)", LMTP),
	ROW("CRLF . CR", START "DATA\r\nx\r\n.\rMAIL\r\n.\r\n", STARTED GO_AHEAD DELIVERED,
	    "rcpt(a@x)begin(s@y,me.example,0,1)x\n\rMAIL\nmessage(1)", LMTP),
	ROW("bare LF refused at the true end", START RCPT "DATA\r\nx\n.\nMAIL\r\n.\r\nNOOP\r\n",
	    STARTED RCPT_OK GO_AHEAD "550 5.6.0 a bare LF is no line end in SMTP\r\n"
				     "550 5.6.0 a bare LF is no line end in SMTP\r\n"
				     "250 2.0.0 nothing was done\r\n",
	    "rcpt(a@x)rcpt(a@x)begin(s@y,me.example,0,2)abort", LMTP, .reject_bare_lf = true),
	ROW("no bare LF, none refused", START "DATA\r\nx\r\ny\rz\r\n.\r\n",
	    STARTED GO_AHEAD DELIVERED, "rcpt(a@x)begin(s@y,me.example,0,1)x\ny\rz\nmessage(1)",
	    LMTP, .reject_bare_lf = true),

	/* octets with CRLF, without stuffing */
	ROW("octets, one below", START "DATA\r\n..56\r\n78\r\n.\r\n",
	    "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 10\r\n250-8BITMIME\r\n250 "
	    "ENHANCEDSTATUSCODES\r\n" MAIL_OK RCPT_OK GO_AHEAD DELIVERED,
	    "rcpt(a@x)begin(s@y,me.example,0,1).56\n78\nmessage(1)", LMTP, .octets_max = 10),
	ROW("octets, at the limit", START "DATA\r\n..567\r\n78\r\n.\r\n",
	    "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 10\r\n250-8BITMIME\r\n250 "
	    "ENHANCEDSTATUSCODES\r\n" MAIL_OK RCPT_OK GO_AHEAD DELIVERED,
	    "rcpt(a@x)begin(s@y,me.example,0,1).567\n78\nmessage(1)", LMTP, .octets_max = 10),
	ROW("octets, one above", START "DATA\r\n..5678\r\n78\r\n.\r\nNOOP\r\n",
	    "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 10\r\n250-8BITMIME\r\n250 "
	    "ENHANCEDSTATUSCODES\r\n" MAIL_OK RCPT_OK GO_AHEAD
	    "552 5.3.4 the message is too large\r\n250 2.0.0 nothing was done\r\n",
	    "rcpt(a@x)begin(s@y,me.example,0,1)abort", LMTP, .octets_max = 10),
	ROW("two reasons, LF last", START "DATA\r\n12345678901\r\nx\n\r\n.\r\n",
	    "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 10\r\n250-8BITMIME\r\n250 "
	    "ENHANCEDSTATUSCODES\r\n" MAIL_OK RCPT_OK GO_AHEAD
	    "550 5.6.0 a bare LF is no line end in SMTP\r\n",
	    "rcpt(a@x)begin(s@y,me.example,0,1)abort", LMTP, .octets_max = 10,
	    .reject_bare_lf = true),
	ROW("two reasons, the owner's and ours", START "DATA\r\n12345678901\r\n.\r\n",
	    "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 10\r\n250-8BITMIME\r\n250 "
	    "ENHANCEDSTATUSCODES\r\n" MAIL_OK RCPT_OK GO_AHEAD
	    "552 5.3.4 the message is too large\r\n",
	    "rcpt(a@x)begin(s@y,me.example,0,1)abort", LMTP, .octets_max = 10,
	    .fault = FAULT_TAKEN),
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_row_in_all_ways(&rows[i]);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
};
TEST_MAIN(tests)
