/*
 * spool: an mbox file that other programs write to (docs/design/0003-disk.md). This file is what a
 * session sees of it; locking, reading what is new, delivering, removing and verifying stand in
 * spool_*.c.
 *
 * A session holds the session lock, the spool and the index file, but no lock against other
 * programs. When one of them alters what the session has seen, the octets of a message are not what
 * the index says of them: the session then gets STORE_CHANGED, and nothing is removed.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/from_line.h"
#include "store/journal.h"
#include "store/journal_append.h"
#include "store/lock.h"
#include "store/names.h"
#include "store/spool_private.h"
#include "store/uids.h"

/* The message that is being read. */
struct spool_reading {
	uint32_t number;
	uint32_t checksum;
	uint64_t offset;   /* octets handed out */
	uint64_t position; /* octets of the content in the file that were read */
	bool crlf;         /* CRLF is a line end */
	bool held_cr;      /* one whose LF may follow */
	bool in_line;      /* the last octet handed out was not LF */
	struct mbox_quote quote;
	struct index_entry entry;
};

static struct spool_maildrop *of(struct maildrop *maildrop)
{
	return (struct spool_maildrop *)maildrop;
}

static void spool_close(struct maildrop *maildrop)
{
	struct spool_maildrop *spool = of(maildrop);
	index_close(spool->index);
	file_close(spool->file);
	file_close(spool->session_lock);
	free(spool->reading);
	free(spool);
}

/* Takes over file and index of a spool that is in order, and gives its locks back. */
static enum store_result take_over(struct spool_maildrop *spool, struct spool_file *from,
				   struct error *error)
{
	enum store_result result = STORE_OK;
	struct index_entry last;
	uint32_t count = from->index != NULL ? index_count(from->index) : 0;
	if (count > 0) {
		result = index_read(from->index, count, 1, false, &last);
		spool->base.summary = (struct maildrop_summary){count, last.total_octets};
	}
	if (result != STORE_OK)
		error_set(error, ERROR_IO, "the index cannot be read");
	spool->file = from->file;
	spool->index = from->index;
	dotlock_give(&from->dotlock);
	if (from->locked)
		file_unlock(from->file);
	from->file = NULL;
	from->index = NULL;
	spool_file_close(from);
	return result;
}

static enum store_result spool_open(const struct store_root *root, const struct place *place,
				    unsigned flags, struct maildrop **maildrop_out,
				    struct error *error)
{
	struct spool_file file;
	enum store_result result = STORE_OK;
	struct spool_maildrop *spool = calloc(1, sizeof *spool);
	if (spool == NULL)
		return store_failure(error, -ENOMEM, "while opening the maildrop");
	spool->base.store = &store_spool;
	spool->root = root;
	spool->place = *place;
	if ((flags & STORE_PEEK) == 0)
		result = lock_session(root, place->account, &spool->session_lock, error);
	if (result == STORE_OK)
		result = spool_file_open(root, place, SPOOL_LOOK, &file, error);
	if (result == STORE_OK)
		result = take_over(spool, &file, error);
	if (result != STORE_OK) {
		spool_close(&spool->base);
		return result;
	}
	*maildrop_out = &spool->base;
	return STORE_OK;
}

/* A bad entry in a cache is no reason to send a user away twice: the next open makes a new one. */
static enum store_result bad_index(struct spool_maildrop *spool, struct error *error)
{
	index_remove(spool->root, spool->place.account);
	error_set(error, ERROR_IO, "the index is damaged and will be made anew");
	return STORE_IO;
}

static enum store_result spool_table(struct maildrop *maildrop, uint32_t first, uint32_t count,
				     bool no_wait, struct maildrop_entry *entries_out,
				     struct error *error)
{
	struct spool_maildrop *spool = of(maildrop);
	while (count > 0) {
		struct index_entry entries[16];
		uint32_t some = count < 16 ? count : 16;
		enum store_result result = index_read(spool->index, first, some, no_wait, entries);
		if (result == STORE_IO)
			return bad_index(spool, error);
		if (result != STORE_OK)
			return result;
		for (uint32_t i = 0; i < some; i++) {
			struct maildrop_entry *entry = &entries_out[i];
			entry->octets = entries[i].octets;
			entry->damaged = false;
			entry->uid_length = entries[i].uid_length;
			memcpy(entry->uid, entries[i].uid, sizeof entry->uid);
		}
		entries_out += some;
		first += some;
		count -= some;
	}
	return STORE_OK;
}

/* ---- reading a message ---- */

/* Another program was at the file. The next opening must not take it for what the index says,
 * though its times may not tell. */
static enum store_result changed(struct spool_maildrop *spool, struct error *error)
{
	struct index_source nothing = {.count = 0};
	struct index *index;
	if (index_open(spool->root, spool->place.account, &index) != INDEX_NONE)
		index_set_source(index, &nothing);
	index_close(index);
	error_set(error, ERROR_TEMPORARY, "the spool was changed by another program");
	return STORE_CHANGED;
}

static enum store_result reading_begin(struct spool_maildrop *spool, uint32_t number, bool no_wait,
				       struct error *error)
{
	if (spool->reading == NULL)
		spool->reading = malloc(sizeof *spool->reading);
	if (spool->reading == NULL)
		return store_failure(error, -ENOMEM, "while reading a message");
	*spool->reading = (struct spool_reading){.number = number};
	enum store_result result =
		index_read(spool->index, number, 1, no_wait, &spool->reading->entry);
	return result == STORE_IO ? bad_index(spool, error) : result;
}

/* Reads the next octets of the content as they stand to `out`. The first time the From line comes
 * with them and is dropped. The checksum counts as soon as all are read. */
static enum store_result read_stored(struct spool_maildrop *spool, bool no_wait, char *out,
				     size_t size, size_t *length_out, struct error *error)
{
	struct spool_reading *reading = spool->reading;
	const struct index_entry *entry = &reading->entry;
	size_t line = reading->position == 0 ? entry->line_octets : 0;
	uint64_t left = line + entry->length - reading->position;
	uint64_t at = entry->offset + entry->line_octets + reading->position - line;
	ssize_t length =
		file_read(spool->file, out, left < size ? (size_t)left : size, at, no_wait);
	bool too_short = length >= 0 && (size_t)length <= line && left > (uint64_t)length;
	if (length == -EAGAIN || (no_wait && line > 0 && too_short))
		return STORE_AGAIN;
	if (length < 0)
		return store_failure(error, (int)length, "while reading a message");
	if ((size_t)length < line || (length == 0 && left > 0))
		return changed(spool, error);
	reading->checksum = crc32c(reading->checksum, (struct bytes){out, (size_t)length});
	reading->crlf = line > 1 ? out[line - 2] == '\r' : reading->crlf;
	memmove(out, out + line, (size_t)length - line);
	*length_out = (size_t)length - line;
	reading->position += *length_out;
	if (reading->position == entry->length && reading->checksum != entry->checksum)
		return changed(spool, error);
	return STORE_OK;
}

/* CRLF becomes LF; a CR at the end is held until it is known what follows. `out` has room for one
 * octet more than `in`, and may begin one octet before it. */
static size_t join_line_ends(struct spool_reading *reading, struct bytes in, char *out)
{
	size_t length = 0;
	for (size_t i = 0; i < in.length; i++) {
		if (reading->held_cr && in.data[i] != '\n')
			out[length++] = '\r';
		reading->held_cr = in.data[i] == '\r';
		if (!reading->held_cr)
			out[length++] = in.data[i];
	}
	return length;
}

/* The last octets: quoting that was held, an LF where there is none. A CR that was held is half a
 * line end. */
static size_t end_of_message(struct spool_reading *reading, char *out)
{
	size_t length = 0;
	reading->in_line = reading->in_line || reading->held_cr;
	reading->held_cr = false;
	if (reading->entry.quoted)
		length += mbox_quote_end(&reading->quote, out + length);
	if (length > 0)
		reading->in_line = out[length - 1] != '\n';
	if (reading->in_line)
		out[length++] = '\n';
	reading->in_line = false;
	return length;
}

/* Room in front of what is read, for what was held back of the piece before. */
#define ROOM_OCTETS (MBOX_QUOTE_HELD + 2)

/* The next octets of the message in stored form. */
static enum store_result read_plain(struct spool_maildrop *spool, bool no_wait, char *out,
				    size_t size, size_t *length_out, struct error *error)
{
	struct spool_reading *reading = spool->reading;
	size_t length = 0;
	char *in = out + ROOM_OCTETS;
	enum store_result result =
		read_stored(spool, no_wait, in, size - 2 * ROOM_OCTETS, &length, error);
	if (result != STORE_OK)
		return result;
	if (reading->crlf) {
		length = join_line_ends(reading, (struct bytes){in, length}, in - 1);
		in--;
	}
	if (reading->entry.quoted)
		length = mbox_quote_remove(&reading->quote, (struct bytes){in, length}, out);
	else
		memmove(out, in, length);
	if (length > 0)
		reading->in_line = out[length - 1] != '\n';
	if (reading->position == reading->entry.length)
		length += end_of_message(reading, out + length);
	reading->offset += length;
	*length_out = length;
	return STORE_OK;
}

static enum store_result spool_read(struct maildrop *maildrop, uint32_t number, uint64_t offset,
				    bool no_wait, char *out, size_t size, size_t *length_out,
				    struct error *error)
{
	struct spool_maildrop *spool = of(maildrop);
	enum store_result result = STORE_OK;
	*length_out = 0;
	if (offset == 0)
		result = reading_begin(spool, number, no_wait, error);
	if (result != STORE_OK)
		return result;
	struct spool_reading *reading = spool->reading;
	assert(reading != NULL && reading->number == number && reading->offset == offset);
	/* A piece may be held back whole until it is known what it is: read on then. */
	for (bool first = offset == 0; result == STORE_OK && *length_out == 0; first = false) {
		if (!first && reading->position == reading->entry.length)
			break;
		result = read_plain(spool, no_wait, out, size, length_out, error);
	}
	if (result == STORE_OK && *length_out == 0) {
		free(spool->reading);
		spool->reading = NULL;
	}
	return result;
}

/* Both stand on the From line, as well as they can be understood: any program may have written it.
 */
static void spool_envelope(struct maildrop *maildrop, uint32_t number,
			   struct maildrop_envelope *envelope_out)
{
	struct spool_maildrop *spool = of(maildrop);
	struct index_entry entry;
	char octets[FROM_LINE_MAX];
	if (index_read(spool->index, number, 1, false, &entry) != STORE_OK)
		return;
	ssize_t length = file_read(spool->file, octets, entry.line_octets, entry.offset, false);
	struct bytes line = {octets, length > 0 ? (size_t)length : 0};
	if (!from_line_begins(line))
		return;
	struct from_line from = from_line_parse(line);
	(void)bytes_to_string(from.sender, envelope_out->sender, sizeof envelope_out->sender);
	if (from.dated)
		envelope_out->received_unix_seconds = from.unix_seconds;
}

static enum store_result spool_renew(struct maildrop *maildrop, struct error *error)
{
	(void)maildrop;
	(void)error;
	return STORE_OK; /* a kernel lock has no lease */
}

/* ---- erasing ---- */

/* Emptied first: in the folder of all users the file itself may not be ours to remove. */
static int erase_file(const struct spool_file *spool, const struct place *place)
{
	struct file *folder = spool->root->mail[place->mail_root];
	if (spool->file == NULL)
		return 0;
	int result = file_set_size(spool->file, 0);
	if (result >= 0)
		result = file_sync(spool->file);
	if (result < 0)
		return result;
	result = file_unlink(folder, place->path);
	if (result == -EACCES || result == -EPERM || result == -ENOENT)
		return 0;
	return result < 0 ? result : names_sync(folder, place->path);
}

static enum store_result spool_erase(const struct store_root *root, const struct place *place,
				     struct error *error)
{
	struct spool_file spool;
	enum store_result result =
		spool_file_open_held(root, place, SPOOL_EXAMINE, NULL, &spool, error);
	if (result != STORE_OK)
		return result;
	int erased = erase_file(&spool, place);
	spool_file_close(&spool);
	index_remove(root, place->account);
	journal_remove(root, place->account);
	journal_append_remove(root, place);
	if (erased >= 0)
		erased = uids_replace(root, uids_owner(place), (struct bytes){0});
	return erased < 0 ? store_failure(error, erased, "while erasing the maildrop") : STORE_OK;
}

const struct store store_spool = {
	.name = "spool",
	.kind = STORE_SPOOL,
	.lease_ms = 0,
	.open = spool_open,
	.table = spool_table,
	.read = spool_read,
	.envelope = spool_envelope,
	.update = spool_update,
	.renew = spool_renew,
	.close = spool_close,
	.prepare = spool_prepare,
	.finish = spool_finish,
	.verify = spool_verify,
	.repair = spool_repair,
	.erase = spool_erase,
};
