/*
 * sqlite_database: the statements of the account database, and how one is run.
 *
 * Guarantees: every value from outside is bound, never printed into SQL.
 *
 * Must not know: what an account is beyond its columns.
 */
#include "accounts/sqlite_private.h"

#include <assert.h>

#define COLUMNS                                                                                    \
	"id, generation, name, store, mail_root, path, disabled, created, quota_octets,"           \
	" quota_messages, apop"

static const char *const statement_texts[STATEMENTS] = {
	[ACCOUNT_BY_NAME] = "SELECT " COLUMNS " FROM account WHERE name = ?1",
	[ACCOUNT_BY_ALIAS] = "SELECT " COLUMNS " FROM account WHERE id ="
			     " (SELECT account FROM alias WHERE name = ?1)",
	[ACCOUNT_BY_PATH] = "SELECT " COLUMNS " FROM account WHERE mail_root = ?1 AND path = ?2"
			    " AND id <> ?3",
	/* The first path inside this one; '0' follows '/'. */
	[ACCOUNT_BELOW_PATH] = "SELECT " COLUMNS " FROM account WHERE mail_root = ?1"
			       " AND path > ?2 || '/' AND path < ?2 || '0' AND id <> ?3 LIMIT 1",
	[ACCOUNT_FIRST] = "SELECT " COLUMNS " FROM account ORDER BY id LIMIT 1",
	[ACCOUNT_NEXT] = "SELECT " COLUMNS " FROM account WHERE id > ?1 ORDER BY id LIMIT 1",
	[ALIAS_NEXT] =
		"SELECT name FROM alias WHERE account = ?1 AND name > ?2 ORDER BY name LIMIT 1",
	[VERIFIER_OF] = "SELECT verifier FROM credential WHERE account = ?1 AND kind = 'password'",
	[DOMAIN_LOCAL] =
		"SELECT EXISTS(SELECT 1 FROM account WHERE substr(name, instr(name, '@') + 1) = ?1)"
		" OR EXISTS(SELECT 1 FROM alias WHERE substr(name, instr(name, '@') + 1) = ?1)"
		" OR EXISTS(SELECT 1 FROM domain_alias WHERE name = ?1)",
	[DOMAIN_ALIAS_OF] = "SELECT domain FROM domain_alias WHERE name = ?1",
	[DOMAIN_ALIAS_TO] = "SELECT name FROM domain_alias WHERE domain = ?1 LIMIT 1",
	[DOMAIN_ALIAS_NEXT] = "SELECT name, domain FROM domain_alias WHERE name > ?1"
			      " ORDER BY name LIMIT 1",
	[DOMAIN_DEFAULT] =
		"SELECT coalesce((SELECT value FROM setting WHERE key = 'default-domain'),"
		" (SELECT substr(name, instr(name, '@') + 1) FROM account ORDER BY id LIMIT 1), "
		"'')",
	[ACCOUNT_ADD] = "INSERT INTO account(name, store, mail_root, path, created, disabled,"
			" quota_octets, quota_messages) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[ACCOUNT_SET] = "UPDATE account SET disabled = ?2, quota_octets = ?3, quota_messages = ?4"
			" WHERE id = ?1 RETURNING id",
	[ACCOUNT_MOVE] = "UPDATE account SET store = ?3, mail_root = ?4, path = ?5,"
			 " generation = generation + 1 WHERE id = ?1 AND generation = ?2"
			 " RETURNING generation",
	[ACCOUNT_SET_APOP] = "UPDATE account SET apop = ?2 WHERE id = ?1 RETURNING id",
	[ACCOUNT_REMOVE] = "DELETE FROM account WHERE id = ?1 RETURNING id",
	[ALIAS_ADD] = "INSERT INTO alias(name, account) VALUES(?1, ?2)",
	[ALIAS_REMOVE] = "DELETE FROM alias WHERE account = ?1 AND name = ?2 RETURNING name",
	[DOMAIN_ALIAS_ADD] = "INSERT INTO domain_alias(name, domain) VALUES(?1, ?2)",
	[DOMAIN_ALIAS_REMOVE] = "DELETE FROM domain_alias WHERE name = ?1 RETURNING name",
	[DOMAIN_SET_DEFAULT] = "INSERT INTO setting(key, value) VALUES('default-domain', ?1)"
			       " ON CONFLICT(key) DO UPDATE SET value = ?1",
	[VERIFIER_ADD] = "INSERT INTO credential(account, kind, verifier)"
			 " VALUES(?1, 'password', ?2)",
	[VERIFIERS_REMOVE] = "DELETE FROM credential WHERE account = ?1 AND kind = 'password'",
	/* A secret counts only beside the verifier it was stored with: whatever a crash leaves
	 * of a change of password in two files, a secret that is not the password is none. */
	[SECRET_OF] = "SELECT s.secret FROM main.account a"
		      " JOIN main.credential c ON c.account = a.id AND c.kind = 'password'"
		      " JOIN apop.secret s ON s.account = a.id AND s.verifier = c.verifier"
		      " WHERE a.id = ?1 AND a.apop <> 0",
	[SECRET_ADD] = "INSERT OR REPLACE INTO apop.secret(account, verifier, secret)"
		       " VALUES(?1, ?2, ?3)",
	/* Of accounts that are gone or do not consent, and of passwords before. */
	[SECRETS_CLEAR] = "DELETE FROM apop.secret WHERE NOT EXISTS(SELECT 1 FROM main.account a"
			  " JOIN main.credential c ON c.account = a.id AND c.kind = 'password'"
			  " WHERE a.id = secret.account AND a.apop <> 0"
			  " AND c.verifier = secret.verifier)",
	/* IMMEDIATE: a transaction that has read and then wants to write could not wait its turn.
	 */
	[CHANGE_BEGIN] = "BEGIN IMMEDIATE",
	[CHANGE_KEEP] = "COMMIT",
	[CHANGE_UNDO] = "ROLLBACK",
};

enum error_code database_failed(struct directory *directory, struct error *error, const char *doing)
{
	enum error_code code = ERROR_INTERNAL;

	switch (sqlite3_errcode(directory->database) & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_NOMEM:
	case SQLITE_PROTOCOL: /* too many at once on the -shm */
		code = ERROR_TEMPORARY;
		break;
	case SQLITE_FULL:
		code = ERROR_FULL;
		break;
	case SQLITE_IOERR:
	case SQLITE_CORRUPT:
		code = ERROR_IO;
		break;
	case SQLITE_CONSTRAINT: /* names and paths are checked before: the account is gone */
		return error_set(error, ERROR_NO_USER, "there is no such account any more");
	case SQLITE_NOTADB:
		code = ERROR_CONFIG;
		break;
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
		code = ERROR_SYSTEM;
		break;
	}
	return error_set(error, code, "%s: %s", doing, sqlite3_errmsg(directory->database));
}

/* ---- statements ---- */

void query_begin(struct query *query, struct directory *directory, enum statement statement,
		 struct error *error)
{
	sqlite3_stmt **kept = &directory->statements[statement];

	*query = (struct query){.directory = directory, .error = error};
	if (!*kept && sqlite3_prepare_v3(directory->database, statement_texts[statement], -1,
					 SQLITE_PREPARE_PERSISTENT, kept, NULL) != SQLITE_OK)
		query->code = database_failed(directory, error, "preparing to use the accounts");
	query->statement = *kept;
}

static void check_bound(struct query *query, int result)
{
	if (result != SQLITE_OK)
		query->code = database_failed(query->directory, query->error, "using the accounts");
}

void query_bind_text(struct query *query, int index, struct bytes text)
{
	assert(text.length <= 4096);
	if (query->code == ERROR_NONE)
		check_bound(query,
			    sqlite3_bind_text(query->statement, index, text.length ? text.data : "",
					      (int)text.length, SQLITE_STATIC));
}

void query_bind_number(struct query *query, int index, uint64_t number)
{
	assert(number <= INT64_MAX);
	if (query->code == ERROR_NONE)
		check_bound(query, sqlite3_bind_int64(query->statement, index, (int64_t)number));
}

bool query_row(struct query *query)
{
	int result;

	if (query->code != ERROR_NONE)
		return false;
	result = sqlite3_step(query->statement);
	if (result == SQLITE_ROW)
		return true;
	if (result != SQLITE_DONE)
		query->code = database_failed(query->directory, query->error, "using the accounts");
	return false;
}

void query_text(struct query *query, int column, char *room, size_t room_octets)
{
	const char *text = (const char *)sqlite3_column_text(query->statement, column);
	int length = sqlite3_column_bytes(query->statement, column);

	if (!text || !bytes_to_string((struct bytes){text, (size_t)length}, room, room_octets))
		query->code = error_set(query->error, ERROR_CONFIG,
					"the account database holds a text that Postern cannot "
					"have written (column %s)",
					sqlite3_column_name(query->statement, column));
}

enum error_code query_end(struct query *query)
{
	if (query->statement) {
		sqlite3_reset(query->statement);
		sqlite3_clear_bindings(query->statement);
	}
	return query->code;
}
