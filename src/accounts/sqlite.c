/*
 * sqlite: the account directory kept in SQLite: lookups and changes.
 *
 * Guarantees: a change happens whole or not at all, and is on stable storage when it returns
 * ERROR_NONE (outside of begin and commit); names are compared in their normal form, so no two
 * rows differ by case only; a name belongs to one account or one alias, never to both.
 *
 * Must not know: passwords (only verifiers), the disk of the mail, sessions.
 */
#include <assert.h>
#include <string.h>

#include "accounts/sqlite_private.h"
#include "base/clock.h"

/* ---- looking up ---- */

static void read_account(struct query *query, struct account *account)
{
	sqlite3_stmt *row = query->statement;

	*account = (struct account){
		.id = (uint64_t)sqlite3_column_int64(row, 0),
		.generation = (uint64_t)sqlite3_column_int64(row, 1),
		.mail_root = (uint32_t)sqlite3_column_int64(row, 4),
		.disabled = sqlite3_column_int(row, 6) != 0,
		.created_unix_seconds = sqlite3_column_int64(row, 7),
	};
	query_text(query, 2, account->name, sizeof(account->name));
	query_text(query, 3, account->store, sizeof(account->store));
	query_text(query, 5, account->path, sizeof(account->path));
	if (query->code == ERROR_NONE && (uint64_t)sqlite3_column_int64(row, 4) >= MAIL_ROOTS_MAX)
		query->code =
			error_set(query->error, ERROR_CONFIG,
				  "the account %s names a mail root that cannot be", account->name);
}

/* The row a query stands before, or ERROR_NO_USER without a text. */
static enum error_code take_account(struct query *query, struct account *account_out)
{
	bool found = query_row(query);
	enum error_code code;

	if (found)
		read_account(query, account_out);
	code = query_end(query);
	return code == ERROR_NONE && !found ? ERROR_NO_USER : code;
}

static enum error_code find_named(struct directory *directory, enum statement statement,
				  const char *name, struct account *account_out,
				  struct error *error)
{
	struct query query;

	query_begin(&query, directory, statement, error);
	query_bind_text(&query, 1, bytes_of(name));
	return take_account(&query, account_out);
}

static enum error_code find_first(struct directory *directory, struct account *account_out,
				  struct error *error)
{
	struct query query;

	query_begin(&query, directory, ACCOUNT_FIRST, error);
	return take_account(&query, account_out);
}

/* RFC 5321 section 4.5.1: postmaster of every domain we take mail for reaches somebody. */
static enum error_code find_postmaster(struct directory *directory, const char *name,
				       struct account *account_out, struct error *error)
{
	static const char postmaster[] = "postmaster@";
	bool local = false;
	enum error_code code;

	if (strncmp(name, postmaster, sizeof(postmaster) - 1) != 0)
		return ERROR_NO_USER;
	code = directory_is_local(directory, bytes_of(name + sizeof(postmaster) - 1), &local,
				  error);
	if (code != ERROR_NONE)
		return code;
	return local ? find_first(directory, account_out, error) : ERROR_NO_USER;
}

/* The normal form of what a peer gave; whatever is no name at all is simply nobody's. */
static enum error_code normalise(struct directory *directory, struct bytes given,
				 char name_out[ACCOUNT_NAME_MAX + 1], struct error *error)
{
	char domain[DOMAIN_MAX + 1] = "";
	enum error_code code = ERROR_NONE;

	if (given.length > 0 && !memchr(given.data, '@', given.length))
		code = directory_default_domain(directory, domain, error);
	if (code == ERROR_NONE)
		code = account_name_normalise(given, domain, name_out, error);
	if (code == ERROR_DATA) {
		code = ERROR_NO_USER;
		if (error)
			error->code = code;
	}
	return code;
}

enum error_code directory_find(struct directory *directory, struct bytes name,
			       struct account *account_out, struct error *error)
{
	char normal[ACCOUNT_NAME_MAX + 1];
	enum error_code code = normalise(directory, name, normal, error);

	if (code != ERROR_NONE)
		return code;
	code = find_named(directory, ACCOUNT_BY_NAME, normal, account_out, error);
	if (code == ERROR_NO_USER)
		code = find_named(directory, ACCOUNT_BY_ALIAS, normal, account_out, error);
	if (code == ERROR_NO_USER)
		code = find_postmaster(directory, normal, account_out, error);
	if (code == ERROR_NO_USER)
		error_set(error, code, "there is no account or alias %s", normal);
	return code;
}

enum error_code directory_verifier(struct directory *directory, uint64_t account,
				   char verifier_out[VERIFIER_MAX + 1], struct error *error)
{
	struct query query;
	bool found;
	enum error_code code;

	*verifier_out = '\0';
	query_begin(&query, directory, VERIFIER_OF, error);
	query_bind_number(&query, 1, account);
	found = query_row(&query);
	if (found)
		query_text(&query, 0, verifier_out, VERIFIER_MAX + 1);
	code = query_end(&query);
	if (code == ERROR_NONE && !found)
		return error_set(error, ERROR_NO_USER, "the account has no password");
	return code;
}

enum error_code directory_is_local(struct directory *directory, struct bytes domain,
				   bool *local_out, struct error *error)
{
	struct query query;

	*local_out = false;
	if (domain.length == 0 || domain.length > DOMAIN_MAX)
		return ERROR_NONE;
	query_begin(&query, directory, DOMAIN_LOCAL, error);
	query_bind_text(&query, 1, domain);
	if (query_row(&query))
		*local_out = sqlite3_column_int(query.statement, 0) != 0;
	return query_end(&query);
}

enum error_code directory_default_domain(struct directory *directory,
					 char domain_out[DOMAIN_MAX + 1], struct error *error)
{
	struct query query;

	*domain_out = '\0';
	query_begin(&query, directory, DOMAIN_DEFAULT, error);
	if (query_row(&query))
		query_text(&query, 0, domain_out, DOMAIN_MAX + 1);
	return query_end(&query);
}

enum error_code directory_next(struct directory *directory, uint64_t after,
			       struct account *account_out, struct error *error)
{
	struct query query;
	enum error_code code;

	query_begin(&query, directory, ACCOUNT_NEXT, error);
	query_bind_number(&query, 1, after);
	code = take_account(&query, account_out);
	if (code == ERROR_NO_USER)
		error_set(error, code, "there are no more accounts");
	return code;
}

enum error_code directory_next_alias(struct directory *directory, uint64_t account,
				     const char *after, char alias_out[ACCOUNT_NAME_MAX + 1],
				     struct error *error)
{
	struct query query;
	bool found;
	enum error_code code;

	query_begin(&query, directory, ALIAS_NEXT, error);
	query_bind_number(&query, 1, account);
	query_bind_text(&query, 2, bytes_of(after));
	found = query_row(&query);
	if (found)
		query_text(&query, 0, alias_out, ACCOUNT_NAME_MAX + 1);
	code = query_end(&query);
	if (code == ERROR_NONE && !found)
		return error_set(error, ERROR_NO_USER, "there are no more aliases");
	return code;
}

/* ---- changing ---- */

static enum error_code execute(struct query *query)
{
	while (query_row(query))
		;
	return query_end(query);
}

static enum error_code simply(struct directory *directory, enum statement statement,
			      struct error *error)
{
	struct query query;

	query_begin(&query, directory, statement, error);
	return execute(&query);
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
	enum error_code code = find_named(directory, ACCOUNT_BY_NAME, name, &holder, error);

	if (code == ERROR_NONE)
		return error_set(error, ERROR_DATA, "there is already an account %s", name);
	if (code == ERROR_NO_USER)
		code = find_named(directory, ACCOUNT_BY_ALIAS, name, &holder, error);
	if (code == ERROR_NONE)
		return error_set(error, ERROR_DATA, "%s is already an alias of %s", name,
				 holder.name);
	return code == ERROR_NO_USER ? ERROR_NONE : code;
}

static enum error_code check_path_free(struct directory *directory, const struct account *account,
				       struct error *error)
{
	struct account holder;
	struct query query;
	enum error_code code;

	query_begin(&query, directory, ACCOUNT_BY_PATH, error);
	query_bind_number(&query, 1, account->mail_root);
	query_bind_text(&query, 2, bytes_of(account->path));
	code = take_account(&query, &holder);
	if (code == ERROR_NONE)
		return error_set(error, ERROR_DATA, "the maildrop %s belongs to %s", account->path,
				 holder.name);
	return code == ERROR_NO_USER ? ERROR_NONE : code;
}

static enum error_code insert_account(struct directory *directory, struct account *account,
				      struct error *error)
{
	struct query query;
	enum error_code code;

	account->generation = 1;
	account->disabled = false;
	account->created_unix_seconds = clock_unix_seconds();
	query_begin(&query, directory, ACCOUNT_ADD, error);
	query_bind_text(&query, 1, bytes_of(account->name));
	query_bind_text(&query, 2, bytes_of(account->store));
	query_bind_number(&query, 3, account->mail_root);
	query_bind_text(&query, 4, bytes_of(account->path));
	query_bind_number(&query, 5, (uint64_t)account->created_unix_seconds);
	code = execute(&query);
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
	return execute(&query);
}

/* Names reach the database in their normal form only, or lookups would not find them. */
static enum error_code check_normal(const char *name, struct error *error)
{
	char normal[ACCOUNT_NAME_MAX + 1];
	enum error_code code = account_name_normalise(bytes_of(name), "", normal, error);

	assert(code != ERROR_NONE || strcmp(name, normal) == 0);
	return code;
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
	enum error_code code = check_normal(alias, error);

	if (code == ERROR_NONE)
		code = change_begin(directory, &own, error);
	if (code != ERROR_NONE)
		return code;
	code = check_name_free(directory, alias, error);
	if (code == ERROR_NONE) {
		query_begin(&query, directory, ALIAS_ADD, error);
		query_bind_text(&query, 1, bytes_of(alias));
		query_bind_number(&query, 2, account);
		code = execute(&query);
	}
	return change_end(directory, own, code, error);
}

enum error_code directory_set_verifier(struct directory *directory, uint64_t account,
				       const char *verifier, struct error *error)
{
	struct query query;
	bool own;
	enum error_code code = change_begin(directory, &own, error);

	if (code != ERROR_NONE)
		return code;
	query_begin(&query, directory, VERIFIERS_REMOVE, error);
	query_bind_number(&query, 1, account);
	code = execute(&query);
	if (code == ERROR_NONE)
		code = insert_verifier(directory, account, verifier, error);
	return change_end(directory, own, code, error);
}

enum error_code directory_remove(struct directory *directory, uint64_t account, struct error *error)
{
	struct query query;
	bool found;
	enum error_code code;

	query_begin(&query, directory, ACCOUNT_REMOVE, error);
	query_bind_number(&query, 1, account);
	found = query_row(&query);
	code = found ? execute(&query) : query_end(&query);
	if (code == ERROR_NONE && !found)
		return error_set(error, ERROR_NO_USER, "there is no account with this number");
	return code;
}
