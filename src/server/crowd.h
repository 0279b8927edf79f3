/*
 * crowd: who has to go when a worker is full and somebody else comes.
 *
 * Connections that have given nothing yet that could be lost (no login, no recipient accepted) are
 * guests. Whoever opens thousands of them and says nothing would shut everybody else out until
 * their time is up; so the newcomer gets the place of a guest, an old one among some that chance
 * has picked. A client that means it has logged in long before its turn comes.
 */
#ifndef SERVER_CROWD_H
#define SERVER_CROWD_H

#include "server/conn.h"

/* The guest that is to make room for a connection of this service; NULL when there is none. */
struct conn *crowd_choose(const struct worker *worker, const struct conn_service *newcomer);

#endif
