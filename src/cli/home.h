/*
 * home: an instance as a command opens it, and who the command becomes to do so.
 *
 * The two halves of an instance belong to two users, and a process gives its privileges away once
 * and for good. So a command started as root that needs both halves does the smaller part of its
 * work in a child process (home_in) and only its main part itself (home_become): no process ever
 * holds both, and none goes on as root. (Switching the effective uid to and fro would keep the way
 * back to root open to whatever a message or a database row might break.) Where ROOT belongs to
 * somebody else than root, root becomes that owner for all of it. Not started as root, all of this
 * does nothing.
 */
#ifndef CLI_HOME_H
#define CLI_HOME_H

#include <limits.h>

#include "accounts/directory.h"
#include "cli/command.h"
#include "server/instance.h"
#include "server/mail_roots.h"
#include "store/store.h"

/* HOME_CALLER, who typed the command, is for attendants only. */
enum home_side { HOME_ACCOUNTS, HOME_MAIL, HOME_CALLER };

struct home {
	char path[PATH_MAX]; /* ROOT, absolute */
	struct instance instance;
	bool privileged;                  /* still root */
	bool in_accounts;                 /* the working directory is accounts/ */
	struct mail_roots *roots;         /* as postern.conf names them now */
	struct error misconfigured;       /* the first thing that is wrong there, if any */
	int root_folders[MAIL_ROOTS_MAX]; /* descriptors; -1: none */
	uint32_t lent;                    /* bits by number: system users' (server/broker.h) */
	struct broker *broker;            /* who opens their files, once we are not root */
};

/* Opens ROOT; with `create` makes it. Without, a missing one is ERROR_CONFIG. */
enum error_code home_open(const struct context *context, bool create, struct home *home_out,
			  struct error *error);
void home_close(struct home *home);

/* Becomes the owner of this side for the rest of the process. */
enum error_code home_become(struct home *home, enum home_side side, struct error *error);

/* Does a piece of work as the owner of this side; in a child process if that is another user than
 * now. What `work` writes to data[size] comes back; nothing else does. */
typedef enum error_code home_work(struct home *home, void *data, struct error *error);
enum error_code home_in(struct home *home, enum home_side side, home_work *work, void *data,
			size_t size, struct error *error);

/* Work for the owner of a side that is to be done later, while this process is about something
 * else, and perhaps somebody else: begun before privileges are given away. A copy of `data`
 * is shared with the attendant and may be changed between the calls. ERROR_INTERNAL from run means
 * that the attendant is gone, and that nobody knows what it has done. */
struct home_attendant;
enum error_code home_attend(struct home *home, enum home_side side, home_work *work,
			    const void *data, size_t size, struct home_attendant **attendant_out,
			    struct error *error);
void *home_attendant_data(struct home_attendant *attendant);
enum error_code home_attendant_run(struct home_attendant *attendant, struct error *error);
void home_attend_end(struct home_attendant *attendant); /* NULL is allowed */

/* The account database; only as owner of HOME_ACCOUNTS. */
enum error_code home_directory(const struct home *home, bool create,
			       struct directory **directory_out, struct error *error);

/* The account that a name or an alias means, and where its maildrop lies; as any user. */
struct home_account {
	char wanted[ACCOUNT_NAME_MAX + 2]; /* what was asked for */
	struct account account;
	struct place place;
};
enum error_code home_find(struct home *home, const char *name, struct home_account *found_out,
			  struct error *error);

/* Its absolute path, for people. */
#define HOME_MAILDROP_PATH_OCTETS (PATH_MAX + MAILDROP_PATH_MAX + 64)
void home_maildrop_path(const struct home *home, const struct account *account,
			char path_out[HOME_MAILDROP_PATH_OCTETS]);

/* ERROR_CONFIG when postern.conf does not name this mail root. */
enum error_code home_check_root(const struct home *home, uint32_t mail_root, struct error *error);

/* home_lend.c: a process that stays root and opens system users' spools for us, as the supervisor
 * does for workers; it ends with this one. Nothing to do where none is lent. */
enum error_code home_lend(struct home *home, struct error *error);

/* The folders of mail; only as owner of HOME_MAIL. */
enum error_code home_store(const struct home *home, struct store_root *root_out,
			   struct error *error);
void home_store_close(struct store_root *root);

/* Call again after STORE_AGAIN as long as this is true: it waits a moment, at most DELIVERY_WAIT_MS
 * in all. Begins with zeroes. */
struct home_patience {
	uint64_t since_ms;
};
bool home_wait(struct home_patience *patience);

/* What a store's result is as an error; text and code that the store has set stay. */
enum error_code home_store_failed(enum store_result result, struct error *error);

#endif
