/*
 * cmd_account: the parts of `postern account`, each in its file, and what they share.
 */
#ifndef CLI_CMD_ACCOUNT_H
#define CLI_CMD_ACCOUNT_H

#include "accounts/directory.h"
#include "cli/home.h"
#include "cli/option.h"

int account_add(struct context *context, int argc, char **argv);
int account_list(struct context *context, int argc, char **argv);
int account_show(struct context *context, int argc, char **argv);
int account_set(struct context *context, int argc, char **argv);
int account_import(struct context *context, int argc, char **argv);

/* ---- passwords: cmd_account.c ---- */

#define PASSWORD_FILE_ROW(target)                                                                  \
	{                                                                                          \
		"password-file", "FILE", "read the password from FILE; - is standard input", NULL, \
			&(target), NULL                                                            \
	}

/* A file is read at once, before privileges are given away, because it may be root's. */
enum error_code account_password_early(const char *file, struct buffer *password,
				       struct error *error);
void account_password_free(struct buffer *password);
/* The password, from the terminal if there was no file, as a verifier and as a string. */
enum error_code account_password_take(struct buffer *password, const char *account,
				      char verifier_out[VERIFIER_MAX + 1],
				      char secret_out[PASSWORD_MAX + 1], struct error *error);

/* ---- names ---- */

/* A name that a user gave, with the default domain. */
enum error_code account_normal_name(struct directory *directory, const char *given,
				    char name_out[ACCOUNT_NAME_MAX + 1], struct error *error);
/* An alias that a user gave; "@domain" is a catch-all. */
enum error_code account_normal_alias(struct directory *directory, const char *given,
				     char alias_out[ACCOUNT_NAME_MAX + 1], struct error *error);

/* ---- stores, places and quotas: cmd_account_place.c ---- */

/* ERROR_USAGE when the word names no store that accounts can have. */
enum error_code account_store_parse(const char *word, enum store_kind *kind_out,
				    struct error *error);

/* "0", a number of octets, or one with k, M, G or T behind it (powers of 1024). */
enum error_code account_quota_parse(const char *word, uint64_t *octets_out, struct error *error);
enum error_code account_quota_messages_parse(const char *word, uint32_t *messages_out,
					     struct error *error);

/* What `--path` says: relative to ROOT/mail, or absolute and below a mail root. */
enum error_code account_path_parse(const struct home *home, const char *given,
				   struct account *account, struct error *error);

/* Where the maildrop of an account lies that says nothing of it; attempt 0, 1, … are different
 * ones. False behind the last. */
bool account_path_usual(const struct home *home, struct account *account, enum store_kind kind,
			unsigned attempt);

/* ---- moving: cmd_account_move.c ---- */

struct account_move {
	const struct home *home;
	struct account account; /* before */
	struct account after;   /* name, store, mail_root and path; more than one when `usual` */
	enum store_kind kind;
	bool usual; /* no --path: after.path is chosen among account_path_usual() */
};

/* Converts the maildrop, as owner of HOME_MAIL. The attendant's data begins with a struct account:
 * its work is to write the row of that (directory_move). Says what was done. */
enum error_code account_move(struct home *home, struct account_move *move,
			     struct home_attendant *attendant, struct error *error);

/* ---- rows ---- */

/* Adds an account with a maildrop of its own; `name` is normal. Of `account` the quotas, whether it
 * is disabled and its place are read; path "" means DOMAIN/USER below ROOT/mail. */
enum error_code account_add_row(struct directory *directory, const char *name, const char *store,
				const char *verifier, struct account *account, struct error *error);

#endif
