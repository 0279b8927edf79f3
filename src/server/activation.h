/*
 * activation: listening sockets that a service manager has bound and hands over (sd_listen_fds(3)):
 * LISTEN_FDS descriptors from 3 on, their names in LISTEN_FDNAMES, for the process LISTEN_PID.
 */
#ifndef SERVER_ACTIVATION_H
#define SERVER_ACTIVATION_H

#include "server/sockets.h"

/* Takes them, and the variables out of the environment. What one is for says its name: "pop3",
 * "pop3s", "lmtp", …; or the config, where it has the same address. ERROR_CONFIG when one is
 * neither, or no listening stream socket. */
enum error_code activation_take(const struct config *config, struct sockets *given_out,
				struct error *error);

#endif
