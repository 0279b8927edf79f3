/*
 * spool_deliver: messages behind the end of a spool, through the journal (journal_append.h). All of
 * them are written and synced by prepare, and the locks are held until finish; so finish has
 * nothing left that can fail, and taking back is cutting to the old length.
 *
 * Lines that begin with "From " behind any number of '>' get one more '>', because other programs
 * would split the message there; the From line then says how many ("mboxrd=N"), so that the quoting
 * is undone when the message is handed out. A From line without that is what any MTA writes.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/brought.h"
#include "store/journal.h"
#include "store/journal_append.h"
#include "store/lock.h"
#include "store/mbox_quote.h"
#include "store/spool_ids.h"
#include "store/spool_private.h"

struct spool_delivery {
	struct delivery base;
	struct place place;
	struct spool_file spool;
	uint64_t old_size;
	uint64_t length; /* of what was appended */
	struct journal_append append;
	struct spool_message *messages; /* base.count of them, as they stand in the journal */
	struct buffer lines;            /* for ROOT/uids */
};

/* ---- writing into the journal, in big pieces ---- */

struct writer {
	struct journal_append *append;
	size_t length;
	char *octets; /* STORE_WRITE_OCTETS */
};

static int writer_flush(struct writer *writer)
{
	struct bytes piece = {writer->octets, writer->length};
	writer->length = 0;
	return piece.length > 0 ? journal_append_write(writer->append, piece) : 0;
}

static int writer_add(struct writer *writer, struct bytes octets)
{
	while (octets.length > 0) {
		struct bytes part = bytes_first(octets, STORE_WRITE_OCTETS - writer->length);
		memcpy(writer->octets + writer->length, part.data, part.length);
		writer->length += part.length;
		octets = bytes_skip(octets, part.length);
		int result = writer->length == STORE_WRITE_OCTETS ? writer_flush(writer) : 0;
		if (result < 0)
			return result;
	}
	return 0;
}

/* Headers and draft, quoted as one text. */
struct quoting {
	struct writer *writer;
	struct mbox_quote quote;
	bool needed;
};

static int add_text(struct quoting *quoting, struct bytes text)
{
	char quoted[8192 + 8192 / 5 + 16];
	while (text.length > 0) {
		struct bytes part = bytes_first(text, 8192);
		text = bytes_skip(text, part.length);
		if (quoting->needed) {
			part.length = mbox_quote_add(&quoting->quote, part, quoted);
			part.data = quoted;
		}
		int result = writer_add(quoting->writer, part);
		if (result < 0)
			return result;
	}
	return 0;
}

static int add_draft(struct quoting *quoting, const struct draft *draft)
{
	char octets[8192];
	uint64_t end = draft_facts(draft)->length;
	for (uint64_t offset = 0; offset < end;) {
		ssize_t length = draft_read(draft, octets, sizeof octets, offset);
		if (length <= 0)
			return length < 0 ? (int)length : -EIO;
		offset += (uint64_t)length;
		int result = add_text(quoting, (struct bytes){octets, (size_t)length});
		if (result < 0)
			return result;
	}
	return 0;
}

/* ---- one record ---- */

static bool plain_sender(struct bytes sender)
{
	for (size_t i = 0; i < sender.length; i++)
		if (sender.data[i] <= 0x20 || sender.data[i] >= 0x7f)
			return false;
	return sender.length > 0 && sender.length <= FROM_LINE_MAX / 2;
}

static int add_from_line(struct writer *writer, const struct delivery_request *request,
			 uint64_t quoted)
{
	char line[FROM_LINE_MAX], date[CLOCK_DATE_OCTETS], mark[32] = "";
	struct bytes sender = request->sender;
	if (!plain_sender(sender))
		sender = BYTES("MAILER-DAEMON");
	if (quoted > 0)
		snprintf(mark, sizeof mark, " mboxrd=%" PRIu64, quoted);
	int length =
		snprintf(line, sizeof line, "From %.*s %s%s\n", (int)sender.length, sender.data,
			 clock_date_asctime(request->received_unix_seconds, date), mark);
	assert(length > 0 && (size_t)length < sizeof line);
	return writer_add(writer, (struct bytes){line, (size_t)length});
}

static int add_record(struct writer *writer, const struct delivery_request *request)
{
	struct quoting quoting = {.writer = writer};
	mbox_quote_init(&quoting.quote);
	uint64_t quoted = mbox_quote_count(&quoting.quote, request->headers) +
			  draft_facts(request->draft)->quotable;
	quoting.needed = quoted > 0;
	mbox_quote_init(&quoting.quote);
	int result = add_from_line(writer, request, quoted);
	if (result >= 0)
		result = add_text(&quoting, request->headers);
	if (result >= 0)
		result = add_draft(&quoting, request->draft);
	return result >= 0 ? writer_add(writer, BYTES("\n")) : result;
}

/* What another program's torn message lacks to be closed by a blank line. */
static int closing_of(const struct spool_file *spool, struct bytes *closing_out)
{
	char end[3] = {'\n', '\n', '\n'};
	size_t known = spool->size < sizeof end ? (size_t)spool->size : sizeof end;
	ssize_t length =
		file_read(spool->file, end + sizeof end - known, known, spool->size - known, false);
	if (length < 0)
		return (int)length;
	bool line = end[2] == '\n';
	bool blank = line && (end[1] == '\n' || (end[1] == '\r' && end[0] == '\n'));
	*closing_out = blank ? BYTES("") : line ? BYTES("\n") : BYTES("\n\n");
	return 0;
}

static int write_journal(struct spool_delivery *delivery, const struct delivery_request *requests,
			 struct bytes closing)
{
	struct writer writer = {.append = &delivery->append};
	writer.octets = malloc(STORE_WRITE_OCTETS);
	int result = writer.octets != NULL ? writer_add(&writer, closing) : -ENOMEM;
	for (size_t i = 0; i < delivery->base.count && result >= 0; i++)
		result = add_record(&writer, &requests[i]);
	if (result >= 0)
		result = writer_flush(&writer);
	free(writer.octets);
	return result;
}

/* Reads what was written as any session will: so it is known that it will be found again. */
static int look_at_journal(struct spool_delivery *delivery, struct bytes closing)
{
	struct spool_scan scan;
	struct journal_append *append = &delivery->append;
	uint64_t end = JOURNAL_APPEND_DATA + append->length;
	if (!spool_scan_begin(&scan, append->journal, end, JOURNAL_APPEND_DATA + closing.length))
		return -ENOMEM;
	size_t count = 0;
	enum spool_scan_result next = SPOOL_SCAN_MESSAGE;
	for (; count < delivery->base.count && next == SPOOL_SCAN_MESSAGE; count++)
		next = spool_scan_next(&scan, &delivery->messages[count]);
	int result = next == SPOOL_SCAN_FAILED ? scan.problem : 0;
	assert(result < 0 || next == SPOOL_SCAN_MESSAGE);
	spool_scan_end(&scan);
	return result;
}

/* ---- unique-ids ---- */

/* Two that are brought along differ; one of them may be what a message before it was given. */
static bool given_before(const struct spool_delivery *delivery, size_t before, struct bytes uid)
{
	for (size_t i = 0; i < before; i++)
		if (bytes_equal(bytes_of(delivery->base.uids[i]), uid))
			return true;
	return false;
}

/* A key may have come along with another unique-id before, for a copy that is gone. */
static bool brought_otherwise(const struct spool_ids *ids, const char *key, struct bytes uid)
{
	struct bytes other = uids_find(&ids->brought, bytes_of(key));
	return other.length > 0 && !bytes_equal(other, uid);
}

static bool is_key(void *context, const char *key)
{
	return strcmp(context, key) == 0;
}

static enum store_result give_uid(struct spool_delivery *delivery, struct spool_ids *ids, size_t at,
				  struct bytes uid, struct error *error)
{
	char key[SPOOL_KEY_OCTETS];
	char *out = delivery->base.uids[at];
	if (!spool_ids_give(ids, &delivery->messages[at], key))
		return store_failure(error, -ENOMEM, "while giving unique-ids");
	if (uid.length == 0)
		uid = spool_ids_of(ids, key);
	else {
		assert(uid.length <= UID_MAX);
		if (given_before(delivery, at, uid)) {
			error_set(error, ERROR_DATA,
				  "a message with this unique-id is there already");
			return STORE_EXISTS;
		}
		int removed = brought_otherwise(ids, key, uid)
				      ? uids_remove(delivery->spool.root, delivery->spool.owner,
						    is_key, key)
				      : 0;
		if (removed < 0 || !uids_print(&delivery->lines, bytes_of(key), uid))
			return store_failure(error, removed < 0 ? removed : -ENOMEM,
					     "while giving unique-ids");
	}
	memcpy(out, uid.data, uid.length);
	out[uid.length] = '\0';
	return STORE_OK;
}

/* Those that were brought along are on stable storage before the messages are there. */
static enum store_result save_uids(struct spool_delivery *delivery, struct error *error)
{
	const struct spool_file *spool = &delivery->spool;
	struct uids uids;
	uint64_t end;
	if (delivery->lines.length == 0)
		return STORE_OK;
	int result = uids_load(spool->root, spool->owner, &uids);
	if (result >= 0)
		result = uids_mend(spool->root, spool->owner, &uids);
	if (result >= 0)
		result = uids_append(spool->root, spool->owner, buffer_bytes(&delivery->lines),
				     &end);
	uids_free(&uids);
	return result < 0 ? store_failure(error, result, "while keeping unique-ids") : STORE_OK;
}

static enum store_result give_uids(struct spool_delivery *delivery,
				   const struct delivery_request *requests, struct error *error)
{
	struct spool_ids ids;
	struct index_entry entry;
	struct index_walk walk = index_walk(delivery->spool.index);
	enum store_result given =
		brought_are_new(delivery->spool.index, requests, delivery->base.count, error);
	if (given != STORE_OK)
		return given;
	int result = spool_ids_begin(&ids, delivery->spool.root, delivery->spool.owner);
	if (result < 0)
		return store_failure(error, result, "while reading unique-ids");
	bool known = true;
	while (known && index_next(&walk, &entry))
		known = spool_ids_know(&ids, &entry, true);
	if (!known || walk.result != STORE_OK)
		given = store_failure(error, known ? -EIO : -ENOMEM, "while reading the index");
	for (size_t i = 0; i < delivery->base.count && given == STORE_OK; i++)
		given = give_uid(delivery, &ids, i, requests[i].uid, error);
	if (given == STORE_OK)
		given = save_uids(delivery, error);
	spool_ids_end(&ids);
	return given;
}

/* ---- prepare ---- */

static void delivery_free(struct spool_delivery *delivery)
{
	journal_append_end(&delivery->append);
	spool_file_close(&delivery->spool);
	buffer_free(&delivery->lines);
	free(delivery->messages);
	free(delivery->base.uids);
	free(delivery);
}

static struct spool_delivery *delivery_new(const struct place *place, size_t count)
{
	struct spool_delivery *delivery = calloc(1, sizeof *delivery);
	if (delivery == NULL)
		return NULL;
	delivery->base.store = &store_spool;
	delivery->base.count = count;
	delivery->place = *place;
	buffer_init(&delivery->lines, count * (SPOOL_KEY_OCTETS + UID_MAX + 16));
	delivery->base.uids = calloc(count, sizeof *delivery->base.uids);
	delivery->messages = calloc(count, sizeof *delivery->messages);
	if (delivery->base.uids != NULL && delivery->messages != NULL)
		return delivery;
	delivery_free(delivery);
	return NULL;
}

/* An index that cannot be read is a matter of the next opening: nothing is refused because of it.
 */
static enum store_result check_quota(const struct spool_delivery *delivery,
				     const struct delivery_request *requests, struct error *error)
{
	struct index *index = delivery->spool.index;
	struct maildrop_summary now = {.messages = index_count(index)};
	struct index_entry last;
	if (now.messages > 0 && index_read(index, now.messages, 1, false, &last) == STORE_OK)
		now.octets = last.total_octets;
	return store_quota_check(&delivery->place, now, requests, delivery->base.count, error);
}

static enum store_result append(struct spool_delivery *delivery,
				const struct delivery_request *requests, struct error *error)
{
	struct spool_file *spool = &delivery->spool;
	struct bytes closing;
	int result = closing_of(spool, &closing);
	if (result >= 0)
		result = journal_append_begin(spool->root, &delivery->place, &delivery->append);
	if (result >= 0)
		result = write_journal(delivery, requests, closing);
	if (result >= 0)
		result = look_at_journal(delivery, closing);
	if (result < 0)
		return store_failure(error, result, "while writing a message to the journal");
	enum store_result given = give_uids(delivery, requests, error);
	if (given != STORE_OK)
		return given;
	delivery->old_size = spool->size;
	delivery->length = delivery->append.length;
	result = journal_append_do(&delivery->append, spool->file, spool->size);
	journal_append_end(&delivery->append);
	if (result == -EAGAIN) {
		error_set(error, ERROR_TEMPORARY, "another program has appended to the spool");
		return STORE_AGAIN;
	}
	return result < 0 ? store_failure(error, result, "while writing to the spool") : STORE_OK;
}

enum store_result spool_prepare(const struct store_root *root, const struct place *place,
				const struct delivery_request *requests, size_t count,
				struct delivery **delivery_out, struct error *error)
{
	struct spool_delivery *delivery = delivery_new(place, count);
	if (delivery == NULL)
		return store_failure(error, -ENOMEM, "while delivering");
	enum store_result result =
		spool_file_open(root, place, SPOOL_DELIVER, &delivery->spool, error);
	if (result == STORE_OK)
		result = check_quota(delivery, requests, error);
	if (result == STORE_OK)
		result = append(delivery, requests, error);
	if (result != STORE_OK) {
		delivery_free(delivery);
		return result;
	}
	*delivery_out = &delivery->base;
	return STORE_OK;
}

/* ---- finish ---- */

/* Are the octets from the old end on still those that were appended? */
static int still_ours(const struct spool_delivery *delivery)
{
	uint64_t shift = delivery->old_size - JOURNAL_APPEND_DATA;
	int result = 1;
	for (size_t i = 0; i < delivery->base.count && result == 1; i++) {
		struct index_entry entry = spool_entry(&delivery->messages[i], BYTES("-"));
		entry.offset += shift;
		result = spool_entry_proved(delivery->spool.file, &entry);
	}
	return result;
}

/* A program that does not look at locks may have appended behind what is taken back. */
static enum store_result take_back(struct spool_delivery *delivery, struct error *error)
{
	struct spool_file *spool = &delivery->spool;
	uint64_t end = delivery->old_size + delivery->length;
	struct file_status status;
	int result = still_ours(delivery);
	if (result > 0)
		result = file_status(spool->file, &status) < 0 ? -EIO : 1;
	if (result > 0 && status.size_octets > end) {
		struct range keep[] = {{0, delivery->old_size}, {end, status.size_octets}};
		bool front = delivery->old_size > 0;
		return journal_compact(spool->root, &delivery->place, spool->file,
				       status.size_octets, front ? keep : keep + 1, front ? 2 : 1,
				       true, error);
	}
	if (result > 0) {
		result = file_set_size(spool->file, delivery->old_size);
		if (result >= 0)
			result = file_sync(spool->file);
	} else if (result == 0) {
		result = -ESTALE;
	}
	return result < 0 ? store_failure(error, result, "while taking a delivery back") : STORE_OK;
}

/* The index is left as it is: what is new is read by whoever opens the spool next. */
enum store_result spool_finish(struct delivery *base, bool commit, struct error *error)
{
	struct spool_delivery *delivery = (struct spool_delivery *)base;
	enum store_result result = commit ? STORE_OK : take_back(delivery, error);
	delivery_free(delivery);
	return result;
}
