/*
 * sim_copy: whole simulated disks: copied, freed, compared, printed.
 *
 * A copy is the disk as the next process finds it; what a power cut takes away is sim_cut.c's.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_inode.h"

static void mark(struct sim_inode *inode)
{
	if (inode->marked)
		return;
	inode->marked = true;
	for (size_t i = 0; i < inode->visible.name_count; i++)
		mark(inode->visible.names[i].inode);
	for (size_t i = 0; i < inode->stable.name_count; i++)
		mark(inode->stable.names[i].inode);
}

static void mark_all(struct sim_disk *disk)
{
	mark(disk->top);
	for (struct sim_inode *inode = disk->inodes; inode != NULL; inode = inode->next)
		if (inode->handles > 0)
			mark(inode);
	for (struct sim_change *change = disk->pending; change != NULL; change = change->next)
		if (change->inode->marked && change->target != NULL)
			mark(change->target);
}

static void free_inode(struct sim_inode *inode)
{
	view_free(&inode->visible);
	view_free(&inode->stable);
	free(inode);
}

static void drop_changes_of_unmarked(struct sim_disk *disk)
{
	struct sim_change **link = &disk->pending;

	while (*link != NULL) {
		struct sim_change *change = *link;

		if (change->inode->marked) {
			link = &change->next;
			continue;
		}
		*link = change->next;
		sim_change_free(change);
	}
	disk->pending_end = link;
}

void sim_disk_collect(struct sim_disk *disk)
{
	if (disk->top == NULL)
		return; /* the top itself is being made */
	mark_all(disk);
	drop_changes_of_unmarked(disk);
	for (struct sim_inode **link = &disk->inodes; *link != NULL;) {
		struct sim_inode *inode = *link;

		if (inode->marked) {
			inode->marked = false;
			link = &inode->next;
			continue;
		}
		*link = inode->next;
		free_inode(inode);
	}
}

void sim_disk_free(struct sim_disk *disk)
{
	if (disk == NULL)
		return;
	assert(disk->handles == NULL);
	free(disk->top_handle);
	while (disk->pending != NULL) {
		struct sim_change *change = disk->pending;

		disk->pending = change->next;
		sim_change_free(change);
	}
	while (disk->inodes != NULL) {
		struct sim_inode *inode = disk->inodes;

		disk->inodes = inode->next;
		free_inode(inode);
	}
	free(disk);
}

static void copy_inodes(struct sim_disk *to, const struct sim_disk *from)
{
	struct sim_inode **end = &to->inodes;

	for (struct sim_inode *inode = from->inodes; inode != NULL; inode = inode->next) {
		inode->copy = sim_allocate(sizeof(*inode));
		inode->copy->number = inode->number;
		inode->copy->directory = inode->directory;
		*end = inode->copy;
		end = &inode->copy->next;
	}
	for (struct sim_inode *inode = from->inodes; inode != NULL; inode = inode->next) {
		view_copy(&inode->copy->visible, &inode->visible);
		view_copy(&inode->copy->stable, &inode->stable);
	}
	to->top = from->top->copy;
}

static void copy_changes(struct sim_disk *to, const struct sim_disk *from)
{
	to->pending_end = &to->pending;
	for (const struct sim_change *one = from->pending; one != NULL; one = one->next) {
		struct sim_change *change = sim_allocate(sizeof(*change));

		*change = *one;
		change->next = NULL;
		change->inode = one->inode->copy;
		change->target = one->target != NULL ? one->target->copy : NULL;
		change->name = one->name != NULL ? sim_duplicate(one->name) : NULL;
		change->old_name = one->old_name != NULL ? sim_duplicate(one->old_name) : NULL;
		if (one->data != NULL)
			change->data = memcpy(sim_allocate(one->length), one->data, one->length);
		*to->pending_end = change;
		to->pending_end = &change->next;
	}
}

struct sim_disk *sim_disk_copy(const struct sim_disk *disk)
{
	struct sim_disk *copy = sim_allocate(sizeof(*copy));

	copy->base = disk->base;
	copy->seed = disk->seed;
	copy->boots = disk->boots;
	copy->now_ns = disk->now_ns;
	copy->capacity = disk->capacity;
	copy->errno_when_full = disk->errno_when_full;
	copy_inodes(copy, disk);
	copy_changes(copy, disk);
	sim_disk_collect(copy);
	return copy;
}

/* The names are added up, so that their order does not count. */
static uint64_t digest(const struct sim_inode *inode, bool stable)
{
	const struct sim_view *view = stable ? &inode->stable : &inode->visible;
	uint64_t sum = sim_mix(inode->number, view->size);
	uint64_t names = 0;

	sum = sim_mix(sim_mix(sum, view_digest(view)), view->modified_ns);
	for (size_t i = 0; i < view->name_count; i++) {
		const char *name = view->names[i].name;

		names += sim_mix(sim_hash(1, name, strlen(name)),
				 digest(view->names[i].inode, stable));
	}
	return sim_mix(sum, names);
}

uint64_t sim_disk_digest(const struct sim_disk *disk)
{
	uint64_t sum = sim_mix(digest(disk->top, false), digest(disk->top, true));

	sum = sim_mix(sim_mix(sum, disk->boots), sim_disk_pending(disk));
	return sim_mix(sum, disk->capacity);
}

uint64_t sim_disk_file_digest(const struct sim_disk *disk, const char *path)
{
	const struct sim_inode *inode = disk->top;
	char name[SIM_NAME_MAX + 1];

	while (inode != NULL && *path != '\0') {
		size_t length = strcspn(path, "/");

		assert(length < sizeof(name));
		memcpy(name, path, length);
		name[length] = '\0';
		inode = view_find(&inode->visible, name);
		path += length + (path[length] == '/');
	}
	return inode != NULL ? sim_mix(inode->visible.size, view_digest(&inode->visible)) : 0;
}

static void print_tree(const struct sim_inode *inode, const char *name, int depth)
{
	printf("%*s%s%s  inode %llu, %zu octets (%zu stable)\n", depth * 2, "", name,
	       inode->directory ? "/" : "", (unsigned long long)inode->number, inode->visible.size,
	       inode->stable.size);
	for (size_t i = 0; i < inode->visible.name_count; i++)
		print_tree(inode->visible.names[i].inode, inode->visible.names[i].name, depth + 1);
}

void sim_disk_print(const struct sim_disk *disk)
{
	static const char *kinds[] = {"write", "size", "add", "remove", "move"};

	print_tree(disk->top, "", 0);
	for (const struct sim_change *change = disk->pending; change != NULL; change = change->next)
		printf("  pending%s%s: %s inode %llu %s%s%s at %llu, %zu octets\n",
		       change->orphan ? " (orphan)" : "", change->settled ? " (settled)" : "",
		       kinds[change->kind], (unsigned long long)change->inode->number,
		       change->old_name != NULL ? change->old_name : "",
		       change->old_name != NULL ? " -> " : "",
		       change->name != NULL ? change->name : "", (unsigned long long)change->offset,
		       change->length);
}

const char *sim_call_name(enum sim_call call)
{
	static const char *names[SIM_CALLS] = {
		"open", "create", "read",           "write", "set-size", "sync",  "rename",
		"link", "unlink", "make-directory", "lock",  "list",     "status"};

	return names[call];
}

void sim_disk_set_hook(struct sim_disk *disk, sim_hook *hook, void *context)
{
	disk->hook = hook;
	disk->hook_context = context;
}

void sim_disk_set_capacity(struct sim_disk *disk, uint64_t octets, int errno_when_full)
{
	disk->capacity = octets;
	disk->errno_when_full = errno_when_full;
}

size_t sim_disk_handles(const struct sim_disk *disk)
{
	size_t count = 0;

	for (const struct sim_file *file = disk->handles; file != NULL; file = file->next)
		count++;
	return count;
}

uint64_t sim_disk_operations(const struct sim_disk *disk)
{
	return disk->operations;
}

uint64_t sim_disk_version(const struct sim_disk *disk)
{
	return disk->version;
}

struct disk *sim_disk_base(struct sim_disk *disk)
{
	return &disk->base;
}
