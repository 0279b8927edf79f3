/*
 * sockets: the listening sockets of a server, bound once by the supervisor and shared by all
 * workers.
 */
#ifndef SERVER_SOCKETS_H
#define SERVER_SOCKETS_H

#include "server/config.h"
#include "server/instance.h"

struct listening {
	struct config_listener wanted;
	int descriptor;
};

struct sockets {
	struct listening list[LISTENERS_MAX];
	uint32_t count;
};

/* What is `given` (server/activation.h), and binds what the config wants besides; its default
 * addresses of POP3 only where none of POP3 is given. A socket of `old` for the same address is
 * taken over instead, and is then in both; *sockets_out is empty with an error. */
enum error_code sockets_open(const struct config *config, const struct sockets *given,
			     const struct sockets *old, struct sockets *sockets_out,
			     struct error *error);

/* Whether a unix socket could be made there, without making it. */
bool sockets_can_bind(const struct config_listener *listener, struct error *error);

bool sockets_same_address(const struct address *a, const struct address *b);

/* Fills in the listeners. */
void sockets_describe(const struct sockets *sockets, struct message_about *about);

/* Closes those that are not in `kept` (NULL: all). */
void sockets_close(struct sockets *sockets, const struct sockets *kept);

/* "listening pop3 127.0.0.1:1110" for each, with the real port, on standard output. */
void sockets_print(const struct sockets *sockets);

/* ROOT/run/control.sock, 0600, for whole messages. A descriptor or -1. */
int sockets_open_control(const char *root, const struct instance *instance, struct error *error);

#endif
