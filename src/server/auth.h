/*
 * auth: the process that alone can open ROOT/accounts. Private to child.c.
 */
#ifndef SERVER_AUTH_H
#define SERVER_AUTH_H

#include "server/message.h"

/* Its life, from its first message, which was read by child.c. An exit code. */
int auth_run(int descriptor, const struct message_configure *configure, const int *descriptors);

#endif
