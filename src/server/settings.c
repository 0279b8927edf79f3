/*
 * settings: loads and frees them.
 *
 * Guarantees: all of it or nothing. Must not know: who uses them when (supervisor.c).
 */
#include "server/settings.h"

enum error_code settings_load(const struct settings *old, const struct instance *instance,
			      const char *host, struct settings *settings_out, struct error *error)
{
	const struct config *config = &old->config;
	enum error_code code = config_parse(config->argument_count, config->arguments, config->root,
					    &settings_out->config, error);

	if (code == ERROR_NONE)
		code = certificate_load(&settings_out->config, instance, host,
					&settings_out->certificate, error);
	if (code != ERROR_NONE)
		return code;
	code = sockets_open(&settings_out->config, &old->sockets, &settings_out->sockets, error);
	if (code != ERROR_NONE)
		certificate_free(&settings_out->certificate);
	return code;
}

void settings_free(struct settings *settings, const struct settings *kept)
{
	certificate_free(&settings->certificate);
	sockets_close(&settings->sockets, &kept->sockets);
}
