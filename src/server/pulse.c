/*
 * pulse: asks every child whether it is alive, and tells the service manager.
 *
 * Guarantees: WATCHDOG=1 is sent only when every child that serves has answered the last question;
 * so a process that hangs is noticed like one that has died. Must not know what the children do.
 */
#include "base/clock.h"
#include "server/supervisor_private.h"

#define PULSE_MS       10000 /* where there is no watchdog: for the STATUS line */
#define PULSES_A_WATCH 3     /* one may be late */

/* A child that is about to begin or to end need not answer; one that never begins must. */
static bool is_silent(const struct process *process)
{
	if (process->retiring || process->pid == 0)
		return false;
	if (!process->ready)
		return clock_monotonic_ms() - process->started_ms > READY_MS;
	return !process->answered;
}

static void tell(struct supervisor *supervisor)
{
	const struct process *auth = supervisor_auth(supervisor);
	bool silent = false;

	for (const struct process *it = supervisor->processes; it; it = it->next)
		silent = silent || is_silent(it);
	notify_send(&supervisor->notify, "STATUS=%u sessions%s", auth ? auth->sessions : 0,
		    silent ? ", a process does not answer" : "");
	if (!silent && supervisor->notify.watchdog_ms > 0)
		notify_send(&supervisor->notify, "WATCHDOG=1");
}

static void on_pulse(void *context)
{
	struct supervisor *supervisor = context;
	uint64_t delay_ms = supervisor->notify.watchdog_ms / PULSES_A_WATCH;

	if (supervisor->draining) {
		notify_send(&supervisor->notify, "WATCHDOG=1"); /* DRAIN_MS is the limit now */
	} else {
		tell(supervisor);
		for (struct process *it = supervisor->processes; it; it = it->next) {
			it->answered = false;
			if (it->ready && it->channel)
				process_send_ping(it);
		}
	}
	(void)loop_timer(supervisor->loop, &supervisor->pulse_timer,
			 delay_ms > 0 ? delay_ms : PULSE_MS, on_pulse, supervisor);
}

void supervisor_answered(struct process *process, const struct message_pong *pong)
{
	process->answered = true;
	process->sessions = pong->sessions;
}

void supervisor_begin_pulse(struct supervisor *supervisor)
{
	if (supervisor->notify.socket >= 0)
		on_pulse(supervisor);
}
