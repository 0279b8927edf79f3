/*
 * memory: maildrops that live and die with the process: for tests of what stands on a store, and to
 * measure the rest of the server without a disk. Keeps every rule of store.h but durability.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/wire.h"
#include "store/lock.h"

struct memory_message {
	struct bytes octets; /* stored form; owned by the list */
	uint64_t wire_octets;
	char uid[UID_MAX + 1];
};

/* What is kept for one account. Never freed: accounts are few and the process is short. */
struct memory_box {
	struct memory_box *next;
	uint64_t account, lowest_generation;
	bool in_session, in_delivery;
	uint32_t peeking; /* they read the octets of our messages */
	struct memory_message *messages;
	uint32_t count;
};

struct memory_maildrop {
	struct maildrop base;
	struct memory_box *box;
	bool peek;
	struct memory_message *messages; /* the snapshot: the octets stay the box's */
};

struct memory_delivery {
	struct delivery base;
	struct memory_box *box;
	struct memory_message *messages;
};

static pthread_mutex_t boxes_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct memory_box *boxes;

static struct memory_box *box_of(uint64_t account)
{
	for (struct memory_box *box = boxes; box != NULL; box = box->next)
		if (box->account == account)
			return box;
	struct memory_box *box = calloc(1, sizeof *box);
	if (box == NULL)
		return NULL;
	box->account = account;
	box->next = boxes;
	boxes = box;
	return box;
}

static enum store_result no_memory(struct error *error)
{
	return store_failure(error, -ENOMEM, "while using a maildrop in memory");
}

/* ---- a session ---- */

static void memory_close(struct maildrop *maildrop)
{
	struct memory_maildrop *memory = (struct memory_maildrop *)maildrop;
	pthread_mutex_lock(&boxes_mutex);
	if (memory->peek)
		memory->box->peeking--;
	else
		memory->box->in_session = false;
	pthread_mutex_unlock(&boxes_mutex);
	free(memory->messages);
	free(memory);
}

static struct maildrop_summary summary_of(const struct memory_box *box)
{
	struct maildrop_summary summary = {.messages = box->count};
	for (uint32_t i = 0; i < box->count; i++)
		summary.octets += box->messages[i].wire_octets;
	return summary;
}

static enum store_result snapshot(struct memory_maildrop *memory, struct error *error)
{
	struct memory_box *box = memory->box;
	memory->messages = calloc(box->count + 1, sizeof *memory->messages);
	if (memory->messages == NULL)
		return no_memory(error);
	if (box->count > 0)
		memcpy(memory->messages, box->messages, box->count * sizeof *memory->messages);
	memory->base.summary = summary_of(box);
	return STORE_OK;
}

static enum store_result open_locked(const struct place *place, struct memory_maildrop *memory,
				     struct error *error)
{
	struct memory_box *box = box_of(place->account);
	memory->box = box;
	if (box == NULL)
		return no_memory(error);
	if (place->generation < box->lowest_generation)
		return STORE_CHANGED;
	if (box->in_delivery)
		return STORE_AGAIN;
	if (!memory->peek && box->in_session) {
		error_set(error, ERROR_IN_USE, "the maildrop is in use by another session");
		return STORE_LOCKED;
	}
	enum store_result result = snapshot(memory, error);
	if (result != STORE_OK)
		return result;
	if (memory->peek)
		box->peeking++;
	else
		box->in_session = true;
	return STORE_OK;
}

static enum store_result memory_open(const struct store_root *root, const struct place *place,
				     unsigned flags, struct maildrop **maildrop_out,
				     struct error *error)
{
	(void)root;
	struct memory_maildrop *memory = calloc(1, sizeof *memory);
	if (memory == NULL)
		return no_memory(error);
	memory->base.store = &store_memory;
	memory->peek = (flags & STORE_PEEK) != 0;
	pthread_mutex_lock(&boxes_mutex);
	enum store_result result = open_locked(place, memory, error);
	pthread_mutex_unlock(&boxes_mutex);
	if (result != STORE_OK) {
		free(memory);
		return result;
	}
	*maildrop_out = &memory->base;
	return STORE_OK;
}

static enum store_result memory_table(struct maildrop *maildrop, uint32_t first, uint32_t count,
				      bool no_wait, struct maildrop_entry *entries_out,
				      struct error *error)
{
	struct memory_maildrop *memory = (struct memory_maildrop *)maildrop;
	(void)no_wait;
	(void)error;
	for (uint32_t i = 0; i < count; i++) {
		const struct memory_message *message = &memory->messages[first - 1 + i];
		entries_out[i] = (struct maildrop_entry){.octets = message->wire_octets};
		entries_out[i].uid_length = (uint8_t)strlen(message->uid);
		memcpy(entries_out[i].uid, message->uid, sizeof message->uid);
	}
	return STORE_OK;
}

static enum store_result memory_read(struct maildrop *maildrop, uint32_t number, uint64_t offset,
				     bool no_wait, char *out, size_t size, size_t *length_out,
				     struct error *error)
{
	struct memory_maildrop *memory = (struct memory_maildrop *)maildrop;
	(void)no_wait;
	(void)error;
	struct bytes rest = bytes_skip(memory->messages[number - 1].octets, offset);
	struct bytes part = bytes_first(rest, size);
	if (part.length > 0)
		memcpy(out, part.data, part.length);
	*length_out = part.length;
	return STORE_OK;
}

static enum store_result memory_update(struct maildrop *maildrop, const uint8_t *deleted,
				       struct error *error)
{
	struct memory_maildrop *memory = (struct memory_maildrop *)maildrop;
	struct memory_box *box = memory->box;
	uint32_t kept = 0;
	(void)error;
	assert(!memory->peek);
	if (deleted == NULL)
		return STORE_OK;
	pthread_mutex_lock(&boxes_mutex);
	bool busy = box->in_delivery || box->peeking > 0;
	for (uint32_t i = 0; i < box->count && !busy; i++) {
		bool marked = i < memory->base.summary.messages && (deleted[i / 8] >> i % 8 & 1);
		if (marked)
			free((char *)box->messages[i].octets.data);
		else
			box->messages[kept++] = box->messages[i];
	}
	if (!busy)
		box->count = kept;
	pthread_mutex_unlock(&boxes_mutex);
	return busy ? STORE_AGAIN : STORE_OK;
}

static enum store_result memory_renew(struct maildrop *maildrop, struct error *error)
{
	(void)maildrop;
	(void)error;
	return STORE_OK;
}

/* ---- a delivery ---- */

static void delivery_free(struct memory_delivery *delivery, bool with_octets)
{
	for (size_t i = 0; with_octets && i < delivery->base.count; i++)
		free((char *)delivery->messages[i].octets.data);
	free(delivery->messages);
	free(delivery->base.uids);
	free(delivery);
}

static bool take_message(struct memory_message *message, const struct delivery_request *request)
{
	const struct draft_facts *facts = draft_facts(request->draft);
	size_t length = request->headers.length + (size_t)facts->length, at;
	struct wire_size size = {0};
	char *octets = malloc(length + 1);
	if (octets == NULL)
		return false;
	if (request->headers.length > 0)
		memcpy(octets, request->headers.data, request->headers.length);
	at = request->headers.length;
	while (at < length) {
		ssize_t got = draft_read(request->draft, octets + at, length - at,
					 at - request->headers.length);
		if (got <= 0) {
			free(octets);
			return false;
		}
		at += (size_t)got;
	}
	message->octets = (struct bytes){octets, length};
	wire_size_add(&size, message->octets);
	message->wire_octets = wire_size_octets(&size);
	return true;
}

static struct memory_delivery *delivery_new(const struct delivery_request *requests, size_t count)
{
	struct memory_delivery *delivery = calloc(1, sizeof *delivery);
	if (delivery == NULL)
		return NULL;
	delivery->base.store = &store_memory;
	delivery->base.count = count;
	delivery->base.uids = calloc(count, sizeof *delivery->base.uids);
	delivery->messages = calloc(count, sizeof *delivery->messages);
	bool made = delivery->base.uids != NULL && delivery->messages != NULL;
	for (size_t i = 0; i < count && made; i++) {
		char *uid = delivery->base.uids[i];
		if (requests[i].uid.length > 0)
			memcpy(uid, requests[i].uid.data, requests[i].uid.length);
		else
			random_uid(uid);
		memcpy(delivery->messages[i].uid, uid, UID_MAX + 1);
		made = take_message(&delivery->messages[i], &requests[i]);
	}
	if (made)
		return delivery;
	delivery_free(delivery, delivery->messages != NULL);
	return NULL;
}

static bool has_uid(const struct memory_box *box, const char *uid)
{
	for (uint32_t i = 0; i < box->count; i++)
		if (strcmp(box->messages[i].uid, uid) == 0)
			return true;
	return false;
}

static enum store_result prepare_locked(const struct place *place, struct memory_delivery *delivery,
					const struct delivery_request *requests,
					struct error *error)
{
	struct memory_box *box = box_of(place->account);
	delivery->box = box;
	if (box == NULL)
		return no_memory(error);
	if (place->generation < box->lowest_generation)
		return STORE_CHANGED;
	if (box->in_delivery)
		return STORE_AGAIN;
	if (store_quota_check(place, summary_of(box), requests, delivery->base.count, error) !=
	    STORE_OK)
		return STORE_FULL;
	for (size_t i = 0; i < delivery->base.count; i++)
		if (has_uid(box, delivery->base.uids[i]))
			return STORE_EXISTS;
	size_t room = box->count + delivery->base.count;
	struct memory_message *messages = realloc(box->messages, room * sizeof *messages);
	if (messages == NULL)
		return no_memory(error);
	box->messages = messages;
	box->in_delivery = true;
	return STORE_OK;
}

static enum store_result memory_prepare(const struct store_root *root, const struct place *place,
					const struct delivery_request *requests, size_t count,
					struct delivery **delivery_out, struct error *error)
{
	(void)root;
	struct memory_delivery *delivery = delivery_new(requests, count);
	if (delivery == NULL)
		return no_memory(error);
	pthread_mutex_lock(&boxes_mutex);
	enum store_result result = prepare_locked(place, delivery, requests, error);
	pthread_mutex_unlock(&boxes_mutex);
	if (result != STORE_OK) {
		delivery_free(delivery, true);
		return result;
	}
	*delivery_out = &delivery->base;
	return STORE_OK;
}

static enum store_result memory_finish(struct delivery *base, bool commit, struct error *error)
{
	struct memory_delivery *delivery = (struct memory_delivery *)base;
	struct memory_box *box = delivery->box;
	(void)error;
	pthread_mutex_lock(&boxes_mutex);
	for (size_t i = 0; commit && i < base->count; i++)
		box->messages[box->count++] = delivery->messages[i];
	box->in_delivery = false;
	pthread_mutex_unlock(&boxes_mutex);
	delivery_free(delivery, !commit);
	return STORE_OK;
}

static enum store_result memory_verify(const struct store_root *root, const struct place *place,
				       struct findings *findings_out, struct error *error)
{
	(void)root;
	pthread_mutex_lock(&boxes_mutex);
	struct memory_box *box = box_of(place->account);
	findings_out->messages = box != NULL ? box->count : 0;
	pthread_mutex_unlock(&boxes_mutex);
	return box != NULL ? STORE_OK : no_memory(error);
}

static enum store_result memory_erase(const struct store_root *root, const struct place *place,
				      struct error *error)
{
	(void)root;
	pthread_mutex_lock(&boxes_mutex);
	struct memory_box *box = box_of(place->account);
	for (uint32_t i = 0; box != NULL && i < box->count; i++)
		free((char *)box->messages[i].octets.data);
	if (box != NULL)
		box->count = 0;
	pthread_mutex_unlock(&boxes_mutex);
	return box != NULL ? STORE_OK : no_memory(error);
}

const struct store store_memory = {
	.name = "memory",
	.kind = STORE_MEMORY,
	.lease_ms = 0,
	.open = memory_open,
	.table = memory_table,
	.read = memory_read,
	.update = memory_update,
	.renew = memory_renew,
	.close = memory_close,
	.prepare = memory_prepare,
	.finish = memory_finish,
	.verify = memory_verify,
	.repair = memory_verify, /* there is nothing that could be wrong */
	.erase = memory_erase,
};
