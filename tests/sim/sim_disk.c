/*
 * sim_disk: the calls of base/file.h on the simulated disk, as the running system sees them.
 *
 * Guarantees that every call is counted and shown to the hook before it happens, and that locks
 * behave as the kernel's per open file (F_OFD_SETLK). Must not know what a power cut leaves behind
 * (sim_cut.c), nor what is kept on the disk.
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

/* Counts a call and asks the hook. */
static int begin(struct sim_disk *disk, enum sim_call call, const struct sim_file *file,
		 const char *path)
{
	struct sim_operation operation = {
		.number = ++disk->operations,
		.call = call,
		.path = path,
		.directory = file != NULL && file->inode->directory,
		.unnamed = file != NULL && (file->flags & FILE_UNNAMED) != 0,
	};

	if (disk->power_off)
		return -EIO;
	int verdict = disk->hook != NULL ? disk->hook(disk->hook_context, disk, &operation) : 0;

	if (verdict == SIM_POWER_OFF) {
		disk->power_off = true;
		return -EIO;
	}
	return verdict;
}

int sim_begin_file(struct file *file, enum sim_call call)
{
	return begin(disk_of(file), call, handle_of(file), handle_of(file)->path);
}

/* For calls on names; directories are told by what the name leads to. */
int sim_begin_path(struct sim_disk *disk, enum sim_call call, const struct sim_path *path)
{
	struct sim_operation operation = {
		.number = ++disk->operations,
		.call = call,
		.path = path->text,
		.directory = path->directory,
		.unnamed = path->unnamed,
	};

	if (disk->power_off)
		return -EIO;
	int verdict = disk->hook != NULL ? disk->hook(disk->hook_context, disk, &operation) : 0;

	if (verdict == SIM_POWER_OFF)
		disk->power_off = true;
	return verdict == SIM_POWER_OFF ? -EIO : verdict == SIM_SHORT ? 0 : verdict;
}

static struct file *open_inode(struct sim_disk *disk, struct sim_inode *inode, unsigned flags,
			       const char *path)
{
	struct sim_file *file = sim_allocate(sizeof(*file));

	file->base.disk = &disk->base;
	file->inode = inode;
	file->flags = flags;
	memcpy(file->path, path, strlen(path) + 1);
	inode->handles++;
	file->next = disk->handles;
	file->link = &disk->handles;
	if (file->next != NULL)
		file->next->link = &file->next;
	disk->handles = file;
	return &file->base;
}

static int sim_open(struct file *directory, const char *name, unsigned flags,
		    struct file **file_out)
{
	struct sim_disk *disk = disk_of(directory);
	struct sim_path path;
	int result = sim_path_walk(handle_of(directory), name, &path);
	bool unnamed = (flags & FILE_UNNAMED) != 0;
	bool creates =
		result == 0 && (unnamed || (path.found == NULL && (flags & FILE_CREATE) != 0));
	bool directory_found = path.directory;

	path.unnamed = unnamed;
	if (creates)
		path.directory = !unnamed && (flags & FILE_DIRECTORY) != 0;
	int verdict = sim_begin_path(disk, creates ? SIM_CREATE : SIM_OPEN, &path);

	if (verdict != 0 || result != 0)
		return verdict != 0 ? verdict : result;
	if (path.found == NULL && !creates)
		return -ENOENT;
	if (path.found != NULL && (flags & FILE_CREATE) != 0 && (flags & FILE_EXCLUSIVE) != 0)
		return -EEXIST;
	bool directory_wanted = (flags & (FILE_DIRECTORY | FILE_UNNAMED)) != 0;

	if (path.found != NULL && directory_found != directory_wanted)
		return -EINVAL;
	struct sim_inode *inode = path.found;

	if (creates)
		inode = sim_inode_new(disk, path.directory);
	if (creates && !unnamed)
		sim_path_add(disk, &path, inode);
	*file_out = open_inode(disk, inode, flags, path.text);
	return 0;
}

static void sim_close(struct file *file)
{
	struct sim_inode *inode = handle_of(file)->inode;

	if (inode->lock_holder == file)
		inode->lock_holder = NULL;
	inode->handles--;
	*handle_of(file)->link = handle_of(file)->next;
	if (handle_of(file)->next != NULL)
		handle_of(file)->next->link = handle_of(file)->link;
	free(file);
}

static uint64_t links(const struct sim_disk *disk, const struct sim_inode *inode)
{
	uint64_t count = 0;

	for (const struct sim_inode *one = disk->inodes; one != NULL; one = one->next)
		for (size_t i = 0; i < one->visible.name_count; i++)
			if (one->visible.names[i].inode == inode)
				count++;
	return count;
}

uint64_t sim_disk_used(const struct sim_disk *disk)
{
	uint64_t used = 0;

	for (const struct sim_inode *inode = disk->inodes; inode != NULL; inode = inode->next)
		if (inode->handles > 0 || links(disk, inode) > 0)
			used += inode->visible.size;
	return used;
}

static int sim_status(struct file *file, struct file_status *status_out)
{
	const struct sim_inode *inode = handle_of(file)->inode;
	int verdict = sim_begin_file(file, SIM_STATUS);

	if (verdict < 0)
		return verdict;
	*status_out = (struct file_status){
		.size_octets = inode->visible.size,
		.device = 1,
		.inode = inode->number,
		.links = links(disk_of(file), inode),
		.modified_ns = inode->visible.modified_ns,
		.changed_ns = inode->visible.modified_ns,
		.directory = inode->directory,
	};
	return 0;
}

static ssize_t sim_read(struct file *file, void *out, size_t size, uint64_t offset, bool no_wait)
{
	const struct sim_inode *inode = handle_of(file)->inode;
	int verdict = sim_begin_file(file, SIM_READ);

	(void)no_wait; /* memory never waits */
	if (verdict < 0)
		return verdict;
	if (inode->directory)
		return -EISDIR;
	if (offset >= inode->visible.size)
		return 0;
	if (size > inode->visible.size - offset)
		size = inode->visible.size - offset;
	if (verdict == SIM_SHORT && size > 1)
		size = (size + 1) / 2;
	memcpy(out, view_data(&inode->visible) + offset, size);
	return (ssize_t)size;
}

/* Up to where a file may grow, of the end that is wanted. */
static uint64_t room_for(struct sim_disk *disk, const struct sim_inode *inode, uint64_t end)
{
	if (disk->capacity == 0 || end <= inode->visible.size)
		return end;
	uint64_t used = sim_disk_used(disk);
	uint64_t room = used < disk->capacity ? disk->capacity - used : 0;

	return end - inode->visible.size <= room ? end : inode->visible.size + room;
}

static char *join(const struct bytes *pieces, size_t count, size_t *length_out)
{
	size_t length = 0, at = 0;

	for (size_t i = 0; i < count; i++)
		length += pieces[i].length;
	char *data = sim_allocate(length);

	for (size_t i = 0; i < count; i++) {
		if (pieces[i].length > 0)
			memcpy(data + at, pieces[i].data, pieces[i].length);
		at += pieces[i].length;
	}
	*length_out = length;
	return data;
}

static ssize_t sim_write(struct file *file, const struct bytes *pieces, size_t count,
			 uint64_t offset)
{
	struct sim_disk *disk = disk_of(file);
	struct sim_inode *inode = handle_of(file)->inode;
	int verdict = sim_begin_file(file, SIM_WRITE);
	size_t wanted;

	if (verdict == -EINTR || disk->power_off)
		return verdict;
	if ((handle_of(file)->flags & (FILE_WRITE | FILE_UNNAMED)) == 0 || inode->directory)
		return -EBADF;
	char *data = join(pieces, count, &wanted);
	size_t length = verdict != 0 && wanted > 1 ? wanted / 2 : wanted;
	uint64_t end = room_for(disk, inode, offset + length);

	length = end > offset ? (size_t)(end - offset) : 0;
	if (length == 0) {
		free(data);
		return verdict < 0 ? verdict : wanted > 0 ? -disk->errno_when_full : 0;
	}
	sim_change_add(disk, (struct sim_change){.kind = CHANGE_WRITE,
						 .inode = inode,
						 .offset = offset,
						 .data = data,
						 .length = length});
	return verdict < 0 ? verdict : (ssize_t)length;
}

static int sim_set_size(struct file *file, uint64_t size_octets)
{
	int verdict = sim_begin_file(file, SIM_SET_SIZE);

	if (verdict < 0)
		return verdict;
	if ((handle_of(file)->flags & (FILE_WRITE | FILE_UNNAMED)) == 0)
		return -EBADF;
	sim_change_add(disk_of(file), (struct sim_change){.kind = CHANGE_SIZE,
							  .inode = handle_of(file)->inode,
							  .offset = size_octets});
	return 0;
}

static int sim_sync(struct file *file)
{
	struct sim_inode *inode = handle_of(file)->inode;
	int verdict = sim_begin_file(file, SIM_SYNC);

	if (verdict < 0 && verdict != -EINTR && !disk_of(file)->power_off)
		sim_inode_orphan(disk_of(file), inode);
	if (verdict < 0)
		return verdict;
	sim_inode_sync(disk_of(file), inode);
	return 0;
}

static int sim_lock(struct file *file)
{
	struct sim_inode *inode = handle_of(file)->inode;
	int verdict = sim_begin_file(file, SIM_LOCK);

	if (verdict < 0)
		return verdict;
	if ((handle_of(file)->flags & FILE_WRITE) == 0)
		return -EBADF;
	if (inode->lock_holder != NULL && inode->lock_holder != file)
		return -EAGAIN;
	inode->lock_holder = file;
	return 0;
}

static void sim_unlock(struct file *file)
{
	struct sim_inode *inode = handle_of(file)->inode;

	if (inode->lock_holder == file)
		inode->lock_holder = NULL;
}

static void sim_boot(struct disk *base, uint8_t boot_out[16])
{
	const struct sim_disk *disk = (const struct sim_disk *)base;
	uint64_t halves[2] = {sim_mix(disk->seed, disk->boots), sim_mix(disk->boots, disk->seed)};

	memcpy(boot_out, halves, sizeof(halves));
}

static uint64_t sim_now_ns(struct disk *disk)
{
	return ((const struct sim_disk *)disk)->now_ns;
}

void sim_disk_advance(struct sim_disk *disk, uint64_t nanoseconds)
{
	disk->now_ns += nanoseconds;
}

static const struct disk_operations operations = {
	.open = sim_open,
	.close = sim_close,
	.status = sim_status,
	.read = sim_read,
	.write = sim_write,
	.set_size = sim_set_size,
	.sync = sim_sync,
	.rename = sim_rename,
	.link = sim_link,
	.unlink = sim_unlink,
	.make_directory = sim_make_directory,
	.lock = sim_lock,
	.unlock = sim_unlock,
	.list = sim_list,
	.boot = sim_boot,
	.now_ns = sim_now_ns,
};

struct file *sim_disk_top(struct sim_disk *disk)
{
	if (disk->top_handle == NULL) {
		disk->top_handle = open_inode(disk, disk->top, FILE_DIRECTORY, "");
		disk->handles = disk->handles->next;
		if (disk->handles != NULL)
			disk->handles->link = &disk->handles;
	}
	return disk->top_handle;
}

void sim_disk_end_process(struct sim_disk *disk)
{
	while (disk->handles != NULL)
		sim_close(&disk->handles->base);
}

struct sim_disk *sim_disk_new(uint64_t seed)
{
	struct sim_disk *disk = sim_allocate(sizeof(*disk));

	disk->base.operations = &operations;
	disk->pending_end = &disk->pending;
	disk->seed = seed;
	disk->now_ns = SIM_BEGIN_NS;
	disk->errno_when_full = ENOSPC;
	disk->top = sim_inode_new(disk, true);
	return disk;
}
