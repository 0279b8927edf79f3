/*
 * pop3_service: answers the POP3 engine's events from auth and the stores.
 */
#ifndef SERVER_POP3_SERVICE_H
#define SERVER_POP3_SERVICE_H

#include "server/conn.h"

extern const struct conn_service pop3_service;

#endif
