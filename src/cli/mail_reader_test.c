/*
 * Mail files of every shape, read split at every point, and lines longer than any buffer.
 */
#include <sys/socket.h>

#include "base/test.h"
#include "cli/mail_reader.h"

#define F1 "From a@b Sun Nov 22 02:01:00 2026\n"
#define F2 "From c@d Sun Nov 22 02:01:05 2026\n"

struct row {
	const char *label;
	enum mail_shape shape;
	struct bytes file;
	const char *messages; /* each behind "[sender]", joined; NULL: refused */
};

static const struct row rows[] = {
	{"one message", MAIL_DETECT, BYTES("A: b\n\nc\n"), "[]A: b\n\nc\n"},
	{"CRLF", MAIL_DETECT, BYTES("A: b\r\n\r\nc\r\n"), "[]A: b\n\nc\n"},
	{"bare CR stays", MAIL_MESSAGE, BYTES("a\rb\r\r\nc\r"), "[]a\rb\r\nc\r"},
	{"a dot is a dot", MAIL_DETECT, BYTES("a\n.\n..b\n"), "[]a\n.\n..b\n"},
	{"no last LF", MAIL_DETECT, BYTES("a\nb"), "[]a\nb"},
	{"empty", MAIL_DETECT, BYTES(""), ""},
	{"empty mbox", MAIL_MBOXRD, BYTES(""), ""},
	{"blank lines at the end", MAIL_DETECT, BYTES("a\n\n\n"), "[]a\n\n\n"},
	{"envelope of one", MAIL_MESSAGE, BYTES(F1 "a\n\n" F2 "b\n\n"), "[a@b]a\n\n" F2 "b\n\n"},
	{"one message keeps quoting", MAIL_MESSAGE, BYTES(F1 ">From x\n"), "[a@b]>From x\n"},
	{"one line", MAIL_MESSAGE, BYTES("From a@b"), "[a@b]"},
	{"two", MAIL_DETECT, BYTES(F1 "a\n\n" F2 "b\n\n"), "[a@b]a\n[c@d]b\n"},
	{"two, CRLF", MAIL_DETECT, BYTES("From a@b x\r\na\r\n\r\nFrom c@d y\r\nb\r\n\r\n"),
	 "[a@b]a\n[c@d]b\n"},
	{"last blank line missing", MAIL_DETECT, BYTES(F1 "a\n\n" F2 "b\n"), "[a@b]a\n[c@d]b\n"},
	{"last LF missing", MAIL_DETECT, BYTES(F1 "a\n\n" F2 "b"), "[a@b]a\n[c@d]b"},
	{"blank lines inside", MAIL_DETECT, BYTES(F1 "a\n\n\nb\n\n\n" F2 "c\n\n\n"),
	 "[a@b]a\n\n\nb\n\n[c@d]c\n\n"},
	{"empty messages", MAIL_DETECT, BYTES(F1 F2 F1), "[a@b][c@d][a@b]"},
	{"undated behind a blank", MAIL_DETECT, BYTES(F1 "a\n\nFrom x\nb\n"), "[a@b]a\n[]b\n"},
	{"undated inside", MAIL_DETECT, BYTES(F1 "a\nFrom x\nb\n"), "[a@b]a\nFrom x\nb\n"},
	{"dated without a blank", MAIL_DETECT, BYTES(F1 "a\n" F2 "b\n"), "[a@b]a\n[c@d]b\n"},
	{"mboxrd", MAIL_MBOXRD, BYTES(F1 ">From a\n>>From b\n>>>From c\n> From\n>Fro\n>>x\n"),
	 "[a@b]From a\n>From b\n>>From c\n> From\n>Fro\n>>x\n"},
	{"mboxo", MAIL_MBOXO, BYTES(F1 ">From a\n>>From b\n\n>From c\n"),
	 "[a@b]From a\n>>From b\n\nFrom c\n"},
	{"unquoted", MAIL_UNQUOTED, BYTES(F1 ">From a\n\nFrom x\n" F2 "\n" F2 "b\n"),
	 "[a@b]>From a\n\nFrom x\n" F2 "[c@d]b\n"},
	{"no mbox", MAIL_MBOXRD, BYTES("A: b\n\n" F1), NULL},
	{"no mbox, blank first", MAIL_MBOXO, BYTES("\n" F1), NULL},
};

/* A socket whose reads end where the packets did: `split` octets, then the rest; 0: one by one. */
static int source(struct bytes file, size_t split)
{
	int ends[2];
	size_t step = split ? split : 1;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	while (file.length > 0) {
		struct bytes part = bytes_first(file, step);

		assert_int_equal(send(ends[1], part.data, part.length, 0), part.length);
		file = bytes_skip(file, part.length);
		step = split ? file.length : 1;
	}
	close(ends[1]);
	return ends[0];
}

static enum error_code read_all(struct mail_reader *reader, struct buffer *out)
{
	struct mail_envelope envelope;
	struct bytes piece;
	enum error_code code;
	bool found;

	while ((code = mail_reader_next(reader, &found, &envelope, NULL)) == ERROR_NONE && found) {
		test_check(buffer_print(out, "[%s]", envelope.sender));
		do {
			test_check(mail_reader_piece(reader, &piece, NULL) == ERROR_NONE);
			test_check(buffer_append(out, piece));
		} while (piece.length > 0);
	}
	return code;
}

static void run_row(const struct row *row, size_t split)
{
	struct mail_reader reader;
	struct buffer out;
	int descriptor = source(row->file, split);
	enum error_code code;

	test_row(row->label);
	buffer_init(&out, 1 << 20);
	test_check(mail_reader_init(&reader, descriptor, row->shape));
	code = read_all(&reader, &out);
	test_check(code == (row->messages ? ERROR_NONE : ERROR_DATA));
	if (row->messages)
		test_equal_bytes(buffer_bytes(&out), bytes_of(row->messages));
	mail_reader_free(&reader);
	buffer_free(&out);
	close(descriptor);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t split = 0; split <= rows[i].file.length + 1; split++)
			run_row(&rows[i], split);
	}
}

/* Lines and messages much longer than any buffer, written to a file; what comes out is as long. */
static void test_long(void **state)
{
	static const size_t lengths[] = {1023, 1024, 1025, 32767, 32768, 131072, 131073, 1000000};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		FILE *file = tmpfile();
		struct mail_reader reader;
		struct buffer out;

		test_row("long lines");
		test_check(file != NULL);
		buffer_init(&out, 1 << 23);
		for (int message = 0; message < 2; message++) {
			fprintf(file, F1);
			for (size_t octet = 0; octet < lengths[i]; octet++)
				fputc(octet == 500 ? '\0' : 'x', file);
			fprintf(file, "\nFromage\n\n");
		}
		test_check(fflush(file) == 0 && lseek(fileno(file), 0, SEEK_SET) == 0);
		test_check(mail_reader_init(&reader, fileno(file), MAIL_DETECT));
		test_check(read_all(&reader, &out) == ERROR_NONE);
		test_check(out.length == 2 * (lengths[i] + sizeof("[a@b]\nFromage\n") - 1));
		mail_reader_free(&reader);
		buffer_free(&out);
		fclose(file);
	}
}

/* A From line longer than any buffer is still one line. */
static void test_long_from_line(void **state)
{
	FILE *file = tmpfile();
	struct mail_reader reader;
	struct buffer out;

	(void)state;
	test_row("long From line");
	test_check(file != NULL);
	buffer_init(&out, 1000);
	fprintf(file, "From a@b Sun Nov 22 02:01:00 2026 %0200000d\nbody\n", 0);
	test_check(fflush(file) == 0 && lseek(fileno(file), 0, SEEK_SET) == 0);
	test_check(mail_reader_init(&reader, fileno(file), MAIL_DETECT));
	test_check(read_all(&reader, &out) == ERROR_NONE);
	test_equal_bytes(buffer_bytes(&out), BYTES("[a@b]body\n"));
	mail_reader_free(&reader);
	buffer_free(&out);
	fclose(file);
}

static void test_unreadable(void **state)
{
	struct mail_envelope envelope;
	struct mail_reader reader;
	struct error error = {.code = ERROR_NONE};
	bool found = true;

	(void)state;
	test_row("not open");
	test_check(mail_reader_init(&reader, -1, MAIL_DETECT));
	test_check(mail_reader_next(&reader, &found, &envelope, &error) == ERROR_NO_INPUT);
	test_check(!found && error.text[0]);
	mail_reader_free(&reader);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
	cmocka_unit_test(test_long),
	cmocka_unit_test(test_long_from_line),
	cmocka_unit_test(test_unreadable),
};

TEST_MAIN(tests)
