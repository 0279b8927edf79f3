/*
 * mbox_quote_test: every string of up to 7 symbols, whole, octet by octet and split everywhere,
 * against quoting and unquoting by lines.
 */
#include "base/test.h"
#include "store/mbox_quote.h"

#define ROOM 256

static const char *const symbols[] = {">", "From ", "Fro", "F", "\n", "x"};
#define SYMBOLS (sizeof symbols / sizeof symbols[0])

/* Is this a line that begins with ">*From "? */
static bool is_from_line(const char *line, size_t length)
{
	size_t at = 0;
	while (at < length && line[at] == '>')
		at++;
	return length - at >= 5 && memcmp(line + at, "From ", 5) == 0;
}

static size_t quote_by_lines(struct bytes in, char *out, uint64_t *count_out)
{
	size_t written = 0;
	*count_out = 0;
	while (in.length > 0) {
		const char *end = memchr(in.data, '\n', in.length);
		size_t length = end != NULL ? (size_t)(end - in.data) + 1 : in.length;
		if (is_from_line(in.data, length)) {
			out[written++] = '>';
			++*count_out;
		}
		memcpy(out + written, in.data, length);
		written += length;
		in = bytes_skip(in, length);
	}
	return written;
}

static size_t in_two(struct bytes in, size_t split, bool quote, char *out)
{
	struct mbox_quote state;
	size_t written = 0;
	mbox_quote_init(&state);
	struct bytes parts[] = {bytes_first(in, split), bytes_skip(in, split)};
	for (unsigned i = 0; i < 2; i++)
		written += quote ? mbox_quote_add(&state, parts[i], out + written)
				 : mbox_quote_remove(&state, parts[i], out + written);
	return written + mbox_quote_end(&state, out + written);
}

static size_t octet_by_octet(struct bytes in, bool quote, char *out)
{
	struct mbox_quote state;
	size_t written = 0;
	mbox_quote_init(&state);
	for (size_t i = 0; i < in.length; i++) {
		struct bytes one = {in.data + i, 1};
		written += quote ? mbox_quote_add(&state, one, out + written)
				 : mbox_quote_remove(&state, one, out + written);
	}
	return written + mbox_quote_end(&state, out + written);
}

static void check_string(struct bytes text)
{
	char expected[ROOM], got[ROOM], back[ROOM + 8];
	uint64_t count;
	struct mbox_quote state;
	struct bytes quoted = {expected, quote_by_lines(text, expected, &count)};
	mbox_quote_init(&state);
	test_check(mbox_quote_count(&state, text) == count);
	test_equal_bytes(((struct bytes){got, octet_by_octet(text, true, got)}), quoted);
	test_equal_bytes(((struct bytes){back, octet_by_octet(quoted, false, back)}), text);
	for (size_t split = 0; split <= text.length; split++)
		test_equal_bytes(((struct bytes){got, in_two(text, split, true, got)}), quoted);
	for (size_t split = 0; split <= quoted.length; split++)
		test_equal_bytes(((struct bytes){back, in_two(quoted, split, false, back)}), text);
	/* In place, as mbox.c does it. */
	memcpy(back + MBOX_QUOTE_HELD, quoted.data, quoted.length);
	mbox_quote_init(&state);
	size_t length = mbox_quote_remove(
		&state, (struct bytes){back + MBOX_QUOTE_HELD, quoted.length}, back);
	length += mbox_quote_end(&state, back + length);
	test_equal_bytes(((struct bytes){back, length}), text);
}

static void every_string(void **state)
{
	(void)state;
	for (unsigned length = 0; length <= 6; length++) {
		unsigned total = 1;
		for (unsigned i = 0; i < length; i++)
			total *= SYMBOLS;
		for (unsigned code = 0; code < total; code++) {
			char text[64] = "";
			size_t at = 0;
			for (unsigned i = 0, rest = code; i < length; i++, rest /= SYMBOLS) {
				size_t octets = strlen(symbols[rest % SYMBOLS]);
				memcpy(text + at, symbols[rest % SYMBOLS], octets);
				at += octets;
			}
			text[at] = '\0';
			test_row(text);
			check_string((struct bytes){text, at});
		}
	}
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(every_string)};

TEST_MAIN(tests)
