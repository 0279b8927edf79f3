/*
 * dotlock: see dotlock.h. Must not know what is locked.
 */
#include "store/dotlock.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "store/lock.h"

#define STALE_NS      (300 * 1000000000ULL) /* liblockfile's five minutes */
#define CONTENT_MAX   64
#define MARK          "\npostern "
#define PROCESSES_MAX INT32_MAX

static void dotlock_name(const struct place *place, struct dotlock *dotlock)
{
	snprintf(dotlock->name, sizeof dotlock->name, "%s.lock", place->path);
}

static bool same_file(struct file *one, struct file *other)
{
	struct file_status first, second;
	return file_status(one, &first) >= 0 && file_status(other, &second) >= 0 &&
	       first.device == second.device && first.inode == second.inode;
}

/* Removes it only if it is the one that was looked at: another program may have found it stale,
 * too, and made its own. */
static int remove_this(struct file *folder, const char *name, struct file *seen)
{
	struct file *now;
	int result = file_open(folder, name, FILE_READ, &now);
	if (result < 0)
		return result == -ENOENT ? 0 : result;
	bool same = same_file(now, seen);
	file_close(now);
	return same ? file_unlink(folder, name) : -EAGAIN;
}

/* ---- one that is there ---- */

enum holder { HOLDER_GONE, HOLDER_ALIVE, HOLDER_UNKNOWN };

static enum holder holder_of(struct bytes content)
{
	uint64_t process = 0;
	size_t digits = 0;
	while (digits < content.length && content.data[digits] >= '0' &&
	       content.data[digits] <= '9')
		digits++;
	if (!number_parse(bytes_first(content, digits), PROCESSES_MAX, &process) || process == 0)
		return HOLDER_UNKNOWN;
	if (kill((pid_t)process, 0) == 0)
		return HOLDER_ALIVE;
	return errno == ESRCH ? HOLDER_GONE : HOLDER_UNKNOWN; /* a sandbox refuses to say */
}

static bool is_stale(const struct store_root *root, struct file *file, struct bytes content)
{
	struct file_status status;
	if (memmem(content.data, content.length, MARK, sizeof MARK - 1) != NULL)
		return true; /* ours */
	enum holder holder = holder_of(content);
	if (holder != HOLDER_UNKNOWN || file_status(file, &status) < 0)
		return holder == HOLDER_GONE;
	return status.modified_ns + STALE_NS < disk_now_ns(root->disk);
}

/* 0: it was stale and is gone. -EAGAIN: it counts. */
static int remove_stale(const struct store_root *root, struct file *folder, const char *name)
{
	char octets[CONTENT_MAX];
	struct file *file;
	int result = file_open(folder, name, FILE_READ, &file);
	if (result < 0) /* -EINVAL, -ELOOP: no file at all, so nobody's we could judge */
		return result == -ENOENT ? 0 : -EAGAIN;
	ssize_t length = file_read(file, octets, sizeof octets, 0, false);
	result = -EAGAIN;
	if (length >= 0 && is_stale(root, file, (struct bytes){octets, (size_t)length}))
		result = remove_this(folder, name, file);
	file_close(file);
	return result;
}

/* ---- ours ---- */

static int make(const struct place *place, struct file *folder, struct dotlock *dotlock)
{
	char text[CONTENT_MAX];
	unsigned flags = FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE;
	int result = file_open(folder, dotlock->name, flags, &dotlock->file);
	if (result < 0)
		return result;
	int length = snprintf(text, sizeof text, "%ld" MARK "%" PRIu64 "\n", (long)getpid(),
			      place->account);
	struct bytes piece = {text, (size_t)length};
	result = file_write(dotlock->file, &piece, 1, 0);
	if (result >= 0) {
		dotlock->folder = folder;
		return 0;
	}
	file_close(dotlock->file);
	dotlock->file = NULL;
	file_unlink(folder, dotlock->name); /* without a content nobody could tell whose it is */
	return result;
}

static bool cannot_be_made(int result)
{
	return result == -EACCES || result == -EPERM || result == -EROFS || result == -ENOSPC ||
	       result == -EDQUOT || result == -ENAMETOOLONG;
}

enum store_result dotlock_take(const struct store_root *root, const struct place *place,
			       struct dotlock *dotlock_out, struct error *error)
{
	struct file *folder = root->mail[place->mail_root];
	*dotlock_out = (struct dotlock){0};
	dotlock_name(place, dotlock_out);
	int result = make(place, folder, dotlock_out);
	if (result == -EEXIST || result == -ELOOP) {
		result = remove_stale(root, folder, dotlock_out->name);
		if (result == 0)
			result = make(place, folder, dotlock_out);
	}
	if (result == -EAGAIN || result == -EEXIST) {
		error_set(error, ERROR_TEMPORARY, "another program holds the spool's dotlock");
		return STORE_AGAIN;
	}
	if (result >= 0 || cannot_be_made(result))
		return STORE_OK;
	return store_failure(error, result, "while making the spool's dotlock");
}

void dotlock_give(struct dotlock *dotlock)
{
	if (dotlock->folder != NULL)
		remove_this(dotlock->folder, dotlock->name, dotlock->file);
	file_close(dotlock->file);
	*dotlock = (struct dotlock){0};
}

bool dotlock_exists(const struct store_root *root, const struct place *place)
{
	struct dotlock dotlock;
	struct file *file;
	dotlock_name(place, &dotlock);
	int result = file_open(root->mail[place->mail_root], dotlock.name, FILE_READ, &file);
	if (result >= 0)
		file_close(file);
	return result >= 0;
}
