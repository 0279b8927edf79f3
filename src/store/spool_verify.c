/*
 * spool_verify: reads a spool from end to end and names what is not as it should be; and mends what
 * can be mended without touching a message: what stands before the first one is set aside, the last
 * one is closed by a blank line, the caches are made anew.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "store/journal.h"
#include "store/journal_append.h"
#include "store/lock.h"
#include "store/spool_private.h"
#include "store/uids.h"

struct verification {
	struct findings *findings;
	const struct store_root *root;
	const struct place *place;
	struct index *index; /* NULL: none, or it does not claim to know the file */
	bool open_end;       /* the last message is not closed by a blank line */
	uint64_t garbage;    /* octets before the first message */
};

/* ---- verifying ---- */

static void compare_with_index(struct verification *verification,
			       const struct spool_message *message)
{
	struct index_entry known;
	char name[32];
	uint64_t number = verification->findings->messages;
	if (verification->index == NULL)
		return;
	snprintf(name, sizeof name, "index/%" PRIu64, verification->place->account);
	if (number <= index_count(verification->index) &&
	    index_read(verification->index, (uint32_t)number, 1, false, &known) == STORE_OK &&
	    known.offset == message->offset && known.length == message->length &&
	    known.octets == message->octets && known.checksum == message->checksum)
		return;
	findings_add(verification->findings, name, number * 128,
		     "the entry of message %" PRIu64 " is wrong; delete the file", number);
}

static void check_message(struct verification *verification, const struct spool_message *message)
{
	struct findings *findings = verification->findings;
	findings->messages++;
	findings->octets_checked += message->length;
	if (!message->separated)
		findings_add(findings, verification->place->path, message->offset,
			     "no blank line before message %" PRIu64
			     "; it is read as one of its own",
			     findings->messages);
	verification->open_end = !message->closed;
	compare_with_index(verification, message);
}

static int read_all(struct verification *verification, struct file *file, uint64_t size)
{
	struct spool_scan scan;
	struct spool_message message;
	enum spool_scan_result next;
	if (!spool_scan_begin(&scan, file, size, 0))
		return -ENOMEM;
	while ((next = spool_scan_next(&scan, &message)) == SPOOL_SCAN_MESSAGE)
		check_message(verification, &message);
	verification->garbage = scan.garbage;
	int result = next == SPOOL_SCAN_FAILED ? scan.problem : 0;
	spool_scan_end(&scan);
	return result;
}

/* Octets that a file ends with and that are no message's stand before the first one, if at all. */
static int check_file(struct verification *verification, struct spool_file *spool)
{
	struct findings *findings = verification->findings;
	const char *path = verification->place->path;
	struct file_status status;
	int result = file_status(spool->file, &status);
	if (result < 0)
		return result;
	if (spool_unchanged(spool, &status))
		verification->index = spool->index;
	result = read_all(verification, spool->file, status.size_octets);
	if (result < 0)
		return result;
	if (verification->garbage > 0)
		findings_add(findings, path, 0,
			     "%" PRIu64 " octets before the first message that are none",
			     verification->garbage);
	if (verification->open_end)
		findings_add(findings, path, status.size_octets,
			     "the last message is not closed by a blank line: another program's "
			     "delivery was torn, or it is its way");
	if (verification->index != NULL && index_count(verification->index) > findings->messages)
		findings_add(findings, "index", 0, "the index lists more messages than there are");
	return 0;
}

static bool find_aside(void *context, const char *name)
{
	struct verification *verification = context;
	char prefix[48], path[64];
	snprintf(prefix, sizeof prefix, "aside.%" PRIu64 ".", verification->place->account);
	snprintf(path, sizeof path, "journal/%.50s", name);
	if (bytes_start_with(bytes_of(name), bytes_of(prefix)))
		findings_add(verification->findings, path, 0,
			     "set aside when the spool was brought into order; look at it");
	return true;
}

static int check_uids(struct verification *verification)
{
	struct uids uids;
	char name[UIDS_NAME_OCTETS];
	int result = uids_load(verification->root, uids_owner(verification->place), &uids);
	if (result < 0)
		return result;
	uids_label(uids_owner(verification->place), name);
	if (uids.bad > 0)
		findings_add(verification->findings, name, 0, "%zu lines fail their check",
			     uids.bad);
	uids_free(&uids);
	return 0;
}

static int check_beside(struct verification *verification)
{
	const struct store_root *root = verification->root;
	uint64_t account = verification->place->account;
	if (journal_exists(root, account) || journal_append_exists(root, verification->place))
		findings_add(verification->findings, "journal", 0,
			     "a change was interrupted; the next opening finishes it");
	int result = check_uids(verification);
	return result < 0 ? result : file_list(root->journal, find_aside, verification);
}

enum store_result spool_verify(const struct store_root *root, const struct place *place,
			       struct findings *findings_out, struct error *error)
{
	struct verification verification = {.findings = findings_out, .root = root, .place = place};
	struct spool_file spool;
	enum store_result opened = spool_file_open(root, place, SPOOL_EXAMINE, &spool, error);
	if (opened != STORE_OK)
		return opened;
	int result = check_beside(&verification);
	if (result >= 0 && spool.file != NULL)
		result = check_file(&verification, &spool);
	spool_file_close(&spool);
	return result < 0 ? store_failure(error, result, "while verifying the spool") : STORE_OK;
}

/* ---- repairing ---- */

static int copy_octets(struct file *from, struct file *to, uint64_t length, uint32_t *checksum_out)
{
	char *octets = malloc(STORE_READ_OCTETS);
	int result = octets != NULL ? 0 : -ENOMEM;
	*checksum_out = 0;
	for (uint64_t at = 0; at < length && result >= 0;) {
		size_t part =
			length - at < STORE_READ_OCTETS ? (size_t)(length - at) : STORE_READ_OCTETS;
		ssize_t count = file_read(from, octets, part, at, false);
		struct bytes piece = {octets, count > 0 ? (size_t)count : 0};
		*checksum_out = crc32c(*checksum_out, piece);
		result = count <= 0 ? (count < 0 ? (int)count : -EIO)
				    : (to != NULL ? file_write(to, &piece, 1, at) : 0);
		at += piece.length;
	}
	free(octets);
	return result;
}

/* Under a name that is the same when a crash makes us do it again. */
static int set_aside(const struct spool_file *spool, uint64_t length)
{
	char name[80];
	uint32_t checksum;
	struct file *aside;
	struct file *journal = spool->root->journal;
	int result = copy_octets(spool->file, NULL, length, &checksum);
	if (result < 0)
		return result;
	snprintf(name, sizeof name, "aside.%" PRIu64 ".%08" PRIx32 ".%" PRIu64, spool->account,
		 checksum, length);
	result = file_open(journal, name, FILE_WRITE | FILE_CREATE, &aside);
	if (result < 0)
		return result;
	result = copy_octets(spool->file, aside, length, &checksum);
	if (result >= 0)
		result = file_sync(aside);
	file_close(aside);
	if (result < 0)
		file_unlink(journal, name);
	return result < 0 ? result : file_sync(journal);
}

static enum store_result remove_garbage(struct verification *verification,
					const struct spool_file *spool, struct error *error)
{
	struct range rest = {verification->garbage, spool->size};
	if (verification->garbage == 0)
		return STORE_OK;
	int result = set_aside(spool, verification->garbage);
	if (result < 0)
		return store_failure(error, result, "while setting octets aside");
	enum store_result removed =
		journal_compact(spool->root, verification->place, spool->file, spool->size, &rest,
				rest.start < rest.end ? 1 : 0, true, error);
	if (removed == STORE_OK)
		findings_add(verification->findings, verification->place->path, 0,
			     "%" PRIu64 " octets before the first message were set aside",
			     verification->garbage);
	return removed;
}

/* One LF, and one more when the last line lacks its own. */
static int close_end(struct verification *verification, const struct spool_file *spool)
{
	struct file_status status;
	struct journal_append append;
	char last = 0;
	int result = file_status(spool->file, &status);
	if (!verification->open_end || result < 0)
		return result;
	ssize_t length = file_read(spool->file, &last, 1, status.size_octets - 1, false);
	if (length < 0)
		return (int)length;
	result = journal_append_begin(spool->root, verification->place, &append);
	if (result < 0)
		return result;
	result = journal_append_write(&append, last == '\n' ? BYTES("\n") : BYTES("\n\n"));
	if (result >= 0)
		result = journal_append_do(&append, spool->file, status.size_octets);
	journal_append_end(&append);
	if (result >= 0)
		findings_add(verification->findings, verification->place->path, status.size_octets,
			     "the last message was closed by a blank line");
	return result;
}

static int mend_uids(const struct verification *verification)
{
	struct uids uids;
	struct buffer lines;
	struct uids_owner owner = uids_owner(verification->place);
	int result = uids_load(verification->root, owner, &uids);
	buffer_init(&lines, SIZE_MAX / 2);
	if (result >= 0 && uids.bad > 0)
		result = uids_aside(verification->root, owner, buffer_bytes(&uids.text));
	for (size_t i = 0; result >= 0 && uids.bad > 0 && i < uids.count; i++) {
		const struct uids_line *line = &uids.list[i];
		struct bytes key = {uids.text.data + line->key, line->key_length};
		struct bytes uid = {uids.text.data + line->uid, line->uid_length};
		if (!uids_print(&lines, key, uid))
			result = -ENOMEM;
	}
	if (result >= 0 && uids.bad > 0) {
		result = uids_replace(verification->root, owner, buffer_bytes(&lines));
		findings_add(verification->findings, "uids", 0,
			     "lines that could not be read were set aside");
	}
	buffer_free(&lines);
	uids_free(&uids);
	return result;
}

/* Opening has finished what was interrupted. Missing blank lines between messages stay missing: to
 * put one in, all that follows would have to move, for what every reader understands. */
static enum store_result repair_locked(struct verification *verification,
				       const struct spool_file *spool, struct error *error)
{
	struct findings seen = {0}, *told = verification->findings;
	verification->findings = &seen;
	int result = read_all(verification, spool->file, spool->size);
	verification->findings = told;
	told->messages = seen.messages;
	told->octets_checked = seen.octets_checked;
	findings_free(&seen);
	if (result < 0)
		return store_failure(error, result, "while reading the spool");
	enum store_result removed = remove_garbage(verification, spool, error);
	if (removed != STORE_OK)
		return removed;
	result = close_end(verification, spool);
	return result < 0 ? store_failure(error, result, "while closing the last message")
			  : STORE_OK;
}

enum store_result spool_repair(const struct store_root *root, const struct place *place,
			       struct findings *findings_out, struct error *error)
{
	struct verification verification = {.findings = findings_out, .root = root, .place = place};
	struct spool_file spool;
	enum store_result result = spool_file_open(root, place, SPOOL_CHANGE, &spool, error);
	if (result != STORE_OK)
		return result;
	if (spool.file != NULL)
		result = repair_locked(&verification, &spool, error);
	if (result == STORE_OK) {
		int mended = mend_uids(&verification);
		if (mended < 0)
			result = store_failure(error, mended, "while mending unique-ids");
	}
	spool_file_close(&spool);
	index_remove(root, place->account);
	return result;
}
