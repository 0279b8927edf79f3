/*
 * Tests of the wire encoding against models that look at the whole text at once: every short text
 * over the octets that matter, long ones at random, each whole, octet by octet and cut at every
 * point, with input and room both ending at a page that cannot be touched.
 */
#include "base/wire.h"

#include <sys/mman.h>

#include "base/random.h"
#include "base/test.h"

#define ROOM_OCTETS ((size_t)64 * 1024)

/* ---- memory that ends at a forbidden page ---- */

static char *input_end, *output_end;

static char *map_guarded(void)
{
	char *start = mmap(NULL, ROOM_OCTETS + 4096, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(start, MAP_FAILED);
	assert_int_equal(mprotect(start + ROOM_OCTETS, 4096, PROT_NONE), 0);
	return start + ROOM_OCTETS;
}

static int map_both(void **state)
{
	(void)state;
	input_end = map_guarded();
	output_end = map_guarded();
	return 0;
}

static struct bytes at_guard(struct bytes text)
{
	char *start = input_end - text.length;

	if (text.length > 0)
		memcpy(start, text.data, text.length);
	return (struct bytes){start, text.length};
}

/* ---- models ---- */

static bool lf_at(struct bytes text, size_t i)
{
	return i < text.length && text.data[i] == '\n';
}

static bool crlf_at(struct bytes text, size_t i)
{
	return i < text.length && text.data[i] == '\r' && lf_at(text, i + 1);
}

static void model_encode(struct bytes text, bool stuff, struct buffer *out)
{
	for (size_t i = 0; i < text.length; i++) {
		if (stuff && text.data[i] == '.' && (i == 0 || text.data[i - 1] == '\n'))
			buffer_append(out, BYTES("."));
		if (text.data[i] == '\n')
			buffer_append(out, BYTES("\r"));
		buffer_append(out, (struct bytes){text.data + i, 1});
	}
}

struct decoded {
	struct buffer text, held;
	size_t taken;
	bool end, bare_lf, bare_cr;
};

static size_t find_line_end(struct bytes text, size_t from, bool any_lf)
{
	while (from < text.length && !crlf_at(text, from) && !(any_lf && lf_at(text, from)))
		from++;
	return from;
}

static bool model_dot(struct bytes text, size_t *at, bool any_lf, struct decoded *out)
{
	struct bytes rest = bytes_skip(text, *at);

	if (!bytes_start_with(rest, BYTES(".")))
		return false;
	if (bytes_start_with(rest, BYTES(".\r\n")) ||
	    (any_lf && bytes_start_with(rest, BYTES(".\n")))) {
		out->end = true;
		out->taken = *at + (rest.data[1] == '\n' ? 2 : 3);
		return true;
	}
	if (bytes_equal(rest, BYTES(".")) || bytes_equal(rest, BYTES(".\r"))) {
		buffer_append(&out->held, rest);
		return true;
	}
	(*at)++;
	return false;
}

static void model_flags(struct bytes text, struct decoded *out)
{
	for (size_t i = 0; i < out->taken; i++) {
		if (text.data[i] == '\n' && !(i > 0 && crlf_at(text, i - 1)))
			out->bare_lf = true;
		if (text.data[i] == '\r' && !crlf_at(text, i) && i + 1 < out->taken)
			out->bare_cr = true;
	}
}

static void model_decode(struct bytes text, bool any_lf, bool dots, struct decoded *out)
{
	size_t at = 0;

	out->taken = text.length;
	while (at < text.length && !(dots && model_dot(text, &at, any_lf, out))) {
		size_t end = find_line_end(text, at, any_lf);
		struct bytes line = bytes_first(bytes_skip(text, at), end - at);

		if (end == text.length) {
			if (line.length > 0 && line.data[line.length - 1] == '\r') {
				buffer_append(&out->held, BYTES("\r"));
				line.length--;
			}
			buffer_append(&out->text, line);
			break;
		}
		buffer_append(&out->text, line);
		buffer_append(&out->text, BYTES("\n"));
		at = end + (text.data[end] == '\r' ? 2 : 1);
	}
	model_flags(text, out);
}

/* ---- pieces through the real code ---- */

static void encode_piece(struct wire_encoder *encoder, struct bytes in, struct buffer *out)
{
	char *room = output_end - wire_encoded_max(in.length);
	size_t length = wire_encode(encoder, at_guard(in), room);

	test_check(length <= 2 * in.length);
	buffer_append(out, (struct bytes){room, length});
}

static void decode_piece(struct wire_decoder *decoder, struct bytes in, struct decoded *out)
{
	char *room = output_end - in.length - 2;
	size_t length;

	out->taken += wire_decode(decoder, at_guard(in), room, &length);
	test_check(length <= in.length + 2);
	buffer_append(&out->text, (struct bytes){room, length});
}

/* step 0 cuts once, at `cut`; else a piece every `step` octets. */
static size_t next_piece(size_t at, size_t length, size_t step, size_t cut)
{
	size_t piece = step > 0 ? step : at < cut ? cut - at : length - at;

	return piece < length - at ? piece : length - at;
}

static void check_encode(struct bytes text, bool stuff, size_t step, size_t cut)
{
	struct buffer expected, actual;
	struct wire_encoder encoder;
	char end[2];

	buffer_init(&expected, ROOM_OCTETS);
	buffer_init(&actual, ROOM_OCTETS);
	wire_encoder_init(&encoder, stuff);
	for (size_t at = 0; at < text.length;) {
		size_t piece = next_piece(at, text.length, step, cut);

		encode_piece(&encoder, bytes_first(bytes_skip(text, at), piece), &actual);
		at += piece;
	}
	model_encode(text, stuff, &expected);
	test_equal_bytes(buffer_bytes(&actual), buffer_bytes(&expected));
	test_check(wire_encode_end(&encoder, end) ==
		   (text.length > 0 && !lf_at(text, text.length - 1) ? 2 : 0));
	buffer_free(&expected);
	buffer_free(&actual);
}

static void check_size(struct bytes text, size_t step, size_t cut)
{
	struct buffer expected;
	struct wire_size size = {0};

	buffer_init(&expected, ROOM_OCTETS);
	model_encode(text, false, &expected);
	if (text.length > 0 && !lf_at(text, text.length - 1))
		buffer_append(&expected, BYTES("\r\n"));
	for (size_t at = 0; at < text.length;) {
		size_t piece = next_piece(at, text.length, step, cut);

		wire_size_add(&size, at_guard(bytes_first(bytes_skip(text, at), piece)));
		at += piece;
	}
	test_check(wire_size_octets(&size) == expected.length);
	buffer_free(&expected);
}

static void decoded_init(struct decoded *decoded)
{
	*decoded = (struct decoded){0};
	buffer_init(&decoded->text, ROOM_OCTETS);
	buffer_init(&decoded->held, 8);
}

static void decoded_free(struct decoded *decoded)
{
	buffer_free(&decoded->text);
	buffer_free(&decoded->held);
}

static void compare_decoded(struct wire_decoder *decoder, struct decoded *actual,
			    const struct decoded *expected)
{
	char held[2];

	test_equal_bytes(buffer_bytes(&actual->text), buffer_bytes(&expected->text));
	test_check(actual->taken == expected->taken);
	test_check(wire_decoder_at_end(decoder) == expected->end);
	test_check(decoder->bare_lf == expected->bare_lf);
	test_check(decoder->bare_cr == expected->bare_cr);
	test_equal_bytes(((struct bytes){held, wire_decode_end(decoder, held)}),
			 buffer_bytes(&expected->held));
}

static void check_decode(struct bytes text, const struct decoded *expected, bool any_lf, bool dots,
			 size_t step, size_t cut)
{
	struct wire_decoder decoder;
	struct decoded actual;

	decoded_init(&actual);
	wire_decoder_init(&decoder, any_lf ? WIRE_ANY_LF : WIRE_CRLF_ONLY, dots);
	for (size_t at = 0; at < text.length;) {
		size_t piece = next_piece(at, text.length, step, cut);

		decode_piece(&decoder, bytes_first(bytes_skip(text, at), piece), &actual);
		at += piece;
	}
	compare_decoded(&decoder, &actual, expected);
	decoded_free(&actual);
}

static void check_every_decode(struct bytes text, size_t cuts)
{
	for (unsigned mode = 0; mode < 4; mode++) {
		struct decoded expected;

		decoded_init(&expected);
		model_decode(text, mode & 1, mode & 2, &expected);
		check_decode(text, &expected, mode & 1, mode & 2, 1, 0);
		for (size_t cut = 0; cut < text.length && cut < cuts; cut++)
			check_decode(text, &expected, mode & 1, mode & 2, 0, cut);
		decoded_free(&expected);
	}
}

static void check_every_encode(struct bytes text, size_t cuts)
{
	for (unsigned stuff = 0; stuff < 2; stuff++) {
		check_encode(text, stuff, 1, 0);
		for (size_t cut = 0; cut < text.length && cut < cuts; cut++)
			check_encode(text, stuff, 0, cut);
	}
	check_size(text, 1, 0);
	for (size_t cut = 0; cut < text.length && cut < cuts; cut++)
		check_size(text, 0, cut);
}

/* ---- texts ---- */

static const char symbols[] = {'\r', '\n', '.', '\0', 'x'};
#define SYMBOLS (sizeof(symbols))

/* The text numbered `number` among those of a length; false when there are no more. */
static bool short_text(unsigned number, size_t length, char *out)
{
	for (size_t i = 0; i < length; i++) {
		out[i] = symbols[number % SYMBOLS];
		number /= SYMBOLS;
	}
	return number == 0;
}

static void test_every_short_text(void **state)
{
	char text[7];

	(void)state;
	test_row("every text up to seven octets");
	for (size_t length = 0; length <= sizeof(text); length++) {
		for (unsigned number = 0; short_text(number, length, text); number++) {
			check_every_decode((struct bytes){text, length}, length + 1);
			check_every_encode((struct bytes){text, length}, length + 1);
		}
	}
}

/* A short text moved through every place of the blocks of the fast path, with ordinary octets
 * behind it or with the forbidden page. */
static void check_in_blocks(size_t before, size_t after)
{
	char text[28 + 9 + 4 + 70];
	size_t length = before + 4 + after;

	for (unsigned number = 0;; number++) {
		memset(text, 'x', sizeof(text));
		if (!short_text(number, 4, text + before))
			break;
		check_every_decode((struct bytes){text, length}, 1);
		check_every_encode((struct bytes){text, length}, 1);
	}
}

static void test_short_text_in_blocks(void **state)
{
	(void)state;
	test_row("every text of four octets within blocks");
	for (size_t before = 28; before < 28 + 9; before++) {
		check_in_blocks(before, 0);
		check_in_blocks(before, 70);
	}
}

/* Long enough for the counters within the vectors to overflow, were they not emptied. */
static void test_size_of_empty_lines(void **state)
{
	static const size_t lengths[] = {8159, 8160, 8161, 16320, 16321, 60000};
	static char text[60000];

	(void)state;
	memset(text, '\n', sizeof(text));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct wire_size size = {0};

		wire_size_add(&size, at_guard((struct bytes){text, lengths[i]}));
		assert_int_equal(wire_size_octets(&size), 2 * lengths[i]);
	}
}

static size_t random_below(size_t limit)
{
	uint32_t word;

	random_octets(&word, sizeof(word));
	return word % limit;
}

/* `rare` says how seldom a symbol stands among ordinary octets. */
static void random_text(char *out, size_t length, size_t rare)
{
	for (size_t i = 0; i < length; i++)
		out[i] = random_below(rare) == 0 ? symbols[random_below(SYMBOLS)] : 'a';
	for (size_t i = 1; i < length; i++) {
		if (out[i] == '\n' && random_below(4) > 0)
			out[i - 1] = '\r';
	}
}

static void test_random_texts(void **state)
{
	static const size_t rarities[] = {1, 3, 10, 40, 200};
	char text[700];

	(void)state;
	test_row("random texts");
	random_set_for_tests(1939);
	for (unsigned round = 0; round < 400; round++) {
		size_t length = random_below(sizeof(text));

		random_text(text, length, rarities[round % 5]);
		check_every_decode((struct bytes){text, length}, 80);
		check_every_encode((struct bytes){text, length}, 80);
	}
	random_set_for_tests(0);
}

static void test_plain_twin(void **state)
{
	wire_set_plain(true);
	test_short_text_in_blocks(state);
	test_random_texts(state);
	wire_set_plain(false);
}

/* What the model could share a mistake with: the sentences of the RFCs, by hand. */
static const struct row {
	const char *name;
	struct bytes in;
	enum wire_line_end line_end;
	bool dots;
	struct bytes out;
	size_t taken;
	bool end, bare_lf, bare_cr;
} rows[] = {
	{"only the end", BYTES(".\r\n"), 0, true, BYTES(""), 3, true, false, false},
	{"a line", BYTES("a\r\n.\r\nQUIT\r\n"), 0, true, BYTES("a\n"), 6, true, false, false},
	{"stuffed", BYTES("..\r\n..a\r\n.\r\n"), 0, true, BYTES(".\n.a\n"), 12, true, false, false},
	{"dot and text", BYTES(".a\r\n"), 0, true, BYTES("a\n"), 4, false, false, false},
	{"lf dot lf", BYTES("a\n.\nb\r\n"), 0, true, BYTES("a\n.\nb\n"), 7, false, true, false},
	{"lf dot crlf", BYTES("a\n.\r\nb\r\n"), 0, true, BYTES("a\n.\nb\n"), 8, false, true, false},
	{"crlf dot lf", BYTES("a\r\n.\nb"), 0, true, BYTES("a\n\nb"), 6, false, true, false},
	{"lf dot dot", BYTES("a\n..b"), 0, true, BYTES("a\n..b"), 5, false, true, false},
	{"crlf dot cr cr lf", BYTES(".\r\r\n"), 0, true, BYTES("\r\n"), 4, false, false, true},
	{"cr dot cr", BYTES("\r.\rx"), 0, true, BYTES("\r.\rx"), 4, false, false, true},
	{"any: lf dot lf", BYTES("a\n.\nb"), WIRE_ANY_LF, true, BYTES("a\n"), 4, true, true, false},
	{"any: mixed", BYTES("a\n.\r\nb"), WIRE_ANY_LF, true, BYTES("a\n"), 5, true, true, false},
	{"any: stuffed", BYTES("a\n..b\n"), WIRE_ANY_LF, true, BYTES("a\n.b\n"), 6, false, true,
	 false},
	{"no dots", BYTES(".\r\n..\r\n"), 0, false, BYTES(".\n..\n"), 7, false, false, false},
	{"two cr", BYTES("a\r\r\nb"), 0, false, BYTES("a\r\nb"), 5, false, false, true},
	{"nul", BYTES("a\0b\r\n"), 0, true, BYTES("a\0b\n"), 5, false, false, false},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct wire_decoder decoder;
		size_t length;
		char out[64];

		test_row(row->name);
		wire_decoder_init(&decoder, row->line_end, row->dots);
		test_check(wire_decode(&decoder, row->in, out, &length) == row->taken);
		test_equal_bytes(((struct bytes){out, length}), row->out);
		test_check(wire_decoder_at_end(&decoder) == row->end);
		test_check(decoder.bare_lf == row->bare_lf);
		test_check(decoder.bare_cr == row->bare_cr);
		if (row->end)
			test_check(wire_decode(&decoder, BYTES("more"), out, &length) == 0 &&
				   length == 0);
	}
}

/* encode(decode(x)) == x where CRLF ends every line, the promise of wire.h. */
static void test_round_trip(void **state)
{
	char text[700], stored[702], wire[1500];

	(void)state;
	test_row("round trip");
	random_set_for_tests(5321);
	for (unsigned round = 0; round < 2000; round++) {
		size_t length = 2 + random_below(sizeof(text) - 2);
		struct wire_decoder decoder;
		struct wire_encoder encoder;
		size_t stored_length;

		random_text(text, length, 1 + round % 20);
		for (size_t i = 0; i < length; i++) {
			if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r'))
				text[i] = '.';
		}
		memcpy(text + length - 2, "\r\n", 2);
		wire_decoder_init(&decoder, WIRE_CRLF_ONLY, false);
		wire_encoder_init(&encoder, false);
		wire_decode(&decoder, (struct bytes){text, length}, stored, &stored_length);
		test_equal_bytes(
			((struct bytes){wire,
					wire_encode(&encoder, (struct bytes){stored, stored_length},
						    wire)}),
			((struct bytes){text, length}));
	}
	random_set_for_tests(0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
	cmocka_unit_test(test_every_short_text),
	cmocka_unit_test(test_short_text_in_blocks),
	cmocka_unit_test(test_size_of_empty_lines),
	cmocka_unit_test(test_random_texts),
	cmocka_unit_test(test_plain_twin),
	cmocka_unit_test(test_round_trip),
};

TEST_MAIN_WITH(tests, map_both, NULL)
