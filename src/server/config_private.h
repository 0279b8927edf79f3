/*
 * config_private: what the files of the configuration share.
 *
 *   config.c        the table, its values, flags, defaults
 *   config_file.c   ROOT/postern.conf
 *   config_listener.c  where to listen
 *   config_trust.c  networks and users that are trusted
 */
#ifndef SERVER_CONFIG_PRIVATE_H
#define SERVER_CONFIG_PRIVATE_H

#include "server/config.h"

/* Where values come from: the first value of a source replaces the list of the source before. */
struct config_source {
	struct config *config;
	struct problems *problems;
	bool seen[CONFIG_KEYS_MAX];
	const char *file; /* NULL: the command line */
	int line;
};

/* A problem at this place of the source, about this word. */
void config_complain(struct config_source *source, const char *what, const char *word);

/* Where it is; 0: the command line. */
uint32_t config_line(const struct config_source *source);

/* Takes one value; complains of it, or of a key that there is not. */
void config_set(struct config_source *source, const char *key, const char *value);

/* Reads source->file, if there is one. */
void config_read_file(struct config_source *source);

/* One more address; the first of a source replaces those of its kind that were before. */
void config_set_listener(struct config_source *source, enum listener_kind kind, const char *value,
			 bool first);
/* Those that are there without being named; complains of an address that is given twice. */
void config_add_listeners(struct config *config, struct problems *problems);

/* One more network or user; the first of a source replaces those of the source before. The network
 * "none" leaves none. */
void config_set_network(struct config_source *source, const char *value, bool first);
void config_set_user(struct config_source *source, const char *value, bool first);
void config_trust_loopback(struct config *config);

#endif
