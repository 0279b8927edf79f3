/*
 * notify: one datagram a call (sd_notify(3), section "Notes").
 *
 * Guarantees: a socket's name that is none is as if there were none. Must not know the server.
 */
#include "server/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"

#define TEXT_OCTETS 256

/* A path, or "@name": abstract. */
static bool set_name(struct notify *notify, const char *path)
{
	size_t length = path ? strlen(path) : 0;

	notify->name.sun_family = AF_UNIX;
	if (length < 2 || length >= sizeof(notify->name.sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		return false;
	memcpy(notify->name.sun_path, path, length);
	if (path[0] == '@')
		notify->name.sun_path[0] = '\0';
	notify->name_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	return true;
}

static uint64_t number_in(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	uint64_t number;

	return text && number_parse(bytes_of(text), UINT64_MAX, &number) ? number : otherwise;
}

void notify_open(struct notify *notify)
{
	uint64_t pid = (uint64_t)getpid();

	memset(notify, 0, sizeof(*notify));
	notify->socket = -1;
	if (set_name(notify, getenv("NOTIFY_SOCKET")))
		notify->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (number_in("WATCHDOG_PID", pid) == pid)
		notify->watchdog_ms = number_in("WATCHDOG_USEC", 0) / 1000;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_send(const struct notify *notify, const char *format, ...)
{
	char text[TEXT_OCTETS];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (notify->socket >= 0 && length > 0 && (size_t)length < sizeof(text))
		(void)sendto(notify->socket, text, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL,
			     (const struct sockaddr *)&notify->name, notify->name_length);
}

void notify_reloading(const struct notify *notify)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	notify_send(notify, "RELOADING=1\nMONOTONIC_USEC=%lld",
		    (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}
