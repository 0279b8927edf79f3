/*
 * sqlite_database: opens the account database and runs its statements.
 *
 * Guarantees: the file and what SQLite puts beside it (-wal, -shm) are for the owner only; a commit
 * is on stable storage (synchronous=FULL, and the directory synced when the file is new); no call
 * waits for another process longer than BUSY_MS; every value from outside is bound, never printed
 * into SQL.
 *
 * Must not know: what an account is beyond its columns.
 */
#include "accounts/sqlite_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUSY_MS        2000 /* a writer's transaction takes milliseconds */
#define BUSY_STEP_MS   10
#define APPLICATION_ID 1347375956 /* "POST": file(1) and we know our own */
#define SCHEMA_VERSION 1

static const char schema[] =
	"CREATE TABLE account("
	" id INTEGER PRIMARY KEY AUTOINCREMENT," /* AUTOINCREMENT: never used twice */
	" generation INTEGER NOT NULL DEFAULT 1,"
	" name TEXT NOT NULL UNIQUE,"
	" store TEXT NOT NULL,"
	" mail_root INTEGER NOT NULL,"
	" path TEXT NOT NULL,"
	" disabled INTEGER NOT NULL DEFAULT 0,"
	" created INTEGER NOT NULL,"
	" UNIQUE(mail_root, path)) STRICT;"
	"CREATE INDEX account_domain ON account(substr(name, instr(name, '@') + 1));"
	"CREATE TABLE alias("
	" name TEXT PRIMARY KEY,"
	" account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE) STRICT, WITHOUT ROWID;"
	"CREATE INDEX alias_account ON alias(account, name);"
	"CREATE INDEX alias_domain ON alias(substr(name, instr(name, '@') + 1));"
	"CREATE TABLE credential("
	" account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,"
	" kind TEXT NOT NULL,"
	" verifier TEXT NOT NULL,"
	" PRIMARY KEY(account, kind, verifier)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE setting("
	" key TEXT PRIMARY KEY,"
	" value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"PRAGMA application_id = 1347375956;"
	"PRAGMA user_version = 1;";

#define COLUMNS "id, generation, name, store, mail_root, path, disabled, created"

static const char *const statement_texts[STATEMENTS] = {
	[ACCOUNT_BY_NAME] = "SELECT " COLUMNS " FROM account WHERE name = ?1",
	[ACCOUNT_BY_ALIAS] = "SELECT " COLUMNS " FROM account WHERE id ="
			     " (SELECT account FROM alias WHERE name = ?1)",
	[ACCOUNT_BY_PATH] = "SELECT " COLUMNS " FROM account WHERE mail_root = ?1 AND path = ?2",
	[ACCOUNT_FIRST] = "SELECT " COLUMNS " FROM account ORDER BY id LIMIT 1",
	[ACCOUNT_NEXT] = "SELECT " COLUMNS " FROM account WHERE id > ?1 ORDER BY id LIMIT 1",
	[ALIAS_NEXT] =
		"SELECT name FROM alias WHERE account = ?1 AND name > ?2 ORDER BY name LIMIT 1",
	[ALIAS_NAMED] = "SELECT account FROM alias WHERE name = ?1",
	[VERIFIER_OF] = "SELECT verifier FROM credential WHERE account = ?1 AND kind = 'password'",
	[DOMAIN_LOCAL] =
		"SELECT EXISTS(SELECT 1 FROM account WHERE substr(name, instr(name, '@') + 1) = ?1)"
		" OR EXISTS(SELECT 1 FROM alias WHERE substr(name, instr(name, '@') + 1) = ?1)",
	[DOMAIN_DEFAULT] =
		"SELECT coalesce((SELECT value FROM setting WHERE key = 'default-domain'),"
		" (SELECT substr(name, instr(name, '@') + 1) FROM account ORDER BY id LIMIT 1), "
		"'')",
	[ACCOUNT_ADD] = "INSERT INTO account(name, store, mail_root, path, created)"
			" VALUES(?1, ?2, ?3, ?4, ?5)",
	[ACCOUNT_REMOVE] = "DELETE FROM account WHERE id = ?1 RETURNING id",
	[ALIAS_ADD] = "INSERT INTO alias(name, account) VALUES(?1, ?2)",
	[VERIFIER_ADD] = "INSERT INTO credential(account, kind, verifier)"
			 " VALUES(?1, 'password', ?2)",
	[VERIFIERS_REMOVE] = "DELETE FROM credential WHERE account = ?1 AND kind = 'password'",
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

/* ---- opening ---- */

/* Makes the name of a new file durable; SQLite does so for its own files, but not for this one. */
static enum error_code sync_folder_of(const char *path, struct error *error)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int descriptor = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int result = descriptor >= 0 ? fsync(descriptor) : -1, problem = errno;

	if (descriptor >= 0)
		close(descriptor);
	free(folder);
	if (result == 0)
		return ERROR_NONE;
	return error_set_errno(error, -problem, "syncing the folder of %s", path);
}

/* O_EXCL, because closing a descriptor of a file that is in use drops SQLite's locks on it. */
static enum error_code make_file(const char *path, struct error *error)
{
	int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (descriptor < 0 && errno != EEXIST)
		return error_set_errno(error, -errno, "making the account database %s", path);
	if (descriptor >= 0)
		close(descriptor);
	return ERROR_NONE;
}

static enum error_code check_file(const char *path, struct error *error)
{
	struct stat status;

	if (lstat(path, &status) != 0) {
		if (errno == ENOENT)
			return error_set(error, ERROR_CONFIG,
					 "there are no accounts yet (no %s): \"postern account "
					 "add\" makes the first",
					 path);
		return error_set_errno(error, -errno, "opening the account database %s", path);
	}
	if (!S_ISREG(status.st_mode))
		return error_set(error, ERROR_CONFIG, "%s is not a file", path);
	if (status.st_mode & 077)
		return error_set(error, ERROR_CONFIG,
				 "%s holds password hashes and is open to others (mode %03o): "
				 "chmod 600 it and what lies beside it",
				 path, (unsigned)status.st_mode & 0777);
	return ERROR_NONE;
}

static enum error_code run(struct directory *directory, const char *sql, struct error *error)
{
	if (sqlite3_exec(directory->database, sql, NULL, NULL, NULL) == SQLITE_OK)
		return ERROR_NONE;
	return database_failed(directory, error, "opening the account database");
}

/* One number that a pragma or a query without parameters yields. */
static enum error_code read_number(struct directory *directory, const char *sql,
				   int64_t *number_out, struct error *error)
{
	sqlite3_stmt *statement = NULL;
	enum error_code code = ERROR_NONE;

	if (sqlite3_prepare_v2(directory->database, sql, -1, &statement, NULL) != SQLITE_OK ||
	    sqlite3_step(statement) != SQLITE_ROW)
		code = database_failed(directory, error, "opening the account database");
	else
		*number_out = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return code;
}

/* Whose file it is: ours of this version, empty, or neither. */
static enum error_code check_schema(struct directory *directory, bool *empty_out,
				    struct error *error)
{
	int64_t version = 0, application = 0, tables = 0;
	enum error_code code = read_number(directory, "PRAGMA application_id", &application, error);

	if (code == ERROR_NONE)
		code = read_number(directory, "PRAGMA user_version", &version, error);
	if (code == ERROR_NONE)
		code = read_number(directory, "SELECT count(*) FROM sqlite_schema", &tables, error);
	if (code != ERROR_NONE)
		return code;
	*empty_out = application == 0 && version == 0 && tables == 0;
	if (*empty_out || (application == APPLICATION_ID && version == SCHEMA_VERSION))
		return ERROR_NONE;
	if (application == APPLICATION_ID)
		return error_set(error, ERROR_CONFIG,
				 "the account database has version %lld, and this Postern knows "
				 "only %d",
				 (long long)version, SCHEMA_VERSION);
	return error_set(error, ERROR_CONFIG,
			 "this is a database of another program, not Postern's accounts");
}

/* In one transaction, because another process may be making the schema between two of the reads. */
static enum error_code look_at_schema(struct directory *directory, bool *empty_out,
				      struct error *error)
{
	enum error_code code = run(directory, "BEGIN", error);

	if (code == ERROR_NONE)
		code = check_schema(directory, empty_out, error);
	run(directory, code == ERROR_NONE ? "COMMIT" : "ROLLBACK", NULL);
	return code;
}

/* Looked at again under the write lock: two first commands may run at the same time. */
static enum error_code make_schema(struct directory *directory, struct error *error)
{
	bool empty = false;
	enum error_code code = run(directory, "BEGIN IMMEDIATE", error);

	if (code != ERROR_NONE)
		return code;
	code = check_schema(directory, &empty, error);
	if (code == ERROR_NONE && empty)
		code = run(directory, schema, error);
	if (code == ERROR_NONE)
		code = run(directory, "COMMIT", error);
	if (code != ERROR_NONE)
		run(directory, "ROLLBACK", NULL);
	return code;
}

/* Where several open a new file at once, SQLite refuses all but one of them the change to WAL
 * without calling its busy handler, because two that waited for each other would wait for good. */
static enum error_code set_journal(struct directory *directory, struct error *error)
{
	const struct timespec moment = {.tv_nsec = BUSY_STEP_MS * 1000 * 1000};
	enum error_code code = run(directory, "PRAGMA journal_mode = WAL", error);

	for (int waited_ms = 0; code == ERROR_TEMPORARY && waited_ms < BUSY_MS;
	     waited_ms += BUSY_STEP_MS) {
		nanosleep(&moment, NULL);
		code = run(directory, "PRAGMA journal_mode = WAL", error);
	}
	if (code == ERROR_NONE && error)
		error->code = ERROR_NONE;
	return code;
}

static enum error_code set_up(struct directory *directory, bool create, const char *path,
			      struct error *error)
{
	bool empty = false;
	enum error_code code;

	sqlite3_extended_result_codes(directory->database, 1);
	sqlite3_busy_timeout(directory->database, BUSY_MS);
	sqlite3_db_config(directory->database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(directory->database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	code = look_at_schema(directory, &empty, error);
	if (code == ERROR_NONE && empty && !create)
		return error_set(error, ERROR_CONFIG,
				 "there are no accounts yet (%s is empty): \"postern account add\" "
				 "makes the first",
				 path);
	if (code == ERROR_NONE)
		code = set_journal(directory, error);
	/* temp_store: the process that opens this may be allowed no other folder. */
	if (code == ERROR_NONE)
		code = run(directory,
			   "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
			   "PRAGMA temp_store = MEMORY;",
			   error);
	if (code == ERROR_NONE && empty) {
		code = make_schema(directory, error);
		if (code == ERROR_NONE)
			code = sync_folder_of(path, error);
	}
	return code;
}

/* SQLite makes every path absolute before it opens a file. Where a folder above may not be entered
 * by the user that opens the database (an instance below /root, opened as postern-auth from within
 * accounts/), that fails: a path stays as it was given. Links are refused by check_file(). */
static int keep_path(sqlite3_vfs *vfs, const char *path, int room_octets, char *out)
{
	size_t length = strlen(path);

	(void)vfs;
	if (length >= (size_t)room_octets)
		return SQLITE_CANTOPEN;
	memcpy(out, path, length + 1);
	return SQLITE_OK;
}

static sqlite3_vfs given_paths;
static pthread_once_t vfs_made = PTHREAD_ONCE_INIT;

static void make_vfs(void)
{
	given_paths = *sqlite3_vfs_find(NULL);
	given_paths.zName = "given-paths";
	given_paths.pNext = NULL;
	given_paths.xFullPathname = keep_path;
	sqlite3_vfs_register(&given_paths, 0);
}

enum error_code directory_open(const char *path, bool create, struct directory **directory_out,
			       struct error *error)
{
	struct directory *directory;
	enum error_code code = create ? make_file(path, error) : ERROR_NONE;

	*directory_out = NULL;
	if (code == ERROR_NONE)
		code = check_file(path, error);
	if (code != ERROR_NONE)
		return code;
	directory = calloc(1, sizeof(*directory));
	if (!directory)
		return error_set(error, ERROR_TEMPORARY, "no memory");
	pthread_once(&vfs_made, make_vfs);
	if (sqlite3_open_v2(path, &directory->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			    given_paths.zName) != SQLITE_OK)
		code = database_failed(directory, error, "opening the account database");
	else
		code = set_up(directory, create, path, error);
	if (code != ERROR_NONE) {
		error_prefix(error, "%s: ", path);
		directory_close(directory);
		return code;
	}
	*directory_out = directory;
	return ERROR_NONE;
}

void directory_close(struct directory *directory)
{
	if (!directory)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(directory->statements[i]);
	sqlite3_close(directory->database);
	free(directory);
}
