/*
 * mbox_file: an own mbox under ID.file, brought into order before anybody looks at it.
 *
 * The usual case reads no mail: the index is of this boot, ends where the file ends, and the last
 * record's From line carries the last entry's unique-id, which proves all before it (index.h). In
 * any other case what the index cannot vouch for is scanned, and made durable before the index
 * says so.
 */
#include "store/mbox_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "store/journal.h"
#include "store/lock.h"
#include "store/mbox_scan.h"
#include "store/names.h"

void mbox_file_close(struct mbox_file *mbox)
{
	index_close(mbox->index);
	file_close(mbox->file);
	if (mbox->root != NULL)
		lock_release(mbox->root, mbox->lock);
	*mbox = (struct mbox_file){0};
}

void mbox_temporary_name(const struct place *place, char name_out[MAILDROP_PATH_MAX + 64])
{
	const char *slash = strrchr(place->path, '/');
	int folder = slash != NULL ? (int)(slash - place->path) + 1 : 0;
	snprintf(name_out, MAILDROP_PATH_MAX + 64, "%.*s.postern-%" PRIu64 ".new", folder,
		 place->path, place->account);
}

int mbox_entry_proved(struct file *file, const struct index_entry *entry)
{
	char octets[FROM_LINE_MAX];
	struct mbox_line line;
	ssize_t length = file_read(file, octets, entry->line_octets, entry->offset, false);
	if (length < 0)
		return (int)length;
	return mbox_line_parse((struct bytes){octets, (size_t)length}, &line) == MBOX_LINE_OK &&
	       line.octets == entry->line_octets && line.length == entry->length &&
	       line.checksum == entry->checksum && line.uid_length == entry->uid_length &&
	       memcmp(line.uid, entry->uid, line.uid_length) == 0;
}

/* Opens the index and proves it; *covered_out is where it ends. NULL: nothing of it can be used. */
static struct index *proven_index(struct mbox_file *mbox, uint64_t size, bool *current_out,
				  uint64_t *covered_out)
{
	struct index *index;
	struct index_entry last;
	enum index_state state = index_open(mbox->root, mbox->account, &index);
	*current_out = state == INDEX_CURRENT;
	*covered_out = 0;
	if (state == INDEX_NONE)
		goto useless;
	if (index_count(index) == 0)
		return index;
	if (index_read(index, index_count(index), 1, false, &last) != STORE_OK)
		goto useless;
	*covered_out = index_entry_end(&last);
	if (*covered_out <= size && mbox_entry_proved(mbox->file, &last) == 1)
		return index;
useless:
	*covered_out = 0;
	index_close(index);
	return NULL;
}

int mbox_copy_octets(struct mbox_file *mbox, const char *word, uint64_t from, uint64_t to)
{
	char name[80];
	char *octets = malloc(STORE_READ_OCTETS);
	struct file *aside = NULL;
	uint32_t checksum = 0;
	int result = octets != NULL ? 0 : -ENOMEM;
	for (int pass = 0; pass < 2 && result >= 0; pass++) {
		if (pass == 1) {
			snprintf(name, sizeof name, "%s.%" PRIu64 ".%08" PRIx32 ".%" PRIu64, word,
				 mbox->account, checksum, to - from);
			result = file_open(mbox->root->journal, name, FILE_WRITE | FILE_CREATE,
					   &aside);
		}
		for (uint64_t at = from; at < to && result >= 0;) {
			size_t size = to - at < STORE_READ_OCTETS ? to - at : STORE_READ_OCTETS;
			ssize_t length = file_read(mbox->file, octets, size, at, false);
			struct bytes piece = {octets, length > 0 ? (size_t)length : 0};
			result = length > 0 ? 0 : length < 0 ? (int)length : -EIO;
			checksum = pass == 0 ? crc32c(checksum, piece) : checksum;
			if (pass == 1 && result >= 0)
				result = file_write(aside, &piece, 1, at - from);
			at += piece.length;
		}
	}
	if (result >= 0)
		result = file_sync(aside);
	file_close(aside);
	free(octets);
	if (result < 0 && aside != NULL)
		file_unlink(mbox->root->journal, name); /* half of it is no use and takes room */
	return result < 0 ? result : file_sync(mbox->root->journal);
}

/* Scans from `covered` on. *end_out is behind the last sound record; *aside_end_out > *end_out when
 * octets behind it are to be set aside. */
static int scan_tail(struct mbox_file *mbox, uint64_t size, uint64_t covered,
		     struct index_builder *builder, uint64_t *end_out, uint64_t *last_out,
		     uint64_t *aside_end_out)
{
	struct mbox_scan scan;
	struct index_entry entry;
	uint64_t strange, aside_end = covered, end = covered;
	uint32_t sound = builder->count;
	int result = 1;
	if (!mbox_scan_begin(&scan, mbox->file, size, covered))
		return -ENOMEM;
	while (result > 0) {
		switch (mbox_scan_next(&scan, &entry, &strange)) {
		case MBOX_SCAN_RECORD:
			if (!index_builder_add(builder, &entry))
				result = -ENOMEM;
			if (!entry.damaged) {
				end = index_entry_end(&entry);
				*last_out = entry.offset;
				sound = builder->count;
			}
			aside_end = scan.position;
			break;
		case MBOX_SCAN_STRANGE:
			aside_end = scan.position;
			break;
		case MBOX_SCAN_FAILED:
			result = scan.problem;
			break;
		case MBOX_SCAN_TORN:
			/* Only what directly follows sound records is known to be a torn one. */
			aside_end = aside_end > end ? size : aside_end;
			result = 0;
			break;
		case MBOX_SCAN_END:
			result = 0;
		}
	}
	mbox_scan_end(&scan);
	index_builder_cut(builder, sound);
	*end_out = end;
	*aside_end_out = aside_end;
	return result;
}

static bool lacks_room(int result)
{
	return result == -ENOSPC || result == -EDQUOT;
}

/* After a failed sync the octets may be in the page cache only, and a second sync proves nothing
 * (base/file.h): what nobody vouches for is written again, over itself, before the sync that will.
 */
static int write_again(struct mbox_file *mbox, uint64_t from, uint64_t to)
{
	char *octets = malloc(STORE_READ_OCTETS);
	int result = octets != NULL ? 0 : -ENOMEM;
	while (from < to && result >= 0) {
		size_t size = to - from < STORE_READ_OCTETS ? to - from : STORE_READ_OCTETS;
		ssize_t length = file_read(mbox->file, octets, size, from, false);
		struct bytes piece = {octets, length > 0 ? (size_t)length : 0};
		result = length > 0 ? file_write(mbox->file, &piece, 1, from)
				    : (length < 0 ? (int)length : -EIO);
		from += piece.length;
	}
	free(octets);
	return lacks_room(result) ? 0 : result; /* it never overwrites: as good as it gets */
}

/* From where on nobody vouches. Of a large file whose index is lost all but the end, and the last
 * message whole, is older than any process. */
static uint64_t unvouched(uint64_t covered, uint64_t last, uint64_t end)
{
	if (covered > 0 || end <= WRITE_AGAIN_MAX)
		return covered;
	return last < end - WRITE_AGAIN_MAX ? last : end - WRITE_AGAIN_MAX;
}

/* Cuts the file behind its last whole record, when what is there could be set aside. *size_out is
 * how long it is then: a full user must still get at his mail, and delete, so without room it
 * stays. */
static int cut_tail(struct mbox_file *mbox, uint64_t end, uint64_t aside_end, uint64_t *size_out)
{
	int result = aside_end > end ? mbox_copy_octets(mbox, "aside", end, aside_end) : 0;
	if (result >= 0 && *size_out > end)
		result = file_set_size(mbox->file, end);
	if (lacks_room(result))
		return 0;
	if (result >= 0)
		*size_out = end;
	return result;
}

/* The file is longer than the index knows, or the index is of no use: see what there is, cut what
 * is not whole, make the rest durable, and only then write it into a new index. */
static int take_in(struct mbox_file *mbox, const struct place *place, uint64_t size,
		   struct index *known, uint64_t covered)
{
	struct index_builder builder;
	char temporary[MAILDROP_PATH_MAX + 64];
	index_builder_init(&builder);
	if (known != NULL && !index_builder_add_index(&builder, known)) {
		index_builder_cut(&builder, 0); /* a hole in a cache: then all is scanned */
		covered = 0;
	}
	uint64_t end = covered, last = covered, aside_end = covered;
	int result = scan_tail(mbox, size, covered, &builder, &end, &last, &aside_end);
	if (result >= 0)
		result = cut_tail(mbox, end, aside_end, &size);
	if (result >= 0)
		result = write_again(mbox, unvouched(covered, last, end), end);
	if (result >= 0)
		result = file_sync(mbox->file);
	if (result >= 0)
		result = names_sync(mbox->root->mail[place->mail_root], place->path);
	if (result < 0) {
		index_builder_free(&builder);
		return result;
	}
	mbox_temporary_name(place, temporary);
	file_unlink(mbox->root->mail[place->mail_root], temporary); /* of a removal that was cut */
	mbox->index = index_builder_finish(&builder, mbox->root, mbox->account);
	mbox->end = end;
	mbox->size = size;
	mbox->names_synced = true;
	return mbox->index != NULL ? 0 : -ENOMEM;
}

static int bring_into_order(struct mbox_file *mbox, const struct place *place)
{
	struct file_status status;
	bool current;
	uint64_t covered;
	int result =
		file_open(mbox->root->mail[place->mail_root], place->path, FILE_WRITE, &mbox->file);
	if (result == -ENOENT) {
		index_remove(mbox->root, mbox->account);
		return 0;
	}
	if (result < 0 || (result = file_status(mbox->file, &status)) < 0)
		return result;
	struct index *index = proven_index(mbox, status.size_octets, &current, &covered);
	if (index != NULL && current && covered == status.size_octets) {
		mbox->index = index;
		mbox->end = mbox->size = covered;
		mbox->names_synced = true;
		return 0;
	}
	result = take_in(mbox, place, status.size_octets, index, covered);
	index_close(index);
	return result;
}

enum store_result mbox_file_open(const struct store_root *root, const struct place *place,
				 struct mbox_file *mbox_out, struct error *error)
{
	*mbox_out = (struct mbox_file){.root = root, .account = place->account};
	enum store_result locked = lock_file(root, place, &mbox_out->lock, error);
	if (locked != STORE_OK)
		return locked;
	int result = journal_replay(root, place);
	if (result >= 0)
		result = bring_into_order(mbox_out, place);
	if (result < 0) {
		mbox_file_close(mbox_out);
		return store_failure(error, result, "while opening the mailbox file");
	}
	return STORE_OK;
}
