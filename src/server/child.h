/*
 * child: what auth and workers have in common when they begin. Private to them.
 */
#ifndef SERVER_CHILD_H
#define SERVER_CHILD_H

#include "base/error.h"

/* From now on the process dies with the one that made the channel whose end `descriptor` is. */
enum error_code child_follow_supervisor(int descriptor, struct error *error);

#endif
