/*
 * config: what `postern serve` was told, from one table of rows {key, kind, default, help}. Flags,
 * their help, and the keys of ROOT/postern.conf are all derived from it, so that none of them can
 * know a setting the others do not.
 *
 * A flag given replaces what the file says for the same key; a repeatable one replaces the whole
 * list. What neither says has its default. A relative path in the file begins at ROOT, a flag's
 * where the command was typed. All that is wrong is found at once, with file and line.
 */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "net/address.h"
#include "net/network.h"
#include "server/message.h"
#include "server/problems.h"

struct config_listener {
	enum listener_kind kind;
	struct address address;
	uint32_t line; /* of the file that names it; 0: a flag, or the default */
};

#define CONFIG_KEYS_MAX       64
#define CONFIG_MAIL_ROOTS_MAX (MAIL_ROOTS_MAX - 1) /* ROOT/mail is one without being named */

struct config {
	char root[PATH_MAX]; /* absolute, without a slash at its end */
	struct config_listener listeners[LISTENERS_MAX];
	uint32_t listener_count; /* the LMTP socket ROOT/run/lmtp.sock is always among them */
	bool default_listeners;  /* no address of POP3 was named */
	uint32_t workers;
	char host[DOMAIN_MAX + 1]; /* our name to peers; else that of the machine */
	bool allow_plaintext;
	bool apop;
	uint32_t connections_per_address; /* of one worker; 0: any number */
	uint32_t message_octets_max;
	uint32_t megabytes_per_user;                  /* of one worker, in an hour; 0: any number */
	struct network trusted[TRUSTED_NETWORKS_MAX]; /* loopback, unless others are named */
	uint32_t trusted_count;
	uint32_t trusted_users[TRUSTED_USERS_MAX]; /* uids */
	uint32_t trusted_user_count;
	char tls_certificate[PATH_MAX]; /* "": the pair in ROOT/tls */
	char tls_key[PATH_MAX];
	char mail_roots[CONFIG_MAIL_ROOTS_MAX][PATH_MAX]; /* further ones, absolute */
	uint32_t mail_root_lines[CONFIG_MAIL_ROOTS_MAX];  /* of the file; 0: a flag */
	uint32_t mail_root_count;
	uint32_t log_to;     /* enum log_target */
	uint32_t log_format; /* enum log_format */
	uint32_t log_level;  /* enum log_level */
	uint32_t
		lines[CONFIG_KEYS_MAX]; /* of each key, the first if repeated; for config_place() */
	int argument_count;             /* the flags as given, for a reload; borrowed */
	char *const *arguments;
};

/* Reads ROOT/postern.conf, if there is one, and the words behind `postern serve` (argv[0] is the
 * first of them). Each problem is ERROR_USAGE or ERROR_CONFIG and names the word or the line; what
 * is not a problem is in *config_out all the same. The words must live as long as the config. */
void config_read(int argc, char *const *argv, const char *root, struct config *config_out,
		 struct problems *problems);

/* The same, for who needs it whole or not at all: the first problem, and how many there are. */
enum error_code config_parse(int argc, char *const *argv, const char *root,
			     struct config *config_out, struct error *error);

/* Where a key was set, for an error that is found when its value is used:
 * "ROOT/postern.conf line 3: tls-cert", or "--tls-cert". The second takes the line of one of
 * several values. */
#define CONFIG_PLACE_OCTETS 300
const char *config_place(const struct config *config, const char *key,
			 char room[CONFIG_PLACE_OCTETS]);
const char *config_place_at(const struct config *config, const char *key, uint32_t line,
			    char room[CONFIG_PLACE_OCTETS]);

/* The flags of `postern serve`, one a line. */
void config_help(FILE *out);

/* "pop3", "pop3s", "lmtp". */
const char *config_listener_name(enum listener_kind kind);
/* Can this kind listen at such an address? A peer of POP3 and SMTP has an IP address. */
enum error_code config_check_listener(const struct config_listener *listener, struct error *error);
/* The kind of this name; false when there is none. */
bool config_listener_kind(struct bytes name, enum listener_kind *kind_out);

#endif
