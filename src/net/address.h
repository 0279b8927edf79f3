/*
 * address: IP:PORT, [IP6]:PORT, :PORT (all addresses, of both families) and unix:PATH, to listen on
 * or connect to. Numeric only: no name is ever looked up by the server. Port 0 lets the kernel
 * choose: address_of_socket() tells which.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <sys/socket.h>
#include <sys/un.h>

#include "base/bytes.h"
#include "base/error.h"

struct address {
	struct sockaddr_storage storage;
	socklen_t length;
};

enum error_code address_parse(struct bytes text, struct address *address_out, struct error *error);

#define ADDRESS_OCTETS 128
const char *address_print(const struct address *address, char room[ADDRESS_OCTETS]);

bool address_is_loopback(const struct address *address); /* unix sockets too */

/* Where a socket is bound; false when it is none. */
bool address_of_socket(int descriptor, struct address *address_out);

/* A listening, non-blocking, close-on-exec socket; for a unix socket an old one is removed first
 * (only if nobody answers on it) and mode is set. A descriptor or -1. */
int address_listen(const struct address *address, unsigned mode, struct error *error);

/* A connected, blocking, close-on-exec socket with time-outs for each send and receive. */
int address_connect(const struct address *address, unsigned timeout_ms, struct error *error);

#endif
