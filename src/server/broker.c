/*
 * broker: the supervisor's side, the checks that broker.h promises.
 *
 * Guarantees: no descriptor is handed out of anything but a regular file that belongs to the user
 * it is named after; nothing but that user's dotlock is removed. Must not know: what a spool is.
 */
#include "server/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DOTLOCK       ".lock"
#define PASSWD_OCTETS 16384 /* of one user's row, its home and name included */
#define SPOOL_MODE    0660  /* Debian policy 11.6: the user and the group of mail programs */
#define DOTLOCK_MODE  0644  /* who holds it may be read by all */
#define OPEN_SAFELY   (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

bool broker_system_owner(const char *user, uid_t *uid_out)
{
	struct passwd row, *found = NULL;
	char octets[PASSWD_OCTETS];

	if (getpwnam_r(user, &row, octets, sizeof(octets), &found) != 0 || found == NULL)
		return false;
	*uid_out = found->pw_uid;
	return true;
}

/* What is asked for, once it has been found to be a name of some user's. */
struct wanted {
	const char *name;
	bool dotlock;
	uid_t owner;
};

static bool is_plain(const char *name)
{
	return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

static int find_wanted(const char *name, broker_owner_callback *owner_of, struct wanted *wanted_out)
{
	char user[MAILDROP_PATH_MAX + 1];
	size_t length = strlen(name), end = strlen(DOTLOCK);

	*wanted_out = (struct wanted){.name = name};
	if (!is_plain(name))
		return -EPERM;
	wanted_out->dotlock = length > end && strcmp(name + length - end, DOTLOCK) == 0;
	if (wanted_out->dotlock)
		length -= end;
	memcpy(user, name, length);
	user[length] = '\0';
	return owner_of(user, &wanted_out->owner) && wanted_out->owner != 0 ? 0 : -EPERM;
}

/* A dotlock belongs to whoever made it. */
static int check(int descriptor, const struct wanted *wanted)
{
	struct stat status;

	if (fstat(descriptor, &status) != 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	if (status.st_nlink > 1)
		return -EMLINK;
	return wanted->dotlock || status.st_uid == wanted->owner ? 0 : -EPERM;
}

static int give_away(int descriptor, int folder, const struct wanted *wanted)
{
	mode_t mode = wanted->dotlock ? DOTLOCK_MODE : SPOOL_MODE;
	struct stat status;

	if (fstat(folder, &status) != 0 || fchown(descriptor, wanted->owner, status.st_gid) != 0 ||
	    fchmod(descriptor, mode) != 0)
		return -errno;
	return 0;
}

/* Made exclusively, so that what is given away is surely what was made. */
static int make(int folder, const struct wanted *wanted)
{
	int descriptor =
		openat(folder, wanted->name, O_RDWR | O_CREAT | O_EXCL | OPEN_SAFELY, 0600);
	int result;

	if (descriptor < 0)
		return -errno;
	result = give_away(descriptor, folder, wanted);
	if (result == 0)
		return descriptor;
	(void)unlinkat(folder, wanted->name, 0);
	close(descriptor);
	return result;
}

static int open_present(int folder, const struct wanted *wanted, unsigned flags)
{
	int mode = (flags & FILE_WRITE) != 0 ? O_RDWR : O_RDONLY;
	int descriptor = openat(folder, wanted->name, mode | OPEN_SAFELY);
	int result;

	if (descriptor < 0) /* a directory for writing, a socket, a device without a driver */
		return errno == EISDIR || errno == ENXIO || errno == ENODEV ? -EINVAL : -errno;
	result = check(descriptor, wanted);
	if (result == 0)
		return descriptor;
	close(descriptor);
	return result;
}

/* Between the two looks somebody else may make or remove it: then the worker asks again. */
static int open_wanted(int folder, const struct wanted *wanted, unsigned flags)
{
	int descriptor = -ENOENT;

	if ((flags & ~(unsigned)(FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE)) != 0 ||
	    (wanted->dotlock && (flags & FILE_WRITE) != 0 && (flags & FILE_EXCLUSIVE) == 0))
		return -EPERM;
	if ((flags & FILE_EXCLUSIVE) == 0)
		descriptor = open_present(folder, wanted, flags);
	if (descriptor == -ENOENT && (flags & FILE_CREATE) != 0)
		descriptor = make(folder, wanted);
	return descriptor == -EEXIST && (flags & FILE_EXCLUSIVE) == 0 ? -EINTR : descriptor;
}

static int remove_wanted(int folder, const struct wanted *wanted)
{
	struct stat status;

	if (!wanted->dotlock)
		return -EPERM;
	if (fstatat(folder, wanted->name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	return unlinkat(folder, wanted->name, 0) != 0 ? -errno : 0;
}

void broker_answer(const struct message_borrow *message, int folder,
		   broker_owner_callback *owner_of, struct message_borrowed *answer_out,
		   int *descriptor_out)
{
	struct wanted wanted;
	int result = folder < 0 ? -EPERM : find_wanted(message->name, owner_of, &wanted);

	if (result == 0 && message->action == BORROW_OPEN)
		result = open_wanted(folder, &wanted, message->flags);
	else if (result == 0)
		result = remove_wanted(folder, &wanted);
	message_init(answer_out, MESSAGE_BORROWED, message->header.request);
	*descriptor_out = -1;
	if (result >= 0 && message->action == BORROW_OPEN) {
		*descriptor_out = result;
		answer_out->opened = 1;
		result = 0;
	}
	answer_out->result = result;
}
