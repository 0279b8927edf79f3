/*
 * file: every disk call of the stores.
 *
 * Nothing above this header opens, reads, writes, renames or syncs mail by itself. So a test can
 * put a simulated disk (tests/sim/) under the real code, fail or cut the power at every single
 * operation, and look at what is left; and so the rules of safe opening stand in one place.
 *
 * Results: 0 (or a count) on success, a negative errno otherwise; EINTR and short reads and writes
 * are dealt with here and never reach the caller. After a failed sync the state of the data is
 * unknown and a second sync proves nothing: the caller undoes or gives up.
 *
 * Durability (docs/design/0003-disk.md): file_sync() makes the content and length of a file
 * stable, but not its name; file_sync() of the directory makes names stable. Nothing else is.
 *
 * Names are relative to a directory handle, may hold '/', never leave it, and never pass through a
 * symbolic link. Opening something that is not a regular file (or a directory with
 * FILE_DIRECTORY) yields -EINVAL and never blocks, so that a FIFO cannot hang a worker; a symbolic
 * link yields -ELOOP; a file with a second name opened for writing -EMLINK; a name that could leave
 * -EINVAL. "." names the directory itself, for FILE_DIRECTORY and FILE_UNNAMED only. Handles are
 * close-on-exec. A handle may be used by one thread at a time; a directory handle by any number.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"

struct disk; /* where files live: the kernel's, or a simulated one */
struct file; /* one open file or directory */

enum file_flags {
	FILE_READ = 0,
	FILE_WRITE = 1 << 0,	 /* reading too */
	FILE_CREATE = 1 << 1,	 /* mode 0600; made when missing */
	FILE_EXCLUSIVE = 1 << 2, /* with CREATE: -EEXIST when there */
	FILE_DIRECTORY = 1 << 3, /* FILE_CREATE makes it, mode 0700 */
	FILE_UNNAMED = 1 << 4	 /* a file without a name in the directory `name`; gone at close */
};

struct file_status {
	uint64_t size_octets;
	uint64_t device;
	uint64_t inode;
	uint64_t links;
	uint64_t modified_ns; /* its content, in nanoseconds since 1970 of the disk's clock */
	uint64_t changed_ns;  /* its content or what is known of it; no program can set it */
	bool directory;
};

/* The kernel's disk. One for the process; never freed. */
struct disk *disk_kernel(void);

/* 16 octets that change with every boot of the machine, and with it every loss of what was not
 * synced. Zeroes when unknown (then every start counts as a boot of its own). */
void disk_boot(struct disk *disk, uint8_t boot_out[16]);

/* What a file that is changed now gets as its time. The clock has a grain: a file that was changed
 * twice within it has the same times both times. */
uint64_t disk_now_ns(struct disk *disk);

/* Takes over an open descriptor (kernel's disk only), as handed down by the supervisor. */
int file_adopt(int descriptor, struct file **file_out);

/* Opens a directory by a path of the operator's own (command line, tests), symbolic links followed. */
int file_open_root(const char *path, struct file **file_out);

int file_open(struct file *directory, const char *name, unsigned flags, struct file **file_out);
void file_close(struct file *file); /* NULL is allowed; drops its lock; never loses data silently:
				       what must be safe was synced before */

int file_status(struct file *file, struct file_status *status_out);

/* Reads up to size octets at offset; fewer only at the end of the file. With `no_wait` it returns
 * -EAGAIN rather than wait for the disk (preadv2 RWF_NOWAIT); it may then also read short. */
ssize_t file_read(struct file *file, void *out, size_t size, uint64_t offset, bool no_wait);

/* Writes all pieces at offset, one behind the other, or fails; after a failure any part of them may
 * be there. */
#define FILE_PIECES_MAX 8
int file_write(struct file *file, const struct bytes *pieces, size_t count, uint64_t offset);

int file_set_size(struct file *file, uint64_t size_octets);
int file_sync(struct file *file);

int file_rename(struct file *from_directory, const char *from, struct file *to_directory,
		const char *to);
int file_link(struct file *from_directory, const char *from, struct file *to_directory,
	      const char *to);
int file_unlink(struct file *directory, const char *name);

/* Makes a directory; -EEXIST when there is one. */
int file_make_directory(struct file *directory, const char *name);

/* An exclusive kernel lock on the open file (F_OFD_SETLK), which goes with the handle and so with
 * the process. Needs FILE_WRITE. Never waits: -EAGAIN when somebody else has it. */
int file_lock(struct file *file);
void file_unlock(struct file *file);

/* Calls with each name in a directory ("." and ".." left out) in no particular order, until it
 * returns false. */
typedef bool file_name_callback(void *context, const char *name);
int file_list(struct file *directory, file_name_callback *callback, void *context);

/* Octets read from files so far by this process (statistics, tests). */
uint64_t file_octets_read(void);

/* ---- for implementers of a disk (kernel: file_kernel.c; simulated: tests/sim/sim_disk.c) ----
 *
 * Any operation may answer -EINTR as long as it has done nothing yet (list: before its first name);
 * read and write may fall short; none sees a name that file.c refuses. */

struct file {
	struct disk *disk;
};

struct disk_operations {
	int (*open)(struct file *directory, const char *name, unsigned flags, struct file **file_out);
	void (*close)(struct file *file);
	int (*status)(struct file *file, struct file_status *status_out);
	ssize_t (*read)(struct file *file, void *out, size_t size, uint64_t offset, bool no_wait);
	ssize_t (*write)(struct file *file, const struct bytes *pieces, size_t count, uint64_t offset);
	int (*set_size)(struct file *file, uint64_t size_octets);
	int (*sync)(struct file *file);
	int (*rename)(struct file *from_directory, const char *from, struct file *to_directory,
		      const char *to);
	int (*link)(struct file *from_directory, const char *from, struct file *to_directory,
		    const char *to);
	int (*unlink)(struct file *directory, const char *name);
	int (*make_directory)(struct file *directory, const char *name);
	int (*lock)(struct file *file);
	void (*unlock)(struct file *file);
	int (*list)(struct file *directory, file_name_callback *callback, void *context);
	void (*boot)(struct disk *disk, uint8_t boot_out[16]);
	uint64_t (*now_ns)(struct disk *disk);
};

struct disk {
	const struct disk_operations *operations;
};

#endif
