/*
 * index: see index.h. File: a header of 128 octets, then entries of 128 octets, in the byte order
 * of this machine (a cache does not travel). Must not know what a maildrop file looks like inside.
 */
#include "store/index.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/random.h"

#define RECORD_OCTETS 128

static const char magic[16] = "postern index 1";

struct stored_header {
	char magic[16];
	uint8_t boot[16];
	uint64_t salt;
	uint64_t account;
	uint64_t source_device, source_inode, source_size, source_modified, source_changed;
	uint32_t source_count, source_sure;
	char zero[28];
	uint32_t check;
};

struct stored_entry {
	uint64_t offset, length, octets, total_octets, number;
	uint32_t checksum;
	uint16_t line_octets;
	uint8_t uid_length;
	uint8_t flags;
	char uid[76];
	uint32_t check;
};

enum { FLAG_DAMAGED = 1, FLAG_QUOTED = 2 };

_Static_assert(sizeof(struct stored_header) == RECORD_OCTETS, "header is one record");
_Static_assert(sizeof(struct stored_entry) == RECORD_OCTETS, "entry is one record");

struct index {
	struct file *file;    /* NULL: in memory */
	struct buffer memory; /* the entries */
	uint32_t count;
	uint64_t salt;
	uint64_t account;
	struct index_source source;
};

/* ---- entries as they are stored ---- */

static uint32_t entry_check(const struct stored_entry *stored, uint64_t salt)
{
	uint32_t check = crc32c(0, (struct bytes){(const char *)&salt, sizeof salt});
	return crc32c(check,
		      (struct bytes){(const char *)stored, offsetof(struct stored_entry, check)});
}

static struct stored_entry entry_store(const struct index_entry *entry, uint32_t number,
				       uint64_t salt)
{
	struct stored_entry stored;
	memset(&stored, 0, sizeof stored);
	stored.offset = entry->offset;
	stored.length = entry->length;
	stored.octets = entry->octets;
	stored.total_octets = entry->total_octets;
	stored.number = number;
	stored.checksum = entry->checksum;
	stored.line_octets = entry->line_octets;
	stored.uid_length = entry->uid_length;
	stored.flags = (entry->damaged ? FLAG_DAMAGED : 0) | (entry->quoted ? FLAG_QUOTED : 0);
	memcpy(stored.uid, entry->uid, entry->uid_length);
	stored.check = entry_check(&stored, salt);
	return stored;
}

static bool entry_load(const struct stored_entry *stored, uint32_t number, uint64_t salt,
		       struct index_entry *entry_out)
{
	if (stored->check != entry_check(stored, salt) || stored->number != number ||
	    stored->uid_length == 0 || stored->uid_length > UID_MAX)
		return false;
	*entry_out = (struct index_entry){
		.offset = stored->offset,
		.length = stored->length,
		.octets = stored->octets,
		.total_octets = stored->total_octets,
		.checksum = stored->checksum,
		.line_octets = stored->line_octets,
		.uid_length = stored->uid_length,
		.damaged = (stored->flags & FLAG_DAMAGED) != 0,
		.quoted = (stored->flags & FLAG_QUOTED) != 0,
	};
	memcpy(entry_out->uid, stored->uid, stored->uid_length);
	return true;
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

static bool header_load(struct file *file, uint64_t account, struct stored_header *header_out)
{
	ssize_t length = file_read(file, header_out, sizeof *header_out, 0, false);
	return length == sizeof *header_out &&
	       memcmp(header_out->magic, magic, sizeof magic) == 0 &&
	       header_out->check == header_check(header_out) && header_out->account == account;
}

static void header_set_source(struct stored_header *header, const struct index_source *source)
{
	header->source_device = source->device;
	header->source_inode = source->inode;
	header->source_size = source->size_octets;
	header->source_modified = source->modified_ns;
	header->source_changed = source->changed_ns;
	header->source_count = source->count;
	header->source_sure = source->sure;
	header->check = header_check(header);
}

static struct index_source header_source(const struct stored_header *header)
{
	return (struct index_source){
		.device = header->source_device,
		.inode = header->source_inode,
		.size_octets = header->source_size,
		.modified_ns = header->source_modified,
		.changed_ns = header->source_changed,
		.count = header->source_count,
		.sure = header->source_sure != 0,
	};
}

struct index_source index_source(const struct index *index)
{
	return index->source;
}

bool index_set_source(struct index *index, const struct index_source *source)
{
	struct stored_header header;
	struct bytes piece = {(const char *)&header, sizeof header};
	if (index->file == NULL || !header_load(index->file, index->account, &header))
		return false;
	header_set_source(&header, source);
	if (file_write(index->file, &piece, 1, 0) < 0)
		return false;
	index->source = *source;
	return true;
}

void index_cut(struct index *index, uint32_t count)
{
	assert(count <= index->count);
	index->count = count;
}

static bool same_boot(struct disk *disk, const uint8_t boot[16])
{
	static const uint8_t unknown[16];
	uint8_t now[16];
	disk_boot(disk, now);
	return memcmp(now, boot, sizeof now) == 0 && memcmp(now, unknown, sizeof now) != 0;
}

enum index_state index_open(const struct store_root *root, uint64_t account,
			    struct index **index_out)
{
	char name[32];
	struct stored_header header;
	struct file_status status;
	struct file *file = NULL;
	*index_out = NULL;
	index_name(account, "", name);
	if (file_open(root->index, name, FILE_WRITE, &file) < 0)
		return INDEX_NONE;
	struct index *index = NULL;
	if (header_load(file, account, &header) && file_status(file, &status) == 0)
		index = calloc(1, sizeof *index);
	if (index == NULL) {
		file_close(file);
		return INDEX_NONE;
	}
	index->file = file;
	index->account = account;
	index->source = header_source(&header);
	index->salt = header.salt;
	index->count = (uint32_t)((status.size_octets - RECORD_OCTETS) / RECORD_OCTETS);
	*index_out = index;
	return same_boot(root->disk, header.boot) ? INDEX_CURRENT : INDEX_OLD;
}

void index_close(struct index *index)
{
	if (index == NULL)
		return;
	file_close(index->file);
	buffer_free(&index->memory);
	free(index);
}

uint32_t index_count(const struct index *index)
{
	return index->count;
}

static ssize_t records_read(struct index *index, uint32_t first, uint32_t count, bool no_wait,
			    struct stored_entry *stored_out)
{
	uint64_t offset = (uint64_t)(first - 1) * RECORD_OCTETS;
	size_t size = (size_t)count * RECORD_OCTETS;
	if (index->file != NULL)
		return file_read(index->file, stored_out, size, offset + RECORD_OCTETS, no_wait);
	memcpy(stored_out, index->memory.data + offset, size);
	return (ssize_t)size;
}

enum store_result index_read(struct index *index, uint32_t first, uint32_t count, bool no_wait,
			     struct index_entry *entries_out)
{
	assert(first >= 1 && count <= index->count && first <= index->count - count + 1);
	struct stored_entry stored[16];
	while (count > 0) {
		uint32_t some = count < 16 ? count : 16;
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

struct index_walk index_walk(struct index *index)
{
	return (struct index_walk){.index = index, .result = STORE_OK};
}

bool index_next(struct index_walk *walk, struct index_entry *entry_out)
{
	uint32_t at = walk->number % 16;
	if (walk->index == NULL || walk->number == walk->index->count)
		return false;
	if (at == 0) {
		uint32_t left = walk->index->count - walk->number, some = left < 16 ? left : 16;
		walk->result = index_read(walk->index, walk->number + 1, some, false, walk->block);
		if (walk->result != STORE_OK)
			return false;
	}
	walk->number++;
	*entry_out = walk->block[at];
	return true;
}

bool index_append(struct index *index, const struct index_entry *entry)
{
	struct index_entry last = {0}, new_entry = *entry;
	if (index->file == NULL || index->count == UINT32_MAX)
		return false;
	if (index->count > 0 && index_read(index, index->count, 1, false, &last) != STORE_OK)
		return false;
	new_entry.total_octets = last.total_octets + entry->octets;
	struct stored_entry stored = entry_store(&new_entry, index->count + 1, index->salt);
	struct bytes piece = {(const char *)&stored, sizeof stored};
	uint64_t offset = ((uint64_t)index->count + 1) * RECORD_OCTETS;
	if (file_write(index->file, &piece, 1, offset) < 0)
		return false;
	index->count++;
	return true;
}

void index_remove(const struct store_root *root, uint64_t account)
{
	char name[32];
	index_name(account, "", name);
	file_unlink(root->index, name);
}

/* ---- making a new one ---- */

void index_builder_init(struct index_builder *builder)
{
	*builder = (struct index_builder){0};
	buffer_init(&builder->octets, MESSAGES_MAX * RECORD_OCTETS);
	random_octets(&builder->salt, sizeof builder->salt);
}

void index_builder_free(struct index_builder *builder)
{
	buffer_free(&builder->octets);
}

bool index_builder_add(struct index_builder *builder, const struct index_entry *entry)
{
	struct index_entry new_entry = *entry;
	new_entry.total_octets = builder->total_octets + entry->octets;
	struct stored_entry stored = entry_store(&new_entry, builder->count + 1, builder->salt);
	if (builder->count == UINT32_MAX ||
	    !buffer_append(&builder->octets, (struct bytes){(const char *)&stored, sizeof stored}))
		return false;
	builder->count++;
	builder->total_octets = new_entry.total_octets;
	return true;
}

void index_builder_cut(struct index_builder *builder, uint32_t count)
{
	struct stored_entry last = {0};
	assert(count <= builder->count);
	builder->count = count;
	builder->octets.length = (size_t)count * RECORD_OCTETS;
	if (count > 0)
		memcpy(&last, builder->octets.data + builder->octets.length - sizeof last,
		       sizeof last);
	builder->total_octets = last.total_octets;
}

bool index_builder_add_index(struct index_builder *builder, struct index *index)
{
	struct index_entry entry;
	struct index_walk walk = index_walk(index);
	while (index_next(&walk, &entry))
		if (!index_builder_add(builder, &entry))
			return false;
	return walk.result == STORE_OK;
}

/* Writes the file beside the old one and puts it in its stead. NULL when the disk refuses. */
static struct file *builder_write(const struct index_builder *builder,
				  const struct store_root *root, uint64_t account)
{
	char name[32], temporary[32];
	struct stored_header header;
	struct file *file = NULL;
	memset(&header, 0, sizeof header);
	memcpy(header.magic, magic, sizeof magic);
	disk_boot(root->disk, header.boot);
	header.salt = builder->salt;
	header.account = account;
	header_set_source(&header, &builder->source);
	index_name(account, "", name);
	index_name(account, ".new", temporary);
	file_unlink(root->index, temporary);
	struct bytes pieces[] = {{(const char *)&header, sizeof header},
				 buffer_bytes(&builder->octets)};
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

struct index *index_builder_finish(struct index_builder *builder, const struct store_root *root,
				   uint64_t account)
{
	struct index *index = calloc(1, sizeof *index);
	if (index == NULL) {
		index_builder_free(builder);
		return NULL;
	}
	index->count = builder->count;
	index->salt = builder->salt;
	index->file = builder_write(builder, root, account);
	if (index->file != NULL) {
		index->account = account;
		index->source = builder->source;
		index_builder_free(builder);
		return index;
	}
	index_remove(root, account); /* the old one belongs to another state of the maildrop */
	index->memory = builder->octets;
	builder->octets = (struct buffer){0};
	return index;
}
