/*
 * intake_session: what the files of the intake share.
 *
 *   intake_service.c    the connection: events, the draft, delivery
 *   intake_recipient.c  who a recipient is, and whether there is room
 */
#ifndef SERVER_INTAKE_SESSION_H
#define SERVER_INTAKE_SESSION_H

#include "protocol/smtp_server.h"
#include "server/batch.h"
#include "server/conn.h"

enum intake_doing {
	INTAKE_NOTHING,
	INTAKE_RESOLVING, /* a question to auth, of RCPT */
	INTAKE_LOOKING,   /* a job, of RCPT: how full is the maildrop? */
	INTAKE_WRITING,
	INTAKE_DELIVERING
};

struct intake_session {
	struct conn conn;
	struct smtp_server *engine;
	const struct smtp_server_options *options;
	enum intake_doing doing;
	bool answered; /* what is being done is over, and outcome says how */
	enum error_code outcome;
	struct error error;
	/* Those the engine was told of as accepted, in this order. A transaction that was dropped
	 * before its message leaves some behind: BEGIN says how many of the last ones count. */
	struct batch_recipient *recipients;
	size_t recipient_count, recipient_room;
	struct smtp_event asked; /* RECIPIENT: valid until its answer */
	size_t looked_up;        /* of batch.recipients, when places are looked up again */
	bool looked_up_again;
	struct draft *draft;
	struct bytes body;
	struct batch batch;
	enum batch_result result;
	uint64_t give_up_ms;
	uint32_t doubles; /* of the pause between two tries of a delivery */
	uint32_t messages, refused; /* taken; recipients that were not */
	char peer[LINK_PEER_OCTETS];
	char word[CONN_WORD_OCTETS];
};

struct intake_session *intake_session_of(const struct conn *conn);

/* Begins to do something; what was done before is forgotten. */
void intake_begin(struct intake_session *session, enum intake_doing doing);

/* ---- intake_recipient.c ---- */

/* RECIPIENT: asks who that is. */
enum conn_step intake_recipient_begin(struct intake_session *session,
				      const struct smtp_event *event);
/* Auth has answered, or the job is done. */
enum conn_step intake_recipient_step(struct intake_session *session);

/* Asks auth where an address's maildrop is; false when there is no auth. */
bool intake_ask_place(struct intake_session *session, struct bytes address);

/* What auth said goes where it belongs: to a new recipient, or to one whose maildrop has moved. */
void intake_answered(struct conn *conn, const union message *answer);

#endif
