/*
 * mail_roots: the folders that maildrops lie in, and their numbers.
 *
 * An account keeps (number of the mail root, path below it). Number 0 is ROOT/mail; further ones
 * come from the key `mail-root` of postern.conf, and where Postern runs as root /var/mail is one
 * without being named. A number must mean the same folder for ever, however the keys are ordered or
 * changed, and the supervisor must know it, who never reads the account database. So line n of
 * ROOT/mail-roots is the path of mail root n; lines are added and never changed. A root that the
 * keys no longer name keeps its number and is not opened.
 */
#ifndef SERVER_MAIL_ROOTS_H
#define SERVER_MAIL_ROOTS_H

#include <limits.h>
#include <stdint.h>

#include "base/limits.h"
#include "server/instance.h"

#define MAIL_ROOTS_SYSTEM "/var/mail" /* the system users' spools */

struct mail_roots {                          /* large: static or on the heap */
	uint32_t count;                      /* the highest number in use, and one */
	char path[MAIL_ROOTS_MAX][PATH_MAX]; /* by number; "": not in use, and number 0 */
};

/* Gives every configured path its number. `root_path` is ROOT, absolute. Before privileges are
 * given away. ERROR_CONFIG when a path is not absolute and plain, lies in ROOT or in another, or
 * there are too many. */
enum error_code mail_roots_number(const struct instance *instance, const char *root_path,
				  const char (*configured)[PATH_MAX], size_t configured_count,
				  struct mail_roots *mail_roots_out, struct error *error);

/* Which root an absolute path lies in: its number, and the path below it (a part of `path`). False
 * when in none. */
bool mail_roots_find(const struct mail_roots *mail_roots, const char *root_path, const char *path,
		     uint32_t *number_out, const char **below_out);

#endif
