/*
 * mbox: the own mbox, a file that only Postern writes (docs/design/0004-store.md). This file is
 * what a session sees of it; delivering, removing and verifying stand in mbox_*.c.
 *
 * A session holds the session lock, the mbox file and the index file, and beside them nothing that
 * grows with the maildrop: the table is read from the index when it is asked for.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "store/journal.h"
#include "store/lock.h"
#include "store/mbox_line.h"
#include "store/mbox_private.h"
#include "store/mbox_quote.h"
#include "store/names.h"

/* The message that is being read. */
struct mbox_reading {
	uint32_t number;
	uint32_t checksum;
	uint64_t offset;   /* octets handed out */
	uint64_t position; /* octets of the content in the file that were read */
	struct mbox_quote quote;
	struct index_entry entry;
};

static struct mbox_maildrop *of(struct maildrop *maildrop)
{
	return (struct mbox_maildrop *)maildrop;
}

static void mbox_close(struct maildrop *maildrop)
{
	struct mbox_maildrop *mbox = of(maildrop);
	index_close(mbox->index);
	file_close(mbox->file);
	file_close(mbox->session_lock);
	free(mbox->reading);
	free(mbox);
}

static struct mbox_maildrop *maildrop_new(const struct store_root *root, const struct place *place)
{
	size_t path_octets = strlen(place->path) + 1;
	struct mbox_maildrop *mbox = calloc(1, sizeof *mbox + path_octets);
	if (mbox == NULL)
		return NULL;
	mbox->base.store = &store_mbox;
	mbox->root = root;
	mbox->account = place->account;
	mbox->generation = place->generation;
	mbox->mail_root = place->mail_root;
	memcpy(mbox->path, place->path, path_octets);
	return mbox;
}

/* Takes over file and index of a mailbox file that is in order, and gives its lock back. */
static enum store_result take_over(struct mbox_maildrop *mbox, struct mbox_file *from,
				   struct error *error)
{
	enum store_result result = STORE_OK;
	if (from->index != NULL && index_count(from->index) > 0) {
		struct index_entry last;
		uint32_t count = index_count(from->index);
		result = index_read(from->index, count, 1, false, &last);
		mbox->base.summary = (struct maildrop_summary){count, last.total_octets};
	}
	if (result != STORE_OK)
		error_set(error, ERROR_IO, "the index cannot be read");
	mbox->file = from->file;
	mbox->index = from->index;
	from->file = NULL;
	from->index = NULL;
	mbox_file_close(from);
	return result;
}

static enum store_result mbox_open(const struct store_root *root, const struct place *place,
				   unsigned flags, struct maildrop **maildrop_out,
				   struct error *error)
{
	struct mbox_file file;
	enum store_result result = STORE_OK;
	struct mbox_maildrop *mbox = maildrop_new(root, place);
	if (mbox == NULL)
		return store_failure(error, -ENOMEM, "while opening the maildrop");
	if ((flags & STORE_PEEK) == 0)
		result = lock_session(root, place->account, &mbox->session_lock, error);
	if (result == STORE_OK)
		result = mbox_file_open(root, place, &file, error);
	if (result == STORE_OK)
		result = take_over(mbox, &file, error);
	if (result != STORE_OK) {
		mbox_close(&mbox->base);
		return result;
	}
	*maildrop_out = &mbox->base;
	return STORE_OK;
}

/* A bad entry in a cache is no reason to send a user away twice: the next open makes a new one. */
static enum store_result bad_index(struct mbox_maildrop *mbox, struct error *error)
{
	index_remove(mbox->root, mbox->account);
	error_set(error, ERROR_IO, "the index is damaged and will be made anew");
	return STORE_IO;
}

static enum store_result mbox_table(struct maildrop *maildrop, uint32_t first, uint32_t count,
				    bool no_wait, struct maildrop_entry *entries_out,
				    struct error *error)
{
	struct mbox_maildrop *mbox = of(maildrop);
	while (count > 0) {
		struct index_entry entries[16];
		uint32_t some = count < 16 ? count : 16;
		enum store_result result = index_read(mbox->index, first, some, no_wait, entries);
		if (result == STORE_IO)
			return bad_index(mbox, error);
		if (result != STORE_OK)
			return result;
		for (uint32_t i = 0; i < some; i++) {
			struct maildrop_entry *entry = &entries_out[i];
			entry->octets = entries[i].octets;
			entry->damaged = entries[i].damaged;
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

/* The file is not what the index says: another program was at it, or the disk has lost what it had
 * called stable. The next opening reads the file itself. */
static enum store_result changed(struct mbox_maildrop *mbox, struct error *error)
{
	index_remove(mbox->root, mbox->account);
	error_set(error, ERROR_TEMPORARY, "the mailbox file was changed by another program");
	return STORE_CHANGED;
}

/* The next opening finds out by itself, and from then on the message is refused, not cut off. */
static enum store_result damaged(struct mbox_maildrop *mbox, struct error *error)
{
	if (!mbox->reading->entry.damaged)
		index_remove(mbox->root, mbox->account);
	error_set(error, ERROR_DATA, "the message fails its checksum");
	return STORE_IO;
}

static enum store_result reading_begin(struct mbox_maildrop *mbox, uint32_t number, bool no_wait,
				       struct error *error)
{
	if (mbox->reading == NULL)
		mbox->reading = malloc(sizeof *mbox->reading);
	if (mbox->reading == NULL)
		return store_failure(error, -ENOMEM, "while reading a message");
	*mbox->reading = (struct mbox_reading){.number = number};
	enum store_result result =
		index_read(mbox->index, number, 1, no_wait, &mbox->reading->entry);
	if (result == STORE_IO)
		return bad_index(mbox, error);
	if (result == STORE_OK && mbox->reading->entry.damaged)
		return damaged(mbox, error);
	return result;
}

/* Is the From line that was read in front of the content the one of our entry? */
static bool line_agrees(const struct index_entry *entry, const char *octets)
{
	struct mbox_line line;
	return mbox_line_parse((struct bytes){octets, entry->line_octets}, &line) == MBOX_LINE_OK &&
	       line.length == entry->length && line.checksum == entry->checksum &&
	       line.uid_length == entry->uid_length &&
	       memcmp(line.uid, entry->uid, line.uid_length) == 0;
}

/* Reads the next stored octets of the content to `out`. The first time the From line comes with
 * them, is checked and dropped. 0 with *length_out 0: the file has ended too early. */
static enum store_result read_stored(struct mbox_maildrop *mbox, bool no_wait, char *out,
				     size_t size, size_t *length_out, struct error *error)
{
	struct mbox_reading *reading = mbox->reading;
	const struct index_entry *entry = &reading->entry;
	size_t line = reading->position == 0 ? entry->line_octets : 0;
	uint64_t left = line + entry->length - reading->position;
	uint64_t at = entry->offset + entry->line_octets + reading->position - line;
	ssize_t length = file_read(mbox->file, out, left < size ? (size_t)left : size, at, no_wait);
	bool too_short = length >= 0 && (size_t)length <= line && left > (uint64_t)length;
	if (length == -EAGAIN || (no_wait && line > 0 && too_short))
		return STORE_AGAIN;
	if (length < 0)
		return store_failure(error, (int)length, "while reading a message");
	if ((size_t)length < line || (line > 0 && !line_agrees(entry, out)))
		return changed(mbox, error);
	memmove(out, out + line, (size_t)length - line);
	*length_out = (size_t)length - line;
	reading->position += *length_out;
	return STORE_OK;
}

/* The next octets of the message in stored form; their checksum counts as soon as all are read. */
static enum store_result read_plain(struct mbox_maildrop *mbox, bool no_wait, char *out,
				    size_t size, size_t *length_out, struct error *error)
{
	struct mbox_reading *reading = mbox->reading;
	const struct index_entry *entry = &reading->entry;
	/* Unquoting puts out what it held back: it works in place with some room in front. */
	size_t room = entry->quoted ? MBOX_QUOTE_HELD : 0, length = 0;
	enum store_result result =
		read_stored(mbox, no_wait, out + room, size - room, &length, error);
	if (result != STORE_OK)
		return result;
	if (length == 0 && reading->position < entry->length)
		return changed(mbox, error);
	if (entry->quoted)
		length =
			mbox_quote_remove(&reading->quote, (struct bytes){out + room, length}, out);
	reading->checksum = crc32c(reading->checksum, (struct bytes){out, length});
	reading->offset += length;
	*length_out = length;
	if (reading->position == entry->length && reading->checksum != entry->checksum)
		return damaged(mbox, error);
	return STORE_OK;
}

static enum store_result mbox_read(struct maildrop *maildrop, uint32_t number, uint64_t offset,
				   bool no_wait, char *out, size_t size, size_t *length_out,
				   struct error *error)
{
	struct mbox_maildrop *mbox = of(maildrop);
	enum store_result result = STORE_OK;
	*length_out = 0;
	if (offset == 0)
		result = reading_begin(mbox, number, no_wait, error);
	if (result != STORE_OK)
		return result;
	struct mbox_reading *reading = mbox->reading;
	assert(reading != NULL && reading->number == number && reading->offset == offset);
	/* A piece may be held back whole until it is known whether it is quoting: read on then. */
	for (bool first = offset == 0; result == STORE_OK && *length_out == 0; first = false) {
		if (!first && reading->position == reading->entry.length)
			break;
		result = read_plain(mbox, no_wait, out, size, length_out, error);
	}
	if (result == STORE_OK && *length_out == 0) {
		free(mbox->reading);
		mbox->reading = NULL;
	}
	return result;
}

/* Both stand on the From line; one that is not ours any more says nothing. */
static void mbox_envelope(struct maildrop *maildrop, uint32_t number,
			  struct maildrop_envelope *envelope_out)
{
	struct mbox_maildrop *mbox = of(maildrop);
	struct index_entry entry;
	char octets[FROM_LINE_MAX];
	struct mbox_line line;
	if (index_read(mbox->index, number, 1, false, &entry) != STORE_OK)
		return;
	ssize_t length = file_read(mbox->file, octets, entry.line_octets, entry.offset, false);
	struct bytes text = {octets, length > 0 ? (size_t)length : 0};
	if (mbox_line_parse(text, &line) != MBOX_LINE_OK)
		return;
	envelope_out->received_unix_seconds = line.received_unix_seconds;
	struct bytes sender = mbox_line_sender(text);
	if (!bytes_equal(sender, BYTES("MAILER-DAEMON")))
		(void)bytes_to_string(sender, envelope_out->sender, sizeof envelope_out->sender);
}

static enum store_result mbox_renew(struct maildrop *maildrop, struct error *error)
{
	(void)maildrop;
	(void)error;
	return STORE_OK; /* a kernel lock has no lease */
}

struct erasing {
	const struct store_root *root;
	char prefix[48];
};

static bool erase_aside(void *context, const char *name)
{
	struct erasing *erasing = context;
	if (bytes_start_with(bytes_of(name), bytes_of(erasing->prefix)))
		file_unlink(erasing->root->journal, name);
	return true;
}

static enum store_result mbox_erase(const struct store_root *root, const struct place *place,
				    struct error *error)
{
	char temporary[MAILDROP_PATH_MAX + 64];
	struct file *folder = root->mail[place->mail_root];
	struct erasing erasing = {.root = root};
	mbox_temporary_name(place, temporary);
	file_unlink(folder, temporary);
	int result = file_unlink(folder, place->path);
	if (result >= 0 || result == -ENOENT)
		result = names_sync(folder, place->path);
	if (result == -ENOENT) /* not even a folder: it never got mail */
		result = 0;
	index_remove(root, place->account);
	journal_remove(root, place->account);
	snprintf(erasing.prefix, sizeof erasing.prefix, "aside.%" PRIu64 ".", place->account);
	if (result >= 0)
		result = file_list(root->journal, erase_aside, &erasing);
	return result < 0 ? store_failure(error, result, "while erasing the maildrop") : STORE_OK;
}

const struct store store_mbox = {
	.name = "mbox",
	.kind = STORE_MBOX,
	.lease_ms = 0,
	.open = mbox_open,
	.table = mbox_table,
	.read = mbox_read,
	.envelope = mbox_envelope,
	.update = mbox_update,
	.renew = mbox_renew,
	.close = mbox_close,
	.prepare = mbox_prepare,
	.finish = mbox_finish,
	.verify = mbox_verify,
	.repair = mbox_repair,
	.erase = mbox_erase,
};
