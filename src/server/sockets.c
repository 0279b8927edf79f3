/*
 * sockets: binds, tells, closes.
 *
 * Guarantees: a reload either has all its sockets or changes none. Must not know: who accepts.
 */
#include "server/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONTROL_BACKLOG 16

/* When a supervisor was killed its children are killed by the kernel at once, and those of one that
 * drains close their sockets when they hear of it, but not before we may be here; until then the
 * addresses are theirs. */
#define BIND_TRIES   20
#define BIND_WAIT_MS 50

bool sockets_same_address(const struct address *a, const struct address *b)
{
	char of_a[ADDRESS_OCTETS], of_b[ADDRESS_OCTETS];

	return strcmp(address_print(a, of_a), address_print(b, of_b)) == 0;
}

static bool same(const struct config_listener *a, const struct config_listener *b)
{
	return a->kind == b->kind && sockets_same_address(&a->address, &b->address);
}

static int find(const struct sockets *sockets, const struct config_listener *wanted)
{
	for (uint32_t i = 0; i < sockets->count; i++)
		if (same(&sockets->list[i].wanted, wanted))
			return sockets->list[i].descriptor;
	return -1;
}

static bool has(const struct sockets *sockets, int descriptor)
{
	for (uint32_t i = 0; i < sockets->count; i++)
		if (sockets->list[i].descriptor == descriptor)
			return true;
	return false;
}

static int bind_patiently(const struct config_listener *wanted, struct error *error)
{
	int descriptor = address_listen(&wanted->address, 0666, error);

	for (int i = 0; i < BIND_TRIES && descriptor < 0 &&
			(errno == EADDRINUSE || error->code == ERROR_IN_USE);
	     i++) {
		(void)poll(NULL, 0, BIND_WAIT_MS);
		descriptor = address_listen(&wanted->address, 0666, error);
	}
	return descriptor;
}

static bool is_pop3(enum listener_kind kind)
{
	return kind == LISTENER_POP3 || kind == LISTENER_POP3S;
}

static bool gives_pop3(const struct sockets *given)
{
	for (uint32_t i = 0; i < given->count; i++)
		if (is_pop3(given->list[i].wanted.kind))
			return true;
	return false;
}

/* One that is given, or that stands for what is given, is not bound. */
static bool must_bind(const struct config *config, const struct sockets *given,
		      const struct config_listener *wanted)
{
	if (config->default_listeners && is_pop3(wanted->kind) && gives_pop3(given))
		return false;
	return find(given, wanted) < 0;
}

enum error_code sockets_open(const struct config *config, const struct sockets *given,
			     const struct sockets *old, struct sockets *sockets_out,
			     struct error *error)
{
	*sockets_out = *given;
	for (uint32_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *wanted = &config->listeners[i];
		int descriptor = find(old, wanted);

		if (!must_bind(config, given, wanted))
			continue;
		/* Port 0 twice means two sockets. */
		if (sockets_out->count == LISTENERS_MAX)
			descriptor = -1, error_set(error, ERROR_CONFIG, "too many sockets");
		else if (descriptor < 0 || has(sockets_out, descriptor))
			descriptor = bind_patiently(wanted, error);
		if (descriptor < 0) {
			sockets_close(sockets_out, old);
			return error->code;
		}
		sockets_out->list[sockets_out->count++] = (struct listening){*wanted, descriptor};
	}
	return ERROR_NONE;
}

bool sockets_can_bind(const struct config_listener *listener, struct error *error)
{
	const struct sockaddr_un *name =
		(const struct sockaddr_un *)(const void *)&listener->address.storage;
	char folder[sizeof(name->sun_path) + 1];
	struct stat status;
	char *slash;

	(void)snprintf(folder, sizeof(folder), "%s", name->sun_path);
	slash = strrchr(folder, '/');
	if (stat(folder, &status) == 0 && !S_ISSOCK(status.st_mode)) {
		error_set(error, ERROR_CONFIG, "%s is there, and no socket", folder);
		return false;
	}
	if (slash)
		slash[slash == folder ? 1 : 0] = '\0';
	if (slash && access(folder, W_OK | X_OK) == 0)
		return true;
	error_set_errno(error, -errno, "%s", folder);
	return false;
}

void sockets_close(struct sockets *sockets, const struct sockets *kept)
{
	for (uint32_t i = 0; i < sockets->count; i++)
		if (!kept || !has(kept, sockets->list[i].descriptor))
			close(sockets->list[i].descriptor);
	sockets->count = 0;
}

static const char *where(const struct listening *listening, char room[ADDRESS_OCTETS])
{
	struct address address;

	if (!address_of_socket(listening->descriptor, &address))
		address = listening->wanted.address;
	return address_print(&address, room);
}

void sockets_print(const struct sockets *sockets)
{
	char room[ADDRESS_OCTETS];

	for (uint32_t i = 0; i < sockets->count; i++)
		(void)printf("listening %s %s\n",
			     config_listener_name(sockets->list[i].wanted.kind),
			     where(&sockets->list[i], room));
	(void)fflush(stdout);
}

void sockets_describe(const struct sockets *sockets, struct message_about *about)
{
	char room[ADDRESS_OCTETS];

	about->listener_count = sockets->count;
	for (uint32_t i = 0; i < sockets->count; i++) {
		about->listeners[i].kind = sockets->list[i].wanted.kind;
		(void)bytes_to_string(bytes_of(where(&sockets->list[i], room)),
				      about->listeners[i].address,
				      sizeof(about->listeners[i].address));
	}
}

int sockets_open_control(const char *root, const struct instance *instance, struct error *error)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int length = snprintf(name.sun_path, sizeof(name.sun_path), "%s/run/control.sock", root);
	int descriptor;
	mode_t mask;
	bool good;

	if (length < 0 || (size_t)length >= sizeof(name.sun_path)) {
		error_set(error, ERROR_CONFIG, "the path of %.150s/run/control.sock is too long",
			  root);
		return -1;
	}
	descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	instance_remove(instance->run, "control.sock"); /* ours: we have the pid file's lock */
	mask = umask(0177);
	good = descriptor >= 0 && bind(descriptor, (struct sockaddr *)&name, sizeof(name)) == 0 &&
	       listen(descriptor, CONTROL_BACKLOG) == 0;
	if (!good)
		error_set_errno(error, -errno, "listening on %.150s", name.sun_path);
	(void)umask(mask);
	if (!good && descriptor >= 0)
		close(descriptor);
	return good ? descriptor : -1;
}
