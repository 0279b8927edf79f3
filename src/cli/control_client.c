/*
 * control_client: see control_client.h.
 *
 * Guarantees: a server that does not answer is an error within ANSWER_MS. Must not know what is
 * asked.
 */
#include "cli/control_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/channel.h"

#define ANSWER_MS 10000

int control_connect(const char *root, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int length =
		snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/control.sock", root);
	int descriptor;

	if (length < 0 || (size_t)length >= sizeof(address.sun_path)) {
		error_set(error, ERROR_CONFIG, "the path of the root is too long for a socket");
		return -1;
	}
	descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (descriptor >= 0 &&
	    connect(descriptor, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return descriptor;
	if (errno == EACCES || errno == EPERM)
		error_set(error, ERROR_DENIED, "only the instance's owner and root may ask");
	else
		error_set(error, ERROR_UNAVAILABLE, "no server runs in %.180s (%s)", root,
			  strerror(errno));
	if (descriptor >= 0)
		close(descriptor);
	return -1;
}

enum error_code control_ask(int descriptor, const void *question, struct error *error)
{
	if (!channel_send_blocking(descriptor, question, NULL, 0))
		return error_set(error, ERROR_UNAVAILABLE, "the server does not take the question");
	return ERROR_NONE;
}

enum error_code control_next(int descriptor, union message *message_out, struct error *error)
{
	int descriptors[MESSAGE_DESCRIPTORS_MAX];
	size_t count = 0;

	if (!channel_receive_blocking(descriptor, message_out, descriptors, &count, ANSWER_MS))
		return error_set(error, ERROR_UNAVAILABLE,
				 "the server did not answer to the end (are you its owner?)");
	while (count > 0)
		close(descriptors[--count]);
	return ERROR_NONE;
}
