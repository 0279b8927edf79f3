/*
 * store: which kind a place means, and what is the same for all of them. Must not know how any kind
 * keeps its mail.
 */
#include "store/store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "store/aside.h"
#include "store/lock.h"

static const struct store *const kinds[] = {&store_memory, &store_mbox, &store_maildir,
					    &store_spool};

static const struct store *kind_of(const struct place *place)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (kinds[i]->kind == place->kind)
			return kinds[i];
	return NULL;
}

static enum store_result unknown_kind(struct error *error)
{
	error_set(error, ERROR_CONFIG, "the account's kind of store is not known here");
	return STORE_IO;
}

const char *store_kind_name(enum store_kind kind)
{
	struct place place = {.kind = kind};
	const struct store *store = kind_of(&place);
	return store != NULL ? store->name : NULL;
}

bool store_kind_parse(struct bytes name, enum store_kind *kind_out)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (!bytes_equal(name, bytes_of(kinds[i]->name)))
			continue;
		*kind_out = kinds[i]->kind;
		return true;
	}
	return false;
}

enum store_result maildrop_open(const struct store_root *root, const struct place *place,
				unsigned flags, struct maildrop **maildrop_out, struct error *error)
{
	const struct store *store = kind_of(place);
	return store != NULL ? store->open(root, place, flags, maildrop_out, error)
			     : unknown_kind(error);
}

struct maildrop_summary maildrop_summary(const struct maildrop *maildrop)
{
	return maildrop->summary;
}

enum store_result maildrop_table(struct maildrop *maildrop, uint32_t first, uint32_t count,
				 bool no_wait, struct maildrop_entry *entries_out,
				 struct error *error)
{
	assert(first >= 1 && count <= maildrop->summary.messages &&
	       first <= maildrop->summary.messages - count + 1);
	return maildrop->store->table(maildrop, first, count, no_wait, entries_out, error);
}

enum store_result maildrop_read(struct maildrop *maildrop, uint32_t number, uint64_t offset,
				bool no_wait, char *out, size_t size, size_t *length_out,
				struct error *error)
{
	assert(number >= 1 && number <= maildrop->summary.messages && size >= 4096);
	return maildrop->store->read(maildrop, number, offset, no_wait, out, size, length_out,
				     error);
}

void maildrop_envelope(struct maildrop *maildrop, uint32_t number,
		       struct maildrop_envelope *envelope_out)
{
	assert(number >= 1 && number <= maildrop->summary.messages);
	*envelope_out = (struct maildrop_envelope){.sender = ""};
	if (maildrop->store->envelope != NULL)
		maildrop->store->envelope(maildrop, number, envelope_out);
}

enum store_result maildrop_update(struct maildrop *maildrop, const uint8_t *deleted,
				  struct error *error)
{
	return maildrop->store->update(maildrop, deleted, error);
}

enum store_result maildrop_renew(struct maildrop *maildrop, struct error *error)
{
	return maildrop->store->renew(maildrop, error);
}

void maildrop_close(struct maildrop *maildrop)
{
	if (maildrop != NULL)
		maildrop->store->close(maildrop);
}

enum store_result delivery_prepare(const struct store_root *root, const struct place *place,
				   const struct delivery_request *requests, size_t count,
				   struct delivery **delivery_out, struct error *error)
{
	const struct store *store = kind_of(place);
	assert(count > 0);
	return store != NULL ? store->prepare(root, place, requests, count, delivery_out, error)
			     : unknown_kind(error);
}

struct bytes delivery_uid(const struct delivery *delivery, size_t index)
{
	assert(index < delivery->count);
	return bytes_of(delivery->uids[index]);
}

enum store_result delivery_finish(struct delivery *delivery, bool commit, struct error *error)
{
	return delivery->store->finish(delivery, commit, error);
}

/* ---- looking after ---- */

enum store_result store_verify(const struct store_root *root, const struct place *place,
			       struct findings *findings_out, struct error *error)
{
	const struct store *store = kind_of(place);
	*findings_out = (struct findings){0};
	return store != NULL ? store->verify(root, place, findings_out, error)
			     : unknown_kind(error);
}

/* Mail that is kept is left in order: what a crash interrupted is known by the account's number,
 * which nobody will have any more. */
static enum store_result leave_in_order(const struct store_root *root, const struct place *place,
					struct error *error)
{
	struct maildrop *maildrop;
	enum store_result result = maildrop_open(root, place, STORE_PEEK, &maildrop, error);
	if (result == STORE_OK)
		maildrop_close(maildrop);
	return result;
}

static enum store_result erase(const struct store *store, const struct store_root *root,
			       const struct place *place, struct error *error)
{
	enum store_result result = store->erase(root, place, error);
	int erased = result == STORE_OK ? aside_erase(root, place->account) : 0;
	return erased < 0 ? store_failure(error, erased, "while erasing what was set aside")
			  : result;
}

enum store_result store_retire(const struct store_root *root, const struct place *place,
			       unsigned flags, struct error *error)
{
	struct file *session = NULL, *file = NULL;
	const struct store *store = kind_of(place);
	struct place known = *place;
	enum store_result result = STORE_OK;
	if (store == NULL)
		return unknown_kind(error);
	if ((flags & STORE_RESUME) != 0)
		known.generation = UINT64_MAX;
	if ((flags & STORE_ERASE) != 0)
		result = lock_session(root, place->account, &session, error);
	else
		result = leave_in_order(root, &known, error);
	if (result == STORE_OK)
		result = lock_file(root, &known, &file, error);
	if (result == STORE_OK)
		result = lock_retire(file, place->generation, error);
	if (result == STORE_OK && (flags & STORE_ERASE) != 0)
		result = erase(store, root, place, error);
	lock_release(root, file);
	file_close(session);
	return result;
}

static enum store_result keep_asides(const struct store_root *root, uint64_t account,
				     struct findings *findings, struct error *error)
{
	int result = aside_keep(root, account, findings);
	return result < 0 ? store_failure(error, result, "while keeping what was taken out")
			  : STORE_OK;
}

enum store_result store_repair(const struct store_root *root, const struct place *place,
			       struct findings *findings_out, struct error *error)
{
	const struct store *store = kind_of(place);
	struct file *session = NULL;
	enum store_result result;
	*findings_out = (struct findings){0};
	if (store == NULL)
		return unknown_kind(error);
	result = lock_session(root, place->account, &session, error);
	if (result == STORE_OK)
		result = store->repair(root, place, findings_out, error);
	if (result == STORE_OK)
		result = keep_asides(root, place->account, findings_out, error);
	file_close(session);
	return result;
}

enum store_result store_hold(const struct store_root *root, const struct place *place,
			     struct store_hold *hold_out, struct error *error)
{
	hold_out->account = place->account;
	return lock_file(root, place, &hold_out->lock, error);
}

void store_unhold(struct store_hold *hold)
{
	file_close(hold->lock);
	*hold = (struct store_hold){0};
}

/* ---- quotas ---- */

uint64_t delivery_request_octets(const struct delivery_request *request)
{
	struct wire_size size = {0};
	wire_size_add(&size, request->headers);
	return wire_size_octets(&size) + draft_facts(request->draft)->wire_octets;
}

enum store_result store_quota_check(const struct place *place, struct maildrop_summary now,
				    const struct delivery_request *requests, size_t count,
				    struct error *error)
{
	uint64_t octets = 0;
	for (size_t i = 0; i < count; i++)
		octets += delivery_request_octets(&requests[i]);
	if ((place->octets_max > 0 && octets > place->octets_max) ||
	    (place->messages_max > 0 && count > place->messages_max))
		error_set(error, ERROR_TOO_LARGE, "larger than the account's whole quota");
	else if ((place->octets_max > 0 && now.octets + octets > place->octets_max) ||
		 (place->messages_max > 0 && now.messages + count > place->messages_max))
		error_set(error, ERROR_QUOTA, "the account's quota is used up");
	else
		return STORE_OK;
	return STORE_FULL;
}

void findings_add(struct findings *findings, const char *file, uint64_t offset, const char *format,
		  ...)
{
	va_list arguments;
	if (findings->count == FINDINGS_MAX) {
		findings->more = true;
		return;
	}
	if (findings->list == NULL)
		findings->list = calloc(FINDINGS_MAX, sizeof *findings->list);
	if (findings->list == NULL) {
		findings->more = true;
		return;
	}
	struct finding *finding = &findings->list[findings->count++];
	finding->offset = offset;
	snprintf(finding->file, sizeof finding->file, "%.63s", file);
	va_start(arguments, format);
	vsnprintf(finding->text, sizeof finding->text, format, arguments);
	va_end(arguments);
}

void findings_free(struct findings *findings)
{
	free(findings->list);
	*findings = (struct findings){0};
}
