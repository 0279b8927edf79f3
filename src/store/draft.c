/*
 * draft: see draft.h. Small messages never touch the disk; large ones go to one unnamed file, which
 * the kernel forgets with the process. Must not know recipients, stores or protocols.
 */
#include "store/draft.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/limits.h"
#include "base/wire.h"
#include "store/mbox_quote.h"

struct draft {
	struct file *directory;
	struct file *file;    /* NULL while everything is in memory */
	struct buffer memory; /* all octets, or those not yet written to the file */
	uint64_t file_octets; /* written to the file */
	uint64_t octets_max;
	bool sealed;
	struct draft_facts facts;
	struct wire_size wire_size;
	struct mbox_quote quote;
	bool ends_in_line;
};

struct draft *draft_new(struct file *directory, uint64_t octets_max)
{
	struct draft *draft = calloc(1, sizeof *draft);
	if (draft == NULL)
		return NULL;
	draft->directory = directory;
	draft->octets_max = octets_max;
	buffer_init(&draft->memory, DRAFT_MEMORY_MAX);
	mbox_quote_init(&draft->quote);
	return draft;
}

void draft_free(struct draft *draft)
{
	if (draft == NULL)
		return;
	file_close(draft->file);
	buffer_free(&draft->memory);
	free(draft);
}

bool draft_in_memory(const struct draft *draft, size_t more)
{
	return more <= DRAFT_MEMORY_MAX - draft->memory.length;
}

/* Counts what the stores will want to know, while the octets are at hand. */
static void draft_count(struct draft *draft, struct bytes octets)
{
	if (octets.length == 0)
		return;
	draft->facts.length += octets.length;
	draft->facts.checksum = crc32c(draft->facts.checksum, octets);
	draft->facts.quotable += mbox_quote_count(&draft->quote, octets);
	wire_size_add(&draft->wire_size, octets);
	draft->ends_in_line = octets.data[octets.length - 1] != '\n';
}

static int draft_flush(struct draft *draft)
{
	if (draft->file == NULL) {
		int result =
			file_open(draft->directory, ".", FILE_WRITE | FILE_UNNAMED, &draft->file);
		if (result < 0)
			return result;
	}
	struct bytes piece = buffer_bytes(&draft->memory);
	int result = file_write(draft->file, &piece, 1, draft->file_octets);
	if (result < 0)
		return result;
	draft->file_octets += piece.length;
	draft->memory.length = 0;
	return 0;
}

enum error_code draft_write(struct draft *draft, struct bytes octets, struct error *error)
{
	assert(!draft->sealed);
	if (octets.length > draft->octets_max - draft->facts.length)
		return error_set(error, ERROR_TOO_LARGE, "message larger than %llu octets",
				 (unsigned long long)draft->octets_max);
	draft_count(draft, octets);
	while (octets.length > 0) {
		size_t room = DRAFT_MEMORY_MAX - draft->memory.length;
		struct bytes part = bytes_first(octets, room);
		if (!buffer_append(&draft->memory, part))
			return error_set(error, ERROR_TEMPORARY, "out of memory for a message");
		octets = bytes_skip(octets, part.length);
		if (octets.length == 0)
			break;
		int result = draft_flush(draft);
		if (result < 0)
			return error_set_errno(error, result, "while keeping a message");
	}
	return ERROR_NONE;
}

enum error_code draft_seal(struct draft *draft, struct error *error)
{
	if (draft->ends_in_line) {
		draft->octets_max++; /* the line end we owe is not the sender's */
		enum error_code code = draft_write(draft, BYTES("\n"), error);
		if (code != ERROR_NONE)
			return code;
	}
	if (draft->file != NULL) {
		int result = draft_flush(draft);
		if (result < 0)
			return error_set_errno(error, result, "while keeping a message");
	}
	draft->facts.wire_octets = wire_size_octets(&draft->wire_size);
	draft->sealed = true;
	return ERROR_NONE;
}

const struct draft_facts *draft_facts(const struct draft *draft)
{
	assert(draft->sealed);
	return &draft->facts;
}

ssize_t draft_read(const struct draft *draft, char *out, size_t size, uint64_t offset)
{
	assert(draft->sealed);
	if (offset >= draft->facts.length)
		return 0;
	if (draft->file != NULL)
		return file_read(draft->file, out, size, offset, false);
	struct bytes part = bytes_first(bytes_skip(buffer_bytes(&draft->memory), offset), size);
	memcpy(out, part.data, part.length);
	return (ssize_t)part.length;
}
