/*
 * What net/link.c needs of a struct tls besides its public face.
 */
#ifndef NET_TLS_PRIVATE_H
#define NET_TLS_PRIVATE_H

#include <openssl/ssl.h>

#include "net/tls.h"

SSL_CTX *tls_context(struct tls *tls); /* stays the tls's */

/* The oldest error OpenSSL has queued for this thread, as words that live forever. */
const char *tls_reason(void);

#endif
