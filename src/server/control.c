/*
 * control: a few clients, each with one question at a time.
 *
 * Guarantees: a client of another user, or one that speaks otherwise, is closed without an answer;
 * a client that does not read holds up nobody.
 * Must not know: what is in the answer.
 */
#include "server/control.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

struct client {
	struct control *control;
	struct loop_watch *watch;
	int descriptor; /* -1: unused */
	bool asked, answering;
	bool has_message; /* one that the socket has not taken yet */
	size_t cursor;
	union message message;
};

struct control {
	struct loop *loop;
	struct loop_watch *watch;
	int listening;
	uid_t owner_uid;
	const struct control_callbacks *callbacks;
	void *context;
	struct client clients[CONTROL_CLIENTS_MAX];
};

static void close_client(struct client *client)
{
	loop_unwatch(&client->watch);
	close(client->descriptor);
	client->descriptor = -1;
}

static void on_client(void *context, bool readable, bool writable);

static void watch_client(struct client *client, bool readable, bool writable)
{
	if (!loop_watch(client->control->loop, &client->watch, client->descriptor, readable,
			writable, on_client, client))
		close_client(client);
}

static void answer(struct client *client)
{
	struct control *control = client->control;

	while (client->has_message ||
	       control->callbacks->next(control->context, &client->cursor, &client->message)) {
		client->has_message = true;
		if (send(client->descriptor, &client->message, client->message.header.size,
			 MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno == EAGAIN || errno == EINTR)
				watch_client(client, false, true);
			else
				close_client(client);
			return;
		}
		client->has_message = false;
	}
	client->answering = false;
	watch_client(client, true, false);
}

/* The socket has room for the one answer, or the client does not read. */
static void kick(struct client *client)
{
	struct message_kicked kicked;

	client->control->callbacks->on_kick(client->control->context, &client->message.kick,
					    &kicked);
	if (send(client->descriptor, &kicked, sizeof(kicked), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		close_client(client);
}

static void hear(struct client *client)
{
	ssize_t length = recv(client->descriptor, &client->message, sizeof(client->message),
			      MSG_DONTWAIT | MSG_TRUNC);

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length <= 0 || (size_t)length > sizeof(client->message) ||
	    !message_check(&client->message, (size_t)length) || client->asked) {
		close_client(client);
	} else if (client->message.header.type == MESSAGE_STATUS) {
		client->asked = true;
		client->control->callbacks->on_asked(client->control->context);
	} else if (client->message.header.type == MESSAGE_KICK) {
		kick(client);
	} else {
		close_client(client);
	}
}

static void on_client(void *context, bool readable, bool writable)
{
	struct client *client = context;

	(void)readable;
	(void)writable;
	if (client->answering)
		answer(client);
	else
		hear(client);
}

void control_ready(struct control *control)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct client *client = &control->clients[i];

		if (client->descriptor < 0 || !client->asked)
			continue;
		client->asked = false;
		client->answering = true;
		client->cursor = 0;
		answer(client);
	}
}

static bool is_welcome(const struct control *control, int descriptor)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
		return false;
	if (peer.uid == 0 || peer.uid == control->owner_uid)
		return true;
	log_event(LOG_LEVEL_WARNING, "control", "refused_uid=%u", (unsigned)peer.uid);
	return false;
}

static void on_acceptable(void *context, bool readable, bool writable)
{
	struct control *control = context;
	int descriptor = accept4(control->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	bool welcome = descriptor >= 0 && is_welcome(control, descriptor);

	(void)readable;
	(void)writable;
	if (descriptor < 0)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX && welcome; i++) {
		struct client *client = &control->clients[i];

		if (client->descriptor >= 0)
			continue;
		client->descriptor = descriptor;
		client->asked = client->answering = client->has_message = false;
		watch_client(client, true, false);
		return;
	}
	close(descriptor);
}

struct control *control_new(struct loop *loop, int listening, uid_t owner_uid,
			    const struct control_callbacks *callbacks, void *context)
{
	struct control *control = calloc(1, sizeof(*control));

	if (!control)
		return NULL;
	control->loop = loop;
	control->listening = listening;
	control->owner_uid = owner_uid;
	control->callbacks = callbacks;
	control->context = context;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		control->clients[i].control = control;
		control->clients[i].descriptor = -1;
	}
	if (loop_watch(loop, &control->watch, listening, true, false, on_acceptable, control))
		return control;
	free(control);
	return NULL;
}
