/*
 * draft: a message between its first octet and its last recipient.
 *
 * One draft serves all recipients of a message, whatever their stores are: the octets are kept once
 * (in memory, past DRAFT_MEMORY_MAX in an unnamed file below a mail root), and counted and
 * checksummed once, while they arrive. No maildrop is touched and no lock is taken before the draft
 * is sealed, which happens at the final dot.
 *
 * A draft holds the stored form: lines end in LF, and so does the last one (draft_seal adds it).
 * It is not durable and need not be: nobody was told that the message is safe.
 *
 * (The design page has begin and write among a store's functions. They are here instead, because a
 * message for recipients in different stores must still be held once: docs/design/0004-store.md.)
 */
#ifndef STORE_DRAFT_H
#define STORE_DRAFT_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"

struct draft;

struct draft_facts {
	uint64_t length;      /* octets in stored form */
	uint64_t wire_octets; /* octets as RFC 1939 section 11 counts them */
	uint64_t quotable;    /* lines that begin with ">*From ": each costs one octet in an mbox */
	uint32_t checksum;    /* crc32c of the stored form */
};

/* `directory` is where an unnamed file may be made (a mail root); `octets_max` the most it takes.
 */
struct draft *draft_new(struct file *directory, uint64_t octets_max);
void draft_free(struct draft *draft); /* NULL is allowed */

/* Adds octets in stored form. ERROR_NONE; ERROR_TOO_LARGE past octets_max (nothing more is kept,
 * the draft stays usable only for draft_free); ERROR_FULL, ERROR_IO, ERROR_TEMPORARY of the file.
 * May block on the disk. */
enum error_code draft_write(struct draft *draft, struct bytes octets, struct error *error);

/* True when that many more octets surely stay in memory: draft_write will not touch the disk. */
bool draft_in_memory(const struct draft *draft, size_t more);

/* Ends it. From here on it is constant and may be read by several threads. */
enum error_code draft_seal(struct draft *draft, struct error *error);

const struct draft_facts *draft_facts(const struct draft *draft); /* sealed */

/* Reads octets of a sealed draft; fewer than size only at its end. A count or a negative errno. */
ssize_t draft_read(const struct draft *draft, char *out, size_t size, uint64_t offset);

#endif
