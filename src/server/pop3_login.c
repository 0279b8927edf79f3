/*
 * pop3_login: from a name and a password to an open maildrop.
 *
 * Credentials go to auth; with its yes the maildrop is opened as a job. A maildrop that is locked
 * is contested: auth has the holder probed, and says whether it is gone (FREE), alive, or unknown.
 *
 * Guarantees: the engine gets one answer to each AUTHENTICATE; no login is told IN-USE while a
 * holder that is known might be dead.
 * Must not know: who holds the lock, why auth says no.
 */
#include <stdlib.h>
#include <string.h>

#include "accounts/secret.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/pop3_session.h"

#define CONTEST_RETRY_MS 25

void pop3_login_free(struct pop3_session *session)
{
	free(session->login);
	session->login = NULL;
}

/* Auth logs what it denied; what failed for another reason is logged here, so that no refusal goes
 * without a line. */
static void log_refused(const struct pop3_session *session, const char *reason)
{
	const struct pop3_login_state *login = session->login;
	char word[CONN_WORD_OCTETS], peer[LINK_PEER_OCTETS], user[LOG_FIELD_OCTETS];

	log_event(LOG_LEVEL_WARNING, "login-refused",
		  "session=%s user=%s peer=%s mechanism=%s reason=\"%s\"",
		  conn_word(&session->conn, word), login ? log_field(login->user, user) : "-",
		  link_peer(session->conn.link, peer),
		  login ? mechanism_name(login->mechanism) : "-", reason);
}

static enum conn_step refuse(struct pop3_session *session, enum pop3_login login)
{
	struct counters *counters = &session->conn.worker->counters;

	if (login == POP3_LOGIN_DENIED)
		counters->logins_failed++;
	if (login == POP3_LOGIN_IN_USE)
		counters->logins_in_use++;
	pop3_server_authenticated(session->engine, login, 0, 0, NULL);
	pop3_login_free(session);
	session->doing = DOING_NOTHING;
	return STEP_MORE;
}

static enum conn_step refuse_for_now(struct pop3_session *session, const char *reason)
{
	log_refused(session, reason);
	return refuse(session, POP3_LOGIN_TEMPORARY);
}

/* ---- credentials ---- */

static bool set_text(struct message_text *text, struct bytes octets)
{
	if (octets.length > sizeof(text->octets))
		return false;
	text->length = (uint32_t)octets.length;
	if (octets.length > 0)
		memcpy(text->octets, octets.data, octets.length);
	return true;
}

static bool ask_credentials(struct pop3_session *session)
{
	struct pop3_login_state *login = session->login;
	struct message_login message;
	bool asked;

	message_init(&message, MESSAGE_LOGIN, 0);
	message.session = session->conn.number;
	message.mechanism = login->mechanism;
	message.tls = link_is_tls(session->conn.link);
	(void)link_peer(session->conn.link, message.peer);
	if (!set_text(&message.name, login->user) ||
	    !set_text(&message.authorize, login->authorize) ||
	    !set_text(&message.challenge, login->challenge) ||
	    login->password.length > sizeof(message.password))
		return false;
	message.password_length = (uint32_t)login->password.length;
	memcpy(message.password, login->password.data, login->password.length);
	asked = conn_ask(&session->conn, &message);
	secret_wipe(&message, sizeof(message));
	login->stage = LOGIN_CREDENTIALS;
	return asked;
}

static const enum mechanism mechanisms[] = {
	[POP3_USER] = MECHANISM_USER, [POP3_PLAIN] = MECHANISM_PLAIN, [POP3_APOP] = MECHANISM_APOP};

enum conn_step pop3_login_begin(struct pop3_session *session, const struct pop3_event *event)
{
	session->login = calloc(1, sizeof(*session->login));
	if (!session->login)
		return refuse_for_now(session, "out of memory");
	session->login->mechanism = mechanisms[event->mechanism];
	session->login->user = event->user;
	session->login->password = event->password;
	session->login->authorize = event->authorize;
	session->login->challenge = event->challenge;
	session->doing = DOING_LOGIN;
	return ask_credentials(session) ? STEP_WAIT : refuse_for_now(session, "auth is gone");
}

void pop3_login_answered(struct pop3_session *session, const union message *answer)
{
	struct pop3_login_state *login = session->login;

	bool contesting = login->stage == LOGIN_CONTESTING;

	login->outcome = contesting ? (uint32_t)CONTEST_UNKNOWN : (uint32_t)ERROR_TEMPORARY;
	if (!answer)
		return;
	if (contesting && answer->header.type == MESSAGE_CONTESTED)
		login->outcome = answer->contested.outcome;
	if (contesting || answer->header.type != MESSAGE_LOGGED_IN)
		return;
	login->answered = true;
	login->outcome = answer->logged_in.outcome;
	login->place = answer->logged_in.place;
	memcpy(login->account, answer->logged_in.account, sizeof(login->account));
}

/* ---- the maildrop ---- */

static void open_work(void *context)
{
	struct pop3_session *session = context;
	struct pop3_task *task = session->task;

	task->result = maildrop_open(&session->conn.worker->root, &session->login->place,
				     STORE_SESSION, &task->maildrop, &task->error);
}

static enum conn_step open_maildrop(struct pop3_session *session)
{
	session->login->stage = LOGIN_OPENING;
	if (!pop3_task_begin(session, JOB_OPEN, open_work, 0))
		return refuse_for_now(session, "too many jobs");
	return STEP_WAIT;
}

static void log_login(const struct pop3_session *session, struct maildrop_summary summary)
{
	const struct conn *conn = &session->conn;
	char word[CONN_WORD_OCTETS], peer[LINK_PEER_OCTETS], tls[LINK_PEER_OCTETS];

	log_event(LOG_LEVEL_INFO, "login",
		  "session=%s user=%s peer=%s mechanism=%s tls=\"%s\" messages=%u octets=%llu",
		  conn_word(conn, word), session->name, link_peer(conn->link, peer),
		  mechanism_name(session->login->mechanism), link_tls_words(conn->link, tls),
		  summary.messages, (unsigned long long)summary.octets);
}

static enum conn_step accept_login(struct pop3_session *session, struct maildrop *maildrop)
{
	struct maildrop_summary summary = maildrop_summary(maildrop);

	session->name = strdup(session->login->account);
	if (!session->name) {
		maildrop_close(maildrop);
		return refuse_for_now(session, "out of memory");
	}
	session->maildrop = maildrop;
	session->account = session->login->place.account;
	session->messages = summary.messages;
	session->conn.worker->counters.logins++;
	session->conn.service->announce(&session->conn);
	log_login(session, summary);
	pop3_server_authenticated(session->engine, POP3_LOGIN_OK, summary.messages, summary.octets,
				  NULL);
	pop3_login_free(session);
	session->doing = DOING_NOTHING;
	return STEP_MORE;
}

/* ---- contests ---- */

static void pause_over(void *context)
{
	(void)context; /* the step that follows opens again */
}

static enum conn_step refuse_in_use(struct pop3_session *session)
{
	char word[CONN_WORD_OCTETS];

	log_event(LOG_LEVEL_INFO, "in-use", "session=%s user=%s", conn_word(&session->conn, word),
		  session->login->account);
	return refuse(session, POP3_LOGIN_IN_USE);
}

/* The maildrop is locked: who has it? */
static enum conn_step contest(struct pop3_session *session)
{
	struct pop3_login_state *login = session->login;
	struct message_contest message;

	if (login->last_try)
		return refuse_in_use(session);
	if (login->give_up_ms != 0) {
		if (clock_monotonic_ms() >= login->give_up_ms ||
		    !conn_retry(&session->conn, CONTEST_RETRY_MS, pause_over))
			return refuse_in_use(session);
		login->stage = LOGIN_PAUSING;
		return STEP_WAIT;
	}
	login->stage = LOGIN_CONTESTING;
	message_init(&message, MESSAGE_CONTEST, 0);
	message.account = login->place.account;
	return conn_ask(&session->conn, &message) ? STEP_WAIT : refuse_in_use(session);
}

/* Nobody known has it: a command line, or a session that ended between the two questions, so it is
 * tried once more. */
static enum conn_step contested(struct pop3_session *session)
{
	struct pop3_login_state *login = session->login;

	if (login->outcome == CONTEST_ALIVE)
		return refuse_in_use(session);
	if (login->outcome == CONTEST_UNKNOWN)
		login->last_try = true;
	else
		login->give_up_ms = clock_monotonic_ms() + CONTEST_PATIENCE_MS;
	return open_maildrop(session);
}

/* ---- steps ---- */

static enum conn_step opened(struct pop3_session *session)
{
	struct pop3_task task = *session->task;

	pop3_task_end(session);
	switch (task.result) {
	case STORE_OK:
		return accept_login(session, task.maildrop);
	case STORE_LOCKED:
		return contest(session);
	case STORE_CHANGED: /* the account has moved since auth looked it up */
		if (!session->login->looked_up_again) {
			session->login->looked_up_again = true;
			if (ask_credentials(session))
				return STEP_WAIT;
		}
		break;
	default:
		break;
	}
	(void)pop3_store_failed(session, "login", STORE_OK, &task.error);
	return refuse(session, task.result == STORE_IO && task.error.code != ERROR_TEMPORARY
				       ? POP3_LOGIN_PERMANENT
				       : POP3_LOGIN_TEMPORARY);
}

static enum conn_step credentials_checked(struct pop3_session *session)
{
	switch (session->login->outcome) {
	case ERROR_NONE:
		return open_maildrop(session);
	case ERROR_DENIED:
		return refuse(session, POP3_LOGIN_DENIED);
	default:
		return refuse_for_now(session, session->login->answered ? "auth cannot tell now"
									: "no answer from auth");
	}
}

enum conn_step pop3_login_step(struct pop3_session *session)
{
	switch (session->login->stage) {
	case LOGIN_CREDENTIALS:
		return credentials_checked(session);
	case LOGIN_OPENING:
		return opened(session);
	case LOGIN_CONTESTING:
		return contested(session);
	case LOGIN_PAUSING:
		break;
	}
	return open_maildrop(session);
}
