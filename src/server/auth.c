/*
 * auth: the process of accounts, sessions and the control socket.
 *
 * Guarantees: it can open ROOT/accounts and nothing else, and nobody else can; it holds nothing
 * that is lost with it, workers announce their sessions to the next one. Must not know: mail.
 */
#include "server/auth_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/apop.h"
#include "server/child.h"
#include "server/sandbox.h"

#define COUNT_MS 1000 /* how long a worker may take to send its counters */
#define LOOK_MS  500  /* how often it is seen whose contests are over */

/* ---- workers ---- */

struct auth_peer *auth_peer(struct auth *auth, uint64_t id)
{
	struct auth_peer *peer = auth->peers;

	while (peer && peer->id != id)
		peer = peer->next;
	return peer;
}

static struct auth_peer *peer_of_worker(struct auth *auth, uint32_t worker)
{
	struct auth_peer *peer = auth->peers;

	while (peer && peer->worker != worker)
		peer = peer->next;
	return peer;
}

static void tell_contestants(struct auth *auth)
{
	struct contestant contestant;
	enum contest_outcome outcome;

	while (registry_next_answer(auth->registry, &contestant, &outcome)) {
		struct auth_peer *peer = peer_of_worker(auth, contestant.worker);
		struct message_contested message;

		message_init(&message, MESSAGE_CONTESTED, contestant.request);
		message.outcome = outcome;
		if (peer)
			channel_send(peer->channel, &message, NULL, 0);
	}
}

/* All of its members are numbers of this type; those of the moment are nobody's any more. */
static void add_counters(struct counters *sum, struct counters more)
{
	uint64_t of_sum[sizeof(*sum) / sizeof(uint64_t)], of_more[sizeof(*sum) / sizeof(uint64_t)];

	more.connections_now = more.sessions_now = 0;
	memcpy(of_sum, sum, sizeof(of_sum));
	memcpy(of_more, &more, sizeof(of_more));
	for (size_t i = 0; i < sizeof(of_sum) / sizeof(of_sum[0]); i++)
		of_sum[i] += of_more[i];
	memcpy(sum, of_sum, sizeof(*sum));
}

static void forget_peer(struct auth_peer *peer)
{
	struct auth *auth = peer->auth;
	struct auth_peer **link = &auth->peers;

	add_counters(&auth->ended, peer->counters);

	while (*link != peer)
		link = &(*link)->next;
	*link = peer->next;
	registry_forget_worker(auth->registry, peer->worker);
	channel_free(peer->channel);
	free(peer);
	tell_contestants(auth);
}

/* ---- sessions ---- */

static void on_session(struct auth_peer *peer, const struct message_session *message)
{
	struct registry *registry = peer->auth->registry;

	if (message->change == SESSION_CLOSED)
		registry_close(registry, peer->worker, message->session);
	else if (!registry_open(registry, peer->worker, message))
		log_event(LOG_LEVEL_WARNING, "registry", "worker=%u error=\"session not kept\"",
			  peer->worker);
	tell_contestants(peer->auth);
}

/* Runs while there are contests. Without memory for it they are answered by the worker alone. */
static void look_at_contests(void *context)
{
	struct auth *auth = context;

	if (registry_expire(auth->registry, clock_monotonic_ms()))
		(void)loop_timer(auth->loop, &auth->contest_timer, LOOK_MS, look_at_contests, auth);
	else
		loop_timer_stop(&auth->contest_timer);
	tell_contestants(auth);
}

static void ask_holder(struct auth *auth, uint32_t worker, uint64_t session, uint64_t probe)
{
	struct auth_peer *holder = peer_of_worker(auth, worker);
	struct message_probe ask;

	message_init(&ask, MESSAGE_PROBE, probe);
	ask.session = session;
	if (holder)
		channel_send(holder->channel, &ask, NULL, 0);
	else
		registry_forget_worker(auth->registry, worker);
	if (!auth->contest_timer)
		(void)loop_timer(auth->loop, &auth->contest_timer, LOOK_MS, look_at_contests, auth);
}

static void on_contest(struct auth_peer *peer, const struct message_contest *message)
{
	struct auth *auth = peer->auth;
	struct contestant newcomer = {peer->worker, message->header.request};
	uint32_t worker;
	uint64_t session, probe;
	struct message_contested unknown;

	switch (registry_contest(auth->registry, message->account, newcomer,
				 clock_monotonic_ms() + PROBE_ANSWER_MS, &worker, &session,
				 &probe)) {
	case REGISTRY_ASK:
		ask_holder(auth, worker, session, probe);
		break;
	case REGISTRY_JOINED:
		break;
	case REGISTRY_NOBODY:
		message_init(&unknown, MESSAGE_CONTESTED, message->header.request);
		unknown.outcome = CONTEST_UNKNOWN;
		channel_send(peer->channel, &unknown, NULL, 0);
		break;
	}
	tell_contestants(auth);
}

/* ---- status ---- */

static void count_over(void *context)
{
	struct auth *auth = context;

	auth->counting = false;
	loop_timer_stop(&auth->count_timer);
	control_ready(auth->control);
}

static void count_if_complete(struct auth *auth)
{
	const struct auth_peer *peer = auth->peers;

	while (peer && peer->counted)
		peer = peer->next;
	if (!peer && auth->counting)
		count_over(auth);
}

static void on_counters(struct auth_peer *peer, const struct message_counters *message)
{
	peer->counters = message->counters;
	if (message->header.request != peer->auth->count_round)
		return;
	peer->counted = true;
	count_if_complete(peer->auth);
}

static void on_asked(void *context)
{
	struct auth *auth = context;
	struct message_count message;

	if (auth->counting)
		return;
	auth->counting = true;
	message_init(&message, MESSAGE_COUNT, ++auth->count_round);
	for (struct auth_peer *peer = auth->peers; peer; peer = peer->next) {
		peer->counted = false;
		channel_send(peer->channel, &message, NULL, 0);
	}
	if (!auth->peers || !loop_timer(auth->loop, &auth->count_timer, COUNT_MS, count_over, auth))
		count_over(auth);
}

static void status_worker(const struct auth_peer *peer, struct message_status_process *message)
{
	message_init(message, MESSAGE_STATUS_PROCESS, 0);
	message->role = PROCESS_WORKER;
	message->number = peer->worker;
	message->pid = peer->pid;
	message->counters = peer->counters;
}

/* What does not depend on the workers. */
static void status_head(struct auth *auth, size_t cursor, union message *message_out)
{
	if (cursor == 0) {
		message_out->about = auth->about;
		return;
	}
	message_init(&message_out->status_process, MESSAGE_STATUS_PROCESS, 0);
	message_out->status_process.role = cursor == 1 ? PROCESS_AUTH : PROCESS_ENDED;
	if (cursor == 1)
		message_out->status_process.pid = (uint32_t)getpid();
	else
		message_out->status_process.counters = auth->ended;
}

/* The cursor counts the head (the server, auth, the ended workers), then the workers, and from
 * SESSIONS_CURSOR on is that of the registry; END_CURSOR is behind everything. */
#define HEAD_CURSOR     3
#define SESSIONS_CURSOR (SIZE_MAX / 2)
#define END_CURSOR      SIZE_MAX

static bool next_status(void *context, size_t *cursor, union message *message_out)
{
	struct auth *auth = context;
	size_t at;

	if (*cursor == END_CURSOR)
		return false;
	if (*cursor < HEAD_CURSOR) {
		status_head(auth, (*cursor)++, message_out);
		return true;
	}
	if (*cursor < SESSIONS_CURSOR) {
		const struct auth_peer *peer = auth->peers;

		for (at = HEAD_CURSOR; at < *cursor && peer; at++)
			peer = peer->next;
		if (peer) {
			status_worker(peer, &message_out->status_process);
			++*cursor;
			return true;
		}
		*cursor = SESSIONS_CURSOR;
	}
	at = *cursor - SESSIONS_CURSOR;
	message_init(&message_out->status_session, MESSAGE_STATUS_SESSION, 0);
	if (registry_next_session(auth->registry, &at, &message_out->status_session)) {
		*cursor = SESSIONS_CURSOR + at;
		return true;
	}
	message_init(&message_out->status_end, MESSAGE_STATUS_END, 0);
	message_out->status_end.sessions = (uint32_t)registry_count(auth->registry);
	*cursor = END_CURSOR;
	return true;
}

/* ---- kicking ---- */

static bool parse_hexadecimal(struct bytes text, uint64_t *number_out)
{
	static const char digits[] = "0123456789abcdef";

	*number_out = 0;
	for (size_t i = 0; i < text.length; i++) {
		const char *digit = memchr(digits, text.data[i], 16);

		if (!digit)
			return false;
		*number_out = *number_out << 4 | (uint64_t)(digit - digits);
	}
	return text.length > 0 && text.length <= 16;
}

/* WORKER.SESSION, as the log and the greeting have it. */
static bool is_session_word(struct bytes text, uint64_t *worker_out, uint64_t *session_out)
{
	const char *dot = memchr(text.data, '.', text.length);
	size_t length = dot ? (size_t)(dot - text.data) : 0;

	return dot && parse_hexadecimal(bytes_first(text, length), worker_out) &&
	       parse_hexadecimal(bytes_skip(text, length + 1), session_out);
}

static bool must_end(const struct message_status_session *session, const struct message_kick *kick,
		     const struct account *account)
{
	uint64_t worker, number;

	if (kick->all)
		return true;
	if (account)
		return session->account == account->id;
	return is_session_word((struct bytes){kick->target.octets, kick->target.length}, &worker,
			       &number) &&
	       session->worker == worker && session->session == number;
}

/* To their workers; how many. */
static uint32_t end_sessions(struct auth *auth, const struct message_kick *kick,
			     const struct account *account)
{
	struct message_status_session session;
	struct message_end end;
	uint32_t count = 0;
	size_t cursor = 0;

	while (registry_next_session(auth->registry, &cursor, &session)) {
		struct auth_peer *peer = peer_of_worker(auth, session.worker);

		if (!peer || !must_end(&session, kick, account))
			continue;
		message_init(&end, MESSAGE_END, 0);
		end.session = session.session;
		channel_send(peer->channel, &end, NULL, 0);
		count++;
	}
	return count;
}

static void on_kick(void *context, const struct message_kick *kick, struct message_kicked *kicked)
{
	struct auth *auth = context;
	struct bytes target = {kick->target.octets, kick->target.length};
	struct account account;
	struct error error;
	char room[LOG_FIELD_OCTETS];
	uint64_t worker, session;
	bool one = kick->all || is_session_word(target, &worker, &session);
	enum error_code code =
		one ? ERROR_NONE : directory_find(auth->directory, target, &account, &error);

	message_init(kicked, MESSAGE_KICKED, kick->header.request);
	kicked->outcome = code == ERROR_NONE || code == ERROR_NO_USER ? code : ERROR_TEMPORARY;
	if (code == ERROR_NONE)
		kicked->sessions = end_sessions(auth, kick, one ? NULL : &account);
	log_event(LOG_LEVEL_INFO, "kick", "target=%s sessions=%u",
		  kick->all ? "all" : log_field(target, room), kicked->sessions);
}

/* ---- channels ---- */

static void on_worker(void *context, const union message *message, const int *descriptors,
		      size_t descriptor_count)
{
	struct auth_peer *peer = context;

	(void)descriptors;
	(void)descriptor_count;
	switch (message->header.type) {
	case MESSAGE_LOGIN:
		auth_login(peer, &message->login);
		break;
	case MESSAGE_RESOLVE:
		auth_resolve(peer, &message->resolve);
		break;
	case MESSAGE_SESSION:
		on_session(peer, &message->session);
		break;
	case MESSAGE_CONTEST:
		on_contest(peer, &message->contest);
		break;
	case MESSAGE_PROBED:
		registry_probed(peer->auth->registry, peer->worker, message->header.request,
				(enum contest_outcome)message->probed.outcome);
		tell_contestants(peer->auth);
		break;
	case MESSAGE_COUNTERS:
		on_counters(peer, &message->counters);
		break;
	default:
		log_event(LOG_LEVEL_ERROR, "message", "from=worker type=%u error=\"unexpected\"",
			  message->header.type);
	}
}

static void on_worker_closed(void *context)
{
	struct auth_peer *peer = context;
	struct auth *auth = peer->auth;

	forget_peer(peer);
	count_if_complete(auth);
}

/* A number that is known already is that of a worker that was restarted. */
static void meet_worker(struct auth *auth, const struct message_peer *message, int descriptor)
{
	struct auth_peer *peer = peer_of_worker(auth, message->worker);

	if (peer)
		forget_peer(peer);
	peer = calloc(1, sizeof(*peer));
	if (peer)
		peer->channel =
			channel_new(auth->loop, descriptor, on_worker, on_worker_closed, peer);
	if (!peer || !peer->channel) {
		log_event(LOG_LEVEL_ERROR, "message", "error=\"out of memory\"");
		close(descriptor);
		free(peer);
		return;
	}
	peer->auth = auth;
	peer->id = ++auth->peer_ids;
	peer->worker = message->worker;
	peer->pid = message->pid;
	peer->next = auth->peers;
	auth->peers = peer;
}

static void answer_ping(struct auth *auth)
{
	struct message_pong pong;

	message_init(&pong, MESSAGE_PONG, 0);
	pong.sessions = (uint32_t)registry_count(auth->registry);
	channel_send(auth->supervisor, &pong, NULL, 0);
}

static void take_rules(struct auth *auth, const struct message_rules *rules)
{
	auth->apop = rules->apop;
	auth->trusted_count = rules->trusted_count;
	memcpy(auth->trusted, rules->trusted, sizeof(auth->trusted));
}

static void on_supervisor(void *context, const union message *message, const int *descriptors,
			  size_t descriptor_count)
{
	struct auth *auth = context;

	switch (message->header.type) {
	case MESSAGE_PEER:
		meet_worker(auth, &message->peer, descriptors[0]);
		break;
	case MESSAGE_ABOUT:
		auth->about = message->about;
		break;
	case MESSAGE_RULES:
		take_rules(auth, &message->rules);
		break;
	case MESSAGE_PING:
		answer_ping(auth);
		break;
	default:
		for (size_t i = 0; i < descriptor_count; i++)
			close(descriptors[i]);
		log_event(LOG_LEVEL_ERROR, "message",
			  "from=supervisor type=%u error=\"unexpected\"", message->header.type);
	}
}

/* The end of a drain, or the supervisor has died. */
static void on_supervisor_closed(void *context)
{
	(void)context;
	_exit(EX_OK);
}

/* ---- beginning ---- */

/* Descriptors: accounts/, control socket. The database is opened by its bare name, because inside a
 * changed root it has no other. */
static enum error_code enter_sandbox(int descriptor, const struct message_configure *configure,
				     int accounts, struct error *error)
{
	enum error_code code = ERROR_NONE;
	bool landlock = false;

	if (fchdir(accounts) != 0)
		return error_set_errno(error, -errno, "entering the folder of accounts");
	if (configure->drop_user)
		code = sandbox_change_root(accounts, error);
	if (code == ERROR_NONE && configure->drop_user)
		code = sandbox_drop_user(configure->uid, configure->gid, error);
	if (code == ERROR_NONE)
		code = child_follow_supervisor(descriptor, error);
	if (code == ERROR_NONE)
		code = sandbox_enter_auth(accounts, &landlock, error);
	if (code == ERROR_NONE && !landlock)
		log_event(LOG_LEVEL_WARNING, "sandbox",
			  "error=\"this kernel has no Landlock: files are not fenced off\"");
	return code;
}

static bool prepare(struct auth *auth, int descriptor, int control, uid_t owner_uid)
{
	static const struct control_callbacks callbacks = {on_asked, next_status, on_kick};

	auth->loop = loop_open(JOBS_AUTH_THREADS);
	if (!auth->loop)
		return false;
	auth->jobs = jobs_new(auth->loop);
	auth->cache = secret_cache_new(SECRET_CACHE_ENTRIES);
	auth->registry = registry_new();
	auth->penalties = penalties_new();
	message_init(&auth->about, MESSAGE_ABOUT, 0);
	auth->control = control_new(auth->loop, control, owner_uid, &callbacks, auth);
	auth->supervisor =
		channel_new(auth->loop, descriptor, on_supervisor, on_supervisor_closed, auth);
	return auth->jobs && auth->cache && auth->registry && auth->penalties && auth->control &&
	       auth->supervisor;
}

static int fail(const struct error *error)
{
	log_event(LOG_LEVEL_ERROR, "start", "error=\"%s\"", error->text);
	return error_meaning(error->code)->exit_code;
}

int auth_run(int descriptor, const struct message_configure *configure, const int *descriptors)
{
	struct auth *auth = calloc(1, sizeof(*auth));
	struct error error = {.code = ERROR_TEMPORARY, .text = "out of memory"};
	struct message_ready ready;

	if (!auth)
		return fail(&error);
	secret_init();
	apop_init();
	if (enter_sandbox(descriptor, configure, descriptors[0], &error) != ERROR_NONE ||
	    directory_open("accounts.db", true, &auth->directory, &error) != ERROR_NONE)
		return fail(&error);
	auth->apop = configure->apop;
	auth->trusted_count = configure->trusted_count;
	memcpy(auth->trusted, configure->trusted, sizeof(auth->trusted));
	if (!prepare(auth, descriptor, descriptors[1], configure->owner_uid)) {
		error_set(&error, ERROR_TEMPORARY, "out of memory");
		return fail(&error);
	}
	message_init(&ready, MESSAGE_READY, 0);
	channel_send(auth->supervisor, &ready, NULL, 0);
	loop_run(auth->loop);
	return EX_OK;
}
