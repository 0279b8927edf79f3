/*
 * server: the daemon, as the command line sees it.
 *
 * server_run() is `postern serve`: it becomes the supervisor, prints one line per listener and
 * `ready` on standard output, and returns when the server has been drained (SIGTERM, SIGINT) or
 * could not be started.
 *
 * server_child() is what the supervisor starts: the same program with the two words
 * `--child FD`, which belong to no user. FD is one end of a channel (server/channel.h), over which
 * the child is told what it is.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "server/config.h"

/* An exit code of sysexits.h; what went wrong stands on standard error. `version` is for status. */
int server_run(const struct config *config, const char *version);

int server_child(int descriptor);

#endif
