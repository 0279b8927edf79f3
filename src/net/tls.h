/*
 * tls: what a TLS server shows and accepts: certificate and key, TLS 1.2 or later, session tickets
 * under keys that all workers share. ALPN is the link's affair: one certificate serves POP3 and SMTP.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct tls;

#define TLS_TICKET_KEY_OCTETS 80 /* name 16, HMAC 32, AES 32 */

/* From PEM text: the certificate with its chain, and its key. ERROR_CONFIG when they are unusable
 * or do not belong together. */
enum error_code tls_server_new(struct bytes certificate_pem, struct bytes key_pem,
			       struct tls **tls_out, struct error *error);
/* Whether the first of the two is, whatever its key. */
bool tls_certificate_is_usable(struct bytes pem);
void tls_free(struct tls *tls); /* links in use keep what they need */

/* The key new tickets are made with, and the one before it, which is still accepted.
 * Until the first call they are random, and no other process resumes our sessions. */
void tls_set_ticket_keys(struct tls *tls, const uint8_t current[TLS_TICKET_KEY_OCTETS],
			 const uint8_t previous[TLS_TICKET_KEY_OCTETS]);

/* Between which moments, in Unix seconds, the first certificate of a PEM text is valid. */
bool tls_certificate_dates(struct bytes certificate_pem, int64_t *begins_out, int64_t *ends_out);

/* A self-signed pair for `host` (a name or an IP address; P-256, ten years), as PEM. Initialises
 * both buffers; the key's is to be wiped by the caller. */
enum error_code tls_make_self_signed(const char *host, struct buffer *certificate_pem_out,
				     struct buffer *key_pem_out, struct error *error);

#endif
