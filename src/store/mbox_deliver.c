/*
 * mbox_deliver: records behind the end of an own mbox. All of them are written and synced by
 * prepare, so that finish has nothing left that can fail; taking back is cutting to the old length.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/random.h"
#include "base/wire.h"
#include "store/brought.h"
#include "store/lock.h"
#include "store/mbox_line.h"
#include "store/mbox_private.h"
#include "store/mbox_quote.h"
#include "store/names.h"

struct mbox_delivery {
	struct delivery base;
	struct mbox_file mbox;
	uint64_t old_end;
	struct index_entry *entries; /* base.count of them */
};

/* ---- writing in big pieces ---- */

struct writer {
	struct file *file;
	uint64_t offset;
	size_t length;
	char *octets; /* STORE_WRITE_OCTETS, and room for what quoting adds to one read */
};

static int writer_flush(struct writer *writer)
{
	struct bytes piece = {writer->octets, writer->length};
	int result = piece.length > 0 ? file_write(writer->file, &piece, 1, writer->offset) : 0;
	writer->offset += writer->length;
	writer->length = 0;
	return result;
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

static int writer_add_draft(struct writer *writer, const struct draft *draft)
{
	char octets[8192], quoted[8192 + 8192 / 5 + 16];
	const struct draft_facts *facts = draft_facts(draft);
	struct mbox_quote quote;
	mbox_quote_init(&quote);
	for (uint64_t offset = 0; offset < facts->length;) {
		ssize_t length = draft_read(draft, octets, sizeof octets, offset);
		if (length <= 0)
			return length < 0 ? (int)length : -EIO;
		struct bytes piece = {octets, (size_t)length};
		offset += piece.length;
		if (facts->quotable > 0) {
			piece.length = mbox_quote_add(&quote, piece, quoted);
			piece.data = quoted;
		}
		int result = writer_add(writer, piece);
		if (result < 0)
			return result;
	}
	return 0;
}

/* ---- one record ---- */

static void describe(const struct delivery_request *request, struct mbox_line *line,
		     struct index_entry *entry)
{
	const struct draft_facts *facts = draft_facts(request->draft);
	struct bytes headers = request->headers;
	struct wire_size size = {0};
	assert(headers.length == 0 || headers.data[headers.length - 1] == '\n');
	wire_size_add(&size, headers);
	line->length = headers.length + facts->length + facts->quotable;
	line->quoted = facts->quotable;
	line->checksum = crc32c_combine(crc32c(0, headers), facts->checksum, facts->length);
	line->received_unix_seconds = request->received_unix_seconds;
	entry->length = line->length;
	entry->octets = wire_size_octets(&size) + facts->wire_octets;
	entry->checksum = line->checksum;
	entry->uid_length = line->uid_length;
	entry->quoted = line->quoted > 0;
	memcpy(entry->uid, line->uid, sizeof entry->uid);
}

static int write_record(struct writer *writer, const struct delivery_request *request,
			const char *uid, struct index_entry *entry)
{
	char text[FROM_LINE_MAX];
	struct mbox_line line = {.uid_length = (uint8_t)strlen(uid)};
	memcpy(line.uid, uid, line.uid_length);
	describe(request, &line, entry);
	entry->offset = writer->offset + writer->length;
	size_t length = mbox_line_print(&line, request->sender, text);
	entry->line_octets = line.octets;
	int result = writer_add(writer, (struct bytes){text, length});
	if (result >= 0)
		result = writer_add(writer, request->headers);
	if (result >= 0)
		result = writer_add_draft(writer, request->draft);
	return result >= 0 ? writer_add(writer, BYTES("\n")) : result;
}

static int write_all(struct mbox_delivery *delivery, const struct delivery_request *requests)
{
	struct writer writer = {.file = delivery->mbox.file, .offset = delivery->old_end};
	writer.octets = malloc(STORE_WRITE_OCTETS);
	int result = writer.octets != NULL ? 0 : -ENOMEM;
	for (size_t i = 0; i < delivery->base.count && result >= 0; i++)
		result = write_record(&writer, &requests[i], delivery->base.uids[i],
				      &delivery->entries[i]);
	if (result >= 0)
		result = writer_flush(&writer);
	free(writer.octets);
	return result >= 0 ? file_sync(delivery->mbox.file) : result;
}

/* ---- where they go ---- */

static enum store_result give_uids(struct mbox_delivery *delivery,
				   const struct delivery_request *requests, struct error *error)
{
	enum store_result result =
		brought_are_new(delivery->mbox.index, requests, delivery->base.count, error);
	for (size_t i = 0; i < delivery->base.count && result == STORE_OK; i++) {
		struct bytes uid = requests[i].uid;
		char *out = delivery->base.uids[i];
		if (uid.length == 0) {
			random_uid(out);
			continue;
		}
		assert(uid.length <= UID_MAX);
		memcpy(out, uid.data, uid.length);
		out[uid.length] = '\0';
	}
	return result;
}

static void delivery_free(struct mbox_delivery *delivery)
{
	mbox_file_close(&delivery->mbox);
	free(delivery->entries);
	free(delivery->base.uids);
	free(delivery);
}

static struct mbox_delivery *delivery_new(size_t count)
{
	struct mbox_delivery *delivery = calloc(1, sizeof *delivery);
	if (delivery == NULL)
		return NULL;
	delivery->base.store = &store_mbox;
	delivery->base.count = count;
	delivery->base.uids = calloc(count, sizeof *delivery->base.uids);
	delivery->entries = calloc(count, sizeof *delivery->entries);
	if (delivery->base.uids != NULL && delivery->entries != NULL)
		return delivery;
	delivery_free(delivery);
	return NULL;
}

/* Writes and syncs; on failure the file is as long as before. */
static int append(struct mbox_delivery *delivery, const struct store_root *root,
		  const struct place *place, const struct delivery_request *requests)
{
	struct mbox_file *mbox = &delivery->mbox;
	int result = mbox->file == NULL
			     ? names_create(root->mail[place->mail_root], place->path, &mbox->file)
			     : 0;
	if (result < 0)
		return result;
	if (mbox->size > mbox->end)
		return -ENOSPC;
	delivery->old_end = mbox->end;
	result = write_all(delivery, requests);
	if (result >= 0 && !mbox->names_synced)
		result = names_sync(root->mail[place->mail_root], place->path);
	if (result < 0)
		file_set_size(mbox->file, delivery->old_end);
	return result;
}

/* An index that cannot be read is a matter of the next opening: nothing is refused because of it.
 */
static enum store_result check_quota(const struct mbox_file *mbox, const struct place *place,
				     const struct delivery_request *requests, size_t count,
				     struct error *error)
{
	struct maildrop_summary now = {.messages = mbox->index ? index_count(mbox->index) : 0};
	struct index_entry last;
	if (now.messages > 0 && index_read(mbox->index, now.messages, 1, false, &last) == STORE_OK)
		now.octets = last.total_octets;
	return store_quota_check(place, now, requests, count, error);
}

enum store_result mbox_prepare(const struct store_root *root, const struct place *place,
			       const struct delivery_request *requests, size_t count,
			       struct delivery **delivery_out, struct error *error)
{
	struct mbox_delivery *delivery = delivery_new(count);
	if (delivery == NULL)
		return store_failure(error, -ENOMEM, "while delivering");
	enum store_result result = mbox_file_open(root, place, &delivery->mbox, error);
	if (result == STORE_OK)
		result = check_quota(&delivery->mbox, place, requests, count, error);
	if (result == STORE_OK)
		result = give_uids(delivery, requests, error);
	if (result == STORE_OK) {
		int written = append(delivery, root, place, requests);
		if (written < 0)
			result = store_failure(error, written, "while writing to the maildrop");
	}
	if (result != STORE_OK) {
		delivery_free(delivery);
		return result;
	}
	*delivery_out = &delivery->base;
	return STORE_OK;
}

/* What is on stable storage may go into the index now. */
static void add_to_index(struct mbox_delivery *delivery)
{
	struct mbox_file *mbox = &delivery->mbox;
	struct index_builder builder;
	if (mbox->index != NULL) {
		for (size_t i = 0; i < delivery->base.count; i++)
			if (!index_append(mbox->index, &delivery->entries[i]))
				break; /* the rest is taken in from the file at the next opening */
		return;
	}
	index_builder_init(&builder);
	bool added = true;
	for (size_t i = 0; i < delivery->base.count && added; i++)
		added = index_builder_add(&builder, &delivery->entries[i]);
	if (added)
		mbox->index = index_builder_finish(&builder, mbox->root, mbox->account);
	else
		index_builder_free(&builder);
}

enum store_result mbox_finish(struct delivery *base, bool commit, struct error *error)
{
	struct mbox_delivery *delivery = (struct mbox_delivery *)base;
	int result = 0;
	if (commit)
		add_to_index(delivery);
	else
		result = file_set_size(delivery->mbox.file, delivery->old_end);
	delivery_free(delivery);
	return result < 0 ? store_failure(error, result, "while taking a delivery back") : STORE_OK;
}
