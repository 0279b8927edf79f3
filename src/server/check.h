/*
 * check: `postern serve --check`: would a server start here, and serve? Looks at everything a start
 * looks at, changes nothing, and goes on behind each problem.
 */
#ifndef SERVER_CHECK_H
#define SERVER_CHECK_H

#include "server/config.h"

/* Adds what is wrong to the problems, and prints notes to `notes` on what could not be looked at.
 */
void check_all(const struct config *config, struct problems *problems, FILE *notes);

#endif
