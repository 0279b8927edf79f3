/*
 * log_relay: packets in, the same packets out.
 *
 * Guarantees: it waits for nobody, and looks at no octet but the first. A SOCK_SEQPACKET pair: a
 * datagram socket would let a child that was taken over name another receiver.
 */
#include "server/log_relay.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log_form.h"

#define PACKETS_ROUND 64 /* before the loop serves others */

static void on_readable(void *context, bool readable, bool writable)
{
	static char packet[LOG_DATAGRAM_MAX + 1];
	int *descriptor = context;

	(void)readable;
	(void)writable;
	for (int i = 0; i < PACKETS_ROUND; i++) {
		ssize_t length = recv(*descriptor, packet, sizeof(packet), MSG_DONTWAIT);

		if (length <= 0)
			return;
		log_forward((struct bytes){packet, (size_t)length});
	}
}

int log_relay_open(struct loop *loop)
{
	static int own_end;
	static struct loop_watch *watch;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return -1;
	own_end = ends[0];
	if (loop_watch(loop, &watch, own_end, true, false, on_readable, &own_end))
		return ends[1];
	close(ends[0]);
	close(ends[1]);
	return -1;
}
