/*
 * config: the table of settings, the values they take, flags and defaults.
 *
 * Guarantees: a config without problems is complete (defaults filled in, paths absolute) and within
 * the limits; a word or line that is not understood is a problem that names it, never ignored.
 * Must not know: what the settings are used for.
 */
#include "server/config.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "accounts/directory.h"
#include "base/nearest.h"
#include "base/number.h"
#include "server/config_private.h"

enum setting_kind {
	SETTING_LISTENER,
	SETTING_PATH,
	SETTING_PATHS,    /* repeatable */
	SETTING_NETWORKS, /* repeatable */
	SETTING_USERS,    /* repeatable */
	SETTING_NUMBER,
	SETTING_SWITCH,
	SETTING_CHOICE,
	SETTING_DOMAIN
};

struct setting {
	const char *key; /* and, behind two hyphens, the flag */
	enum setting_kind kind;
	const char *argument; /* as --help calls it */
	const char *fallback; /* the default, in words */
	const char *help;
	size_t offset; /* of the member of struct config */
	enum listener_kind listener;
	uint32_t least, most;       /* of a number */
	const char *const *choices; /* by number, NULL behind the last */
};

static const char *const log_targets[] = {
	[LOG_TO_STDERR] = "stderr", [LOG_TO_SYSLOG] = "syslog", [LOG_TO_JOURNAL] = "journal", NULL};
static const char *const log_formats[] = {[LOG_AS_TEXT] = "text", [LOG_AS_JSON] = "json", NULL};
static const char *const log_levels[] = {[LOG_LEVEL_ERROR] = "error",
					 [LOG_LEVEL_WARNING] = "warning",
					 [LOG_LEVEL_INFO] = "info",
					 [LOG_LEVEL_DEBUG] = "debug",
					 NULL};

#define MEMBER(name) .offset = offsetof(struct config, name)

/* In the order in which --help has them. */
static const struct setting settings[] = {
	{.key = "pop3",
	 .kind = SETTING_LISTENER,
	 .listener = LISTENER_POP3,
	 .argument = "ADDR",
	 .fallback = ":110 as root, else 127.0.0.1:1110",
	 .help = "POP3 on this address; repeatable"},
	{.key = "pop3s",
	 .kind = SETTING_LISTENER,
	 .listener = LISTENER_POP3S,
	 .argument = "ADDR",
	 .fallback = ":995 as root, else 127.0.0.1:1995",
	 .help = "POP3 with TLS from the first octet; repeatable"},
	{.key = "lmtp",
	 .kind = SETTING_LISTENER,
	 .listener = LISTENER_LMTP,
	 .argument = "ADDR|unix:PATH",
	 .fallback = "ROOT/run/lmtp.sock, always",
	 .help = "LMTP here as well; repeatable"},
	{.key = "smtp",
	 .kind = SETTING_LISTENER,
	 .listener = LISTENER_SMTP,
	 .argument = "ADDR",
	 .fallback = "none",
	 .help = "SMTP that only receives, for the local domains; repeatable"},
	{.key = "socketmap",
	 .kind = SETTING_LISTENER,
	 .listener = LISTENER_SOCKETMAP,
	 .argument = "ADDR|unix:PATH",
	 .fallback = "none",
	 .help = "tells Postfix which recipients and domains there are; repeatable"},
	{.key = "host-name",
	 .kind = SETTING_DOMAIN,
	 MEMBER(host),
	 .argument = "NAME",
	 .fallback = "that of the machine",
	 .help = "the server's name to peers, in full: mail.example.org"},
	{.key = "message-octets-max",
	 .kind = SETTING_NUMBER,
	 MEMBER(message_octets_max),
	 .least = MESSAGE_OCTETS_LEAST,
	 .most = MESSAGE_OCTETS_MAX,
	 .argument = "N",
	 .fallback = "268435456",
	 .help = "octets of the largest message taken by SMTP and LMTP"},
	{.key = "trusted-network",
	 .kind = SETTING_NETWORKS,
	 .argument = "NETWORK",
	 .fallback = "127.0.0.0/8 and ::1; none: no network",
	 .help = "IP[/BITS]: bare newlines are mended, connections not counted; repeatable"},
	{.key = "megabytes-per-user",
	 .kind = SETTING_NUMBER,
	 MEMBER(megabytes_per_user),
	 .least = 0,
	 .most = USER_MEGABYTES_MOST,
	 .argument = "N",
	 .fallback = "4096",
	 .help = "that a local user may hand in within an hour, to a worker; 0: any number"},
	{.key = "trusted-user",
	 .kind = SETTING_USERS,
	 .argument = "USER",
	 .fallback = "root and the instance's owner, always",
	 .help = "an MTA's, without limits at unix sockets; repeatable"},
	{.key = "tls-cert",
	 .kind = SETTING_PATH,
	 MEMBER(tls_certificate),
	 .argument = "FILE",
	 .fallback = "a self-signed one in ROOT/tls",
	 .help = "certificate and its chain, PEM"},
	{.key = "tls-key",
	 .kind = SETTING_PATH,
	 MEMBER(tls_key),
	 .argument = "FILE",
	 .fallback = "its key",
	 .help = "the certificate's key, PEM"},
	{.key = "workers",
	 .kind = SETTING_NUMBER,
	 MEMBER(workers),
	 .least = 1,
	 .most = WORKERS_MAX,
	 .argument = "N",
	 .fallback = "the number of processors",
	 .help = "processes that talk to clients"},
	{.key = "allow-plaintext",
	 .kind = SETTING_SWITCH,
	 MEMBER(allow_plaintext),
	 .argument = "",
	 .fallback = "no",
	 .help = "logins without TLS from other hosts too; loopback always may"},
	{.key = "apop",
	 .kind = SETTING_SWITCH,
	 MEMBER(apop),
	 .argument = "",
	 .fallback = "no",
	 .help = "APOP, for accounts that consent: their secret is kept as it is"},
	{.key = "connections-per-address",
	 .kind = SETTING_NUMBER,
	 MEMBER(connections_per_address),
	 .least = 0,
	 .most = SESSIONS_MAX,
	 .argument = "N",
	 .fallback = "256",
	 .help = "that one address (IPv6: one /64) may have in a worker; 0: any number"},
	{.key = "mail-root",
	 .kind = SETTING_PATHS,
	 MEMBER(mail_roots),
	 .argument = "DIR",
	 .fallback = "/var/mail as root, and ROOT/mail always",
	 .help = "a further folder that maildrops may lie in; repeatable"},
	{.key = "log-to",
	 .kind = SETTING_CHOICE,
	 MEMBER(log_to),
	 .choices = log_targets,
	 .argument = "WHERE",
	 .fallback = "stderr",
	 .help = "stderr, syslog or journal"},
	{.key = "log-format",
	 .kind = SETTING_CHOICE,
	 MEMBER(log_format),
	 .choices = log_formats,
	 .argument = "FORM",
	 .fallback = "text",
	 .help = "text or json: a line is one object"},
	{.key = "log-level",
	 .kind = SETTING_CHOICE,
	 MEMBER(log_level),
	 .choices = log_levels,
	 .argument = "LEVEL",
	 .fallback = "info",
	 .help = "error, warning, info or debug"},
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))
_Static_assert(SETTINGS <= CONFIG_KEYS_MAX, "a source knows which keys it has seen");

static void complain(struct config_source *source, const char *what, const char *word,
		     const char *hint)
{
	char room[128];
	const char *shown = error_escape(bytes_of(word), room, sizeof(room));

	if (source->file)
		(void)problems_add(source->problems, ERROR_CONFIG, "%s line %d: %s: %s%s",
				   source->file, source->line, what, shown, hint);
	else
		(void)problems_add(source->problems, ERROR_USAGE, "%s: %s%s", what, shown, hint);
}

void config_complain(struct config_source *source, const char *what, const char *word)
{
	complain(source, what, word, "");
}

uint32_t config_line(const struct config_source *source)
{
	return source->file ? (uint32_t)source->line : 0;
}

/* ---- values ---- */

/* The daemon keeps a path absolute. A relative one begins at base; NULL: where the command was
 * typed. */
static bool absolute_path(const char *base, const char *path, char out[PATH_MAX])
{
	char here[PATH_MAX];
	int length;

	if (path[0] == '/')
		length = snprintf(out, PATH_MAX, "%s", path);
	else if (base || (base = getcwd(here, sizeof(here))))
		length = snprintf(out, PATH_MAX, "%s/%s", base, path);
	else
		return false;
	return length > 0 && length < PATH_MAX;
}

/* What the file says means the same whoever starts the server from wherever. */
static bool set_path(struct config_source *source, const char *value, char path[PATH_MAX])
{
	const char *base = source->file ? source->config->root : NULL;

	if (absolute_path(base, value, path))
		return true;
	config_complain(source, "the path is too long", value);
	return false;
}

static void set_mail_root(struct config_source *source, const char *value, bool first)
{
	struct config *config = source->config;

	if (first)
		config->mail_root_count = 0;
	if (config->mail_root_count == CONFIG_MAIL_ROOTS_MAX) {
		config_complain(source, "too many mail roots", value);
	} else if (set_path(source, value, config->mail_roots[config->mail_root_count])) {
		config->mail_root_lines[config->mail_root_count] = config_line(source);
		config->mail_root_count++;
	}
}

static void set_number(struct config_source *source, const struct setting *setting,
		       const char *value, uint32_t *number_out)
{
	char what[64];
	uint64_t number;

	if (number_parse(bytes_of(value), setting->most, &number) && number >= setting->least) {
		*number_out = (uint32_t)number;
		return;
	}
	(void)snprintf(what, sizeof(what), "%s is not a number from %u to %u", setting->key,
		       setting->least, setting->most);
	config_complain(source, what, value);
}

static void set_switch(struct config_source *source, const char *value, bool *wanted_out)
{
	if (strcmp(value, "yes") == 0 || strcmp(value, "no") == 0)
		*wanted_out = value[0] == 'y';
	else
		config_complain(source, "neither yes nor no", value);
}

static void set_choice(struct config_source *source, const struct setting *setting,
		       const char *value, uint32_t *choice_out)
{
	char what[64];

	for (uint32_t i = 0; setting->choices[i]; i++) {
		if (strcmp(setting->choices[i], value) == 0) {
			*choice_out = i;
			return;
		}
	}
	(void)snprintf(what, sizeof(what), "%s is not %s", setting->key, setting->help);
	config_complain(source, what, value);
}

static void set_domain(struct config_source *source, const char *value, char name[DOMAIN_MAX + 1])
{
	struct error why;

	if (account_domain_normalise(bytes_of(value), name, &why) != ERROR_NONE)
		config_complain(source, why.text, value);
}

static void set_once(struct config_source *source, const struct setting *setting, const char *value)
{
	void *member = (char *)source->config + setting->offset;

	if (source->seen[setting - settings])
		config_complain(source, "given twice", setting->key);
	else if (setting->kind == SETTING_NUMBER)
		set_number(source, setting, value, member);
	else if (setting->kind == SETTING_SWITCH)
		set_switch(source, value, member);
	else if (setting->kind == SETTING_CHOICE)
		set_choice(source, setting, value, member);
	else if (setting->kind == SETTING_DOMAIN)
		set_domain(source, value, member);
	else
		(void)set_path(source, value, member);
}

static const struct setting *find(struct bytes key)
{
	for (size_t i = 0; i < SETTINGS; i++)
		if (bytes_equal(key, bytes_of(settings[i].key)))
			return &settings[i];
	return NULL;
}

static void complain_of_key(struct config_source *source, const char *word)
{
	const char *names[SETTINGS], *meant;
	char hint[64] = "", key[32] = "";
	struct bytes rest = bytes_of(word);

	if (!source->file && bytes_start_with(rest, BYTES("--")))
		rest = bytes_skip(rest, 2);
	(void)bytes_to_string(bytes_first(rest, strcspn(rest.data, "=")), key, sizeof(key));

	for (size_t i = 0; i < SETTINGS; i++)
		names[i] = settings[i].key;
	meant = nearest_word(key, names, SETTINGS);
	if (meant)
		(void)snprintf(hint, sizeof(hint), "; did you mean %s%s?", source->file ? "" : "--",
			       meant);
	complain(source, source->file ? "no such key" : "no such flag", word, hint);
}

static void set(struct config_source *source, const struct setting *setting, const char *value)
{
	bool first = !source->seen[setting - settings];

	if (value[0] == '\0')
		config_complain(source, "a value is missing behind", setting->key);
	else if (setting->kind == SETTING_LISTENER)
		config_set_listener(source, setting->listener, value, first);
	else if (setting->kind == SETTING_PATHS)
		set_mail_root(source, value, first);
	else if (setting->kind == SETTING_NETWORKS)
		config_set_network(source, value, first);
	else if (setting->kind == SETTING_USERS)
		config_set_user(source, value, first);
	else
		set_once(source, setting, value);
	if (first)
		source->config->lines[setting - settings] = config_line(source);
	source->seen[setting - settings] = true;
}

void config_set(struct config_source *source, const char *key, const char *value)
{
	const struct setting *setting = find(bytes_of(key));

	if (setting)
		set(source, setting, value);
	else
		complain_of_key(source, key);
}

/* ---- flags ---- */

static const struct setting *find_flag(const char *word)
{
	struct bytes name = bytes_first(bytes_of(word), strcspn(word, "="));

	return bytes_start_with(name, BYTES("--")) ? find(bytes_skip(name, 2)) : NULL;
}

static void read_flags(struct config_source *source, int argc, char *const *argv)
{
	for (int i = 0; i < argc; i++) {
		const char *equals = strchr(argv[i], '=');
		const struct setting *setting = find_flag(argv[i]);
		const char *value = equals ? equals + 1 : NULL;

		if (!setting) {
			complain_of_key(source, argv[i]);
			continue;
		}
		if (!value && setting->kind == SETTING_SWITCH)
			value = "yes";
		else if (!value && i + 1 < argc)
			value = argv[++i];
		if (value)
			set(source, setting, value);
		else
			config_complain(source, "a value is missing behind", argv[i]);
	}
}

/* ---- defaults ---- */

static void set_host(char host[DOMAIN_MAX + 1])
{
	if (gethostname(host, DOMAIN_MAX) != 0 || host[0] == '\0')
		(void)snprintf(host, DOMAIN_MAX + 1, "localhost");
	host[DOMAIN_MAX] = '\0';
}

static void set_defaults(struct config *config)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	config->workers = processors < 1             ? 1
			  : processors > WORKERS_MAX ? WORKERS_MAX
						     : (uint32_t)processors;
	config->connections_per_address = CONNECTIONS_PER_ADDRESS;
	config->message_octets_max = MESSAGE_OCTETS_MAX;
	config->megabytes_per_user = USER_MEGABYTES;
	config_trust_loopback(config);
	set_host(config->host);
	config->log_level = LOG_LEVEL_INFO;
}

static void look_for_half_a_pair(const struct config *config, struct problems *problems)
{
	const char *key = config->tls_certificate[0] ? "tls-cert" : "tls-key";
	char room[CONFIG_PLACE_OCTETS];

	if (!config->tls_certificate[0] != !config->tls_key[0])
		(void)problems_add(problems,
				   config->lines[find(bytes_of(key)) - settings] > 0 ? ERROR_CONFIG
										     : ERROR_USAGE,
				   "%s: tls-cert and tls-key belong together",
				   config_place(config, key, room));
}

static void set_root(struct config *config, const char *root, struct problems *problems)
{
	size_t length;

	if (!absolute_path(NULL, root, config->root))
		(void)problems_add(problems, ERROR_USAGE, "the root's path is too long: %.100s",
				   root);
	length = strlen(config->root);
	while (length > 1 && config->root[length - 1] == '/')
		config->root[--length] = '\0';
}

void config_read(int argc, char *const *argv, const char *root, struct config *config_out,
		 struct problems *problems)
{
	char file[PATH_MAX + 16];
	struct config_source from_file = {.config = config_out, .problems = problems, .file = file};
	struct config_source from_flags = {.config = config_out, .problems = problems};

	memset(config_out, 0, sizeof(*config_out));
	config_out->argument_count = argc;
	config_out->arguments = argv;
	set_defaults(config_out);
	set_root(config_out, root, problems);
	(void)snprintf(file, sizeof(file), "%s/postern.conf", config_out->root);
	config_read_file(&from_file);
	read_flags(&from_flags, argc, argv);
	look_for_half_a_pair(config_out, problems);
	config_add_listeners(config_out, problems);
}

enum error_code config_parse(int argc, char *const *argv, const char *root,
			     struct config *config_out, struct error *error)
{
	struct problems problems = {.count = 0};
	enum error_code code;

	config_read(argc, argv, root, config_out, &problems);
	code = problems_first(&problems, error);
	problems_free(&problems);
	return code;
}

const char *config_place_at(const struct config *config, const char *key, uint32_t line,
			    char room[CONFIG_PLACE_OCTETS])
{
	if (line > 0)
		(void)snprintf(room, CONFIG_PLACE_OCTETS, "%.200s/postern.conf line %u: %s",
			       config->root, line, key);
	else
		(void)snprintf(room, CONFIG_PLACE_OCTETS, "--%s", key);
	return room;
}

const char *config_place(const struct config *config, const char *key,
			 char room[CONFIG_PLACE_OCTETS])
{
	const struct setting *setting = find(bytes_of(key));

	assert(setting);
	return config_place_at(config, key, config->lines[setting - settings], room);
}

#define FLAG_COLUMNS 24

void config_help(FILE *out)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		char flag[64];

		(void)snprintf(flag, sizeof(flag), "--%s %s", settings[i].key,
			       settings[i].argument);
		if (strlen(flag) > FLAG_COLUMNS) { /* a line of its own */
			(void)fprintf(out, "  %s\n", flag);
			flag[0] = '\0';
		}
		(void)fprintf(out, "  %-*s %s\n", FLAG_COLUMNS, flag, settings[i].help);
		(void)fprintf(out, "  %-*s (default: %s)\n", FLAG_COLUMNS, "",
			      settings[i].fallback);
	}
}
