/*
 * cmd_account: `postern account`: its table, passwd and remove, and how passwords are taken. The
 * other parts are in cmd_account_*.c.
 *
 * Guarantees: a password comes from a terminal, a file or standard input, never from an argument;
 * a command that fails has changed nothing.
 */
#include "cli/cmd_account.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "accounts/secret.h"
#include "cli/password.h"
#include "store/convert.h"

/* ---- passwords ---- */

/* Room for a line end behind the longest password, so that one octet more is told as such. */
enum error_code account_password_early(const char *file, struct buffer *password,
				       struct error *error)
{
	secret_init();
	buffer_init(password, PASSWORD_MAX + 3);
	return file ? password_read(file, "", password, error) : ERROR_NONE;
}

void account_password_free(struct buffer *password)
{
	buffer_wipe(password);
	buffer_free(password);
}

enum error_code account_password_take(struct buffer *password, const char *account,
				      char verifier_out[VERIFIER_MAX + 1],
				      char secret_out[PASSWORD_MAX + 1], struct error *error)
{
	enum error_code code = ERROR_NONE;

	if (password->length == 0)
		code = password_read(NULL, account, password, error);
	if (code == ERROR_NONE)
		code = secret_hash(buffer_bytes(password), verifier_out, error);
	if (code == ERROR_NONE)
		(void)bytes_to_string(buffer_bytes(password), secret_out, PASSWORD_MAX + 1);
	return code;
}

/* ---- passwd ---- */

static enum error_code change_password(struct directory *directory, const char *name,
				       struct buffer *password, struct error *error)
{
	char verifier[VERIFIER_MAX + 1], secret[PASSWORD_MAX + 1];
	struct account account;
	enum error_code code = directory_find(directory, bytes_of(name), &account, error);

	if (code == ERROR_NONE)
		code = account_password_take(password, account.name, verifier, secret, error);
	if (code == ERROR_NONE)
		code = directory_set_verifier(directory, account.id, verifier,
					      account.apop ? secret : NULL, error);
	secret_wipe(secret, sizeof(secret));
	if (code == ERROR_NONE)
		printf("%s has a new password, from the next login on\n", account.name);
	return code;
}

static enum error_code passwd_in_home(struct home *home, const char *name, struct buffer *password,
				      struct error *error)
{
	struct directory *directory;
	enum error_code code = home_become(home, HOME_ACCOUNTS, error);

	if (code == ERROR_NONE)
		code = home_directory(home, false, &directory, error);
	if (code != ERROR_NONE)
		return code;
	code = change_password(directory, name, password, error);
	directory_close(directory);
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
	struct buffer password;
	struct home home;
	enum error_code code;
	char **operands;
	int count, status;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	code = account_password_early(password_file, &password, &error);
	if (code == ERROR_NONE)
		code = home_open(context, false, &home, &error);
	if (code == ERROR_NONE) {
		code = passwd_in_home(&home, operands[0], &password, &error);
		home_close(&home);
	}
	account_password_free(&password);
	return code == ERROR_NONE ? EX_OK : command_fail(context, &error);
}

/* ---- remove ---- */

struct retirement {
	struct place place;
	unsigned flags;
	bool changed; /* retired already */
	bool resumed; /* a conversion had been interrupted */
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
	(void)store_convert_resume(&root, &retirement->place, &retirement->resumed, error);
	error->code = ERROR_NONE;
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
	char path[HOME_MAILDROP_PATH_OCTETS];
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
	home_maildrop_path(home, &found.account, path);
	if (delete_mail)
		printf("removed %s and its mail\n", found.account.name);
	else
		printf("removed %s; its mail is kept in %s\n", found.account.name, path);
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
	if (code == ERROR_NONE) {
		code = remove_account(&home, operands[0], delete_mail, &error);
		home_close(&home);
	}
	return code == ERROR_NONE ? EX_OK : command_fail(context, &error);
}

/* ---- table ---- */

int cmd_account(struct context *context, int argc, char **argv)
{
	static const struct command commands[] = {
		{"add", account_add, "add an account"},
		{"list", account_list, "list all accounts"},
		{"show", account_show, "show one account with its aliases"},
		{"set", account_set, "change an account, move its mail, or set domains"},
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
