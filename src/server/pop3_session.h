/*
 * pop3_session: what the files of the POP3 service share. Private to pop3_*.c.
 *
 *   pop3_service.c    the engine's events, probes, beginning and end
 *   pop3_login.c      AUTHENTICATE: credentials, the maildrop, contests
 *   pop3_retrieval.c  TABLE and BODY
 *   pop3_update.c     UPDATE
 *
 * Each of them is a step function: it goes as far as it can and says why it stops. Whatever it
 * waits for only leaves its result; conn_resume() then has the step called again.
 */
#ifndef SERVER_POP3_SESSION_H
#define SERVER_POP3_SESSION_H

#include "base/wire.h"
#include "server/conn.h"

enum pop3_doing { DOING_NOTHING, DOING_LOGIN, DOING_TABLE, DOING_BODY, DOING_UPDATE };

/* One call of the store in a thread, repeated while it says AGAIN. Allocated for the call. */
struct pop3_task {
	loop_callback *work; /* with the session; sets result, and error when that is not OK */
	enum job_class class;
	enum store_result result;
	struct error error;
	uint64_t give_up_ms;
	bool settled;
	struct maildrop
		*maildrop;     /* open: the result; update: closed, and NULL, when it went well */
	const uint8_t *marks;  /* update: the engine's */
	uint32_t first, count; /* table: which entries */
	size_t size, length, used; /* read: room, octets read, and those handed on already */
	_Alignas(max_align_t) char octets[]; /* table: the entries; read: the octets */
};

/* A login under way. */
enum login_stage { LOGIN_CREDENTIALS, LOGIN_OPENING, LOGIN_CONTESTING, LOGIN_PAUSING };
struct pop3_login_state {
	enum login_stage stage;
	uint32_t mechanism;          /* enum mechanism */
	struct bytes user, password; /* these and the next two are the engine's */
	struct bytes authorize, challenge;
	bool answered;       /* auth has said something */
	uint32_t outcome;    /* the answer: enum error_code or enum contest_outcome */
	uint64_t give_up_ms; /* contests: until then the closing holder is waited for; 0 */
	bool last_try;
	bool looked_up_again;
	struct place place;
	char account[ACCOUNT_NAME_MAX + 2];
};

/* A message on its way out. */
struct pop3_body_state {
	uint32_t number;
	bool known;   /* octets are */
	bool begun;   /* +OK was said */
	bool whole;   /* RETR, not TOP */
	bool in_text; /* behind the header */
	bool line_start;
	uint64_t lines; /* TOP: still to send */
	uint64_t octets;
	uint64_t offset; /* in stored form */
	struct wire_encoder encoder;
	struct wire_size size;
};

struct pop3_session {
	struct conn conn;
	struct pop3_server *engine;
	struct maildrop *maildrop;
	char *name; /* of the account; NULL before login */
	uint64_t account;
	enum pop3_doing doing;
	uint32_t first, count; /* TABLE */
	uint32_t retrieved, deleted;
	uint32_t messages;
	const uint8_t *marks; /* UPDATE: the engine's */
	uint32_t marked;
	struct pop3_task *task;
	struct pop3_login_state *login;
	struct pop3_body_state body;
	struct loop_timer *probe_timer;
	uint64_t probe_request, probe_until_ms; /* 0: not probed */
	bool announced;
};

/* ---- tasks (pop3_service.c) ---- */

/* Makes one with `room` octets behind the struct, for its fields to be set, then submits it: from
 * then on it is the thread's until it is settled. NULL and false: no memory, or too many jobs; then
 * there is no task. */
struct pop3_task *pop3_task_new(struct pop3_session *session, enum job_class class,
				loop_callback *work, size_t room);
bool pop3_task_submit(struct pop3_session *session);

/* Both, for one whose fields need no setting. */
bool pop3_task_begin(struct pop3_session *session, enum job_class class, loop_callback *work,
		     size_t room);
/* Ends a settled one. */
void pop3_task_end(struct pop3_session *session);

/* Moves the engine's output to the connection's; false when there is no room left. */
bool pop3_collect(struct pop3_session *session);

/* Logs what the store said, and tells whether the connection must be cut for it (CHANGED). */
bool pop3_store_failed(struct pop3_session *session, const char *what, enum store_result result,
		       const struct error *error);

void pop3_announce_closed(struct pop3_session *session);

/* ---- steps ---- */

enum conn_step pop3_login_begin(struct pop3_session *session, const struct pop3_event *event);
enum conn_step pop3_login_step(struct pop3_session *session);
void pop3_login_answered(struct pop3_session *session, const union message *answer);
void pop3_login_free(struct pop3_session *session);

enum conn_step pop3_table_step(struct pop3_session *session);
void pop3_body_begin(struct pop3_session *session, const struct pop3_event *event);
enum conn_step pop3_body_step(struct pop3_session *session);

enum conn_step pop3_update_begin(struct pop3_session *session, const struct pop3_event *event);
enum conn_step pop3_update_step(struct pop3_session *session);

#endif
