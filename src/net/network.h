/*
 * network: a range of addresses as an operator writes it ("192.0.2.0/24", "2001:db8::/32",
 * "127.0.0.1"), and whether an address lies in it. IPv4 is kept as IPv6 has it mapped (RFC 4291
 * section 2.5.5.2), because a socket of both families shows its peers so.
 */
#ifndef NET_NETWORK_H
#define NET_NETWORK_H

#include <stdint.h>

#include "net/address.h"

#define NETWORK_BITS_MAX 128

struct network {
	uint8_t octets[16];
	uint32_t bits; /* that count, from the first */
};

/* ERROR_CONFIG when it is none, or has bits set behind those that count: a mistyped one. */
enum error_code network_parse(struct bytes text, struct network *network_out, struct error *error);

/* The address in the form of struct network; false for a unix socket's. */
bool network_octets(const struct address *address, uint8_t octets_out[16]);

/* Never true for a unix socket. */
bool network_has(const struct network *network, const struct address *address);

#endif
