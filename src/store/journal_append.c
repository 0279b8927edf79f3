/*
 * journal_append: see journal_append.h. Knows octets, not what a message is.
 */
#include "store/journal_append.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"

static const char magic[16] = "postern append 1";

struct header {
	char magic[16];
	uint64_t account, device, inode;
	uint64_t offset, length;
	uint32_t checksum; /* of the octets */
	uint32_t check;
};

/* While a maildrop moves, its account has two of them. */
static void append_name(const struct place *place, const char *before, char name[64])
{
	snprintf(name, 64, "%s%" PRIu64 ".%08" PRIx32 ".append", before, place->account,
		 crc32c(place->mail_root, bytes_of(place->path)));
}

static uint32_t header_check(const struct header *header)
{
	return crc32c(0, (struct bytes){(const char *)header, offsetof(struct header, check)});
}

/* ---- appending ---- */

int journal_append_begin(const struct store_root *root, const struct place *place,
			 struct journal_append *append_out)
{
	char name[64];
	unsigned flags = FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE;
	*append_out = (struct journal_append){.root = root, .place = place};
	append_name(place, "", name);
	return file_open(root->journal, name, flags, &append_out->journal);
}

int journal_append_write(struct journal_append *append, struct bytes octets)
{
	int result = file_write(append->journal, &octets, 1, JOURNAL_APPEND_DATA + append->length);
	if (result < 0)
		return result;
	append->length += octets.length;
	append->checksum = crc32c(append->checksum, octets);
	return 0;
}

static int seal(struct journal_append *append, struct file *file)
{
	struct header header = {.account = append->place->account,
				.offset = append->offset,
				.length = append->length,
				.checksum = append->checksum};
	struct file_status status;
	int result = file_status(file, &status);
	if (result < 0)
		return result;
	memcpy(header.magic, magic, sizeof magic);
	header.device = status.device;
	header.inode = status.inode;
	header.check = header_check(&header);
	struct bytes piece = {(const char *)&header, sizeof header};
	result = file_write(append->journal, &piece, 1, 0);
	if (result >= 0)
		result = file_sync(append->journal);
	return result >= 0 ? file_sync(append->root->journal) : result;
}

/* Reads exactly so many octets. */
static int read_all(struct file *file, char *out, size_t size, uint64_t offset)
{
	ssize_t length = file_read(file, out, size, offset, false);
	if (length < 0)
		return (int)length;
	return (size_t)length == size ? 0 : -EIO;
}

/* Calls with each part of the octets, and, when `file` is not NULL, with what stands in the file in
 * their place. Ends when the call returns other than 0. */
typedef int part_callback(void *context, struct bytes octets, const char *there, uint64_t offset);

static int for_parts(const struct journal_append *append, struct file *file,
		     part_callback *callback, void *context)
{
	char *octets = malloc(STORE_READ_OCTETS), *there = malloc(STORE_READ_OCTETS);
	int result = octets != NULL && there != NULL ? 0 : -ENOMEM;
	for (uint64_t done = 0; done < append->length && result == 0;) {
		uint64_t left = append->length - done;
		size_t part = left < STORE_READ_OCTETS ? (size_t)left : STORE_READ_OCTETS;
		result = read_all(append->journal, octets, part, JOURNAL_APPEND_DATA + done);
		if (result >= 0 && file != NULL)
			result = read_all(file, there, part, append->offset + done);
		if (result >= 0)
			result = callback(context, (struct bytes){octets, part}, there,
					  append->offset + done);
		done += part;
	}
	free(octets);
	free(there);
	return result;
}

static int write_part(void *context, struct bytes octets, const char *there, uint64_t offset)
{
	(void)there;
	return file_write(context, &octets, 1, offset);
}

/* Step 3. */
static int fill_room(const struct journal_append *append, struct file *file)
{
	int result = for_parts(append, NULL, write_part, file);
	return result < 0 ? result : file_sync(file);
}

/* Is the file as long as it must be? One that takes none of our locks may have appended to it. */
static int has_size(struct file *file, uint64_t size)
{
	struct file_status status;
	int result = file_status(file, &status);
	return result < 0 ? result : status.size_octets == size;
}

/* The journal goes only once it is certain that no room is left in the file. Where somebody has
 * appended behind the room, it stays for the next replay, which fills it. */
static void take_back(struct journal_append *append, struct file *file)
{
	int is_last = has_size(file, append->offset + append->length);
	if (is_last == 0)
		is_last = has_size(file, append->offset);
	if (is_last <= 0 || file_set_size(file, append->offset) < 0 || file_sync(file) < 0) {
		file_close(append->journal);
		append->journal = NULL;
	}
}

int journal_append_do(struct journal_append *append, struct file *file, uint64_t offset)
{
	append->offset = offset;
	int result = seal(append, file);
	if (result < 0)
		return result;
	result = has_size(file, offset);
	if (result <= 0)
		return result < 0 ? result : -EAGAIN;
	result = file_set_size(file, offset + append->length);
	if (result >= 0)
		result = file_sync(file);
	if (result >= 0)
		result = fill_room(append, file);
	if (result < 0)
		take_back(append, file);
	return result;
}

void journal_append_end(struct journal_append *append)
{
	if (append->journal == NULL)
		return;
	file_close(append->journal);
	append->journal = NULL;
	journal_append_remove(append->root, append->place);
}

/* ---- replaying ---- */

static int checksum_part(void *context, struct bytes octets, const char *there, uint64_t offset)
{
	uint32_t *checksum = context;
	(void)there;
	(void)offset;
	*checksum = crc32c(*checksum, octets);
	return 0;
}

/* 1: sound; 0: it was not written to its end, so nothing was begun. */
static int load(struct journal_append *append, struct header *header_out)
{
	struct file_status status;
	uint32_t checksum = 0;
	int result = file_status(append->journal, &status);
	if (result < 0 || status.size_octets < JOURNAL_APPEND_DATA)
		return result;
	result = read_all(append->journal, (char *)header_out, sizeof *header_out, 0);
	if (result < 0)
		return result;
	if (memcmp(header_out->magic, magic, sizeof magic) != 0 ||
	    header_out->check != header_check(header_out) ||
	    status.size_octets - JOURNAL_APPEND_DATA != header_out->length)
		return 0;
	append->offset = header_out->offset;
	append->length = header_out->length;
	result = for_parts(append, NULL, checksum_part, &checksum);
	return result < 0 ? result : checksum == header_out->checksum;
}

/* 1: an octet is neither ours nor zero. */
static int compare_part(void *context, struct bytes octets, const char *there, uint64_t offset)
{
	(void)context;
	(void)offset;
	for (size_t i = 0; i < octets.length; i++)
		if (there[i] != octets.data[i] && there[i] != '\0')
			return 1;
	return 0;
}

/* Is the room there, and nothing but ours in it? */
static int room_is_ours(const struct journal_append *append, struct file *file)
{
	struct file_status status;
	int result = file_status(file, &status);
	if (result < 0)
		return result;
	if (status.size_octets < append->offset + append->length)
		return 0;
	result = for_parts(append, file, compare_part, NULL);
	return result < 0 ? result : result == 0;
}

static int complete(const struct journal_append *append, struct file *file)
{
	int ours = room_is_ours(append, file);
	if (ours < 0)
		return ours;
	/* The room first, as in step 2; and where there is none any more it must not come back once
	 * the journal is gone. */
	int result = file_sync(file);
	return result < 0 || ours == 0 ? result : fill_room(append, file);
}

int journal_append_replay(const struct store_root *root, const struct place *place,
			  struct file *file)
{
	char name[64], aside[64];
	struct journal_append append = {.root = root, .place = place};
	struct header header = {.account = 0};
	struct file_status status = {.inode = 0};
	append_name(place, "", name);
	append_name(place, "aside.", aside);
	int result = file_open(root->journal, name, FILE_READ, &append.journal);
	if (result == -ENOENT)
		return 0;
	if (result < 0)
		return result;
	int sound = load(&append, &header);
	result = sound;
	if (sound > 0 && file != NULL)
		result = file_status(file, &status);
	bool same = sound > 0 && header.account == place->account &&
		    header.device == status.device && header.inode == status.inode;
	if (result >= 0 && same)
		result = complete(&append, file);
	if (result >= 0)
		result = sound > 0 && !same ? file_rename(root->journal, name, root->journal, aside)
					    : file_unlink(root->journal, name);
	file_close(append.journal);
	return result < 0 ? result : 0;
}

bool journal_append_exists(const struct store_root *root, const struct place *place)
{
	char name[64];
	struct file *file;
	append_name(place, "", name);
	if (file_open(root->journal, name, FILE_READ, &file) < 0)
		return false;
	file_close(file);
	return true;
}

void journal_append_remove(const struct store_root *root, const struct place *place)
{
	char name[64];
	append_name(place, "", name);
	file_unlink(root->journal, name);
}
