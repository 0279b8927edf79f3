/*
 * socketmap_service: tells an MTA beside us which recipients and domains there are, so that it
 * refuses the others itself and nothing has to be bounced.
 *
 *     recipients ADDRESS   OK and the account's name, where mail for the address is taken
 *     domains DOMAIN       OK and the domain, where it is one of ours
 */
#ifndef SERVER_SOCKETMAP_SERVICE_H
#define SERVER_SOCKETMAP_SERVICE_H

#include "server/conn.h"

extern const struct conn_service socketmap_service;

#endif
