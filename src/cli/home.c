/*
 * home: opens an instance for a command, as the right user.
 *
 * Guarantees: nothing of accounts/ or of mail is opened as root; a child that dies is a failure,
 * not a success without an answer.
 *
 * Must not know: what the command does.
 */
#include "cli/home.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/config.h"
#include "server/broker.h"
#include "server/mail_folders.h"
#include "server/place.h"

#define WAIT_NANOSECONDS (20 * 1000 * 1000)

/* ---- opening ---- */

static enum error_code make_absolute(const char *root, char path_out[PATH_MAX], struct error *error)
{
	char folder[PATH_MAX] = "";
	int length;

	if (root[0] != '/' && !getcwd(folder, sizeof(folder)))
		return error_set_errno(error, -errno, "finding the current folder");
	length = snprintf(path_out, PATH_MAX, "%s%s%s", folder, folder[0] ? "/" : "", root);
	if (length < 0 || length >= PATH_MAX)
		return error_set(error, ERROR_USAGE, "the path of the root is too long");
	return ERROR_NONE;
}

static enum error_code check_root(const char *path, bool create, struct error *error)
{
	struct stat status;

	if (stat(path, &status) != 0) {
		if (errno == ENOENT && create)
			return ERROR_NONE;
		if (errno == ENOENT)
			return error_set(error, ERROR_CONFIG,
					 "there is no instance in %.120s yet: \"postern account "
					 "add\" makes one, --root DIR names another",
					 path);
		return error_set_errno(error, -errno, "opening the instance %.150s", path);
	}
	if (!S_ISDIR(status.st_mode))
		return error_set(error, ERROR_CONFIG, "%.150s is not a folder", path);
	if (geteuid() == 0 && status.st_uid != 0)
		return instance_become((struct instance_user){status.st_uid, status.st_gid}, error);
	if (geteuid() != status.st_uid)
		return error_set(error, ERROR_DENIED,
				 "%.120s belongs to uid %u: only its owner and root may do this",
				 path, (unsigned)status.st_uid);
	return ERROR_NONE;
}

/* What else is wrong with postern.conf is the business of `serve`: a command goes on without, and
 * says so where a mail root is missing. */
static enum error_code open_roots(struct home *home, struct error *error)
{
	static struct config config;
	struct problems problems = {.count = 0};
	enum error_code code;

	home->roots = calloc(1, sizeof(*home->roots));
	if (!home->roots)
		return error_set(error, ERROR_TEMPORARY, "no memory");
	config_read(0, NULL, home->path, &config, &problems);
	(void)problems_first(&problems, &home->misconfigured);
	problems_free(&problems);
	code = mail_roots_number(&home->instance, home->path,
				 (const char(*)[PATH_MAX])config.mail_roots, config.mail_root_count,
				 home->roots, error);
	for (uint32_t i = 1; i < home->roots->count && code == ERROR_NONE; i++) {
		if (home->roots->path[i][0])
			home->root_folders[i] =
				open(home->roots->path[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (mail_folder_is_lent(&home->instance, home->root_folders[i]))
			home->lent |= 1U << i;
	}
	return code;
}

enum error_code home_open(const struct context *context, bool create, struct home *home_out,
			  struct error *error)
{
	enum error_code code = make_absolute(context->root, home_out->path, error);

	home_out->roots = NULL;
	home_out->misconfigured.code = ERROR_NONE;
	home_out->lent = 0;
	home_out->broker = NULL;
	for (size_t i = 0; i < MAIL_ROOTS_MAX; i++)
		home_out->root_folders[i] = -1;
	if (code == ERROR_NONE)
		code = check_root(home_out->path, create, error);
	if (code == ERROR_NONE)
		code = instance_open(home_out->path, &home_out->instance, error);
	if (code != ERROR_NONE)
		return code;
	home_out->privileged = home_out->instance.as_root;
	home_out->in_accounts = false;
	code = open_roots(home_out, error);
	if (code != ERROR_NONE)
		home_close(home_out);
	return code;
}

void home_close(struct home *home)
{
	for (size_t i = 0; i < MAIL_ROOTS_MAX; i++) {
		if (home->root_folders[i] >= 0)
			close(home->root_folders[i]);
		home->root_folders[i] = -1;
	}
	free(home->roots);
	home->roots = NULL;
	broker_free(home->broker);
	home->broker = NULL;
	instance_close(&home->instance);
}

/* ---- users ---- */

enum error_code home_become(struct home *home, enum home_side side, struct error *error)
{
	if (!home->privileged)
		return ERROR_NONE;
	if (side == HOME_MAIL && home_lend(home, error) != ERROR_NONE)
		return error->code;
	home->privileged = false;
	/* The folders above ROOT may be closed to postern-auth (/root is): it starts out inside. */
	if (side == HOME_ACCOUNTS) {
		if (fchdir(home->instance.accounts) != 0)
			return error_set_errno(error, -errno, "entering %.150s/accounts",
					       home->path);
		home->in_accounts = true;
	}
	return instance_become(
		side == HOME_ACCOUNTS ? home->instance.auth_user : home->instance.mail_user, error);
}

struct errand { /* shared with the child; the data stands behind it, whatever it is */
	_Alignas(max_align_t) struct error error;
	bool done;
};

static _Noreturn void run_child(struct home *home, enum home_side side, home_work *work,
				struct errand *errand)
{
	if (home_become(home, side, &errand->error) == ERROR_NONE)
		work(home, errand + 1, &errand->error);
	errand->done = true;
	_exit(0);
}

static enum error_code wait_for_child(pid_t child, struct errand *errand, struct error *error)
{
	int status;

	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return error_set_errno(error, -errno, "waiting for a child process");
	}
	if (!errand->done)
		return error_set(error, ERROR_INTERNAL, "a child process died (status %d)", status);
	if (errand->error.code != ERROR_NONE && error)
		*error = errand->error;
	return errand->error.code;
}

enum error_code home_in(struct home *home, enum home_side side, home_work *work, void *data,
			size_t size, struct error *error)
{
	struct errand *errand;
	enum error_code code;
	pid_t child;

	if (!home->privileged)
		return work(home, data, error);
	errand = mmap(NULL, sizeof(*errand) + size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (errand == MAP_FAILED)
		return error_set_errno(error, -errno, "sharing memory with a child process");
	memcpy(errand + 1, data, size);
	fflush(NULL);
	child = fork();
	if (child == 0)
		run_child(home, side, work, errand);
	if (child < 0)
		code = error_set_errno(error, -errno, "starting a child process");
	else
		code = wait_for_child(child, errand, error);
	memcpy(data, errand + 1, size);
	munmap(errand, sizeof(*errand) + size);
	return code;
}

/* ---- accounts ---- */

enum error_code home_directory(const struct home *home, bool create,
			       struct directory **directory_out, struct error *error)
{
	char path[PATH_MAX + 32];

	assert(!home->privileged);
	(void)snprintf(path, sizeof(path), "%s%saccounts.db", home->in_accounts ? "" : home->path,
		       home->in_accounts ? "" : "/accounts/");
	return directory_open(path, create, directory_out, error);
}

static enum error_code find_account(struct home *home, void *data, struct error *error)
{
	struct home_account *found = data;
	struct directory *directory;
	enum error_code code = home_directory(home, false, &directory, error);

	if (code != ERROR_NONE)
		return code;
	code = directory_find(directory, bytes_of(found->wanted), &found->account, error);
	directory_close(directory);
	return code;
}

enum error_code home_find(struct home *home, const char *name, struct home_account *found_out,
			  struct error *error)
{
	enum error_code code;

	*found_out = (struct home_account){.wanted = ""};
	if (!bytes_to_string(bytes_of(name), found_out->wanted, sizeof(found_out->wanted)))
		return error_set(error, ERROR_NO_USER, "the name is longer than any account's");
	code = home_in(home, HOME_ACCOUNTS, find_account, found_out, sizeof(*found_out), error);
	if (code == ERROR_NONE)
		code = place_of_account(&found_out->account, &found_out->place, error);
	if (code == ERROR_NONE)
		code = home_check_root(home, found_out->place.mail_root, error);
	return code;
}

void home_maildrop_path(const struct home *home, const struct account *account,
			char path_out[HOME_MAILDROP_PATH_OCTETS])
{
	const char *folder = home->path, *mail = "/mail";

	if (account->mail_root > 0 && account->mail_root < MAIL_ROOTS_MAX) {
		folder = home->roots->path[account->mail_root];
		mail = folder[0] ? "" : "(a mail root that postern.conf does not name)";
	}
	(void)snprintf(path_out, HOME_MAILDROP_PATH_OCTETS, "%s%s/%s", folder, mail, account->path);
}

enum error_code home_check_root(const struct home *home, uint32_t mail_root, struct error *error)
{
	const char *path = mail_root < MAIL_ROOTS_MAX ? home->roots->path[mail_root] : "";

	if (mail_root == 0 || (path[0] && home->root_folders[mail_root] >= 0))
		return ERROR_NONE;
	if (path[0])
		return error_set(error, ERROR_CONFIG, "the mail root %.200s cannot be opened",
				 path);
	if (home->misconfigured.code != ERROR_NONE)
		return error_set(error, ERROR_CONFIG,
				 "the maildrop is in mail root %u, which is not known: %.200s",
				 (unsigned)mail_root, home->misconfigured.text);
	return error_set(error, ERROR_CONFIG,
			 "the maildrop is in mail root %u (line %u of %.100s/mail-roots), which "
			 "postern.conf does not name: add it with mail-root",
			 (unsigned)mail_root, (unsigned)mail_root, home->path);
}

/* ---- mail ---- */

/* The store keeps its handles longer than the instance its descriptors: each has its own. */
static enum error_code adopt(int descriptor, struct file **file_out, struct error *error)
{
	int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
	int result = copy < 0 ? -errno : file_adopt(copy, file_out);

	if (result == 0)
		return ERROR_NONE;
	if (copy >= 0)
		close(copy);
	return error_set_errno(error, result, "opening the folders of mail");
}

static enum error_code adopt_root(const struct home *home, uint32_t number, struct file **file_out,
				  struct error *error)
{
	enum error_code code = adopt(home->root_folders[number], file_out, error);
	struct file *folder;

	if (code != ERROR_NONE || !home->broker || !(home->lent & 1U << number))
		return code;
	folder = broker_folder(home->broker, number, *file_out);
	if (!folder)
		return error_set(error, ERROR_TEMPORARY, "no memory");
	*file_out = folder;
	return ERROR_NONE;
}

enum error_code home_store(const struct home *home, struct store_root *root_out,
			   struct error *error)
{
	enum error_code code;

	assert(!home->privileged);
	*root_out = (struct store_root){.disk = disk_kernel()};
	code = adopt(home->instance.mail, &root_out->mail[0], error);
	for (uint32_t i = 1; i < MAIL_ROOTS_MAX && code == ERROR_NONE; i++)
		if (home->root_folders[i] >= 0)
			code = adopt_root(home, i, &root_out->mail[i], error);
	if (code == ERROR_NONE)
		code = adopt(home->instance.index, &root_out->index, error);
	if (code == ERROR_NONE)
		code = adopt(home->instance.journal, &root_out->journal, error);
	if (code == ERROR_NONE)
		code = adopt(home->instance.uids, &root_out->uids, error);
	if (code == ERROR_NONE)
		code = adopt(home->instance.locks, &root_out->locks, error);
	if (code != ERROR_NONE)
		home_store_close(root_out);
	return code;
}

void home_store_close(struct store_root *root)
{
	for (size_t i = 0; i < MAIL_ROOTS_MAX; i++)
		file_close(root->mail[i]);
	file_close(root->index);
	file_close(root->journal);
	file_close(root->uids);
	file_close(root->locks);
	*root = (struct store_root){.disk = root->disk};
}

bool home_wait(struct home_patience *patience)
{
	const struct timespec moment = {.tv_nsec = WAIT_NANOSECONDS};
	uint64_t now_ms = clock_monotonic_ms();

	if (patience->since_ms == 0)
		patience->since_ms = now_ms;
	if (now_ms - patience->since_ms >= DELIVERY_WAIT_MS)
		return false;
	nanosleep(&moment, NULL);
	return true;
}

enum error_code home_store_failed(enum store_result result, struct error *error)
{
	static const struct {
		enum error_code code;
		const char *text;
	} rows[] = {
		[STORE_AGAIN] = {ERROR_TEMPORARY, "the maildrop is being changed by another; "
						  "try again in a moment"},
		[STORE_LOCKED] = {ERROR_IN_USE, "somebody is logged in to this maildrop"},
		[STORE_CHANGED] = {ERROR_TEMPORARY,
				   "the maildrop was changed meanwhile; try again"},
		[STORE_FULL] = {ERROR_FULL, "there is no room on the disk"},
		[STORE_EXISTS] = {ERROR_DATA, "a message with this unique-id is there already"},
		[STORE_UNKNOWN] = {ERROR_TEMPORARY, "it is not known whether it has happened"},
		[STORE_IO] = {ERROR_IO, "the disk failed"},
	};

	assert(result != STORE_OK && result < sizeof(rows) / sizeof(rows[0]));
	if (error->code != ERROR_NONE)
		return error->code;
	return error_set(error, rows[result].code, "%s", rows[result].text);
}
