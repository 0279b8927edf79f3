/*
 * lock: see lock.h. ID.file holds the lowest generation that is still valid, as octets of this
 * machine with a checksum behind them; a file without it, or with another, means that every
 * generation is. It need not be durable: a crash of the machine also ends everybody who holds an
 * old place. But it may come back from one with any octets, and nobody may be shut out by those.
 */
#include "store/lock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/checksum.h"

enum store_result store_failure(struct error *error, int negative_errno, const char *what)
{
	error_set_errno(error, negative_errno, "%s", what);
	return negative_errno == -ENOSPC || negative_errno == -EDQUOT || negative_errno == -EFBIG
		       ? STORE_FULL
		       : STORE_IO;
}

static int open_locked(const struct store_root *root, uint64_t account, const char *which,
		       struct file **lock_out)
{
	char name[48];
	snprintf(name, sizeof name, "%" PRIu64 ".%s", account, which);
	struct file *file;
	int result = file_open(root->locks, name, FILE_WRITE | FILE_CREATE, &file);
	if (result < 0)
		return result;
	result = file_lock(file);
	if (result < 0) {
		file_close(file);
		return result;
	}
	*lock_out = file;
	return 0;
}

enum store_result lock_session(const struct store_root *root, uint64_t account,
			       struct file **lock_out, struct error *error)
{
	int result = open_locked(root, account, "session", lock_out);
	if (result == -EAGAIN) {
		error_set(error, ERROR_IN_USE, "the maildrop is in use by another session");
		return STORE_LOCKED;
	}
	return result < 0 ? store_failure(error, result, "while locking the maildrop") : STORE_OK;
}

static struct file *held_lock(const struct store_root *root, uint64_t account)
{
	return root->held != NULL && root->held->account == account ? root->held->lock : NULL;
}

void lock_release(const struct store_root *root, struct file *lock)
{
	if (root->held == NULL || root->held->lock != lock)
		file_close(lock);
}

#define MARKS_OFFSET      0
#define GENERATION_OFFSET LOCK_MARKS

struct lowest {
	uint64_t generation;
	uint32_t checksum, unused;
};

static uint32_t checksum_of(const struct lowest *lowest)
{
	return crc32c(0,
		      (struct bytes){(const char *)&lowest->generation, sizeof lowest->generation});
}

/* 0: every generation is valid. */
static int read_lowest(struct file *lock, uint64_t *generation_out)
{
	struct lowest lowest;
	ssize_t length = file_read(lock, &lowest, sizeof lowest, GENERATION_OFFSET, false);
	*generation_out = 0;
	if (length < 0)
		return (int)length;
	if (length == sizeof lowest && lowest.checksum == checksum_of(&lowest))
		*generation_out = lowest.generation;
	return 0;
}

enum store_result lock_file(const struct store_root *root, const struct place *place,
			    struct file **lock_out, struct error *error)
{
	uint64_t lowest;
	struct file *file = held_lock(root, place->account);
	int result = file != NULL ? 0 : open_locked(root, place->account, "file", &file);
	if (result == -EAGAIN) {
		error_set(error, ERROR_TEMPORARY, "the maildrop is being changed");
		return STORE_AGAIN;
	}
	if (result < 0)
		return store_failure(error, result, "while locking the maildrop's file");
	result = read_lowest(file, &lowest);
	if (result < 0) {
		lock_release(root, file);
		return store_failure(error, result, "while reading the maildrop's lock");
	}
	if (place->generation < lowest) {
		lock_release(root, file);
		error_set(error, ERROR_TEMPORARY, "the account has been changed or removed");
		return STORE_CHANGED;
	}
	*lock_out = file;
	return STORE_OK;
}

enum store_result lock_retire(struct file *lock, uint64_t generation, struct error *error)
{
	struct lowest lowest = {.generation = generation + 1};
	uint64_t known;
	int result = read_lowest(lock, &known);
	if (result < 0)
		return store_failure(error, result, "while reading the maildrop's lock");
	if (known > generation)
		return STORE_OK;
	lowest.checksum = checksum_of(&lowest);
	struct bytes piece = {(const char *)&lowest, sizeof lowest};
	result = file_write(lock, &piece, 1, GENERATION_OFFSET);
	return result < 0 ? store_failure(error, result, "while writing the maildrop's lock")
			  : STORE_OK;
}

void lock_mark(struct file *lock, unsigned number, bool marked)
{
	char octet = (char)marked;
	struct bytes piece = {&octet, 1};
	/* When it cannot be written, what it marks is found out otherwise, later. */
	if (lock != NULL)
		file_write(lock, &piece, 1, MARKS_OFFSET + number);
}

int lock_marked(struct file *lock, unsigned number)
{
	char octet = 0;
	ssize_t length =
		lock != NULL ? file_read(lock, &octet, 1, MARKS_OFFSET + number, false) : 0;
	return length < 0 ? (int)length : octet == 1;
}
