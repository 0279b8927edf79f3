/*
 * sandbox: what a child of the supervisor gives up for good before it reads an octet from outside.
 *
 * The order, in a child with one thread (Landlock and the change of user bind the calling thread
 * and those it starts): sandbox_change_root() where wanted, sandbox_drop_user() when started as
 * root, sandbox_follow_parent(), sandbox_enter_worker() or sandbox_enter_auth(); then the loop and
 * its pool. Descriptors that are open already keep working, whatever they lead to.
 *
 * Inside there is no core dump and nobody of the same user may trace the process; LeakSanitizer
 * needs just that, so sandboxed children of a sanitizer build run with detect_leaks=0 or leave by
 * _exit().
 */
#ifndef SERVER_SANDBOX_H
#define SERVER_SANDBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* Makes this folder the root of all names. Needs root. */
enum error_code sandbox_change_root(int directory, struct error *error);

/* Becomes this user, with this group alone, and makes sure that there is no way back. Never root:
 * uid or gid 0 is ERROR_CONFIG. */
enum error_code sandbox_drop_user(uid_t uid, gid_t gid, struct error *error);

/* From now on the kernel kills this process when `parent` dies. After sandbox_drop_user(), which
 * would undo it. ERROR_UNAVAILABLE when the parent is gone already. */
enum error_code sandbox_follow_parent(pid_t parent, struct error *error);

/* From here on names are opened below these directories only, to read and write files and folders;
 * nothing is executed, no process is started, traced or signalled, no socket is made, bound or
 * connected (accepting on one that was handed down stays), and no user, root or name space is
 * changed: EACCES from Landlock, EPERM from seccomp, ENOSYS for io_uring and clone3 (so that the C
 * library falls back to clone).
 * *landlock_out: false when the kernel has no Landlock, or (before 5.19) one in which no file can
 * be moved to another folder. Then the system calls are refused all the same but files are not, and
 * the caller logs that. Any other failure is ERROR_SYSTEM, and the process must not go on. */
enum error_code sandbox_enter_worker(const int *directories, size_t count, bool *landlock_out,
				     struct error *error);

/* The same for auth, which needs one folder, its database's, and moves nothing out of it. It
 * accepts on the control socket. */
enum error_code sandbox_enter_auth(int directory, bool *landlock_out, struct error *error);

#endif
