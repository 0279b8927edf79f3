/*
 * maildir_verify: reads a Maildir whole and names every inconsistency. Mends nothing; of the locks
 * it takes ID.file only, so a session may be open meanwhile.
 *
 * That the index does not know a file, or knows one that is gone, is none: other programs come and
 * go.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/lock.h"
#include "store/maildir_private.h"

struct verification {
	struct findings *findings;
	struct maildir_folder folder;
	struct maildir_list list;
	struct maildir_walk walk;
	const struct maildir_entry *known; /* of the index: the first that is not before the file */
	uint64_t account;
};

static void file_label(enum maildir_place place, const char *name, char label[64])
{
	snprintf(label, 64, "%s/%.50s", place == MAILDIR_NEW ? "new" : "cur", name);
}

/* What the index says of the file, if it says anything. */
static const struct maildir_entry *known_of(struct verification *verification,
					    const struct maildir_name *name)
{
	while (verification->known != NULL) {
		struct maildir_name known = maildir_name_when(verification->known->name);
		int order = maildir_name_compare(&known, name);
		if (order >= 0)
			return order == 0 ? verification->known : NULL;
		verification->known = maildir_walk_next(&verification->walk);
	}
	return NULL;
}

static void compare_with_name(struct verification *verification, const char *label,
			      const struct maildir_name *name, const struct maildir_entry *entry)
{
	if (entry->length != name->length)
		findings_add(verification->findings, label, 0,
			     "has %" PRIu64 " octets, its name says %" PRIu64, entry->length,
			     name->length);
	else if (entry->checksum != name->checksum)
		findings_add(verification->findings, label, 0, "fails its checksum");
	else if (entry->octets != name->octets)
		findings_add(verification->findings, label, 0,
			     "has %" PRIu64 " octets as CRLF text, its name says %" PRIu64,
			     entry->octets, name->octets);
}

static void compare_with_index(struct verification *verification, const char *label,
			       const struct maildir_name *name, const struct maildir_entry *entry)
{
	const struct maildir_entry *known = known_of(verification, name);
	if (known == NULL || known->doubtful)
		return;
	if (name->own && known->damaged && entry->checksum == name->checksum &&
	    entry->length == name->length)
		findings_add(verification->findings, label, 0,
			     "is whole again, the index says damaged; repair it");
	else if (!name->own && (known->length != entry->length || known->octets != entry->octets ||
				known->checksum != entry->checksum))
		findings_add(verification->findings, label, 0,
			     "was changed by another program since it was first seen");
}

static int check_file(struct verification *verification, size_t at)
{
	struct file *file;
	struct maildir_entry entry;
	char label[64];
	const char *text = maildir_list_name(&verification->list, at);
	enum maildir_place place = verification->list.list[at].place;
	struct maildir_name name = maildir_name_parse(text);
	file_label(place, text, label);
	int result = file_open(maildir_place_folder(&verification->folder, place), text, FILE_READ,
			       &file);
	if (result == -ENOENT)
		return 0; /* another program has renamed or removed it */
	if (result == -EINVAL || result == -ELOOP) {
		findings_add(verification->findings, label, 0, "is no file; it is not shown");
		return 0;
	}
	if (result >= 0) {
		result = maildir_measure(file, !name.own, &entry);
		file_close(file);
	}
	if (result < 0)
		return result;
	verification->findings->messages++;
	verification->findings->octets_checked += entry.length;
	if (name.own)
		compare_with_name(verification, label, &name, &entry);
	compare_with_index(verification, label, &name, &entry);
	return 0;
}

static bool is_twin(const struct verification *verification, size_t at)
{
	if (at == 0)
		return false;
	struct maildir_name before = maildir_name_parse(
				    maildir_list_name(&verification->list, at - 1)),
			    now = maildir_name_parse(maildir_list_name(&verification->list, at));
	return maildir_name_compare(&before, &now) == 0;
}

static int check_files(struct verification *verification)
{
	struct maildir_list *list = &verification->list;
	int result = maildir_list_add(list, verification->folder.fresh, verification->folder.cur);
	maildir_list_sort(list);
	maildir_walk_begin(&verification->walk, verification->folder.index);
	verification->known = maildir_walk_next(&verification->walk);
	for (size_t i = 0; i < list->count && result >= 0; i++) {
		char label[64];
		if (!is_twin(verification, i)) {
			result = check_file(verification, i);
			continue;
		}
		file_label(list->list[i].place, maildir_list_name(list, i), label);
		findings_add(verification->findings, label, 0,
			     "is there twice, under names that differ in their flags only");
	}
	if (result >= 0 && verification->walk.result != STORE_OK)
		findings_add(verification->findings, "index", 0,
			     "entry %" PRIu32 " is damaged; the next opening makes it anew",
			     verification->walk.number + 1);
	return result;
}

/* ---- beside it ---- */

static bool find_aside(void *context, const char *name)
{
	struct verification *verification = context;
	char prefix[48], label[64];
	snprintf(prefix, sizeof prefix, "aside.%" PRIu64 ".", verification->account);
	snprintf(label, sizeof label, "journal/%.50s", name);
	if (bytes_start_with(bytes_of(name), bytes_of(prefix)))
		findings_add(verification->findings, label, 0,
			     "set aside when the maildrop was brought into order; look at it");
	return true;
}

static int check_uids(struct verification *verification, const struct store_root *root,
		      struct uids_owner owner)
{
	struct uids uids;
	char label[UIDS_NAME_OCTETS];
	int result = uids_load(root, owner, &uids);
	if (result < 0)
		return result;
	uids_label(owner, label);
	if (uids.bad > 0)
		findings_add(verification->findings, label, 0,
			     "%zu lines cannot be read: unique-ids that were brought along",
			     uids.bad);
	if (uids.end < uids.text.length)
		findings_add(verification->findings, label, uids.end,
			     "the last line is incomplete; the next import cuts it");
	uids_free(&uids);
	return 0;
}

enum store_result maildir_verify(const struct store_root *root, const struct place *place,
				 struct findings *findings_out, struct error *error)
{
	struct verification verification = {.findings = findings_out, .account = place->account};
	enum store_result opened = maildir_folder_open(root, place, &verification.folder, error);
	if (opened != STORE_OK)
		return opened;
	maildir_list_init(&verification.list);
	if (verification.folder.top != NULL)
		verification.folder.index =
			maildir_index_open(root, place->account, verification.folder.top);
	int result = maildir_clear_leftovers(&verification.folder, false, findings_out);
	if (result >= 0)
		result = check_files(&verification);
	if (result >= 0)
		result = check_uids(&verification, root, uids_owner(place));
	if (result >= 0)
		result = file_list(root->journal, find_aside, &verification);
	maildir_list_free(&verification.list);
	maildir_folder_close(&verification.folder);
	return result < 0 ? store_failure(error, result, "while verifying the maildrop") : STORE_OK;
}
