/*
 * sqlite_change: the account directory kept in SQLite: changes.
 *
 * Guarantees: a change happens whole or not at all, and is on stable storage when it returns
 * ERROR_NONE (outside of begin and commit); names are kept in their normal form, so no two rows
 * differ by case only; a name belongs to one account or one alias, never to both; no two maildrops
 * have one path, and none lies within another.
 *
 * Must not know: passwords (it hands a secret on to sqlite_apop.c), the disk of the mail, sessions.
 */
#include <assert.h>
#include <string.h>

#include "accounts/sqlite_private.h"
#include "base/clock.h"

enum error_code query_execute(struct query *query, bool *changed_out)
{
	bool changed = false;

	while (query_row(query))
		changed = true;
	if (changed_out)
		*changed_out = changed;
	return query_end(query);
}

static enum error_code simply(struct directory *directory, enum statement statement,
			      struct error *error)
{
	struct query query;

	query_begin(&query, directory, statement, error);
	return query_execute(&query, NULL);
}

enum error_code directory_begin(struct directory *directory, struct error *error)
{
	assert(sqlite3_get_autocommit(directory->database));
	return simply(directory, CHANGE_BEGIN, error);
}

enum error_code directory_commit(struct directory *directory, bool keep, struct error *error)
{
	enum error_code code = ERROR_NONE;

	if (keep)
		code = simply(directory, CHANGE_KEEP, error);
	/* Some failures of SQLite have rolled back already. */
	if (!sqlite3_get_autocommit(directory->database))
		simply(directory, CHANGE_UNDO, NULL);
	return code;
}

/* Every change below runs inside the caller's transaction or, without one, in its own. Inside the
 * caller's, a failure leaves the undoing to the caller's commit with keep = false. */
static enum error_code change_begin(struct directory *directory, bool *own_out, struct error *error)
{
	*own_out = sqlite3_get_autocommit(directory->database) != 0;
	return *own_out ? directory_begin(directory, error) : ERROR_NONE;
}

static enum error_code change_end(struct directory *directory, bool own, enum error_code code,
				  struct error *error)
{
	enum error_code ended;

	if (!own)
		return code;
	ended = directory_commit(directory, code == ERROR_NONE, error);
	return code != ERROR_NONE ? code : ended;
}

/* ERROR_DATA when an account or alias has this name. */
static enum error_code check_name_free(struct directory *directory, const char *name,
				       struct error *error)
{
	struct account holder;
	enum error_code code =
		query_account_named(directory, ACCOUNT_BY_NAME, name, &holder, error);

	if (code == ERROR_NONE)
		return error_set(error, ERROR_DATA, "there is already an account %s", name);
	if (code == ERROR_NO_USER)
		code = query_account_named(directory, ACCOUNT_BY_ALIAS, name, &holder, error);
	if (code == ERROR_NONE)
		return error_set(error, ERROR_DATA, "%s is already an alias of %s", name,
				 holder.name);
	return code == ERROR_NO_USER ? ERROR_NONE : code;
}

/* Another account whose path is the first `length` octets of this one, or begins with all of them.
 */
static enum error_code find_path(struct directory *directory, enum statement statement,
				 const struct account *account, size_t length,
				 struct account *holder_out, struct error *error)
{
	struct query query;

	query_begin(&query, directory, statement, error);
	query_bind_number(&query, 1, account->mail_root);
	query_bind_text(&query, 2, bytes_first(bytes_of(account->path), length));
	query_bind_number(&query, 3, account->id);
	return query_account(&query, holder_out);
}

static enum error_code find_path_holder(struct directory *directory, const struct account *account,
					struct account *holder_out, struct error *error)
{
	size_t length = strlen(account->path);
	enum error_code code = ERROR_NO_USER;

	for (size_t end = 1; end <= length && code == ERROR_NO_USER; end++) {
		if (account->path[end] == '/' || account->path[end] == '\0')
			code = find_path(directory, ACCOUNT_BY_PATH, account, end, holder_out,
					 error);
	}
	if (code == ERROR_NO_USER)
		code = find_path(directory, ACCOUNT_BELOW_PATH, account, length, holder_out, error);
	return code;
}

/* A maildrop that lay within another's would be its message, or its folder. */
static enum error_code check_path_free(struct directory *directory, const struct account *account,
				       struct error *error)
{
	struct account holder;
	enum error_code code = find_path_holder(directory, account, &holder, error);

	if (code != ERROR_NONE)
		return code == ERROR_NO_USER ? ERROR_NONE : code;
	if (strcmp(holder.path, account->path) == 0)
		return error_set(error, ERROR_DATA, "the maildrop %.150s belongs to %.150s",
				 account->path, holder.name);
	return error_set(error, ERROR_DATA,
			 "the maildrop %.150s and that of %.150s would be one "
			 "inside the other",
			 account->path, holder.name);
}

static enum error_code insert_account(struct directory *directory, struct account *account,
				      struct error *error)
{
	struct query query;
	enum error_code code;

	account->generation = 1;
	account->apop = false;
	account->created_unix_seconds = clock_unix_seconds();
	query_begin(&query, directory, ACCOUNT_ADD, error);
	query_bind_text(&query, 1, bytes_of(account->name));
	query_bind_text(&query, 2, bytes_of(account->store));
	query_bind_number(&query, 3, account->mail_root);
	query_bind_text(&query, 4, bytes_of(account->path));
	query_bind_number(&query, 5, (uint64_t)account->created_unix_seconds);
	query_bind_number(&query, 6, account->disabled);
	query_bind_number(&query, 7, account->quota_octets);
	query_bind_number(&query, 8, account->quota_messages);
	code = query_execute(&query, NULL);
	if (code == ERROR_NONE)
		account->id = (uint64_t)sqlite3_last_insert_rowid(directory->database);
	return code;
}

static enum error_code insert_verifier(struct directory *directory, uint64_t account,
				       const char *verifier, struct error *error)
{
	struct query query;

	query_begin(&query, directory, VERIFIER_ADD, error);
	query_bind_number(&query, 1, account);
	query_bind_text(&query, 2, bytes_of(verifier));
	return query_execute(&query, NULL);
}

/* Names reach the database in their normal form only, or lookups would not find them. */
static enum error_code check_normal(const char *name, struct error *error)
{
	char normal[ACCOUNT_NAME_MAX + 1];
	enum error_code code = account_name_normalise(bytes_of(name), "", normal, error);

	assert(code != ERROR_NONE || strcmp(name, normal) == 0);
	return code;
}

static enum error_code check_normal_alias(const char *alias, struct error *error)
{
	char normal[DOMAIN_MAX + 1];
	enum error_code code;

	if (alias[0] != '@')
		return check_normal(alias, error);
	code = account_domain_normalise(bytes_of(alias + 1), normal, error);
	assert(code != ERROR_NONE || strcmp(alias + 1, normal) == 0);
	return code;
}

static enum error_code no_such_account(struct error *error)
{
	return error_set(error, ERROR_NO_USER, "there is no such account any more");
}

enum error_code directory_add(struct directory *directory, struct account *account,
			      const char *verifier, struct error *error)
{
	bool own;
	enum error_code code = check_normal(account->name, error);

	if (code == ERROR_NONE)
		code = change_begin(directory, &own, error);
	if (code != ERROR_NONE)
		return code;
	code = check_name_free(directory, account->name, error);
	if (code == ERROR_NONE)
		code = check_path_free(directory, account, error);
	if (code == ERROR_NONE)
		code = insert_account(directory, account, error);
	if (code == ERROR_NONE && verifier)
		code = insert_verifier(directory, account->id, verifier, error);
	return change_end(directory, own, code, error);
}

enum error_code directory_add_alias(struct directory *directory, uint64_t account,
				    const char *alias, struct error *error)
{
	struct query query;
	bool own;
	enum error_code code = check_normal_alias(alias, error);

	if (code == ERROR_NONE)
		code = change_begin(directory, &own, error);
	if (code != ERROR_NONE)
		return code;
	code = check_name_free(directory, alias, error);
	if (code == ERROR_NONE) {
		query_begin(&query, directory, ALIAS_ADD, error);
		query_bind_text(&query, 1, bytes_of(alias));
		query_bind_number(&query, 2, account);
		code = query_execute(&query, NULL);
	}
	return change_end(directory, own, code, error);
}

enum error_code directory_remove_alias(struct directory *directory, uint64_t account,
				       const char *alias, struct error *error)
{
	struct query query;
	bool changed;
	enum error_code code;

	query_begin(&query, directory, ALIAS_REMOVE, error);
	query_bind_number(&query, 1, account);
	query_bind_text(&query, 2, bytes_of(alias));
	code = query_execute(&query, &changed);
	if (code == ERROR_NONE && !changed)
		return error_set(error, ERROR_NO_USER, "the account has no alias %s", alias);
	return code;
}

enum error_code directory_set(struct directory *directory, const struct account *account,
			      struct error *error)
{
	struct query query;
	bool changed;
	enum error_code code;

	query_begin(&query, directory, ACCOUNT_SET, error);
	query_bind_number(&query, 1, account->id);
	query_bind_number(&query, 2, account->disabled);
	query_bind_number(&query, 3, account->quota_octets);
	query_bind_number(&query, 4, account->quota_messages);
	code = query_execute(&query, &changed);
	return code == ERROR_NONE && !changed ? no_such_account(error) : code;
}

static enum error_code write_move(struct directory *directory, const struct account *account,
				  struct error *error)
{
	struct query query;
	bool changed;
	enum error_code code;

	query_begin(&query, directory, ACCOUNT_MOVE, error);
	query_bind_number(&query, 1, account->id);
	query_bind_number(&query, 2, account->generation);
	query_bind_text(&query, 3, bytes_of(account->store));
	query_bind_number(&query, 4, account->mail_root);
	query_bind_text(&query, 5, bytes_of(account->path));
	code = query_execute(&query, &changed);
	if (code == ERROR_NONE && !changed)
		return error_set(error, ERROR_TEMPORARY,
				 "the account was changed or removed meanwhile; try again");
	return code;
}

enum error_code directory_move(struct directory *directory, struct account *account,
			       struct error *error)
{
	bool own;
	enum error_code code = change_begin(directory, &own, error);

	if (code != ERROR_NONE)
		return code;
	code = check_path_free(directory, account, error);
	if (code == ERROR_NONE)
		code = write_move(directory, account, error);
	code = change_end(directory, own, code, error);
	if (code == ERROR_NONE)
		account->generation++;
	return code;
}

/* ---- domains ---- */

static enum error_code is_domain_alias(struct directory *directory, const char *domain,
				       bool *alias_out, struct error *error)
{
	struct query query;

	query_begin(&query, directory, DOMAIN_ALIAS_OF, error);
	query_bind_text(&query, 1, bytes_of(domain));
	*alias_out = query_row(&query);
	return query_end(&query);
}

static enum error_code check_local(struct directory *directory, const char *domain,
				   struct error *error)
{
	bool local;
	enum error_code code = directory_is_local(directory, bytes_of(domain), &local, error);

	if (code == ERROR_NONE && !local)
		return error_set(error, ERROR_DATA,
				 "%s is no local domain: no account, alias or "
				 "alias of a domain has it",
				 domain);
	return code;
}

/* One step only, so that there are no circles: what an alias means is none itself. */
static enum error_code check_domains(struct directory *directory, const char *alias,
				     const char *domain, struct error *error)
{
	bool is_alias = false, means_alias = false;
	enum error_code code = check_local(directory, domain, error);

	if (code == ERROR_NONE)
		code = is_domain_alias(directory, alias, &is_alias, error);
	if (code == ERROR_NONE)
		code = is_domain_alias(directory, domain, &means_alias, error);
	if (code != ERROR_NONE)
		return code;
	if (is_alias)
		return error_set(error, ERROR_DATA, "%s is an alias of a domain already", alias);
	if (means_alias)
		return error_set(error, ERROR_DATA,
				 "%s is an alias of a domain itself; name the domain it means",
				 domain);
	return ERROR_NONE;
}

static enum error_code check_not_meant(struct directory *directory, const char *alias,
				       struct error *error)
{
	char name[DOMAIN_MAX + 1];
	struct query query;
	bool found;
	enum error_code code;

	query_begin(&query, directory, DOMAIN_ALIAS_TO, error);
	query_bind_text(&query, 1, bytes_of(alias));
	found = query_row(&query);
	if (found)
		query_text(&query, 0, name, sizeof(name));
	code = query_end(&query);
	if (code == ERROR_NONE && found)
		return error_set(error, ERROR_DATA,
				 "%s cannot be an alias of a domain: %s is one of it", alias, name);
	return code;
}

static enum error_code insert_domain_alias(struct directory *directory, const char *alias,
					   const char *domain, struct error *error)
{
	struct query query;

	query_begin(&query, directory, DOMAIN_ALIAS_ADD, error);
	query_bind_text(&query, 1, bytes_of(alias));
	query_bind_text(&query, 2, bytes_of(domain));
	return query_execute(&query, NULL);
}

enum error_code directory_add_domain_alias(struct directory *directory, const char *alias,
					   const char *domain, struct error *error)
{
	bool own;
	enum error_code code;

	if (strcmp(alias, domain) == 0)
		return error_set(error, ERROR_DATA, "%s cannot be an alias of itself", alias);
	code = change_begin(directory, &own, error);
	if (code != ERROR_NONE)
		return code;
	code = check_domains(directory, alias, domain, error);
	if (code == ERROR_NONE)
		code = check_not_meant(directory, alias, error);
	if (code == ERROR_NONE)
		code = insert_domain_alias(directory, alias, domain, error);
	return change_end(directory, own, code, error);
}

enum error_code directory_remove_domain_alias(struct directory *directory, const char *alias,
					      struct error *error)
{
	struct query query;
	bool changed;
	enum error_code code;

	query_begin(&query, directory, DOMAIN_ALIAS_REMOVE, error);
	query_bind_text(&query, 1, bytes_of(alias));
	code = query_execute(&query, &changed);
	if (code == ERROR_NONE && !changed)
		return error_set(error, ERROR_NO_USER, "%s is no alias of a domain", alias);
	return code;
}

enum error_code directory_set_default_domain(struct directory *directory, const char *domain,
					     struct error *error)
{
	struct query query;
	bool own;
	enum error_code code = change_begin(directory, &own, error);

	if (code != ERROR_NONE)
		return code;
	code = check_local(directory, domain, error);
	if (code == ERROR_NONE) {
		query_begin(&query, directory, DOMAIN_SET_DEFAULT, error);
		query_bind_text(&query, 1, bytes_of(domain));
		code = query_execute(&query, NULL);
	}
	return change_end(directory, own, code, error);
}

/* ---- credentials ---- */

static enum error_code replace_verifier(struct directory *directory, uint64_t account,
					const char *verifier, struct error *error)
{
	struct query query;
	bool own;
	enum error_code code = change_begin(directory, &own, error);

	if (code != ERROR_NONE)
		return code;
	query_begin(&query, directory, VERIFIERS_REMOVE, error);
	query_bind_number(&query, 1, account);
	code = query_execute(&query, NULL);
	if (code == ERROR_NONE)
		code = insert_verifier(directory, account, verifier, error);
	return change_end(directory, own, code, error);
}

/* The secret first: at a crash before the verifier it counts as none, and the old one still does.
 */
enum error_code directory_set_verifier(struct directory *directory, uint64_t account,
				       const char *verifier, const char *secret,
				       struct error *error)
{
	enum error_code code = ERROR_NONE;

	if (secret)
		code = apop_keep(directory, account, verifier, secret, error);
	if (code == ERROR_NONE)
		code = replace_verifier(directory, account, verifier, error);
	if (code == ERROR_NONE && secret)
		code = apop_clear(directory, error);
	return code;
}

static enum error_code consent(struct directory *directory, uint64_t account, bool apop,
			       struct error *error)
{
	struct query query;
	bool changed;
	enum error_code code;

	query_begin(&query, directory, ACCOUNT_SET_APOP, error);
	query_bind_number(&query, 1, account);
	query_bind_number(&query, 2, apop);
	code = query_execute(&query, &changed);
	return code == ERROR_NONE && !changed ? no_such_account(error) : code;
}

enum error_code directory_set_apop(struct directory *directory, uint64_t account,
				   const char *secret, struct error *error)
{
	char verifier[VERIFIER_MAX + 1];
	enum error_code code = ERROR_NONE;

	if (secret)
		code = directory_verifier(directory, account, verifier, error);
	if (code == ERROR_NONE && secret)
		code = apop_keep(directory, account, verifier, secret, error);
	if (code == ERROR_NONE)
		code = consent(directory, account, secret != NULL, error);
	return code == ERROR_NONE ? apop_clear(directory, error) : code;
}

static enum error_code remove_row(struct directory *directory, uint64_t account,
				  struct error *error)
{
	struct query query;
	bool changed;
	enum error_code code;

	query_begin(&query, directory, ACCOUNT_REMOVE, error);
	query_bind_number(&query, 1, account);
	code = query_execute(&query, &changed);
	if (code == ERROR_NONE && !changed)
		return error_set(error, ERROR_NO_USER, "there is no account with this number");
	return code;
}

enum error_code directory_remove(struct directory *directory, uint64_t account, struct error *error)
{
	enum error_code code = remove_row(directory, account, error);

	return code == ERROR_NONE ? apop_clear(directory, error) : code;
}
