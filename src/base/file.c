/*
 * file: what is the same for every disk, above its raw operations (file.h).
 *
 * Guarantees: a name that could leave its directory reaches no disk; EINTR, short reads and short
 * writes end here; a disk that makes no progress is an error and not a loop.
 *
 * Must not know which disk it is, nor make a call of the system itself.
 */
#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>

#define NAME_OCTETS_MAX 4095 /* PATH_MAX without its NUL */

/* An interrupted call has done nothing yet, so it is simply made again; so too a sync, whose error
 * report the kernel hands out only when it finishes. */
#define UNINTERRUPTED(result, call)                                                                \
	do                                                                                         \
		(result) = (call);                                                                 \
	while ((result) == -EINTR)

static _Atomic uint64_t octets_read;

static bool component_allowed(const char *start, size_t length)
{
	if (length == 0 || length > NAME_MAX)
		return false;
	return !(start[0] == '.' && (length == 1 || (length == 2 && start[1] == '.')));
}

/* Relative, no empty component (so neither "/a" nor "a//b" nor "a/"), no "." and no "..". */
static int check_name(const char *name)
{
	if (strlen(name) > NAME_OCTETS_MAX)
		return -ENAMETOOLONG;
	for (;;) {
		size_t length = strcspn(name, "/");

		if (!component_allowed(name, length))
			return length > NAME_MAX ? -ENAMETOOLONG : -EINVAL;
		if (name[length] == '\0')
			return 0;
		name += length + 1;
	}
}

int file_open(struct file *directory, const char *name, unsigned flags, struct file **file_out)
{
	bool itself = (flags & (FILE_DIRECTORY | FILE_UNNAMED)) != 0 && strcmp(name, ".") == 0;
	int result = itself ? 0 : check_name(name);

	assert((flags & FILE_EXCLUSIVE) == 0 || (flags & FILE_CREATE) != 0);
	assert((flags & FILE_DIRECTORY) == 0 || (flags & (FILE_WRITE | FILE_UNNAMED)) == 0);
	*file_out = NULL;
	if (result < 0)
		return result;
	UNINTERRUPTED(result, directory->disk->operations->open(directory, name, flags, file_out));
	return result;
}

void file_close(struct file *file)
{
	if (file != NULL)
		file->disk->operations->close(file);
}

int file_status(struct file *file, struct file_status *status_out)
{
	int result;

	UNINTERRUPTED(result, file->disk->operations->status(file, status_out));
	return result;
}

/* Offsets are those of off_t: 63 bits. */
static bool range_allowed(uint64_t offset, uint64_t size)
{
	return offset <= INT64_MAX && size <= INT64_MAX - offset;
}

ssize_t file_read(struct file *file, void *out, size_t size, uint64_t offset, bool no_wait)
{
	char *at = out;
	size_t done = 0;

	if (!range_allowed(offset, size))
		return -EINVAL;
	while (done < size) {
		ssize_t count;

		UNINTERRUPTED(count, file->disk->operations->read(file, at + done, size - done,
								  offset + done, no_wait));
		if (count < 0)
			return count;
		assert((size_t)count <= size - done);
		done += (size_t)count;
		if (count == 0 || no_wait)
			break;
	}
	atomic_fetch_add_explicit(&octets_read, done, memory_order_relaxed);
	return (ssize_t)done;
}

/* Takes count octets from the front of the pieces; returns how many pieces are left. */
static size_t drop_written(struct bytes *pieces, size_t pieces_count, size_t count)
{
	size_t whole = 0;

	while (whole < pieces_count && pieces[whole].length <= count)
		count -= pieces[whole++].length;
	if (whole < pieces_count)
		pieces[whole] = bytes_skip(pieces[whole], count);
	memmove(pieces, pieces + whole, (pieces_count - whole) * sizeof(*pieces));
	return pieces_count - whole;
}

int file_write(struct file *file, const struct bytes *pieces, size_t count, uint64_t offset)
{
	struct bytes left[FILE_PIECES_MAX];
	uint64_t total = 0;

	assert(count <= FILE_PIECES_MAX);
	for (size_t i = 0; i < count; i++) {
		left[i] = pieces[i];
		total += pieces[i].length;
	}
	if (!range_allowed(offset, total))
		return -EINVAL;
	count = drop_written(left, count, 0); /* empty pieces in front */
	while (count > 0) {
		ssize_t written;

		UNINTERRUPTED(written, file->disk->operations->write(file, left, count, offset));
		if (written < 0)
			return (int)written;
		if (written == 0)
			return -EIO;
		assert((uint64_t)written <= total);
		total -= (uint64_t)written;
		offset += (uint64_t)written;
		count = drop_written(left, count, (size_t)written);
	}
	return 0;
}

int file_set_size(struct file *file, uint64_t size_octets)
{
	int result;

	if (!range_allowed(0, size_octets))
		return -EINVAL;
	UNINTERRUPTED(result, file->disk->operations->set_size(file, size_octets));
	return result;
}

int file_sync(struct file *file)
{
	int result;

	UNINTERRUPTED(result, file->disk->operations->sync(file));
	return result;
}

static int check_two(const struct file *from_directory, const char *from,
		     const struct file *to_directory, const char *to)
{
	int result = check_name(from);

	if (result == 0)
		result = check_name(to);
	if (result == 0 && from_directory->disk != to_directory->disk)
		result = -EXDEV;
	return result;
}

int file_rename(struct file *from_directory, const char *from, struct file *to_directory,
		const char *to)
{
	int result = check_two(from_directory, from, to_directory, to);

	if (result < 0)
		return result;
	UNINTERRUPTED(result, from_directory->disk->operations->rename(from_directory, from,
								       to_directory, to));
	return result;
}

int file_link(struct file *from_directory, const char *from, struct file *to_directory,
	      const char *to)
{
	int result = check_two(from_directory, from, to_directory, to);

	if (result < 0)
		return result;
	UNINTERRUPTED(result, from_directory->disk->operations->link(from_directory, from,
								     to_directory, to));
	return result;
}

int file_unlink(struct file *directory, const char *name)
{
	int result = check_name(name);

	if (result < 0)
		return result;
	UNINTERRUPTED(result, directory->disk->operations->unlink(directory, name));
	return result;
}

int file_make_directory(struct file *directory, const char *name)
{
	int result = check_name(name);

	if (result < 0)
		return result;
	UNINTERRUPTED(result, directory->disk->operations->make_directory(directory, name));
	return result;
}

int file_lock(struct file *file)
{
	int result;

	UNINTERRUPTED(result, file->disk->operations->lock(file));
	return result;
}

void file_unlock(struct file *file)
{
	file->disk->operations->unlock(file);
}

int file_list(struct file *directory, file_name_callback *callback, void *context)
{
	int result;

	UNINTERRUPTED(result, directory->disk->operations->list(directory, callback, context));
	return result;
}

void disk_boot(struct disk *disk, uint8_t boot_out[16])
{
	memset(boot_out, 0, 16);
	disk->operations->boot(disk, boot_out);
}

uint64_t disk_now_ns(struct disk *disk)
{
	return disk->operations->now_ns(disk);
}

uint64_t file_octets_read(void)
{
	return atomic_load_explicit(&octets_read, memory_order_relaxed);
}
