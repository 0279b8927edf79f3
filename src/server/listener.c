/*
 * listener: accepts connections from the sockets that all workers share, and hands each to the
 * service its listener is for.
 *
 * Guarantees: a process out of descriptors or memory stops accepting for a while and says so in the
 * log, instead of spinning; a limit reached is told to the peer where it speaks plain text.
 * Must not know: protocols, but for the one line of refusal.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/address.h"
#include "server/conn.h"
#include "server/crowd.h"
#include "server/intake_service.h"
#include "server/pop3_service.h"
#include "server/worker.h"

#define ACCEPTS_MAX      4  /* at a time: the other workers are awake for the same connections */
#define ACCEPTS_LATE_MAX 64 /* when the others have had their turn */
#define ACCEPT_PAUSE_MS  1000

static void on_acceptable(void *context, bool readable, bool writable);

static void watch_all(struct worker *worker, bool readable)
{
	for (uint32_t i = 0; i < worker->listener_count; i++)
		(void)loop_watch(worker->loop, &worker->listeners[i].watch,
				 worker->listeners[i].descriptor, readable, false, on_acceptable,
				 &worker->listeners[i]);
}

static void pause_over(void *context)
{
	watch_all(context, true);
}

static void pause_accepting(struct worker *worker, int problem)
{
	log_event(LOG_LEVEL_WARNING, "accept-paused", "connections=%u error=\"%s\"",
		  worker->conn_count, strerror(problem));
	if (loop_timer(worker->loop, &worker->accept_timer, ACCEPT_PAUSE_MS, pause_over, worker))
		watch_all(worker, false);
}

static void refuse(int descriptor, enum listener_kind kind, const char *why)
{
	struct bytes text = {NULL, 0}; /* nothing can be said before TLS */

	if (kind == LISTENER_POP3)
		text = BYTES("-ERR [SYS/TEMP] too many connections, try again later\r\n");
	else if (kind == LISTENER_LMTP)
		text = BYTES("421 4.3.2 too many connections, try again later\r\n");

	log_event(LOG_LEVEL_WARNING, "refused", "reason=\"%s\"", why);
	if (text.length > 0)
		(void)send(descriptor, text.data, text.length, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(descriptor);
}

/* Root and the instance's owner can do as they like anyway; everybody else has a limit. */
static bool peer_uid(const struct worker *worker, int descriptor, uid_t *uid_out)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);
	int domain = 0;
	socklen_t domain_length = sizeof(domain);

	if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &domain_length) != 0 ||
	    domain != AF_UNIX ||
	    getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
		return false;
	*uid_out = peer.uid;
	return peer.uid != 0 && peer.uid != worker->owner_uid;
}

/* Full, but not of those who would miss anything. */
static void make_room(struct worker *worker, const struct conn_service *service)
{
	struct conn *guest = crowd_choose(worker, service);

	if (guest)
		conn_cut(guest, "made room for another");
}

static void admit(struct listener *listener, int descriptor)
{
	struct worker *worker = listener->worker;
	bool tls = listener->kind == LISTENER_POP3S;
	const struct conn_service *service =
		listener->kind == LISTENER_LMTP ? &intake_service : &pop3_service;
	uid_t uid = 0;
	bool limited = listener->kind == LISTENER_LMTP && peer_uid(worker, descriptor, &uid);
	struct conn *conn;

	if (worker_is_full(worker, service))
		make_room(worker, service);
	if (worker_is_full(worker, service)) {
		refuse(descriptor, listener->kind, "too many connections");
		return;
	}
	if (limited && !peers_add(&worker->peers, uid, PEER_CONNECTIONS_MAX)) {
		refuse(descriptor, listener->kind, "too many connections of one user");
		return;
	}
	worker->counters.connections++;
	conn = conn_new(worker, service, descriptor, tls);
	if (!conn) {
		log_event(LOG_LEVEL_WARNING, "refused", "reason=\"out of memory\"");
		if (limited)
			peers_remove(&worker->peers, uid);
		return;
	}
	conn->limited = limited;
	conn->peer_uid = uid;
	conn_start(conn);
}

static void accept_some(struct listener *listener, int count)
{
	for (int i = 0; i < count && !listener->worker->draining; i++) {
		int descriptor =
			accept4(listener->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (descriptor >= 0) {
			admit(listener, descriptor);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			pause_accepting(listener->worker, errno);
		return;
	}
}

static void accept_late(void *context)
{
	struct worker *worker = context;

	watch_all(worker, true);
	for (uint32_t i = 0; i < worker->listener_count; i++)
		accept_some(&worker->listeners[i], ACCEPTS_LATE_MAX);
}

/* The kernel wakes the workers in the same order each time, so one of them would get all that
 * stays: the fuller one is, the longer it leaves a connection to the others. */
static void on_acceptable(void *context, bool readable, bool writable)
{
	struct listener *listener = context;
	struct worker *worker = listener->worker;
	uint64_t delay_ms = worker->conn_count / ACCEPT_LATER_SESSIONS;

	(void)readable;
	(void)writable;
	if (delay_ms > ACCEPT_LATER_MAX_MS)
		delay_ms = ACCEPT_LATER_MAX_MS;
	if (delay_ms > 0 &&
	    loop_timer(worker->loop, &worker->accept_timer, delay_ms, accept_late, worker))
		watch_all(worker, false);
	else
		accept_some(listener, ACCEPTS_MAX);
}

bool listener_add(struct worker *worker, enum listener_kind kind, int descriptor)
{
	if (worker->listener_count == LISTENERS_MAX)
		return false;
	worker->listeners[worker->listener_count++] =
		(struct listener){.worker = worker, .kind = kind, .descriptor = descriptor};
	return true;
}

bool listener_start_all(struct worker *worker)
{
	watch_all(worker, true);
	for (uint32_t i = 0; i < worker->listener_count; i++)
		if (!worker->listeners[i].watch)
			return false;
	return true;
}

void listener_close_all(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->listener_count; i++) {
		loop_unwatch(&worker->listeners[i].watch);
		close(worker->listeners[i].descriptor);
	}
	worker->listener_count = 0;
	loop_timer_stop(&worker->accept_timer);
}
