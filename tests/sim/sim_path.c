/*
 * sim_path: finds and changes names on the simulated disk.
 *
 * Guarantees what base/file.h promises of names: they never leave their directory.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sim_path.h"

/* One part of the path; "." stays where it is. */
static int step(struct sim_path *path, const char *part, size_t length, bool last)
{
	if (length == 0 || length > SIM_NAME_MAX)
		return length == 0 ? -EINVAL : -ENAMETOOLONG;
	if (length == 2 && memcmp(part, "..", 2) == 0)
		return -EINVAL;
	if (length == 1 && part[0] == '.') {
		path->found = path->parent;
		return 0;
	}
	memcpy(path->name, part, length);
	path->name[length] = '\0';
	path->found = view_find(&path->parent->visible, path->name);
	if (last)
		return 0;
	if (path->found == NULL)
		return -ENOENT;
	if (!path->found->directory)
		return -ENOTDIR;
	path->parent = path->found;
	return 0;
}

int sim_path_walk(const struct sim_file *directory, const char *name, struct sim_path *path_out)
{
	struct sim_path path = {.parent = directory->inode};
	int result = directory->inode->directory ? 0 : -ENOTDIR;

	if (snprintf(path.text, sizeof(path.text), "%s%s%s", directory->path,
		     directory->path[0] != '\0' ? "/" : "", name) >= (int)sizeof(path.text))
		result = -ENAMETOOLONG;
	while (result == 0) {
		const char *slash = strchr(name, '/');
		size_t length = slash != NULL ? (size_t)(slash - name) : strlen(name);

		result = step(&path, name, length, slash == NULL);
		if (slash == NULL)
			break;
		name = slash + 1;
	}
	path.directory = path.found != NULL && path.found->directory;
	*path_out = path;
	return result;
}

void sim_path_add(struct sim_disk *disk, const struct sim_path *path, struct sim_inode *inode)
{
	sim_change_add(disk, (struct sim_change){.kind = CHANGE_ADD,
						 .inode = path->parent,
						 .target = inode,
						 .name = sim_duplicate(path->name)});
}

void sim_path_remove(struct sim_disk *disk, const struct sim_path *path)
{
	sim_change_add(disk, (struct sim_change){.kind = CHANGE_REMOVE,
						 .inode = path->parent,
						 .target = path->found,
						 .name = sim_duplicate(path->name)});
}

/* Within one directory a single change; between two, each has its own. */
void sim_path_move(struct sim_disk *disk, const struct sim_path *from, const struct sim_path *to)
{
	if (from->parent == to->parent) {
		sim_change_add(disk, (struct sim_change){.kind = CHANGE_MOVE,
							 .inode = to->parent,
							 .target = from->found,
							 .name = sim_duplicate(to->name),
							 .old_name = sim_duplicate(from->name)});
		return;
	}
	sim_path_add(disk, to, from->found);
	sim_path_remove(disk, from);
}
