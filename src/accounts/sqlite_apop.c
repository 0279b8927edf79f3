/*
 * sqlite_apop: the secrets of those who consented to APOP, in a database file of their own beside
 * the accounts, `apop.db`.
 *
 * RFC 1939 section 7 digests the password itself, so the server must have it. It is kept apart from
 * the verifiers, so that whoever has no use for APOP has no such file, a copy of the accounts is no
 * copy of passwords, and it is seen at a glance whether any are kept.
 *
 * A secret counts only beside the verifier it was stored with (sqlite_database.c, SECRET_OF), and
 * is written before that verifier. Two files cannot be changed in one step; so at a crash in
 * between the old password goes on to count for both, or the new one does.
 *
 * What is removed is overwritten in the file. Must not know: who asks.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accounts/sqlite_private.h"

#define APOP_VERSION 1

static char *apop_path(const struct directory *directory)
{
	const char *slash = strrchr(directory->path, '/');
	int folder_octets = slash ? (int)(slash - directory->path) + 1 : 0;
	char *path = NULL;

	return asprintf(&path, "%.*sapop.db", folder_octets, directory->path) < 0 ? NULL : path;
}

static enum error_code attach_file(struct directory *directory, const char *path,
				   struct error *error)
{
	sqlite3_stmt *statement = NULL;
	enum error_code code = ERROR_NONE;

	if (sqlite3_prepare_v2(directory->database, "ATTACH ?1 AS apop", -1, &statement, NULL) !=
		    SQLITE_OK ||
	    sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_step(statement) != SQLITE_DONE)
		code = database_failed(directory, error, "opening the secrets for APOP");
	sqlite3_finalize(statement);
	return code;
}

/* A rollback journal, not WAL: what was overwritten shall not live on in a log beside the file.
 * EXTRA also syncs the folder when that journal is gone. */
static enum error_code prepare_file(struct directory *directory, bool create, struct error *error)
{
	int64_t version = 0;
	enum error_code code = database_run(
		directory, "PRAGMA apop.secure_delete = ON; PRAGMA apop.synchronous = EXTRA",
		error);

	if (code == ERROR_NONE && create)
		code = database_run(directory,
				    "BEGIN IMMEDIATE;"
				    "CREATE TABLE IF NOT EXISTS apop.secret("
				    " account INTEGER NOT NULL,"
				    " verifier TEXT NOT NULL,"
				    " secret TEXT NOT NULL,"
				    " PRIMARY KEY(account, verifier)) STRICT, WITHOUT ROWID;"
				    "PRAGMA apop.application_id = 1347375956;"
				    "PRAGMA apop.user_version = 1;"
				    "COMMIT",
				    error);
	if (code == ERROR_NONE)
		code = database_number(directory, "PRAGMA apop.user_version", &version, error);
	if (code == ERROR_NONE && version == 0)
		return ERROR_NO_USER; /* somebody is about to make it */
	if (code == ERROR_NONE && version != APOP_VERSION)
		return error_set(error, ERROR_CONFIG,
				 "apop.db has version %lld, and this Postern knows only %d",
				 (long long)version, APOP_VERSION);
	return code;
}

static enum error_code attach(struct directory *directory, const char *path, bool create,
			      struct error *error)
{
	enum error_code code = ERROR_NONE;

	assert(sqlite3_get_autocommit(directory->database));
	if (create)
		code = database_make_file(path, error);
	else if (access(path, F_OK) != 0)
		return ERROR_NO_USER;
	if (code == ERROR_NONE)
		code = database_check_file(path, error);
	if (code == ERROR_NONE)
		code = attach_file(directory, path, error);
	if (code != ERROR_NONE)
		return code;
	code = prepare_file(directory, create, error);
	if (code == ERROR_NONE && create)
		code = database_sync_folder(path, error);
	directory->has_secrets = code == ERROR_NONE;
	if (code != ERROR_NONE) {
		database_run(directory, "ROLLBACK", NULL);
		database_run(directory, "DETACH apop", NULL);
	}
	return code;
}

/* ERROR_NO_USER, without a text, when there is no file and `create` is not asked for. */
static enum error_code open_secrets(struct directory *directory, bool create, struct error *error)
{
	char *path;
	enum error_code code;

	if (directory->has_secrets)
		return ERROR_NONE;
	path = apop_path(directory);
	if (!path)
		return error_set(error, ERROR_TEMPORARY, "no memory");
	code = attach(directory, path, create, error);
	free(path);
	return code;
}

enum error_code directory_apop_secret(struct directory *directory, uint64_t account,
				      char secret_out[PASSWORD_MAX + 1], struct error *error)
{
	struct query query;
	bool found = false;
	enum error_code code = open_secrets(directory, false, error);

	*secret_out = '\0';
	if (code == ERROR_NONE) {
		query_begin(&query, directory, SECRET_OF, error);
		query_bind_number(&query, 1, account);
		found = query_row(&query);
		if (found)
			query_text(&query, 0, secret_out, PASSWORD_MAX + 1);
		code = query_end(&query);
	}
	if (code == ERROR_NO_USER || (code == ERROR_NONE && !found))
		return error_set(error, ERROR_NO_USER, "the account has no secret for APOP");
	return code;
}

enum error_code apop_keep(struct directory *directory, uint64_t account, const char *verifier,
			  const char *secret, struct error *error)
{
	struct query query;
	enum error_code code = open_secrets(directory, true, error);

	if (code != ERROR_NONE)
		return code;
	query_begin(&query, directory, SECRET_ADD, error);
	query_bind_number(&query, 1, account);
	query_bind_text(&query, 2, bytes_of(verifier));
	query_bind_text(&query, 3, bytes_of(secret));
	return query_execute(&query, NULL);
}

enum error_code apop_clear(struct directory *directory, struct error *error)
{
	struct query query;
	enum error_code code = open_secrets(directory, false, error);

	if (code != ERROR_NONE)
		return code == ERROR_NO_USER ? ERROR_NONE : code;
	query_begin(&query, directory, SECRETS_CLEAR, error);
	return query_execute(&query, NULL);
}
