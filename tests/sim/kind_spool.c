/*
 * kind_spool: a spool in the simulation: its files, and what only it has: other programs that
 * append whole and torn records between a cut and the recovery and amid a session, that rewrite
 * messages, hold locks, and replace the file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kind_spool.h"
#include "scenarios_before.h"
#include "spool_others.h"
#include "world_private.h"

static const char *role(const char *path, bool directory, bool unnamed)
{
	const char *common = world_common_role(path, directory, unnamed);
	const char *dot = strrchr(path, '.');

	if (common != NULL)
		return common;
	if (strncmp(path, "journal/", 8) == 0)
		return dot != NULL && strcmp(dot, ".append") == 0 ? "append" : "journal";
	if (strncmp(path, "uids/", 5) == 0)
		return dot != NULL && strcmp(dot, ".new") == 0 ? "temporary" : "uids";
	return dot != NULL && strcmp(dot, ".lock") == 0 ? "dotlock" : "spool";
}

/* No journal may ever be set aside, unless another program has replaced the file. */
static bool tolerates(const struct world *world, const struct finding *finding)
{
	bool aside = strncmp(finding->file, "journal/aside.", 14) == 0;

	return (aside && strstr(finding->file, ".redo") == NULL &&
		strstr(finding->file, ".append") == NULL) ||
	       (world->disorder && strstr(finding->text, "not closed by a blank line") != NULL) ||
	       (world->disorder && strstr(finding->text, "no blank line before") != NULL) ||
	       (world->disorder && strstr(finding->text, "octets before the first") != NULL) ||
	       ((world->batch || world->killed) &&
		strstr(finding->text, "fail their check") != NULL);
}

static uint64_t digest(const struct world *world, size_t drop)
{
	struct place place = world_place(world, drop);
	char path[MAILDROP_PATH_MAX + 8];

	snprintf(path, sizeof(path), "mail/%s", place.path);
	return sim_disk_file_digest(world->disk, path);
}

/* ---- what was there before ---- */

/* Enough to keep that the journal needs several pieces; not what others bring. */
static void before_mixed(struct world *world)
{
	static const size_t numbers[] = {0, 9, 1, 4, 10};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		world_deliver(world, 0, numbers[i], NULL);
}

static void before_torn(struct world *world)
{
	before_one_message(world);
	others_append_torn(world);
}

static void before_garbage(struct world *world)
{
	struct bytes text = BYTES("this is no mailbox\n\nnor this From x\n");

	before_nothing(world);
	world_deliver(world, 0, 0, NULL); /* makes the folders */
	world->model.drops[0].count = 0;
	others_write(world, SPOOL, text);
	world_deliver(world, 0, 1, NULL);
	others_append(world);
	world->disorder = true;
}

static void before_uids(struct world *world)
{
	world_import(world, 0, 0, 3);
	world_deliver(world, 0, 3, NULL);
}

/* A dotlock that a process of ours has left when it was killed. */
static void leave_dotlock(struct world *world, const char *text)
{
	others_write(world, SPOOL ".lock", bytes_of(text));
}

static void before_own_dotlock(struct world *world)
{
	before_one_message(world);
	leave_dotlock(world, "1 postern 7\n"); /* process 1 lives, but it is not ours */
}

static void before_stale_dotlock(struct world *world)
{
	before_one_message(world);
	leave_dotlock(world, "2147483646\n");
}

static void before_append_left(struct world *world)
{
	struct before_power power = {.call = SIM_WRITE, .role = "spool"};

	before_four_messages(world);
	before_power_fails(world, &power);
	world_deliver(world, 0, 8, NULL);
	before_power_went(world);
	struct model_entry *entry = &world->model.drops[0].entries[4];

	entry->now = entry->after_cut = MAYBE;
}

static void before_removal_left(struct world *world)
{
	struct before_power power = {.call = SIM_WRITE, .role = "spool", .more = 1};
	struct session session;

	before_mixed(world);
	world_open(world, 0, &session);
	before_power_fails(world, &power);
	world_update(world, 0, &session, 0x09);
	before_power_went(world);
}

/* ---- what is explored ---- */

static void amid_a_session(struct world *world)
{
	struct session session;

	world_open(world, 0, &session);
	others_append(world);
	world_update(world, 0, &session, 0x05);
	scenario_look(world);
}

static void torn_amid_a_session(struct world *world)
{
	struct session session;

	world_open(world, 0, &session);
	others_append_torn(world);
	world_update(world, 0, &session, 0x03);
	world_deliver(world, 0, 6, NULL);
	scenario_look(world);
}

static void expect(struct world *world, const char *what, enum store_result result,
		   enum store_result expected, const struct error *error)
{
	if (result == STORE_OK ? expected == STORE_OK : world_has_failed(world))
		return;
	if (result != expected)
		world_problem(world, "%s answered %d: %.200s", what, result, error->text);
	else if (error->code == ERROR_NONE || error->text[0] == '\0')
		world_problem(world, "%s failed without saying why", what);
}

/* The session's file is not what it was: nothing is removed. */
static void update_is_refused(struct world *world, struct session *session)
{
	const uint8_t deleted[2] = {0x01, 0};
	struct error error = {0};

	if (session->maildrop == NULL)
		return;
	world_operation(world, "update");
	enum store_result result = maildrop_update(session->maildrop, deleted, &error);

	if (result == STORE_OK)
		world_problem(world, "an update of another file is not refused");
	expect(world, "updating", result, STORE_CHANGED, &error);
	world_close(session);
}

void spool_flagged_amid_a_session(struct world *world)
{
	struct session session;

	world_open(world, 0, &session);
	others_flag(world);
	update_is_refused(world, &session);
}

void spool_altered_amid_a_session(struct world *world)
{
	struct session session;

	world_open(world, 0, &session);
	others_alter(world);
	others_append(world);
	update_is_refused(world, &session);
}

static void replaced_amid_a_session(struct world *world)
{
	struct session session;

	world_open(world, 0, &session);
	others_replace(world);
	update_is_refused(world, &session);
	scenario_look(world);
}

/* The unique-ids of the other messages are the same; of the flagged one, too, but its octets are
 * not, so the model does not know it. */
void spool_see_flagged(struct world *world)
{
	struct place place = world_place(world, 0);
	struct maildrop_entry before, after;
	struct maildrop *maildrop = NULL;
	struct error error = {0};
	struct session session;

	world_open(world, 0, &session);
	if (session.maildrop == NULL)
		return;
	expect(world, "listing", maildrop_table(session.maildrop, 1, 1, false, &before, &error),
	       STORE_OK, &error);
	world_close(&session);
	others_flag(world);
	world_operation(world, "open");
	enum store_result result =
		maildrop_open(&world->root, &place, STORE_SESSION, &maildrop, &error);

	expect(world, "opening", result, STORE_OK, &error);
	if (result == STORE_OK) {
		result = maildrop_table(maildrop, 1, 1, false, &after, &error);
		if (result == STORE_OK && strcmp(before.uid, after.uid) != 0)
			world_problem(world, "a mail reader's mark changes the unique-id");
		if (result == STORE_OK && after.octets <= before.octets)
			world_problem(world, "the marked message has its old octets");
	}
	maildrop_close(maildrop);
}

/* The first message's unique-id, without the clock going on. */
static struct maildrop_entry first_entry(struct world *world)
{
	struct place place = world_place(world, 0);
	struct maildrop_entry entry = {.octets = 0};
	struct maildrop *maildrop = NULL;
	struct error error = {0};
	enum store_result result =
		maildrop_open(&world->root, &place, STORE_SESSION, &maildrop, &error);

	if (result == STORE_OK)
		result = maildrop_table(maildrop, 1, 1, false, &entry, &error);
	expect(world, "listing", result, STORE_OK, &error);
	maildrop_close(maildrop);
	return entry;
}

/* The index was written when the file was just changed: equal times prove nothing. */
void spool_see_altered(struct world *world)
{
	struct maildrop_entry before = first_entry(world);

	others_alter(world);
	if (strcmp(before.uid, first_entry(world).uid) == 0)
		world_problem(world, "another message has the old one's unique-id");
}

/* Another program has a lock: nobody waits, nothing is changed, and its lock stays its own. */
static void refused_while_locked(struct world *world)
{
	struct place place = world_place(world, 0);
	struct maildrop *maildrop = NULL;
	struct error error = {0};

	world_operation(world, "open");
	uint64_t before = world->kind->digest(world, 0);
	enum store_result result =
		maildrop_open(&world->root, &place, STORE_SESSION, &maildrop, &error);

	if (result == STORE_OK)
		world_problem(world, "another program's lock does not count");
	expect(world, "opening", result, STORE_AGAIN, &error);
	maildrop_close(maildrop);
	if (world->kind->digest(world, 0) != before)
		world_problem(world, "the spool was changed under another program's lock");
}

static void kernel_lock_held(struct world *world)
{
	others_append(world);
	explorer_pause(world->explorer);
	struct file *file = NULL;

	if (file_open(sim_disk_top(world->disk), SPOOL, FILE_WRITE, &file) != 0 ||
	    file_lock(file) != 0)
		abort();
	explorer_resume(world->explorer);
	refused_while_locked(world);
	explorer_pause(world->explorer);
	file_close(file);
	explorer_resume(world->explorer);
	scenario_look(world);
}

void spool_dotlock_held(struct world *world)
{
	char text[32];

	others_append(world);
	explorer_pause(world->explorer);
	snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	leave_dotlock(world, text);
	explorer_resume(world->explorer);
	refused_while_locked(world);
	explorer_pause(world->explorer);
	if (file_unlink(sim_disk_top(world->disk), SPOOL ".lock") != 0)
		world_problem(world, "another program's dotlock is gone");
	explorer_resume(world->explorer);
	scenario_look(world);
}

/* Another program puts another file in the spool's place between our opening and our locking. */
struct replacing {
	struct world *world;
	world_step *replace;
};

static int replace_at_lock(void *context, struct sim_disk *disk,
			   const struct sim_operation *operation)
{
	struct replacing *replacing = context;

	if (operation->call != SIM_LOCK || strcmp(operation->path, SPOOL) != 0)
		return SIM_PASS;
	sim_disk_set_hook(disk, NULL, NULL);
	replacing->replace(replacing->world);
	return SIM_PASS;
}

void spool_replaced_while_locked(struct world *world)
{
	static world_step *const steps[] = {others_replace, others_move_away};

	for (size_t i = 0; i < 2; i++) {
		struct replacing replacing = {world, steps[i]};

		world_deliver(world, 0, 6 + i, NULL); /* so that there is something to read */
		sim_disk_set_hook(world->disk, replace_at_lock, &replacing);
		refused_while_locked(world);
		scenario_look(world);
	}
}

/* A program that ignores all locks appends between prepare and an abort. */
static void abort_with_others(struct world *world)
{
	world_abort_with(world, 0, 6, others_append);
	scenario_look(world);
	world_deliver(world, 0, 7, NULL);
}

static void update_uids(struct world *world)
{
	scenario_update(world, 0x05);
	world_deliver(world, 0, 6, "another");
	scenario_update(world, 0xFF);
}

static void repair(struct world *world)
{
	world_repair(world, 0);
	scenario_look_and_deliver(world);
}

static void update_once(struct world *world)
{
	scenario_update(world, 0x05);
}

static const struct scenario own_scenarios[] = {
	{"others-deliver", 1, 0, before_one_message, scenario_deliver_three, others_append},
	{"others-deliver-torn", 1, 0, before_one_message, scenario_deliver_three,
	 others_append_torn},
	{"others-unseparated", 1, 0, before_one_message, scenario_deliver_three,
	 others_append_unseparated},
	{"others-first", 1, 0, before_nothing, scenario_deliver_three, others_append},
	{"others-update", 1, SCENARIO_RESERVE, before_mixed, update_once, others_append},
	{"others-update-torn", 1, SCENARIO_RESERVE, before_same_size, update_once,
	 others_append_torn},
	{"append-left", 1, SCENARIO_REBOOT, before_append_left, scenario_look_and_deliver,
	 others_append},
	{"removal-left", 1, SCENARIO_REBOOT, before_removal_left, scenario_look_and_deliver,
	 others_append},
	{"amid-session", 1, 0, before_four_messages, amid_a_session, NULL},
	{"amid-session-torn", 1, 0, before_one_message, torn_amid_a_session, NULL},
	{"torn", 1, 0, before_torn, scenario_look_and_deliver, NULL},
	{"garbage", 1, 0, before_garbage, update_once, NULL},
	{"uids-update", 1, 0, before_uids, update_uids, NULL},
	{"own-dotlock", 1, 0, before_own_dotlock, scenario_deliver_three, NULL},
	{"stale-dotlock", 1, 0, before_stale_dotlock, scenario_deliver_three, NULL},
	{"amid-session-replaced", 1, 0, before_four_messages, replaced_amid_a_session, NULL},
	{"locked", 1, 0, before_one_message, kernel_lock_held, NULL},
	{"abort-others", 1, 0, before_one_message, abort_with_others, NULL},
	{"repair", 1, 0, before_garbage, repair, NULL},
	{"convert", 1, 0, before_four_messages, scenario_convert, NULL},
	{"convert-uids", 1, 0, before_uids, scenario_convert, NULL},
	{"convert-full", 1, SCENARIO_RESERVE, before_four_messages, scenario_convert_full, NULL},
	{"repair-torn", 1, 0, before_torn, repair, NULL},
};

const struct world_kind world_spool = {
	.kind = STORE_SPOOL,
	.reserve = true,
	.thin = 4,
	.settles = true,
	.tick_ns = 7000001,
	.role = role,
	.tolerates = tolerates,
	.digest = digest,
	.scenarios = own_scenarios,
	.scenarios_count = sizeof(own_scenarios) / sizeof(own_scenarios[0]),
};
