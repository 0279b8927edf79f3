/*
 * world: the steps that only look: starting, sessions, verifying, recovering.
 */
#include "world.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "world_private.h"

void world_problem(struct world *world, const char *format, ...)
{
	va_list arguments;

	if (world->problem[0] != '\0')
		return;
	va_start(arguments, format);
	vsnprintf(world->problem, sizeof(world->problem), format, arguments);
	va_end(arguments);
}

struct place world_place(const struct world *world, size_t drop)
{
	static const char *paths[MODEL_DROPS_MAX] = {"example.org/alice", "example.net/bob"};
	struct place place = {
		.account = drop == 0 ? 7 : 9, .generation = 1, .kind = world->kind->kind};

	memcpy(place.path, paths[drop], strlen(paths[drop]) + 1);
	if (drop == 0 && world->moved) {
		memcpy(place.path, "moved/alice", sizeof("moved/alice"));
		place.generation = 2;
	}
	return place;
}

bool world_has_failed(const struct world *world)
{
	return world->explorer != NULL && world->explorer->fault.fired;
}

bool world_allows(struct world *world, const char *what, enum store_result result,
		  const struct error *error)
{
	static const char *names[] = {"OK",   "AGAIN",  "LOCKED",  "CHANGED",
				      "FULL", "EXISTS", "UNKNOWN", "IO"};
	enum table_column column =
		world_has_failed(world) ? world->explorer->fault.column : COLUMN_KILL;
	bool room = column == COLUMN_ENOSPC || column == COLUMN_EDQUOT || world->full;

	if (result == STORE_OK)
		return true;
	if (error->code == ERROR_NONE || error->text[0] == '\0')
		world_problem(world, "%s failed without saying why", what);
	if (!(result == STORE_FULL && room) && !(result == STORE_IO && column == COLUMN_EIO))
		world_problem(world, "%s answered %s: %.200s", what, names[result], error->text);
	return false;
}

static struct file *open_folder(struct world *world, const char *name)
{
	struct file *folder = NULL;

	if (file_open(sim_disk_top(world->disk), name, FILE_DIRECTORY | FILE_CREATE, &folder) != 0)
		abort();
	return folder;
}

static uint64_t clock_ms; /* of the world that runs now */

static uint64_t read_clock(void)
{
	return clock_ms;
}

void world_operation(struct world *world, const char *name)
{
	clock_ms = ++world->now_ms;
	sim_disk_advance(world->disk, world->kind->tick_ns);
	if (world->kind->settles) {
		sim_disk_settle_folder(world->disk, "locks");
		sim_disk_settle_folder(world->disk, "index");
		sim_disk_forget_removed(world->disk);
	}
	explorer_operation(world->explorer, name);
}

/* A hook would count the folders as calls of the store. */
void world_start(struct world *world, struct sim_disk *disk)
{
	struct error error = {0};

	if (world->now_ms == 0)
		world->now_ms = 1795312860500;
	world->outer_ms = clock_ms;
	clock_ms = world->now_ms;
	clock_set_for_tests(read_clock);
	world->disk = disk;
	world->root = (struct store_root){
		.disk = sim_disk_base(disk),
		.mail = {open_folder(world, "mail")},
		.index = open_folder(world, "index"),
		.journal = open_folder(world, "journal"),
		.uids = open_folder(world, "uids"),
		.locks = open_folder(world, "locks"),
	};
	if (world->explorer != NULL)
		explorer_attach(world->explorer, disk);
	if (!world->reserve)
		return;
	world_operation(world, "start");
	enum store_result result = store_make_reserve(&world->root, &error);

	world_allows(world, "the reserve", result, &error);
}

void world_stop(struct world *world)
{
	explorer_detach(world->explorer);
	store_free_reserve(&world->root);
	file_close(world->root.mail[0]);
	file_close(world->root.index);
	file_close(world->root.journal);
	file_close(world->root.uids);
	file_close(world->root.locks);
	if (sim_disk_handles(world->disk) > 0)
		world_problem(world, "%zu handles were left open", sim_disk_handles(world->disk));
	sim_disk_end_process(world->disk);
	clock_ms = world->outer_ms;
}

/* ---- sessions ---- */

static bool read_message(struct world *world, struct maildrop *maildrop, uint32_t number, char *out,
			 size_t room, size_t *length_out)
{
	size_t at = 0, length = 1;

	while (length > 0) {
		char piece[4096];
		struct error error = {0};
		enum store_result result = maildrop_read(maildrop, number, at, false, piece,
							 sizeof(piece), &length, &error);

		if (!world_allows(world, "reading", result, &error))
			return false;
		if (at + length > room) {
			world_problem(world, "message %u is too long", number);
			return false;
		}
		memcpy(out + at, piece, length);
		at += length;
	}
	*length_out = at;
	return true;
}

static bool see_message(struct world *world, struct model_drop *drop, struct session *session,
			uint32_t number, uint64_t *octets)
{
	static char content[32768];
	struct maildrop_entry listed;
	struct model_entry *entry;
	struct error error = {0};
	size_t length;
	enum store_result result =
		maildrop_table(session->maildrop, number, 1, false, &listed, &error);

	if (!world_allows(world, "listing", result, &error))
		return false;
	if (listed.damaged &&
	    !(world_has_failed(world) && world->explorer->fault.column == COLUMN_EIO))
		world_problem(world, "message %u is damaged", number);
	if (listed.damaged)
		return false;
	if (!read_message(world, session->maildrop, number, content, sizeof(content), &length))
		return false;
	const char *problem =
		model_see(drop, (struct bytes){content, length}, listed.octets, listed.uid, &entry);

	if (problem != NULL)
		world_problem(world, "message %u (uid %.40s, %zu octets): %s", number, listed.uid,
			      length, problem);
	else if (number <= MODEL_ENTRIES_MAX)
		session->entries[number - 1] = (size_t)(entry - drop->entries);
	*octets += listed.octets;
	return problem == NULL;
}

static bool see_all(struct world *world, size_t drop, struct session *session)
{
	struct maildrop_summary summary = maildrop_summary(session->maildrop);
	struct model_drop *model = &world->model.drops[drop];
	uint64_t octets = 0;

	session->messages = summary.messages;
	model_begin(model);
	for (uint32_t number = 1; number <= summary.messages; number++)
		if (!see_message(world, model, session, number, &octets))
			return false;
	const char *problem = model_end(model, world->started);

	if (problem != NULL)
		world_problem(world, "of %u messages: %s", summary.messages, problem);
	if (octets != summary.octets)
		world_problem(world, "the sum of octets is wrong");
	return problem == NULL;
}

void world_open(struct world *world, size_t drop, struct session *session_out)
{
	struct place place = world_place(world, drop);
	struct error error = {0};
	struct maildrop *second = NULL;

	*session_out = (struct session){0};
	world_operation(world, "open");
	enum store_result result =
		maildrop_open(&world->root, &place, STORE_SESSION, &session_out->maildrop, &error);

	if (result == STORE_FULL && !world_has_failed(world))
		world_problem(world, "on a full disk nobody can log in: %.200s", error.text);
	if (!world_allows(world, "opening", result, &error)) {
		session_out->maildrop = NULL;
		return;
	}
	if (!see_all(world, drop, session_out)) {
		world_close(session_out);
		return;
	}
	result = maildrop_open(&world->root, &place, STORE_SESSION, &second, &error);
	if (result != STORE_LOCKED && world_allows(world, "a second session", result, &error))
		world_problem(world, "a second session is let in");
}

void world_close(struct session *session)
{
	maildrop_close(session->maildrop);
	session->maildrop = NULL;
}

void world_look(struct world *world, size_t drop)
{
	struct session session;

	world_open(world, drop, &session);
	world_close(&session);
}

/* ---- after a crash ---- */

void world_verify(struct world *world, size_t drop)
{
	struct place place = world_place(world, drop);
	struct findings findings;
	struct error error = {0};

	world_operation(world, "verify");
	enum store_result result = store_verify(&world->root, &place, &findings, &error);

	if (world_allows(world, "verifying", result, &error) && !world_has_failed(world))
		for (size_t i = 0; i < findings.count; i++)
			if (!world->kind->tolerates(world, &findings.list[i]))
				world_problem(world, "verify: %s at %llu: %s",
					      findings.list[i].file,
					      (unsigned long long)findings.list[i].offset,
					      findings.list[i].text);
	findings_free(&findings);
}

static uint64_t digest(struct world *world, size_t drop)
{
	explorer_pause(world->explorer);
	uint64_t sum = world->kind->digest(world, drop);

	explorer_resume(world->explorer);
	return sum;
}

static void recover_drop(struct world *world, size_t drop, size_t fresh)
{
	uint64_t before = digest(world, drop);

	world_look(world, drop);
	if (!world_has_failed(world) && !world->full && digest(world, drop) != before)
		world_problem(world, "a second recovery changes the maildrop again");
	world_verify(world, drop);
	world_bring_again(world, drop);
	world_deliver(world, drop, fresh, NULL);
	world_look(world, drop);
	world_verify(world, drop);
}

/* Only what the first look finds was on stable storage before. */
void world_recover(struct world *world)
{
	size_t fresh = MODEL_FRESH + world->level++;

	for (size_t drop = 0; drop < world->model.drops_count; drop++)
		world_look(world, drop);
	world->started = false;
	for (size_t drop = 0; drop < world->model.drops_count; drop++)
		recover_drop(world, drop, fresh);
	if (!world->converting)
		return;
	world_resume(world);
	world_look(world, 0);
	world_verify(world, 0);
}
