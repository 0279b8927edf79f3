/*
 * wire: LF to CRLF and byte-stuffing, and back (wire.h).
 *
 * Guarantees: the result does not depend on how a stream is cut into pieces; nothing is read behind
 * the input or written behind the room that wire.h asks for; the fast path and its plain twin give
 * the same octets and the same state.
 *
 * Must not know about messages, headers, or who is at the other end.
 *
 * The fast path copies 32 octets at a time and looks for line ends in the copy: what follows the
 * first of them is overwritten by the next copy. That may write past the octets that count, but
 * never past the room, because both directions leave at least as much room as there is input left.
 * The blocks are SSE2, which every x86-64 has, or plain words elsewhere. AVX2 was measured: a tenth
 * faster on lines of mail, where the wrong guesses at their ends cost most; not worth a second
 * body.
 */
#include "base/wire.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#define BLOCK_OCTETS 32

static atomic_bool plain_wanted;

void wire_set_plain(bool plain)
{
	atomic_store(&plain_wanted, plain);
}

static bool use_plain(void)
{
	return atomic_load_explicit(&plain_wanted, memory_order_relaxed);
}

/* ---- blocks: which of 32 octets are a given one, the first in the lowest bit ---- */

#if defined(__SSE2__)
#include <emmintrin.h>

struct block {
	__m128i low, high;
};

static inline struct block load_block(const char *data)
{
	return (struct block){_mm_loadu_si128((const __m128i *)(const void *)data),
			      _mm_loadu_si128((const __m128i *)(const void *)(data + 16))};
}

static inline void store_block(char *out, struct block block)
{
	_mm_storeu_si128((__m128i *)(void *)out, block.low);
	_mm_storeu_si128((__m128i *)(void *)(out + 16), block.high);
}

static inline uint32_t find_octet(struct block block, char octet)
{
	__m128i wanted = _mm_set1_epi8(octet);
	unsigned low = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(block.low, wanted));
	unsigned high = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(block.high, wanted));

	return high << 16 | low;
}
#else
struct block {
	uint64_t words[BLOCK_OCTETS / 8];
};

static inline struct block load_block(const char *data)
{
	struct block block;

	memcpy(&block, data, sizeof(block));
	return block;
}

static inline void store_block(char *out, struct block block)
{
	memcpy(out, &block, sizeof(block));
}

/* An octet that is wanted becomes 0, a 0 becomes 0x80, and the product gathers those bits. */
static inline uint32_t find_octet(struct block block, char octet)
{
	const uint64_t ones = 0x0101010101010101ULL;
	const uint64_t low_bits = 0x7f * ones;
	uint32_t found = 0;

	for (unsigned i = 0; i < BLOCK_OCTETS / 8; i++) {
		uint64_t word = block.words[i] ^ (unsigned char)octet * ones;
		uint64_t zeroes = ~(((word & low_bits) + low_bits) | word | low_bits);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		zeroes = __builtin_bswap64(zeroes);
#endif
		found |= (uint32_t)((zeroes >> 7) * 0x0102040810204080ULL >> 56) << (8 * i);
	}
	return found;
}
#endif

/* ---- stored form to wire ---- */

void wire_encoder_init(struct wire_encoder *encoder, bool stuff)
{
	*encoder = (struct wire_encoder){.in_line = false, .stuff = stuff};
}

size_t wire_encoded_max(size_t length)
{
	assert(length <= (SIZE_MAX - 2) / 2);
	return 2 * length + 2;
}

static char *encode_plain(struct wire_encoder *encoder, const char *in, const char *end, char *out)
{
	for (; in < end; in++) {
		if (*in == '\n') {
			*out++ = '\r';
		} else if (*in == '.' && encoder->stuff && !encoder->in_line) {
			*out++ = '.';
		}
		*out++ = *in;
		encoder->in_line = *in != '\n';
	}
	return out;
}

/* Encodes whole blocks; moves *in to the octets that are left. */
static char *encode_blocks(struct wire_encoder *encoder, const char **in_out, const char *end,
			   char *out)
{
	const char *in = *in_out;
	const bool stuff = encoder->stuff;
	bool in_line = encoder->in_line;

	while (end - in >= BLOCK_OCTETS) {
		struct block block = load_block(in);
		uint32_t line_ends = find_octet(block, '\n');
		unsigned length;

		*out = '.';
		out += !in_line & stuff & (*in == '.');
		store_block(out, block);
		in_line = line_ends == 0;
		if (in_line) {
			in += BLOCK_OCTETS;
			out += BLOCK_OCTETS;
			continue;
		}
		length = (unsigned)__builtin_ctz(line_ends);
		memcpy(out + length, "\r\n", 2);
		in += length + 1;
		out += length + 2;
	}
	encoder->in_line = in_line;
	*in_out = in;
	return out;
}

size_t wire_encode(struct wire_encoder *encoder, struct bytes in, char *out)
{
	const char *at = in.data;
	const char *end = in.length > 0 ? in.data + in.length : at;
	char *out_end = out;

	if (!use_plain())
		out_end = encode_blocks(encoder, &at, end, out_end);
	out_end = encode_plain(encoder, at, end, out_end);
	return (size_t)(out_end - out);
}

size_t wire_encode_end(struct wire_encoder *encoder, char out[2])
{
	if (!encoder->in_line)
		return 0;
	memcpy(out, "\r\n", 2);
	encoder->in_line = false;
	return 2;
}

/* ---- octets on the wire ---- */

static uint64_t count_plain(const char *in, const char *end)
{
	uint64_t count = 0;

	for (; in < end; in++)
		count += *in == '\n';
	return count;
}

#if defined(__SSE2__)
/* Each of 16 counters takes one of 16 octets; they are added up before they can overflow. */
static uint64_t count_blocks(const char **in_out, const char *end)
{
	const __m128i wanted = _mm_set1_epi8('\n');
	const __m128i zero = _mm_setzero_si128();
	__m128i total = zero;

	while (end - *in_out >= BLOCK_OCTETS) {
		size_t blocks = (size_t)(end - *in_out) / BLOCK_OCTETS;
		__m128i low = zero;
		__m128i high = zero;

		for (blocks = blocks < 255 ? blocks : 255; blocks > 0; blocks--) {
			struct block block = load_block(*in_out);

			low = _mm_sub_epi8(low, _mm_cmpeq_epi8(block.low, wanted));
			high = _mm_sub_epi8(high, _mm_cmpeq_epi8(block.high, wanted));
			*in_out += BLOCK_OCTETS;
		}
		total = _mm_add_epi64(total, _mm_sad_epu8(low, zero));
		total = _mm_add_epi64(total, _mm_sad_epu8(high, zero));
	}
	total = _mm_add_epi64(total, _mm_unpackhi_epi64(total, total));
	return (uint64_t)_mm_cvtsi128_si64(total);
}
#else
static uint64_t count_blocks(const char **in_out, const char *end)
{
	uint64_t count = 0;

	for (; end - *in_out >= BLOCK_OCTETS; *in_out += BLOCK_OCTETS)
		count += (unsigned)__builtin_popcount(find_octet(load_block(*in_out), '\n'));
	return count;
}
#endif

void wire_size_add(struct wire_size *size, struct bytes in)
{
	const char *at = in.data;
	const char *end;

	if (in.length == 0)
		return;
	end = in.data + in.length;
	size->octets += in.length;
	if (!use_plain())
		size->octets += count_blocks(&at, end);
	size->octets += count_plain(at, end);
	size->in_line = end[-1] != '\n';
}

uint64_t wire_size_octets(const struct wire_size *size)
{
	return size->octets + (size->in_line ? 2 : 0);
}

/* ---- wire to stored form ---- */

void wire_decoder_init(struct wire_decoder *decoder, enum wire_line_end line_end, bool dots)
{
	*decoder =
		(struct wire_decoder){.state = WIRE_LINE_START, .line_end = line_end, .dots = dots};
}

bool wire_decoder_at_end(const struct wire_decoder *decoder)
{
	return decoder->state == WIRE_END;
}

/* An octet where nothing is held back. */
static char *decode_in_line(struct wire_decoder *decoder, char octet, char *out)
{
	decoder->state = WIRE_IN_LINE;
	if (octet == '\r') {
		decoder->state = WIRE_CR;
		return out;
	}
	if (octet == '\n') {
		decoder->bare_lf = true;
		if (decoder->line_end == WIRE_ANY_LF)
			decoder->state = WIRE_LINE_START;
	}
	*out++ = octet;
	return out;
}

/* An octet behind a CR that was held back. */
static char *decode_after_cr(struct wire_decoder *decoder, char octet, char *out)
{
	if (octet == '\n') {
		decoder->state = WIRE_LINE_START;
		*out++ = '\n';
		return out;
	}
	decoder->bare_cr = true;
	*out++ = '\r';
	return decode_in_line(decoder, octet, out);
}

/* One octet of the stream; at most two come out. A dot that is held back never does: either the
 * stream ends, or it was stuffed (RFC 5321 section 4.5.2 takes it off any line with more on it). */
static char *decode_octet(struct wire_decoder *decoder, char octet, char *out)
{
	switch (decoder->state) {
	case WIRE_LINE_START:
		if (octet == '.' && decoder->dots) {
			decoder->state = WIRE_DOT;
			return out;
		}
		return decode_in_line(decoder, octet, out);
	case WIRE_IN_LINE:
		return decode_in_line(decoder, octet, out);
	case WIRE_CR:
		return decode_after_cr(decoder, octet, out);
	case WIRE_DOT:
		if (octet == '\r') {
			decoder->state = WIRE_DOT_CR;
			return out;
		}
		if (octet == '\n' && decoder->line_end == WIRE_ANY_LF) {
			decoder->bare_lf = true;
			decoder->state = WIRE_END;
			return out;
		}
		return decode_in_line(decoder, octet, out);
	case WIRE_DOT_CR:
		if (octet == '\n') {
			decoder->state = WIRE_END;
			return out;
		}
		return decode_after_cr(decoder, octet, out);
	case WIRE_END:
		break;
	}
	assert(!"an octet behind the end");
	return out;
}

/* Decodes whole blocks while nothing is held back and no dot begins a line; moves *in. */
static char *decode_blocks(struct wire_decoder *decoder, const char **in_out, const char *end,
			   char *out)
{
	const char *in = *in_out;

	while (end - in > BLOCK_OCTETS) { /* one more, to see what follows a CR */
		struct block block = load_block(in);
		uint32_t found = find_octet(block, '\r') | find_octet(block, '\n');
		unsigned length;

		if (decoder->state == WIRE_LINE_START && decoder->dots && *in == '.')
			break;
		store_block(out, block);
		if (found == 0) {
			decoder->state = WIRE_IN_LINE;
			in += BLOCK_OCTETS;
			out += BLOCK_OCTETS;
			continue;
		}
		length = (unsigned)__builtin_ctz(found);
		in += length;
		out += length;
		if (*in == '\r' && in[1] == '\n') {
			decoder->state = WIRE_LINE_START;
			*out++ = '\n';
			in += 2;
			continue;
		}
		out = decode_in_line(decoder, *in++, out);
		if (decoder->state == WIRE_CR)
			break;
	}
	*in_out = in;
	return out;
}

static bool nothing_held(const struct wire_decoder *decoder)
{
	return decoder->state == WIRE_IN_LINE || decoder->state == WIRE_LINE_START;
}

size_t wire_decode(struct wire_decoder *decoder, struct bytes in, char *out, size_t *written_out)
{
	const char *at = in.data;
	const char *end = in.length > 0 ? in.data + in.length : at;
	const bool plain = use_plain();
	char *out_end = out;

	while (at < end && decoder->state != WIRE_END) {
		if (!plain && nothing_held(decoder))
			out_end = decode_blocks(decoder, &at, end, out_end);
		if (at < end)
			out_end = decode_octet(decoder, *at++, out_end);
	}
	*written_out = (size_t)(out_end - out);
	return (size_t)(at - in.data);
}

size_t wire_decode_end(struct wire_decoder *decoder, char out[2])
{
	size_t length = 0;

	if (decoder->state == WIRE_DOT || decoder->state == WIRE_DOT_CR)
		out[length++] = '.';
	if (decoder->state == WIRE_CR || decoder->state == WIRE_DOT_CR) {
		decoder->bare_cr = true;
		out[length++] = '\r';
	}
	if (decoder->state != WIRE_END)
		decoder->state = WIRE_IN_LINE;
	return length;
}
