/*
 * config: the table of settings, and its two readers: flags and ROOT/postern.conf.
 *
 * Guarantees: a config that was parsed is complete (defaults filled in, paths absolute) and within
 * the limits; a word or line that is not understood is an error that names it, never ignored.
 * Must not know: what the settings are used for.
 */
#include "server/config.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* How Debian builds the library; upstream's default is a handler without the line. */
#define INI_HANDLER_LINENO 1
#include <ini.h>

#include "base/number.h"
#include "server/instance.h"

enum setting_kind { SETTING_LISTENER, SETTING_PATH, SETTING_COUNT, SETTING_SWITCH };

struct setting {
	const char *section, *key, *flag;
	enum setting_kind kind;
	const char *argument; /* as --help calls it */
	enum listener_kind listener;
	size_t offset;        /* of the member of struct config */
	const char *fallback; /* the default, in words */
	const char *help;
};

/* Column by column as struct setting has them. */
static const struct setting settings[] = {
	{"serve", "pop3", "--pop3", SETTING_LISTENER, "ADDR", LISTENER_POP3, 0,
	 ":110 as root, else 127.0.0.1:1110", "POP3 on this address; repeatable"},
	{"serve", "pop3s", "--pop3s", SETTING_LISTENER, "ADDR", LISTENER_POP3S, 0,
	 ":995 as root, else 127.0.0.1:1995", "POP3 with TLS from the first octet; repeatable"},
	{"serve", "lmtp", "--lmtp", SETTING_LISTENER, "ADDR|unix:PATH", LISTENER_LMTP, 0,
	 "ROOT/run/lmtp.sock, always", "LMTP here as well; repeatable"},
	{"serve", "tls-cert", "--tls-cert", SETTING_PATH, "FILE", 0,
	 offsetof(struct config, tls_certificate), "a self-signed one in ROOT/tls",
	 "certificate and its chain, PEM"},
	{"serve", "tls-key", "--tls-key", SETTING_PATH, "FILE", 0, offsetof(struct config, tls_key),
	 "its key", "the certificate's key, PEM"},
	{"serve", "workers", "--workers", SETTING_COUNT, "N", 0, offsetof(struct config, workers),
	 "the number of processors", "processes that talk to clients"},
	{"serve", "allow-plaintext", "--allow-plaintext", SETTING_SWITCH, "", 0,
	 offsetof(struct config, allow_plaintext), "no",
	 "logins without TLS from other hosts too; loopback always may"},
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

/* Where values come from: the first value of a source replaces the list of the source before. */
struct source {
	struct config *config;
	bool seen[SETTINGS];
	const char *file; /* NULL: the command line */
	int line;
	struct error *error;
	enum error_code code;
};

static enum error_code complain(struct source *source, const char *what, const char *word)
{
	char room[128];
	const char *shown = error_escape(bytes_of(word), room, sizeof(room));

	if (source->file)
		source->code = error_set(source->error, ERROR_CONFIG, "%s line %d: %s: %s",
					 source->file, source->line, what, shown);
	else
		source->code = error_set(source->error, ERROR_USAGE, "serve: %s: %s", what, shown);
	return source->code;
}

static void remove_listeners(struct config *config, enum listener_kind kind)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].kind != kind)
			config->listeners[kept++] = config->listeners[i];
	config->listener_count = kept;
}

static enum error_code add_listener(struct config *config, enum listener_kind kind,
				    const char *value, struct error *error)
{
	struct config_listener *listener = &config->listeners[config->listener_count];
	enum error_code code;

	if (config->listener_count == LISTENERS_MAX)
		return error_set(error, ERROR_USAGE, "more than %d addresses to listen on",
				 LISTENERS_MAX);
	code = address_parse(bytes_of(value), &listener->address, error);
	if (code != ERROR_NONE)
		return code;
	if (listener->address.storage.ss_family == AF_UNIX && kind != LISTENER_LMTP)
		return error_set(error, ERROR_USAGE, "only LMTP can listen on a unix socket");
	listener->kind = kind;
	config->listener_count++;
	return ERROR_NONE;
}

static enum error_code apply_listener(struct source *source, const struct setting *setting,
				      const char *value)
{
	char room[PATH_MAX + 256];
	struct error why;

	if (source->file && bytes_start_with(bytes_of(value), BYTES("unix:")) && value[5] != '/' &&
	    value[5] != '\0') {
		(void)snprintf(room, sizeof(room), "unix:%s/%.200s", source->config->root,
			       value + 5);
		value = room;
	}
	if (!source->seen[setting - settings])
		remove_listeners(source->config, setting->listener);
	if (add_listener(source->config, setting->listener, value, &why) != ERROR_NONE)
		return complain(source, why.text, value);
	return ERROR_NONE;
}

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
static const char *base_of(const struct source *source)
{
	return source->file ? source->config->root : NULL;
}

static enum error_code apply_count(struct source *source, const char *value, uint32_t *count)
{
	uint64_t number;

	if (!number_parse(bytes_of(value), WORKERS_MAX, &number) || number == 0)
		return complain(source, "not a number of workers from 1 to 64", value);
	*count = (uint32_t)number;
	return ERROR_NONE;
}

static enum error_code apply_switch(struct source *source, const char *value, bool *wanted)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return complain(source, "neither yes nor no", value);
	*wanted = value[0] == 'y';
	return ERROR_NONE;
}

static enum error_code apply(struct source *source, const struct setting *setting,
			     const char *value)
{
	char *member = (char *)source->config + setting->offset;
	enum error_code code = ERROR_NONE;

	if (setting->kind == SETTING_LISTENER)
		code = apply_listener(source, setting, value);
	else if (source->seen[setting - settings])
		code = complain(source, "given twice", setting->key);
	else if (setting->kind == SETTING_COUNT)
		code = apply_count(source, value, (uint32_t *)(void *)member);
	else if (setting->kind == SETTING_SWITCH)
		code = apply_switch(source, value, (bool *)(void *)member);
	else if (value[0] == '\0' || !absolute_path(base_of(source), value, member))
		code = complain(source, "not a path", value);
	source->seen[setting - settings] = true;
	return code;
}

/* ---- flags ---- */

static const struct setting *find_flag(const char *word, size_t length)
{
	for (size_t i = 0; i < SETTINGS; i++)
		if (bytes_equal((struct bytes){word, length}, bytes_of(settings[i].flag)))
			return &settings[i];
	return NULL;
}

static enum error_code read_flags(struct source *source, int argc, char *const *argv)
{
	for (int i = 0; i < argc; i++) {
		const char *equals = strchr(argv[i], '=');
		size_t length = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
		const struct setting *setting = find_flag(argv[i], length);
		const char *value = equals ? equals + 1 : NULL;

		if (!setting)
			return complain(source, "no such flag", argv[i]);
		if (!value && setting->kind == SETTING_SWITCH)
			value = "yes";
		else if (!value && i + 1 < argc)
			value = argv[++i];
		if (!value)
			return complain(source, "a value is missing behind", argv[i]);
		if (apply(source, setting, value) != ERROR_NONE)
			return source->code;
	}
	return ERROR_NONE;
}

/* ---- the file ---- */

#define LINE_OCTETS 200 /* what inih takes in one piece, as Debian builds it */

struct lines {
	struct bytes rest;
	struct source *source;
};

/* inih takes an over-long line for two; so the lines are cut here. Returns NULL at the end, as
 * fgets() would. */
static char *next_line(char *room, int octets, void *context)
{
	struct lines *lines = context;
	const char *end = memchr(lines->rest.data, '\n', lines->rest.length);
	size_t length = end ? (size_t)(end - lines->rest.data) + 1 : lines->rest.length;

	if (length == 0 || lines->source->code != ERROR_NONE)
		return NULL;
	lines->source->line++;
	if (length >= LINE_OCTETS || length >= (size_t)octets) {
		complain(lines->source, "a line is too long", "more than 198 octets");
		return NULL;
	}
	if (!bytes_to_string(bytes_first(lines->rest, length), room, (size_t)octets)) {
		complain(lines->source, "not text", "a NUL octet");
		return NULL;
	}
	lines->rest = bytes_skip(lines->rest, length);
	return room;
}

/* 1 tells inih that the line was understood; problems are kept in the source. */
static int on_key(void *context, const char *section, const char *name, const char *value, int line)
{
	struct lines *lines = context;

	if (lines->source->code != ERROR_NONE)
		return 1;
	lines->source->line = line;
	for (size_t i = 0; i < SETTINGS; i++) {
		if (strcmp(settings[i].section, section) != 0 || strcmp(settings[i].key, name) != 0)
			continue;
		apply(lines->source, &settings[i], value);
		return 1;
	}
	complain(lines->source, "no such section and key", name);
	return 1;
}

static enum error_code read_file(struct source *source)
{
	struct lines lines = {.source = source};
	struct buffer text;
	int bad_line;

	buffer_init(&text, CONFIG_OCTETS_MAX);
	source->code =
		instance_read(AT_FDCWD, source->file, CONFIG_OCTETS_MAX, &text, source->error);
	if (source->code == ERROR_NONE) {
		lines.rest = buffer_bytes(&text);
		bad_line = ini_parse_stream(next_line, &lines, on_key, &lines);
		if (source->code == ERROR_NONE && bad_line != 0) {
			source->line = bad_line;
			complain(source, "not understood", "neither [section] nor key = value");
		}
	} else if (source->code == ERROR_NO_INPUT) {
		source->code = ERROR_NONE;
	}
	buffer_free(&text);
	return source->code;
}

/* ---- defaults ---- */

static bool has_listener(const struct config *config, enum listener_kind kind)
{
	for (uint32_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].kind == kind)
			return true;
	return false;
}

static enum error_code add_defaults(struct config *config, struct error *error)
{
	bool root = geteuid() == 0;
	char path[PATH_MAX + 32];
	enum error_code code = ERROR_NONE;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (config->workers == 0)
		config->workers = processors < 1             ? 1
				  : processors > WORKERS_MAX ? WORKERS_MAX
							     : (uint32_t)processors;
	if (!has_listener(config, LISTENER_POP3) && !has_listener(config, LISTENER_POP3S)) {
		code = add_listener(config, LISTENER_POP3, root ? ":110" : "127.0.0.1:1110", error);
		if (code == ERROR_NONE)
			code = add_listener(config, LISTENER_POP3S,
					    root ? ":995" : "127.0.0.1:1995", error);
	}
	if (code != ERROR_NONE)
		return code;
	(void)snprintf(path, sizeof(path), "unix:%s/run/lmtp.sock", config->root);
	return add_listener(config, LISTENER_LMTP, path, error);
}

static enum error_code set_root(struct config *config, const char *root, struct error *error)
{
	size_t length;

	if (!absolute_path(NULL, root, config->root))
		return error_set(error, ERROR_USAGE, "the root's path is too long: %.100s", root);
	length = strlen(config->root);
	while (length > 1 && config->root[length - 1] == '/')
		config->root[--length] = '\0';
	return ERROR_NONE;
}

enum error_code config_parse(int argc, char *const *argv, const char *root,
			     struct config *config_out, struct error *error)
{
	char file[PATH_MAX + 16];
	struct source from_file = {.config = config_out, .file = file, .error = error};
	struct source from_flags = {.config = config_out, .error = error};
	enum error_code code;

	memset(config_out, 0, sizeof(*config_out));
	config_out->argument_count = argc;
	config_out->arguments = argv;
	code = set_root(config_out, root, error);
	if (code != ERROR_NONE)
		return code;
	(void)snprintf(file, sizeof(file), "%s/postern.conf", config_out->root);
	code = read_file(&from_file);
	if (code == ERROR_NONE)
		code = read_flags(&from_flags, argc, argv);
	if (code != ERROR_NONE)
		return code;
	if (!config_out->tls_certificate[0] != !config_out->tls_key[0])
		return error_set(error, ERROR_USAGE,
				 "serve: --tls-cert and --tls-key belong together");
	return add_defaults(config_out, error);
}

void config_help(FILE *out)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		char flag[64];

		(void)snprintf(flag, sizeof(flag), "%s %s", settings[i].flag, settings[i].argument);
		(void)fprintf(out, "  %-24s %s\n", flag, settings[i].help);
		(void)fprintf(out, "  %-24s (default: %s)\n", "", settings[i].fallback);
	}
}

const char *config_listener_name(enum listener_kind kind)
{
	static const char *const names[] = {[LISTENER_POP3] = "pop3",
					    [LISTENER_POP3S] = "pop3s",
					    [LISTENER_LMTP] = "lmtp",
					    [LISTENER_SMTP] = "smtp",
					    [LISTENER_SOCKETMAP] = "socketmap"};

	return names[kind];
}
