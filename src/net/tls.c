/*
 * tls: one SSL_CTX with the rules of a role.
 *
 * Guarantees: TLS 1.2 or later, no renegotiation, no compression; private keys and ticket keys are
 * wiped when the last link that needs them is gone. Sessions are resumed by tickets alone: there is
 * no cache in memory, so any worker resumes what another one began (RFC 5077, RFC 8446
 * section 4.6.1). Must not know files: keys come as text from the supervisor.
 */
#include "net/tls.h"

#include <pthread.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "net/tls_private.h"

#define KEY_NAME_OCTETS 16
#define HMAC_OCTETS     32

struct tls {
	SSL_CTX *context;
	uint8_t current[TLS_TICKET_KEY_OCTETS], previous[TLS_TICKET_KEY_OCTETS];
};

/* A struct tls hangs on its SSL_CTX and goes with it, hence after the last SSL made from it. */
static int tls_index = -1;
static pthread_once_t tls_index_once = PTHREAD_ONCE_INIT;

static void free_with_context(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index,
			      long argl, void *argp)
{
	(void)parent, (void)data, (void)index, (void)argl, (void)argp;
	OPENSSL_clear_free(pointer, sizeof(struct tls));
}

static void make_index(void)
{
	tls_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_with_context);
}

static struct tls *tls_of(SSL *ssl)
{
	return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), tls_index);
}

const char *tls_reason(void)
{
	unsigned long code = ERR_get_error();
	const char *words = code ? ERR_reason_error_string(code) : NULL;
	ERR_clear_error();
	return words ? words : "no reason given";
}

/* RFC 7301 section 3.2: no overlap is the fatal alert no_application_protocol. */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length,
		       const unsigned char *in, unsigned in_length, void *context)
{
	(void)context;
	struct bytes spoken = bytes_of(SSL_get_app_data(ssl));
	for (unsigned at = 0; at < in_length; at += 1 + in[at]) {
		if (in[at] > in_length - at - 1)
			break;
		struct bytes offered = {(const char *)in + at + 1, in[at]};
		if (bytes_equal(offered, spoken)) {
			*out = in + at + 1;
			*out_length = in[at];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- tickets ---- */

static bool use_ticket_key(const uint8_t *key, unsigned char *iv, EVP_CIPHER_CTX *cipher,
			   EVP_MAC_CTX *hmac, bool encrypt)
{
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
						  (void *)(key + KEY_NAME_OCTETS), HMAC_OCTETS),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};
	return EVP_MAC_CTX_set_params(hmac, parameters) == 1 &&
	       EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL,
				 key + KEY_NAME_OCTETS + HMAC_OCTETS, iv, encrypt) == 1;
}

/* Returns as SSL_CTX_set_tlsext_ticket_key_evp_cb(3) says: 1 done, 2 done but give a new ticket, 0
 * no such key (a full handshake follows), -1 failure. */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		      EVP_MAC_CTX *hmac, int encrypt)
{
	const struct tls *tls = tls_of(ssl);
	if (encrypt) {
		memcpy(name, tls->current, KEY_NAME_OCTETS);
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			return -1;
		return use_ticket_key(tls->current, iv, cipher, hmac, true) ? 1 : -1;
	}
	if (memcmp(name, tls->current, KEY_NAME_OCTETS) == 0)
		return use_ticket_key(tls->current, iv, cipher, hmac, false) ? 1 : -1;
	if (memcmp(name, tls->previous, KEY_NAME_OCTETS) == 0)
		return use_ticket_key(tls->previous, iv, cipher, hmac, false) ? 2 : -1;
	return 0;
}

void tls_set_ticket_keys(struct tls *tls, const uint8_t current[TLS_TICKET_KEY_OCTETS],
			 const uint8_t previous[TLS_TICKET_KEY_OCTETS])
{
	memcpy(tls->current, current, TLS_TICKET_KEY_OCTETS);
	memcpy(tls->previous, previous, TLS_TICKET_KEY_OCTETS);
}

/* ---- certificate and key ---- */

/* The first certificate is ours, the others are its chain. */
static bool use_certificates(SSL_CTX *context, struct bytes pem)
{
	BIO *in = BIO_new_mem_buf(pem.data, (int)pem.length);
	X509 *own = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
	bool ok = own && SSL_CTX_use_certificate(context, own) == 1;
	X509_free(own);
	X509 *next;
	while (ok && (next = PEM_read_bio_X509(in, NULL, NULL, NULL))) {
		ok = SSL_CTX_add0_chain_cert(context, next) == 1;
		if (!ok)
			X509_free(next);
	}
	/* The end of the text is an error of PEM's too, and the only one that is none. */
	if (ok && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
		ERR_clear_error();
	ok = ok && ERR_peek_error() == 0;
	BIO_free(in);
	return ok;
}

/* Without this OpenSSL asks for the password on the terminal. */
static int no_password(char *room, int size, int writing, void *context)
{
	(void)room, (void)size, (void)writing, (void)context;
	return -1;
}

/* OpenSSL's words for a key of another certificate depend on the kinds of both, and mislead. */
static enum error_code use_key(SSL_CTX *context, struct bytes pem, struct error *error)
{
	BIO *in = BIO_new_mem_buf(pem.data, (int)pem.length);
	EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;
	enum error_code code = ERROR_NONE;
	if (!key)
		code = error_set(error, ERROR_CONFIG,
				 "the TLS key is unusable (%s): it must be PEM text without a "
				 "password",
				 tls_reason());
	else if (SSL_CTX_use_PrivateKey(context, key) != 1 ||
		 SSL_CTX_check_private_key(context) != 1)
		code = error_set(error, ERROR_CONFIG,
				 "the TLS key is that of another certificate");
	EVP_PKEY_free(key);
	BIO_free(in);
	ERR_clear_error();
	return code;
}

static enum error_code use_pair(SSL_CTX *context, struct bytes certificate_pem,
				struct bytes key_pem, struct error *error)
{
	ERR_clear_error();
	if (!use_certificates(context, certificate_pem))
		return error_set(error, ERROR_CONFIG,
				 "the TLS certificate is unusable (%s): it must be PEM text, the "
				 "server's certificate first, then its chain",
				 tls_reason());
	return use_key(context, key_pem, error);
}

bool tls_certificate_is_usable(struct bytes pem)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	ERR_clear_error();
	bool ok = context && use_certificates(context, pem);
	SSL_CTX_free(context);
	ERR_clear_error();
	return ok;
}

/* ---- the context ---- */

/* No session cache, no read-ahead, and buffers given back between records: what an idle session
 * costs is what counts. */
static bool set_rules(struct tls *tls)
{
	SSL_CTX *context = tls->context;
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(context, 0);
	SSL_CTX_set_alpn_select_cb(context, select_alpn, NULL);
	return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_num_tickets(context, 1) == 1 &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticket_key) == 1 &&
	       RAND_bytes(tls->current, sizeof(tls->current)) == 1 &&
	       RAND_bytes(tls->previous, sizeof(tls->previous)) == 1;
}

static struct tls *new_tls(void)
{
	pthread_once(&tls_index_once, make_index);
	struct tls *tls = OPENSSL_zalloc(sizeof(*tls));
	SSL_CTX *context = tls ? SSL_CTX_new(TLS_server_method()) : NULL;
	if (!context || SSL_CTX_set_ex_data(context, tls_index, tls) != 1) {
		SSL_CTX_free(context);
		OPENSSL_free(tls);
		return NULL;
	}
	tls->context = context; /* from here on the context owns tls */
	if (!set_rules(tls)) {
		tls_free(tls);
		return NULL;
	}
	return tls;
}

enum error_code tls_server_new(struct bytes certificate_pem, struct bytes key_pem,
			       struct tls **tls_out, struct error *error)
{
	*tls_out = NULL;
	if (certificate_pem.length > INT32_MAX || key_pem.length > INT32_MAX)
		return error_set(error, ERROR_CONFIG, "TLS certificate or key: too large");
	struct tls *tls = new_tls();
	if (!tls)
		return error_set(error, ERROR_TEMPORARY, "setting up TLS: %s", tls_reason());
	enum error_code code = use_pair(tls->context, certificate_pem, key_pem, error);
	if (code != ERROR_NONE) {
		tls_free(tls);
		return code;
	}
	*tls_out = tls;
	return ERROR_NONE;
}

void tls_free(struct tls *tls)
{
	if (tls)
		SSL_CTX_free(tls->context);
}

SSL *tls_new_ssl(struct tls *tls, const char *alpn)
{
	SSL *ssl = SSL_new(tls->context);

	if (ssl)
		SSL_set_app_data(ssl, (void *)(uintptr_t)alpn);
	return ssl;
}
