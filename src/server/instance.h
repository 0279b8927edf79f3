/*
 * instance: the folders of ROOT, who owns them, and the users a server started as root becomes.
 *
 * Started as root, ROOT and run/ belong to root (0711), accounts/ to postern-auth (0700), and all
 * folders of mail and locks to postern (0700); a missing user is an error. Otherwise everything
 * belongs to the one who starts it. Folders that are there keep their content; their owner and mode
 * are put right.
 */
#ifndef SERVER_INSTANCE_H
#define SERVER_INSTANCE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"

#define INSTANCE_MAIL_USER "postern"
#define INSTANCE_AUTH_USER "postern-auth"

struct instance_user {
	uid_t uid;
	gid_t gid;
};

struct instance {
	int root; /* descriptors of the folders, close-on-exec */
	int accounts, mail, index, uids, journal, tls, fetch, run, locks;
	bool as_root; /* privileges are to be dropped to these users */
	struct instance_user mail_user, auth_user;
};

/* Makes what is missing of ROOT's folders (ROOT's parents too) and opens them. */
enum error_code instance_open(const char *root, struct instance *instance_out, struct error *error);
void instance_close(struct instance *instance);

/* Opens what there is of them and changes nothing. What would keep a start from being done is added
 * to the problems. ERROR_NO_INPUT when there is no ROOT. */
struct problems;
enum error_code instance_look(const char *root, struct instance *instance_out,
			      struct problems *problems);

/* Whether a server has this instance now; *error says which. */
bool instance_is_running(const struct instance *instance, struct error *error);

/* Takes the pid file's lock, which only one server of an instance can have, and writes our pid. A
 * descriptor to keep, or -1 with ERROR_IN_USE naming the other's pid; with ERROR_UNAVAILABLE when
 * the other is about to end (instance_lock_draining). With `wait` that end is waited for. */
int instance_lock(const struct instance *instance, bool wait, struct error *error);

/* Says in the pid file that its server takes no more work and will be gone soon. */
void instance_lock_draining(int lock);

/* Becomes the user for good: groups, gid, uid, no way back. For one who is root only. */
enum error_code instance_become(struct instance_user user, struct error *error);

/* The whole of a file that the operator named (symbolic links followed), at most `max` octets:
 * NO_INPUT when there is none. `directory` is a descriptor or AT_FDCWD. */
enum error_code instance_read(int directory, const char *name, size_t max, struct buffer *text_out,
			      struct error *error);

/* Makes or replaces a small file of ours in one step. */
enum error_code instance_write(int directory, const char *name, struct bytes text, mode_t mode,
			       struct error *error);

/* Removes a file of ours, if it is there. */
void instance_remove(int directory, const char *name);

#endif
