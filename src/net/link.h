/*
 * link: a byte stream over a connected socket, plain or TLS. Non-blocking in the server (each call
 * says what to wait for), blocking with a time-out in the client: the same functions, only the
 * socket differs.
 *
 * OpenSSL sits on the socket (SSL_set_fd), partial writes on: there is no queue in between. A link
 * owns its descriptor. OpenSSL writes by write(2): a process with TLS links must ignore SIGPIPE.
 * After BROKEN a link says BROKEN for ever.
 */
#ifndef NET_LINK_H
#define NET_LINK_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct link;
struct tls; /* certificates, keys and rules of a role: net/tls.h */

enum link_result {
	LINK_OK,
	LINK_WANT_READ,  /* nothing done: wait until readable, call again */
	LINK_WANT_WRITE, /* nothing done: wait until writable, call again (TLS may want either) */
	LINK_END,        /* the peer closed its side cleanly (TLS: close_notify) */
	LINK_BROKEN      /* reset, truncated TLS, time-out; errno-like text in link_problem() */
};

/* Takes over a connected stream socket (TCP or unix). NULL when memory has run out; then the
 * descriptor stays the caller's. */
struct link *link_new(int descriptor);
void link_free(struct link *link); /* closes the socket at once; NULL is allowed */

int link_descriptor(const struct link *link);

/* Begins TLS as a server; then link_handshake() until OK. Octets read as plain text before must
 * have been used or be refused by the caller (STLS injection). `alpn` is the one protocol name
 * spoken (RFC 7301), "pop3", and lives as long as the link: none offered is fine, another one is a
 * fatal alert, so that nobody leads a browser's connection here (ALPACA). */
bool link_start_tls(struct link *link, struct tls *tls, const char *alpn);
enum link_result link_handshake(struct link *link);
bool link_is_tls(const struct link *link);

/* Reads at least one octet with OK. */
enum link_result link_read(struct link *link, char *out, size_t size, size_t *length_out);

/* Of a plain link: octets wait in the socket that nobody has read. */
bool link_has_plain_input(const struct link *link);

/* Octets are ready without waiting for the socket (TLS has decrypted more than was asked for). */
bool link_pending(const struct link *link);

/* Writes some of `in`, at least one octet with OK. After WANT_… call again with octets that begin
 * with the same ones. */
enum link_result link_write(struct link *link, struct bytes in, size_t *written_out);

/* Says goodbye: TLS close_notify, then no more sending (shutdown). Never waits. */
void link_finish(struct link *link);

const char *link_problem(const struct link *link);

/* "127.0.0.1:40112", "[::1]:40112" or "unix:uid=1000". */
#define LINK_PEER_OCTETS 64
const char *link_peer(const struct link *link, char room[LINK_PEER_OCTETS]);
bool link_peer_is_local(const struct link *link); /* loopback or unix */

/* For logs: "TLSv1.3 TLS_AES_256_GCM_SHA384", or "" when plain. */
const char *link_tls_words(const struct link *link, char room[LINK_PEER_OCTETS]);

/* Channel binding (RFC 9266 tls-exporter with TLS 1.3; RFC 5929 tls-unique with 1.2), computed here
 * by the owner of the TLS session and sent to auth with the credentials. Octets, or 0: not TLS, or
 * TLS 1.2 without the extended master secret (RFC 7627), whose tls-unique can be forged. */
#define LINK_BINDING_MAX 64
enum link_binding { LINK_BINDING_NONE, LINK_BINDING_EXPORTER, LINK_BINDING_UNIQUE };
size_t link_channel_binding(const struct link *link, enum link_binding *kind_out,
			    uint8_t out[LINK_BINDING_MAX]);

/* Is the peer still there? Begins a probe (a keep-alive segment after a second without news, or the
 * data in flight); the answer some time later, within PROBE_MS for a peer that lives: true when an
 * acknowledgement has arrived since (TCP_INFO), or when the peer reads nothing but has answered
 * every window probe. May be asked again while false; a peer found alive ends the probe. A unix
 * socket's peer is alive as long as it has not hung up. */
void link_probe_begin(struct link *link);
bool link_probe_alive(struct link *link);

#endif
