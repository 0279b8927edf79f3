/*
 * Fuzzer of the wire encoding: the first octets choose the mode and where to cut, the rest is the
 * text. It checks that pieces give what the whole gives, that the plain twin gives the same, that a
 * naive decoder agrees, and that encoding undoes decoding.
 */
#include "base/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct mode {
	enum wire_line_end line_end;
	bool dots;
	size_t piece; /* octets handed in at a time */
};

struct result {
	char *data;
	size_t length, taken;
	struct wire_decoder decoder;
};

static void *allocate(size_t size)
{
	void *data = malloc(size > 0 ? size : 1);

	if (data == NULL)
		abort();
	return data;
}

/* Each piece is decoded in memory of its own, so that the sanitizer sees a step past either end. */
static size_t decode_piece(struct wire_decoder *decoder, struct bytes piece, char *out,
			   size_t *length)
{
	char *in = allocate(piece.length);
	char *room = allocate(piece.length + 2);
	size_t written, taken;

	memcpy(in, piece.data, piece.length);
	taken = wire_decode(decoder, (struct bytes){in, piece.length}, room, &written);
	assert(written <= piece.length + 2);
	memcpy(out + *length, room, written);
	*length += written;
	free(in);
	free(room);
	return taken;
}

static struct result decode(struct bytes text, struct mode mode, size_t piece, bool plain)
{
	struct result result = {.data = allocate(text.length + 2)};

	wire_set_plain(plain);
	wire_decoder_init(&result.decoder, mode.line_end, mode.dots);
	while (result.taken < text.length && !wire_decoder_at_end(&result.decoder)) {
		struct bytes next = bytes_first(bytes_skip(text, result.taken), piece);

		result.taken += decode_piece(&result.decoder, next, result.data, &result.length);
	}
	result.length += wire_decode_end(&result.decoder, result.data + result.length);
	wire_set_plain(false);
	return result;
}

static void compare(struct result *a, struct result b)
{
	assert(bytes_equal((struct bytes){a->data, a->length}, (struct bytes){b.data, b.length}));
	assert(a->taken == b.taken);
	assert(a->decoder.state == b.decoder.state);
	assert(a->decoder.bare_lf == b.decoder.bare_lf);
	assert(a->decoder.bare_cr == b.decoder.bare_cr);
	free(b.data);
}

/* Looks at the whole text from each place; keeps no state but "here a line begins". */
static struct result decode_naively(struct bytes text, struct mode mode)
{
	struct result result = {.data = allocate(text.length + 2)};
	const bool any_lf = mode.line_end == WIRE_ANY_LF;
	bool line_start = true;
	size_t at = 0;

	while (at < text.length) {
		struct bytes rest = bytes_skip(text, at);
		bool crlf = bytes_start_with(rest, BYTES("\r\n"));

		if (line_start && mode.dots && rest.data[0] == '.') {
			bool end = bytes_start_with(rest, BYTES(".\r\n")) ||
				   (any_lf && bytes_start_with(rest, BYTES(".\n")));
			bool cut = bytes_equal(rest, BYTES(".")) || bytes_equal(rest, BYTES(".\r"));

			line_start = false;
			at += end ? (rest.data[1] == '\n' ? 2 : 3) : !cut;
			if (end)
				break;
			continue;
		}
		line_start = crlf || (any_lf && rest.data[0] == '\n');
		at += crlf;
		result.data[result.length++] = crlf ? '\n' : rest.data[0];
		at++;
	}
	result.taken = at;
	return result;
}

static void check_decoder(struct bytes text, struct mode mode)
{
	struct result whole = decode(text, mode, text.length, false);
	struct result naive = decode_naively(text, mode);

	assert(bytes_equal((struct bytes){whole.data, whole.length},
			   (struct bytes){naive.data, naive.length}));
	assert(whole.taken == naive.taken);
	free(naive.data);
	compare(&whole, decode(text, mode, mode.piece, false));
	compare(&whole, decode(text, mode, text.length, true));
	free(whole.data);
}

static struct bytes encode(struct bytes text, bool stuff, size_t piece, bool plain)
{
	char *out = allocate(wire_encoded_max(text.length));
	struct wire_encoder encoder;
	size_t length = 0;

	wire_set_plain(plain);
	wire_encoder_init(&encoder, stuff);
	while (text.length > 0) {
		struct bytes next = bytes_first(text, piece);
		char *room = allocate(wire_encoded_max(next.length));
		size_t written = wire_encode(&encoder, next, room);

		memcpy(out + length, room, written);
		length += written;
		free(room);
		text = bytes_skip(text, next.length);
	}
	length += wire_encode_end(&encoder, out + length);
	wire_set_plain(false);
	return (struct bytes){out, length};
}

static void check_encoder(struct bytes text, bool stuff, size_t piece)
{
	struct bytes whole = encode(text, stuff, text.length, false);
	struct bytes cut = encode(text, stuff, piece, false);
	struct bytes plain = encode(text, stuff, text.length, true);
	struct wire_size size = {0};
	struct result back =
		decode(whole, (struct mode){WIRE_CRLF_ONLY, stuff, 0}, whole.length, false);
	struct bytes again = encode((struct bytes){back.data, back.length}, stuff, piece, false);

	assert(bytes_equal(whole, cut));
	assert(bytes_equal(whole, plain));
	assert(bytes_equal(whole, again));
	assert(back.length >= text.length && back.length <= text.length + 1);
	assert(text.length == 0 || memcmp(back.data, text.data, text.length) == 0);
	wire_size_add(&size, bytes_first(text, piece));
	wire_size_add(&size, bytes_skip(text, piece));
	assert(stuff || wire_size_octets(&size) == whole.length);
	free((void *)(uintptr_t)whole.data);
	free((void *)(uintptr_t)cut.data);
	free((void *)(uintptr_t)plain.data);
	free((void *)(uintptr_t)again.data);
	free(back.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text;
	struct mode mode;

	if (size < 2)
		return 0;
	text = (struct bytes){(const char *)data + 2, size - 2};
	mode.line_end = (data[0] & 1) != 0 ? WIRE_ANY_LF : WIRE_CRLF_ONLY;
	mode.dots = (data[0] & 2) != 0;
	mode.piece = 1 + (size_t)data[1];
	check_decoder(text, mode);
	check_encoder(text, mode.dots, mode.piece);
	return 0;
}
