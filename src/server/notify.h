/*
 * notify: what systemd's sd_notify(3) does, by ourselves: lines of KEY=VALUE in a datagram to the
 * socket that NOTIFY_SOCKET names. Without that variable nothing is sent.
 */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
	int socket; /* -1: nobody wants to know */
	struct sockaddr_un name;
	socklen_t name_length;
	uint64_t watchdog_ms; /* within which WATCHDOG=1 is expected; 0: not at all */
};

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment. */
void notify_open(struct notify *notify);

/* Never waits, never fails: the service manager notices silence. */
void notify_send(const struct notify *notify, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* "RELOADING=1" with the time that systemd wants beside it. */
void notify_reloading(const struct notify *notify);

#endif
