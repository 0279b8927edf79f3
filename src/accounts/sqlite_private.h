/*
 * sqlite_private: the database under accounts/sqlite.c: file, schema and kept statements. For the
 * files sqlite*.c only.
 *
 * A statement is prepared once and kept: SQLite prepares it anew by itself when another process
 * changed the schema. Every query_begin() is followed by query_end(), which also ends the read
 * transaction, so that an idle process never holds back a checkpoint.
 */
#ifndef ACCOUNTS_SQLITE_PRIVATE_H
#define ACCOUNTS_SQLITE_PRIVATE_H

#include <sqlite3.h>

#include "accounts/directory.h"

enum statement {
	ACCOUNT_BY_NAME,
	ACCOUNT_BY_ALIAS,
	ACCOUNT_BY_PATH,
	ACCOUNT_BELOW_PATH,
	ACCOUNT_FIRST,
	ACCOUNT_NEXT,
	ALIAS_NEXT,
	VERIFIER_OF,
	DOMAIN_LOCAL,
	DOMAIN_DEFAULT,
	DOMAIN_ALIAS_OF,
	DOMAIN_ALIAS_TO,
	DOMAIN_ALIAS_NEXT,
	ACCOUNT_ADD,
	ACCOUNT_SET,
	ACCOUNT_MOVE,
	ACCOUNT_SET_APOP,
	ACCOUNT_REMOVE,
	ALIAS_ADD,
	ALIAS_REMOVE,
	DOMAIN_ALIAS_ADD,
	DOMAIN_ALIAS_REMOVE,
	DOMAIN_SET_DEFAULT,
	VERIFIER_ADD,
	VERIFIERS_REMOVE,
	SECRET_OF,
	SECRET_ADD,
	SECRETS_CLEAR,
	CHANGE_BEGIN,
	CHANGE_KEEP,
	CHANGE_UNDO,
	STATEMENTS
};

struct directory {
	sqlite3 *database;
	char *path;
	bool has_secrets;                     /* apop.db is attached */
	sqlite3_stmt *statements[STATEMENTS]; /* NULL until first used */
};

/* ---- files: sqlite_open.c ---- */

/* Makes an empty file of mode 0600, unless there is one. */
enum error_code database_make_file(const char *path, struct error *error);
/* Is it a file, and for its owner only? ERROR_CONFIG when there is none. */
enum error_code database_check_file(const char *path, struct error *error);
/* Makes the name of a new file durable. */
enum error_code database_sync_folder(const char *path, struct error *error);

/* SQL without values. */
enum error_code database_run(struct directory *directory, const char *sql, struct error *error);
/* One number that a pragma or a query without parameters yields. */
enum error_code database_number(struct directory *directory, const char *sql, int64_t *number_out,
				struct error *error);

/* ---- statements: sqlite_database.c ---- */

/* What SQLite's last failure means to us; `doing` is words like "reading the accounts". */
enum error_code database_failed(struct directory *directory, struct error *error,
				const char *doing);

struct query {
	struct directory *directory;
	sqlite3_stmt *statement;
	enum error_code code; /* of the first thing that failed; what follows does nothing */
	struct error *error;
};

void query_begin(struct query *query, struct directory *directory, enum statement statement,
		 struct error *error);
/* Values are numbered from 1; text must live until query_end(). */
void query_bind_text(struct query *query, int index, struct bytes text);
void query_bind_number(struct query *query, int index, uint64_t number);
/* The next row: true when there is one; else query->code tells an end from a failure. */
bool query_row(struct query *query);
/* Copies a column; a text that is too long or holds a NUL was not written by us: ERROR_CONFIG. */
void query_text(struct query *query, int column, char *room, size_t room_octets);
enum error_code query_end(struct query *query);

/* Runs it to its end; *changed_out (or NULL): did it return a row, that is, was there one to
 * change?
 */
enum error_code query_execute(struct query *query, bool *changed_out);
/* The account a query stands before, or ERROR_NO_USER without a text. Ends it. */
enum error_code query_account(struct query *query, struct account *account_out);
/* For the statements ACCOUNT_BY_NAME and ACCOUNT_BY_ALIAS. */
enum error_code query_account_named(struct directory *directory, enum statement statement,
				    const char *name, struct account *account_out,
				    struct error *error);

/* ---- secrets: sqlite_apop.c ---- */

/* Wipes every secret that counts no more, if any was ever kept; not within a transaction. */
enum error_code apop_clear(struct directory *directory, struct error *error);
/* Keeps a secret beside a verifier that the account has or is about to have. */
enum error_code apop_keep(struct directory *directory, uint64_t account, const char *verifier,
			  const char *secret, struct error *error);

#endif
