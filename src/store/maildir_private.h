/*
 * maildir_private: what the files of the Maildir store share (maildir*.c). Nobody else includes
 * this.
 */
#ifndef STORE_MAILDIR_PRIVATE_H
#define STORE_MAILDIR_PRIVATE_H

#include "store/maildir_index.h"
#include "store/maildir_list.h"
#include "store/store.h"
#include "store/uids.h"

/* ---- one file: maildir_content.c ---- */

/* Reads a file from end to end; length, octets, checksum and crlf of the entry are filled in. In a
 * `foreign` file CRLF is one line end; in one of ours a CR is data. 0 or a negative errno. */
int maildir_measure(struct file *file, bool foreign, struct maildir_entry *entry_out);

/* Is that a message that cannot be read (as opposed to: reading does not work just now)? */
bool maildir_unreadable(int result);

/* ---- the Maildir under ID.file: maildir_folder.c, maildir_take_in.c ---- */

struct maildir_folder {
	const struct store_root *root;
	uint64_t account;
	struct uids_owner owner; /* of the unique-ids that were brought along */
	struct file *lock;
	struct file *top;               /* NULL: there is no Maildir yet */
	struct file *tmp, *fresh, *cur; /* tmp/, new/, cur/; NULL where missing */
	struct maildir_index *index;    /* NULL until it is opened or taken in */
};

/* Takes the lock and opens what there is. Results: OK, AGAIN, CHANGED, FULL, IO. */
enum store_result maildir_folder_open(const struct store_root *root, const struct place *place,
				      struct maildir_folder *folder_out, struct error *error);
/* The same without the lock, for whoever has it. 0 or a negative errno; to be closed in any case.
 */
int maildir_folder_reach(struct maildir_folder *folder_out, const struct store_root *root,
			 const struct place *place);
void maildir_folder_close(struct maildir_folder *folder); /* gives the lock back */

/* Makes what is missing. */
int maildir_folder_make(struct maildir_folder *folder, const struct place *place);

/* The names of the Maildir and its folders, up to the mail root. */
int maildir_sync_names(const struct maildir_folder *folder, const struct place *place);
/* The names of the messages. */
int maildir_sync_messages(const struct maildir_folder *folder);

/* Compares the index with what is there and makes a new one if need be: folder->index is right
 * afterwards. What the names do not say is read. */
int maildir_take_in(struct maildir_folder *folder, const struct place *place);

/* What is left in tmp/ of deliveries that died: ours, because ID.file is held, and any that nobody
 * has touched for 36 hours. With `remove` it goes, else it is named. */
int maildir_clear_leftovers(struct maildir_folder *folder, bool remove, struct findings *findings);

struct file *maildir_place_folder(const struct maildir_folder *folder, enum maildir_place place);

/* ---- one session: maildir.c ---- */

struct maildir_reading;

struct maildir_session {
	struct maildrop base;
	const struct store_root *root;
	struct file *session_lock;       /* NULL: only looking */
	struct file *fresh, *cur;        /* new/, cur/; NULL where missing */
	struct maildir_index *index;     /* NULL: there was no Maildir */
	struct maildir_reading *reading; /* the message being read, or NULL */
	bool updated;
	struct place place;
};

/* ---- the kind's functions in other files ---- */

enum store_result maildir_read(struct maildrop *maildrop, uint32_t number, uint64_t offset,
			       bool no_wait, char *out, size_t size, size_t *length_out,
			       struct error *error);
void maildir_reading_end(struct maildir_session *session);
enum store_result maildir_bad_index(struct maildir_session *session, struct error *error);
enum store_result maildir_update(struct maildrop *maildrop, const uint8_t *deleted,
				 struct error *error);
enum store_result maildir_prepare(const struct store_root *root, const struct place *place,
				  const struct delivery_request *requests, size_t count,
				  struct delivery **delivery_out, struct error *error);
enum store_result maildir_finish(struct delivery *delivery, bool commit, struct error *error);
enum store_result maildir_verify(const struct store_root *root, const struct place *place,
				 struct findings *findings_out, struct error *error);
enum store_result maildir_repair(const struct store_root *root, const struct place *place,
				 struct findings *findings_out, struct error *error);
enum store_result maildir_erase(const struct store_root *root, const struct place *place,
				struct error *error);

#endif
