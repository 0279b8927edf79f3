/*
 * spool_scan_fuzz: any octets as a spool. Messages lie one behind the other inside the file; the
 * octets said of each are those of its lines; a scan that begins at a message finds it and all that
 * follow as the whole scan did, because that is how a spool that grew is read; and what is closed
 * with a blank line keeps its digests.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/spool_scan.h"

#define MESSAGES_SEEN 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct file *file_of(struct bytes content)
{
	static int memory = -1;
	static struct file *file;
	if (file == NULL) {
		memory = memfd_create("fuzz", MFD_CLOEXEC);
		if (memory < 0 || file_adopt(memory, &file) < 0)
			abort();
	}
	if (ftruncate(memory, 0) < 0 ||
	    pwrite(memory, content.data, content.length, 0) != (ssize_t)content.length)
		abort();
	return file;
}

static size_t scan_all(struct file *file, uint64_t size, uint64_t position,
		       struct spool_message messages[MESSAGES_SEEN])
{
	struct spool_scan scan;
	enum spool_scan_result result = SPOOL_SCAN_MESSAGE;
	uint64_t before = position;
	size_t count = 0;
	if (!spool_scan_begin(&scan, file, size, position))
		abort();
	while (count < MESSAGES_SEEN &&
	       (result = spool_scan_next(&scan, &messages[count])) == SPOOL_SCAN_MESSAGE) {
		const struct spool_message *message = &messages[count++];
		assert(message->offset >= before);
		before = message->offset + message->line_octets + message->length;
		assert(before <= size);
		assert(message->octets <= 2 * message->length + 2);
	}
	assert(result != SPOOL_SCAN_FAILED);
	spool_scan_end(&scan);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct spool_message whole[MESSAGES_SEEN], part[MESSAGES_SEEN];
	if (size < 1)
		return 0;
	char *octets = malloc(size + 2);
	if (octets == NULL)
		return 0;
	memcpy(octets, data + 1, size - 1);
	struct file *file = file_of((struct bytes){octets, size - 1});
	size_t count = scan_all(file, size - 1, 0, whole);
	size_t from = count > 0 ? data[0] % count : 0;
	if (count > 0) {
		bool first = whole[from].separated;
		size_t rest = scan_all(file, size - 1, whole[from].offset, part);
		whole[from].separated = true; /* nothing is known of what stands before */
		assert(rest >= count - from);
		for (size_t i = 0; i < count - from; i++)
			assert(memcmp(&whole[from + i], &part[i], sizeof part[i]) == 0);
		whole[from].separated = first;
	}
	if (count > 0 && count < MESSAGES_SEEN && !whole[count - 1].closed) {
		memcpy(octets + size - 1, "\n\n", 2);
		size_t more = size < 2 || octets[size - 2] == '\n' ? 1 : 2;
		file = file_of((struct bytes){octets, size - 1 + more});
		assert(scan_all(file, size - 1 + more, 0, part) == count);
		for (size_t i = 0; i < count; i++)
			assert(memcmp(whole[i].digest, part[i].digest, sizeof part[i].digest) == 0);
	}
	free(octets);
	return 0;
}
