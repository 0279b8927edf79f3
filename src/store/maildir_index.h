/*
 * maildir_index: the cache of a Maildir: for each message the name of its file, octets, checksum
 * and unique-id, in the order of the messages, in ROOT/index/ID. Deleting it loses nothing.
 *
 * Each entry has its own checksum. The file is replaced by rename or appended to, never cut, so the
 * one that a session has opened is its snapshot of the maildrop; only the mark that a message is to
 * be read anew is written over its entry. It is never synced: whoever opens a maildrop compares
 * every entry with the names that are there, and a hole from a power cut fails its checksum.
 *
 * That there is one says: the names of the Maildir and its folders are on stable storage. It knows
 * its Maildir by inode, so that one of another place of the account is not taken for it.
 *
 * A disk error or a full disk costs the cache, never the session: the entries are then in memory.
 */
#ifndef STORE_MAILDIR_INDEX_H
#define STORE_MAILDIR_INDEX_H

#include "store/maildir_name.h"
#include "store/store.h"

enum maildir_place { MAILDIR_NEW, MAILDIR_CUR };

struct maildir_entry {
	enum maildir_place place;
	uint64_t length;       /* of the file */
	uint64_t octets;       /* RFC 1939 section 11 */
	uint64_t total_octets; /* of this and all before */
	uint32_t checksum;     /* of the file's octets */
	bool damaged;          /* the file is not what its name says, or cannot be read */
	bool doubtful;         /* read it anew at the next opening */
	bool crlf;             /* it has lines that end in CRLF */
	bool brought;          /* the unique-id was brought along, and stands in ROOT/uids */
	char name[MAILDIR_NAME_MAX + 1];
	char uid[UID_MAX + 1];
};

struct maildir_index;

/* Of the Maildir whose folder is `top`. NULL: there is none, or it cannot be used. */
struct maildir_index *maildir_index_open(const struct store_root *root, uint64_t account,
					 struct file *top);
void maildir_index_close(struct maildir_index *index); /* NULL is allowed */
uint32_t maildir_index_count(const struct maildir_index *index);

/* Entries first to first + count - 1, from 1. STORE_OK, AGAIN with no_wait, IO when one fails its
 * check. */
enum store_result maildir_index_read(struct maildir_index *index, uint32_t first, uint32_t count,
				     bool no_wait, struct maildir_entry *entries_out);

/* All entries in their order, until false; `result` is STORE_OK when the end was reached. */
#define MAILDIR_WALK_BLOCK 8
struct maildir_walk {
	struct maildir_index *index; /* NULL is an empty one */
	uint32_t number;             /* of the entry last given */
	enum store_result result;
	struct maildir_entry block[MAILDIR_WALK_BLOCK];
};
void maildir_walk_begin(struct maildir_walk *walk, struct maildir_index *index);
const struct maildir_entry *maildir_walk_next(struct maildir_walk *walk); /* until the next call */

/* Appends one entry (its total_octets is filled in), unless it does not belong behind the last:
 * then the next opening puts it in its place. ID.file is held. False when it could not. */
bool maildir_index_append(struct maildir_index *index, const struct maildir_entry *entry);

/* Marks a message as doubtful. What cannot be written is not: it is a cache. */
void maildir_index_doubt(struct maildir_index *index, uint32_t number);

void maildir_index_remove(const struct store_root *root, uint64_t account);

/* ---- making a new one ---- */

struct maildir_builder {
	struct buffer octets; /* entries as in the file; the header comes when it is written */
	uint32_t count;
	uint64_t total_octets;
	uint64_t salt;
};
void maildir_builder_init(struct maildir_builder *builder);
void maildir_builder_free(struct maildir_builder *builder);
bool maildir_builder_add(struct maildir_builder *builder,
			 const struct maildir_entry *entry); /* false: no memory */

/* Writes it in the old one's stead and opens it; when that fails the index lives in memory. Takes
 * what the builder holds. NULL only when memory has run out. */
struct maildir_index *maildir_builder_finish(struct maildir_builder *builder,
					     const struct store_root *root, uint64_t account,
					     struct file *top);

#endif
