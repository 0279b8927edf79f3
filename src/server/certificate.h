/*
 * certificate: the pair the server shows, as PEM, in the supervisor's memory.
 */
#ifndef SERVER_CERTIFICATE_H
#define SERVER_CERTIFICATE_H

#include "server/config.h"
#include "server/instance.h"

struct certificate {
	struct buffer certificate_pem, key_pem;
};

/* Reads the pair that the config names, or that of ROOT/tls, where a self-signed one is made when
 * there is none; and sees whether TLS can use it. With an error *certificate_out is empty. */
enum error_code certificate_load(const struct config *config, const struct instance *instance,
				 const char *host, struct certificate *certificate_out,
				 struct error *error);
void certificate_free(struct certificate *certificate);

#endif
