/*
 * settings: what a reload replaces, as a whole: config, certificate, sockets, mail roots.
 */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include "server/certificate.h"
#include "server/config.h"
#include "server/mail_folders.h"
#include "server/sockets.h"

struct settings {
	struct config config;
	struct certificate certificate;
	struct sockets sockets;
	struct mail_folders mail;
};

/* Reads everything anew that `old` was made from. Sockets for the same addresses are then in both.
 * Where the log goes, and how, stays: auth and the supervisor live on. With an error there is
 * nothing to be freed. */
enum error_code settings_load(const struct settings *old, const struct sockets *given,
			      const struct instance *instance, struct settings *settings_out,
			      struct error *error);

/* Lets go of what is not in `kept`, too. */
void settings_free(struct settings *settings, const struct settings *kept);

#endif
