/*
 * mbox_private: what the files of the own mbox share (mbox.c, mbox_file.c, mbox_deliver.c,
 * mbox_update.c, mbox_verify.c). Nobody else includes this.
 */
#ifndef STORE_MBOX_PRIVATE_H
#define STORE_MBOX_PRIVATE_H

#include "store/index.h"
#include "store/store.h"

/* ---- the file under its lock: mbox_file.c ---- */

/* One mbox with ID.file held, taken in: whatever a crash left is dealt with, the index is right. */
struct mbox_file {
	const struct store_root *root;
	uint64_t account;
	struct file *lock;
	struct file *file;   /* NULL: there is none yet */
	struct index *index; /* NULL only without a file */
	uint64_t end;        /* behind the last record */
	uint64_t size; /* of the file. More than `end` when octets that should be set aside could
			* not be, for want of room: nothing may be appended, a removal keeps them */
	bool names_synced; /* the file's name is known to be on stable storage */
};

/* Takes the lock, replays a journal, opens the file, takes in what the index does not know: whole
 * records are added to the index, a torn tail is cut, a tail of full length that fails its check is
 * set aside. Results: OK, AGAIN, CHANGED, FULL, IO. */
enum store_result mbox_file_open(const struct store_root *root, const struct place *place,
				 struct mbox_file *mbox_out, struct error *error);
void mbox_file_close(struct mbox_file *mbox); /* gives the lock back */

/* The name of the file a removal writes before it takes the mbox's place; in the same folder, where
 * no account's maildrop can have it (account_path() never begins a name with a dot). */
void mbox_temporary_name(const struct place *place, char name_out[MAILDROP_PATH_MAX + 64]);

/* Keeps octets that are about to leave the mbox as journal/WORD.ID.CHECKSUM.LENGTH, durably: a name
 * that is the same when a crash makes us do it again. */
int mbox_copy_octets(struct mbox_file *mbox, const char *word, uint64_t from, uint64_t to);

/* Does the record at this entry's offset carry its unique-id, length and checksum? -EAGAIN,
 * another negative errno, 0 for no, 1 for yes. */
int mbox_entry_proved(struct file *file, const struct index_entry *entry);

/* Puts these ranges of a file (ascending) in a new file under the mbox's name, durably. 0 or a
 * negative errno; *renamed_out: the new file has the name. In mbox_update.c. */
struct range;
int mbox_rewrite(const struct store_root *root, const struct place *place, struct file *from,
		 const struct range *keep, size_t keep_count, bool *renamed_out);

/* ---- one session: mbox.c ---- */

struct mbox_reading;

struct mbox_maildrop {
	struct maildrop base;
	const struct store_root *root;
	struct file *session_lock;    /* NULL: only looking */
	struct file *file;            /* NULL: there was none */
	struct index *index;          /* NULL: there was none */
	struct mbox_reading *reading; /* the message being read, or NULL */
	uint64_t account, generation;
	uint32_t mail_root;
	bool updated;
	char path[]; /* as in the place */
};

/* ---- the kind's functions in other files ---- */

enum store_result mbox_update(struct maildrop *maildrop, const uint8_t *deleted,
			      struct error *error);
enum store_result mbox_prepare(const struct store_root *root, const struct place *place,
			       const struct delivery_request *requests, size_t count,
			       struct delivery **delivery_out, struct error *error);
enum store_result mbox_finish(struct delivery *delivery, bool commit, struct error *error);
enum store_result mbox_repair(const struct store_root *root, const struct place *place,
			      struct findings *findings_out, struct error *error);
enum store_result mbox_verify(const struct store_root *root, const struct place *place,
			      struct findings *findings_out, struct error *error);

#endif
