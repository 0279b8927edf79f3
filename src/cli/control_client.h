/*
 * control_client: a command's end of the running server's control socket (server/control.h).
 */
#ifndef CLI_CONTROL_CLIENT_H
#define CLI_CONTROL_CLIENT_H

#include "server/message.h"

/* Connects to ROOT/run/control.sock; a descriptor, or -1. */
int control_connect(const char *root, struct error *error);

/* Asks, or takes the next message of the answer; it has no descriptors. */
enum error_code control_ask(int descriptor, const void *question, struct error *error);
enum error_code control_next(int descriptor, union message *message_out, struct error *error);

#endif
