/*
 * sim_inode: what the files of the simulated disk share: inodes, the two views of each, and the
 * changes between them. For sim_*.c only; tests use sim_disk.h.
 */
#ifndef SIM_INODE_H
#define SIM_INODE_H

#include "sim_disk.h"

#define SIM_SECTOR_OCTETS   512
#define SIM_FRAGMENT_OCTETS 48
#define SIM_NAME_MAX        255
#define SIM_PATH_MAX        1023

struct sim_name {
	char *name;
	struct sim_inode *inode;
};

/* Octets that several views and disks share until one of them writes. */
struct sim_octets {
	size_t references, capacity;
	uint64_t digest; /* of the first `digested` octets, when that is what the view has */
	size_t digested;
	char data[];
};

struct sim_view {                  /* one state of a file or of a directory */
	struct sim_octets *octets; /* NULL: none */
	size_t size;
	uint64_t modified_ns;
	struct sim_name *names;
	size_t name_count;
};

struct sim_inode {
	uint64_t number;
	bool directory;
	size_t handles;
	struct file *lock_holder;
	struct sim_view visible, stable;
	struct sim_inode *copy; /* used while a disk is copied */
	bool marked;            /* used while what nothing leads to is freed */
	struct sim_inode *next;
};

enum sim_change_kind {
	CHANGE_WRITE,
	CHANGE_SIZE,
	CHANGE_ADD,    /* name -> target, in a directory; takes the place of an older one */
	CHANGE_REMOVE, /* name, when it still leads to target */
	CHANGE_MOVE    /* old_name -> name, at once */
};

struct sim_change {
	enum sim_change_kind kind;
	bool orphan;  /* a sync of it failed: no later one helps */
	bool settled; /* synced, but behind an orphan: every cut keeps it */
	struct sim_inode *inode;
	struct sim_inode *target;
	char *name, *old_name;
	uint64_t offset; /* of a write; else the size */
	uint64_t now_ns; /* when it was made */
	char *data;
	size_t length;
	struct sim_change *next;
};

struct sim_disk {
	struct disk base;
	struct sim_inode *inodes;
	struct sim_inode *top;
	struct sim_change *pending, **pending_end;
	struct file *top_handle;
	uint64_t seed, boots, operations, version;
	uint64_t now_ns;
	uint64_t capacity;
	int errno_when_full;
	bool power_off;
	sim_hook *hook;
	void *hook_context;
	struct sim_file *handles; /* all but the top's */
};

struct sim_file {
	struct file base;
	struct sim_inode *inode;
	unsigned flags;
	struct sim_file *next, **link;
	char path[SIM_PATH_MAX + 1];
};

/* Never return NULL; a test without memory has nothing to say. */
void *sim_allocate(size_t size);
char *sim_duplicate(const char *text);
uint64_t sim_mix(uint64_t a, uint64_t b); /* a good hash of two numbers */
uint64_t sim_hash(uint64_t sum, const char *data, size_t size);

/* sim_view.c: pure changes of one view. */
void view_free(struct sim_view *view);
const char *view_data(const struct sim_view *view);
uint64_t view_digest(const struct sim_view *view); /* of the octets, not of the names */
void view_write(struct sim_view *view, uint64_t offset, const char *data, size_t length);
void view_set_size(struct sim_view *view, uint64_t size);
struct sim_inode *view_find(const struct sim_view *view, const char *name);
void view_add(struct sim_view *view, const char *name, struct sim_inode *inode);
void view_remove(struct sim_view *view, const char *name);
void view_copy(struct sim_view *to, const struct sim_view *from); /* names lead to inode->copy */

/* sim_copy.c: whole disks. */
void sim_disk_collect(struct sim_disk *disk); /* frees inodes that nothing leads to */

/* sim_change.c: the list between the views. An inode number is the lowest that is free, because
 * real file systems too give the number of a removed file to the next one. */
struct sim_inode *sim_inode_new(struct sim_disk *disk, bool directory);
void sim_change_apply(struct sim_view *view, const struct sim_change *change);
/* Applies the change to the visible view and keeps it as pending. Takes over what it points to. */
void sim_change_add(struct sim_disk *disk, struct sim_change change);
void sim_change_free(struct sim_change *change);
void sim_inode_sync(struct sim_disk *disk, struct sim_inode *inode);
void sim_inode_orphan(struct sim_disk *disk, struct sim_inode *inode);

#endif
