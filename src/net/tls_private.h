/*
 * What net/link.c needs of a struct tls besides its public face.
 */
#ifndef NET_TLS_PRIVATE_H
#define NET_TLS_PRIVATE_H

#include <openssl/ssl.h>

#include "net/tls.h"

/* For link_start_tls(); NULL when memory has run out. */
SSL *tls_new_ssl(struct tls *tls, const char *alpn);

/* The oldest error OpenSSL has queued for this thread, as words that live forever. */
const char *tls_reason(void);

#endif
