/*
 * check: one function for each thing a start needs.
 *
 * Guarantees: nothing is made, bound or changed; what must be tried as another user is tried in a
 * child process that becomes that user.
 */
#include "server/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "accounts/directory.h"
#include "server/certificate.h"
#include "server/instance.h"
#include "server/sandbox.h"
#include "server/sockets.h"

struct check {
	const struct config *config;
	struct problems *problems;
	FILE *notes;
	struct instance instance; /* what there is of it: -1 where a folder is missing */
	bool running;             /* a server has this root now */
};

/* ---- in a child process, as another user ---- */

typedef enum error_code check_work(struct check *check, struct error *error);

static void run_child(struct check *check, const struct instance_user *user, check_work *work,
		      int out)
{
	struct error error = {.code = ERROR_NONE};

	if (check->instance.as_root && instance_become(*user, &error) != ERROR_NONE)
		error.code = ERROR_SYSTEM;
	else
		(void)work(check, &error);
	_exit(write(out, &error, sizeof(error)) == (ssize_t)sizeof(error) ? 0 : 1);
}

static void check_as(struct check *check, const struct instance_user *user, check_work *work,
		     const char *what)
{
	struct error error;
	ssize_t got = 0;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return;
	pid = fork();
	if (pid == 0)
		run_child(check, user, work, ends[1]);
	close(ends[1]);
	if (pid > 0)
		got = read(ends[0], &error, sizeof(error));
	close(ends[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	if (got != (ssize_t)sizeof(error))
		(void)problems_add(check->problems, ERROR_CONFIG, "%s could not be tried", what);
	else if (error.code != ERROR_NONE)
		(void)problems_add(check->problems, ERROR_CONFIG, "%s: %s", what, error.text);
}

/* ---- things ---- */

static void check_folders(struct check *check)
{
	struct error error;
	enum error_code code =
		instance_look(check->config->root, &check->instance, check->problems);

	if (code == ERROR_NO_INPUT)
		(void)fprintf(check->notes, "note: %s is not there yet; a start makes it\n",
			      check->config->root);
	if (check->instance.run < 0)
		return;
	check->running = instance_is_running(&check->instance, &error);
	if (check->running)
		(void)fprintf(check->notes, "note: %s\n", error.text);
}

/* One without the other was complained of; whether it is there is looked at all the same. */
static void check_half(struct check *check)
{
	const struct config *config = check->config;
	bool certificate = config->tls_certificate[0] != '\0';
	const char *path = certificate ? config->tls_certificate : config->tls_key;
	char place[CONFIG_PLACE_OCTETS];

	if (access(path, R_OK) != 0)
		(void)problems_add(
			check->problems, ERROR_CONFIG, "%s: %.150s: %s",
			config_place(config, certificate ? "tls-cert" : "tls-key", place), path,
			strerror(errno));
}

static void check_certificate(struct check *check)
{
	struct certificate certificate;
	struct error error;
	enum error_code code;

	if (!check->config->tls_certificate[0] != !check->config->tls_key[0]) {
		check_half(check);
		return;
	}
	if (!check->config->tls_certificate[0] && check->instance.tls < 0)
		return;
	code = certificate_reload(check->config, &check->instance, &certificate, &error);
	if (code == ERROR_NONE)
		certificate_free(&certificate);
	else if (code != ERROR_NO_INPUT || check->config->tls_certificate[0])
		(void)problems_add(check->problems, ERROR_CONFIG, "%s", error.text);
}

static void add_place(struct check *check, const struct config_listener *listener,
		      const struct error *error)
{
	char place[CONFIG_PLACE_OCTETS];

	(void)problems_add(check->problems, ERROR_CONFIG, "%s: %s",
			   config_place_at(check->config, config_listener_name(listener->kind),
					   listener->line, place),
			   error->text);
}

/* Two addresses of our own that are one are found as well: all stay bound until the end. */
static void check_addresses(struct check *check)
{
	int bound[LISTENERS_MAX];
	uint32_t count = 0;

	for (uint32_t i = 0; i < check->config->listener_count; i++) {
		const struct config_listener *listener = &check->config->listeners[i];
		struct error error;

		if (listener->address.storage.ss_family == AF_UNIX) {
			if (!sockets_can_bind(listener, &error) && check->instance.run >= 0)
				add_place(check, listener, &error);
			continue;
		}
		bound[count] = address_listen(&listener->address, 0666, &error);
		if (bound[count] >= 0)
			count++;
		else if (errno == EADDRINUSE && check->running)
			(void)fprintf(check->notes, "note: %s; by the running server, maybe\n",
				      error.text);
		else
			add_place(check, listener, &error);
	}
	while (count > 0)
		close(bound[--count]);
}

static void check_log(struct check *check)
{
	const char *missing = log_missing_logger((enum log_target)check->config->log_to);
	char place[CONFIG_PLACE_OCTETS];

	if (missing)
		(void)problems_add(check->problems, ERROR_CONFIG, "%s: nobody listens at %s",
				   config_place(check->config, "log-to", place), missing);
}

/* RFC 5321 section 2.3.5: a name in full. */
static void check_host(struct check *check)
{
	const struct config *config = check->config;
	bool smtp = false;

	for (uint32_t i = 0; i < config->listener_count; i++)
		smtp = smtp || config->listeners[i].kind == LISTENER_SMTP;
	if (smtp && !strchr(config->host, '.'))
		(void)fprintf(check->notes,
			      "note: SMTP greets as %s, which is no full name; set host-name\n",
			      config->host);
}

static enum error_code open_accounts(struct check *check, struct error *error)
{
	struct directory *directory;
	enum error_code code;

	if (fchdir(check->instance.accounts) != 0)
		return error_set_errno(error, -errno, "entering accounts/");
	code = directory_open("accounts.db", false, &directory, error);
	if (code == ERROR_NONE)
		directory_close(directory);
	return code;
}

static void check_accounts(struct check *check)
{
	struct stat status;

	if (check->instance.accounts < 0 ||
	    fstatat(check->instance.accounts, "accounts.db", &status, AT_SYMLINK_NOFOLLOW) != 0)
		(void)fprintf(check->notes, "note: there are no accounts yet\n");
	else
		check_as(check, &check->instance.auth_user, open_accounts, "the account database");
}

static enum error_code enter_mail_root(struct check *check, struct error *error)
{
	for (uint32_t i = 0; i < check->config->mail_root_count; i++)
		if (access(check->config->mail_roots[i], R_OK | X_OK) != 0)
			return error_set_errno(error, -errno, "%.150s",
					       check->config->mail_roots[i]);
	return ERROR_NONE;
}

static void check_mail_roots(struct check *check)
{
	struct stat status;
	bool good = true;

	for (uint32_t i = 0; i < check->config->mail_root_count; i++) {
		const char *path = check->config->mail_roots[i];
		char place[CONFIG_PLACE_OCTETS];

		if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
			continue;
		good = false;
		(void)problems_add(check->problems, ERROR_CONFIG, "%s: %.150s is no folder",
				   config_place_at(check->config, "mail-root",
						   check->config->mail_root_lines[i], place),
				   path);
	}
	if (good && check->config->mail_root_count > 0 &&
	    (!check->instance.as_root || check->instance.mail_user.uid != 0))
		check_as(check, &check->instance.mail_user, enter_mail_root, "the mail roots");
}

static enum error_code enter_sandbox(struct check *check, struct error *error)
{
	int here = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool landlock = false;
	enum error_code code = here < 0 ? error_set_errno(error, -errno, "opening /")
					: sandbox_enter_worker(&here, 1, &landlock, error);

	if (code == ERROR_NONE && !landlock) {
		(void)fprintf(
			check->notes,
			"note: this kernel has no Landlock, or one before 5.19: files are not "
			"fenced off\n");
		(void)fflush(check->notes);
	}
	return code;
}

void check_all(const struct config *config, struct problems *problems, FILE *notes)
{
	struct check check = {.config = config, .problems = problems, .notes = notes};

	(void)fflush(NULL); /* else children say it again */
	check_folders(&check);
	check_certificate(&check);
	check_addresses(&check);
	check_host(&check);
	check_log(&check);
	check_mail_roots(&check);
	/* Without anybody to become, which was said, nothing can be tried as such. */
	if (!check.instance.as_root ||
	    (check.instance.mail_user.uid != 0 && check.instance.auth_user.uid != 0)) {
		check_accounts(&check);
		check_as(&check, &check.instance.mail_user, enter_sandbox, "the sandbox");
	}
	instance_close(&check.instance);
}
