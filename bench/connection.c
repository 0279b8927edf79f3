/*
 * connection: see connection.h. Knows nothing of POP3.
 */
#include "bench/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"

#define SOURCE_ADDRESSES 16u

double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

bool peer_parse(const char *text, struct sockaddr_in *address_out)
{
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN];
	uint64_t port;

	memset(address_out, 0, sizeof(*address_out));
	address_out->sin_family = AF_INET;
	if (colon == NULL || !number_parse(bytes_of(colon + 1), 65535, &port) ||
	    !bytes_to_string((struct bytes){text, (size_t)(colon - text)}, host, sizeof(host)) ||
	    inet_pton(AF_INET, host, &address_out->sin_addr) != 1)
		return false;
	address_out->sin_port = htons((uint16_t)port);
	return true;
}

bool peer_open(struct peer *peer, const char *address, bool tls)
{
	memset(peer, 0, sizeof(*peer));
	if (!peer_parse(address, &peer->address))
		return false;
	peer->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (tls) {
		peer->tls = SSL_CTX_new(TLS_client_method());
		if (peer->tls == NULL)
			return false;
		SSL_CTX_set_session_cache_mode(peer->tls, SSL_SESS_CACHE_OFF);
	}
	return peer->epoll >= 0;
}

/* Each source address of 127.0.0.0/8 has ports of its own. */
static void choose_source(int descriptor, struct peer *peer)
{
	struct sockaddr_in source = {.sin_family = AF_INET};
	int yes = 1;

	source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + peer->opened++ % SOURCE_ADDRESSES);
	setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
	if (bind(descriptor, (struct sockaddr *)&source, sizeof(source)) < 0)
		perror("bench_load: bind");
}

/* The handshake blocks (a millisecond on loopback); what follows does not. */
static bool begin_tls(struct connection *connection, SSL_CTX *tls)
{
	connection->ssl = SSL_new(tls);
	return connection->ssl != NULL &&
	       SSL_set_fd(connection->ssl, connection->descriptor) == 1 &&
	       SSL_connect(connection->ssl) == 1 &&
	       fcntl(connection->descriptor, F_SETFL, O_NONBLOCK) == 0;
}

bool connection_open(struct connection *connection, struct peer *peer, void *owner)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = owner};
	int yes = 1;

	*connection = (struct connection){.owner = owner};
	connection->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->descriptor < 0)
		return false;
	choose_source(connection->descriptor, peer);
	setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	/* Blocking on loopback: it takes microseconds, or the listen queue is full and we wait. */
	if (connect(connection->descriptor, (struct sockaddr *)&peer->address,
		    sizeof(peer->address)) < 0 ||
	    epoll_ctl(peer->epoll, EPOLL_CTL_ADD, connection->descriptor, &event) < 0 ||
	    (peer->tls != NULL && !begin_tls(connection, peer->tls))) {
		connection_close(connection);
		return false;
	}
	return true;
}

void connection_close(struct connection *connection)
{
	if (connection->ssl != NULL)
		SSL_free(connection->ssl);
	if (connection->descriptor >= 0)
		close(connection->descriptor);
	connection->ssl = NULL;
	connection->descriptor = -1;
}

ssize_t connection_receive(struct connection *connection, char *out, size_t size)
{
	if (connection->ssl != NULL) {
		int count = SSL_read(connection->ssl, out, (int)size);

		if (count > 0)
			return count;
		return SSL_get_error(connection->ssl, count) == SSL_ERROR_WANT_READ ? 0 : -1;
	}
	for (;;) {
		ssize_t count = recv(connection->descriptor, out, size, MSG_DONTWAIT);

		if (count > 0)
			return count;
		if (count == 0 || (errno != EAGAIN && errno != EINTR))
			return -1;
		if (errno == EAGAIN)
			return 0;
	}
}

bool connection_send(struct connection *connection, struct bytes octets)
{
	if (connection->ssl != NULL)
		return SSL_write(connection->ssl, octets.data, (int)octets.length) ==
		       (int)octets.length;
	return send(connection->descriptor, octets.data, octets.length, MSG_NOSIGNAL) ==
	       (ssize_t)octets.length;
}
