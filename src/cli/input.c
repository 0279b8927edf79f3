/*
 * input: opens and reads what the user names: files, folders, standard input, the terminal.
 *
 * Guarantees: below a folder no symbolic link is followed, and nothing but a file of data is read,
 * so that a folder that somebody else filled can lead nowhere else and block nothing.
 *
 * Must not know: what is read.
 */
#include "cli/input.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accounts/secret.h"

int input_open(const char *name, struct error *error)
{
	bool standard = strcmp(name, "-") == 0;
	int descriptor = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
				  : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char room[120];

	if (descriptor < 0)
		error_set(error, ERROR_NO_INPUT, "opening %s: %s",
			  standard ? "standard input"
				   : error_escape(bytes_of(name), room, sizeof(room)),
			  strerror(errno));
	return descriptor;
}

static enum error_code read_all(int descriptor, struct buffer *buffer, struct error *error)
{
	for (;;) {
		char piece[4096];
		ssize_t count = read(descriptor, piece, sizeof(piece));
		bool kept =
			count <= 0 || buffer_append(buffer, (struct bytes){piece, (size_t)count});

		secret_wipe(piece, sizeof(piece));
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return error_set(error, ERROR_NO_INPUT, "%s", strerror(errno));
		if (!kept)
			return error_set(error, ERROR_TOO_LARGE, "more than %zu octets",
					 buffer->max);
		if (count == 0)
			return ERROR_NONE;
	}
}

enum error_code input_read(const char *name, struct buffer *buffer, struct error *error)
{
	int descriptor = input_open(name, error);
	enum error_code code;
	char room[120];

	if (descriptor < 0)
		return ERROR_NO_INPUT;
	code = read_all(descriptor, buffer, error);
	close(descriptor);
	if (code != ERROR_NONE)
		error_prefix(error,
			     "reading %s: ", error_escape(bytes_of(name), room, sizeof(room)));
	return code;
}

int input_open_terminal(void)
{
	return open("/dev/tty", O_RDWR | O_CLOEXEC);
}

/* ---- folders ---- */

int input_open_folder(int folder, const char *name)
{
	return openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int input_open_below(int folder, const char *name)
{
	int descriptor =
		openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	if (descriptor >= 0 && (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode))) {
		close(descriptor);
		return -1;
	}
	return descriptor;
}

enum error_code input_each_name(int folder, input_name_callback *callback, void *context,
				struct error *error)
{
	int copy = fcntl(folder, F_DUPFD_CLOEXEC, 3);
	DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *item;
	bool kept = true;
	int problem;

	if (!list) {
		problem = errno;
		if (copy >= 0)
			close(copy);
		return error_set_errno(error, -problem, "reading the folder");
	}
	errno = 0;
	while (kept && (item = readdir(list)) != NULL) {
		if (item->d_name[0] != '.')
			kept = callback(context, item->d_name);
		errno = 0;
	}
	problem = errno;
	closedir(list);
	if (!kept)
		return error_set(error, ERROR_TEMPORARY, "no memory for so many names");
	if (problem != 0)
		return error_set_errno(error, -problem, "reading the folder");
	return ERROR_NONE;
}
