/*
 * certificate: reads, makes and checks the pair.
 *
 * Guarantees: a key that was read is wiped from memory when it is freed; a pair that exists is
 * never overwritten. Must not know: who uses it.
 */
#include "server/certificate.h"

#include <fcntl.h>

#include "net/tls.h"
#include "server/message.h"

#define CERTIFICATE_NAME "cert.pem"
#define KEY_NAME         "key.pem"

void certificate_free(struct certificate *certificate)
{
	buffer_free(&certificate->certificate_pem);
	buffer_wipe(&certificate->key_pem);
	buffer_free(&certificate->key_pem);
}

static enum error_code read_pair(int directory, const char *certificate_name, const char *key_name,
				 struct certificate *certificate, struct error *error)
{
	enum error_code code = instance_read(directory, certificate_name, TLS_PEM_MAX,
					     &certificate->certificate_pem, error);

	if (code == ERROR_NONE)
		code = instance_read(directory, key_name, TLS_PEM_MAX, &certificate->key_pem,
				     error);
	return code;
}

/* The key first: a key without a certificate is replaced at the next start, the other way round
 * there would be a certificate that nobody can use. */
static enum error_code make_pair(const struct instance *instance, const char *host,
				 struct certificate *certificate, struct error *error)
{
	enum error_code code;

	certificate_free(certificate);
	code = tls_make_self_signed(host, &certificate->certificate_pem, &certificate->key_pem,
				    error);
	if (code == ERROR_NONE)
		code = instance_write(instance->tls, KEY_NAME, buffer_bytes(&certificate->key_pem),
				      0600, error);
	if (code == ERROR_NONE)
		code = instance_write(instance->tls, CERTIFICATE_NAME,
				      buffer_bytes(&certificate->certificate_pem), 0644, error);
	return code;
}

static enum error_code check_pair(const struct certificate *certificate, struct error *error)
{
	struct tls *tls = NULL;
	enum error_code code = tls_server_new(buffer_bytes(&certificate->certificate_pem),
					      buffer_bytes(&certificate->key_pem), &tls, error);

	tls_free(tls);
	return code;
}

enum error_code certificate_load(const struct config *config, const struct instance *instance,
				 const char *host, struct certificate *certificate_out,
				 struct error *error)
{
	enum error_code code;

	buffer_init(&certificate_out->certificate_pem, TLS_PEM_MAX);
	buffer_init(&certificate_out->key_pem, TLS_PEM_MAX);
	if (config->tls_certificate[0]) {
		code = read_pair(AT_FDCWD, config->tls_certificate, config->tls_key,
				 certificate_out, error);
	} else {
		code = read_pair(instance->tls, CERTIFICATE_NAME, KEY_NAME, certificate_out, error);
		if (code == ERROR_NO_INPUT && certificate_out->certificate_pem.length == 0)
			code = make_pair(instance, host, certificate_out, error);
	}
	if (code == ERROR_NONE)
		code = check_pair(certificate_out, error);
	if (code != ERROR_NONE)
		certificate_free(certificate_out);
	return code;
}
