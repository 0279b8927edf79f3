/*
 * sim_names: the calls of base/file.h that change or list names on the simulated disk.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim_path.h"

static struct sim_disk *disk_of(struct file *file)
{
	return (struct sim_disk *)file->disk;
}

static struct sim_file *handle_of(struct file *file)
{
	return (struct sim_file *)file;
}

/* What is open keeps being named by where it lies now. */
static void rename_handles(struct sim_disk *disk, const struct sim_inode *inode, const char *path)
{
	for (struct sim_file *file = disk->handles; file != NULL; file = file->next)
		if (file->inode == inode)
			memcpy(file->path, path, strlen(path) + 1);
}

int sim_rename(struct file *from_directory, const char *from, struct file *to_directory,
	       const char *to)
{
	struct sim_disk *disk = disk_of(from_directory);
	struct sim_path old, new;
	int result = sim_path_walk(handle_of(from_directory), from, &old);
	int result_to = sim_path_walk(handle_of(to_directory), to, &new);
	int verdict = sim_begin_path(disk, SIM_RENAME, &new);

	if (verdict != 0 || result != 0 || result_to != 0)
		return verdict != 0 ? verdict : result != 0 ? result : result_to;
	if (old.found == NULL)
		return -ENOENT;
	if (new.found != NULL &&new.found->directory)
		return -EISDIR;
	if (new.found == old.found)
		return 0;
	sim_path_move(disk, &old, &new);
	rename_handles(disk, old.found, new.text);
	return 0;
}

int sim_link(struct file *from_directory, const char *from, struct file *to_directory,
	     const char *to)
{
	struct sim_disk *disk = disk_of(from_directory);
	struct sim_path old, new;
	int result = sim_path_walk(handle_of(from_directory), from, &old);
	int result_to = sim_path_walk(handle_of(to_directory), to, &new);
	int verdict = sim_begin_path(disk, SIM_LINK, &new);

	if (verdict != 0 || result != 0 || result_to != 0)
		return verdict != 0 ? verdict : result != 0 ? result : result_to;
	if (old.found == NULL)
		return -ENOENT;
	if (new.found != NULL)
		return -EEXIST;
	sim_path_add(disk, &new, old.found);
	return 0;
}

int sim_unlink(struct file *directory, const char *name)
{
	struct sim_disk *disk = disk_of(directory);
	struct sim_path path;
	int result = sim_path_walk(handle_of(directory), name, &path);
	int verdict = sim_begin_path(disk, SIM_UNLINK, &path);

	if (verdict != 0 || result != 0)
		return verdict != 0 ? verdict : result;
	if (path.found == NULL)
		return -ENOENT;
	if (path.found->directory)
		return -EISDIR;
	sim_path_remove(disk, &path);
	return 0;
}

int sim_make_directory(struct file *directory, const char *name)
{
	struct sim_disk *disk = disk_of(directory);
	struct sim_path path;
	int result = sim_path_walk(handle_of(directory), name, &path);
	int verdict = sim_begin_path(disk, SIM_MAKE_DIRECTORY, &path);

	if (verdict != 0 || result != 0)
		return verdict != 0 ? verdict : result;
	if (path.found != NULL)
		return -EEXIST;
	sim_path_add(disk, &path, sim_inode_new(disk, true));
	return 0;
}

/* Over a copy of the names, because the callback may change the directory. */
int sim_list(struct file *directory, file_name_callback *callback, void *context)
{
	const struct sim_view *view = &handle_of(directory)->inode->visible;
	int verdict = sim_begin_file(directory, SIM_LIST);

	if (verdict < 0)
		return verdict;
	size_t count = view->name_count;
	char **names = sim_allocate(count * sizeof(*names));
	bool goes_on = true;

	for (size_t i = 0; i < count; i++)
		names[i] = sim_duplicate(view->names[i].name);
	for (size_t i = 0; i < count; i++) {
		goes_on = goes_on && callback(context, names[i]);
		free(names[i]);
	}
	free(names);
	return 0;
}
