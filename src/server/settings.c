/*
 * settings: loads and frees them.
 *
 * Guarantees: all of it or nothing. Must not know: who uses them when (supervisor.c).
 */
#include "server/settings.h"

#include <stdio.h>

#include "base/log.h"

static void keep_log(const struct config *old, struct config *fresh)
{
	char keys[40];

	(void)snprintf(keys, sizeof(keys), "%s%s%s", fresh->log_to != old->log_to ? " log-to" : "",
		       fresh->log_format != old->log_format ? " log-format" : "",
		       fresh->log_level != old->log_level ? " log-level" : "");
	if (keys[0])
		log_event(LOG_LEVEL_WARNING, "reload", "ignored=\"%s\" error=\"%s\"", keys + 1,
			  "only a restart changes this");
	fresh->log_to = old->log_to;
	fresh->log_format = old->log_format;
	fresh->log_level = old->log_level;
}

enum error_code settings_load(const struct settings *old, const struct sockets *given,
			      const struct instance *instance, struct settings *settings_out,
			      struct error *error)
{
	const struct config *config = &old->config;
	enum error_code code = config_parse(config->argument_count, config->arguments, config->root,
					    &settings_out->config, error);

	if (code == ERROR_NONE) {
		keep_log(config, &settings_out->config);
		code = certificate_load(&settings_out->config, instance, &settings_out->certificate,
					error);
	}
	if (code != ERROR_NONE)
		return code;
	code = mail_folders_open(&settings_out->config, instance, &settings_out->mail, error);
	if (code == ERROR_NONE) {
		code = sockets_open(&settings_out->config, given, &old->sockets,
				    &settings_out->sockets, error);
		if (code != ERROR_NONE)
			mail_folders_close(&settings_out->mail);
	}
	if (code != ERROR_NONE)
		certificate_free(&settings_out->certificate);
	return code;
}

void settings_free(struct settings *settings, const struct settings *kept)
{
	certificate_free(&settings->certificate);
	mail_folders_close(&settings->mail);
	sockets_close(&settings->sockets, &kept->sockets);
}
