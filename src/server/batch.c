/*
 * batch: prepares all deliveries of a message, then finishes all.
 *
 * The order of accounts is the same for everybody, so two messages to the same maildrops cannot
 * hold each other up for ever. Only a maildrop that was held at the last try comes first: as long
 * as somebody holds it, no octet is written for the others again and again. (Nobody waits for a
 * lock; two who get in each other's way by that are parted by the chance in their pauses.)
 */
#include "server/batch.h"

#include <string.h>

/* ---- outcomes ---- */

static enum error_code outcome_of(enum store_result result, const struct error *error)
{
	switch (result) {
	case STORE_OK:
		return ERROR_NONE;
	case STORE_FULL: /* the disk, or a quota */
		return error->code == ERROR_QUOTA || error->code == ERROR_TOO_LARGE ? error->code
										    : ERROR_FULL;
	case STORE_IO:
		return error->code != ERROR_NONE ? error->code : ERROR_IO;
	default: /* held, moved, or not known: the sender keeps it and tries again */
		return ERROR_TEMPORARY;
	}
}

static void settle(struct batch_recipient *recipient, enum error_code outcome)
{
	recipient->done = true;
	recipient->outcome = outcome;
}

static void fail_all(struct batch *batch, enum error_code outcome, const struct error *error)
{
	for (size_t i = 0; i < batch->count; i++) {
		if (batch->recipients[i].done && batch->recipients[i].outcome != ERROR_NONE)
			continue;
		settle(&batch->recipients[i], outcome);
		batch->recipients[i].error = *error;
	}
}

/* ---- order ---- */

/* Fills `order` with the recipients to be tried, one for each account, ascending; marks the others
 * of an account as copies. */
static size_t sort(struct batch *batch, struct batch_recipient **order)
{
	size_t count = 0;

	for (size_t i = 0; i < batch->count; i++) {
		struct batch_recipient *recipient = &batch->recipients[i];
		size_t at = count;

		recipient->copy = false;
		if (recipient->done)
			continue;
		while (at > 0 && order[at - 1]->place.account > recipient->place.account)
			at--;
		if (at > 0 && order[at - 1]->place.account == recipient->place.account) {
			recipient->copy = true;
			continue;
		}
		memmove(order + at + 1, order + at, (count - at) * sizeof(*order));
		order[at] = recipient;
		count++;
	}
	return count;
}

static void move_held_to_front(const struct batch *batch, struct batch_recipient **order,
			       size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct batch_recipient *recipient = order[i];

		if (recipient != batch->held)
			continue;
		memmove(order + 1, order, i * sizeof(*order));
		order[0] = recipient;
	}
}

static void settle_copies(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct batch_recipient *copy = &batch->recipients[i];

		for (size_t j = 0; copy->copy && !copy->done && j < batch->count; j++) {
			const struct batch_recipient *original = &batch->recipients[j];

			if (original->copy || original->place.account != copy->place.account)
				continue;
			settle(copy, original->outcome);
			copy->error = original->error;
			memcpy(copy->uid, original->uid, sizeof(copy->uid));
		}
	}
}

/* ---- preparing ---- */

static enum store_result prepare(struct batch *batch, struct batch_recipient *recipient)
{
	struct delivery_request request = {.draft = batch->draft,
					   .sender = batch->trace.sender,
					   .received_unix_seconds = batch->received_unix_seconds};
	struct buffer headers;
	enum store_result result = STORE_UNKNOWN;

	buffer_init(&headers, TRACE_OCTETS_MAX);
	batch->trace.recipient = bytes_of(recipient->account);
	if (trace_print(&batch->trace, &headers)) {
		request.headers = buffer_bytes(&headers);
		result = delivery_prepare(batch->root, &recipient->place, &request, 1,
					  &recipient->delivery, &recipient->error);
	} else {
		error_set(&recipient->error, ERROR_TEMPORARY, "out of memory");
	}
	buffer_free(&headers);
	if (result == STORE_OK)
		(void)bytes_to_string(delivery_uid(recipient->delivery, 0), recipient->uid,
				      sizeof(recipient->uid));
	return result;
}

/* BATCH_DONE: go on with the next one. */
static enum batch_result prepare_one(struct batch *batch, struct batch_recipient *recipient)
{
	enum store_result result = prepare(batch, recipient);

	if (result == STORE_OK)
		return BATCH_DONE;
	if (result == STORE_AGAIN && !batch->last_try) {
		batch->held = recipient;
		return BATCH_AGAIN;
	}
	if (result == STORE_CHANGED && !batch->last_try) {
		recipient->changed = true;
		return BATCH_CHANGED;
	}
	settle(recipient, outcome_of(result, &recipient->error));
	return BATCH_DONE;
}

/* ---- finishing ---- */

/* What could not be taken back may stay: tried again, it would be there twice. */
static void take_back(struct batch_recipient *recipient)
{
	enum store_result result;

	if (!recipient->delivery)
		return;
	result = delivery_finish(recipient->delivery, false, &recipient->error);
	recipient->delivery = NULL;
	if (result != STORE_OK)
		settle(recipient, ERROR_TEMPORARY);
}

static void commit(struct batch_recipient *recipient)
{
	if (recipient->done)
		return;
	settle(recipient, outcome_of(delivery_finish(recipient->delivery, true, &recipient->error),
				     &recipient->error));
	recipient->delivery = NULL;
}

/* The one whose outcome is everybody's: the first that may pass, or else the first. */
static const struct batch_recipient *worst(const struct batch *batch)
{
	const struct batch_recipient *found = NULL;

	for (size_t i = 0; batch->all_or_nothing && i < batch->count; i++) {
		const struct batch_recipient *it = &batch->recipients[i];

		if (!it->done || it->outcome == ERROR_NONE)
			continue;
		if (error_meaning(it->outcome)->smtp[0] == '4')
			return it;
		found = found ? found : it;
	}
	return found;
}

enum batch_result batch_deliver(struct batch *batch)
{
	struct batch_recipient *order[SMTP_RECIPIENTS_MAX];
	struct error error = {0};
	enum batch_result result = BATCH_DONE;
	const struct batch_recipient *failed;
	size_t count;

	if (!batch->sealed && draft_seal(batch->draft, &error) != ERROR_NONE) {
		fail_all(batch, error.code, &error);
		return BATCH_DONE;
	}
	batch->sealed = true;
	count = sort(batch, order);
	move_held_to_front(batch, order, count);
	for (size_t i = 0; i < count && result == BATCH_DONE; i++)
		result = prepare_one(batch, order[i]);
	for (size_t i = 0; i < count; i++) {
		if (result != BATCH_DONE || worst(batch))
			take_back(order[i]);
		else
			commit(order[i]);
	}
	failed = worst(batch);
	if (failed)
		fail_all(batch, failed->outcome, &failed->error);
	if (result == BATCH_DONE) /* else nobody has an outcome that a copy could have */
		settle_copies(batch);
	return result;
}
