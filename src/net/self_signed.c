/*
 * tls_make_self_signed(): a certificate for a server that was given none, so that TLS works from
 * the first start. Guarantees: a fresh P-256 key each time, the host as subjectAltName (RFC 6125),
 * ten years. Must not know where the pair is kept.
 */
#include <arpa/inet.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/limits.h"
#include "net/tls.h"
#include "net/tls_private.h"

#define VALID_SECONDS   (10L * 365 * 24 * 60 * 60)
#define EARLIER_SECONDS (24L * 60 * 60) /* clocks of clients that are behind */
#define PEM_OCTETS_MAX  (16 * 1024)
#define COMMON_NAME_MAX 64 /* RFC 5280 appendix A.1, ub-common-name */

static bool host_is_plain(const char *host)
{
	size_t length = strlen(host);
	return length > 0 && length <= DOMAIN_MAX &&
	       strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:_") ==
		       length;
}

static GENERAL_NAME *new_name(const char *host)
{
	ASN1_OCTET_STRING *ip = a2i_IPADDRESS(host);
	ASN1_IA5STRING *dns = ip ? NULL : ASN1_IA5STRING_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	if (!name || (!ip && (!dns || ASN1_STRING_set(dns, host, -1) != 1))) {
		ASN1_OCTET_STRING_free(ip);
		ASN1_IA5STRING_free(dns);
		GENERAL_NAME_free(name);
		return NULL;
	}
	GENERAL_NAME_set0_value(name, ip ? GEN_IPADD : GEN_DNS, ip ? (void *)ip : (void *)dns);
	return name;
}

static bool add_alternative_name(X509 *certificate, const char *host)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *name = new_name(host);
	if (!names || !name || sk_GENERAL_NAME_push(names, name) <= 0) {
		GENERAL_NAME_free(name);
		sk_GENERAL_NAME_free(names);
		return false;
	}
	bool ok = X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) == 1;
	GENERAL_NAMES_free(names);
	return ok;
}

static bool add_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	bool ok = extension && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return ok;
}

static bool set_names(X509 *certificate, const char *host)
{
	const char *common = strlen(host) <= COMMON_NAME_MAX ? host : "postern";
	X509_NAME *name = X509_get_subject_name(certificate);
	return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC,
					  (const unsigned char *)common, -1, -1, 0) == 1 &&
	       X509_set_issuer_name(certificate, name) == 1 &&
	       add_alternative_name(certificate, host);
}

/* Positive, and of 64 random bits at least (CA/Browser rules, section 7.1). */
static bool set_serial(X509 *certificate)
{
	unsigned char octets[16];
	if (RAND_bytes(octets, sizeof(octets)) != 1)
		return false;
	octets[0] = (octets[0] & 0x3f) | 0x40;
	BIGNUM *number = BN_bin2bn(octets, sizeof(octets), NULL);
	bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
	BN_free(number);
	return ok;
}

static X509 *new_certificate(EVP_PKEY *key, const char *host)
{
	X509 *certificate = X509_new();
	if (certificate && X509_set_version(certificate, X509_VERSION_3) == 1 &&
	    set_serial(certificate) &&
	    X509_gmtime_adj(X509_getm_notBefore(certificate), -EARLIER_SECONDS) &&
	    X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_SECONDS) &&
	    X509_set_pubkey(certificate, key) == 1 && set_names(certificate, host) &&
	    add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
	    X509_sign(certificate, key, EVP_sha256()) > 0)
		return certificate;
	X509_free(certificate);
	return NULL;
}

static bool take_text(BIO *bio, struct buffer *buffer_out)
{
	char *data;
	long length = BIO_get_mem_data(bio, &data);
	return length > 0 && buffer_append(buffer_out, (struct bytes){data, (size_t)length});
}

static bool write_pair(X509 *certificate, EVP_PKEY *key, struct buffer *certificate_pem_out,
		       struct buffer *key_pem_out)
{
	BIO *public = BIO_new(BIO_s_mem());
	BIO *secret = BIO_new(BIO_s_secmem()); /* wiped when freed */
	bool ok = public && secret && PEM_write_bio_X509(public, certificate) == 1 &&
		  PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL) == 1 &&
		  take_text(public, certificate_pem_out) && take_text(secret, key_pem_out);
	BIO_free(public);
	BIO_free(secret);
	return ok;
}

enum error_code tls_make_self_signed(const char *host, struct buffer *certificate_pem_out,
				     struct buffer *key_pem_out, struct error *error)
{
	buffer_init(certificate_pem_out, PEM_OCTETS_MAX);
	buffer_init(key_pem_out, PEM_OCTETS_MAX);
	if (!host_is_plain(host))
		return error_set(error, ERROR_CONFIG,
				 "a certificate needs a host name or an IP address");
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = key ? new_certificate(key, host) : NULL;
	bool ok = certificate && write_pair(certificate, key, certificate_pem_out, key_pem_out);
	X509_free(certificate);
	EVP_PKEY_free(key);
	if (ok)
		return ERROR_NONE;
	buffer_free(certificate_pem_out);
	buffer_wipe(key_pem_out);
	buffer_free(key_pem_out);
	return error_set(error, ERROR_TEMPORARY, "making a TLS certificate: %s", tls_reason());
}
