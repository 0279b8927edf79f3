/*
 * supervisor: starts the other processes, starts them again, reloads, drains.
 *
 * Guarantees: it parses no octet from outside and starts no thread; a dead child is replaced; a
 * reload that cannot be done changes nothing; SIGTERM ends within DRAIN_MS.
 * Must not know: protocols, mail, accounts.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
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
#include "net/tls.h"
#include "server/process.h"
#include "server/server.h"
#include "server/settings.h"

#define DESCRIPTORS_MAX       1048576 /* SESSIONS_MAX need three each; what root can have */
#define TICKET_KEYS_MS        (60 * 60 * 1000)
#define QUICK_DEATH_MS        2000  /* a child that lives shorter died quickly */
#define RESTART_FIRST_MS      50    /* after the second quick death in a row; doubled each time */
#define RESTART_MAX_MS        400   /* of one that was ready: others wait for it */
#define RESTART_BROKEN_MAX_MS 10000 /* of one that never was: it will hardly be the next time */
#define VAIN_STARTS_MAX       5     /* of a new worker in a reload, which is given up then */

struct supervisor {
	struct settings settings;
	struct settings before; /* while reloading: of the old workers */
	struct instance instance;
	struct loop *loop;
	struct process *processes;
	struct process_orders orders;
	struct loop_timer *ticket_timer, *drain_timer;
	uint64_t drain_since_ms;
	uint8_t tickets[2][TLS_TICKET_KEY_OCTETS];
	char host[DOMAIN_MAX + 1];
	uint32_t generation;
	bool announced; /* `ready` was printed */
	bool reloading; /* new workers are on their way */
	bool reload_again;
	bool draining;
	int exit_code;
};

/* ---- children ---- */

static struct process *auth_of(struct supervisor *supervisor)
{
	struct process *process = supervisor->processes;

	while (process && process->role != PROCESS_AUTH)
		process = process->next;
	return process;
}

static const char *role_name(const struct process *process)
{
	return process->role == PROCESS_AUTH ? "auth" : "worker";
}

static bool number_is_used(const struct supervisor *supervisor, uint32_t number)
{
	for (const struct process *it = supervisor->processes; it; it = it->next)
		if (it->role == PROCESS_WORKER && it->number == number)
			return true;
	return false;
}

/* A worker that dies while new ones are on their way starts again as what it was. */
static const struct settings *settings_of(const struct supervisor *supervisor,
					  const struct process *process)
{
	bool is_old = supervisor->reloading && process->generation != supervisor->generation;

	return is_old ? &supervisor->before : &supervisor->settings;
}

static void hand_over(struct supervisor *supervisor, struct process *process)
{
	struct process *auth = auth_of(supervisor);
	const struct settings *settings = settings_of(supervisor, process);

	if (process->role == PROCESS_AUTH) {
		for (struct process *it = supervisor->processes; it; it = it->next)
			if (it->role == PROCESS_WORKER && it->channel)
				process_introduce(it, process);
		return;
	}
	process_send_certificate(process, &settings->certificate);
	process_send_tickets(process, supervisor->tickets[0], supervisor->tickets[1]);
	if (auth && auth->channel)
		process_introduce(process, auth);
	process_send_sockets(process, &settings->sockets);
}

static void start_again(void *context);

/* A start that fails is tried again, like a death. */
static void start(struct supervisor *supervisor, struct process *process)
{
	struct error error;

	supervisor->orders.config = &settings_of(supervisor, process)->config;
	if (process_start(process, &supervisor->orders, &error)) {
		log_event(LOG_LEVEL_INFO, "child-start", "role=%s number=%u pid=%ld",
			  role_name(process), process->number, (long)process->pid);
		hand_over(supervisor, process);
		return;
	}
	log_event(LOG_LEVEL_ERROR, "start", "error=\"%s\"", error.text);
	(void)loop_timer(supervisor->loop, &process->restart, RESTART_BROKEN_MAX_MS, start_again,
			 process);
}

static void start_again(void *context)
{
	struct process *process = context;
	struct supervisor *supervisor = process->owner;

	if (!supervisor->draining && !process->retiring && process->pid == 0)
		start(supervisor, process);
}

static bool add_process(struct supervisor *supervisor, enum process_role role)
{
	struct process *process = calloc(1, sizeof(*process));
	uint32_t number = 0;

	while (role == PROCESS_WORKER && number_is_used(supervisor, number))
		number++;
	if (!process || number == WORKER_NUMBERS) {
		free(process);
		return false;
	}
	process->owner = supervisor;
	process->role = role;
	process->number = number;
	process->generation = supervisor->generation;
	process->next = supervisor->processes;
	supervisor->processes = process;
	start(supervisor, process);
	return true;
}

static void remove_process(struct supervisor *supervisor, struct process *process)
{
	struct process **link = &supervisor->processes;

	while (*link != process)
		link = &(*link)->next;
	*link = process->next;
	loop_timer_stop(&process->restart);
	channel_free(process->channel);
	free(process);
}

static bool has_workers(const struct supervisor *supervisor)
{
	for (const struct process *it = supervisor->processes; it; it = it->next)
		if (it->role == PROCESS_WORKER)
			return true;
	return false;
}

/* ---- readiness ---- */

static bool all_ready(const struct supervisor *supervisor)
{
	for (const struct process *it = supervisor->processes; it; it = it->next) {
		bool old = it->role == PROCESS_WORKER && it->generation != supervisor->generation;

		if (!it->ready && !it->retiring && !old)
			return false;
	}
	return true;
}

static void reload(void *context);

static void remove_process(struct supervisor *supervisor, struct process *process);

/* Workers of a reload are either the new ones or the old. One that is dead just now and waits for
 * its next start is gone at once. */
static void retire(struct supervisor *supervisor, bool the_new)
{
	struct process *next;

	for (struct process *it = supervisor->processes; it; it = next) {
		bool is_new = it->generation == supervisor->generation;

		next = it->next;
		if (it->role != PROCESS_WORKER || is_new != the_new || it->retiring)
			continue;
		it->retiring = true;
		if (it->channel)
			process_send_drain(it, false);
		if (it->pid == 0)
			remove_process(supervisor, it);
	}
}

static void end_reload(struct supervisor *supervisor, bool done)
{
	if (done) {
		settings_free(&supervisor->before, &supervisor->settings);
	} else {
		settings_free(&supervisor->settings, &supervisor->before);
		supervisor->settings = supervisor->before;
	}
	retire(supervisor, !done);
	supervisor->reloading = false;
	if (supervisor->reload_again)
		reload(supervisor);
}

static void when_all_are_ready(struct supervisor *supervisor)
{
	if (!all_ready(supervisor) || supervisor->draining)
		return;
	if (!supervisor->announced) {
		sockets_print(&supervisor->settings.sockets);
		(void)puts("ready");
		(void)fflush(stdout);
		supervisor->announced = true;
	}
	if (supervisor->reloading) {
		log_event(LOG_LEVEL_INFO, "reload", "done=yes");
		end_reload(supervisor, true);
	} else if (supervisor->reload_again) {
		reload(supervisor);
	}
}

static void on_message(void *context, const union message *message, const int *descriptors,
		       size_t descriptor_count)
{
	struct process *process = context;

	(void)descriptors;
	(void)descriptor_count;
	if (message->header.type != MESSAGE_READY) {
		log_event(LOG_LEVEL_ERROR, "message", "pid=%ld type=%u error=\"unexpected\"",
			  (long)process->pid, message->header.type);
		return;
	}
	process->ready = process->was_ready = true;
	when_all_are_ready(process->owner);
}

/* The child has died, or talks rubbish: then it is broken. Its end is seen by SIGCHLD. */
static void on_closed(void *context)
{
	struct process *process = context;

	channel_free(process->channel);
	process->channel = NULL;
	if (process->pid > 0 && !process->retiring)
		(void)kill(process->pid, SIGKILL);
}

/* ---- deaths ---- */

static uint64_t restart_delay_ms(struct process *process)
{
	uint64_t lived_ms = clock_monotonic_ms() - process->started_ms;
	uint64_t delay_ms = 0;
	uint64_t max_ms = process->was_ready ? RESTART_MAX_MS : RESTART_BROKEN_MAX_MS;

	process->quick_deaths = lived_ms < QUICK_DEATH_MS ? process->quick_deaths + 1 : 0;
	if (process->quick_deaths > 1)
		delay_ms = (uint64_t)RESTART_FIRST_MS
			   << (process->quick_deaths < 12 ? process->quick_deaths - 2 : 10);
	return delay_ms < max_ms ? delay_ms : max_ms;
}

static void log_death(const struct process *process, int status)
{
	bool expected = process->retiring && WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (WIFSIGNALED(status))
		log_event(LOG_LEVEL_WARNING, "child-end", "role=%s number=%u pid=%ld signal=%d",
			  role_name(process), process->number, (long)process->pid,
			  WTERMSIG(status));
	else
		log_event(expected ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "child-end",
			  "role=%s number=%u pid=%ld status=%d", role_name(process),
			  process->number, (long)process->pid, WEXITSTATUS(status));
}

static void stop(struct supervisor *supervisor, int exit_code)
{
	if (supervisor->exit_code == 0)
		supervisor->exit_code = exit_code;
	loop_stop(supervisor->loop);
}

/* Auth goes last: workers tell it what they do until their end. */
static void drain_on(struct supervisor *supervisor)
{
	struct process *auth = auth_of(supervisor);

	if (!supervisor->processes) {
		stop(supervisor, EX_OK);
	} else if (!has_workers(supervisor) && auth && auth->channel) {
		channel_free(auth->channel);
		auth->channel = NULL;
	}
}

static void give_up_reload(struct supervisor *supervisor, const char *why)
{
	log_event(LOG_LEVEL_ERROR, "reload", "kept=old error=\"%s\"", why);
	end_reload(supervisor, false);
}

static void start_later(struct supervisor *supervisor, struct process *process)
{
	uint64_t delay_ms = restart_delay_ms(process);

	if (delay_ms == 0)
		start(supervisor, process);
	else
		(void)loop_timer(supervisor->loop, &process->restart, delay_ms, start_again,
				 process);
}

static bool reloads_in_vain(const struct supervisor *supervisor, struct process *process)
{
	if (!process->was_ready)
		process->vain_starts++;
	return supervisor->reloading && process->generation == supervisor->generation &&
	       process->role == PROCESS_WORKER && process->vain_starts >= VAIN_STARTS_MAX;
}

static void on_death(struct supervisor *supervisor, struct process *process, int status)
{
	log_death(process, status);
	channel_free(process->channel);
	process->channel = NULL;
	process->pid = 0;
	process->ready = false;
	if (!supervisor->announced && !supervisor->draining) {
		stop(supervisor, WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status)
									       : EX_SOFTWARE);
	} else if (supervisor->draining || process->retiring) {
		remove_process(supervisor, process);
		if (supervisor->draining)
			drain_on(supervisor);
	} else if (reloads_in_vain(supervisor, process)) {
		give_up_reload(supervisor, "a new worker ends before it is ready");
	} else {
		start_later(supervisor, process);
	}
}

/* One at a time: a death may take others out of the list. */
static bool bury_one(struct supervisor *supervisor)
{
	for (struct process *it = supervisor->processes; it; it = it->next) {
		int status;

		if (it->pid > 0 && waitpid(it->pid, &status, WNOHANG) == it->pid) {
			on_death(supervisor, it, status);
			return true;
		}
	}
	return false;
}

static void on_child_signal(void *context)
{
	while (bury_one(context))
		;
}

/* ---- draining ---- */

static void kill_all(void *context)
{
	struct supervisor *supervisor = context;

	for (const struct process *it = supervisor->processes; it; it = it->next)
		if (it->pid > 0)
			(void)kill(it->pid, SIGKILL);
}

static void drain(void *context)
{
	struct supervisor *supervisor = context;
	struct process *next;

	if (supervisor->draining) {
		/* Asked twice means now; but Ctrl-C and a script that passes it on are one wish. */
		if (clock_monotonic_ms() - supervisor->drain_since_ms > DRAIN_AGAIN_MS)
			kill_all(supervisor);
		return;
	}
	supervisor->drain_since_ms = clock_monotonic_ms();
	log_event(LOG_LEVEL_INFO, "drain", "within_ms=%d", DRAIN_MS);
	supervisor->draining = true;
	if (supervisor->reloading)
		sockets_close(&supervisor->before.sockets, &supervisor->settings.sockets);
	sockets_close(&supervisor->settings.sockets, NULL);
	for (struct process *it = supervisor->processes; it; it = next) {
		next = it->next;
		it->retiring = true;
		if (it->role == PROCESS_WORKER && it->channel)
			process_send_drain(it, true);
		if (it->pid == 0)
			remove_process(supervisor, it);
	}
	if (!loop_timer(supervisor->loop, &supervisor->drain_timer, DRAIN_MS, kill_all, supervisor))
		kill_all(supervisor);
	drain_on(supervisor);
}

/* ---- reloading ---- */

static void reload(void *context)
{
	struct supervisor *supervisor = context;
	static struct settings loaded;
	struct error error;

	/* Before `ready`, or amid another: when that is over. */
	supervisor->reload_again = supervisor->reloading || !supervisor->announced;
	if (supervisor->draining || supervisor->reload_again)
		return;
	if (settings_load(&supervisor->settings, &supervisor->instance, supervisor->host, &loaded,
			  &error) != ERROR_NONE) {
		log_event(LOG_LEVEL_ERROR, "reload", "kept=old error=\"%s\"", error.text);
		return;
	}
	supervisor->before = supervisor->settings;
	supervisor->settings = loaded;
	supervisor->generation++;
	supervisor->reloading = true;
	for (uint32_t i = 0; i < loaded.config.workers; i++) {
		if (!add_process(supervisor, PROCESS_WORKER)) {
			give_up_reload(supervisor, "too many old workers left");
			return;
		}
	}
}

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

static void find_host(char host[DOMAIN_MAX + 1])
{
	if (gethostname(host, DOMAIN_MAX) != 0 || host[0] == '\0')
		(void)bytes_to_string(BYTES("localhost"), host, DOMAIN_MAX + 1);
	host[DOMAIN_MAX] = '\0';
}

static enum error_code open_all(struct supervisor *supervisor, struct error *error)
{
	static const struct sockets none;
	struct stat status;
	enum error_code code =
		instance_open(supervisor->settings.config.root, &supervisor->instance, error);

	if (code != ERROR_NONE)
		return code;
	if (instance_lock(&supervisor->instance, error) < 0)
		return error->code;
	code = certificate_load(&supervisor->settings.config, &supervisor->instance,
				supervisor->host, &supervisor->settings.certificate, error);
	if (code == ERROR_NONE)
		code = sockets_open(&supervisor->settings.config, &none,
				    &supervisor->settings.sockets, error);
	if (code != ERROR_NONE)
		return code;
	supervisor->orders.control = sockets_open_control(supervisor->settings.config.root,
							  &supervisor->instance, error);
	if (supervisor->orders.control < 0)
		return error->code;
	if (fstat(supervisor->instance.root, &status) != 0)
		return error_set_errno(error, -errno, "looking at the root");
	supervisor->orders.owner_uid = status.st_uid;
	return ERROR_NONE;
}

static bool listen_to_signals(struct supervisor *supervisor)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	return sigaction(SIGPIPE, &ignore, NULL) == 0 &&
	       loop_signal(supervisor->loop, SIGTERM, drain, supervisor) &&
	       loop_signal(supervisor->loop, SIGINT, drain, supervisor) &&
	       loop_signal(supervisor->loop, SIGHUP, reload, supervisor) &&
	       loop_signal(supervisor->loop, SIGCHLD, on_child_signal, supervisor);
}

static bool start_all(struct supervisor *supervisor)
{
	supervisor->loop = loop_open(0);
	if (!supervisor->loop || !listen_to_signals(supervisor))
		return false;
	supervisor->orders.instance = &supervisor->instance;
	supervisor->orders.host = supervisor->host;
	supervisor->orders.loop = supervisor->loop;
	supervisor->orders.on_message = on_message;
	supervisor->orders.on_closed = on_closed;
	random_octets(supervisor->tickets[0], TLS_TICKET_KEY_OCTETS);
	new_ticket_keys(supervisor);
	if (!add_process(supervisor, PROCESS_AUTH))
		return false;
	for (uint32_t i = 0; i < supervisor->settings.config.workers; i++)
		if (!add_process(supervisor, PROCESS_WORKER))
			return false;
	return true;
}

static void finish(struct supervisor *supervisor)
{
	kill_all(supervisor);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	secret_wipe(supervisor->tickets, sizeof(supervisor->tickets));
	certificate_free(&supervisor->settings.certificate);
	if (supervisor->reloading)
		certificate_free(&supervisor->before.certificate);
}

int server_run(const struct config *config)
{
	static struct supervisor supervisor;
	struct error error;

	log_open("supervisor", LOG_LEVEL_INFO);
	supervisor.settings.config = *config;
	find_host(supervisor.host);
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
