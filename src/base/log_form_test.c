/*
 * Tests of the forms of a log line: fields cannot be left, every form is well-formed, also when
 * cut.
 */
#include "base/log_form.h"

#include <stdlib.h>

#include "base/test.h"

static struct log_record record;

__attribute__((format(printf, 1, 2))) static void fill(const char *format, ...)
{
	va_list arguments;

	record.process = "worker";
	record.event = "login";
	record.level = LOG_LEVEL_INFO;
	record.pid = 4711;
	record.unix_ms = 1795312860007;
	va_start(arguments, format);
	log_record_fields(&record, format, arguments);
	va_end(arguments);
}

#define HEAD "2026-11-22T02:01:00.007Z worker[4711] info login:"
#define JSON_HEAD                                                                                  \
	"{\"time\":\"2026-11-22T02:01:00.007Z\",\"process\":\"worker\",\"pid\":4711,"              \
	"\"level\":\"info\",\"event\":\"login\""

/* `word` is printed by the format's %s, log_field() before when `quoted`. */
static const struct {
	const char *name, *format, *word;
	bool quoted;
	const char *text, *json;
} rows[] = {
	{"nothing", "", "", false, "", ""},
	{"a word", "user=%s", "alice", false, " user=alice", ",\"user\":\"alice\""},
	{"two", "peer=%s tls=no", "::1", false, " peer=::1 tls=no",
	 ",\"peer\":\"::1\",\"tls\":\"no\""},
	{"empty", "user=%s x=y", "", false, " user=\"\" x=y", ",\"user\":\"\",\"x\":\"y\""},
	{"quoted by log_field", "user=%s x=y", "a b", true, " user=\"a b\" x=y",
	 ",\"user\":\"a b\",\"x\":\"y\""},
	{"quoted by the format", "error=\"%s\" x=y", "a b", false, " error=\"a b\" x=y",
	 ",\"error\":\"a b\",\"x\":\"y\""},
	{"a field within a word", "user=%s x=y", "a user=root", false, " user=\"a user=root\" x=y",
	 ",\"user\":\"a user=root\",\"x\":\"y\""},
	{"quotes within a text", "error=\"%s\" x=y", "a\" user=\"root", false,
	 " error=\"a\\x22 user=\\x22root\" x=y",
	 ",\"error\":\"a\\\\x22 user=\\\\x22root\",\"x\":\"y\""},
	{"quotes by log_field", "user=%s x=y", "a\" x=\"z", true, " user=\"a\\x22 x=\\x22z\" x=y",
	 ",\"user\":\"a\\\\x22 x=\\\\x22z\",\"x\":\"y\""},
	{"lines", "user=%s", "a\r\nb\t\x7f\xc3\xa4", false,
	 " user=\"a\\x0d\\x0ab\\x09\\x7f\\xc3\\xa4\"",
	 ",\"user\":\"a\\\\x0d\\\\x0ab\\\\x09\\\\x7f\\\\xc3\\\\xa4\""},
	{"a separator of ours", "user=%s x=y",
	 "a\x1f"
	 "b\x1f",
	 false, " text=\"a\\x1fb\\x1f\\x1fy\\x1f\"",
	 ",\"text\":\"a\\\\x1fb\\\\x1f\\\\x1fy\\\\x1f\""},
	{"no key", "%s", "hello", false, " text=hello", ",\"text\":\"hello\""},
	{"a backslash", "user=%s", "a\\", false, " user=a\\", ",\"user\":\"a\\\\\""},
	{"quote alone", "user=%s x=y", "\"", false, " user=\"\" x=y", ",\"user\":\"\",\"x\":\"y\""},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[LOG_LINE_MAX], json[LOG_JSON_MAX], room[LOG_FIELD_OCTETS];
		char expected[LOG_JSON_MAX];
		size_t length;

		test_row(rows[i].name);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
		fill(rows[i].format,
		     rows[i].quoted ? log_field(bytes_of(rows[i].word), room) : rows[i].word);
#pragma GCC diagnostic pop
		length = log_write_text(&record, text);
		snprintf(expected, sizeof(expected), HEAD "%s\n", rows[i].text);
		test_check(length == strlen(expected) && memcmp(text, expected, length) == 0);
		length = log_write_json(&record, json);
		snprintf(expected, sizeof(expected), JSON_HEAD "%s}\n", rows[i].json);
		test_check(length == strlen(expected) && memcmp(json, expected, length) == 0);
	}
}

static void test_numbers(void **state)
{
	char json[LOG_JSON_MAX];
	size_t length;
	static const char expected[] =
		JSON_HEAD ",\"octets\":12,\"left\":-3,\"all\":18446744073709551615,"
			  "\"session\":\"7.2a\",\"mode\":\"0x1f\"}\n";

	(void)state;
	fill("octets=%u left=%ld all=%llu session=%x.%llx mode=0x%x", 12U, -3L, ~0ULL, 7U, 42ULL,
	     31U);
	length = log_write_json(&record, json);
	test_check(length == strlen(expected) && memcmp(json, expected, length) == 0);
}

static void test_datagrams(void **state)
{
	static const char journal[] =
		"MESSAGE=info login: user=\"a b\" octets=12\nPRIORITY=6\nSYSLOG_FACILITY=2\n"
		"SYSLOG_IDENTIFIER=postern\nSYSLOG_PID=4711\nPOSTERN_PROCESS=worker\n"
		"POSTERN_EVENT=login\nPOSTERN_USER=a b\nPOSTERN_OCTETS=12\n";
	static const char syslog[] =
		"<22>Nov 22 02:01:00 postern-worker[4711]: info login: user=\"a b\" octets=12";
	static const char json[] = "<22>Nov 22 02:01:00 postern-worker[4711]: " JSON_HEAD
				   ",\"user\":\"a b\",\"octets\":12}";
	char datagram[LOG_DATAGRAM_MAX], room[LOG_FIELD_OCTETS];
	size_t length;

	(void)state;
	fill("user=%s octets=%d", log_field(BYTES("a b"), room), 12);
	length = log_write_journal(&record, LOG_AS_TEXT, datagram);
	test_check(length == strlen(journal) && memcmp(datagram, journal, length) == 0);
	length = log_write_syslog(&record, LOG_AS_TEXT, datagram);
	test_check(length == strlen(syslog) && memcmp(datagram, syslog, length) == 0);
	length = log_write_syslog(&record, LOG_AS_JSON, datagram);
	test_check(length == strlen(json) && memcmp(datagram, json, length) == 0);
}

/* Quotes are even, and the last octets are those of an end. */
static void check_end(const char *line, size_t length, size_t max, const char *end, bool cut)
{
	size_t quotes = 0, end_length = strlen(end);

	for (size_t i = 0; i < length; i++)
		quotes += line[i] == '"' && (i == 0 || line[i - 1] != '\\');
	test_check(length <= max && quotes % 2 == 0);
	test_check(memcmp(line + length - end_length, end, end_length) == 0);
	test_check((memmem(line, length, "...", 3) != NULL) == cut);
}

static void test_cut(void **state)
{
	static char word[2 * LOG_VALUES_OCTETS];
	char line[LOG_DATAGRAM_MAX];
	static const struct {
		const char *name;
		char octet;
		size_t from;
	} cuts[] = {
		{"plain", 'x', 940},
		{"escaped, text", '\n', 200},
		{"escaped, JSON", '\n', 760},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		test_row(cuts[i].name);
		for (size_t length = cuts[i].from; length < cuts[i].from + 90; length++) {
			size_t text, json;
			size_t each = cuts[i].octet == 'x' ? 1 : 4,
			       head = sizeof(HEAD " error=\"") - 1;
			size_t json_head = sizeof(JSON_HEAD ",\"error\":\"") - 1;
			bool lost = length + 2 > LOG_VALUES_OCTETS - 1; /* two separators */

			memset(word, cuts[i].octet, length);
			word[length] = '\0';
			fill("error=\"%s\" x=", word);
			text = log_write_text(&record, line);
			check_end(line, text, LOG_LINE_MAX, "\"\n",
				  lost || head + length * each > LOG_LINE_MAX - 8);
			json = log_write_json(&record, line);
			check_end(line, json, LOG_JSON_MAX, "\"}\n",
				  lost || json_head + length * (each == 1 ? 1 : 5) >
						  LOG_JSON_MAX - 8);
			(void)log_write_journal(&record, LOG_AS_JSON, line);
		}
	}
}

static int use_utc(void **state)
{
	(void)state;
	return setenv("TZ", "UTC0", 1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
	cmocka_unit_test(test_numbers),
	cmocka_unit_test(test_datagrams),
	cmocka_unit_test(test_cut),
};

TEST_MAIN_WITH(tests, use_utc, NULL)
