/*
 * log_relay: the standard error of children, where the log goes to a logger: they may open no
 * socket, so they hand their lines to the supervisor (LOG_FRAMED in base/log.h). What a library or
 * a dying process prints there comes into the log too.
 */
#ifndef SERVER_LOG_RELAY_H
#define SERVER_LOG_RELAY_H

#include "net/loop.h"

/* The end that children get; for the life of the process. -1 with errno. */
int log_relay_open(struct loop *loop);

#endif
