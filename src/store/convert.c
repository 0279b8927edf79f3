/*
 * convert: see convert.h.
 *
 * While it works, the old and the new maildrop share the index, which is kept by account number (a
 * cache: each kind finds out that one is not its own). No kind's `erase` is used here: other
 * programs may have delivered to either place; mail goes as a session removes it, all that was seen
 * or copied and nothing else.
 */
#include "store/convert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/convert_copy.h"
#include "store/convert_record.h"
#include "store/index.h"
#include "store/lock.h"
#include "store/names.h"
#include "store/uid_set.h"

/* ---- removing ---- */

static enum store_result remove_seen(struct maildrop *maildrop, struct error *error)
{
	size_t octets = ((size_t)maildrop_summary(maildrop).messages + 7) / 8;
	uint8_t *all = malloc(octets + 1);
	if (all == NULL)
		return store_failure(error, -ENOMEM, "while removing messages");
	memset(all, 0xff, octets + 1);
	enum store_result result = maildrop_update(maildrop, all, error);
	free(all);
	return result;
}

static enum store_result remove_file(const struct store_root *root, const struct place *place,
				     struct error *error)
{
	struct file *folder = root->mail[place->mail_root];
	int result = file_unlink(folder, place->path);
	if (result == -ENOENT)
		return STORE_OK;
	if (result >= 0)
		result = names_sync(folder, place->path);
	return result < 0 ? store_failure(error, result, "while removing the mailbox file")
			  : STORE_OK;
}

/* Removes all that an open maildrop shows. To an own mbox nobody adds behind our back: the file
 * goes. Where other programs deliver, folders and files stay, and what they have added. */
static enum store_result empty(const struct store_root *root, const struct place *place,
			       struct maildrop *maildrop, struct error *error)
{
	return place->kind == STORE_MBOX ? remove_file(root, place, error)
					 : remove_seen(maildrop, error);
}

/* How many messages are in a place. */
static enum store_result count(const struct store_root *root, const struct place *place,
			       uint32_t *count_out, struct error *error)
{
	struct maildrop *maildrop;
	enum store_result result = maildrop_open(root, place, STORE_PEEK, &maildrop, error);
	*count_out = 0;
	if (result != STORE_OK)
		return result;
	*count_out = maildrop_summary(maildrop).messages;
	maildrop_close(maildrop);
	return STORE_OK;
}

static enum store_result remove_known(struct maildrop *maildrop, const struct uid_set *known,
				      struct error *error)
{
	uint32_t messages = maildrop_summary(maildrop).messages;
	uint8_t *marks = calloc((size_t)messages / 8 + 1, 1);
	enum store_result result = STORE_OK;
	if (marks == NULL)
		return store_failure(error, -ENOMEM, "while removing messages");
	for (uint32_t i = 0; i < messages && result == STORE_OK; i++) {
		struct maildrop_entry entry;
		result = maildrop_table(maildrop, i + 1, 1, false, &entry, error);
		if (result == STORE_OK && uid_set_has(known, entry.uid))
			marks[i / 8] |= (uint8_t)(1U << i % 8);
	}
	if (result == STORE_OK)
		result = maildrop_update(maildrop, marks, error);
	free(marks);
	return result;
}

/* The copy goes, and nothing else: an MTA may have delivered to the new place meanwhile. */
static enum store_result discard(const struct store_root *root, const struct place *place,
				 const struct uid_set *copied, struct error *error)
{
	struct maildrop *maildrop;
	enum store_result result = maildrop_open(root, place, STORE_SESSION, &maildrop, error);
	if (result != STORE_OK)
		return result;
	result = place->kind == STORE_MBOX ? remove_file(root, place, error)
					   : remove_known(maildrop, copied, error);
	maildrop_close(maildrop);
	index_remove(root, place->account);
	return result;
}

static enum store_result forget(const struct store_root *root, uint64_t account,
				struct error *error)
{
	int result = convert_record_remove(root, account);
	index_remove(root, account);
	return result < 0 ? store_failure(error, result, "while ending the conversion") : STORE_OK;
}

/* ---- what an interrupted one has left; ID.file is held ---- */

static bool same_place(const struct place *a, const struct place *b)
{
	return a->generation == b->generation && a->kind == b->kind &&
	       a->mail_root == b->mail_root && strcmp(a->path, b->path) == 0;
}

/* Before the commit: the copy goes. What a crash left of the old one is dealt with first, because
 * a journal belongs to that and is known by the account alone. */
static enum store_result undo(const struct store_root *root, const struct place *old,
			      const struct place *copy, struct error *error)
{
	struct uid_set copied = {0};
	struct maildrop *maildrop;
	enum store_result result = maildrop_open(root, old, STORE_PEEK, &maildrop, error);
	if (result != STORE_OK)
		return result;
	result = uid_set_take(&copied, maildrop, error);
	maildrop_close(maildrop);
	if (result == STORE_OK)
		result = discard(root, copy, &copied, error);
	uid_set_free(&copied);
	return result == STORE_OK ? forget(root, old->account, error) : result;
}

/* Behind it: the old one goes, when everything in it is in the new one. */
static enum store_result complete(const struct store_root *root, const struct place *from,
				  const struct place *now, const struct uid_set *moved,
				  struct error *error)
{
	struct place old = *from, unlimited = *now;
	struct maildrop *maildrop;
	unlimited.messages_max = 0;
	unlimited.octets_max = 0;
	enum store_result result = lock_retire(root->held->lock, from->generation, error);
	old.generation = now->generation;
	if (result == STORE_OK)
		result = maildrop_open(root, &old, STORE_SESSION, &maildrop, error);
	if (result != STORE_OK)
		return result;
	struct copying copying = {.root = root,
				  .from = maildrop,
				  .to = &unlimited,
				  .skip_known = true,
				  .skip = moved};
	result = convert_copy(&copying, error);
	if (result == STORE_OK)
		result = empty(root, &old, maildrop, error);
	maildrop_close(maildrop);
	return result == STORE_OK ? forget(root, now->account, error) : result;
}

static enum store_result resume(const struct store_root *root, const struct place *place,
				bool *resumed_out, struct error *error)
{
	struct place from, to;
	struct uid_set moved;
	int found = convert_record_read(root, place->account, &from, &to, &moved);
	*resumed_out = false;
	if (found == -ENOENT)
		return STORE_OK;
	if (found < 0)
		return store_failure(error, found, "while reading what was being converted");
	*resumed_out = true;
	enum store_result result = STORE_IO;
	if (same_place(place, &from))
		result = undo(root, place, &to, error);
	else if (same_place(place, &to))
		result = complete(root, &from, place, &moved, error);
	else
		error_set(error, ERROR_DATA,
			  "a conversion was interrupted that belongs to another state of the "
			  "accounts");
	uid_set_free(&moved);
	return result;
}

enum store_result store_convert_resume(const struct store_root *root, const struct place *place,
				       bool *resumed_out, struct error *error)
{
	struct store_hold hold;
	struct store_root held = *root;
	*resumed_out = false;
	enum store_result result = store_hold(root, place, &hold, error);
	if (result != STORE_OK)
		return result;
	held.held = &hold;
	result = resume(&held, place, resumed_out, error);
	store_unhold(&hold);
	return result;
}

/* ---- one conversion; ID.file is held, and ID.session by `from` ---- */

static enum store_result check_new_place(const struct store_root *root,
					 const struct conversion *conversion, struct error *error)
{
	uint32_t messages;
	enum store_result result = count(root, &conversion->to, &messages, error);
	if (result != STORE_OK || messages == 0)
		return result;
	error_set(error, ERROR_DATA, "there are %lu messages in the new place already",
		  (unsigned long)messages);
	return STORE_EXISTS;
}

static enum store_result copy(const struct store_root *root, struct conversion *conversion,
			      struct maildrop *from, struct error *error)
{
	struct maildrop *to;
	struct copying copying = {.root = root,
				  .from = from,
				  .to = &conversion->to,
				  .progress = conversion->progress,
				  .context = conversion->context};
	enum store_result result = convert_copy(&copying, error);
	if (result == STORE_OK)
		result = maildrop_open(root, &conversion->to, STORE_PEEK, &to, error);
	if (result != STORE_OK)
		return result;
	result = convert_compare(from, to, error);
	maildrop_close(to);
	conversion->messages = maildrop_summary(from).messages;
	conversion->octets = maildrop_summary(from).octets;
	return result;
}

/* Behind the commit nothing is a failure any more: what could not be done stays in the record. */
static void leave_old(const struct store_root *root, struct conversion *conversion,
		      struct maildrop *from)
{
	struct error error = {.code = ERROR_NONE};
	struct place old = conversion->from;
	enum store_result result =
		lock_retire(root->held->lock, conversion->from.generation, &error);
	old.generation = conversion->to.generation;
	if (result == STORE_OK)
		result = empty(root, &old, from, &error);
	if (result == STORE_OK)
		result = count(root, &old, &conversion->stayed, &error);
	if (result == STORE_OK)
		result = forget(root, old.account, &error);
	conversion->old_left = result != STORE_OK;
}

static enum store_result convert(const struct store_root *root, struct conversion *conversion,
				 struct maildrop *from, struct error *error)
{
	enum store_result result = copy(root, conversion, from, error);
	if (result == STORE_OK)
		result = conversion->commit(conversion->context, error);
	if (result == STORE_OK) {
		conversion->committed = true;
		leave_old(root, conversion, from);
	}
	return result;
}

static enum store_result note(const struct store_root *root, const struct conversion *conversion,
			      struct maildrop *from, struct error *error)
{
	struct uid_set moving;
	enum store_result taken = uid_set_take(&moving, from, error);
	int result = taken == STORE_OK ? convert_record_write(root, &conversion->from,
							      &conversion->to, &moving)
				       : 0;
	uid_set_free(&moving);
	if (taken != STORE_OK)
		return taken;
	return result < 0 ? store_failure(error, result, "while noting the conversion") : STORE_OK;
}

static enum store_result convert_held(const struct store_root *root, struct conversion *conversion,
				      struct error *error)
{
	struct error ignored;
	struct maildrop *from;
	struct place old = conversion->from;
	bool resumed;
	enum store_result result = resume(root, &conversion->from, &resumed, error);
	if (result != STORE_OK)
		return result;
	/* What it removes in the end it removes behind the raise of the generation. */
	old.generation = conversion->to.generation;
	result = maildrop_open(root, &old, STORE_SESSION, &from, error);
	if (result != STORE_OK)
		return result;
	result = check_new_place(root, conversion, error);
	if (result == STORE_OK)
		result = note(root, conversion, from, error);
	bool noted = result == STORE_OK;
	if (noted)
		result = convert(root, conversion, from, error);
	maildrop_close(from);
	if (noted && result != STORE_OK && result != STORE_UNKNOWN)
		(void)undo(root, &conversion->from, &conversion->to, &ignored);
	return result;
}

enum store_result store_convert(const struct store_root *root, struct conversion *conversion,
				struct error *error)
{
	struct store_hold hold;
	struct store_root held = *root;
	conversion->to.account = conversion->from.account;
	conversion->to.generation = conversion->from.generation + 1;
	conversion->to.messages_max = 0;
	conversion->to.octets_max = 0;
	enum store_result result = store_hold(root, &conversion->from, &hold, error);
	if (result != STORE_OK)
		return result;
	held.held = &hold;
	result = convert_held(&held, conversion, error);
	store_unhold(&hold);
	return result;
}
