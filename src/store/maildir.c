/*
 * maildir: a Maildir that other programs may read, deliver to and keep flags in as well
 * (docs/design/0003-disk.md). This file is what a session sees of it; reading a message,
 * delivering, removing, verifying and repairing stand in maildir_*.c.
 *
 * A session holds the session lock, the two folders and the index file, and beside them nothing
 * that grows with the maildrop: the table is read from the index when it is asked for.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/lock.h"
#include "store/maildir_private.h"

static struct maildir_session *of(struct maildrop *maildrop)
{
	return (struct maildir_session *)maildrop;
}

static void maildir_close(struct maildrop *maildrop)
{
	struct maildir_session *session = of(maildrop);
	maildir_reading_end(session);
	maildir_index_close(session->index);
	file_close(session->fresh);
	file_close(session->cur);
	file_close(session->session_lock);
	free(session);
}

enum store_result maildir_bad_index(struct maildir_session *session, struct error *error)
{
	maildir_index_remove(session->root, session->place.account);
	error_set(error, ERROR_IO, "the index is damaged and will be made anew");
	return STORE_IO;
}

/* Takes over the folders and the index, and gives the lock back. */
static enum store_result take_over(struct maildir_session *session, struct maildir_folder *from,
				   struct error *error)
{
	struct maildir_entry last;
	uint32_t count = from->index != NULL ? maildir_index_count(from->index) : 0;
	session->fresh = from->fresh;
	session->cur = from->cur;
	session->index = from->index;
	from->fresh = from->cur = NULL;
	from->index = NULL;
	maildir_folder_close(from);
	session->base.summary.messages = count;
	if (count == 0)
		return STORE_OK;
	if (maildir_index_read(session->index, count, 1, false, &last) != STORE_OK)
		return maildir_bad_index(session, error);
	session->base.summary.octets = last.total_octets;
	return STORE_OK;
}

static enum store_result open_under_lock(struct maildir_session *session, struct error *error)
{
	struct maildir_folder folder;
	enum store_result result =
		maildir_folder_open(session->root, &session->place, &folder, error);
	if (result != STORE_OK)
		return result;
	maildir_clear_leftovers(&folder, true, NULL); /* or the next one does */
	int taken = maildir_take_in(&folder, &session->place);
	if (taken >= 0)
		return take_over(session, &folder, error);
	maildir_folder_close(&folder);
	return store_failure(error, taken, "while opening the Maildir");
}

static enum store_result maildir_open(const struct store_root *root, const struct place *place,
				      unsigned flags, struct maildrop **maildrop_out,
				      struct error *error)
{
	enum store_result result = STORE_OK;
	struct maildir_session *session = calloc(1, sizeof *session);
	if (session == NULL)
		return store_failure(error, -ENOMEM, "while opening the maildrop");
	session->base.store = &store_maildir;
	session->root = root;
	session->place = *place;
	if ((flags & STORE_PEEK) == 0)
		result = lock_session(root, place->account, &session->session_lock, error);
	if (result == STORE_OK)
		result = open_under_lock(session, error);
	if (result != STORE_OK) {
		maildir_close(&session->base);
		return result;
	}
	*maildrop_out = &session->base;
	return STORE_OK;
}

static enum store_result maildir_table(struct maildrop *maildrop, uint32_t first, uint32_t count,
				       bool no_wait, struct maildrop_entry *entries_out,
				       struct error *error)
{
	struct maildir_session *session = of(maildrop);
	while (count > 0) {
		struct maildir_entry entries[MAILDIR_WALK_BLOCK];
		uint32_t some = count < MAILDIR_WALK_BLOCK ? count : MAILDIR_WALK_BLOCK;
		enum store_result result =
			maildir_index_read(session->index, first, some, no_wait, entries);
		if (result == STORE_IO)
			return maildir_bad_index(session, error);
		if (result != STORE_OK)
			return result;
		for (uint32_t i = 0; i < some; i++) {
			struct maildrop_entry *entry = &entries_out[i];
			entry->octets = entries[i].octets;
			entry->damaged = entries[i].damaged;
			entry->uid_length = (uint8_t)strlen(entries[i].uid);
			memcpy(entry->uid, entries[i].uid, sizeof entry->uid);
		}
		entries_out += some;
		first += some;
		count -= some;
	}
	return STORE_OK;
}

/* The time stands in the name, the sender nowhere. */
static void maildir_envelope(struct maildrop *maildrop, uint32_t number,
			     struct maildrop_envelope *envelope_out)
{
	struct maildir_entry entry;
	if (maildir_index_read(of(maildrop)->index, number, 1, false, &entry) != STORE_OK)
		return;
	uint64_t second = maildir_name_parse(entry.name).second;
	if (second <= INT64_MAX)
		envelope_out->received_unix_seconds = (int64_t)second;
}

static enum store_result maildir_renew(struct maildrop *maildrop, struct error *error)
{
	(void)maildrop;
	(void)error;
	return STORE_OK; /* a kernel lock has no lease */
}

const struct store store_maildir = {
	.name = "maildir",
	.kind = STORE_MAILDIR,
	.lease_ms = 0,
	.open = maildir_open,
	.table = maildir_table,
	.read = maildir_read,
	.envelope = maildir_envelope,
	.update = maildir_update,
	.renew = maildir_renew,
	.close = maildir_close,
	.prepare = maildir_prepare,
	.finish = maildir_finish,
	.verify = maildir_verify,
	.repair = maildir_repair,
	.erase = maildir_erase,
};
