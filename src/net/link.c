/*
 * link: octets over a connected socket, plain or TLS.
 *
 * Guarantees: every failure of the peer or the network ends as a link_result, none as a signal (for
 * TLS see link.h) or a crash; a TLS stream that stops without close_notify is BROKEN, never END, so
 * that nobody takes a cut-off stream for a whole one. Must not know what the octets mean.
 */
#include "net/link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/tcp.h> /* the C library's struct tcp_info ends before what a probe needs */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "net/address.h"
#include "net/link_private.h"
#include "net/tls_private.h"

struct link *link_new(int descriptor)
{
	struct link *link = calloc(1, sizeof(*link));
	if (!link)
		return NULL;
	link->descriptor = descriptor;
	link->problem = "";
	int flags = fcntl(descriptor, F_GETFL);
	link->blocking = flags >= 0 && !(flags & O_NONBLOCK);
	link_peer_remember(link);
	/* Replies are written whole; waiting for more would only delay them. */
	if (link->family == AF_INET || link->family == AF_INET6)
		setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	return link;
}

void link_free(struct link *link)
{
	if (!link)
		return;
	SSL_free(link->ssl);
	close(link->descriptor);
	free(link);
}

int link_descriptor(const struct link *link)
{
	return link->descriptor;
}

const char *link_problem(const struct link *link)
{
	return link->problem;
}

static enum link_result broken(struct link *link, const char *problem)
{
	link->problem = problem;
	link->is_broken = true;
	return LINK_BROKEN;
}

/* A blocking socket that would block has reached its time-out. */
static enum link_result want(struct link *link, enum link_result direction)
{
	return link->blocking ? broken(link, "time-out") : direction;
}

static enum link_result plain_failure(struct link *link, enum link_result direction)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return want(link, direction);
	const char *words = strerrordesc_np(errno);
	return broken(link, words ? words : "socket error");
}

/* ---- TLS ---- */

bool link_start_tls(struct link *link, struct tls *tls, const char *alpn)
{
	assert(!link->ssl);
	SSL *ssl = tls_new_ssl(tls, alpn);
	if (!ssl || SSL_set_fd(ssl, link->descriptor) != 1) {
		SSL_free(ssl);
		link->problem = tls_reason();
		return false;
	}
	SSL_set_accept_state(ssl);
	link->ssl = ssl;
	return true;
}

bool link_is_tls(const struct link *link)
{
	return link->ssl != NULL;
}

/* What a call of OpenSSL that did not succeed means. errno must be that of the call. */
static enum link_result tls_failure(struct link *link, int result)
{
	int system_error = errno;
	switch (SSL_get_error(link->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return want(link, LINK_WANT_READ);
	case SSL_ERROR_WANT_WRITE:
		return want(link, LINK_WANT_WRITE);
	case SSL_ERROR_ZERO_RETURN:
		return LINK_END;
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		if (system_error == 0)
			return broken(link, "TLS stream cut off");
		return broken(link, strerrordesc_np(system_error));
	default:
		return broken(link, tls_reason());
	}
}

static void before_tls(void)
{
	ERR_clear_error(); /* SSL_get_error() looks at what others left in the queue */
	errno = 0;
}

enum link_result link_handshake(struct link *link)
{
	assert(link->ssl);
	before_tls();
	int result = SSL_do_handshake(link->ssl);
	if (result == 1)
		return LINK_OK;
	enum link_result failure = tls_failure(link, result);
	return failure == LINK_END ? broken(link, "closed during the TLS handshake") : failure;
}

const char *link_tls_words(const struct link *link, char room[LINK_PEER_OCTETS])
{
	room[0] = '\0';
	if (link->ssl)
		snprintf(room, LINK_PEER_OCTETS, "%s %s", SSL_get_version(link->ssl),
			 SSL_get_cipher_name(link->ssl));
	return room;
}

/* RFC 5929 section 3.1: the first Finished message of the latest handshake, which the client sends,
 * or the server when a session was resumed. Worth nothing without RFC 7627's master secret. */
static size_t tls_unique(SSL *ssl, uint8_t out[LINK_BINDING_MAX])
{
	if (SSL_get_extms_support(ssl) != 1)
		return 0;
	size_t length = SSL_session_reused(ssl) ? SSL_get_finished(ssl, out, LINK_BINDING_MAX)
						: SSL_get_peer_finished(ssl, out, LINK_BINDING_MAX);
	return length <= LINK_BINDING_MAX ? length : 0;
}

/* RFC 9266 section 4.2: 32 octets, no context. */
static size_t tls_exporter(SSL *ssl, uint8_t out[LINK_BINDING_MAX])
{
	static const char label[] = "EXPORTER-Channel-Binding";
	const size_t length = 32;
	return SSL_export_keying_material(ssl, out, length, label, sizeof(label) - 1, NULL, 0, 0) ==
			       1
		       ? length
		       : 0;
}

size_t link_channel_binding(const struct link *link, enum link_binding *kind_out,
			    uint8_t out[LINK_BINDING_MAX])
{
	*kind_out = LINK_BINDING_NONE;
	if (!link->ssl || !SSL_is_init_finished(link->ssl))
		return 0;
	bool exporter = SSL_version(link->ssl) >= TLS1_3_VERSION;
	size_t octets = exporter ? tls_exporter(link->ssl, out) : tls_unique(link->ssl, out);
	if (octets > 0)
		*kind_out = exporter ? LINK_BINDING_EXPORTER : LINK_BINDING_UNIQUE;
	return octets;
}

/* ---- octets ---- */

static enum link_result read_plain(struct link *link, char *out, size_t size, size_t *length_out)
{
	ssize_t got;
	do
		got = recv(link->descriptor, out, size, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return plain_failure(link, LINK_WANT_READ);
	if (got == 0)
		return LINK_END;
	*length_out = (size_t)got;
	return LINK_OK;
}

enum link_result link_read(struct link *link, char *out, size_t size, size_t *length_out)
{
	assert(size > 0);
	*length_out = 0;
	if (link->is_broken)
		return LINK_BROKEN;
	if (!link->ssl)
		return read_plain(link, out, size, length_out);
	before_tls();
	int result = SSL_read_ex(link->ssl, out, size, length_out);
	return result == 1 ? LINK_OK : tls_failure(link, result);
}

bool link_has_plain_input(const struct link *link)
{
	char octet;
	ssize_t got;
	assert(!link->ssl);
	do
		got = recv(link->descriptor, &octet, 1, MSG_PEEK | MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	return got > 0;
}

bool link_pending(const struct link *link)
{
	return link->ssl && SSL_pending(link->ssl) > 0;
}

static enum link_result write_plain(struct link *link, struct bytes in, size_t *written_out)
{
	ssize_t put;
	do
		put = send(link->descriptor, in.data, in.length, MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	if (put < 0)
		return plain_failure(link, LINK_WANT_WRITE);
	*written_out = (size_t)put;
	return LINK_OK;
}

enum link_result link_write(struct link *link, struct bytes in, size_t *written_out)
{
	assert(in.length > 0);
	*written_out = 0;
	if (link->is_broken)
		return LINK_BROKEN;
	if (!link->ssl)
		return write_plain(link, in, written_out);
	before_tls();
	int result = SSL_write_ex(link->ssl, in.data, in.length, written_out);
	if (result == 1)
		return LINK_OK;
	enum link_result failure = tls_failure(link, result);
	return failure == LINK_END ? broken(link, "TLS stream closed by the peer") : failure;
}

/* OpenSSL forbids SSL_shutdown() after a fatal error and inside a handshake. */
void link_finish(struct link *link)
{
	if (link->ssl && !link->is_broken && SSL_is_init_finished(link->ssl)) {
		before_tls();
		SSL_shutdown(link->ssl);
		ERR_clear_error();
	}
	shutdown(link->descriptor, SHUT_WR);
}
