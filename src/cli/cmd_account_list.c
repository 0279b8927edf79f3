/*
 * cmd_account_list: `postern account list` and `show`. They change nothing.
 */
#include <stdio.h>
#include <sysexits.h>
#include <time.h>

#include "cli/cmd_account.h"
#include "cli/home.h"
#include "cli/json.h"
#include "cli/option.h"

#define DATE_OCTETS 32

static const char *date(int64_t unix_seconds, char room[DATE_OCTETS])
{
	time_t seconds = (time_t)unix_seconds;
	struct tm parts;

	if (!gmtime_r(&seconds, &parts) ||
	    strftime(room, DATE_OCTETS, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		return "?";
	return room;
}

/* Calls for each alias; the same loop for text and JSON. */
typedef void alias_callback(void *context, const char *alias);
static enum error_code each_alias(struct directory *directory, uint64_t account,
				  alias_callback *callback, void *context, struct error *error)
{
	char alias[ACCOUNT_NAME_MAX + 1] = "";
	enum error_code code;

	while ((code = directory_next_alias(directory, account, alias, alias, error)) == ERROR_NONE)
		callback(context, alias);
	return code == ERROR_NO_USER ? ERROR_NONE : code;
}

static void append_alias(void *context, const char *alias)
{
	json_array_append_new(context, json_string(alias));
}

static enum error_code account_json(struct directory *directory, const struct account *account,
				    json_t **value_out, struct error *error)
{
	char room[DATE_OCTETS];
	json_t *aliases = json_array();
	enum error_code code = each_alias(directory, account->id, append_alias, aliases, error);

	*value_out = json_pack("{s:s, s:I, s:s, s:i, s:s, s:b, s:b, s:I, s:I, s:s, s:o}", "name",
			       account->name, "id", (json_int_t)account->id, "store",
			       account->store, "mail_root", (int)account->mail_root, "path",
			       account->path, "disabled", account->disabled, "apop", account->apop,
			       "quota", (json_int_t)account->quota_octets, "quota_messages",
			       (json_int_t)account->quota_messages, "created",
			       date(account->created_unix_seconds, room), "aliases", aliases);
	if (code == ERROR_NONE && !*value_out)
		code = error_set(error, ERROR_TEMPORARY, "no memory");
	return code;
}

static void print_row(const struct account *account)
{
	printf("%-40s  %-8s  %s%s\n", account->name, account->store, account->path,
	       account->disabled ? "  disabled" : "");
}

static enum error_code list_text(struct directory *directory, struct error *error)
{
	struct account account = {.id = 0};
	enum error_code code;

	while ((code = directory_next(directory, account.id, &account, error)) == ERROR_NONE)
		print_row(&account);
	return code == ERROR_NO_USER ? ERROR_NONE : code;
}

/* ---- domains ---- */

static enum error_code domains_text(struct directory *directory, struct error *error)
{
	char alias[DOMAIN_MAX + 1] = "", domain[DOMAIN_MAX + 1];
	enum error_code code = directory_default_domain(directory, domain, error);

	if (code == ERROR_NONE && domain[0])
		printf("%-40s  the default domain\n", domain);
	while (code == ERROR_NONE) {
		code = directory_next_domain_alias(directory, alias, alias, domain, error);
		if (code == ERROR_NONE)
			printf("%-40s  means %s\n", alias, domain);
	}
	return code == ERROR_NO_USER ? ERROR_NONE : code;
}

static enum error_code domains_json(struct directory *directory, json_t **value_out,
				    struct error *error)
{
	char alias[DOMAIN_MAX + 1] = "", domain[DOMAIN_MAX + 1];
	json_t *aliases = json_object();
	enum error_code code = directory_default_domain(directory, domain, error);

	*value_out = json_pack("{s:s, s:o}", "default", domain, "aliases", aliases);
	while (code == ERROR_NONE) {
		code = directory_next_domain_alias(directory, alias, alias, domain, error);
		if (code == ERROR_NONE)
			json_object_set_new(aliases, alias, json_string(domain));
	}
	return code == ERROR_NO_USER ? ERROR_NONE : code;
}

static enum error_code list_json(struct directory *directory, json_t *list, struct error *error)
{
	struct account account = {.id = 0};
	enum error_code code;

	while ((code = directory_next(directory, account.id, &account, error)) == ERROR_NONE) {
		json_t *value = NULL;

		code = account_json(directory, &account, &value, error);
		if (code != ERROR_NONE) {
			json_decref(value);
			return code;
		}
		json_array_append_new(list, value);
	}
	return code == ERROR_NO_USER ? ERROR_NONE : code;
}

static enum error_code open_accounts(const struct context *context,
				     struct directory **directory_out, struct error *error)
{
	struct home home;
	enum error_code code = home_open(context, false, &home, error);

	if (code != ERROR_NONE)
		return code;
	code = home_become(&home, HOME_ACCOUNTS, error);
	if (code == ERROR_NONE)
		code = home_directory(&home, false, directory_out, error);
	home_close(&home);
	return code;
}

int account_list(struct context *context, int argc, char **argv)
{
	bool json = false, domains = false;
	const struct option_row rows[] = {
		{"domains", NULL, "the default domain and the aliases of domains", &domains, NULL,
		 NULL},
		{"json", NULL, "as JSON", &json, NULL, NULL},
	};
	const struct option_page page = {
		.operands = "",
		.about = "Lists all accounts in the order in which they were added: name, store, "
			 "and "
			 "where the mail\nis, below ROOT/mail or another mail root.",
		.examples = "  postern account list\n"
			    "  postern account list --json | jq -r '.[].name'",
		.rows = rows,
		.row_count = sizeof(rows) / sizeof(rows[0]),
	};
	struct error error = {.code = ERROR_NONE};
	struct directory *directory;
	json_t *list;
	enum error_code code;
	char **operands;
	int count, status;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	code = open_accounts(context, &directory, &error);
	if (code != ERROR_NONE)
		return command_fail(context, &error);
	list = json && !domains ? json_array() : NULL;
	if (domains)
		code = json ? domains_json(directory, &list, &error)
			    : domains_text(directory, &error);
	else
		code = json ? list_json(directory, list, &error) : list_text(directory, &error);
	directory_close(directory);
	if (code == ERROR_NONE)
		return json ? json_finish(context, list) : EX_OK;
	json_decref(list);
	return command_fail(context, &error);
}

/* ---- show ---- */

static void print_alias(void *context, const char *alias)
{
	(void)context;
	printf("alias    %s\n", alias);
}

static void print_quota(const struct account *account)
{
	if (account->quota_octets > 0)
		printf("quota    %llu octets\n", (unsigned long long)account->quota_octets);
	if (account->quota_messages > 0)
		printf("quota    %u messages\n", (unsigned)account->quota_messages);
}

static enum error_code show_text(struct directory *directory, const struct account *account,
				 struct error *error)
{
	char room[DATE_OCTETS];

	printf("name     %s\n", account->name);
	printf("number   %llu\n", (unsigned long long)account->id);
	printf("store    %s\n", account->store);
	if (account->mail_root > 0)
		printf("mail     %s, in mail root %u\n", account->path,
		       (unsigned)account->mail_root);
	else
		printf("mail     %s\n", account->path);
	printf("login    %s\n", account->disabled ? "disabled" : "allowed");
	if (account->apop)
		printf("apop     allowed: the password itself is kept\n");
	print_quota(account);
	printf("added    %s\n", date(account->created_unix_seconds, room));
	return each_alias(directory, account->id, print_alias, NULL, error);
}

int account_show(struct context *context, int argc, char **argv)
{
	bool json = false;
	const struct option_row rows[] = {
		{"json", NULL, "as a JSON object", &json, NULL, NULL},
	};
	const struct option_page page = {
		.operands = "ACCOUNT",
		.operands_min = 1,
		.operands_max = 1,
		.about = "Shows the account that a name, an alias or a bare user means.",
		.examples = "  postern account show alice\n"
			    "  postern account show sales@example.org --json",
		.rows = rows,
		.row_count = 1,
	};
	struct error error = {.code = ERROR_NONE};
	struct directory *directory;
	struct account account;
	json_t *value = NULL;
	enum error_code code;
	char **operands;
	int count, status;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	code = open_accounts(context, &directory, &error);
	if (code != ERROR_NONE)
		return command_fail(context, &error);
	code = directory_find(directory, bytes_of(operands[0]), &account, &error);
	if (code == ERROR_NONE)
		code = json ? account_json(directory, &account, &value, &error)
			    : show_text(directory, &account, &error);
	directory_close(directory);
	if (code == ERROR_NONE)
		return json ? json_finish(context, value) : EX_OK;
	json_decref(value);
	return command_fail(context, &error);
}
