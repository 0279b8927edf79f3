/*
 * mbox_scan: see mbox_scan.h. Where a record should begin and none does, it looks for the next line
 * that proves itself by its checksum, so that one bad octet never hides the mail behind it.
 */
#include "store/mbox_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/wire.h"
#include "store/mbox_quote.h"

bool mbox_scan_begin(struct mbox_scan *scan, struct file *file, uint64_t size, uint64_t position)
{
	*scan = (struct mbox_scan){.file = file, .size = size, .position = position};
	scan->octets = malloc(STORE_READ_OCTETS);
	return scan->octets != NULL;
}

void mbox_scan_end(struct mbox_scan *scan)
{
	free(scan->octets);
	scan->octets = NULL;
}

static enum mbox_scan_result failed(struct mbox_scan *scan, int negative_errno)
{
	scan->problem = negative_errno;
	return MBOX_SCAN_FAILED;
}

/* Reads at `offset`; shorter only at the end of the file. */
static ssize_t scan_read(struct mbox_scan *scan, uint64_t offset, uint64_t wanted)
{
	size_t size = wanted < STORE_READ_OCTETS ? (size_t)wanted : STORE_READ_OCTETS;
	return file_read(scan->file, scan->octets, size, offset, false);
}

struct content {
	struct mbox_quote quote;
	struct wire_size wire_size;
	uint32_t checksum;
	char *plain; /* unquoted octets */
};

static void content_add(struct content *content, struct bytes stored, bool quoted)
{
	struct bytes plain = stored;
	if (quoted) {
		plain.length = mbox_quote_remove(&content->quote, stored, content->plain);
		plain.data = content->plain;
	}
	content->checksum = crc32c(content->checksum, plain);
	wire_size_add(&content->wire_size, plain);
}

/* Reads the content of a record and the blank line behind it. *sound_out: the checksum is right. */
static int read_content(struct mbox_scan *scan, const struct mbox_line *line, uint64_t *octets_out,
			bool *sound_out)
{
	struct content content = {0};
	bool quoted = line->quoted > 0;
	mbox_quote_init(&content.quote);
	content.plain = quoted ? malloc(mbox_quote_max(STORE_READ_OCTETS)) : NULL;
	if (quoted && content.plain == NULL)
		return -ENOMEM;
	uint64_t offset = scan->position + line->octets, end = offset + line->length;
	ssize_t length = 0;
	while (offset < end) {
		length = scan_read(scan, offset, end - offset);
		if (length <= 0)
			break;
		content_add(&content, (struct bytes){scan->octets, (size_t)length}, quoted);
		offset += (uint64_t)length;
	}
	free(content.plain);
	if (length < 0)
		return (int)length;
	char blank = 0;
	length = file_read(scan->file, &blank, 1, end, false);
	if (length < 0)
		return (int)length;
	*octets_out = wire_size_octets(&content.wire_size);
	*sound_out =
		offset == end && length == 1 && blank == '\n' && content.checksum == line->checksum;
	return 0;
}

static enum mbox_scan_result take_record(struct mbox_scan *scan, const struct mbox_line *line,
					 struct index_entry *entry_out)
{
	bool sound = false;
	uint64_t octets = 0;
	int result = read_content(scan, line, &octets, &sound);
	if (result < 0)
		return failed(scan, result);
	*entry_out = (struct index_entry){
		.offset = scan->position,
		.length = line->length,
		.octets = octets,
		.checksum = line->checksum,
		.line_octets = line->octets,
		.uid_length = line->uid_length,
		.damaged = !sound,
		.quoted = line->quoted > 0,
	};
	memcpy(entry_out->uid, line->uid, sizeof entry_out->uid);
	scan->position += mbox_record_octets(line);
	return MBOX_SCAN_RECORD;
}

/* Where, in these octets, does a line of ours begin, behind a line end? SIZE_MAX: nowhere. Amid a
 * line there may be anything a sender likes to write; at the start of one he is quoted. */
static size_t find_line(struct bytes octets)
{
	size_t skipped = 0;
	while (octets.length > 0) {
		const char *found = memmem(octets.data, octets.length, "\nFrom ", 6);
		if (found == NULL)
			return SIZE_MAX;
		size_t at = (size_t)(found - octets.data) + 1;
		struct mbox_line line;
		octets = bytes_skip(octets, at);
		skipped += at;
		if (mbox_line_parse(octets, &line) == MBOX_LINE_OK)
			return skipped;
	}
	return SIZE_MAX;
}

/* The next line of ours behind scan->position, or the end of the file. */
static int find_next(struct mbox_scan *scan, uint64_t *next_out)
{
	*next_out = scan->size;
	for (uint64_t offset = scan->position; offset < scan->size;) {
		ssize_t length = scan_read(scan, offset, scan->size - offset);
		if (length < 0)
			return (int)length;
		size_t at = find_line((struct bytes){scan->octets, (size_t)length});
		if (at != SIZE_MAX) {
			*next_out = offset + at;
			return 0;
		}
		if (length <= FROM_LINE_MAX)
			return 0;
		offset += (uint64_t)length - FROM_LINE_MAX; /* a line may lie across the border */
	}
	return 0;
}

static enum mbox_scan_result skip_strange(struct mbox_scan *scan, uint64_t *strange_out)
{
	uint64_t next;
	int result = find_next(scan, &next);
	if (result < 0)
		return failed(scan, result);
	*strange_out = scan->position;
	scan->position = next;
	return MBOX_SCAN_STRANGE;
}

/* A line that promises more than there is was torn, unless another record follows it. */
static enum mbox_scan_result torn(struct mbox_scan *scan, uint64_t *strange_out)
{
	uint64_t next;
	int result = find_next(scan, &next);
	if (result < 0)
		return failed(scan, result);
	return next == scan->size ? MBOX_SCAN_TORN : skip_strange(scan, strange_out);
}

static bool all_zero(struct bytes octets)
{
	for (size_t i = 0; i < octets.length; i++)
		if (octets.data[i] != 0)
			return false;
	return true;
}

enum mbox_scan_result mbox_scan_next(struct mbox_scan *scan, struct index_entry *entry_out,
				     uint64_t *strange_out)
{
	if (scan->position >= scan->size)
		return MBOX_SCAN_END;
	uint64_t left = scan->size - scan->position;
	ssize_t length =
		scan_read(scan, scan->position, left < FROM_LINE_MAX ? left : FROM_LINE_MAX);
	if (length < 0)
		return failed(scan, (int)length);
	struct mbox_line line;
	struct bytes front = {scan->octets, (size_t)length};
	enum mbox_line_result result = mbox_line_parse(front, &line);
	if (result == MBOX_LINE_SHORT)
		return MBOX_SCAN_TORN;
	/* Space that was given to the file but never written: the rest of a torn line. */
	if (result == MBOX_LINE_STRANGE && left < FROM_LINE_MAX && all_zero(front))
		return MBOX_SCAN_TORN;
	if (result == MBOX_LINE_STRANGE)
		return skip_strange(scan, strange_out);
	if (mbox_record_octets(&line) > left)
		return torn(scan, strange_out);
	return take_record(scan, &line, entry_out);
}
