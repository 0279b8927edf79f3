/*
 * sim_change: the changes that the running system sees and the stable storage does not yet have.
 *
 * Guarantees that the stable view plus all pending changes in order is the visible view, but for
 * what a failed sync left behind. Must not know which of them a power cut keeps: that is sim_cut.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sim_inode.h"

static bool number_taken(const struct sim_disk *disk, uint64_t number)
{
	const struct sim_inode *inode = disk->inodes;

	while (inode != NULL && inode->number != number)
		inode = inode->next;
	return inode != NULL;
}

struct sim_inode *sim_inode_new(struct sim_disk *disk, bool directory)
{
	sim_disk_collect(disk);
	struct sim_inode *inode = sim_allocate(sizeof(*inode));

	do
		inode->number++;
	while (number_taken(disk, inode->number));
	inode->directory = directory;
	inode->visible.modified_ns = inode->stable.modified_ns = disk->now_ns;
	inode->next = disk->inodes;
	disk->inodes = inode;
	return inode;
}

void sim_change_apply(struct sim_view *view, const struct sim_change *change)
{
	if (view->modified_ns < change->now_ns)
		view->modified_ns = change->now_ns;
	switch (change->kind) {
	case CHANGE_WRITE:
		view_write(view, change->offset, change->data, change->length);
		break;
	case CHANGE_SIZE:
		view_set_size(view, change->offset);
		break;
	case CHANGE_ADD:
		view_add(view, change->name, change->target);
		break;
	case CHANGE_REMOVE:
		if (view_find(view, change->name) == change->target)
			view_remove(view, change->name);
		break;
	case CHANGE_MOVE:
		if (view_find(view, change->old_name) == change->target)
			view_remove(view, change->old_name);
		view_add(view, change->name, change->target);
		break;
	}
}

void sim_change_add(struct sim_disk *disk, struct sim_change change)
{
	struct sim_change *kept = sim_allocate(sizeof(*kept));

	*kept = change;
	kept->next = NULL;
	kept->now_ns = disk->now_ns;
	sim_change_apply(&change.inode->visible, kept);
	*disk->pending_end = kept;
	disk->pending_end = &kept->next;
	disk->version++;
}

void sim_change_free(struct sim_change *change)
{
	free(change->name);
	free(change->old_name);
	free(change->data);
	free(change);
}

/* What comes behind an orphan cannot be merged into the stable view before it: it waits in the list
 * as something that every power cut keeps. */
void sim_inode_sync(struct sim_disk *disk, struct sim_inode *inode)
{
	struct sim_change **link = &disk->pending;
	bool behind_orphan = false;

	while (*link != NULL) {
		struct sim_change *change = *link;

		if (change->inode == inode && change->orphan)
			behind_orphan = true;
		if (change->inode != inode || behind_orphan) {
			if (change->inode == inode && !change->orphan)
				change->settled = true;
			link = &change->next;
			continue;
		}
		sim_change_apply(&inode->stable, change);
		*link = change->next;
		sim_change_free(change);
		disk->version++;
	}
	disk->pending_end = link;
}

void sim_inode_orphan(struct sim_disk *disk, struct sim_inode *inode)
{
	for (struct sim_change *change = disk->pending; change != NULL; change = change->next)
		if (change->inode == inode && change->kind == CHANGE_WRITE && !change->settled)
			change->orphan = true;
	disk->version++;
}

void sim_disk_settle(struct sim_disk *disk)
{
	while (disk->pending != NULL) {
		struct sim_change *change = disk->pending;

		disk->pending = change->next;
		sim_change_apply(&change->inode->stable, change);
		sim_change_free(change);
	}
	disk->pending_end = &disk->pending;
	disk->version++;
}

void sim_disk_settle_folder(struct sim_disk *disk, const char *name)
{
	struct sim_inode *folder = view_find(&disk->top->visible, name);

	if (folder == NULL)
		return;
	sim_inode_sync(disk, folder);
	for (size_t i = 0; i < folder->visible.name_count; i++)
		sim_inode_sync(disk, folder->visible.names[i].inode);
}

/* All that is pending of this file: that it got a name, was written, and lost the name again. */
static bool came_and_went(const struct sim_disk *disk, const struct sim_inode *inode)
{
	size_t added = 0, removed = 0, other = 0;

	for (const struct sim_change *one = disk->pending; one != NULL; one = one->next) {
		if (one->target != inode)
			continue;
		added += one->kind == CHANGE_ADD;
		removed += one->kind == CHANGE_REMOVE;
		other += one->kind == CHANGE_MOVE || one->settled;
	}
	return inode->handles == 0 && added == 1 && removed == 1 && other == 0;
}

void sim_disk_forget_removed(struct sim_disk *disk)
{
	for (struct sim_inode *inode = disk->inodes; inode != NULL; inode = inode->next) {
		struct sim_change **link = &disk->pending;

		if (!came_and_went(disk, inode))
			continue;
		while (*link != NULL) {
			struct sim_change *change = *link;

			if (change->target != inode && change->inode != inode) {
				link = &change->next;
				continue;
			}
			*link = change->next;
			sim_change_free(change);
			disk->version++;
		}
		disk->pending_end = link;
	}
}

size_t sim_disk_pending(const struct sim_disk *disk)
{
	size_t count = 0;

	for (const struct sim_change *change = disk->pending; change != NULL; change = change->next)
		if (!change->settled)
			count++;
	return count;
}

size_t sim_disk_pending_writes(const struct sim_disk *disk)
{
	size_t count = 0;

	for (const struct sim_change *change = disk->pending; change != NULL; change = change->next)
		if (change->kind == CHANGE_WRITE && !change->settled)
			count++;
	return count;
}
