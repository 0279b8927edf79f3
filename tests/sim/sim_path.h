/*
 * sim_path: names of the simulated disk, from a directory handle to an inode. For sim_*.c only.
 */
#ifndef SIM_PATH_H
#define SIM_PATH_H

#include "sim_inode.h"

struct sim_path {
	struct sim_inode *parent;
	struct sim_inode *found; /* NULL when there is nothing of that name */
	bool directory;          /* what is found, or is to be made, is one */
	bool unnamed;
	char name[SIM_NAME_MAX + 1];
	char text[SIM_PATH_MAX + 1]; /* from the top, for hook and print */
};

/* 0, also when only the last name is missing; else a negative errno. Text is set in any case. */
int sim_path_walk(const struct sim_file *directory, const char *name, struct sim_path *path_out);

void sim_path_add(struct sim_disk *disk, const struct sim_path *path, struct sim_inode *inode);
void sim_path_remove(struct sim_disk *disk, const struct sim_path *path);
void sim_path_move(struct sim_disk *disk, const struct sim_path *from, const struct sim_path *to);

/* sim_disk.c: count a call and ask the hook: 0, its verdict, or -EIO without power. */
int sim_begin_file(struct file *file, enum sim_call call);
int sim_begin_path(struct sim_disk *disk, enum sim_call call, const struct sim_path *path);

/* sim_names.c */
int sim_rename(struct file *from_directory, const char *from, struct file *to_directory,
	       const char *to);
int sim_link(struct file *from_directory, const char *from, struct file *to_directory,
	     const char *to);
int sim_unlink(struct file *directory, const char *name);
int sim_make_directory(struct file *directory, const char *name);
int sim_list(struct file *directory, file_name_callback *callback, void *context);

#endif
