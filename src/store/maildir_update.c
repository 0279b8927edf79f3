/*
 * maildir_update: removal from a Maildir.
 *
 * The files of the marked messages are removed by base name, whatever they are called by now and in
 * whichever folder they are; then both folders are synced, also when somebody else has removed the
 * files: their removal may not be on stable storage yet.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/lock.h"
#include "store/maildir_private.h"

#define PASSES_MAX 4 /* over the folders, while other programs rename what they hold */

struct removal {
	struct maildir_folder folder;
	struct buffer names; /* base names of the marked messages, each with its NUL */
	const char **marked; /* the same, sorted */
	size_t count;
	bool brought; /* one of them has a unique-id in ROOT/uids */
};

static bool is_marked(const uint8_t *deleted, uint32_t number)
{
	return (deleted[(number - 1) / 8] >> (number - 1) % 8 & 1) != 0;
}

static uint32_t count_marked(const struct maildir_session *session, const uint8_t *deleted)
{
	uint32_t count = 0;
	for (uint32_t i = 1; deleted != NULL && i <= session->base.summary.messages; i++)
		count += is_marked(deleted, i);
	return count;
}

static int compare_texts(const void *a, const void *b)
{
	const char *const *one = a, *const *two = b;
	return strcmp(*one, *two);
}

static bool removes(const struct removal *removal, const char *name)
{
	char base[MAILDIR_NAME_MAX + 1];
	const char *key = base;
	size_t length = strcspn(name, ":");
	memcpy(base, name, length);
	base[length] = '\0';
	return bsearch(&key, removal->marked, removal->count, sizeof *removal->marked,
		       compare_texts) != NULL;
}

/* What the session knows of them; OK or IO. */
static enum store_result collect(struct removal *removal, struct maildir_session *session,
				 const uint8_t *deleted, uint32_t count, struct error *error)
{
	struct maildir_walk walk;
	const struct maildir_entry *entry;
	buffer_init(&removal->names, MESSAGES_MAX * (MAILDIR_NAME_MAX + 1));
	removal->marked = calloc(count, sizeof *removal->marked);
	bool room = removal->marked != NULL;
	maildir_walk_begin(&walk, session->index);
	while (room && walk.number < session->base.summary.messages &&
	       (entry = maildir_walk_next(&walk)) != NULL) {
		if (!is_marked(deleted, walk.number))
			continue;
		struct bytes base = {entry->name, strcspn(entry->name, ":")};
		removal->brought = removal->brought || entry->brought;
		room = buffer_append(&removal->names, base) &&
		       buffer_append(&removal->names, (struct bytes){"", 1});
	}
	if (walk.result != STORE_OK)
		return maildir_bad_index(session, error);
	if (!room)
		return store_failure(error, -ENOMEM, "while removing messages");
	for (const char *at = removal->names.data; removal->count < count; at += strlen(at) + 1)
		removal->marked[removal->count++] = at;
	qsort(removal->marked, count, sizeof *removal->marked, compare_texts);
	return STORE_OK;
}

/* ---- files ---- */

/* One pass; *found_out of the marked messages had a file, *vanished_out says that one had another
 * name by the time it was to be removed. */
static int remove_listed(struct removal *removal, size_t *found_out, bool *vanished_out)
{
	struct maildir_folder *folder = &removal->folder;
	struct maildir_list list;
	maildir_list_init(&list);
	int result = maildir_list_add(&list, folder->fresh, folder->cur);
	for (size_t i = 0; i < list.count && result >= 0; i++) {
		const char *name = maildir_list_name(&list, i);
		if (!removes(removal, name))
			continue;
		result = file_unlink(maildir_place_folder(folder, list.list[i].place), name);
		*found_out += result >= 0;
		if (result == -ENOENT) {
			*vanished_out = true;
			result = 0;
		}
	}
	maildir_list_free(&list);
	return result;
}

/* Ends when a pass finds nothing more and all were found, or nothing is there to be found. */
static int remove_files(struct removal *removal)
{
	size_t found = 0;
	int result = 0;
	for (int pass = 0; pass < PASSES_MAX && result >= 0; pass++) {
		size_t before = found;
		bool vanished = false;
		result = remove_listed(removal, &found, &vanished);
		if (!vanished && (found >= removal->count || (pass > 0 && found == before)))
			break;
	}
	return result >= 0 ? maildir_sync_messages(&removal->folder) : result;
}

/* ---- what follows from it; if it fails, it is done another time ---- */

static void renew_index(struct removal *removal)
{
	const struct maildir_folder *folder = &removal->folder;
	struct maildir_index *known =
		folder->top != NULL ? maildir_index_open(folder->root, folder->account, folder->top)
				    : NULL;
	struct maildir_builder builder;
	struct maildir_walk walk;
	const struct maildir_entry *entry;
	bool good = known != NULL;
	maildir_builder_init(&builder);
	maildir_walk_begin(&walk, known);
	while (good && (entry = maildir_walk_next(&walk)) != NULL)
		good = removes(removal, entry->name) || maildir_builder_add(&builder, entry);
	if (good && walk.result == STORE_OK)
		maildir_index_close(maildir_builder_finish(&builder, folder->root, folder->account,
							   folder->top));
	maildir_builder_free(&builder);
	maildir_index_close(known);
}

static bool key_removed(void *context, const char *key)
{
	return removes(context, key);
}

static enum store_result update_locked(struct removal *removal, struct error *error)
{
	int result = remove_files(removal);
	if (result < 0)
		return store_failure(error, result, "while removing messages");
	renew_index(removal);
	if (removal->brought)
		uids_remove(removal->folder.root, removal->folder.owner, key_removed, removal);
	return STORE_OK;
}

enum store_result maildir_update(struct maildrop *maildrop, const uint8_t *deleted,
				 struct error *error)
{
	struct maildir_session *session = (struct maildir_session *)maildrop;
	struct removal removal = {.count = 0};
	uint32_t count = count_marked(session, deleted);
	assert(session->session_lock != NULL && !session->updated);
	if (count == 0)
		return STORE_OK;
	enum store_result result =
		maildir_folder_open(session->root, &session->place, &removal.folder, error);
	if (result == STORE_AGAIN)
		return result;
	session->updated = true;
	if (result == STORE_OK)
		result = collect(&removal, session, deleted, count, error);
	if (result == STORE_OK)
		result = update_locked(&removal, error);
	maildir_folder_close(&removal.folder);
	buffer_free(&removal.names);
	free(removal.marked);
	return result;
}
