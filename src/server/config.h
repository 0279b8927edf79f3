/*
 * config: what `postern serve` was told, from one table of rows {section, key, flag, kind, default,
 * help}. Flags, their help, and the keys of ROOT/postern.conf are all derived from it, so that none
 * of them can know a setting the others do not.
 *
 * A flag given replaces what the file says for the same key; a repeatable one replaces the whole
 * list. What neither says has its default. A relative path in the file begins at ROOT, a flag's
 * where the command was typed.
 */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/limits.h"
#include "net/address.h"
#include "server/message.h"

struct config_listener {
	enum listener_kind kind;
	struct address address;
};

struct config {
	char root[PATH_MAX]; /* absolute, without a slash at its end */
	struct config_listener listeners[LISTENERS_MAX];
	uint32_t listener_count; /* the LMTP socket ROOT/run/lmtp.sock is always among them */
	uint32_t workers;
	bool allow_plaintext;
	char tls_certificate[PATH_MAX]; /* "": the pair in ROOT/tls */
	char tls_key[PATH_MAX];
	int argument_count; /* the flags as given, for a reload; borrowed */
	char *const *arguments;
};

/* Reads ROOT/postern.conf, if there is one, and the words behind `postern serve` (argv[0] is the
 * first of them). ERROR_NONE, ERROR_USAGE or ERROR_CONFIG; the text names the word or the line. The
 * words must live as long as the config. */
enum error_code config_parse(int argc, char *const *argv, const char *root,
			     struct config *config_out, struct error *error);

/* The flags of `postern serve`, one a line. */
void config_help(FILE *out);

/* "pop3", "pop3s", "lmtp". */
const char *config_listener_name(enum listener_kind kind);

#endif
