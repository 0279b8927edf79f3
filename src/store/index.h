/*
 * index: the cache of a maildrop file: for each record its offset, octets and unique-id, in
 * ROOT/index/ID. Deleting it loses nothing; a wrong one is found out:
 *   - Each entry has its own checksum, salted by the file's header.
 *   - An entry is written only when its message is on stable storage.
 *   - The file is replaced by rename or appended to, never cut: a session goes on reading the one
 * it has opened, and that is its snapshot of the maildrop.
 *   - It is not synced. One written before the machine was last started may have holes, so it is
 *     read whole once, and written anew (index_open says INDEX_OLD); one of this boot is not.
 * Whether it belongs to the file as it is now is for the caller to prove: the record at the last
 * entry's offset has the last entry's unique-id. Because records are only appended, and removals
 * only lower offsets, and no unique-id is used twice, everything before is then unchanged as well.
 *
 * A disk error or a full disk costs the cache, never the session: the entries are then in memory.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "store/store.h"

struct index;

struct index_entry {
	uint64_t offset;       /* of the record */
	uint64_t length;       /* of its content in the file */
	uint64_t octets;       /* RFC 1939 section 11 */
	uint64_t total_octets; /* of this and all before */
	uint32_t checksum;     /* of the content, as on the From line */
	uint16_t line_octets;  /* of the From line */
	uint8_t uid_length;
	bool damaged;
	bool quoted; /* some line of it is quoted */
	char uid[UID_MAX + 1];
};

/* Offset behind the record. */
static inline uint64_t index_entry_end(const struct index_entry *entry)
{
	return entry->offset + entry->line_octets + entry->length + 1;
}

/* For a file that other programs write to: the state of it that the first `count` entries describe,
 * its last message ending at size_octets. */
struct index_source {
	uint64_t device, inode, size_octets, modified_ns, changed_ns;
	uint32_t count;
	bool sure; /* it was not changed within the grain of its clock: equal times mean no change
		    */
};

enum index_state {
	INDEX_CURRENT, /* of this boot */
	INDEX_OLD,     /* of an earlier boot: good only as far as each entry is read */
	INDEX_NONE     /* missing or unreadable; *index_out is NULL */
};

enum index_state index_open(const struct store_root *root, uint64_t account,
			    struct index **index_out);
void index_close(struct index *index); /* NULL is allowed */
uint32_t index_count(const struct index *index);

/* Entries first to first + count - 1, from 1. STORE_OK, AGAIN with no_wait, IO when one fails its
 * check. */
enum store_result index_read(struct index *index, uint32_t first, uint32_t count, bool no_wait,
			     struct index_entry *entries_out);

/* All entries in their order: index_walk(index), then index_next() until it returns false; `result`
 * is STORE_OK when the end was reached, IO when an entry fails its check. */
struct index_walk {
	struct index *index;
	uint32_t number; /* of the entry last given */
	enum store_result result;
	struct index_entry block[16];
};
struct index_walk index_walk(struct index *index); /* NULL is an empty one */
bool index_next(struct index_walk *walk, struct index_entry *entry_out);

/* Appends one entry (its total_octets is filled in); ID.file is held. False when it could not: then
 * no later one may be appended, or one message would be missing from the middle. */
bool index_append(struct index *index, const struct index_entry *entry);

/* What the header says; all zeroes when it was never said, or the index is in memory. */
struct index_source index_source(const struct index *index);
/* Says so, over the old header; ID.file is held. False when it could not, and nothing is said. */
bool index_set_source(struct index *index, const struct index_source *source);
/* Forgets all but the first `count`, in this handle: the next that is appended takes the place. */
void index_cut(struct index *index, uint32_t count);

/* Removes the file. */
void index_remove(const struct store_root *root, uint64_t account);

/* ---- making a new one ---- */

struct index_builder {
	struct buffer octets; /* entries as in the file; the header comes when it is written */
	uint32_t count;
	uint64_t total_octets;
	uint64_t salt;
	struct index_source source; /* zeroes but where somebody sets it */
};
void index_builder_init(struct index_builder *builder);
void index_builder_free(struct index_builder *builder);
bool index_builder_add(struct index_builder *builder, const struct index_entry *entry); /* memory */
/* Forgets all but the first `count`. */
void index_builder_cut(struct index_builder *builder, uint32_t count);
/* Adds all entries of an index; false when one is bad or memory has run out. */
bool index_builder_add_index(struct index_builder *builder, struct index *index);

/* Writes it in the old one's stead and opens it; when that fails the index lives in memory. Takes
 * what the builder holds. NULL only when memory has run out. */
struct index *index_builder_finish(struct index_builder *builder, const struct store_root *root,
				   uint64_t account);

#endif
