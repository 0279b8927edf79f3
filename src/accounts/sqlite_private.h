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
	ACCOUNT_FIRST,
	ACCOUNT_NEXT,
	ALIAS_NEXT,
	ALIAS_NAMED,
	VERIFIER_OF,
	DOMAIN_LOCAL,
	DOMAIN_DEFAULT,
	ACCOUNT_ADD,
	ACCOUNT_REMOVE,
	ALIAS_ADD,
	VERIFIER_ADD,
	VERIFIERS_REMOVE,
	CHANGE_BEGIN,
	CHANGE_KEEP,
	CHANGE_UNDO,
	STATEMENTS
};

struct directory {
	sqlite3 *database;
	sqlite3_stmt *statements[STATEMENTS]; /* NULL until first used */
};

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

#endif
