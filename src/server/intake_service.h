/*
 * intake_service: takes mail in: answers the events of the SMTP and LMTP engine from auth and the
 * stores.
 */
#ifndef SERVER_INTAKE_SERVICE_H
#define SERVER_INTAKE_SERVICE_H

#include "server/conn.h"

extern const struct conn_service lmtp_service, smtp_service;

#endif
