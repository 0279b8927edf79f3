/*
 * uids: the unique-ids that were brought along to messages whose files have no room for one, in
 * ROOT/uids/ID.PLACE, where PLACE is a checksum of the maildrop's path: while a maildrop moves, its
 * account has two of them, and what one forgets the other still needs. Data, not a cache: a line is
 * on stable storage before its message appears.
 *
 *   KEY UNIQUE-ID CHECK
 *
 * KEY says which message: text of 0x21 to 0x7E that the kind of store gives it and never gives
 * twice (a Maildir: the base name). CHECK is the CRC-32C of what stands before it, eight
 * hexadecimal digits. Lines are appended; a line whose message is gone means nothing.
 *
 * What an append that was cut has left behind the last sound line is cut before anything is
 * appended: a line that is not ended at once, anything else only after it was copied to
 * ROOT/journal/aside.ID.uids.CHECKSUM.
 *
 * ID.file is held by whoever calls this. Must not know: kinds of store.
 */
#ifndef STORE_UIDS_H
#define STORE_UIDS_H

#include "store/store.h"

#define UIDS_TEXT_MAX (MESSAGES_MAX * 512) /* octets of lines */

/* Whose lines. */
struct uids_owner {
	uint64_t account;
	uint32_t place;
};
struct uids_owner uids_owner(const struct place *place);

/* The name of its file, below ROOT, for findings: "uids/ID.PLACE". */
#define UIDS_NAME_OCTETS 64
const char *uids_label(struct uids_owner owner, char room[UIDS_NAME_OCTETS]);

struct uids_line {
	size_t key, key_length; /* in the text */
	size_t uid, uid_length;
};

struct uids {
	struct buffer text;     /* the file */
	struct uids_line *list; /* by key */
	size_t count, room;
	size_t bad; /* lines amid others that fail their check */
	size_t end; /* behind the last sound line */
};

/* Takes any octets; a line that is none is bad. False when memory has run out. `uids_out` takes
 * what the buffer holds. */
bool uids_parse(struct buffer *text, struct uids *uids_out);

/* 0 or a negative errno; a file that is not there has no lines. */
int uids_load(const struct store_root *root, struct uids_owner owner, struct uids *uids_out);
void uids_free(struct uids *uids);

/* Empty when there is none. */
struct bytes uids_find(const struct uids *uids, struct bytes key);

/* Adds a line to `lines`. False when memory has run out. */
bool uids_print(struct buffer *lines, struct bytes key, struct bytes uid);

/* Cuts what a crash has left behind the last sound line. */
int uids_mend(const struct store_root *root, struct uids_owner owner, struct uids *uids);

/* Appends lines and syncs them; the file was mended. *end_out: where they begin, to take them back.
 */
int uids_append(const struct store_root *root, struct uids_owner owner, struct bytes lines,
		uint64_t *end_out);
void uids_take_back(const struct store_root *root, struct uids_owner owner, uint64_t end);

/* Puts lines in the place of the file, durably; no lines: no file. */
int uids_replace(const struct store_root *root, struct uids_owner owner, struct bytes lines);

/* Takes lines out by writing the file anew, durably; not when some of it cannot be read. */
typedef bool uids_choice(void *context, const char *key);
int uids_remove(const struct store_root *root, struct uids_owner owner, uids_choice *removes,
		void *context);

/* Copies octets of it to ROOT/journal/aside.ID.uids.CHECKSUM, durably. */
int uids_aside(const struct store_root *root, struct uids_owner owner, struct bytes octets);

#endif
