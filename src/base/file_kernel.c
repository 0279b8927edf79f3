/*
 * file_kernel: the kernel's disk, the raw operations behind base/file.h.
 *
 * Guarantees: a name is resolved below its directory and through no symbolic link, by openat2(2)
 * or, where that is missing, component by component; nothing but regular files and directories is
 * ever handed out; no open waits for the other end of a FIFO or makes a terminal ours. A file that
 * is opened for writing has one name at most, because another one may be somebody else's file.
 *
 * Must not know what the files are for. Loops over EINTR and short counts are in file.c.
 */
#include "base/file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/below.h"
#include "base/random.h"

#define SAFE_FLAGS (O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

struct kernel_file {
	struct file file;
	int descriptor;
};

static int descriptor_of(const struct file *file)
{
	return ((const struct kernel_file *)file)->descriptor;
}

/* ---- opening ---- */

static int wrap_descriptor(int descriptor, struct file **file_out)
{
	struct kernel_file *file = malloc(sizeof(*file));

	if (file == NULL) {
		close(descriptor);
		return -ENOMEM;
	}
	file->file.disk = disk_kernel();
	file->descriptor = descriptor;
	*file_out = &file->file;
	return 0;
}

static int check_kind(int descriptor, unsigned flags)
{
	struct stat status;

	if (fstat(descriptor, &status) < 0)
		return -errno;
	if ((flags & FILE_DIRECTORY) != 0)
		return S_ISDIR(status.st_mode) ? 0 : -EINVAL;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	return (flags & FILE_WRITE) != 0 && status.st_nlink > 1 ? -EMLINK : 0;
}

static int make_directory(struct file *directory, const char *name)
{
	struct below_place place;
	int result = below_find(descriptor_of(directory), name, &place);

	if (result < 0)
		return result;
	if (mkdirat(place.directory, place.last, 0700) < 0)
		result = -errno;
	below_leave(&place);
	return result;
}

static int open_directory(struct file *directory, const char *name, unsigned flags)
{
	int descriptor;

	if ((flags & FILE_CREATE) != 0) {
		int result = make_directory(directory, name);

		if (result < 0 && (result != -EEXIST || (flags & FILE_EXCLUSIVE) != 0))
			return result;
	}
	do
		descriptor = below_open(descriptor_of(directory), name,
					O_RDONLY | O_DIRECTORY | SAFE_FLAGS, 0);
	while (descriptor == -EINTR); /* file.c must not make the directory a second time */
	return descriptor == -ENOTDIR ? -EINVAL : descriptor;
}

static int open_regular(struct file *directory, const char *name, unsigned flags)
{
	int open_flags = SAFE_FLAGS | ((flags & FILE_WRITE) != 0 ? O_RDWR : O_RDONLY);
	mode_t mode = 0;
	int descriptor;

	if ((flags & FILE_CREATE) != 0) {
		open_flags |= O_CREAT | ((flags & FILE_EXCLUSIVE) != 0 ? O_EXCL : 0);
		mode = 0600;
	}
	descriptor = below_open(descriptor_of(directory), name, open_flags, mode);
	/* a directory opened for writing, a socket, a device without a driver */
	if (descriptor == -EISDIR || descriptor == -ENXIO || descriptor == -ENODEV)
		return -EINVAL;
	return descriptor;
}

/* For file systems without O_TMPFILE: a name nobody can guess, taken away at once. */
static int open_and_unlink(int directory)
{
	char name[RANDOM_UID_OCTETS];
	int descriptor;

	random_uid(name);
	descriptor = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | SAFE_FLAGS, 0600);
	if (descriptor < 0)
		return -errno;
	if (unlinkat(directory, name, 0) < 0) {
		int error = errno;

		close(descriptor);
		return -error;
	}
	return descriptor;
}

static int open_unnamed(struct file *directory, const char *name)
{
	int parent = below_open(descriptor_of(directory), name, BELOW_PATH_FLAGS, 0);
	int descriptor;

	if (parent < 0)
		return parent == -ENOTDIR ? -EINVAL : parent;
	descriptor = openat(parent, ".", O_TMPFILE | O_EXCL | O_RDWR | SAFE_FLAGS, 0600);
	if (descriptor < 0) {
		descriptor = -errno;
		/* EISDIR: a kernel or a file system that knows only the O_DIRECTORY in it */
		if (descriptor == -EOPNOTSUPP || descriptor == -EISDIR || descriptor == -EINVAL)
			descriptor = open_and_unlink(parent);
	}
	close(parent);
	return descriptor;
}

static int kernel_open(struct file *directory, const char *name, unsigned flags,
		       struct file **file_out)
{
	int descriptor;
	int result;

	if ((flags & FILE_UNNAMED) != 0)
		descriptor = open_unnamed(directory, name);
	else if ((flags & FILE_DIRECTORY) != 0)
		descriptor = open_directory(directory, name, flags);
	else
		descriptor = open_regular(directory, name, flags);
	if (descriptor < 0)
		return descriptor;
	result = check_kind(descriptor, (flags & FILE_UNNAMED) != 0 ? FILE_WRITE : flags);
	if (result < 0) {
		close(descriptor);
		return result;
	}
	return wrap_descriptor(descriptor, file_out);
}

static void kernel_close(struct file *file)
{
	close(descriptor_of(file)); /* Linux frees the descriptor whatever it answers */
	free(file);
}

int file_adopt(int descriptor, struct file **file_out)
{
	struct stat status;

	*file_out = NULL;
	if (fstat(descriptor, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
		return -EINVAL;
	if (fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return wrap_descriptor(descriptor, file_out);
}

int file_open_root(const char *path, struct file **file_out)
{
	int descriptor;

	*file_out = NULL;
	do
		descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (descriptor < 0 && errno == EINTR);
	if (descriptor < 0)
		return -errno;
	return wrap_descriptor(descriptor, file_out);
}

/* ---- content ---- */

static uint64_t nanoseconds(struct timespec time)
{
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int kernel_status(struct file *file, struct file_status *status_out)
{
	struct stat status;

	if (fstat(descriptor_of(file), &status) < 0)
		return -errno;
	*status_out = (struct file_status){
		.size_octets = (uint64_t)status.st_size,
		.device = status.st_dev,
		.inode = status.st_ino,
		.links = status.st_nlink,
		.modified_ns = nanoseconds(status.st_mtim),
		.changed_ns = nanoseconds(status.st_ctim),
		.directory = S_ISDIR(status.st_mode),
	};
	return 0;
}

/* A file system that cannot promise not to wait might wait: that is EAGAIN too. */
static ssize_t kernel_read(struct file *file, void *out, size_t size, uint64_t offset, bool no_wait)
{
	struct iovec room = {out, size};
	ssize_t count;

	if (!no_wait)
		count = pread(descriptor_of(file), out, size, (off_t)offset);
	else
		count = preadv2(descriptor_of(file), &room, 1, (off_t)offset, RWF_NOWAIT);
	if (count >= 0)
		return count;
	if (no_wait && (errno == EOPNOTSUPP || errno == ENOSYS))
		return -EAGAIN;
	return -errno;
}

static ssize_t kernel_write(struct file *file, const struct bytes *pieces, size_t count,
			    uint64_t offset)
{
	struct iovec vector[FILE_PIECES_MAX];
	ssize_t written;

	assert(count <= FILE_PIECES_MAX);
	for (size_t i = 0; i < count; i++)
		vector[i] = (struct iovec){(void *)(uintptr_t)pieces[i].data, pieces[i].length};
	written = pwritev(descriptor_of(file), vector, (int)count, (off_t)offset);
	return written < 0 ? -errno : written;
}

static int kernel_set_size(struct file *file, uint64_t size_octets)
{
	return ftruncate(descriptor_of(file), (off_t)size_octets) < 0 ? -errno : 0;
}

static int kernel_sync(struct file *file)
{
	return fsync(descriptor_of(file)) < 0 ? -errno : 0;
}

/* ---- names again ---- */

static int kernel_rename(struct file *from_directory, const char *from, struct file *to_directory,
			 const char *to)
{
	struct below_place source, target;
	int result = below_find(descriptor_of(from_directory), from, &source);

	if (result < 0)
		return result;
	result = below_find(descriptor_of(to_directory), to, &target);
	if (result == 0) {
		if (renameat(source.directory, source.last, target.directory, target.last) < 0)
			result = -errno;
		below_leave(&target);
	}
	below_leave(&source);
	return result;
}

static int kernel_link(struct file *from_directory, const char *from, struct file *to_directory,
		       const char *to)
{
	struct below_place source, target;
	int result = below_find(descriptor_of(from_directory), from, &source);

	if (result < 0)
		return result;
	result = below_find(descriptor_of(to_directory), to, &target);
	if (result == 0) {
		if (linkat(source.directory, source.last, target.directory, target.last, 0) < 0)
			result = -errno;
		below_leave(&target);
	}
	below_leave(&source);
	return result;
}

static int kernel_unlink(struct file *directory, const char *name)
{
	struct below_place place;
	int result = below_find(descriptor_of(directory), name, &place);

	if (result < 0)
		return result;
	if (unlinkat(place.directory, place.last, 0) < 0)
		result = -errno;
	below_leave(&place);
	return result;
}

/* Opened anew rather than by dup, because copies of a descriptor share their position and a
 * directory handle may be listed by several threads. d_type is not looked at: it may be unknown. */
static int kernel_list(struct file *directory, file_name_callback *callback, void *context)
{
	int descriptor = openat(descriptor_of(directory), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool more = true;
	DIR *stream;
	int error;

	if (descriptor < 0)
		return -errno;
	stream = fdopendir(descriptor);
	if (stream == NULL) {
		error = errno;
		close(descriptor);
		return -error;
	}
	do {
		struct dirent *entry;

		errno = 0;
		entry = readdir(stream);
		error = errno;
		if (entry == NULL)
			break;
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			more = callback(context, entry->d_name);
	} while (more);
	closedir(stream);
	return more ? -error : 0;
}

/* ---- locks, boot ---- */

static int set_lock(struct file *file, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	if (fcntl(descriptor_of(file), F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

static int kernel_lock(struct file *file)
{
	return set_lock(file, F_WRLCK);
}

static void kernel_unlock(struct file *file)
{
	set_lock(file, F_UNLCK);
}

static uint8_t boot[16];

/* "0f0e0d0c-0b0a-…" */
static void read_boot(void)
{
	static const char digits[] = "0123456789abcdef";
	int descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char text[40];
	ssize_t length = descriptor < 0 ? 0 : read(descriptor, text, sizeof(text));
	size_t count = 0;

	if (descriptor >= 0)
		close(descriptor);
	for (ssize_t i = 0; i < length && count < 2 * sizeof(boot); i++) {
		const char *digit = memchr(digits, text[i], sizeof(digits) - 1);

		if (digit == NULL)
			continue;
		boot[count / 2] = (uint8_t)(boot[count / 2] << 4 | (digit - digits));
		count++;
	}
	if (count < 2 * sizeof(boot))
		memset(boot, 0, sizeof(boot));
}

/* Kept, because a process that asked before it entered its sandbox may not read it again. */
static void kernel_boot(struct disk *disk, uint8_t boot_out[16])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)disk;
	pthread_once(&once, read_boot);
	memcpy(boot_out, boot, sizeof(boot));
}

/* The clock that file systems take their times from: it goes forward by the tick. */
static uint64_t kernel_now_ns(struct disk *disk)
{
	struct timespec now = {0};

	(void)disk;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return nanoseconds(now);
}

static const struct disk_operations kernel_operations = {
	.open = kernel_open,
	.close = kernel_close,
	.status = kernel_status,
	.read = kernel_read,
	.write = kernel_write,
	.set_size = kernel_set_size,
	.sync = kernel_sync,
	.rename = kernel_rename,
	.link = kernel_link,
	.unlink = kernel_unlink,
	.make_directory = make_directory,
	.lock = kernel_lock,
	.unlock = kernel_unlock,
	.list = kernel_list,
	.boot = kernel_boot,
	.now_ns = kernel_now_ns,
};

struct disk *disk_kernel(void)
{
	static struct disk kernel = {.operations = &kernel_operations};

	return &kernel;
}
