/*
 * Fuzzes message_check(): whatever it accepts is read field by field to the end of what its lengths
 * and strings promise; AddressSanitizer sees a read outside, because the packet ends where its
 * memory ends.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/message.h"

static volatile unsigned seen;

static void read_octets(const void *data, size_t length)
{
	const unsigned char *octets = data;
	for (size_t i = 0; i < length; i++)
		seen += octets[i];
}

static void read_string(const char *text)
{
	seen += (unsigned)strlen(text);
}

static void read_place(const struct place *place, uint32_t outcome)
{
	read_string(place->path);
	if (outcome != ERROR_NONE)
		return;
	read_string(store_kind_name(place->kind));
	static const char roots[MAIL_ROOTS_MAX];
	read_octets(&roots[place->mail_root], 1);
}

static void read_configure(const struct message_configure *it)
{
	static const char roots[MAIL_ROOTS_MAX];
	read_octets(roots, it->mail_roots);
	read_string(it->host);
}

static void read_login(const struct message_login *it)
{
	read_string(it->peer);
	read_string(mechanism_name(it->mechanism));
	read_octets(it->name.octets, it->name.length);
	read_octets(it->authorize.octets, it->authorize.length);
	read_octets(it->challenge.octets, it->challenge.length);
	read_octets(it->password, it->password_length);
}

static void read_fields(const union message *message)
{
	switch (message->header.type) {
	case MESSAGE_CONFIGURE:
		read_configure(&message->configure);
		break;
	case MESSAGE_TLS:
		read_octets(message->tls.octets, message->tls.length);
		break;
	case MESSAGE_LOGIN:
		read_login(&message->login);
		break;
	case MESSAGE_LOGGED_IN:
		read_place(&message->logged_in.place, message->logged_in.outcome);
		read_string(message->logged_in.account);
		break;
	case MESSAGE_RESOLVE:
		read_octets(message->resolve.address.octets, message->resolve.address.length);
		break;
	case MESSAGE_RESOLVED:
		read_place(&message->resolved.place, message->resolved.outcome);
		read_string(message->resolved.account);
		break;
	case MESSAGE_SESSION:
		read_string(message->session.peer);
		read_string(message->session.name);
		break;
	case MESSAGE_BORROW:
		read_string(message->borrow.name);
		break;
	case MESSAGE_ABOUT:
		read_string(message->about.version);
		for (uint32_t i = 0; i < message->about.listener_count; i++)
			read_string(message->about.listeners[i].address);
		break;
	case MESSAGE_KICK:
		read_octets(message->kick.target.octets, message->kick.target.length);
		break;
	case MESSAGE_STATUS_SESSION:
		read_string(message->status_session.peer);
		read_string(message->status_session.name);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first octet of the input chooses a type and the packet gets its size, because a size is not
 * found by chance; 0 leaves type and size to the fuzzer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	enum message_type type = data[0] % MESSAGE_TYPES;
	size_t packet_octets = type ? message_size(type) : size - 1;
	union message *packet = calloc(1, packet_octets ? packet_octets : 1);
	if (!packet)
		return 0;
	memcpy(packet, data + 1, packet_octets < size - 1 ? packet_octets : size - 1);
	if (type) {
		packet->header.type = type;
		packet->header.size = (uint32_t)packet_octets;
	}
	if (message_check(packet, packet_octets)) {
		if (packet_octets != message_size(packet->header.type) ||
		    message_descriptors(packet) > MESSAGE_DESCRIPTORS_MAX)
			abort();
		read_octets(packet, packet_octets);
		read_fields(packet);
	}
	free(packet);
	return 0;
}
