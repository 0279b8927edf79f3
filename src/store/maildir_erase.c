/*
 * maildir_erase: all mail of a Maildir goes, and the unique-ids that were brought along. The
 * folders stay: other programs may have theirs in them.
 */
#include <errno.h>

#include "store/lock.h"
#include "store/maildir_private.h"

static int empty(struct file *folder)
{
	struct maildir_list list;
	if (folder == NULL)
		return 0;
	maildir_list_init(&list);
	int result = maildir_list_add(&list, folder, NULL);
	for (size_t i = 0; i < list.count && result >= 0; i++) {
		result = file_unlink(folder, maildir_list_name(&list, i));
		if (result == -ENOENT || result == -EISDIR)
			result = 0; /* gone already, or a folder, which is no mail */
	}
	maildir_list_free(&list);
	return result < 0 ? result : file_sync(folder);
}

enum store_result maildir_erase(const struct store_root *root, const struct place *place,
				struct error *error)
{
	struct maildir_folder folder;
	int result = maildir_folder_reach(&folder, root, place);
	if (result >= 0)
		result = empty(folder.fresh);
	if (result >= 0)
		result = empty(folder.cur);
	if (result >= 0)
		result = empty(folder.tmp);
	maildir_folder_close(&folder);
	maildir_index_remove(root, place->account);
	if (result >= 0)
		result = uids_replace(root, uids_owner(place), (struct bytes){0});
	return result < 0 ? store_failure(error, result, "while erasing the maildrop") : STORE_OK;
}
