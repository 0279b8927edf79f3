/*
 * below: names that stay below a directory (below.h), for the kernel's disk alone.
 *
 * Guarantees: no symbolic link is followed, wherever in the name it stands and whoever puts it
 * there meanwhile: by openat2(2), or where that is missing, component by component.
 *
 * Must not know what is opened. The names have passed file.c: no "..", no empty component.
 */
#include "base/below.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bytes.h"

/* With O_DIRECTORY the kernel says "not a directory" of a symbolic link; say what it is. */
static int open_component(int directory, const char *name, int flags, mode_t mode)
{
	int descriptor = openat(directory, name, flags | O_NOFOLLOW, mode);
	int error = errno;
	struct stat status;

	if (descriptor >= 0)
		return descriptor;
	if (error == ENOTDIR && fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISLNK(status.st_mode))
		return -ELOOP;
	return -error;
}

static int open_by_components(int directory, const char *name, int flags, mode_t mode)
{
	int current = directory;
	int next;

	for (;;) {
		char component[NAME_MAX + 1];
		size_t length = strcspn(name, "/");
		bool last = name[length] == '\0';

		if (!bytes_to_string((struct bytes){name, length}, component, sizeof(component)))
			next = -ENAMETOOLONG;
		else
			next = open_component(current, component, last ? flags : BELOW_PATH_FLAGS,
					      last ? mode : 0);
		if (current != directory)
			close(current);
		if (next < 0 || last)
			return next;
		current = next;
		name += length + 1;
	}
}

/*
 * Containers' seccomp filters answer EPERM or ENOSYS to an openat2 that they do not know; where
 * EPERM is meant, the other way says it again.
 */
int below_open(int directory, const char *name, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags & ~O_NOFOLLOW),
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long descriptor = syscall(SYS_openat2, directory, name, &how, sizeof(how));

	if (descriptor >= 0)
		return (int)descriptor;
	if (errno == ENOSYS || errno == EPERM)
		return open_by_components(directory, name, flags, mode);
	return -errno;
}

int below_find(int directory, const char *name, struct below_place *place_out)
{
	const char *slash = strrchr(name, '/');
	char parent[PATH_MAX];
	int descriptor;

	*place_out = (struct below_place){directory, false, name};
	if (slash == NULL)
		return 0;
	if (!bytes_to_string((struct bytes){name, (size_t)(slash - name)}, parent, sizeof(parent)))
		return -ENAMETOOLONG;
	descriptor = below_open(directory, parent, BELOW_PATH_FLAGS, 0);
	if (descriptor < 0)
		return descriptor;
	*place_out = (struct below_place){descriptor, true, slash + 1};
	return 0;
}

void below_leave(const struct below_place *place)
{
	if (place->owned)
		close(place->directory);
}
