/*
 * tls_certificate_dates(): from when to when a certificate is valid.
 *
 * Guarantees: a text that is no certificate is refused, not guessed at. Must not know what the time
 * is.
 */
#include <limits.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "net/tls.h"

static bool seconds_of(const ASN1_TIME *moment, int64_t *seconds_out)
{
	struct tm parts;

	if (!moment || ASN1_TIME_to_tm(moment, &parts) != 1)
		return false;
	*seconds_out = timegm(&parts);
	return true;
}

bool tls_certificate_dates(struct bytes certificate_pem, int64_t *begins_out, int64_t *ends_out)
{
	BIO *text = certificate_pem.length <= INT_MAX
			    ? BIO_new_mem_buf(certificate_pem.data, (int)certificate_pem.length)
			    : NULL;
	X509 *certificate = text ? PEM_read_bio_X509(text, NULL, NULL, NULL) : NULL;
	bool good = certificate && seconds_of(X509_get0_notBefore(certificate), begins_out) &&
		    seconds_of(X509_get0_notAfter(certificate), ends_out);

	X509_free(certificate);
	BIO_free(text);
	ERR_clear_error();
	return good;
}
