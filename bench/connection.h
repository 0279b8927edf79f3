/*
 * connection: one non-blocking client connection of the load generator, plain or TLS, watched by
 * epoll. Certificates are not verified: the other end is our own server on loopback.
 */
#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"

struct connection {
	int descriptor; /* -1: not open */
	SSL *ssl;       /* NULL: plain */
	void *owner;
};

struct peer { /* what all connections of a run share */
	struct sockaddr_in address;
	SSL_CTX *tls; /* NULL: plain */
	int epoll;
	unsigned opened; /* rotates the source address, so that ports do not run out */
};

/* "127.0.0.1:1110"; false when it is not one. */
bool peer_parse(const char *text, struct sockaddr_in *address_out);
bool peer_open(struct peer *peer, const char *address, bool tls);

bool connection_open(struct connection *connection, struct peer *peer, void *owner);
void connection_close(struct connection *connection);

/* A count, 0: nothing yet, -1: closed or failed. Call until 0: TLS may hold more. */
ssize_t connection_receive(struct connection *connection, char *out, size_t size);

/* All or false: what a benchmark sends at a time fits a socket's buffer. */
bool connection_send(struct connection *connection, struct bytes octets);

double seconds_now(void);

#endif
