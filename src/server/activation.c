/*
 * activation: see activation.h.
 *
 * Guarantees: a socket handed over is used for what it was meant or the start fails; none is left
 * open for a child. Must not know who accepts.
 */
#include "server/activation.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"

#define FIRST 3 /* behind standard error: SD_LISTEN_FDS_START */

static uint64_t number_in(const char *name)
{
	const char *text = getenv(name);
	uint64_t number;

	return text && number_parse(bytes_of(text), INT32_MAX, &number) ? number : 0;
}

static struct bytes next_name(struct bytes *names)
{
	const char *colon = memchr(names->data, ':', names->length);
	struct bytes name =
		bytes_first(*names, colon ? (size_t)(colon - names->data) : names->length);

	*names = bytes_skip(*names, name.length + (colon ? 1 : 0));
	return name;
}

static bool is_listening_stream(int descriptor)
{
	int type = 0, listens = 0;
	socklen_t length = sizeof(type);

	return getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
	       type == SOCK_STREAM &&
	       getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens;
}

static bool kind_by_address(const struct config *config, const struct address *address,
			    enum listener_kind *kind_out)
{
	for (uint32_t i = 0; i < config->listener_count; i++) {
		if (!sockets_same_address(&config->listeners[i].address, address))
			continue;
		*kind_out = config->listeners[i].kind;
		return true;
	}
	return false;
}

static enum error_code take(const struct config *config, int descriptor, struct bytes name,
			    struct listening *listening, struct error *error)
{
	char shown[64], where[ADDRESS_OCTETS];
	int flags = fcntl(descriptor, F_GETFL);

	error_escape(name, shown, sizeof(shown));
	if (!is_listening_stream(descriptor) ||
	    !address_of_socket(descriptor, &listening->wanted.address) ||
	    fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0 ||
	    fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0)
		return error_set(error, ERROR_CONFIG,
				 "descriptor %d (%s) was handed over, but is no listening socket",
				 descriptor, shown);
	listening->descriptor = descriptor;
	if (config_listener_kind(name, &listening->wanted.kind) ||
	    kind_by_address(config, &listening->wanted.address, &listening->wanted.kind))
		return config_check_listener(&listening->wanted, error);
	return error_set(error, ERROR_CONFIG,
			 "the socket %s of the service manager is named %s: what is it for? "
			 "FileDescriptorName= must be pop3, pop3s, lmtp, smtp or socketmap",
			 address_print(&listening->wanted.address, where), shown);
}

enum error_code activation_take(const struct config *config, struct sockets *given_out,
				struct error *error)
{
	const char *names = getenv("LISTEN_FDNAMES");
	struct bytes rest = names ? bytes_of(names) : BYTES("");
	uint64_t count =
		number_in("LISTEN_PID") == (uint64_t)getpid() ? number_in("LISTEN_FDS") : 0;
	enum error_code code = ERROR_NONE;

	given_out->count = 0;
	if (count > LISTENERS_MAX)
		return error_set(error, ERROR_CONFIG, "more than %d sockets were handed over",
				 LISTENERS_MAX);
	for (uint32_t i = 0; i < count && code == ERROR_NONE; i++) {
		struct bytes name = next_name(&rest);

		code = take(config, FIRST + (int)i, name, &given_out->list[i], error);
		given_out->count = i + 1;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return code;
}
