/*
 * cmd_account_set: `postern account set`: what may be changed of an account, and the domains.
 *
 * Everything is tried first in a transaction that is taken back, then the mail is moved, which is
 * what may take long and fail, and then the rows are changed. So a command that fails has changed
 * nothing, unless two run at once.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "accounts/secret.h"
#include "cli/cmd_account.h"

struct setting {
	const char *name, *store, *path, *quota, *quota_messages, *password_file, *default_domain;
	struct option_list aliases, remove_aliases, catch_alls, domain_aliases,
		remove_domain_aliases;
	bool enable, disable, apop, no_apop;
	uint64_t quota_octets;
	uint32_t quota_messages_max;
};

/* What the owner of the accounts does; goes to him and comes back as plain data. */
enum step { STEP_TRY, STEP_MOVE, STEP_WRITE };
struct task {
	struct account row; /* first: see account_move() */
	enum step step;
	const struct setting *setting;
	struct account target; /* of a move: store, and mail_root and path if given */
	struct buffer *password;
	char secret[PASSWORD_MAX + 1];
};

/* ---- the account's row and aliases ---- */

static enum error_code set_row(struct directory *directory, const struct setting *setting,
			       const struct account *before, struct error *error)
{
	struct account account = *before;

	if (!setting->enable && !setting->disable && !setting->quota && !setting->quota_messages)
		return ERROR_NONE;
	if (setting->enable || setting->disable)
		account.disabled = setting->disable;
	if (setting->quota)
		account.quota_octets = setting->quota_octets;
	if (setting->quota_messages)
		account.quota_messages = setting->quota_messages_max;
	return directory_set(directory, &account, error);
}

typedef enum error_code alias_change(struct directory *directory, uint64_t account,
				     const char *alias, struct error *error);

static enum error_code each_alias(struct directory *directory, uint64_t account,
				  const struct option_list *list, const char *before,
				  alias_change *change, struct error *error)
{
	enum error_code code = ERROR_NONE;

	for (size_t i = 0; i < list->count && code == ERROR_NONE; i++) {
		char given[ACCOUNT_NAME_MAX + 2], alias[ACCOUNT_NAME_MAX + 1];

		(void)snprintf(given, sizeof(given), "%s%s", before, list->values[i]);
		code = account_normal_alias(directory, given, alias, error);
		if (code == ERROR_NONE)
			code = change(directory, account, alias, error);
	}
	return code;
}

/* Removals first, so that an alias goes from one form to another in one command. */
static enum error_code set_aliases(struct directory *directory, const struct setting *setting,
				   uint64_t account, struct error *error)
{
	enum error_code code = each_alias(directory, account, &setting->remove_aliases, "",
					  directory_remove_alias, error);

	if (code == ERROR_NONE)
		code = each_alias(directory, account, &setting->aliases, "", directory_add_alias,
				  error);
	if (code == ERROR_NONE)
		code = each_alias(directory, account, &setting->catch_alls, "@",
				  directory_add_alias, error);
	return code;
}

/* ---- domains ---- */

static enum error_code add_domain_alias(struct directory *directory, const char *given,
					struct error *error)
{
	char alias[DOMAIN_MAX + 1], domain[DOMAIN_MAX + 1];
	size_t length = strcspn(given, "=");
	enum error_code code;

	if (given[length] != '=')
		return error_set(error, ERROR_USAGE, "--domain-alias is NEW=OLD: two domains");
	code = account_domain_normalise((struct bytes){given, length}, alias, error);
	if (code == ERROR_NONE)
		code = account_domain_normalise(bytes_of(given + length + 1), domain, error);
	return code == ERROR_NONE ? directory_add_domain_alias(directory, alias, domain, error)
				  : code;
}

static enum error_code set_domains(struct directory *directory, const struct setting *setting,
				   struct error *error)
{
	char domain[DOMAIN_MAX + 1];
	enum error_code code = ERROR_NONE;

	for (size_t i = 0; i < setting->remove_domain_aliases.count && code == ERROR_NONE; i++) {
		code = account_domain_normalise(bytes_of(setting->remove_domain_aliases.values[i]),
						domain, error);
		if (code == ERROR_NONE)
			code = directory_remove_domain_alias(directory, domain, error);
	}
	for (size_t i = 0; i < setting->domain_aliases.count && code == ERROR_NONE; i++)
		code = add_domain_alias(directory, setting->domain_aliases.values[i], error);
	if (code == ERROR_NONE && setting->default_domain) {
		code = account_domain_normalise(bytes_of(setting->default_domain), domain, error);
		if (code == ERROR_NONE)
			code = directory_set_default_domain(directory, domain, error);
	}
	return code;
}

/* ---- all rows ---- */

static enum error_code change_rows(struct directory *directory, struct task *task,
				   struct error *error)
{
	const struct setting *setting = task->setting;
	enum error_code code = ERROR_NONE;

	if (setting->name)
		code = directory_find(directory, bytes_of(setting->name), &task->row, error);
	if (code == ERROR_NONE && setting->name)
		code = set_row(directory, setting, &task->row, error);
	if (code == ERROR_NONE && setting->name)
		code = set_aliases(directory, setting, task->row.id, error);
	return code == ERROR_NONE ? set_domains(directory, setting, error) : code;
}

/* Is a place that was named free, as far as the accounts know? */
static enum error_code try_move(struct directory *directory, const struct task *task,
				struct error *error)
{
	struct account moved = task->row;

	if (!task->setting->path)
		return ERROR_NONE;
	moved.mail_root = task->target.mail_root;
	(void)bytes_to_string(bytes_of(task->target.path), moved.path, sizeof(moved.path));
	return directory_move(directory, &moved, error);
}

static enum error_code change_in_transaction(struct directory *directory, struct task *task,
					     struct error *error)
{
	bool keep = task->step == STEP_WRITE;
	enum error_code code = directory_begin(directory, error), ended;

	if (code != ERROR_NONE)
		return code;
	code = change_rows(directory, task, error);
	if (code == ERROR_NONE && !keep)
		code = try_move(directory, task, error);
	ended = directory_commit(directory, keep && code == ERROR_NONE, error);
	return code != ERROR_NONE ? code : ended;
}

/* ---- APOP ---- */

static enum error_code ask_secret(struct directory *directory, struct task *task,
				  struct error *error)
{
	char verifier[VERIFIER_MAX + 1], made[VERIFIER_MAX + 1];
	enum error_code code = directory_verifier(directory, task->row.id, verifier, error);

	if (code == ERROR_NONE)
		code = account_password_take(task->password, task->row.name, made, task->secret,
					     error);
	if (code != ERROR_NONE)
		return code;
	code = secret_verify(verifier, bytes_of(task->secret));
	if (code == ERROR_DENIED)
		return error_set(error, ERROR_DATA,
				 "that is not the password of %.150s; \"postern account passwd\" "
				 "gives it another",
				 task->row.name);
	return code == ERROR_NONE ? code : error_set(error, code, "no memory to hash a password");
}

static enum error_code set_apop(struct directory *directory, const struct task *task,
				struct error *error)
{
	if (task->setting->apop)
		return directory_set_apop(directory, task->row.id, task->secret, error);
	return task->setting->no_apop ? directory_set_apop(directory, task->row.id, NULL, error)
				      : ERROR_NONE;
}

/* ---- as owner of the accounts ---- */

static enum error_code do_step(struct directory *directory, struct task *task, struct error *error)
{
	enum error_code code;

	if (task->step == STEP_MOVE)
		return directory_move(directory, &task->row, error);
	code = change_in_transaction(directory, task, error);
	if (code == ERROR_NONE && task->step == STEP_TRY && task->setting->apop)
		code = ask_secret(directory, task, error);
	if (code == ERROR_NONE && task->step == STEP_WRITE)
		code = set_apop(directory, task, error);
	return code;
}

static enum error_code work(struct home *home, void *data, struct error *error)
{
	struct directory *directory;
	enum error_code code = home_directory(home, false, &directory, error);

	if (code != ERROR_NONE)
		return code;
	code = do_step(directory, data, error);
	directory_close(directory);
	return code;
}

/* ---- with a move ---- */

static enum error_code move_and_write(struct home *home, struct task *task, struct error *error)
{
	struct account_move move = {.home = home,
				    .account = task->row,
				    .after = task->target,
				    .usual = !task->setting->path};
	struct home_attendant *attendant;
	struct task *theirs;
	enum error_code code = account_store_parse(task->target.store, &move.kind, error);

	if (code != ERROR_NONE)
		return code;
	(void)bytes_to_string(bytes_of(task->row.name), move.after.name, sizeof(move.after.name));
	task->step = STEP_MOVE;
	code = home_attend(home, HOME_ACCOUNTS, work, task, sizeof(*task), &attendant, error);
	if (code != ERROR_NONE)
		return code;
	code = account_move(home, &move, attendant, error);
	theirs = home_attendant_data(attendant);
	theirs->step = STEP_WRITE;
	if (code == ERROR_NONE)
		code = home_attendant_run(attendant, error);
	secret_wipe(theirs->secret, sizeof(theirs->secret));
	home_attend_end(attendant);
	return code;
}

static bool moves(const struct setting *setting)
{
	return setting->store || setting->path;
}

static enum error_code take_target(const struct home *home, const struct setting *setting,
				   struct task *task, struct error *error)
{
	enum store_kind kind;
	enum error_code code = ERROR_NONE;

	if (setting->store)
		code = account_store_parse(setting->store, &kind, error);
	if (code == ERROR_NONE && setting->path)
		code = account_path_parse(home, setting->path, &task->target, error);
	return code;
}

static enum error_code set_in_home(struct home *home, const struct setting *setting,
				   struct buffer *password, struct error *error)
{
	static struct task task; /* large, and its secret is wiped */
	enum error_code code;

	task = (struct task){.step = STEP_TRY, .setting = setting, .password = password};
	code = take_target(home, setting, &task, error);
	if (code == ERROR_NONE)
		code = home_in(home, HOME_ACCOUNTS, work, &task, sizeof(task), error);
	(void)snprintf(task.target.store, sizeof(task.target.store), "%s",
		       setting->store ? setting->store : task.row.store);
	if (code == ERROR_NONE && moves(setting)) {
		code = home_check_root(home, task.row.mail_root, error);
		if (code == ERROR_NONE)
			code = move_and_write(home, &task, error);
	} else if (code == ERROR_NONE) {
		task.step = STEP_WRITE;
		code = home_in(home, HOME_ACCOUNTS, work, &task, sizeof(task), error);
		if (code == ERROR_NONE)
			printf("changed %s\n", setting->name ? task.row.name : "the domains");
	}
	secret_wipe(task.secret, sizeof(task.secret));
	return code;
}

/* ---- the command ---- */

static bool changes_domains(const struct setting *setting)
{
	return setting->default_domain || setting->domain_aliases.count > 0 ||
	       setting->remove_domain_aliases.count > 0;
}

static bool changes_account(const struct setting *setting)
{
	return moves(setting) || setting->quota || setting->quota_messages ||
	       setting->aliases.count > 0 || setting->remove_aliases.count > 0 ||
	       setting->catch_alls.count > 0 || setting->enable || setting->disable ||
	       setting->apop || setting->no_apop;
}

static const char *usage_fault(const struct setting *setting)
{
	if (!changes_account(setting) && !changes_domains(setting))
		return "say what is to be changed";
	if (changes_account(setting) && !setting->name)
		return "say which account is to be changed";
	if (!changes_account(setting) && setting->name)
		return "domains belong to no account: leave the name away";
	if (setting->enable && setting->disable)
		return "--enable and --disable exclude one another";
	if (setting->apop && setting->no_apop)
		return "--apop and --no-apop exclude one another";
	if (setting->password_file && !setting->apop)
		return "--password-file is for --apop; \"postern account passwd\" changes a "
		       "password";
	return NULL;
}

static enum error_code run(const struct context *context, struct setting *setting,
			   struct error *error)
{
	struct buffer password;
	struct home home;
	enum error_code code = account_password_early(setting->password_file, &password, error);

	if (code == ERROR_NONE && setting->quota)
		code = account_quota_parse(setting->quota, &setting->quota_octets, error);
	if (code == ERROR_NONE && setting->quota_messages)
		code = account_quota_messages_parse(setting->quota_messages,
						    &setting->quota_messages_max, error);
	if (code == ERROR_NONE)
		code = home_open(context, false, &home, error);
	if (code == ERROR_NONE) {
		code = set_in_home(&home, setting, &password, error);
		home_close(&home);
	}
	account_password_free(&password);
	return code;
}

static const char about[] =
	"Changes an account from the next login and the next message on, or the domains.\n"
	"--store and --path move its mail while nobody is logged in (else exit code 75); mail that "
	"arrives\nmeanwhile waits. Unique-ids stay, so that no mail program fetches anything "
	"twice. "
	"If it is cut, the\nsame command again ends it. --apop asks for the account's password.";
static const char examples[] =
	"  postern account set alice --store maildir\n"
	"  postern account set alice --path /srv/mail/alice --quota 2G\n"
	"  postern account set bob --alias sales --remove-alias info --catch-all example.org\n"
	"  postern account set bob --disable\n"
	"  postern account set --domain-alias example.net=example.org\n"
	"  postern account set --default-domain example.org";

int account_set(struct context *context, int argc, char **argv)
{
	static struct setting it;
	const struct option_row rows[] = {
		{"alias", "ADDRESS", "one more address of the account", NULL, NULL, &it.aliases},
		{"remove-alias", "ADDRESS", "one less; @DOMAIN is a catch-all", NULL, NULL,
		 &it.remove_aliases},
		{"catch-all", "DOMAIN", "takes what nobody else in this domain takes", NULL, NULL,
		 &it.catch_alls},
		{"store", "KIND", "converts the mail: mbox, maildir or spool", NULL, &it.store,
		 NULL},
		{"path", "PATH", "moves it: below ROOT/mail, or absolute in a mail root", NULL,
		 &it.path, NULL},
		{"quota", "OCTETS", "the most it may hold, also with k, M, G, T; 0: no quota", NULL,
		 &it.quota, NULL},
		{"quota-messages", "NUMBER", "the most messages it may hold; 0: no quota", NULL,
		 &it.quota_messages, NULL},
		{"disable", NULL, "neither logins nor mail", &it.disable, NULL, NULL},
		{"enable", NULL, "both again", &it.enable, NULL, NULL},
		{"apop", NULL, "consents to APOP: keeps the password itself, not only a hash",
		 &it.apop, NULL, NULL},
		{"no-apop", NULL, "no more: the password is wiped", &it.no_apop, NULL, NULL},
		PASSWORD_FILE_ROW(it.password_file),
		{"default-domain", "DOMAIN", "what a bare user name means", NULL,
		 &it.default_domain, NULL},
		{"domain-alias", "NEW=OLD", "addresses at NEW mean those at OLD", NULL, NULL,
		 &it.domain_aliases},
		{"remove-domain-alias", "NEW", "they do no more", NULL, NULL,
		 &it.remove_domain_aliases},
	};
	const struct option_page page = {
		.operands = "[ACCOUNT]",
		.operands_max = 1,
		.about = about,
		.examples = examples,
		.rows = rows,
		.row_count = sizeof(rows) / sizeof(rows[0]),
	};
	struct error error = {.code = ERROR_NONE};
	char **operands;
	int count, status;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	it.name = count > 0 ? operands[0] : NULL;
	if (usage_fault(&it))
		return command_fail_usage(context, "%s", usage_fault(&it));
	if (run(context, &it, &error) != ERROR_NONE)
		return command_fail(context, &error);
	return EX_OK;
}
