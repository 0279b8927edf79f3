/*
 * config_listener: the settings that name where to listen.
 *
 * Guarantees: within the limit, and no address twice: two listeners on one path would be each
 * other's "another server". Must not know: how they are bound.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/config_private.h"

enum error_code config_check_listener(const struct config_listener *listener, struct error *error)
{
	if (listener->address.storage.ss_family == AF_UNIX && listener->kind != LISTENER_LMTP &&
	    listener->kind != LISTENER_SOCKETMAP)
		return error_set(error, ERROR_CONFIG,
				 "only LMTP and socketmap can listen on a unix socket");
	return ERROR_NONE;
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
	listener->kind = kind;
	listener->line = 0;
	code = config_check_listener(listener, error);
	if (code == ERROR_NONE)
		config->listener_count++;
	return code;
}

void config_set_listener(struct config_source *source, enum listener_kind kind, const char *value,
			 bool first)
{
	struct config *config = source->config;
	char room[PATH_MAX + 256];
	struct error why;

	if (source->file && bytes_start_with(bytes_of(value), BYTES("unix:")) && value[5] != '/' &&
	    value[5] != '\0') {
		(void)snprintf(room, sizeof(room), "unix:%s/%.200s", config->root, value + 5);
		value = room;
	}
	if (first)
		remove_listeners(config, kind);
	if (add_listener(config, kind, value, &why) != ERROR_NONE)
		config_complain(source, why.text, value);
	else
		config->listeners[config->listener_count - 1].line = config_line(source);
}

/* ---- one address twice ---- */

/* The folder of a path, "." for a bare name, and what is behind it. */
static const char *split(const char *path, char folder[PATH_MAX])
{
	const char *slash = strrchr(path, '/');

	(void)snprintf(folder, PATH_MAX, "%.*s", slash ? (int)(slash - path) + 1 : 1,
		       slash ? path : ".");
	return slash ? slash + 1 : path;
}

/* By name, and by folder when there are two names for it. */
static bool same_path(const char *a, const char *b)
{
	char of_a[PATH_MAX], of_b[PATH_MAX];
	const char *name_a = split(a, of_a), *name_b = split(b, of_b);
	struct stat folder_a, folder_b;

	if (strcmp(name_a, name_b) != 0)
		return false;
	return strcmp(of_a, of_b) == 0 ||
	       (stat(of_a, &folder_a) == 0 && stat(of_b, &folder_b) == 0 &&
		folder_a.st_dev == folder_b.st_dev && folder_a.st_ino == folder_b.st_ino);
}

static const char *unix_path(const struct address *address)
{
	const struct sockaddr_un *name =
		(const struct sockaddr_un *)(const void *)&address->storage;

	return address->storage.ss_family == AF_UNIX ? name->sun_path : NULL;
}

static bool same_address(const struct address *a, const struct address *b)
{
	const char *path_a = unix_path(a), *path_b = unix_path(b);
	char of_a[ADDRESS_OCTETS], of_b[ADDRESS_OCTETS];

	if (path_a && path_b)
		return same_path(path_a, path_b);
	if (strcmp(address_print(a, of_a), address_print(b, of_b)) != 0)
		return false;
	return strcmp(strrchr(of_a, ':'), ":0") != 0; /* which twice means two ports */
}

static void complain_of(const struct config *config, const struct config_listener *listener,
			const char *what, struct problems *problems)
{
	char place[CONFIG_PLACE_OCTETS], address[ADDRESS_OCTETS];

	(void)problems_add(problems, listener->line > 0 ? ERROR_CONFIG : ERROR_USAGE, "%s: %s %s",
			   config_place_at(config, config_listener_name(listener->kind),
					   listener->line, place),
			   address_print(&listener->address, address), what);
}

static void look_for_doubles(const struct config *config, struct problems *problems)
{
	static const char *const ours[] = {"lmtp.sock", "control.sock"};
	char path[PATH_MAX + 32];

	for (uint32_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		const char *here = unix_path(&listener->address);

		for (size_t j = 0; here && j < sizeof(ours) / sizeof(ours[0]); j++) {
			(void)snprintf(path, sizeof(path), "%s/run/%s", config->root, ours[j]);
			if (same_path(here, path))
				complain_of(config, listener, "is the server's own already",
					    problems);
		}
		for (uint32_t j = 0; j < i; j++) {
			if (!same_address(&config->listeners[j].address, &listener->address))
				continue;
			complain_of(config, listener, "is given twice", problems);
			break;
		}
	}
}

/* ---- defaults ---- */

static bool has_listener(const struct config *config, enum listener_kind kind)
{
	for (uint32_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].kind == kind)
			return true;
	return false;
}

void config_add_listeners(struct config *config, struct problems *problems)
{
	bool root = geteuid() == 0;
	char path[PATH_MAX + 32];
	enum error_code code = ERROR_NONE;
	struct error error;

	config->default_listeners =
		!has_listener(config, LISTENER_POP3) && !has_listener(config, LISTENER_POP3S);
	if (config->default_listeners)
		code = add_listener(config, LISTENER_POP3, root ? ":110" : "127.0.0.1:1110",
				    &error);
	if (config->default_listeners && code == ERROR_NONE)
		code = add_listener(config, LISTENER_POP3S, root ? ":995" : "127.0.0.1:1995",
				    &error);
	look_for_doubles(config, problems);
	(void)snprintf(path, sizeof(path), "unix:%s/run/lmtp.sock", config->root);
	if (code == ERROR_NONE)
		code = add_listener(config, LISTENER_LMTP, path, &error);
	if (code != ERROR_NONE)
		(void)problems_take(problems, &error);
}

/* ---- names ---- */

static const char *const listener_names[] = {[LISTENER_POP3] = "pop3",
					     [LISTENER_POP3S] = "pop3s",
					     [LISTENER_LMTP] = "lmtp",
					     [LISTENER_SMTP] = "smtp",
					     [LISTENER_SOCKETMAP] = "socketmap"};

const char *config_listener_name(enum listener_kind kind)
{
	return listener_names[kind];
}

bool config_listener_kind(struct bytes name, enum listener_kind *kind_out)
{
	for (size_t i = LISTENER_POP3; i < sizeof(listener_names) / sizeof(listener_names[0]);
	     i++) {
		if (bytes_equal(name, bytes_of(listener_names[i]))) {
			*kind_out = (enum listener_kind)i;
			return true;
		}
	}
	return false;
}
