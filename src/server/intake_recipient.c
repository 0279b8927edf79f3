/*
 * intake_recipient: the recipients of a message, one by one, as RCPT names them.
 *
 * Auth says who it is. Of an account with a quota the maildrop is looked at as well, without
 * locking it: SMTP has one answer for all recipients of a message, and one who has no room for it
 * would keep it from the others. What the store says behind the message counts all the same.
 *
 * Guarantees: a recipient is accepted only when auth has answered; one that is not is logged. Must
 * not know: how mail is stored or a name is looked up.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/intake_session.h"

/* ---- the list ---- */

/* Room for one more. The engine never has more than SMTP_RECIPIENTS_MAX in a transaction, so of
 * twice as many the older half is left over from dropped ones. */
static struct batch_recipient *add_recipient(struct intake_session *session)
{
	size_t size = sizeof(*session->recipients);

	if (session->recipient_count == (size_t)2 * SMTP_RECIPIENTS_MAX) {
		session->recipient_count = SMTP_RECIPIENTS_MAX;
		memmove(session->recipients, session->recipients + SMTP_RECIPIENTS_MAX,
			SMTP_RECIPIENTS_MAX * size);
	}
	if (session->recipient_count == session->recipient_room) {
		size_t room = session->recipient_room ? 2 * session->recipient_room : 1;
		void *grown = realloc(session->recipients, room * size);

		if (!grown)
			return NULL;
		session->recipients = grown;
		session->recipient_room = room;
	}
	memset(&session->recipients[session->recipient_count], 0, size);
	return &session->recipients[session->recipient_count++];
}

/* ---- auth ---- */

bool intake_ask_place(struct intake_session *session, struct bytes address)
{
	struct message_resolve message;

	message_init(&message, MESSAGE_RESOLVE, 0);
	if (address.length > sizeof(message.address.octets))
		return false;
	message.address.length = (uint32_t)address.length;
	memcpy(message.address.octets, address.data, address.length);
	return conn_ask(&session->conn, &message);
}

void intake_answered(struct conn *conn, const union message *answer)
{
	struct intake_session *session = intake_session_of(conn);
	struct batch_recipient *recipient;

	session->answered = true;
	session->outcome = answer && answer->header.type == MESSAGE_RESOLVED
				   ? (enum error_code)answer->resolved.outcome
				   : ERROR_TEMPORARY;
	if (session->outcome != ERROR_NONE)
		return;
	recipient = session->doing == INTAKE_RESOLVING
			    ? add_recipient(session)
			    : &session->batch.recipients[session->looked_up];
	if (!recipient) {
		session->outcome = ERROR_TEMPORARY;
		return;
	}
	recipient->place = answer->resolved.place;
	memcpy(recipient->account, answer->resolved.account, sizeof(recipient->account));
	if (session->doing == INTAKE_RESOLVING)
		(void)bytes_to_string(session->asked.recipient, recipient->address,
				      sizeof(recipient->address));
}

/* ---- room ---- */

static bool has_quota(const struct place *place)
{
	return place->octets_max > 0 || place->messages_max > 0;
}

static enum error_code room_left(const struct place *place, struct maildrop_summary has,
				 uint64_t declared_octets)
{
	if (place->messages_max > 0 && has.messages >= place->messages_max)
		return ERROR_QUOTA;
	if (place->octets_max > 0 &&
	    (has.octets >= place->octets_max || declared_octets > place->octets_max - has.octets))
		return ERROR_QUOTA;
	return ERROR_NONE;
}

/* A maildrop that cannot be looked at now says nothing: it is asked again with the message. */
static void look_work(void *context)
{
	struct intake_session *session = context;
	const struct place *place = &session->recipients[session->recipient_count - 1].place;
	struct maildrop *maildrop;
	struct error error;

	if (maildrop_open(&session->conn.worker->root, place, STORE_PEEK, &maildrop, &error) !=
	    STORE_OK)
		return;
	session->outcome =
		room_left(place, maildrop_summary(maildrop), session->asked.declared_octets);
	maildrop_close(maildrop);
}

static void look_done(void *context)
{
	struct intake_session *session = context;

	session->answered = true;
}

/* ---- answers ---- */

static const char *words(enum error_code outcome)
{
	switch (outcome) {
	case ERROR_NONE:
		return "recipient accepted";
	case ERROR_NO_USER:
		return "no such user here";
	case ERROR_NOT_LOCAL:
		return "relaying denied";
	case ERROR_DENIED:
		return "this account is disabled";
	case ERROR_QUOTA:
		return "this mailbox is full";
	case ERROR_TOO_LARGE:
		return "the message is larger than this mailbox may become";
	default:
		return "cannot look up users now";
	}
}

static void note_refused(struct intake_session *session, enum error_code outcome)
{
	char recipient[LOG_FIELD_OCTETS];

	session->refused++;
	session->conn.worker->counters.deliveries_refused++;
	log_event(LOG_LEVEL_INFO, "recipient-refused", "session=%s peer=%s recipient=%s outcome=%s",
		  session->word, session->peer, log_field(session->asked.recipient, recipient),
		  error_meaning(outcome)->name);
}

static enum conn_step answer(struct intake_session *session, enum error_code outcome)
{
	bool added = session->doing == INTAKE_LOOKING;

	if (outcome != ERROR_NONE) {
		note_refused(session, outcome);
		session->recipient_count -= added;
	}
	session->doing = INTAKE_NOTHING;
	smtp_server_recipient(session->engine, outcome, words(outcome));
	return STEP_MORE;
}

/* Auth has said yes. */
static enum conn_step look(struct intake_session *session)
{
	const struct place *place = &session->recipients[session->recipient_count - 1].place;

	intake_begin(session, INTAKE_LOOKING);
	if (!has_quota(place))
		return answer(session, ERROR_NONE);
	if (place->octets_max > 0 && session->asked.declared_octets > place->octets_max)
		return answer(session, ERROR_TOO_LARGE);
	if (!conn_job(&session->conn, JOB_OPEN, look_work, look_done))
		return answer(session, ERROR_NONE);
	return STEP_WAIT;
}

enum conn_step intake_recipient_step(struct intake_session *session)
{
	if (session->doing == INTAKE_RESOLVING && session->outcome == ERROR_NONE)
		return look(session);
	return answer(session, session->outcome);
}

enum conn_step intake_recipient_begin(struct intake_session *session,
				      const struct smtp_event *event)
{
	intake_begin(session, INTAKE_RESOLVING);
	session->asked = *event;
	return intake_ask_place(session, event->recipient) ? STEP_WAIT
							   : answer(session, ERROR_TEMPORARY);
}
