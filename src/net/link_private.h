/*
 * A link from the inside, for net/link.c (octets) and net/link_peer.c (the other end).
 */
#ifndef NET_LINK_PRIVATE_H
#define NET_LINK_PRIVATE_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "net/link.h"

struct link {
	SSL *ssl;
	const char *problem; /* never freed */
	int descriptor;
	bool blocking;
	bool is_broken;
	sa_family_t family; /* AF_UNSPEC: the peer was gone before it was asked for */
	union {
		struct sockaddr_in ip4;
		struct sockaddr_in6 ip6;
		uid_t uid;
	} peer;
	uint64_t probe_ack_ms; /* when the last acknowledgement before the probe had come */
};

/* Keeps the peer's name: a socket that was reset has none any more. */
void link_peer_remember(struct link *link);

#endif
