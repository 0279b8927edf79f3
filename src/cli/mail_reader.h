/*
 * mail_reader: messages out of an open file: one message, or an mbox. Streaming, in bounded memory:
 * neither a message nor a line has a limit here.
 *
 * What comes out is the stored form (base/wire.h): CRLF has become LF, all other octets are as they
 * were, the From line is gone and told apart, and an mbox's quoting is undone.
 *
 * Where a message begins in an mbox: at the file's start, then at each line that begins with
 * "From " behind an empty line, or anywhere if it has a date (the quotings leave no such line in a
 * message). Without quoting it must have both. The empty line before it, or at the end of the file,
 * belongs to the mbox and not to the message.
 */
#ifndef CLI_MAIL_READER_H
#define CLI_MAIL_READER_H

#include "base/error.h"
#include "base/from_line.h"
#include "base/wire.h"

enum mail_shape {
	MAIL_DETECT,  /* an mbox (mboxrd) if it begins with a From line, else a message */
	MAIL_MESSAGE, /* one message; a leading From line is envelope */
	MAIL_MBOXRD,  /* ">From " and ">>From " were quoted by one more ">" */
	MAIL_MBOXO,   /* "From " was quoted */
	MAIL_UNQUOTED /* an mbox without quoting */
};

struct mail_envelope {
	char sender[256]; /* "" when there is none */
	bool dated;
	int64_t unix_seconds;
};

struct mail_reader {
	int descriptor; /* the caller's */
	enum mail_shape shape;
	bool started, ended, at_line_start, blank_held;
	uint64_t octets_read; /* of the file */
	struct wire_decoder decoder;
	struct buffer text; /* decoded, not handed out yet */
	size_t taken;       /* octets of it that were handed out */
};

/* False when memory has run out. */
bool mail_reader_init(struct mail_reader *reader, int descriptor, enum mail_shape shape);
void mail_reader_free(struct mail_reader *reader);

/* Goes to the next message (the one before must have been read to its end). *found_out is false
 * behind the last. ERROR_NO_INPUT when the file cannot be read; ERROR_DATA when it is no mbox but
 * should be. */
enum error_code mail_reader_next(struct mail_reader *reader, bool *found_out,
				 struct mail_envelope *envelope_out, struct error *error);

/* The next piece of the message, valid until the next call; empty at its end. */
enum error_code mail_reader_piece(struct mail_reader *reader, struct bytes *piece_out,
				  struct error *error);

#endif
