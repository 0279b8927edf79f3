/*
 * sqlite_open: opens the account database, makes it, and brings one of an older Postern up to date.
 *
 * Guarantees: the file and what SQLite puts beside it (-wal, -shm) are for the owner only; a commit
 * is on stable storage (synchronous=FULL, and the directory synced when the file is new); no call
 * waits for another process longer than BUSY_MS. A change of schema happens whole or not at all.
 *
 * Must not know: what an account is beyond its columns.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "accounts/sqlite_private.h"

#define BUSY_MS        2000 /* a writer's transaction takes milliseconds */
#define BUSY_STEP_MS   10
#define APPLICATION_ID 1347375956 /* "POST": file(1) and we know our own */

/* The schema is its history: step n makes version n out of version n - 1, and a new database takes
 * all of them. A step that was released is never changed. */
static const char *const schema_steps[] = {
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
	"PRAGMA user_version = 1;",
	"ALTER TABLE account ADD COLUMN quota_octets INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE account ADD COLUMN quota_messages INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE account ADD COLUMN apop INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE domain_alias("
	" name TEXT PRIMARY KEY,"
	" domain TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"PRAGMA user_version = 2;",
};

#define SCHEMA_VERSION ((int)(sizeof(schema_steps) / sizeof(schema_steps[0])))

/* Makes the name of a new file durable; SQLite does so for its own files, but not for this one. */
enum error_code database_sync_folder(const char *path, struct error *error)
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
enum error_code database_make_file(const char *path, struct error *error)
{
	int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (descriptor < 0 && errno != EEXIST)
		return error_set_errno(error, -errno, "making the account database %s", path);
	if (descriptor >= 0)
		close(descriptor);
	return ERROR_NONE;
}

enum error_code database_check_file(const char *path, struct error *error)
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
				 "%s holds passwords and is open to others (mode %03o): "
				 "chmod 600 it and what lies beside it",
				 path, (unsigned)status.st_mode & 0777);
	return ERROR_NONE;
}

enum error_code database_run(struct directory *directory, const char *sql, struct error *error)
{
	if (sqlite3_exec(directory->database, sql, NULL, NULL, NULL) == SQLITE_OK)
		return ERROR_NONE;
	return database_failed(directory, error, "opening the account database");
}

/* One number that a pragma or a query without parameters yields. */
enum error_code database_number(struct directory *directory, const char *sql, int64_t *number_out,
				struct error *error)
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

/* Whose file it is: ours, of which version (0: it is empty), or not ours. */
static enum error_code check_schema(struct directory *directory, int64_t *version_out,
				    struct error *error)
{
	int64_t application = 0, tables = 0;
	enum error_code code =
		database_number(directory, "PRAGMA application_id", &application, error);

	if (code == ERROR_NONE)
		code = database_number(directory, "PRAGMA user_version", version_out, error);
	if (code == ERROR_NONE)
		code = database_number(directory, "SELECT count(*) FROM sqlite_schema", &tables,
				       error);
	if (code != ERROR_NONE)
		return code;
	if (application != APPLICATION_ID && (application || *version_out || tables))
		return error_set(error, ERROR_CONFIG,
				 "this is a database of another program, not Postern's accounts");
	if (*version_out >= 0 && *version_out <= SCHEMA_VERSION &&
	    (*version_out > 0) == (application == APPLICATION_ID))
		return ERROR_NONE;
	return error_set(error, ERROR_CONFIG,
			 "the account database has version %lld, and this Postern knows only %d",
			 (long long)*version_out, SCHEMA_VERSION);
}

/* In one transaction, because another process may be making the schema between two of the reads. */
static enum error_code look_at_schema(struct directory *directory, int64_t *version_out,
				      struct error *error)
{
	enum error_code code = database_run(directory, "BEGIN", error);

	if (code == ERROR_NONE)
		code = check_schema(directory, version_out, error);
	database_run(directory, code == ERROR_NONE ? "COMMIT" : "ROLLBACK", NULL);
	return code;
}

/* Looked at again under the write lock: two first commands may run at the same time. */
static enum error_code bring_up_to_date(struct directory *directory, struct error *error)
{
	int64_t version = 0;
	enum error_code code = database_run(directory, "BEGIN IMMEDIATE", error);

	if (code != ERROR_NONE)
		return code;
	code = check_schema(directory, &version, error);
	for (int64_t step = version; step < SCHEMA_VERSION && code == ERROR_NONE; step++)
		code = database_run(directory, schema_steps[step], error);
	if (code == ERROR_NONE)
		code = database_run(directory, "COMMIT", error);
	if (code != ERROR_NONE)
		database_run(directory, "ROLLBACK", NULL);
	return code;
}

/* Where several open a new file at once, SQLite refuses all but one of them the change to WAL
 * without calling its busy handler, because two that waited for each other would wait for good. */
static enum error_code set_journal(struct directory *directory, struct error *error)
{
	const struct timespec moment = {.tv_nsec = BUSY_STEP_MS * 1000 * 1000};
	enum error_code code = database_run(directory, "PRAGMA journal_mode = WAL", error);

	for (int waited_ms = 0; code == ERROR_TEMPORARY && waited_ms < BUSY_MS;
	     waited_ms += BUSY_STEP_MS) {
		nanosleep(&moment, NULL);
		code = database_run(directory, "PRAGMA journal_mode = WAL", error);
	}
	if (code == ERROR_NONE && error)
		error->code = ERROR_NONE;
	return code;
}

static enum error_code set_up(struct directory *directory, bool create, const char *path,
			      struct error *error)
{
	int64_t version = 0;
	enum error_code code;

	sqlite3_extended_result_codes(directory->database, 1);
	sqlite3_busy_timeout(directory->database, BUSY_MS);
	sqlite3_db_config(directory->database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(directory->database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	code = look_at_schema(directory, &version, error);
	if (code == ERROR_NONE && version == 0 && !create)
		return error_set(error, ERROR_CONFIG,
				 "there are no accounts yet (%s is empty): \"postern account add\" "
				 "makes the first",
				 path);
	if (code == ERROR_NONE)
		code = set_journal(directory, error);
	/* temp_store: the process that opens this may be allowed no other folder. */
	if (code == ERROR_NONE)
		code = database_run(directory,
				    "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
				    "PRAGMA temp_store = MEMORY;",
				    error);
	if (code == ERROR_NONE && version < SCHEMA_VERSION)
		code = bring_up_to_date(directory, error);
	if (code == ERROR_NONE && version == 0)
		code = database_sync_folder(path, error);
	return code;
}

/* SQLite makes every path absolute before it opens a file. Where a folder above may not be entered
 * by the user that opens the database (an instance below /root, opened as postern-auth from within
 * accounts/), that fails: a path stays as it was given. Links are refused by database_check_file().
 */
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
	enum error_code code = create ? database_make_file(path, error) : ERROR_NONE;

	*directory_out = NULL;
	if (code == ERROR_NONE)
		code = database_check_file(path, error);
	if (code != ERROR_NONE)
		return code;
	directory = calloc(1, sizeof(*directory));
	if (!directory)
		return error_set(error, ERROR_TEMPORARY, "no memory");
	directory->path = strdup(path);
	if (!directory->path) {
		free(directory);
		return error_set(error, ERROR_TEMPORARY, "no memory");
	}
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
	free(directory->path);
	free(directory);
}
