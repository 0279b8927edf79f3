/*
 * maildir_name: the names of Maildir files, ours and other programs'.
 *
 * Ours: "1795312860.M500000R0123456789abcdef,S=812,W=830,C=1c291ca3": the second of delivery, the
 * microsecond, 64 random bits; S is the file's length, W its octets with CRLF line ends (as Dovecot
 * and Courier write them), C the CRC-32C of its octets. 70 octets at the most while S and W have 9
 * digits, so that the base name is the unique-id. It needs no process number, no counter and no
 * host name: the random bits are drawn anew for each message, by whoever delivers it.
 *
 * A base name is what stands before the first ':'; behind it other programs keep flags.
 * Must not know: files.
 */
#ifndef STORE_MAILDIR_NAME_H
#define STORE_MAILDIR_NAME_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/limits.h"

#define MAILDIR_NAME_MAX 255 /* of every file system that has Maildirs */

struct maildir_name {
	struct bytes base;
	uint64_t second; /* of delivery; 0 when the name does not begin with a number */
	uint32_t microsecond;
	bool own; /* made by maildir_name_make(): what follows is known */
	uint64_t length, octets;
	uint32_t checksum;
};

/* Takes any name apart; the base points into it. */
struct maildir_name maildir_name_parse(const char *name);

/* Only what the order takes, and faster: `own` is not found out. */
struct maildir_name maildir_name_when(const char *name);

/* By time of delivery, then by base name: the order of messages. */
int maildir_name_compare(const struct maildir_name *a, const struct maildir_name *b);

/* The unique-id of a file that brought none along: its base name when that can be one, else a hash
 * of it. False when memory has run out. */
bool maildir_name_uid(const char *name, char uid_out[UID_MAX + 1]);

/* Makes a name that nobody else makes, whatever the clock says. `microseconds` since 1970. */
void maildir_name_make(uint64_t microseconds, uint64_t length, uint64_t octets, uint32_t checksum,
		       char name_out[MAILDIR_NAME_MAX + 1]);

#endif
