/*
 * store: maildrops, whatever they are kept in.
 *
 * A kind of store is one file that exports one `const struct store`; everybody else goes through
 * the functions below, which find the right one by the place. All of them block (disk, network):
 * the server runs them as jobs, in big pieces, and never on its loop; none of them waits for a lock
 * of another process, they return STORE_AGAIN and the caller's timer tries again.
 *
 * Two locks guard a maildrop, both kernel locks on files in ROOT/run/locks, by account number:
 *   ID.session  the exclusive-access lock of RFC 1939 section 4, held by a struct maildrop from
 *               open to close (not with STORE_PEEK);
 *   ID.file     held inside a call only, while the maildrop is read or changed, and by a
 *               struct delivery from prepare to finish. Its content is the account's generation.
 *
 * Promises, for every kind (docs/design/0003-disk.md says how each is kept on disk):
 *   - delivery_finish(commit) returned STORE_OK: the message is on stable storage, whole.
 *   - at any crash, a message is whole or absent, and only maildrop_update() removes one.
 *   - maildrop_update() returned STORE_OK: the marked messages, and only those, are gone, and that
 *     is on stable storage. On any other result some or none of them may be gone.
 *   - what is read is what was delivered: the length and checksum were right, or the last
 *     maildrop_read() of the message fails.
 *   - octets are those of RFC 1939 section 11 and known without reading mail seen before.
 *   - a unique-id stays with its message and never returns for another content.
 *
 * What must not be known here: protocols, sessions, accounts, sockets.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "store/draft.h"

enum store_result {
	STORE_OK,
	STORE_AGAIN,   /* ID.file is held by another, or with no_wait: the disk would block */
	STORE_LOCKED,  /* ID.session is held: somebody else is logged in */
	STORE_CHANGED, /* another program altered the maildrop under us, or the account has moved on
			  (generation): cut the connection, delete nothing; look the account up anew
			*/
	STORE_FULL,    /* disk full; or over quota: then error->code is QUOTA or TOO_LARGE */
	STORE_EXISTS,  /* a unique-id brought along is there already: the message was delivered
			  before */
	STORE_UNKNOWN, /* a distributed engine did not answer in time: it may or may not have
			  happened; nothing may be deleted because of it */
	STORE_IO       /* the disk failed, or what it gave fails its check */
};

/* Numbers travel in messages. */
enum store_kind { STORE_MEMORY = 1, STORE_MBOX = 2, STORE_MAILDIR = 3, STORE_SPOOL = 4 };

/* Where the maildrops of one instance lie. Shared by all threads of a process; the handles
 * belong to the caller, who keeps them open longer than any maildrop. All NULL but `disk` is fine
 * for a kind that needs no files. */
struct store_root {
	struct disk *disk;
	struct file *mail[MAIL_ROOTS_MAX]; /* by mail root number; NULL where there is none */
	struct file *index;                /* ROOT/index: caches, nothing is lost with them */
	struct file *journal; /* ROOT/journal: redo journals, reserves, what was set aside */
	struct file *uids;  /* ROOT/uids: unique-ids brought along to kinds whose files have none */
	struct file *locks; /* ROOT/run/locks */
	struct store_reserve *reserve; /* see store_make_reserve(); NULL without one */
	const struct store_hold *held; /* see store_hold(); NULL without one */
};

/* Where one maildrop lies: plain data, as the account directory keeps it and as it travels between
 * processes. `path` was made from a checked name when the account was added. */
struct place {
	uint64_t account;    /* number of the account, never used twice */
	uint64_t generation; /* raised when the account's maildrop moves, is converted or removed */
	enum store_kind kind;
	uint32_t mail_root;
	uint32_t messages_max; /* quota, checked by prepare; 0: none */
	uint64_t octets_max;   /* quota, in octets of RFC 1939 section 11; 0: none */
	char path[MAILDROP_PATH_MAX + 1];
};

/* ---- reading and removing: a session ---- */

struct maildrop; /* one open maildrop; used by one thread at a time */

struct maildrop_summary {
	uint32_t messages;
	uint64_t octets; /* of all of them */
};

struct maildrop_entry {
	uint64_t octets;       /* RFC 1939 section 11 */
	bool damaged;          /* its stored octets fail their checksum: cannot be handed out */
	uint8_t uid_length;    /* 1 to UID_MAX */
	char uid[UID_MAX + 1]; /* 0x21 to 0x7E, with a NUL behind for convenience */
};

enum maildrop_open_flags {
	STORE_SESSION = 0,
	STORE_PEEK = 1 << 0 /* look only: takes no session lock, update is refused (assert) */
};

/* Opens a maildrop and fixes which messages it shows: those delivered later are not in it. One that
 * does not exist yet is empty. Results: OK, AGAIN, LOCKED, CHANGED, FULL, UNKNOWN, IO; *out is set
 * with OK only. The summary is complete without a call of maildrop_table(). */
enum store_result maildrop_open(const struct store_root *root, const struct place *place,
				unsigned flags, struct maildrop **maildrop_out,
				struct error *error);

struct maildrop_summary maildrop_summary(const struct maildrop *maildrop); /* cheap: no I/O */

/* Fills entries for messages first to first + count - 1 (first counts from 1; the range must
 * exist). With no_wait it returns AGAIN rather than wait for the disk. Results: OK, AGAIN, CHANGED,
 * IO. */
enum store_result maildrop_table(struct maildrop *maildrop, uint32_t first, uint32_t count,
				 bool no_wait, struct maildrop_entry *entries_out,
				 struct error *error);

/* Reads the next octets of a message in stored form (lines end in LF; quoting undone). offset 0
 * begins the message anew; otherwise it must be where the last read ended. *length_out 0 with OK
 * means: that was all, and it was checked; that call does no I/O, and no buffer outlives it. A
 * message that fits into the first read is checked before that read returns. With no_wait it
 * returns AGAIN rather than wait. `size` is at least 4096. Results: OK, AGAIN, CHANGED, UNKNOWN,
 * IO (error->code ERROR_DATA when the octets fail their check: the message is damaged). */
enum store_result maildrop_read(struct maildrop *maildrop, uint32_t number, uint64_t offset,
				bool no_wait, char *out, size_t size, size_t *length_out,
				struct error *error);

/* What is known of a message beside its octets, as far as the kind keeps it: for the From line of a
 * copy. Nothing of it is a promise. */
struct maildrop_envelope {
	int64_t received_unix_seconds; /* 0: not known */
	char sender[256];              /* "": not known */
};
void maildrop_envelope(struct maildrop *maildrop, uint32_t number,
		       struct maildrop_envelope *envelope_out);

/* Removes the messages whose bit is set: message n is bit (n-1)%8 of octet (n-1)/8. Afterwards the
 * maildrop can only be closed, except after AGAIN, when nothing was begun and the call is repeated.
 * Results: OK, AGAIN, CHANGED, FULL, UNKNOWN, IO. */
enum store_result maildrop_update(struct maildrop *maildrop, const uint8_t *deleted,
				  struct error *error);

/* Keeps a lease alive where the lock is one: called every third of store->lease_ms of a session,
 * and never when that is 0. May run beside another call. OK, CHANGED (the lock is lost), UNKNOWN.
 */
enum store_result maildrop_renew(struct maildrop *maildrop, struct error *error);

/* Gives the lock back. Changes nothing. NULL is allowed. */
void maildrop_close(struct maildrop *maildrop);

/* ---- adding: a delivery ---- */

struct delivery; /* messages on their way into one maildrop, between prepare and finish */

struct delivery_request {
	const struct draft *draft; /* sealed; must outlive the delivery */
	struct bytes headers;      /* trace headers to stand on top, in stored form, or nothing */
	struct bytes sender;       /* envelope sender, for the From line; may be empty */
	struct bytes uid;          /* a unique-id brought along (import), or nothing: one is made */
	int64_t received_unix_seconds;
};

/* Takes ID.file, writes the messages behind the maildrop's end and syncs them together; readers do
 * not see them yet. With OK the caller must finish. To deliver to several maildrops: prepare in
 * ascending order of account numbers; on AGAIN for one, finish all others with commit = false and
 * start anew later. A server passes one request; import and fetch pass many, which costs one sync.
 * Quotas of the place are checked under the lock: with FULL error->code says QUOTA, or TOO_LARGE
 * for messages that an empty maildrop could not take either. Results: OK, AGAIN, CHANGED, FULL,
 * EXISTS, UNKNOWN, IO; on all but OK none of them is there. */
enum store_result delivery_prepare(const struct store_root *root, const struct place *place,
				   const struct delivery_request *requests, size_t count,
				   struct delivery **delivery_out, struct error *error);

/* The unique-id that message `index` (from 0) has, to be logged; valid until finish. */
struct bytes delivery_uid(const struct delivery *delivery, size_t index);

/* Commits (OK means: on stable storage) or takes back. Frees the delivery whatever it returns. When
 * taking back fails the messages may stay: do not start anew. Results: OK, FULL, UNKNOWN, IO. */
enum store_result delivery_finish(struct delivery *delivery, bool commit, struct error *error);

/* ---- looking after ---- */

#define FINDINGS_MAX 1000
struct finding {
	uint64_t offset; /* in the file named */
	char file[64];
	char text[160];
};
struct findings {
	struct finding *list; /* freed with findings_free() */
	size_t count;         /* at most FINDINGS_MAX */
	bool more;            /* there were more */
	uint64_t messages, octets_checked;
};

/* Reads everything and names every inconsistency; mends nothing. Takes ID.file. OK with zero
 * findings means: every message whole, the index right or absent, nothing set aside, no journal.
 * Results: OK, AGAIN, CHANGED, IO. */
enum store_result store_verify(const struct store_root *root, const struct place *place,
			       struct findings *findings_out, struct error *error);
void findings_add(struct findings *findings, const char *file, uint64_t offset, const char *format,
		  ...) __attribute__((format(printf, 4, 5)));
void findings_free(struct findings *findings);

/* Brings a maildrop into an order in which store_verify() finds nothing, without removing a
 * message: what is changed was copied beside it first (ROOT/journal/aside.*), durably. At any crash
 * the maildrop is as before or mended, and calling it again goes on. `findings_out` says what was
 * done. Nobody may be logged in; takes both locks. Results: OK, AGAIN, LOCKED, CHANGED, FULL, IO.
 */
enum store_result store_repair(const struct store_root *root, const struct place *place,
			       struct findings *findings_out, struct error *error);

/* Holds ID.file of an account across several calls (conversion from one kind to another): with
 * root->held set to it, calls through that root find the lock taken by themselves and do not give
 * it back. Results: OK, AGAIN, CHANGED, FULL, IO. */
struct store_hold {
	uint64_t account;
	struct file *lock;
};
enum store_result store_hold(const struct store_root *root, const struct place *place,
			     struct store_hold *hold_out, struct error *error);
void store_unhold(struct store_hold *hold);

enum store_retire_flags {
	STORE_ERASE = 1 << 0, /* the mail goes too, and what was set aside of it */
	STORE_RESUME =
		1 << 1 /* it may be retired already: the caller has just seen that the account
			  is still there, so an earlier attempt did not come to its end */
};

/* The account is about to go: from now on a delivery or session that has this place gets CHANGED.
 * With STORE_ERASE nobody may be logged in. Results: OK, AGAIN, LOCKED, CHANGED (it is retired
 * already), FULL, IO. */
enum store_result store_retire(const struct store_root *root, const struct place *place,
			       unsigned flags, struct error *error);

/* Claims a reserve in ROOT/journal for this process, which lets a user delete on a full disk: any
 * journal/reserve.* that nobody has locked, else a new one. Sets root->reserve. Once, at
 * the start of a process that runs maildrop_update(). Results: OK, FULL, IO; without one only
 * removals on a full disk fail. */
enum store_result store_make_reserve(struct store_root *root, struct error *error);
void store_free_reserve(struct store_root *root); /* leaves the file to others */

/* ---- kinds ---- */

/* Each is the first member of a kind's own handle. */
struct maildrop {
	const struct store *store;
	struct maildrop_summary summary;
};
struct delivery {
	const struct store *store;
	size_t count;
	char (*uids)[UID_MAX + 1]; /* NUL-terminated */
};

struct store {
	const char *name;
	enum store_kind kind;
	uint32_t lease_ms; /* how long a lock holds without renew; 0: as long as the process */
	enum store_result (*open)(const struct store_root *root, const struct place *place,
				  unsigned flags, struct maildrop **maildrop_out,
				  struct error *error);
	enum store_result (*table)(struct maildrop *maildrop, uint32_t first, uint32_t count,
				   bool no_wait, struct maildrop_entry *entries_out,
				   struct error *error);
	enum store_result (*read)(struct maildrop *maildrop, uint32_t number, uint64_t offset,
				  bool no_wait, char *out, size_t size, size_t *length_out,
				  struct error *error);
	void (*envelope)(struct maildrop *maildrop, uint32_t number,
			 struct maildrop_envelope *envelope_out); /* NULL: nothing is known */
	enum store_result (*update)(struct maildrop *maildrop, const uint8_t *deleted,
				    struct error *error);
	enum store_result (*renew)(struct maildrop *maildrop, struct error *error);
	void (*close)(struct maildrop *maildrop);
	enum store_result (*prepare)(const struct store_root *root, const struct place *place,
				     const struct delivery_request *requests, size_t count,
				     struct delivery **delivery_out, struct error *error);
	enum store_result (*finish)(struct delivery *delivery, bool commit, struct error *error);
	enum store_result (*verify)(const struct store_root *root, const struct place *place,
				    struct findings *findings_out, struct error *error);
	enum store_result (*repair)(const struct store_root *root, const struct place *place,
				    struct findings *findings_out,
				    struct error *error); /* ID.session is held, ID.file not */
	enum store_result (*erase)(const struct store_root *root, const struct place *place,
				   struct error *error); /* both locks are held */
};

extern const struct store store_memory; /* tests, and the canned maildrop of bench/ */
extern const struct store store_mbox;
extern const struct store store_spool;
extern const struct store store_maildir;

/* For a kind's prepare: may these messages be added to a maildrop that holds `now`? OK or FULL. */
enum store_result store_quota_check(const struct place *place, struct maildrop_summary now,
				    const struct delivery_request *requests, size_t count,
				    struct error *error);
/* Octets of a request as RFC 1939 section 11 counts them, trace headers included. */
uint64_t delivery_request_octets(const struct delivery_request *request);

const char *store_kind_name(enum store_kind kind); /* NULL for a number that is none */
bool store_kind_parse(struct bytes name, enum store_kind *kind_out);

#endif
