/*
 * worker: a process that talks POP3 and LMTP. This file is what it hears from the supervisor and
 * from auth, and its table of connections.
 *
 * Guarantees: nothing of the outside is read before the sandbox is entered; the process ends when
 * the supervisor does; a question to auth is answered or failed, never forgotten.
 * Must not know: protocols (services), how octets move (conn.c), accounts.
 */
#include "server/worker.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "accounts/secret.h"
#include "base/log.h"
#include "server/broker.h"
#include "server/child.h"
#include "server/conn.h"
#include "server/sandbox.h"

#define SLOT_BITS  16
#define FLUSH_MS   1000
#define GOING_DOWN "the server is going down, try again soon"
#define KICKED     "the session was ended by the operator"

/* ---- connections ---- */

uint64_t worker_number(struct worker *worker, uint32_t slot)
{
	return ++worker->serial << SLOT_BITS | slot;
}

struct conn *worker_conn(struct worker *worker, uint64_t number)
{
	uint64_t slot = number & ((1U << SLOT_BITS) - 1);

	return slot < worker->slots_used ? worker->conns[slot] : NULL;
}

bool worker_is_full(const struct worker *worker, const struct conn_service *service)
{
	return worker->conn_count >= worker->conn_max ||
	       (service->leaves_slots && worker->pop3_count >= worker->pop3_max);
}

/* Slots given back are used again before new ones, so that the table stays short. */
bool worker_add(struct worker *worker, struct conn *conn, uint32_t *slot_out)
{
	static_assert(SESSIONS_MAX < 1U << SLOT_BITS, "slots fit their bits");
	uint32_t unused = worker->slots_used - worker->conn_count;

	if (worker_is_full(worker, conn->service))
		return false;
	if (conn->service->leaves_slots)
		worker->pop3_count++;
	*slot_out = unused > 0 ? worker->free_slots[unused - 1] : worker->slots_used++;
	worker->conns[*slot_out] = conn;
	worker->conn_count++;
	return true;
}

/* Of very few, half: then neither of both is without. */
uint32_t worker_pop3_max(uint32_t conn_max)
{
	uint32_t kept = conn_max / SLOTS_LMTP_SHARE;

	if (kept < SLOTS_LMTP_MIN)
		kept = SLOTS_LMTP_MIN;
	return kept < conn_max / 2 ? conn_max - kept : conn_max - conn_max / 2;
}

static void stop_when_empty(struct worker *worker)
{
	if (worker->draining && worker->conn_count == 0)
		loop_stop(worker->loop);
}

void worker_remove(struct worker *worker, uint32_t slot)
{
	if (worker->conns[slot]->service->leaves_slots)
		worker->pop3_count--;
	worker->conns[slot] = NULL;
	worker->conn_count--;
	worker->free_slots[worker->slots_used - worker->conn_count - 1] = (uint16_t)slot;
	stop_when_empty(worker);
}

bool worker_tell(struct worker *worker, const void *message)
{
	if (!worker->auth)
		return false;
	channel_send(worker->auth, message, NULL, 0);
	return true;
}

/* ---- auth ---- */

static void on_answer(struct worker *worker, const union message *message)
{
	struct conn *conn = worker_conn(worker, message->header.request);

	/* The connection may have ended meanwhile, and its slot have another. */
	if (conn && conn->question == message->header.request)
		conn_answered(conn, message);
}

static void on_probe(struct worker *worker, const struct message_probe *probe)
{
	struct conn *conn = worker_conn(worker, probe->session);
	struct message_probed probed;

	if (conn && conn->number == probe->session && conn->service->probe) {
		conn->service->probe(conn, probe->header.request);
		return;
	}
	message_init(&probed, MESSAGE_PROBED, probe->header.request);
	probed.outcome = CONTEST_FREE;
	(void)worker_tell(worker, &probed);
}

static void on_end(struct worker *worker, uint64_t session)
{
	struct conn *conn = worker_conn(worker, session);

	if (conn && conn->number == session)
		conn_kick(conn, "kicked", KICKED);
}

static void tell_counters(struct worker *worker, uint64_t request)
{
	struct message_counters message;

	message_init(&message, MESSAGE_COUNTERS, request);
	message.counters = worker->counters;
	message.counters.connections_now = worker->conn_count;
	message.counters.file_octets_read = file_octets_read();
	(void)worker_tell(worker, &message);
}

static void on_auth(void *context, const union message *message, const int *descriptors,
		    size_t descriptor_count)
{
	struct worker *worker = context;

	(void)descriptors;
	(void)descriptor_count;
	switch (message->header.type) {
	case MESSAGE_LOGGED_IN:
	case MESSAGE_RESOLVED:
	case MESSAGE_CONTESTED:
		on_answer(worker, message);
		break;
	case MESSAGE_PROBE:
		on_probe(worker, &message->probe);
		break;
	case MESSAGE_COUNT:
		tell_counters(worker, message->header.request);
		break;
	case MESSAGE_END:
		on_end(worker, message->end.session);
		break;
	default:
		log_event(LOG_LEVEL_ERROR, "message", "from=auth type=%u error=\"unexpected\"",
			  message->header.type);
	}
}

/* Questions that will not be answered any more are failed; the sessions go on. */
static void lose_auth(struct worker *worker)
{
	channel_free(worker->auth);
	worker->auth = NULL;
	for (uint32_t i = 0; i < worker->slots_used; i++)
		if (worker->conns[i] && worker->conns[i]->question != 0)
			conn_answered(worker->conns[i], NULL);
}

/* Auth has died, and its successor will be introduced; or it lives, and has given up a worker that
 * did not listen for long. */
static void on_auth_closed(void *context)
{
	struct worker *worker = context;
	struct message_meet message;

	log_event(LOG_LEVEL_WARNING, "auth-lost", "logins=refused");
	lose_auth(worker);
	message_init(&message, MESSAGE_MEET, 0);
	message.pid = worker->auth_pid;
	channel_send(worker->supervisor, &message, NULL, 0);
}

static void meet_auth(struct worker *worker, int descriptor, uint32_t pid)
{
	if (worker->auth)
		lose_auth(worker);
	worker->auth_pid = pid;
	worker->auth = channel_new(worker->loop, descriptor, on_auth, on_auth_closed, worker);
	if (!worker->auth) {
		close(descriptor);
		log_event(LOG_LEVEL_ERROR, "auth-lost", "error=\"out of memory\"");
		return;
	}
	for (uint32_t i = 0; i < worker->slots_used; i++)
		if (worker->conns[i] && worker->conns[i]->service->announce)
			worker->conns[i]->service->announce(worker->conns[i]);
}

/* ---- the supervisor ---- */

static void set_tickets(struct worker *worker)
{
	if (worker->tls && worker->has_tickets)
		tls_set_ticket_keys(worker->tls, worker->tickets[0], worker->tickets[1]);
}

/* The supervisor has looked at the pair before: so it is good, or memory has run out. */
static void use_certificate(struct worker *worker)
{
	struct tls *tls = NULL;
	struct error error;

	if (tls_server_new(buffer_bytes(&worker->certificate_pem), buffer_bytes(&worker->key_pem),
			   &tls, &error) == ERROR_NONE) {
		tls_free(worker->tls);
		worker->tls = tls;
		set_tickets(worker);
	} else {
		log_event(LOG_LEVEL_ERROR, "tls", "error=\"%s\"", error.text);
	}
	buffer_free(&worker->certificate_pem);
	buffer_wipe(&worker->key_pem);
	buffer_free(&worker->key_pem);
}

static void on_tls(struct worker *worker, const struct message_tls *part)
{
	struct buffer *pem = part->key ? &worker->key_pem : &worker->certificate_pem;

	if (!buffer_append(pem, (struct bytes){part->octets, part->length}))
		log_event(LOG_LEVEL_ERROR, "tls", "error=\"certificate or key too large\"");
	if (part->last)
		use_certificate(worker);
}

static void on_listener(struct worker *worker, const struct message_listener *message,
			int descriptor)
{
	struct message_ready ready;

	if (!listener_add(worker, (enum listener_kind)message->kind, descriptor))
		close(descriptor);
	if (!message->last)
		return;
	if (!listener_start_all(worker)) {
		log_event(LOG_LEVEL_ERROR, "start", "error=\"out of memory\"");
		_exit(EX_OSERR);
	}
	message_init(&ready, MESSAGE_READY, 0);
	channel_send(worker->supervisor, &ready, NULL, 0);
}

static void on_ping(struct worker *worker)
{
	struct message_pong pong;

	message_init(&pong, MESSAGE_PONG, 0);
	channel_send(worker->supervisor, &pong, NULL, 0);
}

static void on_drain(struct worker *worker, bool at_once)
{
	worker->draining = true;
	worker->at_once = worker->at_once || at_once;
	listener_close_all(worker);
	for (uint32_t i = 0; i < worker->slots_used && worker->at_once; i++)
		if (worker->conns[i])
			conn_end(worker->conns[i], "server shutdown", GOING_DOWN);
	stop_when_empty(worker);
}

/* From now on its files are opened by the supervisor. */
static void borrow_from(struct worker *worker, uint32_t mail_roots, int descriptor)
{
	struct broker *broker = broker_new(descriptor);

	if (!broker) {
		close(descriptor);
		log_event(LOG_LEVEL_ERROR, "broker", "error=\"out of memory\"");
		return;
	}
	for (uint32_t i = 0; i < MAIL_ROOTS_MAX; i++) {
		bool lent = worker->root.mail[i] && mail_roots & 1U << i;
		struct file *folder = lent ? broker_folder(broker, i, worker->root.mail[i]) : NULL;

		if (folder)
			worker->root.mail[i] = folder;
	}
}

static void on_supervisor(void *context, const union message *message, const int *descriptors,
			  size_t descriptor_count)
{
	struct worker *worker = context;

	switch (message->header.type) {
	case MESSAGE_LISTENER:
		on_listener(worker, &message->listener, descriptors[0]);
		break;
	case MESSAGE_TLS:
		on_tls(worker, &message->tls);
		break;
	case MESSAGE_TICKETS:
		memcpy(worker->tickets[0], message->tickets.current, TLS_TICKET_KEY_OCTETS);
		memcpy(worker->tickets[1], message->tickets.previous, TLS_TICKET_KEY_OCTETS);
		worker->has_tickets = true;
		set_tickets(worker);
		break;
	case MESSAGE_BROKER:
		borrow_from(worker, message->broker.mail_roots, descriptors[0]);
		break;
	case MESSAGE_PEER:
		meet_auth(worker, descriptors[0], message->peer.pid);
		break;
	case MESSAGE_PING:
		on_ping(worker);
		break;
	case MESSAGE_DRAIN:
		on_drain(worker, message->drain.at_once);
		break;
	default:
		for (size_t i = 0; i < descriptor_count; i++)
			close(descriptors[i]);
		log_event(LOG_LEVEL_ERROR, "message",
			  "from=supervisor type=%u error=\"unexpected\"", message->header.type);
	}
}

/* Without a supervisor nobody would restart or stop us. The locks go with the process. */
static void on_supervisor_closed(void *context)
{
	(void)context;
	log_event(LOG_LEVEL_WARNING, "exit", "reason=\"the supervisor is gone\"");
	_exit(EX_OK);
}

/* ---- beginning ---- */

/* Where the system gives us few descriptors, fewer sessions are let in, so that none of them fails
 * amid its UPDATE for want of one. */
#define DESCRIPTORS_A_SESSION 5 /* socket, lock, maildrop, index; and one to work with */
#define DESCRIPTORS_OF_OURS   64

static uint32_t connections_max(void)
{
	struct rlimit limit;
	rlim_t sessions;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return SESSIONS_MAX;
	if (limit.rlim_cur < DESCRIPTORS_OF_OURS + 2 * DESCRIPTORS_A_SESSION)
		return 2; /* one of POP3, one of LMTP */
	sessions = (limit.rlim_cur - DESCRIPTORS_OF_OURS) / DESCRIPTORS_A_SESSION;
	return sessions < SESSIONS_MAX ? (uint32_t)sessions : SESSIONS_MAX;
}

/* Descriptors: index/, journal/, uids/, run/locks/, then the mail roots. */
static bool adopt_folders(struct worker *worker, const struct message_configure *configure,
			  const int *descriptors)
{
	struct store_root *root = &worker->root;
	bool good;

	root->disk = disk_kernel();
	good = file_adopt(descriptors[0], &root->index) == 0 &&
	       file_adopt(descriptors[1], &root->journal) == 0 &&
	       file_adopt(descriptors[2], &root->uids) == 0 &&
	       file_adopt(descriptors[3], &root->locks) == 0;
	for (uint32_t i = 0; good && i < configure->mail_roots; i++)
		good = file_adopt(descriptors[WORKER_FOLDERS + i],
				  &root->mail[configure->mail_root_numbers[i]]) == 0;
	return good;
}

static enum error_code enter_sandbox(int descriptor, const struct message_configure *configure,
				     const int *descriptors, struct error *error)
{
	enum error_code code = ERROR_NONE;
	bool landlock = false;
	uint8_t boot[16];

	disk_boot(disk_kernel(), boot); /* remembered from here on: inside it cannot be read */
	if (configure->drop_user)
		code = sandbox_drop_user(configure->uid, configure->gid, error);
	if (code == ERROR_NONE)
		code = child_follow_supervisor(descriptor, error);
	if (code == ERROR_NONE)
		code = sandbox_enter_worker(descriptors, WORKER_FOLDERS + configure->mail_roots,
					    &landlock, error);
	if (code == ERROR_NONE && !landlock)
		log_event(LOG_LEVEL_WARNING, "sandbox",
			  "error=\"this kernel has no Landlock, or one before 5.19: files are not "
			  "fenced off\"");
	return code;
}

static bool prepare(struct worker *worker, const struct message_configure *configure,
		    int descriptor)
{
	worker->number = configure->number;
	worker->owner_uid = configure->owner_uid;
	worker->answer_ms = AUTH_ANSWER_MS;
	worker->allow_plaintext = configure->allow_plaintext;
	worker->apop = configure->apop;
	memcpy(worker->host, configure->host, sizeof(worker->host));
	worker->pop3_options.implementation = "Postern";
#ifdef POSTERN_TEST_COMMANDS
	worker->pop3_options.test_commands = true;
#endif
	worker->lmtp_options = (struct smtp_server_options){
		.lmtp = true, .octets_max = configure->message_octets_max, .host = worker->host};
	worker->smtp_options = worker->lmtp_options;
	worker->smtp_options.lmtp = false;
	worker->connections_per_address = configure->connections_per_address;
	worker->trusted_count = configure->trusted_count;
	memcpy(worker->trusted, configure->trusted, sizeof(worker->trusted));
	worker->trusted_user_count = configure->trusted_user_count;
	memcpy(worker->trusted_users, configure->trusted_users, sizeof(worker->trusted_users));
	worker->users = peers_new(PEER_USERS_MAX, (uint64_t)configure->megabytes_per_user << 20);
	worker->addresses = peers_new(worker->conn_max, 0);
	buffer_init(&worker->certificate_pem, TLS_PEM_MAX);
	buffer_init(&worker->key_pem, TLS_PEM_MAX);
	buffer_init(&worker->output, OUTPUT_OCTETS_MAX);
	worker->loop = loop_open(JOBS_WORKER_THREADS);
	if (!worker->loop || !worker->users || !worker->addresses ||
	    !buffer_reserve(&worker->output, OUTPUT_OCTETS_MAX))
		return false;
	worker->jobs = jobs_new(worker->loop);
	worker->supervisor =
		channel_new(worker->loop, descriptor, on_supervisor, on_supervisor_closed, worker);
	return worker->jobs && worker->supervisor;
}

static int fail(const char *what, const struct error *error)
{
	log_event(LOG_LEVEL_ERROR, "start", "error=\"%s%s%s\"", what, error ? ": " : "",
		  error ? error->text : "");
	return error ? error_meaning(error->code)->exit_code : EX_OSERR;
}

int worker_run(int descriptor, const struct message_configure *configure, const int *descriptors)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	struct error error;

	/* One arena: a session opened by a job is freed by the loop, and its memory is to be found
	 * again by the next job, whichever thread that is. */
	(void)mallopt(M_ARENA_MAX, 1);
	if (worker)
		worker->conn_max = connections_max();
	if (worker)
		worker->pop3_max = worker_pop3_max(worker->conn_max);
	if (!worker || !adopt_folders(worker, configure, descriptors))
		return fail("out of memory", NULL);
	if (enter_sandbox(descriptor, configure, descriptors, &error) != ERROR_NONE)
		return fail("sandbox", &error);
	if (!prepare(worker, configure, descriptor))
		return fail("out of memory", NULL);
	if (store_make_reserve(&worker->root, &error) != STORE_OK)
		log_event(LOG_LEVEL_WARNING, "reserve", "error=\"%s\"", error.text);
	loop_run(worker->loop);
	tell_counters(worker, 0); /* the last ones */
	if (worker->auth)
		channel_flush(worker->auth, FLUSH_MS);
	secret_wipe(worker->tickets, sizeof(worker->tickets));
	log_event(LOG_LEVEL_INFO, "exit", "reason=drained");
	return EX_OK;
}
