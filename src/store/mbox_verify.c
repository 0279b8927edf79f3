/*
 * mbox_verify: reads an own mbox from end to end and names every inconsistency. Mends nothing; of
 * the locks it takes ID.file only, so a session may be open meanwhile.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/journal.h"
#include "store/lock.h"
#include "store/mbox_private.h"
#include "store/mbox_scan.h"

struct verification {
	struct findings *findings;
	struct index *index; /* NULL: none, or none to compare with */
	const char *path;
	uint64_t account;
};

static void compare_with_index(struct verification *verification, const struct index_entry *entry)
{
	struct index_entry known;
	uint64_t number = verification->findings->messages;
	char name[32];
	snprintf(name, sizeof name, "index/%" PRIu64, verification->account);
	if (verification->index == NULL)
		return;
	if (number > index_count(verification->index)) {
		findings_add(verification->findings, name, 0,
			     "message %" PRIu64 " is not in the index yet", number);
		return;
	}
	enum store_result result =
		index_read(verification->index, (uint32_t)number, 1, false, &known);
	if (result == STORE_OK && known.offset == entry->offset && known.octets == entry->octets &&
	    strcmp(known.uid, entry->uid) == 0)
		return;
	findings_add(verification->findings, name, number * 128,
		     "the entry of message %" PRIu64 " is wrong; delete the file", number);
}

static void check_record(struct verification *verification, const struct index_entry *entry)
{
	struct findings *findings = verification->findings;
	findings->messages++;
	findings->octets_checked += entry->length;
	if (entry->damaged)
		findings_add(findings, verification->path, entry->offset,
			     "message %" PRIu64 " (%s) fails its checksum", findings->messages,
			     entry->uid);
	compare_with_index(verification, entry);
}

static int check_file(struct verification *verification, struct file *file)
{
	struct mbox_scan scan;
	struct index_entry entry;
	struct file_status status;
	uint64_t strange;
	int result = file_status(file, &status);
	if (result >= 0 && !mbox_scan_begin(&scan, file, status.size_octets, 0))
		result = -ENOMEM;
	if (result < 0)
		return result;
	for (bool more = true; more;) {
		switch (mbox_scan_next(&scan, &entry, &strange)) {
		case MBOX_SCAN_RECORD:
			check_record(verification, &entry);
			break;
		case MBOX_SCAN_STRANGE:
			findings_add(verification->findings, verification->path, strange,
				     "%" PRIu64 " octets that are no message",
				     scan.position - strange);
			break;
		case MBOX_SCAN_TORN:
			findings_add(verification->findings, verification->path, scan.position,
				     "the last message is incomplete; the next opening cuts it");
			more = false;
			break;
		case MBOX_SCAN_FAILED:
			result = scan.problem;
			more = false;
			break;
		case MBOX_SCAN_END:
			more = false;
		}
	}
	mbox_scan_end(&scan);
	return result;
}

static bool find_aside(void *context, const char *name)
{
	struct verification *verification = context;
	char prefix[48], path[64];
	snprintf(prefix, sizeof prefix, "aside.%" PRIu64 ".", verification->account);
	snprintf(path, sizeof path, "journal/%.50s", name);
	if (bytes_start_with(bytes_of(name), bytes_of(prefix)))
		findings_add(verification->findings, path, 0,
			     "set aside when the mailbox was brought into order; look at it");
	return true;
}

static void check_beside(struct verification *verification, const struct store_root *root,
			 const struct place *place)
{
	char temporary[MAILDROP_PATH_MAX + 64];
	struct file *file;
	if (journal_exists(root, place->account))
		findings_add(verification->findings, "journal", 0,
			     "a removal was interrupted; the next opening finishes it");
	mbox_temporary_name(place, temporary);
	if (file_open(root->mail[place->mail_root], temporary, FILE_READ, &file) >= 0) {
		findings_add(verification->findings, verification->path, 0,
			     "a removal was interrupted before it took effect; the next one "
			     "clears what it left");
		file_close(file);
	}
	file_list(root->journal, find_aside, verification);
}

enum store_result mbox_verify(const struct store_root *root, const struct place *place,
			      struct findings *findings_out, struct error *error)
{
	struct verification verification = {
		.findings = findings_out, .path = place->path, .account = place->account};
	struct file *lock, *file = NULL;
	enum store_result locked = lock_file(root, place, &lock, error);
	if (locked != STORE_OK)
		return locked;
	check_beside(&verification, root, place);
	int result = file_open(root->mail[place->mail_root], place->path, FILE_READ, &file);
	if (result >= 0) {
		index_open(root, place->account, &verification.index);
		result = check_file(&verification, file);
	}
	if (result >= 0 && verification.index != NULL &&
	    index_count(verification.index) > findings_out->messages)
		findings_add(findings_out, "index", 0,
			     "the index lists more messages than there are");
	index_close(verification.index);
	file_close(file);
	lock_release(root, lock);
	if (result < 0 && result != -ENOENT)
		return store_failure(error, result, "while verifying the maildrop");
	return STORE_OK;
}
