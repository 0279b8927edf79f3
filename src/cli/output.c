/*
 * output: see output.h. Must not know: what is written.
 */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/input.h"

static const char *const folders[] = {"cur", "tmp", "new"};

static enum error_code failed(struct error *error, const struct output *output)
{
	char room[120];
	int problem = errno;

	return error_set_errno(error, -problem, "writing %s",
			       error_escape(bytes_of(output->name), room, sizeof(room)));
}

/* Opens the folder that `path` is in; nothing of that name is there. */
static enum error_code open_parent(const char *path, struct output *output, struct error *error)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	struct stat status;

	*output = (struct output){.parent = -1, .place = -1, .top = -1};
	if (!folder)
		return error_set(error, ERROR_TEMPORARY, "no memory");
	if (!bytes_to_string(bytes_of(slash ? slash + 1 : path), output->name,
			     sizeof(output->name) - 32) ||
	    !output->name[0]) {
		free(folder);
		return error_set(error, ERROR_USAGE,
				 "the name of what is to be written is empty "
				 "or too long");
	}
	(void)snprintf(output->temporary, sizeof(output->temporary), ".%s.postern-%ld",
		       output->name, (long)getpid());
	output->parent = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	if (output->parent < 0)
		return failed(error, output);
	if (fstatat(output->parent, output->name, &status, AT_SYMLINK_NOFOLLOW) == 0)
		return error_set(error, ERROR_DATA,
				 "there is something of this name already, and it stays as it is");
	return ERROR_NONE;
}

enum error_code output_open_file(const char *path, struct output *output_out, struct error *error)
{
	enum error_code code = open_parent(path, output_out, error);

	if (code == ERROR_NONE) {
		output_out->place =
			openat(output_out->parent, output_out->temporary,
			       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (output_out->place < 0)
			code = failed(error, output_out);
	}
	if (code != ERROR_NONE)
		output_close(output_out);
	return code;
}

static bool make_folders(struct output *output, uid_t uid, gid_t gid)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

	if (mkdirat(output->parent, output->temporary, 0700) != 0)
		return false;
	output->top = openat(output->parent, output->temporary, flags);
	if (output->top < 0)
		return false;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		if (mkdirat(output->top, folders[i], 0700) != 0 ||
		    fchownat(output->top, folders[i], uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
			return false;
	}
	output->place = openat(output->top, "new", flags);
	return output->place >= 0 && fchown(output->top, uid, gid) == 0;
}

enum error_code output_open_maildir(const char *path, uid_t uid, gid_t gid,
				    struct output *output_out, struct error *error)
{
	enum error_code code = open_parent(path, output_out, error);

	if (code == ERROR_NONE && !make_folders(output_out, uid, gid)) {
		code = failed(error, output_out);
		output_abandon(output_out);
	}
	if (code != ERROR_NONE)
		output_close(output_out);
	return code;
}

enum error_code output_begin_message(const struct output *output, const char *name, int *file_out,
				     struct error *error)
{
	*file_out = openat(output->place, name,
			   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return *file_out < 0 ? failed(error, output) : ERROR_NONE;
}

enum error_code output_end_message(int file, struct error *error)
{
	int result = fsync(file) == 0 ? 0 : -errno;

	close(file);
	return result < 0 ? error_set_errno(error, result, "syncing a message") : ERROR_NONE;
}

enum error_code output_write(int file, struct bytes octets, struct error *error)
{
	while (octets.length > 0) {
		ssize_t count = write(file, octets.data, octets.length);

		if (count < 0 && errno != EINTR)
			return error_set_errno(error, -errno, "writing");
		octets = bytes_skip(octets, count > 0 ? (size_t)count : 0);
	}
	return ERROR_NONE;
}

/* RENAME_NOREPLACE: of two that write to one name, the second fails. */
enum error_code output_finish(const struct output *output, struct error *error)
{
	bool good = fsync(output->place) == 0;

	if (good && output->top >= 0)
		good = fsync(output->top) == 0;
	if (good && renameat2(output->parent, output->temporary, output->parent, output->name,
			      RENAME_NOREPLACE) != 0)
		good = false;
	if (good && fsync(output->parent) != 0)
		good = false;
	return good ? ERROR_NONE : failed(error, output);
}

static bool remove_one(void *context, const char *name)
{
	const struct output *output = context;

	(void)unlinkat(output->place, name, 0);
	return true;
}

void output_abandon(const struct output *output)
{
	struct output copy = *output;

	if (output->top < 0) {
		(void)unlinkat(output->parent, output->temporary, 0);
		return;
	}
	if (output->place >= 0)
		(void)input_each_name(output->place, remove_one, &copy, NULL);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		(void)unlinkat(output->top, folders[i], AT_REMOVEDIR);
	(void)unlinkat(output->parent, output->temporary, AT_REMOVEDIR);
}

void output_close(struct output *output)
{
	int *const descriptors[] = {&output->parent, &output->place, &output->top};

	for (size_t i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++) {
		if (*descriptors[i] >= 0)
			close(*descriptors[i]);
		*descriptors[i] = -1;
	}
}
