/*
 * spool_scan: from the octets of an mbox that anybody writes to its messages. Changes nothing.
 *
 * A message begins with a From line: "From ", at most FROM_LINE_MAX octets up to its LF,
 * or the end of the file,
 *   - at the start of the file, or behind a blank line; or
 *   - anywhere else when a date stands in it ("Sun Nov 22 02:01"): there a writer has left out the
 *     blank line. All that deliver mail quote a line that begins so in a message; and one message
 *     too many is read, while two messages taken for one are removed together.
 * It ends before the next one, without one blank line. Content-Length is not looked at. What stands
 * before the first From line is no message.
 *
 * A message whose From line ends in CRLF has CRLF as its line ends; in any other a CR is data. A
 * last line without LF gets one when it is handed out. Where the From line ends in " mboxrd=N",
 * which is how Postern says that it has quoted N lines, and N lines are quoted and none is not, the
 * quoting is undone when it is handed out; any other quoting stays as it is.
 *
 * The digest is of the message as handed out, but for its quoting, which stays, and without the
 * header fields that mail readers write into it: it is the same however often they do.
 */
#ifndef STORE_SPOOL_SCAN_H
#define STORE_SPOOL_SCAN_H

#include "base/digest.h"
#include "base/wire.h"
#include "store/mbox_quote.h"
#include "store/store.h"

#define SPOOL_DIGEST_OCTETS 16

struct spool_message {
	uint64_t offset;      /* of its From line */
	uint64_t length;      /* of its content as it stands, without the blank line behind it */
	uint64_t octets;      /* RFC 1939 section 11 */
	uint32_t checksum;    /* crc32c of From line and content as they stand */
	uint16_t line_octets; /* of the From line */
	bool quoted;          /* by us: to be undone */
	bool closed;          /* a blank line stands behind it */
	bool separated;       /* a blank line stands before it, or it is the first */
	uint8_t digest[SPOOL_DIGEST_OCTETS];
};

struct spool_scan {
	uint64_t garbage; /* octets before the first From line, after the first call */
	int problem;      /* negative errno after SPOOL_SCAN_FAILED */

	/* private: */
	struct file *file;
	uint64_t size, base; /* of the file; offset of octets[0] */
	char *octets;        /* STORE_READ_OCTETS, and room for a From line */
	size_t length, at;   /* octets there are; where the scan is */
	size_t run;          /* from here to `at` is content not yet counted */
	size_t blank_at;     /* where the blank line before `at` begins, when `blank` */
	bool blank, in_line, begun, first;

	/* the message under way: */
	struct digest *digest;
	struct wire_size wire_size;
	struct mbox_quote quote;
	struct wire_decoder decoder;
	char *plain; /* room to turn CRLF to LF, NULL until needed */
	uint64_t quoted, unquoted, marked;
	bool inside, crlf, header, ignored, ends_in_lf, mark;
	struct spool_message message;
};

enum spool_scan_result {
	SPOOL_SCAN_MESSAGE,
	SPOOL_SCAN_END,
	SPOOL_SCAN_FAILED /* the disk failed, the file is shorter than said, or memory is out */
};

/* Reads `file` up to `size`, from `position` on: 0, or where a From line must stand. False when
 * memory has run out. */
bool spool_scan_begin(struct spool_scan *scan, struct file *file, uint64_t size, uint64_t position);
void spool_scan_end(struct spool_scan *scan);

enum spool_scan_result spool_scan_next(struct spool_scan *scan, struct spool_message *message_out);

/* Reads a From line at the front of `line`. Its length with LF; 0: there is none. */
size_t spool_from_line(struct bytes line);
/* Does a date stand in it? */
bool spool_from_line_dated(struct bytes line);
/* The N of " mboxrd=N" at its end. */
bool spool_from_line_mark(struct bytes line, uint64_t *quoted_out);

#endif
