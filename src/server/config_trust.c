/*
 * config_trust: the settings that name whom to trust: networks and users.
 *
 * Guarantees: within the limits; what is no network or user is a problem that names it. Must not
 * know: what they are trusted with.
 */
#include <pwd.h>
#include <string.h>

#include "base/number.h"
#include "server/config_private.h"

void config_trust_loopback(struct config *config)
{
	(void)network_parse(BYTES("127.0.0.0/8"), &config->trusted[0], NULL);
	(void)network_parse(BYTES("::1"), &config->trusted[1], NULL);
	config->trusted_count = 2;
}

void config_set_network(struct config_source *source, const char *value, bool first)
{
	struct config *config = source->config;
	struct error why;

	if (first)
		config->trusted_count = 0;
	if (strcmp(value, "none") == 0)
		config->trusted_count = 0;
	else if (config->trusted_count == TRUSTED_NETWORKS_MAX)
		config_complain(source, "too many networks", value);
	else if (network_parse(bytes_of(value), &config->trusted[config->trusted_count], &why) !=
		 ERROR_NONE)
		config_complain(source, why.text, value);
	else
		config->trusted_count++;
}

void config_set_user(struct config_source *source, const char *value, bool first)
{
	struct config *config = source->config;
	const struct passwd *user;
	uint64_t uid = 0;

	if (first)
		config->trusted_user_count = 0;
	user = getpwnam(value);
	if (user)
		uid = user->pw_uid;
	if (!user && !number_parse(bytes_of(value), UINT32_MAX, &uid))
		config_complain(source, "no such user", value);
	else if (config->trusted_user_count == TRUSTED_USERS_MAX)
		config_complain(source, "too many users", value);
	else
		config->trusted_users[config->trusted_user_count++] = (uint32_t)uid;
}
