/*
 * names: see names.h. Must not know what kind of maildrop it is.
 */
#include "store/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"

int names_make_folders(struct file *top, const char *path)
{
	char folder[MAILDROP_PATH_MAX + 1];
	for (size_t i = 0; path[i] != '\0'; i++) {
		if (path[i] != '/')
			continue;
		memcpy(folder, path, i);
		folder[i] = '\0';
		int result = file_make_directory(top, folder);
		if (result < 0 && result != -EEXIST)
			return result;
	}
	return 0;
}

int names_create(struct file *top, const char *path, struct file **file_out)
{
	unsigned flags = FILE_WRITE | FILE_CREATE;
	int result = file_open(top, path, flags, file_out);
	if (result != -ENOENT)
		return result;
	result = names_make_folders(top, path);
	return result < 0 ? result : file_open(top, path, flags, file_out);
}

int names_sync(struct file *top, const char *path)
{
	char folder[MAILDROP_PATH_MAX + 1];
	snprintf(folder, sizeof folder, "%s", path);
	for (char *slash; (slash = strrchr(folder, '/')) != NULL;) {
		struct file *directory;
		*slash = '\0';
		int result = file_open(top, folder, FILE_DIRECTORY, &directory);
		if (result < 0)
			return result;
		result = file_sync(directory);
		file_close(directory);
		if (result < 0)
			return result;
	}
	return file_sync(top);
}
