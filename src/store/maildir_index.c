/*
 * maildir_index: see maildir_index.h. File: a header of 384 octets, then entries of 384 octets, in
 * the byte order of this machine (a cache does not travel). Must not know what lies in a Maildir.
 */
#include "store/maildir_index.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/random.h"

#define RECORD_OCTETS 384

static const char magic[16] = "postern maildir";

struct stored_header {
	char magic[16];
	uint64_t salt;
	uint64_t account;
	uint64_t inode; /* of the Maildir */
	char zero[RECORD_OCTETS - 44];
	uint32_t check;
};

struct stored_entry {
	uint64_t length, octets, total_octets, number;
	uint32_t checksum;
	uint8_t name_length;
	uint8_t uid_length; /* 0: it follows from the name */
	uint8_t flags;
	uint8_t place;
	char text[RECORD_OCTETS - 44]; /* name, unique-id */
	uint32_t check;
};

enum { FLAG_DAMAGED = 1, FLAG_DOUBTFUL = 2, FLAG_CRLF = 4 };

_Static_assert(sizeof(struct stored_header) == RECORD_OCTETS, "header is one record");
_Static_assert(sizeof(struct stored_entry) == RECORD_OCTETS, "entry is one record");
_Static_assert(sizeof((struct stored_entry){0}).text >= MAILDIR_NAME_MAX + UID_MAX, "both fit");

struct maildir_index {
	struct file *file;    /* NULL: in memory */
	struct buffer memory; /* the entries */
	uint32_t count;
	uint64_t salt;
};

/* ---- entries as they are stored ---- */

static uint32_t entry_check(const struct stored_entry *stored, uint64_t salt)
{
	uint32_t check = crc32c(0, (struct bytes){(const char *)&salt, sizeof salt});
	return crc32c(check,
		      (struct bytes){(const char *)stored, offsetof(struct stored_entry, check)});
}

static struct stored_entry entry_store(const struct maildir_entry *entry, uint32_t number,
				       uint64_t salt)
{
	struct stored_entry stored;
	memset(&stored, 0, sizeof stored);
	stored.length = entry->length;
	stored.octets = entry->octets;
	stored.total_octets = entry->total_octets;
	stored.number = number;
	stored.checksum = entry->checksum;
	stored.name_length = (uint8_t)strlen(entry->name);
	stored.uid_length = entry->brought ? (uint8_t)strlen(entry->uid) : 0;
	stored.flags =
		(uint8_t)((entry->damaged ? FLAG_DAMAGED : 0) |
			  (entry->doubtful ? FLAG_DOUBTFUL : 0) | (entry->crlf ? FLAG_CRLF : 0));
	stored.place = (uint8_t)entry->place;
	memcpy(stored.text, entry->name, stored.name_length);
	memcpy(stored.text + stored.name_length, entry->uid, stored.uid_length);
	stored.check = entry_check(&stored, salt);
	return stored;
}

static bool entry_load(const struct stored_entry *stored, uint32_t number, uint64_t salt,
		       struct maildir_entry *entry_out)
{
	if (stored->check != entry_check(stored, salt) || stored->number != number ||
	    stored->name_length == 0 || stored->uid_length > UID_MAX || stored->place > MAILDIR_CUR)
		return false;
	*entry_out = (struct maildir_entry){
		.place = stored->place,
		.length = stored->length,
		.octets = stored->octets,
		.total_octets = stored->total_octets,
		.checksum = stored->checksum,
		.damaged = (stored->flags & FLAG_DAMAGED) != 0,
		.doubtful = (stored->flags & FLAG_DOUBTFUL) != 0,
		.crlf = (stored->flags & FLAG_CRLF) != 0,
		.brought = stored->uid_length > 0,
	};
	memcpy(entry_out->name, stored->text, stored->name_length);
	memcpy(entry_out->uid, stored->text + stored->name_length, stored->uid_length);
	return entry_out->brought || maildir_name_uid(entry_out->name, entry_out->uid);
}

static uint32_t header_check(const struct stored_header *header)
{
	return crc32c(0,
		      (struct bytes){(const char *)header, offsetof(struct stored_header, check)});
}

static void index_name(uint64_t account, const char *suffix, char name[32])
{
	snprintf(name, 32, "%" PRIu64 "%s", account, suffix);
}

/* ---- reading ---- */

struct maildir_index *maildir_index_open(const struct store_root *root, uint64_t account,
					 struct file *top)
{
	char name[32];
	struct stored_header header;
	struct file_status status, maildir;
	struct file *file = NULL;
	struct maildir_index *index = NULL;
	index_name(account, "", name);
	if (file_open(root->index, name, FILE_WRITE, &file) < 0)
		return NULL;
	ssize_t length = file_read(file, &header, sizeof header, 0, false);
	if (length == sizeof header && memcmp(header.magic, magic, sizeof magic) == 0 &&
	    header.check == header_check(&header) && header.account == account &&
	    file_status(top, &maildir) == 0 && header.inode == maildir.inode &&
	    file_status(file, &status) == 0)
		index = calloc(1, sizeof *index);
	if (index == NULL) {
		file_close(file);
		return NULL;
	}
	index->file = file;
	index->salt = header.salt;
	index->count = (uint32_t)((status.size_octets - RECORD_OCTETS) / RECORD_OCTETS);
	return index;
}

void maildir_index_close(struct maildir_index *index)
{
	if (index == NULL)
		return;
	file_close(index->file);
	buffer_free(&index->memory);
	free(index);
}

uint32_t maildir_index_count(const struct maildir_index *index)
{
	return index->count;
}

static ssize_t records_read(struct maildir_index *index, uint32_t first, uint32_t count,
			    bool no_wait, struct stored_entry *stored_out)
{
	uint64_t offset = (uint64_t)(first - 1) * RECORD_OCTETS;
	size_t size = (size_t)count * RECORD_OCTETS;
	if (index->file != NULL)
		return file_read(index->file, stored_out, size, offset + RECORD_OCTETS, no_wait);
	memcpy(stored_out, index->memory.data + offset, size);
	return (ssize_t)size;
}

enum store_result maildir_index_read(struct maildir_index *index, uint32_t first, uint32_t count,
				     bool no_wait, struct maildir_entry *entries_out)
{
	assert(first >= 1 && count <= index->count && first <= index->count - count + 1);
	struct stored_entry stored[MAILDIR_WALK_BLOCK];
	while (count > 0) {
		uint32_t some = count < MAILDIR_WALK_BLOCK ? count : MAILDIR_WALK_BLOCK;
		ssize_t length = records_read(index, first, some, no_wait, stored);
		if (no_wait && length != (ssize_t)(some * RECORD_OCTETS))
			return STORE_AGAIN;
		if (length != (ssize_t)(some * RECORD_OCTETS))
			return STORE_IO;
		for (uint32_t i = 0; i < some; i++)
			if (!entry_load(&stored[i], first + i, index->salt, &entries_out[i]))
				return STORE_IO;
		entries_out += some;
		first += some;
		count -= some;
	}
	return STORE_OK;
}

void maildir_walk_begin(struct maildir_walk *walk, struct maildir_index *index)
{
	walk->index = index;
	walk->number = 0;
	walk->result = STORE_OK;
}

const struct maildir_entry *maildir_walk_next(struct maildir_walk *walk)
{
	uint32_t at = walk->number % MAILDIR_WALK_BLOCK;
	if (walk->index == NULL || walk->number == walk->index->count)
		return NULL;
	if (at == 0) {
		uint32_t left = walk->index->count - walk->number;
		uint32_t some = left < MAILDIR_WALK_BLOCK ? left : MAILDIR_WALK_BLOCK;
		walk->result =
			maildir_index_read(walk->index, walk->number + 1, some, false, walk->block);
		if (walk->result != STORE_OK)
			return NULL;
	}
	walk->number++;
	return &walk->block[at];
}

/* ---- changing ---- */

static bool entry_write(struct maildir_index *index, uint32_t number,
			const struct maildir_entry *entry)
{
	struct stored_entry stored = entry_store(entry, number, index->salt);
	struct bytes piece = {(const char *)&stored, sizeof stored};
	return file_write(index->file, &piece, 1, (uint64_t)number * RECORD_OCTETS) == 0;
}

bool maildir_index_append(struct maildir_index *index, const struct maildir_entry *entry)
{
	struct maildir_entry last = {0}, new_entry = *entry;
	if (index->file == NULL || index->count == UINT32_MAX)
		return false;
	if (index->count > 0) {
		if (maildir_index_read(index, index->count, 1, false, &last) != STORE_OK)
			return false;
		struct maildir_name before = maildir_name_when(last.name),
				    now = maildir_name_when(entry->name);
		if (maildir_name_compare(&before, &now) > 0)
			return true;
	}
	new_entry.total_octets = last.total_octets + entry->octets;
	if (!entry_write(index, index->count + 1, &new_entry))
		return false;
	index->count++;
	return true;
}

void maildir_index_doubt(struct maildir_index *index, uint32_t number)
{
	struct maildir_entry entry;
	if (index->file == NULL ||
	    maildir_index_read(index, number, 1, false, &entry) != STORE_OK || entry.doubtful)
		return;
	entry.doubtful = true;
	entry_write(index, number, &entry);
}

void maildir_index_remove(const struct store_root *root, uint64_t account)
{
	char name[32];
	index_name(account, "", name);
	file_unlink(root->index, name);
}

/* ---- making a new one ---- */

void maildir_builder_init(struct maildir_builder *builder)
{
	*builder = (struct maildir_builder){0};
	buffer_init(&builder->octets, MESSAGES_MAX * RECORD_OCTETS);
	random_octets(&builder->salt, sizeof builder->salt);
}

void maildir_builder_free(struct maildir_builder *builder)
{
	buffer_free(&builder->octets);
}

bool maildir_builder_add(struct maildir_builder *builder, const struct maildir_entry *entry)
{
	struct maildir_entry new_entry = *entry;
	new_entry.total_octets = builder->total_octets + entry->octets;
	struct stored_entry stored = entry_store(&new_entry, builder->count + 1, builder->salt);
	if (builder->count == UINT32_MAX ||
	    !buffer_append(&builder->octets, (struct bytes){(const char *)&stored, sizeof stored}))
		return false;
	builder->count++;
	builder->total_octets = new_entry.total_octets;
	return true;
}

/* Writes the file beside the old one and puts it in its stead. NULL when the disk refuses. */
static struct file *builder_write(const struct maildir_builder *builder,
				  const struct store_root *root, uint64_t account, struct file *top)
{
	char name[32], temporary[32];
	struct stored_header header;
	struct file_status maildir;
	struct file *file = NULL;
	if (file_status(top, &maildir) < 0)
		return NULL;
	memset(&header, 0, sizeof header);
	memcpy(header.magic, magic, sizeof magic);
	header.salt = builder->salt;
	header.account = account;
	header.inode = maildir.inode;
	header.check = header_check(&header);
	index_name(account, "", name);
	index_name(account, ".new", temporary);
	struct bytes pieces[] = {{(const char *)&header, sizeof header},
				 buffer_bytes(&builder->octets)};
	int cleared = file_unlink(root->index, temporary);
	if (cleared < 0 && cleared != -ENOENT)
		return NULL;
	if (file_open(root->index, temporary, FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE, &file) < 0)
		return NULL;
	if (file_write(file, pieces, 2, 0) < 0 ||
	    file_rename(root->index, temporary, root->index, name) < 0) {
		file_close(file);
		file_unlink(root->index, temporary);
		return NULL;
	}
	return file;
}

struct maildir_index *maildir_builder_finish(struct maildir_builder *builder,
					     const struct store_root *root, uint64_t account,
					     struct file *top)
{
	struct maildir_index *index = calloc(1, sizeof *index);
	if (index == NULL) {
		maildir_builder_free(builder);
		return NULL;
	}
	index->count = builder->count;
	index->salt = builder->salt;
	index->file = builder_write(builder, root, account, top);
	if (index->file != NULL) {
		maildir_builder_free(builder);
		return index;
	}
	maildir_index_remove(root, account); /* the old one is of another state of the maildrop */
	index->memory = builder->octets;
	builder->octets = (struct buffer){0};
	return index;
}
