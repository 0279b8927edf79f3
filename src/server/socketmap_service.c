/*
 * socketmap_service: one connection of an MTA that asks.
 *
 * Every question is one to auth (MESSAGE_RESOLVE), so that the answers are those that RCPT would
 * get. A domain is ours when it has a postmaster, which every one of ours has.
 *
 * Guarantees: NOTFOUND only when auth has said so; while it cannot be asked the answer is TEMP, and
 * the MTA keeps its mail. Must not know: how a name is looked up.
 */
#include "server/socketmap_service.h"

#include <string.h>

#include "protocol/socketmap.h"

struct socketmap_session {
	struct conn conn;
	struct socketmap *engine;
	const struct map *map; /* asked of; NULL: nothing is under way */
	struct bytes key;      /* the engine's, until the answer */
	enum error_code outcome;
	char account[ACCOUNT_NAME_MAX + 2];
};

static struct socketmap_session *session_of(const struct conn *conn)
{
	return (struct socketmap_session *)(uintptr_t)conn;
}

/* ---- maps ---- */

/* The address to ask auth for; false: no key of this kind is found. */
static bool address_as_it_is(struct bytes key, struct message_text *address_out)
{
	if (key.length > sizeof(address_out->octets))
		return false;
	memcpy(address_out->octets, key.data, key.length);
	address_out->length = (uint32_t)key.length;
	return key.length > 0;
}

static bool address_of_postmaster(struct bytes key, struct message_text *address_out)
{
	static const struct bytes name = {"postmaster@", sizeof("postmaster@") - 1};

	if (key.length == 0 || key.length > DOMAIN_MAX || memchr(key.data, '@', key.length))
		return false;
	memcpy(address_out->octets, name.data, name.length);
	memcpy(address_out->octets + name.length, key.data, key.length);
	address_out->length = (uint32_t)(name.length + key.length);
	return true;
}

/* To add a map: a row here. */
static const struct map {
	const char *name;
	bool (*address)(struct bytes key, struct message_text *address_out);
	bool answers_with_account; /* else with the key */
} maps[] = {
	{"recipients", address_as_it_is, true},
	{"domains", address_of_postmaster, false},
};

static const struct map *find_map(struct bytes name)
{
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		if (bytes_equal(name, bytes_of(maps[i].name)))
			return &maps[i];
	return NULL;
}

/* ---- answers ---- */

/* A disabled account is there, but its mail is refused: so it is for the MTA as if it were not. As
 * long as somebody is behind its postmaster a domain is ours, whatever became of the account. */
static enum conn_step answer(struct socketmap_session *session)
{
	const struct map *map = session->map;

	session->map = NULL;
	switch (session->outcome) {
	case ERROR_NONE:
		socketmap_answer(session->engine, SOCKETMAP_OK,
				 map->answers_with_account ? bytes_of(session->account)
							   : session->key);
		break;
	case ERROR_NO_USER:
	case ERROR_NOT_LOCAL:
	case ERROR_DENIED:
		socketmap_answer(session->engine, SOCKETMAP_NOTFOUND, BYTES(""));
		break;
	default:
		socketmap_answer(session->engine, SOCKETMAP_TEMP,
				 BYTES("cannot look up users now"));
		break;
	}
	return STEP_MORE;
}

static void answered(struct conn *conn, const union message *message)
{
	struct socketmap_session *session = session_of(conn);

	session->outcome = ERROR_TEMPORARY;
	if (!message || message->header.type != MESSAGE_RESOLVED)
		return;
	session->outcome = (enum error_code)message->resolved.outcome;
	memcpy(session->account, message->resolved.account, sizeof(session->account));
}

static enum conn_step look_up(struct socketmap_session *session,
			      const struct socketmap_event *event)
{
	struct message_resolve question;

	session->map = find_map(event->name);
	session->key = event->key;
	if (!session->map) {
		socketmap_answer(session->engine, SOCKETMAP_PERM,
				 BYTES("the maps are recipients and domains"));
		return STEP_MORE;
	}
	message_init(&question, MESSAGE_RESOLVE, 0);
	session->outcome = ERROR_NO_USER;
	if (!session->map->address(event->key, &question.address))
		return answer(session);
	session->outcome = ERROR_TEMPORARY;
	return conn_ask(&session->conn, &question) ? STEP_WAIT : answer(session);
}

/* ---- the conn's service ---- */

static enum conn_step step(struct conn *conn)
{
	struct socketmap_session *session = session_of(conn);
	struct bytes output = socketmap_output(session->engine);
	size_t taken = conn_take(conn, output);
	struct socketmap_event event;

	socketmap_sent(session->engine, taken);
	if (taken < output.length)
		return STEP_FULL;
	if (session->map)
		return answer(session);
	if (!socketmap_next(session->engine, &event))
		return STEP_IDLE;
	return event.kind == SOCKETMAP_LOOKUP ? look_up(session, &event) : STEP_CLOSE;
}

static bool start(struct conn *conn)
{
	session_of(conn)->engine = socketmap_new();
	return session_of(conn)->engine != NULL;
}

static size_t feed(struct conn *conn, struct bytes in)
{
	return socketmap_feed(session_of(conn)->engine, in);
}

static uint64_t deadline_ms(const struct conn *conn, uint64_t now_ms)
{
	(void)conn;
	return now_ms + SOCKETMAP_TIMEOUT_MS;
}

static void end(struct conn *conn, const char *text)
{
	(void)text;
	socketmap_end(session_of(conn)->engine);
}

static void close_session(struct conn *conn)
{
	socketmap_free(session_of(conn)->engine);
}

/* There is nothing to be lost: who is cut off asks again. */
static bool is_guest(const struct conn *conn)
{
	return session_of(conn)->map == NULL;
}

const struct conn_service socketmap_service = {
	.size = sizeof(struct socketmap_session),
	.is_guest = is_guest,
	.start = start,
	.feed = feed,
	.step = step,
	.answered = answered,
	.deadline_ms = deadline_ms,
	.end = end,
	.close = close_session,
};
