/*
 * spool_private: what the files of the spool share (spool.c, spool_file.c, spool_take_in.c,
 * spool_deliver.c, spool_update.c, spool_verify.c). Nobody else includes this.
 */
#ifndef STORE_SPOOL_PRIVATE_H
#define STORE_SPOOL_PRIVATE_H

#include "store/dotlock.h"
#include "store/index.h"
#include "store/spool_scan.h"
#include "store/store.h"
#include "store/uids.h"

/* ---- the file under its locks: spool_file.c ---- */

enum spool_purpose {
	SPOOL_LOOK,   /* locked against other programs only where the file must be read or mended */
	SPOOL_CHANGE, /* locked against them */
	SPOOL_DELIVER, /* the same, and made when there is none */
	SPOOL_EXAMINE  /* locked against them where that is possible; nothing is mended or taken in
			*/
};

/* One spool with ID.file held: what a crash has left is dealt with, the index is right. */
struct spool_file {
	const struct store_root *root;
	uint64_t account;
	struct uids_owner owner; /* of the unique-ids that were brought along */
	struct file *lock;
	struct file *file; /* NULL: there is none */
	struct dotlock dotlock;
	struct index *index; /* NULL only without a file */
	uint64_t size;       /* of the file */
	bool locked;         /* against other programs */
};

/* Results: OK, AGAIN, CHANGED, FULL, IO. */
enum store_result spool_file_open(const struct store_root *root, const struct place *place,
				  enum spool_purpose purpose, struct spool_file *spool_out,
				  struct error *error);
void spool_file_close(struct spool_file *spool); /* gives all locks back */
/* The same with ID.file, which it takes over; NULL when the caller keeps that. */
enum store_result spool_file_open_held(const struct store_root *root, const struct place *place,
				       enum spool_purpose purpose, struct file *lock,
				       struct spool_file *spool_out, struct error *error);

/* What opening a spool's file by its path has answered, in words. */
enum store_result spool_open_failure(struct error *error, int negative_errno);

/* The entry for a message with this unique-id. */
struct index_entry spool_entry(const struct spool_message *message, struct bytes uid);

/* ---- the index: spool_take_in.c ---- */

/* Does the index say that this very file is unchanged? Then it is opened into spool->index. */
bool spool_unchanged(struct spool_file *spool, const struct file_status *status);

/* Makes spool->index right, by reading what is new or, where nothing is proved, everything. 0 or a
 * negative errno. */
int spool_take_in(struct spool_file *spool, const struct place *place);

/* How the file is now, to say it in an index of `count` messages. 0 or a negative errno. */
struct spool_state {
	uint64_t now_ns;
	struct file_status status;
};
int spool_look(const struct spool_file *spool, struct spool_state *state_out);
struct index_source spool_source(const struct spool_state *state, uint32_t count);

/* Is the message of this entry still in its place, octet for octet? -errno, 0, 1. */
int spool_entry_proved(struct file *file, const struct index_entry *entry);

/* ---- one session: spool.c ---- */

struct spool_reading;

struct spool_maildrop {
	struct maildrop base;
	const struct store_root *root;
	struct file *session_lock;     /* NULL: only looking */
	struct file *file;             /* NULL: there was none */
	struct index *index;           /* NULL: there was none */
	struct spool_reading *reading; /* the message being read, or NULL */
	struct place place;
	bool updated;
};

/* ---- the kind's functions in other files ---- */

enum store_result spool_update(struct maildrop *maildrop, const uint8_t *deleted,
			       struct error *error);
enum store_result spool_prepare(const struct store_root *root, const struct place *place,
				const struct delivery_request *requests, size_t count,
				struct delivery **delivery_out, struct error *error);
enum store_result spool_finish(struct delivery *delivery, bool commit, struct error *error);
enum store_result spool_verify(const struct store_root *root, const struct place *place,
			       struct findings *findings_out, struct error *error);
enum store_result spool_repair(const struct store_root *root, const struct place *place,
			       struct findings *findings_out, struct error *error);

#endif
