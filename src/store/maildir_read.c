/*
 * maildir_read: one message on its way out, checked against what is known of it.
 *
 * The file is looked for under the name it had when the maildrop was opened, and when it is not
 * there under its other names: mail readers move it to cur/ and change its flags.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "store/lock.h"
#include "store/maildir_private.h"

struct maildir_reading {
	uint32_t number;
	uint32_t checksum;
	struct file *file;
	uint64_t offset;   /* octets handed out */
	uint64_t position; /* octets of the file that were read */
	bool held_cr;      /* a CR whose next octet is not known yet */
	bool in_line;      /* the last octet handed out was not an LF */
	bool ended;        /* all was handed out, and checked */
	struct maildir_entry entry;
};

void maildir_reading_end(struct maildir_session *session)
{
	if (session->reading == NULL)
		return;
	file_close(session->reading->file);
	free(session->reading);
	session->reading = NULL;
}

/* ---- finding the file ---- */

struct search {
	struct bytes base;
	char name[MAILDIR_NAME_MAX + 1];
	bool found;
};

static bool look_at_name(void *context, const char *name)
{
	struct search *search = context;
	struct bytes base = {name, strcspn(name, ":")};
	size_t octets = strlen(name) + 1;
	if (octets > sizeof search->name || !bytes_equal(base, search->base))
		return true;
	memcpy(search->name, name, octets);
	search->found = true;
	return false;
}

/* Looks for it in new/, then in cur/, where it goes; twice, because one reading of a folder may
 * miss a file that is being renamed. */
static int open_elsewhere(struct maildir_session *session, const char *known,
			  struct file **file_out)
{
	struct search search = {.base = {known, strcspn(known, ":")}};
	int result = -ENOENT;
	for (int i = 0; i < 4 && result == -ENOENT; i++) {
		struct file *folder = i % 2 == 0 ? session->fresh : session->cur;
		search.found = false;
		result = folder != NULL ? file_list(folder, look_at_name, &search) : 0;
		if (result >= 0)
			result = search.found ? file_open(folder, search.name, FILE_READ, file_out)
					      : -ENOENT;
	}
	return result;
}

static int open_file(struct maildir_session *session, struct maildir_reading *reading)
{
	const struct maildir_entry *entry = &reading->entry;
	struct file *folder = entry->place == MAILDIR_NEW ? session->fresh : session->cur;
	int result = file_open(folder, entry->name, FILE_READ, &reading->file);
	return result == -ENOENT ? open_elsewhere(session, entry->name, &reading->file) : result;
}

/* ---- */

/* From the next opening on it is known for what it is. */
static enum store_result damaged(struct maildir_session *session, const char *why,
				 struct error *error)
{
	if (!session->reading->entry.damaged)
		maildir_index_doubt(session->index, session->reading->number);
	error_set(error, ERROR_DATA, "%s", why);
	return STORE_IO;
}

static enum store_result open_message(struct maildir_session *session, struct error *error)
{
	struct maildir_reading *reading = session->reading;
	struct file_status status;
	int result = open_file(session, reading);
	if (result == -ENOENT) {
		error_set(error, ERROR_DATA, "the message was removed by another program");
		return STORE_IO;
	}
	if (result == -EINVAL || result == -ELOOP)
		return damaged(session, "the message's file is no file any more", error);
	if (result >= 0)
		result = file_status(reading->file, &status);
	if (result < 0)
		return store_failure(error, result, "while opening a message");
	if (status.size_octets != reading->entry.length)
		return damaged(session, "the message's file has another length", error);
	return STORE_OK;
}

static enum store_result reading_begin(struct maildir_session *session, uint32_t number,
				       bool no_wait, struct error *error)
{
	if (no_wait)
		return STORE_AGAIN; /* a file that has to be opened may always wait */
	maildir_reading_end(session);
	session->reading = calloc(1, sizeof *session->reading);
	if (session->reading == NULL)
		return store_failure(error, -ENOMEM, "while reading a message");
	session->reading->number = number;
	enum store_result result =
		maildir_index_read(session->index, number, 1, false, &session->reading->entry);
	if (result != STORE_OK)
		return maildir_bad_index(session, error);
	if (session->reading->entry.damaged)
		return damaged(session, "the message is damaged", error);
	return open_message(session, error);
}

/* ---- octets ---- */

/* Drops each CR before an LF; `out` may lie one octet before `in`. Returns the octets written. */
static size_t drop_cr(struct maildir_reading *reading, struct bytes in, char *out)
{
	size_t written = 0;
	for (size_t i = 0; i < in.length; i++) {
		if (reading->held_cr && in.data[i] != '\n')
			out[written++] = '\r';
		reading->held_cr = in.data[i] == '\r';
		if (!reading->held_cr)
			out[written++] = in.data[i];
	}
	return written;
}

/* The next octets of the file, and of the message. */
static enum store_result read_piece(struct maildir_session *session, bool no_wait, char *out,
				    size_t room, size_t *length_out, struct error *error)
{
	struct maildir_reading *reading = session->reading;
	const struct maildir_entry *entry = &reading->entry;
	size_t held = entry->crlf ? 1 : 0; /* room for a CR that was held back */
	uint64_t left = entry->length - reading->position;
	size_t size = left < room - held ? (size_t)left : room - held;
	ssize_t length = file_read(reading->file, out + held, size, reading->position, no_wait);
	if (length == -EAGAIN || (no_wait && length == 0))
		return STORE_AGAIN;
	if (length < 0)
		return store_failure(error, (int)length, "while reading a message");
	if (length == 0)
		return damaged(session, "the message's file was cut", error);
	struct bytes piece = {out + held, (size_t)length};
	reading->position += piece.length;
	reading->checksum = crc32c(reading->checksum, piece);
	*length_out = entry->crlf ? drop_cr(reading, piece, out) : piece.length;
	if (*length_out > 0)
		reading->in_line = out[*length_out - 1] != '\n';
	return STORE_OK;
}

/* All of the file was read: what is owed of it, and the check. */
static enum store_result end_of_file(struct maildir_session *session, char *out, size_t *length,
				     struct error *error)
{
	struct maildir_reading *reading = session->reading;
	if (reading->held_cr)
		out[(*length)++] = '\r';
	if (reading->held_cr || reading->in_line)
		out[(*length)++] = '\n';
	reading->ended = true;
	if (reading->checksum != reading->entry.checksum)
		return damaged(session, "the message fails its checksum", error);
	return STORE_OK;
}

/* Fills `out` as far as it goes: what CRLF have left free, too, so that a message that fits into
 * one read is whole and checked when that returns. With no_wait there is one read at a time. */
static enum store_result read_on(struct maildir_session *session, bool no_wait, char *out,
				 size_t size, size_t *length_out, struct error *error)
{
	struct maildir_reading *reading = session->reading;
	enum store_result result = STORE_OK;
	size_t least = reading->entry.crlf ? 2 : 1;
	for (bool more = true; more && result == STORE_OK; more = !no_wait) {
		size_t length = 0;
		if (reading->position == reading->entry.length || size - *length_out < least)
			break;
		result = read_piece(session, no_wait, out + *length_out, size - *length_out,
				    &length, error);
		*length_out += length;
	}
	if (result == STORE_OK && reading->position == reading->entry.length &&
	    size - *length_out >= (size_t)reading->held_cr + (reading->held_cr || reading->in_line))
		result = end_of_file(session, out, length_out, error);
	reading->offset += *length_out;
	return result;
}

enum store_result maildir_read(struct maildrop *maildrop, uint32_t number, uint64_t offset,
			       bool no_wait, char *out, size_t size, size_t *length_out,
			       struct error *error)
{
	struct maildir_session *session = (struct maildir_session *)maildrop;
	enum store_result result = STORE_OK;
	*length_out = 0;
	if (offset == 0)
		result = reading_begin(session, number, no_wait, error);
	struct maildir_reading *reading = session->reading;
	assert(result != STORE_OK || (reading->number == number && reading->offset == offset));
	while (result == STORE_OK && *length_out == 0 && !reading->ended)
		result = read_on(session, no_wait, out, size, length_out, error);
	if (result != STORE_AGAIN && (result != STORE_OK || *length_out == 0))
		maildir_reading_end(session);
	return result;
}
