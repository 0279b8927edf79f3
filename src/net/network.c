/*
 * network: numeric ranges, see network.h. Must not know what they are for.
 */
#include "net/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/number.h"

#define IP4_BITS 32

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* The address before the slash, and how many bits its family has. */
static bool parse_address(struct bytes text, uint8_t octets[16], uint32_t *family_bits_out)
{
	char room[INET6_ADDRSTRLEN];

	if (!bytes_to_string(text, room, sizeof(room)))
		return false;
	memcpy(octets, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, room, octets + sizeof(mapped)) == 1) {
		*family_bits_out = IP4_BITS;
		return true;
	}
	*family_bits_out = NETWORK_BITS_MAX;
	return inet_pton(AF_INET6, room, octets) == 1;
}

static bool is_zero_behind(const uint8_t octets[16], uint32_t bits)
{
	for (uint32_t bit = bits; bit < NETWORK_BITS_MAX; bit++)
		if ((octets[bit / 8] & 0x80U >> bit % 8) != 0)
			return false;
	return true;
}

static bool parse(struct bytes text, struct network *network)
{
	size_t slash = 0;
	uint32_t family_bits;
	uint64_t bits;

	while (slash < text.length && text.data[slash] != '/')
		slash++;
	if (!parse_address(bytes_first(text, slash), network->octets, &family_bits))
		return false;
	bits = family_bits;
	if (slash < text.length && !number_parse(bytes_skip(text, slash + 1), family_bits, &bits))
		return false;
	network->bits = (uint32_t)bits + NETWORK_BITS_MAX - family_bits;
	return is_zero_behind(network->octets, network->bits);
}

enum error_code network_parse(struct bytes text, struct network *network_out, struct error *error)
{
	char room[ADDRESS_OCTETS];

	memset(network_out, 0, sizeof(*network_out));
	if (parse(text, network_out))
		return ERROR_NONE;
	return error_set(
		error, ERROR_CONFIG,
		"\"%s\" is no network: expected IP, IP/BITS, IP6 or IP6/BITS, without bits "
		"set behind those that count",
		error_escape(text, room, sizeof(room)));
}

bool network_octets(const struct address *address, uint8_t octets_out[16])
{
	const struct sockaddr_in *ip4 = (const struct sockaddr_in *)&address->storage;
	const struct sockaddr_in6 *ip6 = (const struct sockaddr_in6 *)&address->storage;

	switch (address->storage.ss_family) {
	case AF_INET:
		memcpy(octets_out, mapped, sizeof(mapped));
		memcpy(octets_out + sizeof(mapped), &ip4->sin_addr, sizeof(ip4->sin_addr));
		return true;
	case AF_INET6:
		memcpy(octets_out, &ip6->sin6_addr, sizeof(ip6->sin6_addr));
		return true;
	default:
		return false;
	}
}

bool network_has(const struct network *network, const struct address *address)
{
	uint8_t octets[16];

	if (!network_octets(address, octets))
		return false;
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] ^= network->octets[i];
	for (uint32_t bit = 0; bit < network->bits; bit++)
		if ((octets[bit / 8] & 0x80U >> bit % 8) != 0)
			return false;
	return true;
}
