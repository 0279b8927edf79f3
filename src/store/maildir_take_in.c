/*
 * maildir_take_in: the index of a Maildir brought up to what is there now, under ID.file.
 *
 * The usual case reads names only: each entry of the index is there, under its name, and nothing
 * else is. Entries whose file has another name or place by now keep what is known of them. A file
 * of ours that is new is known from its name; any other is read once.
 */
#include <errno.h>
#include <string.h>

#include "store/maildir_private.h"

#define TRIES_MAX 4 /* readings of the folders while other programs rename what they hold */

struct taking_in {
	struct maildir_folder *folder;
	const struct place *place;
	struct maildir_list list;
	struct maildir_index *known; /* NULL: none */
	struct maildir_walk walk;
	const struct maildir_entry *next; /* of the walk */
	struct uids uids;
	bool uids_loaded;
	struct maildir_builder builder;
	size_t vanished;
};

static int compare(const struct taking_in *taking, const struct maildir_entry *entry, size_t at)
{
	struct maildir_name known = maildir_name_when(entry->name),
			    listed = maildir_name_when(maildir_list_name(&taking->list, at));
	return maildir_name_compare(&known, &listed);
}

static bool same_file(const struct taking_in *taking, const struct maildir_entry *entry, size_t at)
{
	return entry->place == taking->list.list[at].place &&
	       strcmp(entry->name, maildir_list_name(&taking->list, at)) == 0;
}

static void name_entry(const struct taking_in *taking, size_t at, struct maildir_entry *entry)
{
	const char *name = maildir_list_name(&taking->list, at);
	memcpy(entry->name, name,
	       strlen(name) + 1); /* maildir_list_add() takes none that is longer */
	entry->place = taking->list.list[at].place;
}

/* ---- is the index right as it is? ---- */

static bool index_is_right(struct taking_in *taking)
{
	const struct maildir_entry *entry;
	size_t at = 0;
	if (taking->known == NULL || maildir_index_count(taking->known) != taking->list.count)
		return false;
	maildir_walk_begin(&taking->walk, taking->known);
	for (; (entry = maildir_walk_next(&taking->walk)) != NULL; at++)
		if (entry->doubtful || !same_file(taking, entry, at))
			return false;
	return taking->walk.result == STORE_OK;
}

/* Is a file not listed that the index knows? */
static bool misses_some(struct taking_in *taking)
{
	const struct maildir_entry *entry;
	size_t at = 0;
	maildir_walk_begin(&taking->walk, taking->known);
	while ((entry = maildir_walk_next(&taking->walk)) != NULL) {
		while (at < taking->list.count && compare(taking, entry, at) > 0)
			at++;
		if (at == taking->list.count || compare(taking, entry, at) != 0)
			return true;
	}
	return false;
}

/* Reads the folders; what the index knows and one reading has missed is looked for once more. */
static int list_all(struct taking_in *taking)
{
	struct maildir_folder *folder = taking->folder;
	int result = 0;
	maildir_list_free(&taking->list);
	maildir_list_init(&taking->list);
	for (int reading = 0; reading < 2 && result >= 0; reading++) {
		result = maildir_list_add(&taking->list, folder->fresh, folder->cur);
		maildir_list_sort(&taking->list);
		maildir_list_unite(&taking->list);
		if (taking->known == NULL || !misses_some(taking))
			break;
	}
	return result;
}

/* ---- making it right ---- */

static int load_uids(struct taking_in *taking)
{
	const struct maildir_folder *folder = taking->folder;
	if (taking->uids_loaded)
		return 0;
	int result = uids_load(folder->root, folder->owner, &taking->uids);
	if (result < 0)
		return result;
	uids_mend(folder->root, folder->owner, &taking->uids); /* or the next import */
	taking->uids_loaded = true;
	return 0;
}

static int give_uid(struct taking_in *taking, struct maildir_entry *entry, struct bytes base)
{
	int result = load_uids(taking);
	if (result < 0)
		return result;
	struct bytes uid = uids_find(&taking->uids, base);
	entry->brought = uid.length > 0;
	if (entry->brought)
		return bytes_to_string(uid, entry->uid, sizeof entry->uid) ? 0 : -EIO;
	return maildir_name_uid(entry->name, entry->uid) ? 0 : -ENOMEM;
}

/* Reads it whole. Ours are damaged when they are not what their name says. */
static int examine(struct taking_in *taking, const struct maildir_name *name,
		   struct maildir_entry *entry)
{
	struct file *file;
	int result = file_open(maildir_place_folder(taking->folder, entry->place), entry->name,
			       FILE_READ, &file);
	if (result < 0)
		return result;
	result = maildir_measure(file, !name->own, entry);
	file_close(file);
	if (result >= 0 && name->own) {
		entry->damaged = entry->length != name->length ||
				 entry->checksum != name->checksum || entry->octets != name->octets;
		entry->octets = name->octets;
	}
	return result;
}

/* A message that the index does not know, or doubts. */
static int describe(struct taking_in *taking, size_t at, bool doubted,
		    struct maildir_entry *entry_out)
{
	*entry_out = (struct maildir_entry){0};
	name_entry(taking, at, entry_out);
	struct maildir_name name = maildir_name_parse(entry_out->name);
	entry_out->length = name.length;
	entry_out->octets = name.octets;
	entry_out->checksum = name.checksum;
	int result = !name.own || doubted ? examine(taking, &name, entry_out) : 0;
	if (result == -EINVAL || result == -ELOOP) /* a folder, a FIFO, a symbolic link */
		return 0;
	if (result == -ENOENT) {
		taking->vanished++;
		return 0;
	}
	if (maildir_unreadable(result)) {
		entry_out->damaged = entry_out->doubtful = true;
		result = 0;
	}
	if (result >= 0)
		result = give_uid(taking, entry_out, name.base);
	if (result < 0)
		return result;
	return maildir_builder_add(&taking->builder, entry_out) ? 0 : -ENOMEM;
}

/* One file that is there. */
static int take(struct taking_in *taking, size_t at)
{
	struct maildir_entry entry;
	bool doubted = false;
	while (taking->next != NULL && compare(taking, taking->next, at) < 0)
		taking->next = maildir_walk_next(&taking->walk);
	if (taking->next != NULL && compare(taking, taking->next, at) == 0) {
		doubted = taking->next->doubtful;
		entry = *taking->next;
		if (!doubted) {
			name_entry(taking, at, &entry);
			return maildir_builder_add(&taking->builder, &entry) ? 0 : -ENOMEM;
		}
	}
	return describe(taking, at, doubted, &entry);
}

static int build(struct taking_in *taking)
{
	int result = 0;
	taking->vanished = 0;
	maildir_builder_free(&taking->builder);
	maildir_builder_init(&taking->builder);
	maildir_walk_begin(&taking->walk, taking->known);
	taking->next = maildir_walk_next(&taking->walk);
	for (size_t i = 0; i < taking->list.count && result >= 0; i++)
		result = take(taking, i);
	return result;
}

static int make_index(struct taking_in *taking)
{
	struct maildir_folder *folder = taking->folder;
	int result = build(taking);
	for (int tries = 1; result >= 0 && taking->vanished > 0 && tries < TRIES_MAX; tries++) {
		result = list_all(taking);
		if (result >= 0)
			result = build(taking);
	}
	if (result >= 0 && taking->known == NULL)
		result = maildir_sync_names(folder, taking->place);
	if (result < 0)
		return result;
	folder->index = maildir_builder_finish(&taking->builder, folder->root, folder->account,
					       folder->top);
	return folder->index != NULL ? 0 : -ENOMEM;
}

int maildir_take_in(struct maildir_folder *folder, const struct place *place)
{
	struct taking_in taking = {.folder = folder, .place = place};
	if (folder->top == NULL) {
		maildir_index_remove(folder->root, folder->account);
		return 0;
	}
	taking.known = maildir_index_open(folder->root, folder->account, folder->top);
	int result = list_all(&taking);
	if (result >= 0 && index_is_right(&taking)) {
		folder->index = taking.known;
		taking.known = NULL;
	} else if (result >= 0) {
		result = make_index(&taking);
	}
	maildir_index_close(taking.known);
	maildir_list_free(&taking.list);
	uids_free(&taking.uids);
	maildir_builder_free(&taking.builder);
	return result;
}
