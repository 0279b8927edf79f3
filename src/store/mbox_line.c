/*
 * mbox_line: see mbox_line.h. Pure; a line that was altered by a single octet is STRANGE.
 */
#include "store/mbox_line.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/clock.h"
#include "base/number.h"

/* Holds spaces, which no sender and no unique-id does: found only where we wrote it. */
#define MARK         " postern=1 received="
#define CHECK_OCTETS (sizeof " line=01234567\n" - 1)

static bool plain_sender(struct bytes sender)
{
	if (sender.length == 0 || sender.length > FROM_LINE_MAX / 4)
		return false;
	for (size_t i = 0; i < sender.length; i++)
		if (sender.data[i] <= 0x20 || sender.data[i] >= 0x7f)
			return false;
	return true;
}

size_t mbox_line_print(struct mbox_line *line, struct bytes sender, char out[FROM_LINE_MAX])
{
	char date[CLOCK_DATE_OCTETS];
	if (!plain_sender(sender))
		sender = BYTES("MAILER-DAEMON");
	int length = snprintf(out, FROM_LINE_MAX,
			      "From %.*s %s" MARK "%" PRId64 " length=%" PRIu64 " quoted=%" PRIu64
			      " content=%08" PRIx32 " uid=%.*s",
			      (int)sender.length, sender.data,
			      clock_date_asctime(line->received_unix_seconds, date),
			      line->received_unix_seconds, line->length, line->quoted,
			      line->checksum, (int)line->uid_length, line->uid);
	assert(length > 0 && (size_t)length + CHECK_OCTETS < FROM_LINE_MAX);
	uint32_t check = crc32c(0, (struct bytes){out, (size_t)length});
	length += snprintf(out + length, FROM_LINE_MAX - (size_t)length, " line=%08" PRIx32 "\n",
			   check);
	line->octets = (uint16_t)length;
	return (size_t)length;
}

/* Takes "NAME=value" and the space behind it from the front of *text. */
static bool take_field(struct bytes *text, const char *name, struct bytes *value_out)
{
	struct bytes prefix = bytes_of(name);
	if (!bytes_start_with(*text, prefix))
		return false;
	*text = bytes_skip(*text, prefix.length);
	const char *space = memchr(text->data, ' ', text->length);
	size_t length = space != NULL ? (size_t)(space - text->data) : text->length;
	*value_out = bytes_first(*text, length);
	*text = bytes_skip(*text, length + 1);
	return true;
}

static bool take_number(struct bytes *text, const char *name, uint64_t *number_out)
{
	struct bytes value;
	return take_field(text, name, &value) && number_parse(value, INT64_MAX, number_out);
}

static bool take_uid(struct bytes *text, struct mbox_line *line)
{
	struct bytes value;
	if (!take_field(text, "uid=", &value) || value.length == 0 || value.length > UID_MAX)
		return false;
	line->uid_length = (uint8_t)value.length;
	return bytes_to_string(value, line->uid, sizeof line->uid);
}

static bool parse_fields(struct bytes text, struct mbox_line *line)
{
	uint64_t received = 0;
	struct bytes checksum;
	if (!take_number(&text, "", &received) || !take_number(&text, "length=", &line->length) ||
	    !take_number(&text, "quoted=", &line->quoted) ||
	    !take_field(&text, "content=", &checksum) ||
	    !number_parse_hex32(checksum, &line->checksum) || !take_uid(&text, line))
		return false;
	line->received_unix_seconds = (int64_t)received;
	return text.length == 0;
}

static bool check_line(struct bytes line)
{
	if (line.length <= CHECK_OCTETS)
		return false;
	struct bytes checked = bytes_first(line, line.length - CHECK_OCTETS);
	struct bytes check = bytes_skip(line, checked.length);
	uint32_t wanted;
	return bytes_start_with(check, BYTES(" line=")) &&
	       number_parse_hex32(bytes_first(bytes_skip(check, 6), 8), &wanted) &&
	       crc32c(0, checked) == wanted;
}

enum mbox_line_result mbox_line_parse(struct bytes in, struct mbox_line *line_out)
{
	struct bytes seen = bytes_first(in, 5);
	if (!bytes_equal(seen, bytes_first(BYTES("From "), seen.length)))
		return MBOX_LINE_STRANGE;
	struct bytes window = bytes_first(in, FROM_LINE_MAX);
	const char *end = window.length > 0 ? memchr(window.data, '\n', window.length) : NULL;
	if (end == NULL)
		return in.length < FROM_LINE_MAX ? MBOX_LINE_SHORT : MBOX_LINE_STRANGE;
	struct bytes line = bytes_first(in, (size_t)(end - in.data) + 1);
	if (!check_line(line))
		return MBOX_LINE_STRANGE;
	struct bytes text = bytes_first(line, line.length - CHECK_OCTETS);
	const char *mark = memmem(text.data, text.length, MARK, sizeof MARK - 1);
	if (mark == NULL)
		return MBOX_LINE_STRANGE;
	text = bytes_skip(text, (size_t)(mark - text.data) + sizeof MARK - 1);
	*line_out = (struct mbox_line){.octets = (uint16_t)line.length};
	if (!parse_fields(text, line_out))
		return MBOX_LINE_STRANGE;
	return MBOX_LINE_OK;
}

struct bytes mbox_line_sender(struct bytes line)
{
	struct bytes sender = bytes_skip(line, 5);
	const char *end = sender.length > 0 ? memchr(sender.data, ' ', sender.length) : NULL;
	return bytes_first(sender, end != NULL ? (size_t)(end - sender.data) : 0);
}
