/*
 * sim_disk: a disk in memory that forgets, to be put under base/file.h.
 *
 * It keeps two views of every file and directory: what the running system sees, and what is on
 * stable storage. Between them lies a list of pending changes. sim_disk_cut() builds the disk as it
 * may look after a power cut, from the stable view and a choice of the pending changes; so one disk
 * has as many futures as there are choices, and all of them can be tried.
 *
 * The model of loss, as permissive as POSIX and a little more than ext4, xfs and btrfs are:
 *   - file_sync(file) makes content and length of that file stable, and nothing else: not its name;
 *   - file_sync(directory) makes the names in that directory stable, not those below or above it;
 *   - every other change of a file (a write, a new size) is kept or lost for itself,
 *     whatever was written before or after it, in the same file or another;
 *   - a write may be torn: only a beginning, an end, or some of its 512 octet sectors reach the
 *     disk; what lies past the old stable length may also be zeroes (the length grew, the data did
 *     not come) or garbage (pieces of other blocks, up to 48 octets in a row: a stale copy of a
 *     whole record cannot be told from a record, and none of the three shows stale blocks). What
 *     was stable before and is overwritten holds old or new octets by whole sectors;
 *   - the names of one directory: journals apply them in order, so a first part of them survives
 *     (SIM_LOSS_SUBSET). SIM_LOSS_NAMES is stricter than any of the three file systems: any subset
 *     survives. A rename within one directory is old or new, never neither and never both; between
 *     two directories each of them is its own change;
 *   - a failed sync proves nothing: what it should have made stable stays pending, and what was
 *     written to the file no later sync makes stable (Linux marks the pages clean and reports the
 *     error once); lengths and names are in the journal, and a later sync may take them.
 * The end of a process loses nothing but locks, handles and files without a name: sim_disk_copy().
 *
 * Everything follows from the seed. The simulator must not know what is stored on it; the role of a
 * file (for the hook and for tables) is told by a function that the test brings along.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"

enum sim_call {
	SIM_OPEN,
	SIM_CREATE, /* an open that makes a file or a directory */
	SIM_READ,
	SIM_WRITE,
	SIM_SET_SIZE,
	SIM_SYNC,
	SIM_RENAME,
	SIM_LINK,
	SIM_UNLINK,
	SIM_MAKE_DIRECTORY,
	SIM_LOCK,
	SIM_LIST,
	SIM_STATUS,
	SIM_CALLS
};

const char *sim_call_name(enum sim_call call);

/* One call of the code under test, as the hook sees it, before it happens. */
struct sim_operation {
	uint64_t number; /* counts from 1 */
	enum sim_call call;
	const char *path; /* from the top of the disk; of a rename the new name */
	bool directory;
	bool unnamed;
};

/* What the hook wants: 0 lets the call happen; a negative errno makes it fail (a write leaves its
 * first half behind, a sync leaves its changes pending, those of a file for ever, all others do
 * nothing). */
#define SIM_PASS      0
#define SIM_SHORT     1 /* a read or write of one octet or more, but not all of it */
#define SIM_POWER_OFF 2 /* from this call on nothing happens any more: -EIO for ever */

struct sim_disk;
typedef int sim_hook(void *context, struct sim_disk *disk, const struct sim_operation *operation);

enum sim_loss_kind {
	SIM_LOSS_NONE,    /* everything pending reached the disk */
	SIM_LOSS_ALL,     /* nothing did */
	SIM_LOSS_SUBSET,  /* number < sim_disk_subsets(): every choice of whole changes */
	SIM_LOSS_SAMPLE,  /* the same drawn by the number, for disks with too many choices */
	SIM_LOSS_NAMES,   /* as SAMPLE, with any subset of names */
	SIM_LOSS_TORN,    /* number: one write torn (sectors or at any octet), the rest drawn */
	SIM_LOSS_ZEROES,  /* number: one write as zeroes, the rest drawn */
	SIM_LOSS_GARBAGE, /* number: one write as garbage, the rest drawn */
	SIM_LOSS_KINDS
};

struct sim_loss {
	enum sim_loss_kind kind;
	uint64_t number;
};

const char *sim_loss_name(enum sim_loss_kind kind);

struct sim_disk *sim_disk_new(uint64_t seed);
void sim_disk_free(struct sim_disk *disk); /* NULL is allowed; no handle may be open */

/* The top directory, as file_open_root() gives it on the kernel's disk. */
struct file *sim_disk_top(struct sim_disk *disk);
struct disk *sim_disk_base(struct sim_disk *disk);

size_t sim_disk_handles(const struct sim_disk *disk); /* open ones, but for the top's */

/* The process ends: every handle but the top's is closed. */
void sim_disk_end_process(struct sim_disk *disk);

/* The hook is called before each call that is counted; NULL takes it away. */
void sim_disk_set_hook(struct sim_disk *disk, sim_hook *hook, void *context);

/* From now on files may hold that many octets altogether; a write past it fails with the errno
 * (ENOSPC or EDQUOT, given positive). 0 octets: no limit. */
void sim_disk_set_capacity(struct sim_disk *disk, uint64_t octets, int errno_when_full);
uint64_t sim_disk_used(const struct sim_disk *disk);

/* The clock that files take their times from stands still until it is moved, so that whatever
 * happens in between happens within one grain of it. */
#define SIM_BEGIN_NS 1795312860000000000 /* 2026-11-22 */
#define SIM_REBOOT_NS 600000000000 /* from a power cut to the start: ten minutes */
void sim_disk_advance(struct sim_disk *disk, uint64_t nanoseconds);

uint64_t sim_disk_operations(const struct sim_disk *disk); /* calls counted so far */
uint64_t sim_disk_version(const struct sim_disk *disk);    /* changes with every change */

/* Everything pending becomes stable, as after a quiet minute. */
void sim_disk_settle(struct sim_disk *disk);

/* The same for one folder of the top and its files. */
void sim_disk_settle_folder(struct sim_disk *disk, const char *name);
/* The same for files that were made and removed meanwhile: nothing is left of them. */
void sim_disk_forget_removed(struct sim_disk *disk);

size_t sim_disk_pending(const struct sim_disk *disk);
size_t sim_disk_pending_writes(const struct sim_disk *disk);
#define SIM_SUBSETS_ALL 4096                            /* 12 pending changes */
uint64_t sim_disk_subsets(const struct sim_disk *disk); /* choices; above the limit only counted */

/* A new disk as another process finds it after this one ended: everything visible and everything
 * pending is there, without handles, locks, hook, and files without a name. */
struct sim_disk *sim_disk_copy(const struct sim_disk *disk);

/* A new disk as it is after the power came back: nothing pending, another boot. */
struct sim_disk *sim_disk_cut(const struct sim_disk *disk, struct sim_loss loss);

/* A number for all names and contents, visible and stable: equal disks, equal digests. */
uint64_t sim_disk_digest(const struct sim_disk *disk);

/* Of the octets of one visible file, by its path from the top; 0 when there is none. */
uint64_t sim_disk_file_digest(const struct sim_disk *disk, const char *path);

/* Prints what is pending and the tree, for a person. */
void sim_disk_print(const struct sim_disk *disk);

#endif
