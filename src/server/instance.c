/*
 * instance: makes and opens the folders of ROOT, and gives privileges away.
 *
 * Guarantees: owners and modes are set through descriptors of folders that were opened without
 * following a symbolic link, so that nobody who owns one folder can lead root to another place.
 * Must not know: what lies in the folders.
 */
#include "server/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/number.h"
#include "server/problems.h"

/* ---- folders ---- */

enum folder_owner { OWNED_BY_STARTER, OWNED_BY_MAIL, OWNED_BY_AUTH };

struct folder {
	const char *name; /* below ROOT */
	enum folder_owner owner;
	mode_t mode;
	size_t offset; /* of the descriptor in struct instance */
};

static const struct folder folders[] = {
	{"accounts", OWNED_BY_AUTH, 0700, offsetof(struct instance, accounts)},
	{"mail", OWNED_BY_MAIL, 0700, offsetof(struct instance, mail)},
	{"index", OWNED_BY_MAIL, 0700, offsetof(struct instance, index)},
	{"uids", OWNED_BY_MAIL, 0700, offsetof(struct instance, uids)},
	{"journal", OWNED_BY_MAIL, 0700, offsetof(struct instance, journal)},
	{"tls", OWNED_BY_STARTER, 0700, offsetof(struct instance, tls)},
	{"fetch", OWNED_BY_STARTER, 0700, offsetof(struct instance, fetch)},
	{"run", OWNED_BY_STARTER, 0711, offsetof(struct instance, run)},
	{"run/locks", OWNED_BY_MAIL, 0700, offsetof(struct instance, locks)},
};
#define FOLDERS (sizeof(folders) / sizeof(folders[0]))

static int *folder_descriptor(struct instance *instance, const struct folder *folder)
{
	return (int *)(void *)((char *)instance + folder->offset);
}

static enum error_code find_user(const char *name, struct instance_user *user_out,
				 struct error *error)
{
	const struct passwd *entry = getpwnam(name);

	if (!entry || entry->pw_uid == 0)
		return error_set(
			error, ERROR_CONFIG,
			"started as root, but there is no user %s to become: make it, e.g. "
			"useradd --system --user-group --no-create-home %s",
			name, name);
	user_out->uid = entry->pw_uid;
	user_out->gid = entry->pw_gid;
	return ERROR_NONE;
}

static enum error_code make_parents(const char *root, struct error *error)
{
	char path[PATH_MAX];

	if (!bytes_to_string(bytes_of(root), path, sizeof(path)))
		return error_set(error, ERROR_CONFIG, "the root's path is too long");
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			return error_set_errno(error, -errno, "making the folder %.150s", path);
		*slash = '/';
	}
	if (mkdir(path, 0711) != 0 && errno != EEXIST)
		return error_set_errno(error, -errno, "making the folder %.150s", path);
	return ERROR_NONE;
}

static bool put_right(int descriptor, mode_t mode, const struct instance_user *owner)
{
	struct stat status;

	if (fstat(descriptor, &status) != 0)
		return false;
	if (owner && (status.st_uid != owner->uid || status.st_gid != owner->gid) &&
	    fchown(descriptor, owner->uid, owner->gid) != 0)
		return false;
	return (status.st_mode & 07777) == mode || fchmod(descriptor, mode) == 0;
}

static enum error_code open_folder(struct instance *instance, const struct folder *folder,
				   struct error *error)
{
	static const struct instance_user starter = {0, 0};
	const struct instance_user *owner = folder->owner == OWNED_BY_MAIL   ? &instance->mail_user
					    : folder->owner == OWNED_BY_AUTH ? &instance->auth_user
									     : &starter;
	int *descriptor = folder_descriptor(instance, folder);

	if (mkdirat(instance->root, folder->name, 0700) != 0 && errno != EEXIST)
		return error_set_errno(error, -errno, "making the folder %s", folder->name);
	*descriptor = openat(instance->root, folder->name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*descriptor < 0 ||
	    !put_right(*descriptor, folder->mode, instance->as_root ? owner : NULL))
		return error_set_errno(error, -errno, "opening the folder %s", folder->name);
	return ERROR_NONE;
}

static enum error_code open_all(const char *root, struct instance *instance, struct error *error)
{
	static const struct instance_user starter = {0, 0};
	enum error_code code = ERROR_NONE;

	if (instance->as_root) {
		code = find_user(INSTANCE_MAIL_USER, &instance->mail_user, error);
		if (code == ERROR_NONE)
			code = find_user(INSTANCE_AUTH_USER, &instance->auth_user, error);
	}
	if (code == ERROR_NONE)
		code = make_parents(root, error);
	if (code != ERROR_NONE)
		return code;
	instance->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (instance->root < 0 ||
	    !put_right(instance->root, 0711, instance->as_root ? &starter : NULL))
		return error_set_errno(error, -errno, "opening the root %.150s", root);
	for (size_t i = 0; i < FOLDERS && code == ERROR_NONE; i++)
		code = open_folder(instance, &folders[i], error);
	return code;
}

enum error_code instance_open(const char *root, struct instance *instance_out, struct error *error)
{
	enum error_code code;

	memset(instance_out, 0, sizeof(*instance_out));
	instance_out->root = -1;
	for (size_t i = 0; i < FOLDERS; i++)
		*folder_descriptor(instance_out, &folders[i]) = -1;
	instance_out->as_root = geteuid() == 0;
	code = open_all(root, instance_out, error);
	if (code != ERROR_NONE)
		instance_close(instance_out);
	return code;
}

void instance_close(struct instance *instance)
{
	for (size_t i = 0; i < FOLDERS; i++) {
		int *descriptor = folder_descriptor(instance, &folders[i]);

		if (*descriptor >= 0)
			close(*descriptor);
		*descriptor = -1;
	}
	if (instance->root >= 0)
		close(instance->root);
	instance->root = -1;
}

/* ---- looking only ---- */

static void look_at_folder(struct instance *instance, const struct folder *folder,
			   struct problems *problems)
{
	int *descriptor = folder_descriptor(instance, folder);

	*descriptor = openat(instance->root, folder->name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*descriptor < 0 && errno != ENOENT)
		(void)problems_add(problems, ERROR_CONFIG, "the folder %s: %s", folder->name,
				   strerror(errno));
	else if (*descriptor >= 0 &&
		 faccessat(instance->root, folder->name, R_OK | W_OK | X_OK, AT_EACCESS) != 0)
		(void)problems_add(problems, ERROR_CONFIG, "the folder %s is not ours: %s",
				   folder->name, strerror(errno));
}

static void look_at_users(struct instance *instance, struct problems *problems)
{
	struct error error;

	if (instance->as_root &&
	    find_user(INSTANCE_MAIL_USER, &instance->mail_user, &error) != ERROR_NONE)
		(void)problems_take(problems, &error);
	if (instance->as_root &&
	    find_user(INSTANCE_AUTH_USER, &instance->auth_user, &error) != ERROR_NONE)
		(void)problems_take(problems, &error);
}

/* The nearest folder above that there is must let us make the next. */
static void look_at_parents(const char *root, struct problems *problems)
{
	char path[PATH_MAX];
	char *slash;

	if (!bytes_to_string(bytes_of(root), path, sizeof(path)))
		return;
	do {
		slash = strrchr(path, '/');
		slash[slash == path ? 1 : 0] = '\0';
		if (access(path, W_OK | X_OK) == 0)
			return;
	} while (errno == ENOENT && slash != path);
	(void)problems_add(problems, ERROR_CONFIG, "%.150s cannot be made: %.100s: %s", root, path,
			   strerror(errno));
}

enum error_code instance_look(const char *root, struct instance *instance_out,
			      struct problems *problems)
{
	memset(instance_out, 0, sizeof(*instance_out));
	for (size_t i = 0; i < FOLDERS; i++)
		*folder_descriptor(instance_out, &folders[i]) = -1;
	instance_out->as_root = geteuid() == 0;
	look_at_users(instance_out, problems);
	instance_out->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (instance_out->root < 0 && errno == ENOENT) {
		look_at_parents(root, problems);
		return ERROR_NO_INPUT;
	}
	if (instance_out->root < 0)
		return problems_add(problems, ERROR_CONFIG, "the root %.150s: %s", root,
				    strerror(errno));
	for (size_t i = 0; i < FOLDERS; i++)
		look_at_folder(instance_out, &folders[i], problems);
	return ERROR_NONE;
}

/* ---- one server an instance ---- */

#define DRAINING     " draining"
#define LOCK_WAIT_MS (DRAIN_MS + 5000) /* by then it has killed what would not end */
#define LOCK_TRY_MS  20

static bool write_pid(int descriptor, const char *word)
{
	char text[48];
	int length = snprintf(text, sizeof(text), "%ld%s\n", (long)getpid(), word);

	return ftruncate(descriptor, 0) == 0 &&
	       pwrite(descriptor, text, (size_t)length, 0) == length;
}

void instance_lock_draining(int lock)
{
	(void)write_pid(lock, DRAINING);
}

static enum error_code in_use(int descriptor, struct error *error)
{
	char text[48];
	ssize_t length = pread(descriptor, text, sizeof(text), 0);
	struct bytes rest = {text, length > 0 ? (size_t)length : 0};
	struct bytes digits = bytes_first(rest, 0);
	uint64_t pid = 0;

	while (digits.length < rest.length && text[digits.length] >= '0' &&
	       text[digits.length] <= '9')
		digits.length++;
	(void)number_parse(digits, UINT32_MAX, &pid);
	if (bytes_start_with(bytes_skip(rest, digits.length), BYTES(DRAINING)))
		return error_set(error, ERROR_UNAVAILABLE,
				 "the server of this root (pid %llu) is about to end",
				 (unsigned long long)pid);
	return error_set(error, ERROR_IN_USE, "a server of this root is running (pid %llu)",
			 (unsigned long long)pid);
}

bool instance_is_running(const struct instance *instance, struct error *error)
{
	int descriptor = openat(instance->run, "pid", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	bool running = descriptor >= 0 && flock(descriptor, LOCK_SH | LOCK_NB) != 0;

	if (running)
		in_use(descriptor, error);
	if (descriptor >= 0)
		close(descriptor);
	return running;
}

static bool take_lock(int descriptor, bool wait)
{
	bool taken = flock(descriptor, LOCK_EX | LOCK_NB) == 0;

	for (int waited_ms = 0; !taken && wait && waited_ms < LOCK_WAIT_MS;
	     waited_ms += LOCK_TRY_MS) {
		(void)poll(NULL, 0, LOCK_TRY_MS);
		taken = flock(descriptor, LOCK_EX | LOCK_NB) == 0;
	}
	return taken;
}

int instance_lock(const struct instance *instance, bool wait, struct error *error)
{
	int descriptor =
		openat(instance->run, "pid", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (descriptor < 0) {
		error_set_errno(error, -errno, "opening run/pid");
		return -1;
	}
	if (!take_lock(descriptor, wait))
		in_use(descriptor, error);
	else if (!write_pid(descriptor, ""))
		error_set_errno(error, -errno, "writing run/pid");
	else
		return descriptor;
	close(descriptor);
	return -1;
}

/* ---- privileges ---- */

enum error_code instance_become(struct instance_user user, struct error *error)
{
	if (setgroups(1, &user.gid) != 0 || setresgid(user.gid, user.gid, user.gid) != 0 ||
	    setresuid(user.uid, user.uid, user.uid) != 0)
		return error_set_errno(error, -errno, "becoming uid %u", (unsigned)user.uid);
	if (user.uid == 0 || setresuid(0, 0, 0) == 0 || getuid() != user.uid)
		return error_set(error, ERROR_SYSTEM, "privileges could not be given away");
	return ERROR_NONE;
}

/* ---- small files ---- */

static ssize_t read_once(int descriptor, char *room, size_t size)
{
	ssize_t got;

	do
		got = read(descriptor, room, size);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

enum error_code instance_read(int directory, const char *name, size_t max, struct buffer *text_out,
			      struct error *error)
{
	int descriptor = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	enum error_code code = ERROR_NONE;
	char room[4096];
	ssize_t got = 0;

	if (descriptor < 0 && errno == ENOENT)
		return error_set(error, ERROR_NO_INPUT, "there is no file %.200s", name);
	if (descriptor < 0)
		return error_set_errno(error, -errno, "opening %.200s", name);
	while (code == ERROR_NONE && (got = read_once(descriptor, room, sizeof(room))) > 0)
		if (text_out->length + (size_t)got > max ||
		    !buffer_append(text_out, (struct bytes){room, (size_t)got}))
			code = error_set(error, ERROR_TOO_LARGE, "%.200s is too large", name);
	if (code == ERROR_NONE && got < 0)
		code = error_set_errno(error, (int)got, "reading %.200s", name);
	explicit_bzero(room, sizeof(room));
	close(descriptor);
	return code;
}

static bool write_all(int descriptor, struct bytes text)
{
	while (text.length > 0) {
		ssize_t put = write(descriptor, text.data, text.length);

		if (put < 0 && errno != EINTR)
			return false;
		text = bytes_skip(text, put > 0 ? (size_t)put : 0);
	}
	return fsync(descriptor) == 0;
}

enum error_code instance_write(int directory, const char *name, struct bytes text, mode_t mode,
			       struct error *error)
{
	char temporary[NAME_MAX];
	int descriptor;
	bool good;

	(void)snprintf(temporary, sizeof(temporary), "%s.new", name);
	(void)unlinkat(directory, temporary, 0);
	descriptor = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (descriptor < 0)
		return error_set_errno(error, -errno, "making %.200s", temporary);
	good = write_all(descriptor, text) &&
	       renameat(directory, temporary, directory, name) == 0 && fsync(directory) == 0;
	if (!good)
		error_set_errno(error, -errno, "writing %.200s", name);
	close(descriptor);
	return good ? ERROR_NONE : ERROR_IO;
}

void instance_remove(int directory, const char *name)
{
	(void)unlinkat(directory, name, 0);
}
