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

#include "base/checksum.h"
#include "base/number.h"
#include "store/lock.h"

#define STALE_NS      (300 * 1000000000ULL) /* liblockfile's five minutes */
#define CONTENT_MAX   64
#define MARK          " postern "
#define PROCESSES_MAX INT32_MAX

/* While a maildrop moves, its account has two of them, and each its own mark. */
static void dotlock_name(const struct place *place, struct dotlock *dotlock)
{
	dotlock->mark = crc32c(place->mail_root, bytes_of(place->path)) % LOCK_MARKS;
	snprintf(dotlock->name, sizeof dotlock->name, "%s.lock", place->path);
}

/* Each of these answers 1 or 0, or a negative errno when it cannot know. */

static int same_file(struct file *one, struct file *other)
{
	struct file_status first, second;
	int result = file_status(one, &first);
	if (result >= 0)
		result = file_status(other, &second);
	if (result < 0)
		return result;
	return first.device == second.device && first.inode == second.inode;
}

/* Removes it only if it is the one that was looked at: another program may have found it stale,
 * too, and made its own. */
static int remove_this(struct file *folder, const char *name, struct file *seen)
{
	struct file *now;
	int result = file_open(folder, name, FILE_READ, &now);
	if (result < 0)
		return result == -ENOENT ? 0 : result;
	int same = same_file(now, seen);
	file_close(now);
	if (same < 0)
		return same;
	return same ? file_unlink(folder, name) : -EAGAIN;
}

/* ---- one that is there ---- */

enum holder { HOLDER_GONE, HOLDER_ALIVE, HOLDER_UNKNOWN };

/* Nothing but a number and LF: less may be the beginning of one, more is another's way. */
static enum holder holder_of(struct bytes content, uint64_t *process_out)
{
	uint64_t process = 0;
	size_t digits = content.length > 0 ? content.length - 1 : 0;
	if (digits == 0 || content.data[digits] != '\n' ||
	    !number_parse(bytes_first(content, digits), PROCESSES_MAX, &process) || process == 0)
		return HOLDER_UNKNOWN;
	if (kill((pid_t)process, 0) < 0 && errno == ESRCH)
		return HOLDER_GONE;
	*process_out = process;
	return HOLDER_ALIVE; /* another user's is EPERM */
}

static int is_stale(const struct store_root *root, struct file *file, struct bytes content,
		    bool marked, uint64_t *process_out)
{
	struct file_status status;
	if (marked && (content.length == 0 || content.data[content.length - 1] != '\n'))
		return 1; /* ours, in its making */
	if (memmem(content.data, content.length, MARK, sizeof MARK - 1) != NULL)
		return 1; /* ours */
	enum holder holder = holder_of(content, process_out);
	if (holder != HOLDER_UNKNOWN)
		return holder == HOLDER_GONE;
	int result = file_status(file, &status);
	if (result < 0)
		return result;
	return status.modified_ns + STALE_NS < disk_now_ns(root->disk);
}

/* 0: it was stale and is gone. -EAGAIN: it counts; *process_out says whose it is, if that is known.
 */
static int remove_stale(const struct store_root *root, struct file *folder, const char *name,
			bool marked, uint64_t *process_out)
{
	char octets[CONTENT_MAX];
	struct file *file;
	int result = file_open(folder, name, FILE_READ, &file);
	if (result == -ENOENT)
		return 0;
	if (result < 0) /* no file, or one that is closed to us: nobody's we could judge */
		return result == -EINVAL || result == -ELOOP || result == -EACCES ||
				       result == -EPERM
			       ? -EAGAIN
			       : result;
	ssize_t length = file_read(file, octets, sizeof octets, 0, false);
	struct bytes content = {octets, length > 0 ? (size_t)length : 0};
	result = length < 0 ? (int)length : is_stale(root, file, content, marked, process_out);
	if (result >= 0)
		result = result > 0 ? remove_this(folder, name, file) : -EAGAIN;
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
	/* Without its content nobody could tell whose it is. */
	int removed = file_unlink(folder, dotlock->name);
	return removed < 0 ? removed : result;
}

static bool cannot_be_made(int result)
{
	return result == -EACCES || result == -EPERM || result == -EROFS || result == -ENOSPC ||
	       result == -EDQUOT || result == -ENAMETOOLONG;
}

/* The dotlock is made, or cannot be. As long as it is not known that none of ours is there the mark
 * stays. */
static int take(const struct store_root *root, const struct place *place, struct dotlock *dotlock,
		uint64_t *process_out)
{
	struct file *folder = root->mail[place->mail_root];
	int marked = lock_marked(dotlock->lock, dotlock->mark);
	if (marked < 0)
		return marked;
	lock_mark(dotlock->lock, dotlock->mark, true);
	int result = make(place, folder, dotlock);
	if (result == -EEXIST || result == -ELOOP) {
		result = remove_stale(root, folder, dotlock->name, marked, process_out);
		if (result == -EMLINK) /* just being made by a link, as Exim does */
			result = -EAGAIN;
		if (result == 0)
			result = make(place, folder, dotlock);
	}
	if (result == -EAGAIN || result == -EEXIST || cannot_be_made(result))
		lock_mark(dotlock->lock, dotlock->mark, false);
	return result;
}

static enum store_result held(struct error *error, uint64_t process)
{
	if (process > 0)
		error_set(error, ERROR_TEMPORARY, "process %" PRIu64 " holds the spool's dotlock",
			  process);
	else
		error_set(error, ERROR_TEMPORARY, "another program holds the spool's dotlock");
	return STORE_AGAIN;
}

enum store_result dotlock_take(const struct store_root *root, const struct place *place,
			       struct file *lock, struct dotlock *dotlock_out, struct error *error)
{
	*dotlock_out = (struct dotlock){.lock = lock};
	dotlock_name(place, dotlock_out);
	uint64_t process = 0;
	int result = take(root, place, dotlock_out, &process);
	if (result == -EAGAIN || result == -EEXIST)
		return held(error, process);
	if (result >= 0 || cannot_be_made(result))
		return STORE_OK;
	return store_failure(error, result, "while making the spool's dotlock");
}

void dotlock_give(struct dotlock *dotlock)
{
	if (dotlock->folder != NULL)
		remove_this(dotlock->folder, dotlock->name, dotlock->file);
	if (dotlock->folder != NULL)
		lock_mark(dotlock->lock, dotlock->mark, false);
	file_close(dotlock->file);
	*dotlock = (struct dotlock){0};
}
