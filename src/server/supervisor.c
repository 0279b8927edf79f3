/*
 * supervisor: the children: starts them, starts them again, drains them.
 *
 * Guarantees: it parses no octet from outside and starts no thread; a dead child is replaced;
 * SIGTERM ends within DRAIN_MS.
 * Must not know: protocols, mail, accounts.
 */
#include "server/supervisor_private.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define QUICK_DEATH_MS        2000  /* a child that lives shorter died quickly */
#define RESTART_FIRST_MS      50    /* after the second quick death in a row; doubled each time */
#define RESTART_MAX_MS        400   /* of one that was ready: others wait for it */
#define RESTART_BROKEN_MAX_MS 10000 /* of one that never was: it will hardly be the next time */
#define VAIN_STARTS_MAX       5     /* of a new worker in a reload, which is given up then */

/* ---- children ---- */

struct process *supervisor_auth(struct supervisor *supervisor)
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

static void tell_about(struct supervisor *supervisor, struct process *auth)
{
	struct message_about *about = &supervisor->about;

	about->certificate_expires_unix_seconds = supervisor->settings.certificate.expires;
	sockets_describe(&supervisor->settings.sockets, about);
	channel_send(auth->channel, about, NULL, 0);
}

/* Amid a reload there are workers of both kinds: whichever of them offers APOP, it works. */
static void tell_rules(const struct supervisor *supervisor, struct process *auth)
{
	const struct config *config = &supervisor->settings.config;
	struct message_rules rules;

	message_init(&rules, MESSAGE_RULES, 0);
	rules.apop = config->apop || (supervisor->reloading && supervisor->before.config.apop);
	rules.trusted_count = config->trusted_count;
	memcpy(rules.trusted, config->trusted, sizeof(rules.trusted));
	channel_send(auth->channel, &rules, NULL, 0);
}

void supervisor_tell_auth(struct supervisor *supervisor)
{
	struct process *auth = supervisor_auth(supervisor);

	if (!auth || !auth->channel)
		return;
	tell_about(supervisor, auth);
	tell_rules(supervisor, auth);
}

static void hand_over(struct supervisor *supervisor, struct process *process)
{
	struct process *auth = supervisor_auth(supervisor);
	const struct settings *settings = settings_of(supervisor, process);

	if (process->role == PROCESS_AUTH) {
		supervisor_tell_auth(supervisor);
		for (struct process *it = supervisor->processes; it; it = it->next)
			if (it->role == PROCESS_WORKER && it->channel)
				process_introduce(it, process);
		return;
	}
	process_send_broker(process, &settings->mail, supervisor->loop);
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
	supervisor->orders.mail = &settings_of(supervisor, process)->mail;
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

bool supervisor_add(struct supervisor *supervisor, enum process_role role)
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
	lender_close(&process->lender);
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

/* One that is dead just now and waits for its next start is gone at once. */
void supervisor_retire(struct supervisor *supervisor, bool the_new)
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
		if (it->pid > 0 && !it->ready) /* it may hang; nobody is served by it yet */
			(void)kill(it->pid, SIGKILL);
		if (it->pid == 0)
			remove_process(supervisor, it);
	}
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
		notify_send(&supervisor->notify, "READY=1\nMAINPID=%ld", (long)getpid());
		supervisor_begin_pulse(supervisor);
		supervisor_look_at_certificate(supervisor);
	}
	if (supervisor->reloading)
		supervisor_reload_done(supervisor);
	else if (supervisor->reload_again)
		supervisor_reload(supervisor);
}

/* It has lost a channel that auth still has, or had: auth may have given up on it. */
static void meet_again(struct process *worker, uint32_t auth_pid)
{
	struct process *auth = supervisor_auth(worker->owner);

	if (worker->role == PROCESS_WORKER && worker->channel && auth && auth->channel &&
	    (uint32_t)auth->pid == auth_pid)
		process_introduce(worker, auth);
}

void supervisor_on_message(void *context, const union message *message, const int *descriptors,
			   size_t descriptor_count)
{
	struct process *process = context;

	(void)descriptors;
	(void)descriptor_count;
	switch (message->header.type) {
	case MESSAGE_READY:
		process->ready = process->was_ready = process->answered = true;
		when_all_are_ready(process->owner);
		break;
	case MESSAGE_PONG:
		supervisor_answered(process, &message->pong);
		break;
	case MESSAGE_MEET:
		meet_again(process, message->meet.pid);
		break;
	default:
		log_event(LOG_LEVEL_ERROR, "message", "pid=%ld type=%u error=\"unexpected\"",
			  (long)process->pid, message->header.type);
	}
}

/* The child has died, or talks rubbish: then it is broken. Its end is seen by SIGCHLD. */
void supervisor_on_closed(void *context)
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
	struct process *auth = supervisor_auth(supervisor);

	if (!supervisor->processes) {
		stop(supervisor, EX_OK);
	} else if (!has_workers(supervisor) && auth && auth->channel) {
		channel_free(auth->channel);
		auth->channel = NULL;
	}
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
	lender_close(&process->lender);
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
		supervisor_reload_failed(supervisor, "a new worker ends before it is ready");
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

void supervisor_kill_all(struct supervisor *supervisor)
{
	for (const struct process *it = supervisor->processes; it; it = it->next)
		if (it->pid > 0)
			(void)kill(it->pid, SIGKILL);
}

static void time_is_over(void *context)
{
	supervisor_kill_all(context);
}

static void drain(void *context)
{
	struct supervisor *supervisor = context;
	struct process *next;

	if (supervisor->draining) {
		/* Asked twice means now; but Ctrl-C and a script that passes it on are one wish. */
		if (clock_monotonic_ms() - supervisor->drain_since_ms > DRAIN_AGAIN_MS)
			supervisor_kill_all(supervisor);
		return;
	}
	supervisor->drain_since_ms = clock_monotonic_ms();
	log_event(LOG_LEVEL_INFO, "drain", "within_ms=%d", DRAIN_MS);
	notify_send(&supervisor->notify, "STOPPING=1");
	instance_lock_draining(supervisor->lock);
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
	if (!loop_timer(supervisor->loop, &supervisor->drain_timer, DRAIN_MS, time_is_over,
			supervisor))
		supervisor_kill_all(supervisor);
	drain_on(supervisor);
}

/* ---- signals ---- */

static void on_hangup(void *context)
{
	supervisor_reload(context);
}

/* They were held back until now: one that came meanwhile is answered now. */
bool supervisor_listen_to_signals(struct supervisor *supervisor)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGHUP);
	return sigaction(SIGPIPE, &ignore, NULL) == 0 &&
	       loop_signal(supervisor->loop, SIGTERM, drain, supervisor) &&
	       loop_signal(supervisor->loop, SIGINT, drain, supervisor) &&
	       loop_signal(supervisor->loop, SIGHUP, on_hangup, supervisor) &&
	       loop_signal(supervisor->loop, SIGCHLD, on_child_signal, supervisor) &&
	       sigprocmask(SIG_UNBLOCK, &held, NULL) == 0;
}
