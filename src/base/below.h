/*
 * below: opening and finding names below a directory's descriptor, never through a symbolic link.
 *
 * Private to the kernel's disk (file_kernel.c), whose rules on names it carries out; everything else
 * uses base/file.h. Results: a descriptor or 0, else a negative errno; a symbolic link is -ELOOP.
 */
#ifndef BASE_BELOW_H
#define BASE_BELOW_H

#include <fcntl.h>
#include <stdbool.h>
#include <sys/types.h>

/* For a directory that is only passed through: no right to read it is needed. */
#define BELOW_PATH_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

int below_open(int directory, const char *name, int flags, mode_t mode);

/* Where a name is to be made, changed or removed: the directory, and the last component. */
struct below_place {
	int directory;
	bool owned; /* private */
	const char *last;
};

/* After 0, below_leave() closes what was opened on the way. */
int below_find(int directory, const char *name, struct below_place *place_out);
void below_leave(const struct below_place *place);

#endif
