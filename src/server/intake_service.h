/*
 * intake_service: takes mail in: answers the LMTP engine's events from auth and the stores.
 */
#ifndef SERVER_INTAKE_SERVICE_H
#define SERVER_INTAKE_SERVICE_H

#include "server/conn.h"

extern const struct conn_service intake_service;

#endif
