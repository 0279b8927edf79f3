/*
 * mbox_line: the From line of the own mbox. To other programs it is what they know,
 *
 *   From alice@example.org Sun Nov 22 02:01:00 2026 postern=1 length=812 quoted=0 content=1c291ca3
 * uid=… line=f00dbeef
 *
 * sender and date; to Postern it says how long the record is, how many lines of it are quoted, what
 * its content's checksum is, which unique-id it has, and, last, its own checksum. So each record
 * can be checked by itself, and a torn one is known. It is never part of the message.
 */
#ifndef STORE_MBOX_LINE_H
#define STORE_MBOX_LINE_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/limits.h"

struct mbox_line {
	uint64_t length;   /* octets of the content in the file, quoting included, without the blank
			      line behind it */
	uint64_t quoted;   /* lines that have one '>' too many */
	uint32_t checksum; /* crc32c of the content in stored form, unquoted */
	int64_t received_unix_seconds;
	uint8_t uid_length;
	char uid[UID_MAX + 1];
	uint16_t octets; /* of the line itself, LF included: set by print and parse */
};

/* Octets of a record: line, content, blank line. */
static inline uint64_t mbox_record_octets(const struct mbox_line *line)
{
	return line->octets + line->length + 1;
}

/* A sender that is empty, too long or not plain is written as MAILER-DAEMON: it is for other
 * programs' eyes, and stands in Return-Path as it is. Returns the octets written. */
size_t mbox_line_print(struct mbox_line *line, struct bytes sender, char out[FROM_LINE_MAX]);

enum mbox_line_result {
	MBOX_LINE_OK,
	MBOX_LINE_SHORT,  /* `in` ends before the line does: more octets, or a torn tail */
	MBOX_LINE_STRANGE /* not one of our lines */
};

/* Parses the line at the front of `in`, which may go on behind it. */
enum mbox_line_result mbox_line_parse(struct bytes in, struct mbox_line *line_out);

/* The sender on a line that was parsed. */
struct bytes mbox_line_sender(struct bytes line);

#endif
