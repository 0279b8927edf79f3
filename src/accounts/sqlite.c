/*
 * sqlite: the account directory kept in SQLite: looking up. Changes stand in sqlite_change.c.
 *
 * Guarantees: names are compared in their normal form.
 *
 * Must not know: passwords (only verifiers), the disk of the mail, sessions.
 */
#include <stdio.h>
#include <string.h>

#include "accounts/sqlite_private.h"

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
		.quota_octets = (uint64_t)sqlite3_column_int64(row, 8),
		.quota_messages = (uint32_t)sqlite3_column_int64(row, 9),
		.apop = sqlite3_column_int(row, 10) != 0,
	};
	query_text(query, 2, account->name, sizeof(account->name));
	query_text(query, 3, account->store, sizeof(account->store));
	query_text(query, 5, account->path, sizeof(account->path));
	if (query->code == ERROR_NONE && (uint64_t)sqlite3_column_int64(row, 4) >= MAIL_ROOTS_MAX)
		query->code =
			error_set(query->error, ERROR_CONFIG,
				  "the account %s names a mail root that cannot be", account->name);
}

enum error_code query_account(struct query *query, struct account *account_out)
{
	bool found = query_row(query);
	enum error_code code;

	if (found)
		read_account(query, account_out);
	code = query_end(query);
	return code == ERROR_NONE && !found ? ERROR_NO_USER : code;
}

enum error_code query_account_named(struct directory *directory, enum statement statement,
				    const char *name, struct account *account_out,
				    struct error *error)
{
	struct query query;

	query_begin(&query, directory, statement, error);
	query_bind_text(&query, 1, bytes_of(name));
	return query_account(&query, account_out);
}

static enum error_code find_exact(struct directory *directory, const char *name,
				  struct account *account_out, struct error *error)
{
	enum error_code code =
		query_account_named(directory, ACCOUNT_BY_NAME, name, account_out, error);

	if (code == ERROR_NO_USER)
		code = query_account_named(directory, ACCOUNT_BY_ALIAS, name, account_out, error);
	return code;
}

/* The domain that `domain` is an alias of; "" when it is none. */
static enum error_code domain_meant(struct directory *directory, const char *domain,
				    char domain_out[DOMAIN_MAX + 1], struct error *error)
{
	struct query query;

	*domain_out = '\0';
	query_begin(&query, directory, DOMAIN_ALIAS_OF, error);
	query_bind_text(&query, 1, bytes_of(domain));
	if (query_row(&query))
		query_text(&query, 0, domain_out, DOMAIN_MAX + 1);
	return query_end(&query);
}

/* `@domain` is a name here, too: the catch-all alias. */
static enum error_code find_in_domains(struct directory *directory, const char *name,
				       struct account *account_out, struct error *error)
{
	char meant[DOMAIN_MAX + 1], other[ACCOUNT_NAME_MAX + 1];
	size_t local = strcspn(name, "@");
	enum error_code code = find_exact(directory, name, account_out, error);

	if (code != ERROR_NO_USER)
		return code;
	code = domain_meant(directory, name + local + 1, meant, error);
	if (code != ERROR_NONE)
		return code;
	if (!meant[0])
		return ERROR_NO_USER;
	(void)snprintf(other, sizeof(other), "%.*s@%s", (int)local, name, meant);
	return find_exact(directory, other, account_out, error);
}

static enum error_code find_first(struct directory *directory, struct account *account_out,
				  struct error *error)
{
	struct query query;

	query_begin(&query, directory, ACCOUNT_FIRST, error);
	return query_account(&query, account_out);
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

static enum error_code find_for_login(struct directory *directory, const char *name,
				      struct account *account_out, struct error *error)
{
	enum error_code code = find_in_domains(directory, name, account_out, error);

	return code == ERROR_NO_USER ? find_postmaster(directory, name, account_out, error) : code;
}

/* The name without its tag; false when it has none, or nothing before it. */
static bool without_tag(const char *name, char plain_out[ACCOUNT_NAME_MAX + 1])
{
	size_t plain = strcspn(name, "+@");

	if (plain == 0 || name[plain] != '+')
		return false;
	(void)snprintf(plain_out, ACCOUNT_NAME_MAX + 1, "%.*s%s", (int)plain, name,
		       strchr(name, '@'));
	return true;
}

static enum error_code nobody(struct error *error, const char *name)
{
	return error_set(error, ERROR_NO_USER, "there is no account or alias %s", name);
}

enum error_code directory_find(struct directory *directory, struct bytes name,
			       struct account *account_out, struct error *error)
{
	char normal[ACCOUNT_NAME_MAX + 1];
	enum error_code code = normalise(directory, name, normal, error);

	if (code != ERROR_NONE)
		return code;
	code = find_for_login(directory, normal, account_out, error);
	return code == ERROR_NO_USER ? nobody(error, normal) : code;
}

enum error_code directory_resolve(struct directory *directory, struct bytes address,
				  struct account *account_out, struct error *error)
{
	char normal[ACCOUNT_NAME_MAX + 1], plain[ACCOUNT_NAME_MAX + 1];
	enum error_code code = normalise(directory, address, normal, error);

	if (code != ERROR_NONE)
		return code;
	code = find_for_login(directory, normal, account_out, error);
	if (code == ERROR_NO_USER && without_tag(normal, plain))
		code = find_for_login(directory, plain, account_out, error);
	if (code == ERROR_NO_USER)
		code = find_in_domains(directory, strchr(normal, '@'), account_out, error);
	return code == ERROR_NO_USER ? nobody(error, normal) : code;
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
	code = query_account(&query, account_out);
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

enum error_code directory_next_domain_alias(struct directory *directory, const char *after,
					    char alias_out[DOMAIN_MAX + 1],
					    char domain_out[DOMAIN_MAX + 1], struct error *error)
{
	struct query query;
	bool found;
	enum error_code code;

	query_begin(&query, directory, DOMAIN_ALIAS_NEXT, error);
	query_bind_text(&query, 1, bytes_of(after));
	found = query_row(&query);
	if (found) {
		query_text(&query, 0, alias_out, DOMAIN_MAX + 1);
		query_text(&query, 1, domain_out, DOMAIN_MAX + 1);
	}
	code = query_end(&query);
	if (code == ERROR_NONE && !found)
		return error_set(error, ERROR_NO_USER, "there are no more aliases of domains");
	return code;
}
