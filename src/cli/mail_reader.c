/*
 * mail_reader: splits a file into messages.
 *
 * Guarantees: no octet of a message is lost or added but for CR before LF, quoting, From lines and
 * the empty lines between messages; a file that cannot be read to its end is an error, never a
 * short message.
 *
 * Must not know: maildrops, accounts, where the messages go.
 */
#include "cli/mail_reader.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define READ_OCTETS 32768
#define TEXT_OCTETS (4 * READ_OCTETS)
#define LOOK_OCTETS 1024 /* how far a line is looked at to know a From line */

bool mail_reader_init(struct mail_reader *reader, int descriptor, enum mail_shape shape)
{
	*reader = (struct mail_reader){
		.descriptor = descriptor, .shape = shape, .at_line_start = true};
	wire_decoder_init(&reader->decoder, WIRE_ANY_LF, false);
	buffer_init(&reader->text, TEXT_OCTETS);
	return buffer_reserve(&reader->text, TEXT_OCTETS);
}

void mail_reader_free(struct mail_reader *reader)
{
	buffer_free(&reader->text);
}

static struct bytes available(const struct mail_reader *reader)
{
	return bytes_skip(buffer_bytes(&reader->text), reader->taken);
}

/* Reads one piece more, or notices the end. */
static enum error_code fill(struct mail_reader *reader, struct error *error)
{
	char raw[READ_OCTETS];
	size_t written = 0;
	ssize_t count;

	buffer_remove_front(&reader->text, reader->taken);
	reader->taken = 0;
	do
		count = read(reader->descriptor, raw, sizeof(raw));
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return error_set(error, ERROR_NO_INPUT, "reading: %s", strerror(errno));
	if (!buffer_reserve(&reader->text, READ_OCTETS + 2))
		return error_set(error, ERROR_TEMPORARY, "no memory");
	reader->octets_read += (uint64_t)count;
	reader->ended = count == 0;
	if (reader->ended)
		written =
			wire_decode_end(&reader->decoder, reader->text.data + reader->text.length);
	else
		(void)wire_decode(&reader->decoder, (struct bytes){raw, (size_t)count},
				  reader->text.data + reader->text.length, &written);
	reader->text.length += written;
	return ERROR_NONE;
}

/* The next octets, at most to the end of their line. At a line's start either the whole line is in
 * sight or enough of it. Empty at the end of the file. */
static enum error_code peek_line(struct mail_reader *reader, struct bytes *line_out,
				 struct error *error)
{
	for (;;) {
		struct bytes text = available(reader);
		const char *end = text.length ? memchr(text.data, '\n', text.length) : NULL;
		bool enough = text.length >= (reader->at_line_start ? LOOK_OCTETS : 1);
		enum error_code code;

		if (end || enough || reader->ended) {
			*line_out = end ? bytes_first(text, (size_t)(end - text.data) + 1) : text;
			return ERROR_NONE;
		}
		code = fill(reader, error);
		if (code != ERROR_NONE)
			return code;
	}
}

static void take(struct mail_reader *reader, struct bytes line)
{
	reader->taken += line.length;
	if (line.length > 0)
		reader->at_line_start = line.data[line.length - 1] == '\n';
}

/* The rest of a line whose beginning is known; nothing of it is kept. */
static enum error_code drop_line(struct mail_reader *reader, struct bytes line, struct error *error)
{
	enum error_code code = ERROR_NONE;

	take(reader, line);
	while (!reader->at_line_start && code == ERROR_NONE) {
		code = peek_line(reader, &line, error);
		if (code == ERROR_NONE && line.length == 0)
			break;
		take(reader, line);
	}
	return code;
}

static enum error_code take_envelope(struct mail_reader *reader, struct bytes line,
				     struct mail_envelope *envelope, struct error *error)
{
	struct from_line from = from_line_parse(line);

	envelope->dated = from.dated;
	envelope->unix_seconds = from.unix_seconds;
	(void)bytes_to_string(from.sender, envelope->sender, sizeof(envelope->sender));
	return drop_line(reader, line, error);
}

static bool is_mbox(const struct mail_reader *reader)
{
	return reader->shape != MAIL_MESSAGE && reader->shape != MAIL_DETECT;
}

enum error_code mail_reader_next(struct mail_reader *reader, bool *found_out,
				 struct mail_envelope *envelope_out, struct error *error)
{
	struct bytes line;
	enum error_code code = peek_line(reader, &line, error);
	bool first = !reader->started, from;

	*envelope_out = (struct mail_envelope){.dated = false};
	*found_out = false;
	if (code != ERROR_NONE)
		return code;
	from = from_line_begins(line);
	reader->started = true;
	reader->blank_held = false;
	if (first && reader->shape == MAIL_DETECT)
		reader->shape = from ? MAIL_MBOXRD : MAIL_MESSAGE;
	if (line.length == 0)
		return ERROR_NONE;
	assert(first || is_mbox(reader));
	if (!from && is_mbox(reader))
		return error_set(error, ERROR_DATA,
				 "this is no mbox: it does not begin with a line \"From \"");
	*found_out = true;
	return from ? take_envelope(reader, line, envelope_out, error) : ERROR_NONE;
}

static bool is_separator(const struct mail_reader *reader, struct bytes line)
{
	if (!from_line_begins(line))
		return false;
	if (reader->shape == MAIL_UNQUOTED)
		return reader->blank_held && from_line_parse(line).dated;
	return reader->blank_held || from_line_parse(line).dated;
}

/* Octets of quoting at the beginning of a line. */
static size_t quoting(const struct mail_reader *reader, struct bytes line)
{
	size_t marks = 0;

	while (marks < line.length && line.data[marks] == '>')
		marks++;
	if (marks == 0 || !from_line_begins(bytes_skip(line, marks)))
		return 0;
	return reader->shape == MAIL_MBOXRD || (reader->shape == MAIL_MBOXO && marks == 1) ? 1 : 0;
}

/* A line's beginning in an mbox. False: the message has ended; else *piece_out may be empty, then
 * there is nothing yet. */
static bool begin_line(struct mail_reader *reader, struct bytes line, struct bytes *piece_out)
{
	bool held = reader->blank_held;

	*piece_out = (struct bytes){NULL, 0};
	if (line.length == 0 || is_separator(reader, line))
		return false;
	if (bytes_equal(line, BYTES("\n"))) {
		reader->blank_held = true; /* until it is known what follows it */
		take(reader, line);
		if (held)
			*piece_out = BYTES("\n");
	} else if (held) {
		reader->blank_held = false;
		*piece_out = BYTES("\n");
	} else {
		*piece_out = bytes_skip(line, quoting(reader, line));
		take(reader, line);
	}
	return true;
}

enum error_code mail_reader_piece(struct mail_reader *reader, struct bytes *piece_out,
				  struct error *error)
{
	struct bytes line;
	enum error_code code;

	do {
		code = peek_line(reader, &line, error);
		*piece_out = line;
		if (code != ERROR_NONE)
			return code;
		if (!is_mbox(reader) || !reader->at_line_start) {
			take(reader, line);
			return ERROR_NONE;
		}
		if (!begin_line(reader, line, piece_out))
			return ERROR_NONE;
	} while (piece_out->length == 0);
	return ERROR_NONE;
}
