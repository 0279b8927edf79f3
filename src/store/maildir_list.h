/*
 * maildir_list: the names that are in new/ and cur/ at a time, in the order of the messages.
 *
 * Other programs move files from new/ to cur/ and rename them in cur/ whenever they like, without a
 * lock. new/ is read before cur/, so that a file on its way is seen twice rather than never; one
 * that is renamed within cur/ may still be missed by one reading: nobody is to take a file for gone
 * before a second one (maildir_list_add() once more).
 *
 * Must not know: what is in the files.
 */
#ifndef STORE_MAILDIR_LIST_H
#define STORE_MAILDIR_LIST_H

#include "store/maildir_index.h"

struct maildir_listed {
	size_t text; /* in names */
	uint64_t second;
	uint32_t microsecond;
	enum maildir_place place;
};

struct maildir_list {
	struct buffer names; /* each with its NUL */
	struct maildir_listed *list;
	size_t count, room;
	int problem;
};

void maildir_list_init(struct maildir_list *list);
void maildir_list_free(struct maildir_list *list);

/* Adds all names of both folders (NULL: there is none); names that begin with a dot are none. 0 or
 * a negative errno. */
int maildir_list_add(struct maildir_list *list, struct file *new_folder, struct file *cur_folder);

/* Sorts. Of the names of one file (the same base name) the first is that in cur/. */
void maildir_list_sort(struct maildir_list *list);
/* Keeps the first of each base name; sorted before. */
void maildir_list_unite(struct maildir_list *list);

const char *maildir_list_name(const struct maildir_list *list, size_t at);

#endif
