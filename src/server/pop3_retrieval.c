/*
 * pop3_retrieval: listings and messages on their way out.
 *
 * Both are asked of the store without waiting first, on the loop: what is in memory comes at once.
 * Only where the store would wait for the disk a job is made, in a big piece.
 *
 * Guarantees: the engine is told that a body is complete only when the store has checked it and the
 * octets sent are those that LIST said; on any doubt the connection is cut (POP3_CLOSE without the
 * final dot).
 * Must not know: how messages are stored; byte-stuffing (base/wire.h).
 */
#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "server/pop3_session.h"

/* ---- the table ---- */

enum looked { LOOKED_FOUND, LOOKED_WAIT, LOOKED_FAILED };

static void table_work(void *context)
{
	struct pop3_session *session = context;
	struct pop3_task *task = session->task;

	task->result = maildrop_table(session->maildrop, task->first, task->count, false,
				      (struct maildrop_entry *)(void *)task->octets, &task->error);
}

static enum looked table_failed(struct pop3_session *session, enum store_result result,
				const struct error *error)
{
	(void)pop3_store_failed(session, "table", result, error);
	return LOOKED_FAILED;
}

static void keep_block(struct pop3_session *session, uint32_t first, uint32_t count)
{
	struct table_block *block = &session->conn.worker->table;

	block->session = session->conn.number;
	block->first = first;
	block->count = count;
}

static enum looked table_task_over(struct pop3_session *session)
{
	struct pop3_task *task = session->task;
	struct error error = task->error;
	enum store_result result = task->result;

	if (result == STORE_OK) {
		memcpy(session->conn.worker->table.entries, task->octets,
		       task->count * sizeof(struct maildrop_entry));
		keep_block(session, task->first, task->count);
	}
	pop3_task_end(session);
	return result == STORE_OK ? LOOKED_FOUND : table_failed(session, result, &error);
}

/* Sees to it that the entries are in worker->table. */
static enum looked look_up(struct pop3_session *session, uint32_t first, uint32_t count)
{
	struct table_block *block = &session->conn.worker->table;
	struct error error = {0};
	enum store_result result;

	if (session->task)
		return table_task_over(session);
	if (block->session == session->conn.number && block->first <= first &&
	    first + count <= block->first + block->count)
		return LOOKED_FOUND;
	block->session = 0;
	result = maildrop_table(session->maildrop, first, count, true, block->entries, &error);
	if (result == STORE_OK) {
		keep_block(session, first, count);
		return LOOKED_FOUND;
	}
	if (result != STORE_AGAIN)
		return table_failed(session, result, &error);
	struct pop3_task *task =
		pop3_task_new(session, JOB_OPEN, table_work, count * sizeof(struct maildrop_entry));
	if (!task)
		return LOOKED_FAILED;
	task->first = first;
	task->count = count;
	if (!pop3_task_submit(session))
		return LOOKED_FAILED;
	return LOOKED_WAIT;
}

static const struct maildrop_entry *entry(const struct pop3_session *session, uint32_t number)
{
	const struct table_block *block = &session->conn.worker->table;

	return &block->entries[number - block->first];
}

enum conn_step pop3_table_step(struct pop3_session *session)
{
	struct pop3_entry entries[POP3_LISTING_BLOCK];
	enum looked looked = look_up(session, session->first, session->count);

	if (looked == LOOKED_WAIT)
		return STEP_WAIT;
	session->doing = DOING_NOTHING;
	if (looked == LOOKED_FAILED) {
		pop3_server_table(session->engine, NULL);
		return STEP_MORE;
	}
	for (uint32_t i = 0; i < session->count; i++) {
		const struct maildrop_entry *found = entry(session, session->first + i);

		entries[i].octets = found->octets;
		entries[i].uid = (struct bytes){found->uid, found->uid_length};
	}
	pop3_server_table(session->engine, entries);
	return STEP_MORE;
}

/* ---- a message ---- */

void pop3_body_begin(struct pop3_session *session, const struct pop3_event *event)
{
	struct pop3_body_state *body = &session->body;

	*body = (struct pop3_body_state){.number = event->number,
					 .lines = event->lines,
					 .whole = event->lines == POP3_ALL_LINES,
					 .line_start = true};
	wire_encoder_init(&body->encoder, true);
	session->doing = DOING_BODY;
}

/* Also looks at the messages behind it: they are likely to be asked for next. */
static enum conn_step find_octets(struct pop3_session *session)
{
	struct pop3_body_state *body = &session->body;
	const struct table_block *block = &session->conn.worker->table;
	uint32_t left = session->messages - body->number + 1;
	bool cached = block->session == session->conn.number && block->first <= body->number &&
		      body->number < block->first + block->count;
	uint32_t count = cached || left == 0         ? 1
			 : left < POP3_LISTING_BLOCK ? left
						     : POP3_LISTING_BLOCK;
	enum looked looked = look_up(session, body->number, count);

	if (looked == LOOKED_WAIT)
		return STEP_WAIT;
	if (looked == LOOKED_FOUND && !entry(session, body->number)->damaged) {
		body->octets = entry(session, body->number)->octets;
		body->known = true;
		return STEP_MORE;
	}
	session->doing = DOING_NOTHING;
	pop3_server_body(session->engine,
			 looked == LOOKED_FOUND ? POP3_BODY_DAMAGED : POP3_BODY_TEMPORARY, 0);
	return STEP_MORE;
}

static enum conn_step fail(struct pop3_session *session, enum store_result result,
			   const struct error *error)
{
	bool cut = pop3_store_failed(session, "retrieval", result, error);

	session->doing = DOING_NOTHING;
	if (cut)
		return STEP_CUT;
	if (session->body.begun)
		pop3_server_body_done(session->engine, false);
	else
		pop3_server_body(
			session->engine,
			error->code == ERROR_DATA ? POP3_BODY_DAMAGED : POP3_BODY_TEMPORARY, 0);
	return STEP_MORE;
}

static void read_work(void *context)
{
	struct pop3_session *session = context;
	struct pop3_task *task = session->task;

	task->result = maildrop_read(session->maildrop, session->body.number, session->body.offset,
				     false, task->octets, task->size, &task->length, &task->error);
}

static bool begin_read_task(struct pop3_session *session)
{
	const struct pop3_body_state *body = &session->body;
	uint64_t left = body->octets > body->offset ? body->octets - body->offset : 0;
	size_t size = left < STORE_READ_OCTETS ? (size_t)left : STORE_READ_OCTETS;

	return pop3_task_begin(session, JOB_READ, read_work, size < 4096 ? 4096 : size);
}

/* How much of a piece TOP still wants; *last_out says that this is the end of it. The empty line
 * behind the header belongs to the header (RFC 1939 section 7). */
static size_t top_length(struct pop3_body_state *body, struct bytes piece, bool *last_out)
{
	size_t at = 0;

	*last_out = body->in_text && body->lines == 0;
	while (at < piece.length && !*last_out) {
		const char *begin = piece.data + at;
		const char *feed = memchr(begin, '\n', piece.length - at);

		if (!feed) {
			body->line_start = false;
			return piece.length;
		}
		at = (size_t)(feed - piece.data) + 1;
		if (body->in_text)
			body->lines--;
		else if (body->line_start && feed == begin)
			body->in_text = true;
		body->line_start = true;
		*last_out = body->in_text && body->lines == 0;
	}
	return at;
}

static void put_encoded(struct pop3_session *session, struct bytes piece)
{
	struct buffer *output = &session->conn.worker->output;
	bool room = buffer_reserve(output, wire_encoded_max(piece.length));

	assert(room); /* send_piece() took no more than fits */
	wire_size_add(&session->body.size, piece);
	output->length += wire_encode(&session->body.encoder, piece, output->data + output->length);
}

static enum conn_step finish(struct pop3_session *session, bool checked)
{
	struct pop3_body_state *body = &session->body;
	char end[2];
	size_t length = wire_encode_end(&body->encoder, end);
	bool complete = !checked || wire_size_octets(&body->size) == body->octets;

	session->doing = DOING_NOTHING;
	if (!complete || !conn_put(&session->conn, (struct bytes){end, length})) {
		log_event(LOG_LEVEL_ERROR, "store",
			  "user=%s message=%u error=\"%llu octets where LIST said %llu\"",
			  session->name, body->number,
			  (unsigned long long)wire_size_octets(&body->size),
			  (unsigned long long)body->octets);
		complete = false;
	}
	if (complete && body->whole) {
		session->retrieved++;
		session->conn.worker->counters.messages_retrieved++;
	}
	pop3_server_body_done(session->engine, complete);
	return STEP_MORE;
}

/* A piece of the message, none at its end; puts +OK in front of the first. */
static enum conn_step send_piece(struct pop3_session *session, struct bytes piece)
{
	struct pop3_body_state *body = &session->body;
	bool last = false;

	if (!body->begun) {
		pop3_server_body(session->engine, POP3_BODY_FOLLOWS, body->octets);
		body->begun = true;
		(void)pop3_collect(session); /* room was kept for it */
	}
	if (piece.length == 0)
		return finish(session, true);
	body->offset += piece.length;
	put_encoded(session,
		    body->whole ? piece : bytes_first(piece, top_length(body, piece, &last)));
	return last ? finish(session, false) : STEP_MORE;
}

/* Hands on what a job has read, as far as there is room. */
static enum conn_step send_from_task(struct pop3_session *session, size_t room)
{
	struct pop3_task *task = session->task;
	struct bytes piece = {task->octets + task->used, task->length - task->used};
	enum conn_step step;

	if (task->result != STORE_OK) {
		struct error error = task->error;
		enum store_result result = task->result;

		pop3_task_end(session);
		return fail(session, result, &error);
	}
	piece = bytes_first(piece, room);
	task->used += piece.length;
	step = send_piece(session, piece);
	if (session->task && (task->used == task->length || session->doing != DOING_BODY))
		pop3_task_end(session);
	return step;
}

/* offset counts what was handed on; a job may have read beyond it, and then its rest comes first.
 */
enum conn_step pop3_body_step(struct pop3_session *session)
{
	struct worker *worker = session->conn.worker;
	struct error error = {0};
	size_t room = conn_room(&session->conn), length = 0;
	enum store_result result;

	if (!session->body.known)
		return find_octets(session);
	if (room < 2 * 4096 + 2 * POP3_REPLY_MAX)
		return STEP_FULL;
	room = (room - 2 * POP3_REPLY_MAX) / 2;
	if (session->task)
		return send_from_task(session, room);
	if (room > WORKER_STORED_OCTETS)
		room = WORKER_STORED_OCTETS;
	result = maildrop_read(session->maildrop, session->body.number, session->body.offset, true,
			       worker->stored, room, &length, &error);
	if (result == STORE_OK)
		return send_piece(session, (struct bytes){worker->stored, length});
	if (result == STORE_AGAIN && begin_read_task(session))
		return STEP_WAIT;
	return fail(session, result, &error);
}
