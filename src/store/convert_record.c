/*
 * convert_record: see convert_record.h. Fields of this machine with a checksum behind them: the
 * file lives for one conversion.
 */
#include "store/convert_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"

struct record {
	char magic[16];
	struct place from, to;
	uint64_t count;      /* of the unique-ids behind the record */
	uint32_t list_check; /* of them */
	uint32_t checksum;
};

static const char magic[16] = "postern move 2\n";

static void record_name(uint64_t account, const char *suffix, char name[32])
{
	snprintf(name, 32, "%" PRIu64 ".move%s", account, suffix);
}

static uint32_t checksum_of(const struct record *record)
{
	return crc32c(0, (struct bytes){(const char *)record, offsetof(struct record, checksum)});
}

static struct bytes list_of(const struct uid_set *set)
{
	return (struct bytes){(const char *)set->list, set->count * sizeof *set->list};
}

int convert_record_write(const struct store_root *root, const struct place *from,
			 const struct place *to, const struct uid_set *moving)
{
	char name[32], new_name[32];
	struct record record;
	struct file *file;
	struct bytes pieces[] = {{(const char *)&record, sizeof record}, list_of(moving)};
	record_name(from->account, "", name);
	record_name(from->account, ".new", new_name);
	memset(&record, 0, sizeof record); /* padding, too */
	memcpy(record.magic, magic, sizeof magic);
	memcpy(&record.from, from, sizeof *from);
	memcpy(&record.to, to, sizeof *to);
	record.count = moving->count;
	record.list_check = crc32c(0, list_of(moving));
	record.checksum = checksum_of(&record);
	int result = file_open(root->journal, new_name, FILE_WRITE | FILE_CREATE, &file);
	if (result < 0)
		return result;
	result = file_write(file, pieces, 2, 0);
	if (result >= 0)
		result = file_sync(file);
	file_close(file);
	if (result >= 0)
		result = file_rename(root->journal, new_name, root->journal, name);
	if (result < 0)
		file_unlink(root->journal, new_name);
	return result < 0 ? result : file_sync(root->journal);
}

static int read_list(struct file *file, const struct record *record, struct uid_set *moving_out)
{
	size_t size = (size_t)record->count * sizeof *moving_out->list;
	*moving_out = (struct uid_set){.list = malloc(size + 1), .count = (size_t)record->count};
	if (moving_out->list == NULL)
		return -ENOMEM;
	ssize_t length = file_read(file, moving_out->list, size, sizeof *record, false);
	if (length < 0)
		return (int)length;
	return (size_t)length == size && crc32c(0, list_of(moving_out)) == record->list_check
		       ? 0
		       : -EBADMSG;
}

static int read_record(struct file *file, uint64_t account, struct record *record_out)
{
	ssize_t length = file_read(file, record_out, sizeof *record_out, 0, false);
	if (length < 0)
		return (int)length;
	return length == sizeof *record_out &&
			       memcmp(record_out->magic, magic, sizeof magic) == 0 &&
			       checksum_of(record_out) == record_out->checksum &&
			       record_out->from.account == account &&
			       record_out->count <= MESSAGES_MAX
		       ? 0
		       : -EBADMSG;
}

int convert_record_read(const struct store_root *root, uint64_t account, struct place *from_out,
			struct place *to_out, struct uid_set *moving_out)
{
	char name[32];
	struct record record;
	struct file *file;
	*moving_out = (struct uid_set){0};
	record_name(account, "", name);
	int result = file_open(root->journal, name, FILE_READ, &file);
	if (result < 0)
		return result;
	result = read_record(file, account, &record);
	if (result == 0)
		result = read_list(file, &record, moving_out);
	file_close(file);
	if (result < 0) {
		uid_set_free(moving_out);
		return result;
	}
	*from_out = record.from;
	*to_out = record.to;
	return 0;
}

int convert_record_remove(const struct store_root *root, uint64_t account)
{
	char name[32];
	record_name(account, "", name);
	int result = file_unlink(root->journal, name);
	return result < 0 && result != -ENOENT ? result : file_sync(root->journal);
}
