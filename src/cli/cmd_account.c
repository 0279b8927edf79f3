/*
 * cmd_account: `postern account`: its table, and add, passwd and remove. What only looks is in
 * cmd_account_list.c, what reads a file of accounts in cmd_account_import.c.
 *
 * Guarantees: a password comes from a terminal, a file or standard input, never from an argument;
 * a command that fails has changed nothing.
 */
#include "cli/cmd_account.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "accounts/secret.h"
#include "cli/home.h"
#include "cli/option.h"
#include "cli/password.h"
#include "store/store.h"

#define PASSWORD_FILE_ROW(target)                                                                  \
	{                                                                                          \
		"password-file", "FILE", "read the password from FILE; - is standard input", NULL, \
			&(target), NULL                                                            \
	}

enum error_code account_add_row(struct directory *directory, const char *name, const char *store,
				const char *verifier, struct account *account_out,
				struct error *error)
{
	*account_out = (struct account){.mail_root = 0};
	(void)snprintf(account_out->name, sizeof(account_out->name), "%s", name);
	(void)snprintf(account_out->store, sizeof(account_out->store), "%s", store);
	if (!account_path(name, account_out->path))
		return error_set(error, ERROR_DATA,
				 "%.150s makes a path of more than %d octets; choose a shorter one",
				 name, MAILDROP_PATH_MAX);
	return directory_add(directory, account_out, verifier, error);
}

/* A password, from wherever it comes, as a verifier. */
static enum error_code read_verifier(struct buffer *password, const char *account,
				     char verifier_out[VERIFIER_MAX + 1], struct error *error)
{
	enum error_code code = ERROR_NONE;

	if (password->length == 0)
		code = password_read(NULL, account, password, error);
	if (code == ERROR_NONE)
		code = secret_hash(buffer_bytes(password), verifier_out, error);
	return code;
}

/* Room for a line end behind the longest password, so that one octet more is told as such. */
static void password_init(struct buffer *password)
{
	secret_init();
	buffer_init(password, PASSWORD_MAX + 3);
}

static void password_free(struct buffer *password)
{
	buffer_wipe(password);
	buffer_free(password);
}

/* A file is read before privileges are given away, because it may be root's. */
static enum error_code read_early(const char *file, struct buffer *password, struct error *error)
{
	password_init(password);
	return file ? password_read(file, "", password, error) : ERROR_NONE;
}

/* ---- add ---- */

struct addition {
	const char *given, *store, *password_file;
	struct option_list aliases;
	char name[ACCOUNT_NAME_MAX + 1];
	char verifier[VERIFIER_MAX + 1];
	struct account account;
};

static enum error_code normal_name(struct directory *directory, const char *given,
				   char name_out[ACCOUNT_NAME_MAX + 1], struct error *error)
{
	char domain[DOMAIN_MAX + 1];
	enum error_code code = directory_default_domain(directory, domain, error);

	if (code != ERROR_NONE)
		return code;
	return account_name_normalise(bytes_of(given), domain, name_out, error);
}

static enum error_code add_rows(struct directory *directory, struct addition *addition,
				struct error *error)
{
	enum error_code code = account_add_row(directory, addition->name, addition->store,
					       addition->verifier, &addition->account, error);

	for (size_t i = 0; i < addition->aliases.count && code == ERROR_NONE; i++) {
		char alias[ACCOUNT_NAME_MAX + 1];

		code = normal_name(directory, addition->aliases.values[i], alias, error);
		if (code == ERROR_NONE)
			code = directory_add_alias(directory, addition->account.id, alias, error);
	}
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

static enum error_code add(struct directory *directory, struct addition *addition,
			   struct buffer *password, struct error *error)
{
	enum error_code code = normal_name(directory, addition->given, addition->name, error);

	if (code == ERROR_NONE)
		code = check_free(directory, addition, error);
	if (code == ERROR_NONE)
		code = read_verifier(password, addition->name, addition->verifier, error);
	if (code == ERROR_NONE)
		code = add_together(directory, addition, error);
	return code;
}

static enum error_code add_to_home(const struct context *context, struct addition *addition,
				   struct buffer *password, struct error *error)
{
	struct home home;
	struct directory *directory;
	enum error_code code = home_open(context, true, &home, error);

	if (code != ERROR_NONE)
		return code;
	code = home_become(&home, HOME_ACCOUNTS, error);
	if (code == ERROR_NONE)
		code = home_directory(&home, true, &directory, error);
	if (code == ERROR_NONE) {
		code = add(directory, addition, password, error);
		directory_close(directory);
	}
	if (code == ERROR_NONE)
		printf("added %s; its mail will be kept in %s/mail/%s\n", addition->account.name,
		       home.path, addition->account.path);
	home_close(&home);
	return code;
}

static enum error_code check_store(struct addition *addition, struct error *error)
{
	enum store_kind kind;
	char room[40];

	if (!addition->store)
		addition->store = store_kind_name(STORE_MBOX);
	if (store_kind_parse(bytes_of(addition->store), &kind) && kind == STORE_MBOX)
		return ERROR_NONE;
	return error_set(error, ERROR_USAGE, "there is no store %s for accounts, only mbox",
			 error_escape(bytes_of(addition->store), room, sizeof(room)));
}

static int account_add(struct context *context, int argc, char **argv)
{
	struct addition addition = {.given = NULL};
	const struct option_row rows[] = {
		{"alias", "ADDRESS", "another address of the account", NULL, NULL,
		 &addition.aliases},
		PASSWORD_FILE_ROW(addition.password_file),
		{"store", "KIND", "how the mail is kept: mbox, which is the default", NULL,
		 &addition.store, NULL},
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
			    "  postern account add bob --alias sales --alias bob@example.net\n"
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
	code = read_early(addition.password_file, &password, &error);
	if (code == ERROR_NONE)
		code = check_store(&addition, &error);
	if (code == ERROR_NONE)
		code = add_to_home(context, &addition, &password, &error);
	password_free(&password);
	return code == ERROR_NONE ? EX_OK : command_fail(context, &error);
}

/* ---- passwd ---- */

static enum error_code change_password(struct directory *directory, const char *name,
				       struct buffer *password, struct error *error)
{
	char verifier[VERIFIER_MAX + 1];
	struct account account;
	enum error_code code = directory_find(directory, bytes_of(name), &account, error);

	if (code == ERROR_NONE)
		code = read_verifier(password, account.name, verifier, error);
	if (code == ERROR_NONE)
		code = directory_set_verifier(directory, account.id, verifier, NULL, error);
	if (code == ERROR_NONE)
		printf("%s has a new password, from the next login on\n", account.name);
	return code;
}

static int account_passwd(struct context *context, int argc, char **argv)
{
	const char *password_file = NULL;
	const struct option_row rows[] = {PASSWORD_FILE_ROW(password_file)};
	const struct option_page page = {
		.operands = "ACCOUNT",
		.operands_min = 1,
		.operands_max = 1,
		.about =
			"Gives an account a new password. It counts from the next login on; who is "
			"logged in stays so.",
		.examples = "  postern account passwd alice@example.org\n"
			    "  postern account passwd alice --password-file alice.secret",
		.rows = rows,
		.row_count = 1,
	};
	struct error error = {.code = ERROR_NONE};
	struct directory *directory;
	struct buffer password;
	struct home home;
	enum error_code code;
	char **operands;
	int count, status;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	code = read_early(password_file, &password, &error);
	if (code == ERROR_NONE)
		code = home_open(context, false, &home, &error);
	if (code == ERROR_NONE)
		code = home_become(&home, HOME_ACCOUNTS, &error);
	if (code == ERROR_NONE)
		code = home_directory(&home, false, &directory, &error);
	if (code == ERROR_NONE) {
		code = change_password(directory, operands[0], &password, &error);
		directory_close(directory);
	}
	password_free(&password);
	return code == ERROR_NONE ? EX_OK : command_fail(context, &error);
}

/* ---- remove ---- */

struct retirement {
	struct place place;
	unsigned flags;
	bool changed; /* retired already */
};

static enum error_code retire_maildrop(struct home *home, void *data, struct error *error)
{
	struct retirement *retirement = data;
	struct home_patience patience = {0};
	struct store_root root;
	enum store_result result;
	enum error_code code = home_store(home, &root, error);

	if (code != ERROR_NONE)
		return code;
	do
		result = store_retire(&root, &retirement->place, retirement->flags, error);
	while (result == STORE_AGAIN && home_wait(&patience));
	retirement->changed = result == STORE_CHANGED;
	home_store_close(&root);
	return result == STORE_OK ? ERROR_NONE : home_store_failed(result, error);
}

static enum error_code remove_row(struct home *home, void *data, struct error *error)
{
	const struct account *account = data;
	struct directory *directory;
	enum error_code code = home_directory(home, false, &directory, error);

	if (code == ERROR_NONE) {
		code = directory_remove(directory, account->id, error);
		directory_close(directory);
	}
	return code;
}

/* Is this the account's own name, and not an alias? A bare user stands for its first part. */
static bool is_own_name(const char *own, const char *given)
{
	struct bytes name = bytes_of(own);

	if (!strchr(given, '@'))
		name = bytes_first(name, strcspn(own, "@"));
	return bytes_equal_nocase(name, bytes_of(given));
}

/* Retired already means that an earlier attempt did not come to its end, if the account is still
 * there, or that another command has just ended it: then its path may be another account's. */
static enum error_code retire_or_resume(struct home *home, const char *name,
					const struct home_account *found,
					struct retirement *retirement, struct error *error)
{
	struct home_account again;
	enum error_code code =
		home_in(home, HOME_MAIL, retire_maildrop, retirement, sizeof(*retirement), error);

	if (!retirement->changed)
		return code;
	code = home_find(home, name, &again, error);
	if (code != ERROR_NONE)
		return code;
	if (again.account.id != found->account.id)
		return error_set(error, ERROR_TEMPORARY, "%.150s was removed and added meanwhile",
				 found->account.name);
	retirement->flags |= STORE_RESUME;
	return home_in(home, HOME_MAIL, retire_maildrop, retirement, sizeof(*retirement), error);
}

/* The maildrop first: behind that, sessions and deliveries that still know the account find it
 * moved on. A failure in between leaves an account that nobody can use, and the same command ends
 * the work. */
static enum error_code remove_account(struct home *home, const char *name, bool delete_mail,
				      struct error *error)
{
	struct home_account found;
	struct retirement retirement = {.flags = delete_mail ? STORE_ERASE : 0};
	enum error_code code = home_find(home, name, &found, error);

	if (code != ERROR_NONE)
		return code;
	if (!is_own_name(found.account.name, name))
		return error_set(error, ERROR_USAGE,
				 "%.100s is an alias of %.150s; to remove that account, name it",
				 name, found.account.name);
	retirement.place = found.place;
	code = retire_or_resume(home, name, &found, &retirement, error);
	if (code == ERROR_NONE)
		code = home_in(home, HOME_ACCOUNTS, remove_row, &found.account,
			       sizeof(found.account), error);
	if (code != ERROR_NONE)
		return code;
	if (delete_mail)
		printf("removed %s and its mail\n", found.account.name);
	else
		printf("removed %s; its mail is kept in %s/mail/%s\n", found.account.name,
		       home->path, found.account.path);
	return ERROR_NONE;
}

static int account_remove(struct context *context, int argc, char **argv)
{
	bool delete_mail = false;
	const struct option_row rows[] = {
		{"delete-mail", NULL, "delete the mail, too; nobody may be logged in", &delete_mail,
		 NULL, NULL},
	};
	const struct option_page page = {
		.operands = "ACCOUNT",
		.operands_min = 1,
		.operands_max = 1,
		.about = "Removes an account with its aliases and password. Its mail is kept, and "
			 "the command says\nwhere: an account of the same name, added later, finds "
			 "it there.",
		.examples = "  postern account remove alice@example.org\n"
			    "  postern account remove bob@example.org --delete-mail",
		.rows = rows,
		.row_count = 1,
	};
	struct error error = {.code = ERROR_NONE};
	struct home home;
	enum error_code code;
	char **operands;
	int count, status;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	code = home_open(context, false, &home, &error);
	if (code == ERROR_NONE)
		code = remove_account(&home, operands[0], delete_mail, &error);
	return code == ERROR_NONE ? EX_OK : command_fail(context, &error);
}

/* ---- table ---- */

int cmd_account(struct context *context, int argc, char **argv)
{
	static const struct command commands[] = {
		{"add", account_add, "add an account"},
		{"list", account_list, "list all accounts"},
		{"show", account_show, "show one account with its aliases"},
		{"passwd", account_passwd, "give an account a new password"},
		{"remove", account_remove, "remove an account; its mail is kept unless told"},
		{"import", account_import, "add many accounts from a file"},
	};
	static const struct command_table table = {
		.about = "Accounts are logins with a maildrop, named user@domain; an alias is "
			 "another address of one.",
		.rows = commands,
		.count = sizeof(commands) / sizeof(commands[0]),
	};

	return command_dispatch(context, &table, argc, argv);
}
