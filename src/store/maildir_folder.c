/*
 * maildir_folder: a Maildir under ID.file: its folders, and what deliveries that died have left.
 */
#include <errno.h>

#include "store/lock.h"
#include "store/maildir_private.h"
#include "store/names.h"

#define LEFT_OVER_NS                                                                               \
	(36ULL * 3600 * 1000000000) /* as long as Maildir's inventor gives a delivery */

static const struct {
	const char *name;
	size_t offset;
} folders[] = {
	{"tmp", offsetof(struct maildir_folder, tmp)},
	{"new", offsetof(struct maildir_folder, fresh)},
	{"cur", offsetof(struct maildir_folder, cur)},
};
#define FOLDERS (sizeof folders / sizeof folders[0])

static struct file **handle(struct maildir_folder *folder, size_t at)
{
	return (struct file **)(void *)((char *)folder + folders[at].offset);
}

struct file *maildir_place_folder(const struct maildir_folder *folder, enum maildir_place place)
{
	return place == MAILDIR_NEW ? folder->fresh : folder->cur;
}

void maildir_folder_close(struct maildir_folder *folder)
{
	maildir_index_close(folder->index);
	for (size_t i = 0; i < FOLDERS; i++)
		file_close(*handle(folder, i));
	file_close(folder->top);
	if (folder->root != NULL)
		lock_release(folder->root, folder->lock); /* NULL: somebody else has it */
	*folder = (struct maildir_folder){0};
}

int maildir_folder_reach(struct maildir_folder *folder_out, const struct store_root *root,
			 const struct place *place)
{
	*folder_out = (struct maildir_folder){
		.root = root, .account = place->account, .owner = uids_owner(place)};
	int result = file_open(root->mail[place->mail_root], place->path, FILE_DIRECTORY,
			       &folder_out->top);
	if (result == -ENOENT)
		return 0;
	for (size_t i = 0; i < FOLDERS && result >= 0; i++) {
		result = file_open(folder_out->top, folders[i].name, FILE_DIRECTORY,
				   handle(folder_out, i));
		if (result == -ENOENT)
			result = 0;
	}
	return result;
}

enum store_result maildir_folder_open(const struct store_root *root, const struct place *place,
				      struct maildir_folder *folder_out, struct error *error)
{
	struct file *lock;
	*folder_out = (struct maildir_folder){0};
	enum store_result locked = lock_file(root, place, &lock, error);
	if (locked != STORE_OK)
		return locked;
	int result = maildir_folder_reach(folder_out, root, place);
	folder_out->lock = lock;
	if (result >= 0)
		return STORE_OK;
	maildir_folder_close(folder_out);
	return store_failure(error, result, "while opening the Maildir");
}

/* ---- making ---- */

/* The index goes first, because it says that all names are stable. */
int maildir_folder_make(struct maildir_folder *folder, const struct place *place)
{
	struct file *root = folder->root->mail[place->mail_root];
	int result = 0;
	if (folder->tmp != NULL && folder->fresh != NULL && folder->cur != NULL)
		return 0;
	maildir_index_remove(folder->root, folder->account);
	if (folder->top == NULL) {
		result = names_make_folders(root, place->path);
		if (result >= 0)
			result = file_open(root, place->path, FILE_DIRECTORY | FILE_CREATE,
					   &folder->top);
	}
	for (size_t i = 0; i < FOLDERS && result >= 0; i++)
		if (*handle(folder, i) == NULL)
			result = file_open(folder->top, folders[i].name,
					   FILE_DIRECTORY | FILE_CREATE, handle(folder, i));
	return result;
}

int maildir_sync_names(const struct maildir_folder *folder, const struct place *place)
{
	int result = file_sync(folder->top);
	return result < 0 ? result : names_sync(folder->root->mail[place->mail_root], place->path);
}

int maildir_sync_messages(const struct maildir_folder *folder)
{
	int result = folder->fresh != NULL ? file_sync(folder->fresh) : 0;
	if (result >= 0 && folder->cur != NULL)
		result = file_sync(folder->cur);
	return result;
}

/* ---- what died ---- */

static bool untouched(struct maildir_folder *folder, const char *name)
{
	struct file *file;
	struct file_status status;
	if (file_open(folder->tmp, name, FILE_READ, &file) < 0)
		return false;
	int result = file_status(file, &status);
	file_close(file);
	return result >= 0 && status.changed_ns + LEFT_OVER_NS < disk_now_ns(folder->root->disk);
}

int maildir_clear_leftovers(struct maildir_folder *folder, bool remove, struct findings *findings)
{
	struct maildir_list list;
	maildir_list_init(&list);
	int result = folder->tmp != NULL ? maildir_list_add(&list, folder->tmp, NULL) : 0;
	for (size_t i = 0; i < list.count; i++) {
		const char *name = maildir_list_name(&list, i);
		bool own = maildir_name_parse(name).own;
		if (!own && !untouched(folder, name))
			continue;
		if (findings != NULL)
			findings_add(findings, "tmp", 0, "%.100s: %s%s", name,
				     own ? "a delivery was interrupted"
					 : "left over for more than 36 hours",
				     remove ? ": removed" : "; the next opening clears it");
		if (remove)
			file_unlink(folder->tmp, name);
	}
	maildir_list_free(&list);
	return result;
}
