/*
 * directory: the account database, whatever it is kept in.
 *
 * SQLite (accounts/sqlite.c) is the one kind there is. A second one turns these functions into a
 * table of pointers as store/store.h has it; callers will not notice, because `struct directory` is
 * opaque. In a server only the auth process opens it; the command line opens it for `account` and
 * `mailbox`.
 *
 * An account is a login with a maildrop; an alias is another address of it. Names are
 * `user@domain`, compared and kept in lower case; a bare `user` means the default domain, that of
 * the first account until another is set. The local domains are those of the accounts and aliases
 * and the aliases of domains. `postmaster` of any local domain is the first account until an alias
 * says otherwise.
 *
 * Credentials are rows (account, kind, verifier). The one secret that is kept as it is, because
 * APOP cannot do with less, lies in a database file of its own beside this one (apop.db), which is
 * made when the first account consents.
 *
 * All functions block. A directory is used by one thread at a time, except directory_find and
 * directory_verifier, which may be called from several when each has opened its own.
 */
#ifndef ACCOUNTS_DIRECTORY_H
#define ACCOUNTS_DIRECTORY_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"

struct directory;

struct account {
	uint64_t id; /* never used twice, not even after remove */
	uint64_t generation;
	char name[ACCOUNT_NAME_MAX + 1]; /* user@domain, lower case */
	char store[16];                  /* "mbox" */
	uint32_t mail_root;
	char path[MAILDROP_PATH_MAX + 1]; /* below the mail root */
	bool disabled;
	bool apop;               /* consents to APOP: its secret is kept */
	uint32_t quota_messages; /* 0: none */
	uint64_t quota_octets;   /* of RFC 1939 section 11; 0: none */
	int64_t created_unix_seconds;
};

/* Checks and normalises what a user or a peer gave as a name: local part of letters, digits and
 * `.!#$%&'*+-/=?^_`{|}~` as RFC 5321 Dot-string (no quoted strings), a domain of letters, digits
 * and hyphens in labels; lower case; `default_domain` is added to a bare local part when it is not
 * empty. ERROR_NONE or ERROR_DATA with the reason. */
enum error_code account_name_normalise(struct bytes given, const char *default_domain,
				       char name_out[ACCOUNT_NAME_MAX + 1], struct error *error);

/* The same for a domain alone. */
enum error_code account_domain_normalise(struct bytes given, char domain_out[DOMAIN_MAX + 1],
					 struct error *error);

/* May this be the path of a maildrop below a mail root? Relative, no part of it empty or beginning
 * with a dot, no octet outside 0x21 to 0x7E, no longer than MAILDROP_PATH_MAX; ERROR_DATA with the
 * reason. */
enum error_code account_path_check(struct bytes path, struct error *error);

/* The maildrop's path below a mail root for a normalised name: DOMAIN/USER, with every octet that
 * is not a letter, digit, '.', '-', '_' or '+' as %XX, and a leading dot as %2E. */
bool account_path(const char *name, char path_out[MAILDROP_PATH_MAX + 1]);

/* ---- opening ---- */

/* Opens (and with `create` makes, mode 0600) the database `path`, e.g. ROOT/accounts/accounts.db.
 */
enum error_code directory_open(const char *path, bool create, struct directory **directory_out,
			       struct error *error);
void directory_close(struct directory *directory); /* NULL is allowed */

/* ---- looking up ---- */

/* The account a login means, or a command: by name, then by alias, then both with the domain that
 * the given one is an alias of, then postmaster; a bare name has the default domain. Disabled
 * accounts are found too. ERROR_NONE, ERROR_NO_USER, or TEMPORARY, IO. */
enum error_code directory_find(struct directory *directory, struct bytes name,
			       struct account *account_out, struct error *error);

/* The account an address means, for mail: as directory_find(); then the same for `user+tag` without
 * what begins at the first '+'; then the catch-all alias (`@domain`) of the domain, or of the one
 * it is an alias of. A login never means an account by these last two, or whoever mistypes a name
 * would try passwords of another's account. */
enum error_code directory_resolve(struct directory *directory, struct bytes address,
				  struct account *account_out, struct error *error);

/* The verifier of the account's main password, an argon2id PHC string; ERROR_NO_USER when it has
 * none. */
enum error_code directory_verifier(struct directory *directory, uint64_t account,
				   char verifier_out[VERIFIER_MAX + 1], struct error *error);

/* The secret that the account shares with its owner for APOP (RFC 1939 section 7), a C string;
 * ERROR_NO_USER when it has not consented or has no secret that goes with its password. The caller
 * wipes it. */
enum error_code directory_apop_secret(struct directory *directory, uint64_t account,
				      char secret_out[PASSWORD_MAX + 1], struct error *error);

/* Is there any account, alias or alias of a domain for this domain (lower case)? */
enum error_code directory_is_local(struct directory *directory, struct bytes domain,
				   bool *local_out, struct error *error);

/* The domain a bare user means; "" when there is no account yet. */
enum error_code directory_default_domain(struct directory *directory,
					 char domain_out[DOMAIN_MAX + 1], struct error *error);

/* Accounts in the order of their numbers, the first whose number is greater than `after` (0 for the
 * first of all). ERROR_NO_USER behind the last. */
enum error_code directory_next(struct directory *directory, uint64_t after,
			       struct account *account_out, struct error *error);

/* Aliases of an account in alphabetical order, the first behind `after` ("" for the first of all);
 * ERROR_NO_USER behind the last. */
enum error_code directory_next_alias(struct directory *directory, uint64_t account,
				     const char *after, char alias_out[ACCOUNT_NAME_MAX + 1],
				     struct error *error);

/* Aliases of domains in alphabetical order, the first behind `after`; ERROR_NO_USER behind the
 * last.
 */
enum error_code directory_next_domain_alias(struct directory *directory, const char *after,
					    char alias_out[DOMAIN_MAX + 1],
					    char domain_out[DOMAIN_MAX + 1], struct error *error);

/* ---- changing ---- */

/* Adds an account; name, store, mail_root, path, disabled and the quotas are read, the rest is
 * filled in. ERROR_DATA when the name or the path is taken (by an account or an alias). */
enum error_code directory_add(struct directory *directory, struct account *account,
			      const char *verifier, struct error *error);

/* Writes `disabled` and the quotas. */
enum error_code directory_set(struct directory *directory, const struct account *account,
			      struct error *error);

/* The maildrop is elsewhere from now on: writes store, mail_root and path and raises the
 * generation, which is filled in. ERROR_TEMPORARY when the generation has changed meanwhile,
 * ERROR_DATA when the path is another account's. */
enum error_code directory_move(struct directory *directory, struct account *account,
			       struct error *error);

/* `alias` is a name, or `@domain` for the catch-all of a domain. */
enum error_code directory_add_alias(struct directory *directory, uint64_t account,
				    const char *alias, struct error *error);
/* ERROR_NO_USER when the account has no such alias. */
enum error_code directory_remove_alias(struct directory *directory, uint64_t account,
				       const char *alias, struct error *error);

/* Addresses at `alias` mean those at `domain`, unless an account or alias has just that name.
 * ERROR_DATA when `domain` is not local or is an alias itself, or `alias` is one already. */
enum error_code directory_add_domain_alias(struct directory *directory, const char *alias,
					   const char *domain, struct error *error);
enum error_code directory_remove_domain_alias(struct directory *directory, const char *alias,
					      struct error *error);

/* ERROR_DATA when the domain is not local. */
enum error_code directory_set_default_domain(struct directory *directory, const char *domain,
					     struct error *error);

/* A new password: with the secret (NULL: none is known) for APOP, if the account consents to it. */
enum error_code directory_set_verifier(struct directory *directory, uint64_t account,
				       const char *verifier, const char *secret,
				       struct error *error);

/* Consents to APOP with this secret, which is the password of the account's verifier; or, with
 * NULL, withdraws and wipes the secret. */
enum error_code directory_set_apop(struct directory *directory, uint64_t account,
				   const char *secret, struct error *error);

enum error_code directory_remove(struct directory *directory, uint64_t account,
				 struct error *error);

/* Everything between begin and commit happens or nothing does (import). Not for functions that take
 * a secret. */
enum error_code directory_begin(struct directory *directory, struct error *error);
enum error_code directory_commit(struct directory *directory, bool keep, struct error *error);

#endif
