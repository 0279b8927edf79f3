/*
 * maildir_content: what one file of a Maildir holds.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/checksum.h"
#include "base/wire.h"
#include "store/maildir_private.h"

struct measure {
	struct wire_decoder decoder;
	struct wire_size size;
	uint64_t decoded;
	char *octets, *plain;
};

static void count(struct measure *measure, struct bytes piece)
{
	measure->decoded += piece.length;
	wire_size_add(&measure->size, piece);
}

static void add(struct measure *measure, bool foreign, struct bytes piece)
{
	size_t written;
	if (!foreign) {
		count(measure, piece);
		return;
	}
	wire_decode(&measure->decoder, piece, measure->plain, &written);
	count(measure, (struct bytes){measure->plain, written});
}

static int read_pieces(struct measure *measure, struct file *file, bool foreign,
		       struct maildir_entry *entry)
{
	for (;;) {
		ssize_t length =
			file_read(file, measure->octets, STORE_READ_OCTETS, entry->length, false);
		if (length <= 0)
			return (int)length;
		struct bytes piece = {measure->octets, (size_t)length};
		entry->length += piece.length;
		entry->checksum = crc32c(entry->checksum, piece);
		add(measure, foreign, piece);
	}
}

int maildir_measure(struct file *file, bool foreign, struct maildir_entry *entry_out)
{
	struct measure measure = {.octets = malloc(STORE_READ_OCTETS),
				  .plain = malloc(STORE_READ_OCTETS + 2)};
	char last[2];
	int result = -ENOMEM;
	entry_out->length = 0;
	entry_out->checksum = 0;
	wire_decoder_init(&measure.decoder, WIRE_ANY_LF, false);
	if (measure.octets != NULL && measure.plain != NULL)
		result = read_pieces(&measure, file, foreign, entry_out);
	count(&measure, (struct bytes){last, wire_decode_end(&measure.decoder, last)});
	entry_out->octets = wire_size_octets(&measure.size);
	entry_out->crlf = foreign && measure.decoded != entry_out->length;
	free(measure.octets);
	free(measure.plain);
	return result;
}

bool maildir_unreadable(int result)
{
	return result < 0 && result != -ENOMEM && result != -EMFILE && result != -ENFILE &&
	       result != -ENOENT;
}
