/*
 * cmd_account_add: `postern account add`.
 *
 * Guarantees: the account is there with everything that was asked for, or not at all.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "accounts/secret.h"
#include "cli/cmd_account.h"

struct addition {
	const char *given, *store, *path, *quota, *quota_messages, *password_file;
	struct option_list aliases, catch_alls;
	bool disable, apop;
	char name[ACCOUNT_NAME_MAX + 1];
	char verifier[VERIFIER_MAX + 1];
	char secret[PASSWORD_MAX + 1];
	enum store_kind kind;
	struct account account;
};

enum error_code account_normal_name(struct directory *directory, const char *given,
				    char name_out[ACCOUNT_NAME_MAX + 1], struct error *error)
{
	char domain[DOMAIN_MAX + 1];
	enum error_code code = directory_default_domain(directory, domain, error);

	if (code != ERROR_NONE)
		return code;
	return account_name_normalise(bytes_of(given), domain, name_out, error);
}

enum error_code account_normal_alias(struct directory *directory, const char *given,
				     char alias_out[ACCOUNT_NAME_MAX + 1], struct error *error)
{
	if (given[0] != '@')
		return account_normal_name(directory, given, alias_out, error);
	alias_out[0] = '@';
	return account_domain_normalise(bytes_of(given + 1), alias_out + 1, error);
}

enum error_code account_add_row(struct directory *directory, const char *name, const char *store,
				const char *verifier, struct account *account, struct error *error)
{
	(void)snprintf(account->name, sizeof(account->name), "%s", name);
	(void)snprintf(account->store, sizeof(account->store), "%s", store);
	if (!account->path[0] && !account_path(name, account->path))
		return error_set(error, ERROR_DATA,
				 "%.150s makes a path of more than %d octets; choose a shorter one",
				 name, MAILDROP_PATH_MAX);
	return directory_add(directory, account, verifier, error);
}

static enum error_code add_aliases(struct directory *directory, uint64_t account,
				   const struct option_list *list, const char *before,
				   struct error *error)
{
	enum error_code code = ERROR_NONE;

	for (size_t i = 0; i < list->count && code == ERROR_NONE; i++) {
		char given[ACCOUNT_NAME_MAX + 2], alias[ACCOUNT_NAME_MAX + 1];

		(void)snprintf(given, sizeof(given), "%s%s", before, list->values[i]);
		code = account_normal_alias(directory, given, alias, error);
		if (code == ERROR_NONE)
			code = directory_add_alias(directory, account, alias, error);
	}
	return code;
}

static enum error_code add_rows(struct directory *directory, struct addition *addition,
				struct error *error)
{
	struct account *account = &addition->account;
	enum error_code code =
		account_add_row(directory, addition->name, store_kind_name(addition->kind),
				addition->verifier, account, error);

	if (code == ERROR_NONE)
		code = add_aliases(directory, account->id, &addition->aliases, "", error);
	if (code == ERROR_NONE)
		code = add_aliases(directory, account->id, &addition->catch_alls, "@", error);
	return code;
}

/* A transaction around a function that changes several rows. */
static enum error_code add_together(struct directory *directory, struct addition *addition,
				    struct error *error)
{
	enum error_code code = directory_begin(directory, error), ended;

	if (code != ERROR_NONE)
		return code;
	code = add_rows(directory, addition, error);
	ended = directory_commit(directory, code == ERROR_NONE, error);
	return code != ERROR_NONE ? code : ended;
}

/* So that nobody types a password for a name that is taken; add_rows() decides. */
static enum error_code check_free(struct directory *directory, const struct addition *addition,
				  struct error *error)
{
	struct account holder;
	enum error_code code = directory_find(directory, bytes_of(addition->name), &holder, error);

	if (code == ERROR_NO_USER || strncmp(addition->name, "postmaster@", 11) == 0) {
		error->code = ERROR_NONE;
		return ERROR_NONE;
	}
	if (code != ERROR_NONE)
		return code;
	return error_set(error, ERROR_DATA, "there is already an account or alias %s",
			 addition->name);
}

/* Consent comes last: with a secret whose account was not made nobody can do anything. */
static enum error_code add(struct directory *directory, struct addition *addition,
			   struct buffer *password, struct error *error)
{
	enum error_code code =
		account_normal_name(directory, addition->given, addition->name, error);

	if (code == ERROR_NONE)
		code = check_free(directory, addition, error);
	if (code == ERROR_NONE)
		code = account_password_take(password, addition->name, addition->verifier,
					     addition->secret, error);
	if (code == ERROR_NONE)
		code = add_together(directory, addition, error);
	if (code == ERROR_NONE && addition->apop)
		code = directory_set_apop(directory, addition->account.id, addition->secret, error);
	return code;
}

static enum error_code take_options(const struct home *home, struct addition *addition,
				    struct error *error)
{
	struct account *account = &addition->account;
	enum error_code code = ERROR_NONE;

	addition->kind = STORE_MBOX;
	account->disabled = addition->disable;
	if (addition->store)
		code = account_store_parse(addition->store, &addition->kind, error);
	if (code == ERROR_NONE && addition->quota)
		code = account_quota_parse(addition->quota, &account->quota_octets, error);
	if (code == ERROR_NONE && addition->quota_messages)
		code = account_quota_messages_parse(addition->quota_messages,
						    &account->quota_messages, error);
	if (code == ERROR_NONE && addition->path)
		code = account_path_parse(home, addition->path, account, error);
	return code;
}

/* Where it will lie, if that was not said; the name is known only now. */
static enum error_code add_at_usual_place(const struct home *home, struct directory *directory,
					  struct addition *addition, struct buffer *password,
					  struct error *error)
{
	struct account *account = &addition->account;
	enum error_code code =
		account_normal_name(directory, addition->given, account->name, error);

	if (code != ERROR_NONE)
		return code;
	if (!account->path[0] && !account_path_usual(home, account, addition->kind, 0))
		return error_set(error, ERROR_DATA,
				 "%.150s makes a path of more than %d octets; choose a shorter "
				 "one, or --path",
				 account->name, MAILDROP_PATH_MAX);
	return add(directory, addition, password, error);
}

static enum error_code add_to_home(const struct context *context, struct addition *addition,
				   struct buffer *password, struct error *error)
{
	char path[HOME_MAILDROP_PATH_OCTETS];
	struct home home;
	struct directory *directory;
	enum error_code code = home_open(context, true, &home, error);

	if (code != ERROR_NONE)
		return code;
	code = take_options(&home, addition, error);
	if (code == ERROR_NONE)
		code = home_become(&home, HOME_ACCOUNTS, error);
	if (code == ERROR_NONE)
		code = home_directory(&home, true, &directory, error);
	if (code == ERROR_NONE) {
		code = add_at_usual_place(&home, directory, addition, password, error);
		directory_close(directory);
	}
	home_maildrop_path(&home, &addition->account, path);
	if (code == ERROR_NONE)
		printf("added %s; its mail will be kept in %s\n", addition->account.name, path);
	home_close(&home);
	return code;
}

int account_add(struct context *context, int argc, char **argv)
{
	struct addition addition = {.given = NULL};
	const struct option_row rows[] = {
		{"alias", "ADDRESS", "another address of the account", NULL, NULL,
		 &addition.aliases},
		{"catch-all", "DOMAIN", "takes what nobody else in this domain takes", NULL, NULL,
		 &addition.catch_alls},
		PASSWORD_FILE_ROW(addition.password_file),
		{"store", "KIND", "how the mail is kept: mbox (the default), maildir or spool",
		 NULL, &addition.store, NULL},
		{"path", "PATH", "where: below ROOT/mail, or absolute in a mail root", NULL,
		 &addition.path, NULL},
		{"quota", "OCTETS", "the most it may hold, also with k, M, G, T", NULL,
		 &addition.quota, NULL},
		{"quota-messages", "NUMBER", "the most messages it may hold", NULL,
		 &addition.quota_messages, NULL},
		{"disable", NULL, "neither logins nor mail, until enabled", &addition.disable, NULL,
		 NULL},
		{"apop", NULL, "consents to APOP: keeps the password itself, not only a hash",
		 &addition.apop, NULL, NULL},
	};
	const struct option_page page = {
		.operands = "USER@DOMAIN",
		.operands_min = 1,
		.operands_max = 1,
		.about =
			"Adds an account: a login for POP3 and an address that mail is taken for.\n"
			"Asks for the password, twice, unless --password-file is given. The domain "
			"of the first\naccount is the default domain: behind it a bare USER will "
			"do. "
			"Mail to postmaster goes to\nthe first account until an alias says "
			"otherwise. A running server knows the account at once.",
		.examples = "  postern account add alice@example.org\n"
			    "  postern account add bob --alias sales --quota 2G\n"
			    "  postern account add dora --store maildir --path /srv/mail/dora\n"
			    "  pwgen 20 1 | tee carol.secret | postern account add carol "
			    "--password-file -",
		.rows = rows,
		.row_count = sizeof(rows) / sizeof(rows[0]),
	};
	struct error error = {.code = ERROR_NONE};
	struct buffer password;
	enum error_code code;
	char **operands;
	int count, status;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	addition.given = operands[0];
	code = account_password_early(addition.password_file, &password, &error);
	if (code == ERROR_NONE)
		code = add_to_home(context, &addition, &password, &error);
	account_password_free(&password);
	secret_wipe(addition.secret, sizeof(addition.secret));
	return code == ERROR_NONE ? EX_OK : command_fail(context, &error);
}
