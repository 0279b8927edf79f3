/*
 * pop3_update: the UPDATE state.
 *
 * Guarantees: the engine hears `stable` only when the store said so; the maildrop is closed before
 * the peer can read the +OK, so that its next login finds it free. What the thread changes is in
 * the task alone until the step takes it over: the loop looks at the session meanwhile (announce).
 */
#include "base/log.h"
#include "server/pop3_session.h"

static void update_work(void *context)
{
	struct pop3_session *session = context;
	struct pop3_task *task = session->task;

	task->result = maildrop_update(task->maildrop, task->marks, &task->error);
	if (task->result != STORE_OK)
		return;
	maildrop_close(task->maildrop);
	task->maildrop = NULL;
}

static enum conn_step finish(struct pop3_session *session, bool stable)
{
	session->doing = DOING_NOTHING;
	maildrop_close(session->maildrop);
	session->maildrop = NULL;
	pop3_announce_closed(session);
	if (stable) {
		session->deleted = session->marked;
		session->conn.worker->counters.messages_deleted += session->marked;
	}
	pop3_server_updated(session->engine, stable);
	return STEP_MORE;
}

enum conn_step pop3_update_begin(struct pop3_session *session, const struct pop3_event *event)
{
	session->marks = event->deleted;
	session->marked = event->deleted_count;
	if (!event->deleted)
		return finish(session, true);
	session->doing = DOING_UPDATE;
	struct pop3_task *task = pop3_task_new(session, JOB_CHANGE, update_work, 0);
	if (!task)
		return finish(session, false);
	task->maildrop = session->maildrop;
	task->marks = session->marks;
	return pop3_task_submit(session) ? STEP_WAIT : finish(session, false);
}

enum conn_step pop3_update_step(struct pop3_session *session)
{
	bool stable = session->task->result == STORE_OK;

	session->maildrop = session->task->maildrop;
	session->task->maildrop = NULL;
	if (!stable)
		(void)pop3_store_failed(session, "update", session->task->result,
					&session->task->error);
	pop3_task_end(session);
	return finish(session, stable);
}
