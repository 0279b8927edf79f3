/*
 * For tests of this folder: connected sockets, and a TLS client at the other end. Both ends are
 * non-blocking and driven in turn by one thread, so that nothing depends on time.
 */
#ifndef NET_TEST_PEER_H
#define NET_TEST_PEER_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/test.h"
#include "net/address.h"
#include "net/link.h"
#include "net/tls.h"

/* A real connection over loopback, on a port the kernel chose. */
static inline void tcp_pair(const char *listen_on, int *server_out, int *client_out)
{
	struct address address;
	assert_int_equal(address_parse(bytes_of(listen_on), &address, NULL), ERROR_NONE);
	int listener = address_listen(&address, 0, NULL);
	assert_true(listener >= 0);
	assert_true(address_of_socket(listener, &address));
	*client_out = address_connect(&address, 10000, NULL);
	assert_true(*client_out >= 0);
	struct pollfd ready = {.fd = listener, .events = POLLIN};
	assert_int_equal(poll(&ready, 1, 10000), 1);
	*server_out = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(*server_out >= 0);
	close(listener);
}

static inline void set_nonblocking(int descriptor)
{
	assert_int_equal(fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK), 0);
}

static inline struct tls *make_tls(void)
{
	struct buffer certificate, key;
	struct tls *tls = NULL;
	assert_int_equal(tls_make_self_signed("mail.example.org", &certificate, &key, NULL),
			 ERROR_NONE);
	assert_int_equal(tls_server_new(buffer_bytes(&certificate), buffer_bytes(&key), &tls, NULL),
			 ERROR_NONE);
	buffer_free(&certificate);
	buffer_wipe(&key);
	buffer_free(&key);
	return tls;
}

struct client_options {
	int version;           /* 0: any */
	const char *alpn;      /* wire form, or NULL */
	SSL_SESSION **session; /* offered when not NULL; a new one is kept here */
	bool no_master_secret; /* do without RFC 7627 */
};

static inline int keep_session(SSL *ssl, SSL_SESSION *session)
{
	SSL_SESSION **kept = SSL_get_app_data(ssl);
	if (!kept)
		return 0;
	SSL_SESSION_free(*kept);
	*kept = session;
	return 1;
}

static inline SSL *client_new(int descriptor, const struct client_options *options)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	assert_non_null(context);
	SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0"); /* so that it may offer old TLS */
	SSL_CTX_set_min_proto_version(context, options->version);
	SSL_CTX_set_max_proto_version(context, options->version);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, keep_session);
	if (options->no_master_secret)
		SSL_CTX_set_options(context, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	SSL *ssl = SSL_new(context);
	SSL_CTX_free(context);
	assert_non_null(ssl);
	if (options->alpn)
		SSL_set_alpn_protos(ssl, (const unsigned char *)options->alpn,
				    (unsigned)strlen(options->alpn));
	SSL_set_app_data(ssl, options->session);
	if (options->session && *options->session)
		assert_int_equal(SSL_set_session(ssl, *options->session), 1);
	set_nonblocking(descriptor);
	SSL_set_fd(ssl, descriptor);
	SSL_set_connect_state(ssl);
	return ssl;
}

static inline bool client_waits(SSL *ssl, int result)
{
	int reason = SSL_get_error(ssl, result);
	return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE;
}

static inline bool link_waits(enum link_result result)
{
	return result == LINK_WANT_READ || result == LINK_WANT_WRITE;
}

/* Drives both ends until the server's is decided. */
static inline enum link_result shake_hands(struct link *link, SSL *client)
{
	enum link_result server;
	int result = 0;
	bool client_done = false;
	do {
		if (!client_done) {
			ERR_clear_error();
			result = SSL_do_handshake(client);
			client_done = result == 1 || !client_waits(client, result);
		}
		server = link_handshake(link);
	} while (link_waits(server) || (server == LINK_OK && !client_done));
	return server;
}

#endif
