/*
 * spool_file: a spool under its locks: ID.file against our own processes, a kernel lock on the file
 * and then a dotlock against other programs. None is waited for while another is held: when one is
 * not to be had, all are given back.
 *
 * A file that our index describes as it is needs no lock against others, because nothing of it is
 * read; so a login does not wait for an MTA that is writing elsewhere, nor an MTA for a login.
 */
#include <errno.h>
#include <string.h>

#include "store/journal.h"
#include "store/journal_append.h"
#include "store/lock.h"
#include "store/names.h"
#include "store/spool_private.h"

void spool_file_close(struct spool_file *spool)
{
	index_close(spool->index);
	dotlock_give(&spool->dotlock);
	file_close(spool->file);
	if (spool->root != NULL)
		lock_release(spool->root, spool->lock);
	*spool = (struct spool_file){0};
}

enum store_result spool_open_failure(struct error *error, int negative_errno)
{
	const char *why = negative_errno == -EINVAL  ? "is not a regular file"
			  : negative_errno == -ELOOP ? "is a symbolic link, or lies behind one"
			  : negative_errno == -EMLINK
				  ? "has a second name, and may be another's file"
				  : NULL;
	if (why == NULL)
		return store_failure(error, negative_errno, "while opening the spool");
	error_set(error, ERROR_SYSTEM, "the spool %s", why);
	return STORE_IO;
}

static enum store_result held_by_others(struct error *error, const char *why)
{
	error_set(error, ERROR_TEMPORARY, "%s", why);
	return STORE_AGAIN;
}

/* Between opening and locking another program may have removed the file or put another in its
 * place; what is written to the old one then would be lost. 1: it is the one. */
static int still_named(const struct spool_file *spool, const struct place *place)
{
	struct file_status ours, named;
	struct file *now;
	int result = file_status(spool->file, &ours);
	if (result < 0 || ours.links != 1)
		return result;
	result = file_open(spool->root->mail[place->mail_root], place->path, FILE_READ, &now);
	if (result < 0)
		return result == -ENOENT ? 0 : result;
	result = file_status(now, &named);
	file_close(now);
	if (result < 0)
		return result;
	return ours.device == named.device && ours.inode == named.inode;
}

static enum store_result lock_against_others(struct spool_file *spool, const struct place *place,
					     struct error *error)
{
	int result = file_lock(spool->file);
	if (result == -EAGAIN)
		return held_by_others(error, "another program is using the spool");
	if (result < 0)
		return store_failure(error, result, "while locking the spool");
	enum store_result taken =
		dotlock_take(spool->root, place, spool->lock, &spool->dotlock, error);
	if (taken != STORE_OK)
		return taken;
	result = still_named(spool, place);
	if (result < 0)
		return spool_open_failure(error, result);
	if (result == 0)
		return held_by_others(error, "the spool was replaced while it was being locked");
	spool->locked = true;
	return STORE_OK;
}

static bool interrupted(const struct spool_file *spool, const struct place *place)
{
	return journal_exists(spool->root, spool->account) ||
	       journal_append_exists(spool->root, place);
}

/* Deals with what a crash has left; only one of the two journals can be there. */
static int replay(const struct spool_file *spool, const struct place *place)
{
	int result = journal_replay_shared(spool->root, place, spool->file);
	return result < 0 ? result : journal_append_replay(spool->root, place, spool->file);
}

/* There is no file and none is to be made. */
static enum store_result nothing_there(struct spool_file *spool, const struct place *place,
				       struct error *error)
{
	int result = replay(spool, place);
	index_remove(spool->root, spool->account);
	return result < 0 ? store_failure(error, result, "while finishing an earlier change")
			  : STORE_OK;
}

static enum store_result take_in_locked(struct spool_file *spool, const struct place *place,
					struct error *error)
{
	enum store_result result = lock_against_others(spool, place, error);
	if (result != STORE_OK)
		return result;
	int done = replay(spool, place);
	if (done < 0)
		return store_failure(error, done, "while finishing an earlier change");
	done = spool_take_in(spool, place);
	return done < 0 ? store_failure(error, done, "while reading the spool") : STORE_OK;
}

static enum store_result bring_into_order(struct spool_file *spool, const struct place *place,
					  enum spool_purpose purpose, struct error *error)
{
	struct file_status status;
	struct file *top = spool->root->mail[place->mail_root];
	int result = file_open(top, place->path, FILE_WRITE, &spool->file);
	if (result == -ENOENT && purpose == SPOOL_DELIVER)
		result = names_create(top, place->path, &spool->file);
	if (result == -ENOENT && purpose != SPOOL_EXAMINE)
		return nothing_there(spool, place, error);
	if (result == -ENOENT)
		return STORE_OK;
	if (result < 0)
		return spool_open_failure(error, result);
	if (purpose == SPOOL_EXAMINE)
		return lock_against_others(spool, place, error);
	if (purpose == SPOOL_LOOK && !interrupted(spool, place)) {
		result = file_status(spool->file, &status);
		if (result < 0)
			return store_failure(error, result, "while looking at the spool");
		if (spool_unchanged(spool, &status))
			return STORE_OK;
	}
	return take_in_locked(spool, place, error);
}

enum store_result spool_file_open_held(const struct store_root *root, const struct place *place,
				       enum spool_purpose purpose, struct file *lock,
				       struct spool_file *spool_out, struct error *error)
{
	*spool_out = (struct spool_file){
		.root = root, .account = place->account, .owner = uids_owner(place), .lock = lock};
	enum store_result result = bring_into_order(spool_out, place, purpose, error);
	if (result != STORE_OK)
		spool_file_close(spool_out);
	return result;
}

enum store_result spool_file_open(const struct store_root *root, const struct place *place,
				  enum spool_purpose purpose, struct spool_file *spool_out,
				  struct error *error)
{
	struct file *lock;
	*spool_out = (struct spool_file){0};
	enum store_result result = lock_file(root, place, &lock, error);
	if (result != STORE_OK)
		return result;
	return spool_file_open_held(root, place, purpose, lock, spool_out, error);
}
