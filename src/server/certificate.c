/*
 * certificate: reads, makes and checks the pair.
 *
 * Guarantees: a key that was read is wiped from memory when it is freed; a pair that exists is
 * never overwritten. Must not know: who uses it.
 */
#include "server/certificate.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
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

/* Which of the two it is about, by the place where it was named. */
static enum error_code blame(const struct config *config, bool key, struct error *error)
{
	char place[CONFIG_PLACE_OCTETS];
	struct error bare = *error;

	if (config->tls_certificate[0])
		(void)config_place(config, key ? "tls-key" : "tls-cert", place);
	else
		(void)snprintf(place, sizeof(place), "%.200s/tls/%s", config->root,
			       key ? KEY_NAME : CERTIFICATE_NAME);
	return error_set(error, bare.code, "%s: %s", place, bare.text);
}

static enum error_code read_pair(const struct config *config, const struct instance *instance,
				 struct certificate *certificate, struct error *error)
{
	bool named = config->tls_certificate[0] != '\0';
	int directory = named ? AT_FDCWD : instance->tls;
	enum error_code code =
		instance_read(directory, named ? config->tls_certificate : CERTIFICATE_NAME,
			      TLS_PEM_MAX, &certificate->certificate_pem, error);

	if (code != ERROR_NONE)
		return blame(config, false, error);
	code = instance_read(directory, named ? config->tls_key : KEY_NAME, TLS_PEM_MAX,
			     &certificate->key_pem, error);
	return code == ERROR_NONE ? code : blame(config, true, error);
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

/* ---- what is on disk ---- */

void certificate_look(const struct config *config, const struct instance *instance,
		      struct certificate_mark *mark_out)
{
	bool named = config->tls_certificate[0] != '\0';
	const char *names[] = {named ? config->tls_certificate : CERTIFICATE_NAME,
			       named ? config->tls_key : KEY_NAME};
	struct stat status;

	memset(mark_out, 0, sizeof(*mark_out));
	for (size_t i = 0; i < 2; i++) {
		if (fstatat(named ? AT_FDCWD : instance->tls, names[i], &status, 0) != 0)
			continue;
		mark_out->files[i].device = status.st_dev;
		mark_out->files[i].inode = status.st_ino;
		mark_out->files[i].octets = (uint64_t)status.st_size;
		mark_out->files[i].seconds = (uint64_t)status.st_mtim.tv_sec;
		mark_out->files[i].nanoseconds = (uint64_t)status.st_mtim.tv_nsec;
	}
}

bool certificate_same_mark(const struct certificate_mark *a, const struct certificate_mark *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* ---- the pair ---- */

static enum error_code check_pair(const struct config *config, struct certificate *certificate,
				  struct error *error)
{
	struct bytes pem = buffer_bytes(&certificate->certificate_pem);
	struct tls *tls = NULL;
	enum error_code code =
		tls_server_new(pem, buffer_bytes(&certificate->key_pem), &tls, error);

	tls_free(tls);
	return code == ERROR_NONE ? code : blame(config, tls_certificate_is_usable(pem), error);
}

static enum error_code find_dates(struct certificate *certificate, struct error *error)
{
	int64_t begins, now = clock_unix_seconds();
	char date[CLOCK_DATE_OCTETS];

	if (!tls_certificate_dates(buffer_bytes(&certificate->certificate_pem), &begins,
				   &certificate->expires))
		return error_set(error, ERROR_CONFIG, "the certificate has no dates");
	if (begins > now)
		return error_set(error, ERROR_CONFIG, "the certificate begins %s",
				 clock_date_rfc5322(begins, date));
	if (certificate->expires <= now)
		return error_set(error, ERROR_CONFIG, "the certificate has expired %s",
				 clock_date_rfc5322(certificate->expires, date));
	return ERROR_NONE;
}

static enum error_code check_dates(const struct config *config, struct certificate *certificate,
				   struct error *error)
{
	enum error_code code = find_dates(certificate, error);

	return code == ERROR_NONE ? code : blame(config, false, error);
}

/* The mark comes before the octets: a change between the two is seen the next time. */
static enum error_code read_any(const struct config *config, const struct instance *instance,
				struct certificate *certificate, struct error *error)
{
	memset(certificate, 0, sizeof(*certificate));
	buffer_init(&certificate->certificate_pem, TLS_PEM_MAX);
	buffer_init(&certificate->key_pem, TLS_PEM_MAX);
	certificate_look(config, instance, &certificate->mark);
	return read_pair(config, instance, certificate, error);
}

enum error_code certificate_load(const struct config *config, const struct instance *instance,
				 struct certificate *certificate_out, struct error *error)
{
	enum error_code code = read_any(config, instance, certificate_out, error);

	if (code == ERROR_NO_INPUT && !config->tls_certificate[0] &&
	    certificate_out->certificate_pem.length == 0) {
		code = make_pair(instance, config->host, certificate_out, error);
		certificate_look(config, instance, &certificate_out->mark);
	}
	if (code == ERROR_NONE)
		code = check_pair(config, certificate_out, error);
	if (code != ERROR_NONE)
		certificate_free(certificate_out);
	else if (check_dates(config, certificate_out, error) != ERROR_NONE)
		log_event(LOG_LEVEL_WARNING, "certificate", "error=\"%s\"", error->text);
	return code;
}

enum error_code certificate_reload(const struct config *config, const struct instance *instance,
				   struct certificate *certificate_out, struct error *error)
{
	enum error_code code = read_any(config, instance, certificate_out, error);

	if (code == ERROR_NONE)
		code = check_pair(config, certificate_out, error);
	if (code == ERROR_NONE)
		code = check_dates(config, certificate_out, error);
	if (code != ERROR_NONE)
		certificate_free(certificate_out);
	return code;
}
