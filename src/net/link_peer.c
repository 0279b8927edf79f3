/*
 * The other end of a link: who it is, and whether it is still there.
 *
 * Guarantees: the answer about the peer's name is the same from link_new() to link_free(). Must not
 * touch the stream: a probe adds no octet to it.
 */
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/tcp.h> /* the C library's struct tcp_info ends before what a probe needs */

#include "base/clock.h"
#include "net/address.h"
#include "net/link.h"
#include "net/link_private.h"

/* Between two readings of one moment: the kernel counts in ticks of up to 10 ms. Real news is apart
 * by more, because a keep-alive segment goes out only after a second of silence. */
#define TICK_MS 50

#define TCP_STATE_CLOSED 7 /* TCP_CLOSE in the kernel's enumeration */

/* ---- who ---- */

void link_peer_remember(struct link *link)
{
	struct ucred credentials;
	struct address address = {.length = sizeof(address.storage)};
	socklen_t length = sizeof(credentials);
	if (getpeername(link->descriptor, (struct sockaddr *)&address.storage, &address.length) !=
	    0)
		return;
	link->family = address.storage.ss_family;
	if (link->family == AF_INET)
		memcpy(&link->peer.ip4, &address.storage, sizeof(link->peer.ip4));
	else if (link->family == AF_INET6)
		memcpy(&link->peer.ip6, &address.storage, sizeof(link->peer.ip6));
	else if (getsockopt(link->descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0)
		link->peer.uid = credentials.uid;
}

static struct address address_of_peer(const struct link *link)
{
	struct address address = {.length = sizeof(link->peer)};
	address.storage.ss_family = link->family;
	if (link->family == AF_INET || link->family == AF_INET6)
		memcpy(&address.storage, &link->peer, sizeof(link->peer));
	return address;
}

const char *link_peer(const struct link *link, char room[LINK_PEER_OCTETS])
{
	char words[ADDRESS_OCTETS];
	struct address address = address_of_peer(link);
	if (link->family == AF_UNIX)
		snprintf(room, LINK_PEER_OCTETS, "unix:uid=%u", (unsigned)link->peer.uid);
	else
		snprintf(room, LINK_PEER_OCTETS, "%.*s", LINK_PEER_OCTETS - 1,
			 address_print(&address, words));
	return room;
}

bool link_peer_is_local(const struct link *link)
{
	struct address address = address_of_peer(link);
	return address_is_loopback(&address);
}

/* ---- still there? ---- */

static bool is_tcp(const struct link *link)
{
	return link->family == AF_INET || link->family == AF_INET6;
}

static bool read_tcp_info(const struct link *link, struct tcp_info *info_out)
{
	socklen_t length = sizeof(*info_out);
	memset(info_out, 0, sizeof(*info_out));
	return getsockopt(link->descriptor, IPPROTO_TCP, TCP_INFO, info_out, &length) == 0 &&
	       length >= offsetof(struct tcp_info, tcpi_last_ack_recv) + sizeof(uint32_t);
}

static uint64_t last_ack_ms(const struct tcp_info *info)
{
	return clock_monotonic_ms() - info->tcpi_last_ack_recv;
}

static void set_tcp(const struct link *link, int option, int value)
{
	setsockopt(link->descriptor, IPPROTO_TCP, option, &value, sizeof(value));
}

/* With nothing in flight a keep-alive segment goes out after a second without news; with data in
 * flight its retransmission does the same. */
void link_probe_begin(struct link *link)
{
	struct tcp_info info;
	if (!is_tcp(link))
		return;
	link->probe_ack_ms = read_tcp_info(link, &info) ? last_ack_ms(&info) : clock_monotonic_ms();
	set_tcp(link, TCP_KEEPIDLE, 1);
	set_tcp(link, TCP_KEEPINTVL, 1);
	set_tcp(link, TCP_KEEPCNT, 3);
	setsockopt(link->descriptor, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
}

/* A peer whose window is closed (it reads nothing) hears from us only by window probes, up to two
 * minutes apart; no keep-alive goes out. As long as each was answered it counts as alive. */
static bool answers_window_probes(const struct tcp_info *info)
{
	return info->tcpi_snd_wnd == 0 && info->tcpi_unacked == 0 && info->tcpi_notsent_bytes > 0 &&
	       info->tcpi_probes == 0;
}

static bool tcp_is_alive(struct link *link)
{
	struct tcp_info info;
	if (!read_tcp_info(link, &info) || info.tcpi_state == TCP_STATE_CLOSED)
		return false;
	if (last_ack_ms(&info) <= link->probe_ack_ms + TICK_MS && !answers_window_probes(&info))
		return false;
	/* Three lost keep-alives end a connection: right for the probe, too hard for the rest of a
	 * session over a bad line. */
	setsockopt(link->descriptor, SOL_SOCKET, SO_KEEPALIVE, &(int){0}, sizeof(int));
	return true;
}

bool link_probe_alive(struct link *link)
{
	struct pollfd poll_for = {.fd = link->descriptor};
	if (is_tcp(link))
		return tcp_is_alive(link);
	return poll(&poll_for, 1, 0) >= 0 && !(poll_for.revents & (POLLHUP | POLLERR | POLLNVAL));
}
