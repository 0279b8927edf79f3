/*
 * world_change: the steps that change a maildrop: delivering and removing. Each sets the model to
 * what may happen before the call, and to what was promised after it.
 */
#include <assert.h>
#include <string.h>

#include "store/convert.h"
#include "world.h"
#include "world_private.h"

/* NULL when the disk has failed it. */
static struct draft *make_draft(struct world *world, size_t message)
{
	struct bytes body = model_message(message)->body;
	struct draft *draft = draft_new(world->root.mail[0], 1024 * 1024);
	struct error error = {0};
	enum error_code code = ERROR_NONE;

	assert(draft != NULL);
	while (body.length > 0 && code == ERROR_NONE) {
		code = draft_write(draft, bytes_first(body, 1000), &error);
		body = bytes_skip(body, 1000);
	}
	if (code == ERROR_NONE)
		code = draft_seal(draft, &error);
	if (code == ERROR_NONE)
		return draft;
	world_allows(world, "drafting", code == ERROR_FULL ? STORE_FULL : STORE_IO, &error);
	draft_free(draft);
	return NULL;
}

static struct delivery_request request_of(const struct draft *draft, size_t message,
					  const char *uid)
{
	return (struct delivery_request){
		.draft = draft,
		.headers = model_message(message)->headers,
		.sender = BYTES("sender@example.com"),
		.uid = uid != NULL ? bytes_of(uid) : (struct bytes){NULL, 0},
		.received_unix_seconds = 1795312860,
	};
}

static void set(struct model_entry *entries, size_t count, enum presence now,
		enum presence after_cut)
{
	for (size_t i = 0; i < count; i++) {
		entries[i].now = now;
		entries[i].after_cut = after_cut;
	}
}

/* Prepares messages whose entries stand in a row. NULL: failed, and nothing of it may be seen. */
static struct delivery *prepare(struct world *world, size_t drop,
				const struct delivery_request *requests,
				struct model_entry *entries, size_t count)
{
	struct place place = world_place(world, drop);
	struct delivery *delivery = NULL;
	struct error error = {0};
	enum store_result result =
		delivery_prepare(&world->root, &place, requests, count, &delivery, &error);

	if (!world_allows(world, "preparing", result, &error)) {
		/* Under a fault, taking back may itself be what has failed. */
		set(entries, count, world_has_failed(world) ? MAYBE : ABSENT, MAYBE);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		struct bytes uid = delivery_uid(delivery, i);

		if (requests[i].uid.length > 0 && !bytes_equal(uid, requests[i].uid))
			world_problem(world, "the unique-id brought along was not taken");
		if (!bytes_to_string(uid, entries[i].uid, sizeof(entries[i].uid)))
			world_problem(world, "the unique-id is too long");
	}
	return delivery;
}

static void finish(struct world *world, struct delivery *delivery, bool commit,
		   struct model_entry *entries, size_t count)
{
	struct error error = {0};
	enum store_result result = delivery_finish(delivery, commit, &error);

	if (!world_allows(world, "finishing", result, &error))
		set(entries, count, MAYBE, MAYBE);
	else if (commit)
		set(entries, count, PRESENT, PRESENT);
	else
		set(entries, count, ABSENT, MAYBE);
	explorer_checkpoint(world->explorer);
}

/* `between` happens between prepare and finish. */
static void deliver(struct world *world, size_t drop, size_t message, const char *uid, bool commit,
		    world_step *between)
{
	struct draft *draft = make_draft(world, message);

	if (draft == NULL)
		return;
	struct delivery_request request = request_of(draft, message, uid);
	struct model_entry *entry = model_add(&world->model, drop, message);

	entry->brought = uid != NULL;
	if (entry->brought)
		memcpy(entry->uid, uid, strlen(uid) + 1);
	struct delivery *delivery = prepare(world, drop, &request, entry, 1);

	if (delivery != NULL && between != NULL)
		between(world);
	if (delivery != NULL)
		finish(world, delivery, commit, entry, 1);
	draft_free(draft);
}

void world_deliver(struct world *world, size_t drop, size_t message, const char *uid)
{
	world_operation(world, uid != NULL ? "import" : "deliver");
	deliver(world, drop, message, uid, true, NULL);
}

void world_abort(struct world *world, size_t drop, size_t message)
{
	world_operation(world, "abort");
	deliver(world, drop, message, NULL, false, NULL);
}

void world_abort_with(struct world *world, size_t drop, size_t message, world_step *between)
{
	world_operation(world, "abort");
	deliver(world, drop, message, NULL, false, between);
}

void world_deliver_to_both(struct world *world, size_t message)
{
	struct delivery *deliveries[2];
	struct model_entry *entries[2];

	world_operation(world, "deliver");
	struct draft *draft = make_draft(world, message);

	if (draft == NULL)
		return;
	for (size_t drop = 0; drop < 2; drop++) {
		struct delivery_request request = request_of(draft, message, NULL);

		entries[drop] = model_add(&world->model, drop, message);
		deliveries[drop] = prepare(world, drop, &request, entries[drop], 1);
	}
	bool commit = deliveries[0] != NULL && deliveries[1] != NULL;

	for (size_t drop = 0; drop < 2; drop++)
		if (deliveries[drop] != NULL)
			finish(world, deliveries[drop], commit, entries[drop], 1);
	draft_free(draft);
}

void world_import(struct world *world, size_t drop, size_t first, size_t count)
{
	static const char *uids[] = {"brought.1", "BROUGHT.1", "!brought-from~elsewhere"};
	struct delivery_request requests[3];
	struct draft *drafts[3] = {NULL};
	struct model_entry *entries = NULL;
	size_t made = 0;

	assert(count <= 3);
	world_operation(world, "import");
	world->batch = world->batch || count > 1;
	for (; made < count; made++) {
		drafts[made] = make_draft(world, first + made);
		if (drafts[made] == NULL)
			break;
		requests[made] = request_of(drafts[made], first + made, uids[made]);
	}
	for (size_t i = 0; made == count && i < count; i++) {
		struct model_entry *entry = model_add(&world->model, drop, first + i);

		memcpy(entry->uid, uids[i], strlen(uids[i]) + 1);
		entry->brought = true;
		entries = i == 0 ? entry : entries;
	}
	struct delivery *delivery =
		made == count ? prepare(world, drop, requests, entries, count) : NULL;

	if (delivery != NULL)
		finish(world, delivery, true, entries, count);
	for (size_t i = 0; i < count; i++)
		draft_free(drafts[i]);
}

void world_repair(struct world *world, size_t drop)
{
	struct place place = world_place(world, drop);
	struct findings findings;
	struct error error = {0};

	world_operation(world, "repair");
	enum store_result result = store_repair(&world->root, &place, &findings, &error);

	if (world_allows(world, "repairing", result, &error))
		world->disorder = false;
	findings_free(&findings);
	explorer_checkpoint(world->explorer);
}

static enum store_result commit_move(void *context, struct error *error)
{
	struct world *world = context;

	(void)error;
	world->moved = true;
	return STORE_OK;
}

void world_convert(struct world *world)
{
	struct conversion conversion = {
		.from = world_place(world, 0), .commit = commit_move, .context = world};
	struct error error = {0};

	conversion.to = conversion.from;
	memcpy(conversion.to.path, "moved/alice", sizeof("moved/alice"));
	world_operation(world, "convert");
	world->converting = true;
	enum store_result result = store_convert(&world->root, &conversion, &error);

	if (world_allows(world, "converting", result, &error) && !world->moved)
		world_problem(world, "a conversion succeeded without its commit");
	if (result == STORE_OK && !conversion.old_left)
		world->converting = false;
	else if (result == STORE_OK && !world_has_failed(world) && !world->full)
		world_problem(world, "the old maildrop stays behind");
	explorer_checkpoint(world->explorer);
}

void world_resume(struct world *world)
{
	struct place place = world_place(world, 0);
	struct error error = {0};
	bool resumed;

	world_operation(world, "resume");
	enum store_result result = store_convert_resume(&world->root, &place, &resumed, &error);

	if (world_allows(world, "resuming", result, &error))
		world->converting = false;
	explorer_checkpoint(world->explorer);
}

static void bring_again(struct world *world, size_t drop, struct model_entry *entry)
{
	struct place place = world_place(world, drop);
	struct draft *draft = make_draft(world, entry->message);
	struct delivery *delivery = NULL;
	struct error error = {0};

	if (draft == NULL)
		return;
	if (entry->now == ABSENT) {
		entry = model_move_to_end(&world->model.drops[drop], entry);
		set(entry, 1, MAYBE, MAYBE);
	}
	struct delivery_request request = request_of(draft, entry->message, entry->uid);
	enum store_result result =
		delivery_prepare(&world->root, &place, &request, 1, &delivery, &error);

	if (result == STORE_EXISTS) {
		set(entry, 1, PRESENT, PRESENT);
	} else if (world_allows(world, "bringing again", result, &error)) {
		finish(world, delivery, true, entry, 1);
	}
	draft_free(draft);
}

void world_bring_again(struct world *world, size_t drop)
{
	struct model_drop *model = &world->model.drops[drop];

	for (size_t i = model->count; i-- > 0;)
		if (model->entries[i].brought && model->entries[i].after_cut == MAYBE) {
			world_operation(world, "import");
			bring_again(world, drop, &model->entries[i]);
		}
}

void world_update(struct world *world, size_t drop, struct session *session, unsigned deleted)
{
	uint8_t bits[2] = {(uint8_t)deleted, (uint8_t)(deleted >> 8)};
	struct model_drop *model = &world->model.drops[drop];
	struct error error = {0};

	if (session->maildrop == NULL)
		return;
	world_operation(world, "update");
	for (uint32_t i = 0; i < session->messages; i++)
		if ((deleted >> i & 1) != 0)
			set(&model->entries[session->entries[i]], 1, MAYBE, MAYBE);
	enum store_result result = maildrop_update(session->maildrop, bits, &error);
	enum presence left = world_allows(world, "updating", result, &error) ? ABSENT : MAYBE;

	for (uint32_t i = 0; i < session->messages; i++)
		if ((deleted >> i & 1) != 0)
			set(&model->entries[session->entries[i]], 1, left, left);
	explorer_checkpoint(world->explorer);
	world_close(session);
}
