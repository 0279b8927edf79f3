/*
 * supervisor_private: what the files of the supervisor share.
 *
 *   server.c       its beginning and its end
 *   supervisor.c   its children: start, readiness, death, drain
 *   reload.c       new settings, and a certificate that has changed on disk
 *   pulse.c        whether the children answer, and what the service manager is told
 */
#ifndef SERVER_SUPERVISOR_PRIVATE_H
#define SERVER_SUPERVISOR_PRIVATE_H

#include "net/tls.h"
#include "server/activation.h"
#include "server/notify.h"
#include "server/process.h"
#include "server/settings.h"

struct supervisor {
	struct settings settings;
	struct settings before; /* while reloading: of the old workers */
	struct sockets given;   /* by the service manager */
	struct instance instance;
	int lock; /* of the instance */
	struct loop *loop;
	struct process *processes;
	struct process_orders orders;
	struct loop_timer *ticket_timer, *drain_timer, *reload_timer, *look_timer, *pulse_timer;
	struct notify notify;
	struct message_about about;
	struct certificate_mark refused, doubted; /* pairs on disk that could not be used */
	uint64_t drain_since_ms;
	uint8_t tickets[2][TLS_TICKET_KEY_OCTETS];
	uint32_t generation;
	bool announced; /* `ready` was printed */
	bool reloading; /* new workers are on their way */
	bool reload_again;
	bool draining;
	int exit_code;
};

/* ---- supervisor.c ---- */

/* A new child, started. False when there are too many, or no memory. */
bool supervisor_add(struct supervisor *supervisor, enum process_role role);
/* Workers of a reload are either the new ones or the old: these drain, and are not replaced. */
void supervisor_retire(struct supervisor *supervisor, bool the_new);
void supervisor_kill_all(struct supervisor *supervisor);
struct process *supervisor_auth(struct supervisor *supervisor);
/* What depends on the settings: for status, and for logins. */
void supervisor_tell_auth(struct supervisor *supervisor);
bool supervisor_listen_to_signals(struct supervisor *supervisor);
void supervisor_on_message(void *context, const union message *message, const int *descriptors,
			   size_t descriptor_count);
void supervisor_on_closed(void *context);

/* ---- reload.c ---- */

void supervisor_reload(struct supervisor *supervisor);
void supervisor_reload_done(struct supervisor *supervisor);
void supervisor_reload_failed(struct supervisor *supervisor, const char *why);
/* From now on, again and again, sees whether the certificate has changed. */
void supervisor_look_at_certificate(struct supervisor *supervisor);

/* ---- pulse.c ---- */

void supervisor_begin_pulse(struct supervisor *supervisor);
void supervisor_answered(struct process *process, const struct message_pong *pong);

#endif
