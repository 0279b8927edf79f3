/*
 * convert_record: see convert_record.h. Fields of this machine with a checksum behind them: the
 * file lives for one conversion.
 */
#include "store/convert_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"

struct record {
	char magic[16];
	struct place from, to;
	uint32_t checksum;
};

static const char magic[16] = "postern move 1\n";

static void record_name(uint64_t account, const char *suffix, char name[32])
{
	snprintf(name, 32, "%" PRIu64 ".move%s", account, suffix);
}

static uint32_t checksum_of(const struct record *record)
{
	return crc32c(0, (struct bytes){(const char *)record, offsetof(struct record, checksum)});
}

int convert_record_write(const struct store_root *root, const struct place *from,
			 const struct place *to)
{
	char name[32], new_name[32];
	struct record record;
	struct file *file;
	struct bytes piece = {(const char *)&record, sizeof record};
	record_name(from->account, "", name);
	record_name(from->account, ".new", new_name);
	memset(&record, 0, sizeof record); /* padding, too */
	memcpy(record.magic, magic, sizeof magic);
	memcpy(&record.from, from, sizeof *from);
	memcpy(&record.to, to, sizeof *to);
	record.checksum = checksum_of(&record);
	int result = file_open(root->journal, new_name, FILE_WRITE | FILE_CREATE, &file);
	if (result < 0)
		return result;
	result = file_write(file, &piece, 1, 0);
	if (result >= 0)
		result = file_sync(file);
	file_close(file);
	if (result >= 0)
		result = file_rename(root->journal, new_name, root->journal, name);
	if (result < 0)
		file_unlink(root->journal, new_name);
	return result < 0 ? result : file_sync(root->journal);
}

int convert_record_read(const struct store_root *root, uint64_t account, struct place *from_out,
			struct place *to_out)
{
	char name[32];
	struct record record;
	struct file *file;
	record_name(account, "", name);
	int result = file_open(root->journal, name, FILE_READ, &file);
	if (result < 0)
		return result;
	ssize_t length = file_read(file, &record, sizeof record, 0, false);
	file_close(file);
	if (length < 0)
		return (int)length;
	if (length != sizeof record || memcmp(record.magic, magic, sizeof magic) != 0 ||
	    checksum_of(&record) != record.checksum || record.from.account != account)
		return -EBADMSG;
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
