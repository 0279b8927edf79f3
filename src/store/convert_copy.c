/*
 * convert_copy: see convert_copy.h. Messages go in batches, each all or nothing, because a batch
 * costs one sync. Must not know: how any kind keeps its mail.
 */
#include "store/convert_copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/lock.h"
#include "store/uid_set.h"

#define BATCH_MESSAGES 256
#define BATCH_OCTETS   (8ULL * 1024 * 1024)
#define TABLE_BLOCK    64
#define READ_OCTETS    (64 * 1024)

struct copied {
	struct draft *draft;
	struct maildrop_entry entry;
	struct maildrop_envelope envelope;
};

struct copier {
	struct copying *work;
	char *octets; /* READ_OCTETS */
	struct uid_set known;
	struct copied batch[BATCH_MESSAGES];
	struct delivery_request requests[BATCH_MESSAGES];
	size_t count;
	uint64_t batch_octets;
	int64_t last_unix_seconds;
};

static enum store_result no_memory(struct error *error)
{
	return store_failure(error, -ENOMEM, "while copying messages");
}

static void clear(struct copier *copier)
{
	for (size_t i = 0; i < copier->count; i++)
		draft_free(copier->batch[i].draft);
	copier->count = 0;
	copier->batch_octets = 0;
}

static enum store_result deliver(struct copier *copier, struct error *error)
{
	struct delivery *delivery;
	if (copier->count == 0)
		return STORE_OK;
	for (size_t i = 0; i < copier->count; i++) {
		const struct copied *copied = &copier->batch[i];
		copier->requests[i] = (struct delivery_request){
			.draft = copied->draft,
			.sender = bytes_of(copied->envelope.sender),
			.uid = {copied->entry.uid, copied->entry.uid_length},
			.received_unix_seconds = copied->envelope.received_unix_seconds,
		};
	}
	enum store_result result =
		delivery_prepare(copier->work->root, copier->work->to, copier->requests,
				 copier->count, &delivery, error);
	if (result == STORE_OK)
		result = delivery_finish(delivery, true, error);
	if (result == STORE_OK)
		copier->work->messages += copier->count;
	clear(copier);
	return result;
}

/* ---- one message ---- */

static enum store_result fill(struct copier *copier, uint32_t number, struct draft *draft,
			      struct error *error)
{
	uint64_t offset = 0;
	for (;;) {
		size_t length;
		enum store_result result =
			maildrop_read(copier->work->from, number, offset, false, copier->octets,
				      READ_OCTETS, &length, error);
		if (result != STORE_OK || length == 0)
			return result;
		if (draft_write(draft, (struct bytes){copier->octets, length}, error) != ERROR_NONE)
			return error->code == ERROR_FULL ? STORE_FULL : STORE_IO;
		offset += length;
	}
}

/* A Maildir's order is that of its names, which begin with the time: there a message is never
 * older than the one before it. */
static void take_envelope(struct copier *copier, uint32_t number, struct copied *copied)
{
	maildrop_envelope(copier->work->from, number, &copied->envelope);
	if (copier->work->to->kind != STORE_MAILDIR)
		return;
	if (copied->envelope.received_unix_seconds < copier->last_unix_seconds)
		copied->envelope.received_unix_seconds = copier->last_unix_seconds;
	copier->last_unix_seconds = copied->envelope.received_unix_seconds;
}

static enum store_result take(struct copier *copier, uint32_t number,
			      const struct maildrop_entry *entry, struct error *error)
{
	struct copied *copied = &copier->batch[copier->count];
	*copied = (struct copied){.entry = *entry};
	copied->draft = draft_new(copier->work->root->mail[0], INT64_MAX);
	if (copied->draft == NULL)
		return no_memory(error);
	copier->count++;
	copier->batch_octets += entry->octets;
	take_envelope(copier, number, copied);
	enum store_result result = fill(copier, number, copied->draft, error);
	if (result == STORE_OK && draft_seal(copied->draft, error) != ERROR_NONE)
		result = error->code == ERROR_FULL ? STORE_FULL : STORE_IO;
	if (result != STORE_OK) {
		error_prefix(error, "message %lu: ", (unsigned long)number);
		return result;
	}
	if (copier->count == BATCH_MESSAGES || copier->batch_octets >= BATCH_OCTETS)
		result = deliver(copier, error);
	return result;
}

/* ---- which ones ---- */

static enum store_result learn_known(struct copier *copier, struct error *error)
{
	struct maildrop *to;
	if (!copier->work->skip_known)
		return STORE_OK;
	enum store_result result =
		maildrop_open(copier->work->root, copier->work->to, STORE_PEEK, &to, error);
	if (result != STORE_OK)
		return result;
	result = uid_set_take(&copier->known, to, error);
	maildrop_close(to);
	return result;
}

static enum store_result copy_block(struct copier *copier, uint32_t first, uint32_t count,
				    struct error *error)
{
	struct maildrop_entry entries[TABLE_BLOCK];
	enum store_result result =
		maildrop_table(copier->work->from, first, count, false, entries, error);
	for (uint32_t i = 0; i < count && result == STORE_OK; i++)
		if (!uid_set_has(&copier->known, entries[i].uid) &&
		    (copier->work->skip == NULL ||
		     !uid_set_has(copier->work->skip, entries[i].uid)))
			result = take(copier, first + i, &entries[i], error);
	return result;
}

static enum store_result copy_all(struct copier *copier, struct error *error)
{
	struct copying *work = copier->work;
	uint32_t total = maildrop_summary(work->from).messages;
	enum store_result result = learn_known(copier, error);
	for (uint32_t first = 1; first <= total && result == STORE_OK; first += TABLE_BLOCK) {
		uint32_t left = total - first + 1;
		result = copy_block(copier, first, left < TABLE_BLOCK ? left : TABLE_BLOCK, error);
		if (work->progress != NULL)
			work->progress(work->context, work->messages, total);
		if (total - first < TABLE_BLOCK)
			break;
	}
	return result == STORE_OK ? deliver(copier, error) : result;
}

enum store_result convert_copy(struct copying *copying, struct error *error)
{
	struct copier *copier = calloc(1, sizeof *copier);
	if (copier == NULL)
		return no_memory(error);
	copier->work = copying;
	copier->octets = malloc(READ_OCTETS);
	enum store_result result =
		copier->octets != NULL ? copy_all(copier, error) : no_memory(error);
	clear(copier);
	free(copier->octets);
	uid_set_free(&copier->known);
	free(copier);
	return result;
}

/* ---- is it the same? ---- */

static enum store_result differ(struct error *error, uint32_t number)
{
	error_set(error, ERROR_DATA,
		  "message %lu of the copy is not that of the maildrop: nothing was changed",
		  (unsigned long)number);
	return STORE_IO;
}

/* The message of `to` that this one has become, at *at or behind it: what other programs have
 * delivered there meanwhile stands between. */
static enum store_result find_twin(struct maildrop *to, const struct maildrop_entry *mine,
				   uint32_t number, uint32_t *at, struct error *error)
{
	while (*at <= maildrop_summary(to).messages) {
		struct maildrop_entry other;
		enum store_result result = maildrop_table(to, (*at)++, 1, false, &other, error);
		if (result != STORE_OK)
			return result;
		if (mine->octets == other.octets && strcmp(mine->uid, other.uid) == 0)
			return STORE_OK;
	}
	return differ(error, number);
}

enum store_result convert_compare(struct maildrop *from, struct maildrop *to, struct error *error)
{
	enum store_result result = STORE_OK;
	uint32_t at = 1;
	for (uint32_t number = 1; number <= maildrop_summary(from).messages && result == STORE_OK;
	     number++) {
		struct maildrop_entry mine;
		result = maildrop_table(from, number, 1, false, &mine, error);
		if (result == STORE_OK)
			result = find_twin(to, &mine, number, &at, error);
	}
	return result;
}
