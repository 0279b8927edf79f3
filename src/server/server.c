/*
 * server: `postern serve` from its first to its last moment.
 *
 * Guarantees: two servers never have one root; what keeps it from starting stands on standard
 * error, whatever the log is. Must not know: when a child is to be started again (supervisor.c).
 */
#include "server/server.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "accounts/secret.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "server/log_relay.h"
#include "server/supervisor_private.h"

#define DESCRIPTORS_MAX 1048576 /* SESSIONS_MAX need three each; what root can have */
#define TICKET_KEYS_MS  (60 * 60 * 1000)

static void new_ticket_keys(void *context)
{
	struct supervisor *supervisor = context;

	memcpy(supervisor->tickets[1], supervisor->tickets[0], TLS_TICKET_KEY_OCTETS);
	random_octets(supervisor->tickets[0], TLS_TICKET_KEY_OCTETS);
	for (struct process *it = supervisor->processes; it; it = it->next)
		if (it->role == PROCESS_WORKER && it->channel)
			process_send_tickets(it, supervisor->tickets[0], supervisor->tickets[1]);
	(void)loop_timer(supervisor->loop, &supervisor->ticket_timer, TICKET_KEYS_MS,
			 new_ticket_keys, supervisor);
}

/* ---- beginning ---- */

static void raise_descriptor_limit(bool as_root)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (as_root && limit.rlim_max < DESCRIPTORS_MAX) {
		struct rlimit more = {DESCRIPTORS_MAX, DESCRIPTORS_MAX};

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return;
	}
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* A server of this root that is about to end is waited for; clients that come meanwhile wait too.
 */
static enum error_code lock(struct supervisor *supervisor, bool wait, struct error *error)
{
	supervisor->lock = instance_lock(&supervisor->instance, wait, error);
	return supervisor->lock < 0 ? error->code : ERROR_NONE;
}

static enum error_code open_sockets(struct supervisor *supervisor, struct error *error)
{
	static const struct sockets none;
	struct settings *settings = &supervisor->settings;
	enum error_code code = lock(supervisor, false, error);
	bool must_wait = code == ERROR_UNAVAILABLE;

	if (must_wait)
		(void)fprintf(stderr, "postern serve: waiting: %s\n", error->text);
	else if (code != ERROR_NONE)
		return code;
	code = sockets_open(&settings->config, &supervisor->given, &none, &settings->sockets,
			    error);
	if (code == ERROR_NONE && must_wait)
		code = lock(supervisor, true, error);
	if (code != ERROR_NONE)
		return code;
	supervisor->orders.control =
		sockets_open_control(settings->config.root, &supervisor->instance, error);
	return supervisor->orders.control < 0 ? error->code : ERROR_NONE;
}

static enum error_code open_all(struct supervisor *supervisor, struct error *error)
{
	struct settings *settings = &supervisor->settings;
	struct stat status;
	enum error_code code = instance_open(settings->config.root, &supervisor->instance, error);

	if (code == ERROR_NONE)
		code = activation_take(&settings->config, &supervisor->given, error);
	if (code == ERROR_NONE)
		code = certificate_load(&settings->config, &supervisor->instance,
					&settings->certificate, error);
	if (code == ERROR_NONE)
		code = mail_folders_open(&settings->config, &supervisor->instance, &settings->mail,
					 error);
	if (code == ERROR_NONE)
		code = open_sockets(supervisor, error);
	if (code != ERROR_NONE)
		return code;
	if (fstat(supervisor->instance.root, &status) != 0)
		return error_set_errno(error, -errno, "looking at the root");
	supervisor->orders.owner_uid = status.st_uid;
	return ERROR_NONE;
}

/* The log goes to a logger only from here on: what keeps the server from starting, and what it
 * prints then, is for whoever started it. */
static bool open_log(struct supervisor *supervisor)
{
	const struct config *config = &supervisor->settings.config;
	struct log_output output = {.target = (enum log_target)config->log_to,
				    .format = (enum log_format)config->log_format,
				    .level = (enum log_level)config->log_level};
	const char *missing = log_missing_logger(output.target);

	if (missing)
		(void)fprintf(stderr,
			      "postern serve: the log is lost until there is somebody to take it: "
			      "nobody listens at %s\n",
			      missing);

	supervisor->orders.log = STDERR_FILENO;
	if (output.target != LOG_TO_STDERR)
		supervisor->orders.log = log_relay_open(supervisor->loop);
	log_redirect(&output);
	return supervisor->orders.log >= 0;
}

static bool start_all(struct supervisor *supervisor)
{
	supervisor->loop = loop_open(0);
	if (!supervisor->loop || !supervisor_listen_to_signals(supervisor) || !open_log(supervisor))
		return false;
	supervisor->orders.instance = &supervisor->instance;
	supervisor->orders.loop = supervisor->loop;
	supervisor->orders.on_message = supervisor_on_message;
	supervisor->orders.on_closed = supervisor_on_closed;
	random_octets(supervisor->tickets[0], TLS_TICKET_KEY_OCTETS);
	new_ticket_keys(supervisor);
	if (!supervisor_add(supervisor, PROCESS_AUTH))
		return false;
	for (uint32_t i = 0; i < supervisor->settings.config.workers; i++)
		if (!supervisor_add(supervisor, PROCESS_WORKER))
			return false;
	return true;
}

static void finish(struct supervisor *supervisor)
{
	supervisor_kill_all(supervisor);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	secret_wipe(supervisor->tickets, sizeof(supervisor->tickets));
	certificate_free(&supervisor->settings.certificate);
	if (supervisor->reloading)
		certificate_free(&supervisor->before.certificate);
}

/* A signal that comes before there is somebody to hear it must wait, not kill. */
static void hold_signals(void)
{
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &held, NULL);
}

static void describe(struct supervisor *supervisor, const char *version)
{
	message_init(&supervisor->about, MESSAGE_ABOUT, 0);
	supervisor->about.started_unix_seconds = clock_unix_ms() / 1000;
	(void)bytes_to_string(bytes_of(version), supervisor->about.version,
			      sizeof(supervisor->about.version));
}

int server_run(const struct config *config, const char *version)
{
	static struct supervisor supervisor;
	struct error error;

	hold_signals();
	log_open("supervisor", LOG_LEVEL_INFO);
	notify_open(&supervisor.notify);
	supervisor.settings.config = *config;
	describe(&supervisor, version);
	raise_descriptor_limit(geteuid() == 0);
	if (open_all(&supervisor, &error) != ERROR_NONE) {
		(void)fprintf(stderr, "postern serve: %s\n", error.text);
		return error_meaning(error.code)->exit_code;
	}
	if (start_all(&supervisor))
		loop_run(supervisor.loop);
	else
		supervisor.exit_code = EX_OSERR;
	finish(&supervisor);
	if (supervisor.exit_code != EX_OK)
		(void)fprintf(stderr, "postern serve: could not start, see above\n");
	return supervisor.exit_code;
}
