/*
 * names: the name of a maildrop's file below a mail root, and the folders above it.
 *
 * Results: 0 or a negative errno.
 */
#ifndef STORE_NAMES_H
#define STORE_NAMES_H

#include "base/file.h"

/* Makes the folders above it. */
int names_make_folders(struct file *top, const char *path);

/* Opens a file for writing, made when missing, with the folders above it. */
int names_create(struct file *top, const char *path, struct file **file_out);

/* Makes the names of a path durable, from the file's folder up to the mail root. */
int names_sync(struct file *top, const char *path);

#endif
