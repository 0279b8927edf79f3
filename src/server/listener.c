/*
 * listener: accepts connections from the sockets that all workers share, and hands each to the
 * service its listener is for.
 *
 * Guarantees: a process out of descriptors or memory stops accepting for a while and says so in the
 * log, instead of spinning; no peer has more connections than it may; a limit reached is told to
 * the peer where it speaks plain text.
 * Must not know: protocols, but for the one line of refusal.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/address.h"
#include "server/conn.h"
#include "server/crowd.h"
#include "server/intake_service.h"
#include "server/pop3_service.h"
#include "server/socketmap_service.h"
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

/* What is spoken behind each kind of listener. */
static const struct kind {
	const struct conn_service *service;
	const char *full;              /* said to one who has to go; "": nothing can be said */
	uint32_t user_connections_max; /* at a unix socket, but for trusted users */
	bool tls;
} kinds[] = {
	[LISTENER_POP3] = {&pop3_service,
			   "-ERR [SYS/TEMP] too many connections, try again later\r\n", 0, false},
	[LISTENER_POP3S] = {&pop3_service, "", 0, true},
	[LISTENER_LMTP] = {&lmtp_service, "421 4.3.2 too many connections, try again later\r\n",
			   PEER_CONNECTIONS_MAX, false},
	[LISTENER_SMTP] = {&smtp_service, "421 4.3.2 too many connections, try again later\r\n", 0,
			   false},
	[LISTENER_SOCKETMAP] = {&socketmap_service, "", PEER_LOOKUPS_MAX, false},
};

static void refuse(int descriptor, const struct kind *kind, const char *why)
{
	log_event(LOG_LEVEL_WARNING, "refused", "reason=\"%s\"", why);
	if (kind->full[0] != '\0')
		(void)send(descriptor, kind->full, strlen(kind->full), MSG_DONTWAIT | MSG_NOSIGNAL);
	close(descriptor);
}

/* ---- who is counted ---- */

/* Root and the instance's owner can do as they like anyway. */
static bool trusts_user(const struct worker *worker, uid_t uid)
{
	for (uint32_t i = 0; i < worker->trusted_user_count; i++)
		if (worker->trusted_users[i] == uid)
			return true;
	return uid == 0 || uid == worker->owner_uid;
}

static bool trusts_address(const struct worker *worker, const struct address *peer)
{
	for (uint32_t i = 0; i < worker->trusted_count; i++)
		if (network_has(&worker->trusted[i], peer))
			return true;
	return false;
}

/* A connection as far as it is known before it is made. */
struct newcomer {
	struct peers *counted;
	struct peer_key key;
	uint32_t connections_max;
	const char *too_many;
	bool trusted;
};

static struct newcomer newcomer_at_unix_socket(const struct listener *listener, int descriptor)
{
	struct newcomer newcomer = {.connections_max = kinds[listener->kind].user_connections_max,
				    .too_many = "too many connections of one user",
				    .trusted = true};
	struct ucred user;
	socklen_t length = sizeof(user);

	if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &user, &length) != 0 ||
	    trusts_user(listener->worker, user.uid))
		return newcomer;
	newcomer.counted = listener->worker->users;
	newcomer.key = peers_user(user.uid, listener->kind);
	return newcomer;
}

static struct newcomer newcomer_from_network(const struct listener *listener,
					     const struct address *peer)
{
	struct worker *worker = listener->worker;
	struct newcomer newcomer = {.connections_max = worker->connections_per_address,
				    .too_many = "too many connections of one address",
				    .trusted = trusts_address(worker, peer)};

	if (!newcomer.trusted && newcomer.connections_max > 0 && peers_address(peer, &newcomer.key))
		newcomer.counted = worker->addresses;
	return newcomer;
}

/* Full, but not of those who would miss anything. */
static void make_room(struct worker *worker, const struct conn_service *service)
{
	struct conn *guest = crowd_choose(worker, service);

	if (guest)
		conn_cut(guest, "made room for another");
}

static void admit(struct listener *listener, int descriptor, const struct address *peer)
{
	struct worker *worker = listener->worker;
	const struct kind *kind = &kinds[listener->kind];
	struct newcomer newcomer = peer->storage.ss_family == AF_UNIX
					   ? newcomer_at_unix_socket(listener, descriptor)
					   : newcomer_from_network(listener, peer);
	uint64_t now_ms = clock_monotonic_ms();
	struct conn *conn;

	if (worker_is_full(worker, kind->service))
		make_room(worker, kind->service);
	if (worker_is_full(worker, kind->service)) {
		refuse(descriptor, kind, "too many connections");
		return;
	}
	if (newcomer.counted &&
	    !peers_enter(newcomer.counted, &newcomer.key, newcomer.connections_max, now_ms)) {
		refuse(descriptor, kind, newcomer.too_many);
		return;
	}
	worker->counters.connections++;
	conn = conn_new(worker, kind->service, descriptor, kind->tls);
	if (!conn) {
		log_event(LOG_LEVEL_WARNING, "refused", "reason=\"out of memory\"");
		if (newcomer.counted)
			peers_leave(newcomer.counted, &newcomer.key, now_ms);
		return;
	}
	conn->counted = newcomer.counted;
	conn->peer = newcomer.key;
	conn->trusted = newcomer.trusted;
	conn_start(conn);
}

static void accept_some(struct listener *listener, int count)
{
	for (int i = 0; i < count && !listener->worker->draining; i++) {
		struct address peer = {.length = sizeof(peer.storage)};
		int descriptor = accept4(listener->descriptor, (struct sockaddr *)&peer.storage,
					 &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (descriptor >= 0) {
			admit(listener, descriptor, &peer);
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
