/*
 * reload: settings read anew, and a certificate that was replaced on disk.
 *
 * Guarantees: what cannot be done changes nothing and is logged; a reload ends, whatever the new
 * workers do. Must not know: what the settings are used for.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/supervisor_private.h"

#define LOOK_MS 1000 /* how often the files of the certificate are looked at */

/* ---- reloading ---- */

static void end_reload(struct supervisor *supervisor, bool done)
{
	loop_timer_stop(&supervisor->reload_timer);
	supervisor_retire(supervisor, !done);
	if (done) {
		settings_free(&supervisor->before, &supervisor->settings);
	} else {
		settings_free(&supervisor->settings, &supervisor->before);
		supervisor->settings = supervisor->before;
	}
	supervisor->reloading = false;
	if (done)
		log_event(LOG_LEVEL_INFO, "reload", "done=yes");
	supervisor_tell_auth(supervisor);
	notify_send(&supervisor->notify, "READY=1");
	if (supervisor->reload_again)
		supervisor_reload(supervisor);
}

void supervisor_reload_done(struct supervisor *supervisor)
{
	end_reload(supervisor, true);
}

void supervisor_reload_failed(struct supervisor *supervisor, const char *why)
{
	log_event(LOG_LEVEL_ERROR, "reload", "kept=old error=\"%s\"", why);
	end_reload(supervisor, false);
}

static void on_late(void *context)
{
	supervisor_reload_failed(context, "a new worker is not ready in time");
}

static bool add_workers(struct supervisor *supervisor)
{
	for (uint32_t i = 0; i < supervisor->settings.config.workers; i++)
		if (!supervisor_add(supervisor, PROCESS_WORKER))
			return false;
	return loop_timer(supervisor->loop, &supervisor->reload_timer, READY_MS, on_late,
			  supervisor);
}

void supervisor_reload(struct supervisor *supervisor)
{
	static struct settings loaded;
	struct error error;

	/* Before `ready`, or amid another: when that is over. */
	supervisor->reload_again = supervisor->reloading || !supervisor->announced;
	if (supervisor->draining || supervisor->reload_again)
		return;
	notify_reloading(&supervisor->notify);
	if (settings_load(&supervisor->settings, &supervisor->given, &supervisor->instance, &loaded,
			  &error) != ERROR_NONE) {
		log_event(LOG_LEVEL_ERROR, "reload", "kept=old error=\"%s\"", error.text);
		notify_send(&supervisor->notify, "READY=1");
		return;
	}
	supervisor->before = supervisor->settings;
	supervisor->settings = loaded;
	supervisor->generation++;
	supervisor->reloading = true;
	supervisor_tell_auth(supervisor);
	if (!add_workers(supervisor))
		supervisor_reload_failed(supervisor, "too many old workers left");
}

/* ---- the certificate ---- */

static void swap(struct supervisor *supervisor, struct certificate *fresh)
{
	char date[CLOCK_DATE_OCTETS];

	certificate_free(&supervisor->settings.certificate);
	supervisor->settings.certificate = *fresh;
	for (struct process *it = supervisor->processes; it; it = it->next)
		if (it->role == PROCESS_WORKER && it->channel)
			process_send_certificate(it, fresh);
	supervisor_tell_auth(supervisor);
	log_event(LOG_LEVEL_INFO, "certificate", "changed=yes expires=\"%s\"",
		  clock_date_rfc5322(fresh->expires, date));
}

/* Certificate and key are two files: between their two changes the pair is bad, and that is told
 * only when it lasts. */
static void refuse(struct supervisor *supervisor, const struct certificate_mark *mark,
		   const char *why)
{
	if (!certificate_same_mark(mark, &supervisor->doubted)) {
		supervisor->doubted = *mark;
		return;
	}
	supervisor->refused = *mark;
	log_event(LOG_LEVEL_ERROR, "certificate", "kept=old error=\"%s\"", why);
}

static void look(struct supervisor *supervisor)
{
	const struct settings *settings = &supervisor->settings;
	struct certificate_mark mark;
	struct certificate fresh;
	struct error error;

	certificate_look(&settings->config, &supervisor->instance, &mark);
	if (certificate_same_mark(&mark, &settings->certificate.mark) ||
	    certificate_same_mark(&mark, &supervisor->refused))
		return;
	if (certificate_reload(&settings->config, &supervisor->instance, &fresh, &error) ==
	    ERROR_NONE)
		swap(supervisor, &fresh);
	else
		refuse(supervisor, &mark, error.text);
}

static void on_look(void *context)
{
	supervisor_look_at_certificate(context);
}

void supervisor_look_at_certificate(struct supervisor *supervisor)
{
	if (!supervisor->draining && !supervisor->reloading)
		look(supervisor);
	(void)loop_timer(supervisor->loop, &supervisor->look_timer, LOOK_MS, on_look, supervisor);
}
