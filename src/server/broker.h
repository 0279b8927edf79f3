/*
 * broker: the files of system users' spools, opened by the supervisor for workers.
 *
 * A spool such as /var/mail/alice belongs to alice, and its folder to root, so that a worker, which
 * is nobody but `postern`, may neither open the one nor make a dotlock in the other. It asks: a
 * fixed struct over a socket of its own (so that a thread may block for the answer) says what to do
 * to which name of which mail root, and the answer brings the open descriptor along.
 *
 * The supervisor does little, and nothing that follows a worker's wish blindly:
 *   - only in mail roots that belong to neither user of the server;
 *   - a name is one component that is the name of a system user, other than root, or such a name
 *     and ".lock"; the file is a regular one with one name, never reached by a symbolic link, and
 *     belongs to that user;
 *   - a file that it makes is given to that user, with the group of the folder, 0660 (a dotlock
 *     0644), before anybody gets its descriptor;
 *   - only a dotlock is removed.
 * So a worker that was taken over can do to system users' mail what it can do to all other mail,
 * and nothing to other files.
 */
#ifndef SERVER_BROKER_H
#define SERVER_BROKER_H

#include <sys/types.h>

#include "base/file.h"
#include "server/message.h"

/* ---- the supervisor's side ---- */

/* Who a name belongs to; false when there is no such user. The system's users, but in tests. */
typedef bool broker_owner_callback(const char *user, uid_t *uid_out);
bool broker_system_owner(const char *user, uid_t *uid_out);

/* Does what a message asks, in the folder it means (a descriptor; -1: there is none). Fills in the
 * answer; *descriptor_out is the caller's to close, or -1. */
void broker_answer(const struct message_borrow *message, int folder,
		   broker_owner_callback *owner_of, struct message_borrowed *answer_out,
		   int *descriptor_out);

/* ---- a worker's side ---- */

struct broker; /* the socket to the supervisor; used by many threads, one question at a time */

/* Takes over the socket. NULL when memory has run out. */
struct broker *broker_new(int socket);
void broker_free(struct broker *broker); /* after the folders below */

/* The mail root as a handle whose names are opened, linked and removed by the broker; everything
 * else goes to `folder`, which it takes over. NULL when memory has run out. */
struct file *broker_folder(struct broker *broker, uint32_t mail_root, struct file *folder);

#endif
