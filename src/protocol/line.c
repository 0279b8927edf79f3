/*
 * line: octets to command lines, see line.h.
 *
 * Guarantees: the same lines whatever the pieces they came in; at most one line is held; nothing of
 * a line that was held stays in freed memory. Must not know any command but the one word whose
 * lines may be longer.
 */
#include "protocol/line.h"

#include <assert.h>
#include <string.h>

#define LONG_WORD_OCTETS 5
#define START_OCTETS     8    /* of "OPTIONS " */
#define TLS_HANDSHAKE    0x16 /* first octet of a ClientHello's record: RFC 8446 section 5.1 */

void line_reader_init(struct line_reader *reader, size_t max, enum line_ends ends)
{
	assert(max >= LONG_WORD_OCTETS);
	*reader = (struct line_reader){.max = max, .ends = ends};
	buffer_init(&reader->held, max);
}

void line_reader_free(struct line_reader *reader)
{
	buffer_wipe(&reader->held);
	buffer_free(&reader->held);
	reader->complete = false;
}

/* The first octets of this line, of which a part may be held already. */
static struct bytes start_of(const struct line_reader *reader, struct bytes in, char *room,
			     size_t size)
{
	size_t length = 0;

	for (; !reader->complete && length < size && length < reader->held.length; length++)
		room[length] = reader->held.data[length];
	for (size_t i = 0; length < size && i < in.length; i++)
		room[length++] = in.data[i];
	return (struct bytes){room, length};
}

/* The most octets this line may have, judged by its beginning. */
static size_t limit_of(const struct line_reader *reader, struct bytes in, const char *long_word,
		       size_t long_max)
{
	char start[LONG_WORD_OCTETS];

	if (long_word != NULL &&
	    bytes_equal_nocase(start_of(reader, in, start, sizeof(start)), bytes_of(long_word)))
		return long_max;
	return reader->max;
}

/* Room for a whole line at once: growing step by step would leave pieces of it in freed memory. */
static bool make_room(struct line_reader *reader, size_t limit)
{
	struct buffer room;

	if (reader->held.data != NULL && reader->held.max >= limit)
		return true;
	buffer_init(&room, limit);
	if (!buffer_reserve(&room, limit) || !buffer_append(&room, buffer_bytes(&reader->held))) {
		buffer_free(&room);
		return false;
	}
	line_reader_free(reader);
	reader->held = room;
	return true;
}

static void drop(struct line_reader *reader, bool lost)
{
	line_reader_free(reader);
	reader->dropping = true;
	reader->lost = lost;
}

static void hold(struct line_reader *reader, struct bytes piece, size_t limit)
{
	if (piece.length == 0 || reader->dropping)
		return;
	if (!make_room(reader, limit) || !buffer_append(&reader->held, piece))
		drop(reader, true);
}

static enum line_result end_dropped(struct line_reader *reader)
{
	reader->dropping = false;
	return reader->lost ? LINE_LOST : LINE_TOO_LONG;
}

/* Takes the line end off. */
static struct bytes trim(struct bytes line)
{
	line.length--;
	if (line.length > 0 && line.data[line.length - 1] == '\r')
		line.length--;
	return line;
}

/* The LF that ends this line; NULL: none here. */
static const char *find_end(const struct line_reader *reader, struct bytes in)
{
	const char *at = in.data, *end = in.data + in.length;

	while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		bool behind_cr = at > in.data ? at[-1] == '\r' : reader->after_cr;

		if (behind_cr || reader->ends == LINE_ENDS_IN_LF)
			return at;
		at++;
	}
	return NULL;
}

static enum line_result end_line(struct line_reader *reader, struct bytes last, size_t limit,
				 struct bytes *line_out)
{
	if (reader->dropping)
		return end_dropped(reader);
	if (reader->held.length == 0) {
		*line_out = trim(last);
		return LINE_COMPLETE;
	}
	hold(reader, last, limit);
	if (reader->dropping)
		return end_dropped(reader);
	reader->complete = true;
	*line_out = trim(buffer_bytes(&reader->held));
	return LINE_COMPLETE;
}

enum line_result line_reader_next(struct line_reader *reader, struct bytes *in,
				  const char *long_word, size_t long_max, struct bytes *line_out)
{
	struct bytes piece;
	const char *end;
	size_t limit;

	if (reader->complete)
		line_reader_free(reader);
	if (in->length == 0)
		return LINE_PARTIAL;
	end = find_end(reader, *in);
	piece = end == NULL ? *in : bytes_first(*in, (size_t)(end - in->data) + 1);
	limit = limit_of(reader, *in, long_word, long_max);
	reader->after_cr = end == NULL && piece.data[piece.length - 1] == '\r';
	*in = bytes_skip(*in, piece.length);
	/* A line without its end needs one more octet at least. */
	if (!reader->dropping && reader->held.length + piece.length + (end == NULL) > limit)
		drop(reader, false);
	if (end != NULL)
		return end_line(reader, piece, limit, line_out);
	hold(reader, piece, limit);
	return LINE_PARTIAL;
}

static bool starts_as_http(struct bytes line)
{
	static const char *const starts[] = {"GET ",   "POST ",    "CONNECT ", "HEAD ",
					     "PUT ",   "OPTIONS ", "DELETE ",  "PATCH ",
					     "TRACE ", "PRI * ",   "HTTP/"};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		if (bytes_start_with(line, bytes_of(starts[i])))
			return true;
	}
	return false;
}

/* A request may have any method; its first line ends in the version (RFC 9112 section 3). */
bool line_is_http(struct bytes line)
{
	struct bytes version = BYTES(" HTTP/1.");
	size_t behind = version.length + 1;

	return starts_as_http(line) ||
	       (line.length >= behind &&
		bytes_start_with(bytes_skip(line, line.length - behind), version));
}

bool line_reader_is_foreign(const struct line_reader *reader, struct bytes in)
{
	char room[START_OCTETS];
	struct bytes start = start_of(reader, in, room, sizeof(room));

	if (reader->dropping || start.length == 0)
		return false;
	return start.data[0] == TLS_HANDSHAKE || starts_as_http(start);
}
