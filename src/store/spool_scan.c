/*
 * spool_scan: see spool_scan.h. Goes from line start to line start; what lies between is counted in
 * runs as long as the buffer allows.
 */
#include "store/spool_scan.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checksum.h"
#include "base/number.h"

#define ROOM_OCTETS (STORE_READ_OCTETS + 2 * FROM_LINE_MAX)
#define MARK        " mboxrd="

/* ---- From lines ---- */

size_t spool_from_line(struct bytes line)
{
	if (!bytes_start_with(line, BYTES("From ")))
		return 0;
	line = bytes_first(line, FROM_LINE_MAX);
	const char *end = memchr(line.data, '\n', line.length);
	return end != NULL ? (size_t)(end - line.data) + 1 : 0;
}

static bool is_digit(char octet)
{
	return octet >= '0' && octet <= '9';
}

static bool one_of(const char *names, const char *text)
{
	for (; *names != '\0'; names += 3)
		if (memcmp(names, text, 3) == 0)
			return true;
	return false;
}

/* "Sun Nov 22 02:01" */
static bool is_date(const char *text)
{
	return one_of("MonTueWedThuFriSatSun", text) && text[3] == ' ' &&
	       one_of("JanFebMarAprMayJunJulAugSepOctNovDec", text + 4) && text[7] == ' ' &&
	       (is_digit(text[8]) || text[8] == ' ') && is_digit(text[9]) && text[10] == ' ' &&
	       is_digit(text[11]) && is_digit(text[12]) && text[13] == ':' && is_digit(text[14]) &&
	       is_digit(text[15]);
}

bool spool_from_line_dated(struct bytes line)
{
	for (size_t i = 4; i + 17 <= line.length; i++)
		if (line.data[i] == ' ' && is_date(line.data + i + 1))
			return true;
	return false;
}

bool spool_from_line_mark(struct bytes line, uint64_t *quoted_out)
{
	if (line.length > 0 && line.data[line.length - 1] == '\n')
		line.length--;
	size_t digits = 0;
	while (digits < line.length && is_digit(line.data[line.length - digits - 1]))
		digits++;
	struct bytes before = bytes_first(line, line.length - digits);
	struct bytes mark = BYTES(MARK);
	return before.length >= mark.length &&
	       bytes_equal(bytes_skip(before, before.length - mark.length), mark) &&
	       number_parse(bytes_skip(line, before.length), INT64_MAX, quoted_out);
}

/* ---- the message under way ---- */

/* What mail readers write into a message: mutt, pine, Dovecot, UW IMAP. */
static bool is_rewritten(struct bytes line)
{
	static const char *const names[] = {"Status:",         "X-Status:", "X-UID:", "X-Keywords:",
					    "Content-Length:", "Lines:",    "X-IMAP"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (line.length >= strlen(names[i]) &&
		    strncasecmp(line.data, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static void add_plain(struct spool_scan *scan, struct bytes plain)
{
	if (plain.length == 0)
		return;
	if (!scan->ignored)
		digest_add(scan->digest, plain);
	scan->quoted += mbox_quote_count(&scan->quote, plain);
	wire_size_add(&scan->wire_size, plain);
	scan->ends_in_lf = plain.data[plain.length - 1] == '\n';
}

static void add_content(struct spool_scan *scan, struct bytes stored)
{
	struct spool_message *message = &scan->message;
	message->checksum = crc32c(message->checksum, stored);
	message->length += stored.length;
	if (!scan->crlf) {
		add_plain(scan, stored);
		return;
	}
	size_t length = 0;
	wire_decode(&scan->decoder, stored, scan->plain, &length);
	add_plain(scan, (struct bytes){scan->plain, length});
}

/* Counts what was passed over up to `end`. */
static void flush(struct spool_scan *scan, size_t end)
{
	if (scan->inside && end > scan->run)
		add_content(scan, (struct bytes){scan->octets + scan->run, end - scan->run});
	scan->run = end;
}

static int begin_message(struct spool_scan *scan, size_t line_octets)
{
	struct bytes line = {scan->octets + scan->at, line_octets};
	scan->crlf = line_octets > 1 && line.data[line_octets - 2] == '\r';
	if (scan->crlf && scan->plain == NULL)
		scan->plain = malloc(ROOM_OCTETS + 2);
	if (scan->crlf && scan->plain == NULL)
		return -ENOMEM;
	scan->message = (struct spool_message){
		.offset = scan->base + scan->at,
		.checksum = crc32c(0, line),
		.line_octets = (uint16_t)line_octets,
		.separated = scan->blank || scan->first,
	};
	scan->mark = spool_from_line_mark(line, &scan->marked);
	scan->wire_size = (struct wire_size){0};
	scan->quoted = scan->unquoted = 0;
	mbox_quote_init(&scan->quote);
	wire_decoder_init(&scan->decoder, WIRE_ANY_LF, false);
	digest_begin(scan->digest);
	scan->inside = scan->header = true;
	scan->ignored = scan->first = scan->blank = false;
	scan->ends_in_lf = true;
	scan->at += line_octets;
	scan->run = scan->at;
	return 0;
}

static void end_message(struct spool_scan *scan, struct spool_message *message_out)
{
	uint8_t digest[DIGEST_OCTETS];
	char held[2];
	flush(scan, scan->blank ? scan->blank_at : scan->at);
	scan->run = scan->at;
	/* A CR at the end of a CRLF message is half a line end. */
	if (scan->crlf && wire_decode_end(&scan->decoder, held) > 0)
		add_plain(scan, BYTES("\n"));
	if (!scan->ends_in_lf)
		add_plain(scan, BYTES("\n"));
	digest_end(scan->digest, digest);
	struct spool_message *message = &scan->message;
	memcpy(message->digest, digest, sizeof message->digest);
	message->closed = scan->blank;
	message->quoted = scan->mark && scan->marked > 0 && scan->unquoted == 0 &&
			  scan->quoted == scan->marked;
	message->octets = wire_size_octets(&scan->wire_size);
	if (message->quoted)
		message->octets -= scan->marked;
	scan->inside = false;
	*message_out = *message;
}

/* ---- lines ---- */

static bool at_end(const struct spool_scan *scan)
{
	return scan->base + scan->length >= scan->size;
}

/* Reads on; what must still be seen as a whole stays in front. */
static int fill(struct spool_scan *scan)
{
	size_t kept = scan->blank ? scan->blank_at : scan->at;
	flush(scan, kept);
	memmove(scan->octets, scan->octets + kept, scan->length - kept);
	scan->base += kept;
	scan->length -= kept;
	scan->at -= kept;
	scan->run = scan->blank_at = 0;
	uint64_t left = scan->size - scan->base - scan->length;
	size_t room = ROOM_OCTETS - scan->length;
	if (room > STORE_READ_OCTETS)
		room = STORE_READ_OCTETS;
	size_t wanted = left < room ? (size_t)left : room;
	ssize_t length = file_read(scan->file, scan->octets + scan->length, wanted,
				   scan->base + scan->length, false);
	if (length < 0)
		return (int)length;
	scan->length += (size_t)length;
	return (size_t)length == wanted ? 0 : -EIO;
}

/* A line of the header begins: is it one that does not count? */
static void look_at_field(struct spool_scan *scan, struct bytes line)
{
	bool goes_on = line.data[0] == ' ' || line.data[0] == '\t';
	bool ignored = goes_on ? scan->ignored : is_rewritten(line);
	if (ignored == scan->ignored)
		return;
	flush(scan, scan->at);
	scan->ignored = ignored;
}

static size_t blank_octets(struct bytes line)
{
	if (bytes_start_with(line, BYTES("\n")))
		return 1;
	return bytes_start_with(line, BYTES("\r\n")) ? 2 : 0;
}

static void pass_blank(struct spool_scan *scan, size_t octets)
{
	if (scan->ignored)
		flush(scan, scan->at);
	scan->header = scan->ignored = false;
	scan->blank = true;
	scan->blank_at = scan->at;
	scan->at += octets;
}

/* Does the file end within a From line? */
static bool is_torn_from(struct bytes line)
{
	return bytes_start_with(line, BYTES("From ")) && line.length <= FROM_LINE_MAX &&
	       memchr(line.data, '\n', line.length) == NULL;
}

/* At a line's start: is it a From line that begins a message? Its length, or 0, and then the line
 * was passed over, or its start. */
static size_t look_at_line(struct spool_scan *scan)
{
	struct bytes line = {scan->octets + scan->at, scan->length - scan->at};
	size_t from = spool_from_line(line);
	if (from == 0 && at_end(scan) && is_torn_from(line)) /* it will be closed one day */
		from = line.length;
	if (from > 0 &&
	    (scan->blank || scan->first || spool_from_line_dated(bytes_first(line, from))))
		return from;
	scan->first = false;
	size_t blank = blank_octets(line);
	if (blank > 0) {
		pass_blank(scan, blank);
		return 0;
	}
	scan->blank = false;
	if (scan->inside && scan->header)
		look_at_field(scan, line);
	scan->unquoted += bytes_start_with(line, BYTES("From "));
	scan->in_line = true;
	return 0;
}

static void pass_line(struct spool_scan *scan)
{
	const char *start = scan->octets + scan->at;
	const char *end = memchr(start, '\n', scan->length - scan->at);
	scan->at = end != NULL ? (size_t)(end - scan->octets) + 1 : scan->length;
	scan->in_line = end == NULL;
}

/* Goes to the next From line: 1, *line_out is its length; 0: there is none. */
static int find_from(struct spool_scan *scan, size_t *line_out)
{
	for (;;) {
		size_t needed = scan->in_line ? 1 : FROM_LINE_MAX;
		if (scan->length - scan->at < needed && !at_end(scan)) {
			int result = fill(scan);
			if (result < 0)
				return result;
		}
		if (scan->at == scan->length)
			return 0;
		if (!scan->in_line) {
			*line_out = look_at_line(scan);
			if (*line_out > 0)
				return 1;
		}
		if (scan->in_line)
			pass_line(scan);
	}
}

bool spool_scan_begin(struct spool_scan *scan, struct file *file, uint64_t size, uint64_t position)
{
	*scan = (struct spool_scan){.file = file, .size = size, .base = position, .first = true};
	scan->octets = malloc(ROOM_OCTETS);
	scan->digest = digest_new();
	if (scan->octets != NULL && scan->digest != NULL)
		return true;
	spool_scan_end(scan);
	return false;
}

void spool_scan_end(struct spool_scan *scan)
{
	free(scan->octets);
	free(scan->plain);
	digest_free(scan->digest);
	scan->octets = scan->plain = NULL;
	scan->digest = NULL;
}

static enum spool_scan_result failed(struct spool_scan *scan, int negative_errno)
{
	scan->problem = negative_errno;
	return SPOOL_SCAN_FAILED;
}

enum spool_scan_result spool_scan_next(struct spool_scan *scan, struct spool_message *message_out)
{
	size_t line = 0;
	uint64_t start = scan->base + scan->at;
	int found = find_from(scan, &line);
	if (found < 0)
		return failed(scan, found);
	if (!scan->begun) /* else it is where the last one ended */
		scan->garbage = scan->base + scan->at - start;
	scan->begun = true;
	if (found == 0)
		return SPOOL_SCAN_END;
	int result = begin_message(scan, line);
	if (result >= 0)
		result = find_from(scan, &line);
	if (result < 0)
		return failed(scan, result);
	end_message(scan, message_out);
	return SPOOL_SCAN_MESSAGE;
}
