/*
 * mbox_scan_fuzz: any octets as an own mbox. The first octet chooses what is done to them: as they
 * are, or behind a record of ours, or with the checksums of the lines put right (so that the fuzzer
 * gets past them, and finds records behind strange octets). The scan ends, never goes back, and
 * every record it shows lies inside the file.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checksum.h"
#include "store/mbox_scan.h"

#define LINE_CHECK_OCTETS (sizeof(" line=00000000") - 1)

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

/* Gives a line that may be one of ours the checksum it needs. */
static void mend_line(char *line, size_t length)
{
	char check[LINE_CHECK_OCTETS + 1];
	size_t checked = length - LINE_CHECK_OCTETS;
	snprintf(check, sizeof check, " line=%08x", crc32c(0, (struct bytes){line, checked}));
	memcpy(line + checked, check, LINE_CHECK_OCTETS);
}

static void mend_lines(char *octets, size_t size)
{
	for (char *end; (end = memchr(octets, '\n', size)) != NULL;) {
		size_t length = (size_t)(end - octets);
		if (length >= 5 + LINE_CHECK_OCTETS && memcmp(octets, "From ", 5) == 0)
			mend_line(octets, length);
		size -= length + 1;
		octets = end + 1;
	}
}

static void scan_all(struct bytes content)
{
	struct mbox_scan scan;
	struct index_entry entry;
	uint64_t strange, before = 0;
	if (!mbox_scan_begin(&scan, file_of(content), content.length, 0))
		return;
	for (bool more = true; more;) {
		enum mbox_scan_result result = mbox_scan_next(&scan, &entry, &strange);
		assert(scan.position >= before && scan.position <= content.length);
		assert(result != MBOX_SCAN_FAILED);
		if (result == MBOX_SCAN_RECORD)
			assert(entry.offset == before && index_entry_end(&entry) == scan.position);
		if (result == MBOX_SCAN_STRANGE)
			assert(strange == before && scan.position > before);
		more = result == MBOX_SCAN_RECORD || result == MBOX_SCAN_STRANGE;
		before = scan.position;
	}
	mbox_scan_end(&scan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *octets = malloc(size + FROM_LINE_MAX + 8);
	size_t length = 0;
	if (octets == NULL || size == 0) {
		free(octets);
		return 0;
	}
	if (data[0] & 1) {
		struct mbox_line line = {.length = 2,
					 .checksum = crc32c(0, BYTES("x\n")),
					 .uid_length = 1,
					 .uid = "u"};
		length = mbox_line_print(&line, BYTES("a@b"), octets);
		memcpy(octets + length, "x\n\n", 3);
		length += 3;
	}
	memcpy(octets + length, data + 1, size - 1);
	if (data[0] & 2)
		mend_lines(octets + length, size - 1);
	scan_all((struct bytes){octets, length + size - 1});
	free(octets);
	return 0;
}
