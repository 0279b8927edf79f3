/*
 * reserve: see reserve.h. Its octets are written, not only promised, because turning promised ones
 * into written ones may itself need room on a full disk.
 */
#include "store/reserve.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "store/lock.h"

#define PREFIX "reserve."

struct store_reserve {
	atomic_flag busy;
	struct file *file; /* NULL: it was given to a removal that failed */
	uint64_t sequence;
	char name[sizeof PREFIX + RANDOM_UID_OCTETS]; /* nobody else's, so it can be taken back */
};

static void redo_name(uint64_t account, char name[48])
{
	snprintf(name, 48, "%" PRIu64 ".redo", account);
}

/* Old journal content must not count again: a fresh one is all zeroes. */
static int fill(struct file *file)
{
	static const char zeroes[65536];
	for (uint64_t offset = 0; offset < RESERVE_OCTETS; offset += sizeof zeroes) {
		uint64_t left = RESERVE_OCTETS - offset;
		struct bytes piece = {zeroes, left < sizeof zeroes ? (size_t)left : sizeof zeroes};
		int result = file_write(file, &piece, 1, offset);
		if (result < 0)
			return result;
	}
	return file_sync(file);
}

static bool still_named(const struct store_root *root, const char *name, struct file *file)
{
	struct file_status ours, named;
	struct file *now;
	if (file_open(root->journal, name, FILE_READ, &now) < 0)
		return false;
	bool same = file_status(file, &ours) >= 0 && file_status(now, &named) >= 0 &&
		    ours.device == named.device && ours.inode == named.inode;
	file_close(now);
	return same;
}

/* Opens, locks and clears the reserve of this name. */
static int claim_name(const struct store_root *root, const char *name, unsigned flags,
		      struct file **file_out)
{
	struct file *file;
	int result = file_open(root->journal, name, FILE_WRITE | flags, &file);
	if (result < 0)
		return result;
	result = file_lock(file);
	if (result >= 0 && !still_named(root, name, file))
		result = -EAGAIN; /* its owner has made a journal of it meanwhile */
	if (result >= 0)
		result = fill(file);
	if (result >= 0) {
		*file_out = file;
		return 0;
	}
	file_close(file);
	if (result != -EAGAIN)
		file_unlink(root->journal, name); /* no use to anybody in part */
	return result;
}

struct search {
	const struct store_root *root;
	struct store_reserve *reserve;
};

/* Takes over what a dead process has left; false ends the listing. */
static bool claim_left_over(void *context, const char *name)
{
	struct search *search = context;
	struct store_reserve *reserve = search->reserve;
	if (!bytes_start_with(bytes_of(name), BYTES(PREFIX)) ||
	    !bytes_to_string(bytes_of(name), reserve->name, sizeof reserve->name))
		return true;
	return claim_name(search->root, name, 0, &reserve->file) < 0;
}

static int claim(const struct store_root *root, struct store_reserve *reserve)
{
	char word[RANDOM_UID_OCTETS];
	struct search search = {root, reserve};
	reserve->sequence = 0;
	int result = file_list(root->journal, claim_left_over, &search);
	if (result < 0 || reserve->file != NULL)
		return result;
	random_uid(word);
	snprintf(reserve->name, sizeof reserve->name, PREFIX "%s", word);
	return claim_name(root, reserve->name, FILE_CREATE | FILE_EXCLUSIVE, &reserve->file);
}

enum store_result store_make_reserve(struct store_root *root, struct error *error)
{
	struct store_reserve *reserve = calloc(1, sizeof *reserve);
	int result = reserve != NULL ? claim(root, reserve) : -ENOMEM;
	if (result < 0) {
		free(reserve);
		return store_failure(error, result, "while making a reserve in the journal folder");
	}
	atomic_flag_clear(&reserve->busy);
	root->reserve = reserve;
	return STORE_OK;
}

void store_free_reserve(struct store_root *root)
{
	if (root->reserve != NULL)
		file_close(root->reserve->file);
	free(root->reserve);
	root->reserve = NULL;
}

enum store_result reserve_take(const struct store_root *root, uint64_t account,
			       struct file **journal_out, uint64_t *sequence_out,
			       struct error *error)
{
	char redo[48];
	struct store_reserve *reserve = root->reserve;
	if (reserve != NULL && atomic_flag_test_and_set(&reserve->busy)) {
		error_set(error, ERROR_TEMPORARY, "the reserve is in use");
		return STORE_AGAIN;
	}
	if (reserve == NULL || (reserve->file == NULL && claim(root, reserve) < 0)) {
		error_set(error, ERROR_FULL,
			  "the disk is full and there is no reserve to remove messages with");
		if (reserve != NULL)
			atomic_flag_clear(&reserve->busy);
		return STORE_FULL;
	}
	redo_name(account, redo);
	int result = file_rename(root->journal, reserve->name, root->journal, redo);
	if (result >= 0)
		result = file_sync(root->journal);
	if (result < 0) {
		file_close(reserve->file); /* which name it has now is not known */
		reserve->file = NULL;
		atomic_flag_clear(&reserve->busy);
		return store_failure(error, result, "while taking the reserve");
	}
	*journal_out = reserve->file;
	*sequence_out = reserve->sequence;
	return STORE_OK;
}

void reserve_give_back(const struct store_root *root, uint64_t account, uint64_t sequence,
		       bool done)
{
	char redo[48];
	struct store_reserve *reserve = root->reserve;
	redo_name(account, redo);
	reserve->sequence = sequence;
	if (!done || file_rename(root->journal, redo, root->journal, reserve->name) < 0) {
		file_close(reserve->file);
		reserve->file = NULL;
	}
	atomic_flag_clear(&reserve->busy);
}
