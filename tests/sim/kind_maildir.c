/*
 * kind_maildir: a Maildir in the simulation: its files, and the scenarios that only it has: other
 * programs that deliver to it, keep flags in its names and delete, before a recovery and amid a
 * session; unique-ids in a file of their own; repair.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "store/uids.h"

#include "scenarios_before.h"
#include "sim_inode.h"
#include "world_private.h"

#define MAILDIR "mail/example.org/alice/"
#define FOREIGN 11 /* the number of the message that another program delivers */

static const char *role(const char *path, bool directory, bool unnamed)
{
	const char *common = world_common_role(path, directory, unnamed);

	if (common != NULL)
		return common;
	if (strncmp(path, "uids/", 5) == 0)
		return strstr(path, ".new") != NULL ? "temporary" : "uids";
	return strstr(path, "/tmp/") != NULL ? "tmp" : "message";
}

/* What was set aside is for a person to look at. What a cut has left behind the last sound line of
 * the unique-ids is cut by the next import. Of several unique-ids that were written at once a
 * later line may have reached the disk and an earlier one not; and a failed sync may have lost one
 * that was taken back. */
static bool tolerates(const struct world *world, const struct finding *finding)
{
	return strncmp(finding->file, "journal/aside.", 14) == 0 ||
	       strstr(finding->text, "next import cuts it") != NULL ||
	       (world->disorder && (strstr(finding->text, "is there twice") != NULL ||
				    strstr(finding->text, "is no file") != NULL ||
				    strstr(finding->text, "cannot be read") != NULL)) ||
	       ((world->batch || world->killed) && strstr(finding->text, "cannot be read") != NULL);
}

struct digesting {
	const struct world *world;
	char folder[MAILDROP_PATH_MAX + 16];
	uint64_t sum;
};

static bool digest_name(void *context, const char *name)
{
	struct digesting *digesting = context;
	char path[2 * MAILDROP_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", digesting->folder, name);
	digesting->sum += sim_mix(sim_hash(1, path, strlen(path)),
				  sim_disk_file_digest(digesting->world->disk, path));
	return true;
}

static uint64_t digest(const struct world *world, size_t drop)
{
	static const char *const folders[] = {"tmp", "new", "cur"};
	struct place place = world_place(world, drop);
	struct digesting digesting = {.world = world};

	for (size_t i = 0; i < 3; i++) {
		struct file *folder;

		snprintf(digesting.folder, sizeof(digesting.folder), "mail/%s/%s", place.path,
			 folders[i]);
		if (file_open(sim_disk_top(world->disk), digesting.folder, FILE_DIRECTORY,
			      &folder) != 0)
			continue;
		file_list(folder, digest_name, &digesting);
		file_close(folder);
	}
	return digesting.sum;
}

/* ---- other programs ---- */

static struct file *open_top(struct world *world, const char *path, unsigned flags)
{
	struct file *file = NULL;

	if (file_open(sim_disk_top(world->disk), path, flags, &file) != 0)
		return NULL;
	return file;
}

static void sync_folder(struct world *world, const char *path)
{
	struct file *folder = open_top(world, path, FILE_DIRECTORY);

	if (folder == NULL || file_sync(folder) != 0)
		abort();
	file_close(folder);
}

static bool has_message(const struct world *world, size_t message)
{
	const struct model_drop *drop = &world->model.drops[0];

	for (size_t i = 0; i < drop->count; i++)
		if (drop->entries[i].message == message)
			return true;
	return false;
}

/* As most of them do, and with the sync of new/ that few do. */
static void others_deliver(struct world *world)
{
	static const char name[] = "1795312861.V1.elsewhere";
	struct bytes content = model_message(FOREIGN)->stored;
	struct file *top = sim_disk_top(world->disk);

	if (has_message(world, FOREIGN))
		return;
	explorer_pause(world->explorer);
	struct file *file = open_top(world, MAILDIR "tmp/elsewhere", FILE_WRITE | FILE_CREATE);

	if (file != NULL) {
		if (file_write(file, &content, 1, 0) != 0 || file_sync(file) != 0 ||
		    file_rename(top, MAILDIR "tmp/elsewhere", top,
				MAILDIR "new/1795312861.V1.elsewhere") != 0)
			abort();
		sync_folder(world, MAILDIR "new");
		struct model_entry *entry = model_add(&world->model, 0, FOREIGN);

		entry->now = entry->after_cut = PRESENT;
		memcpy(entry->uid, name, sizeof(name));
	}
	file_close(file);
	explorer_resume(world->explorer);
}

struct names {
	size_t count;
	char list[MODEL_ENTRIES_MAX][128];
};

static bool keep_name(void *context, const char *name)
{
	struct names *names = context;

	if (names->count < MODEL_ENTRIES_MAX && strlen(name) < sizeof(names->list[0]))
		memcpy(names->list[names->count++], name, strlen(name) + 1);
	return true;
}

static struct names list_folder(struct world *world, const char *path)
{
	struct names names = {0};
	struct file *folder = open_top(world, path, FILE_DIRECTORY);

	if (folder != NULL)
		file_list(folder, keep_name, &names);
	file_close(folder);
	return names;
}

/* A mail reader looks: what is new is new no more. */
static void others_move(struct world *world)
{
	struct file *top = sim_disk_top(world->disk);

	explorer_pause(world->explorer);
	struct names names = list_folder(world, MAILDIR "new");

	for (size_t i = 0; i < names.count; i++) {
		char from[256], to[256];

		snprintf(from, sizeof(from), MAILDIR "new/%s", names.list[i]);
		snprintf(to, sizeof(to), MAILDIR "cur/%s:2,%s", names.list[i], i % 2 ? "S" : "");
		if (file_rename(top, from, top, to) != 0)
			abort();
	}
	if (names.count > 0) {
		sync_folder(world, MAILDIR "cur");
		sync_folder(world, MAILDIR "new");
	}
	explorer_resume(world->explorer);
}

/* The same, cut between its two halves by nothing but ill luck: the file has both names. */
static void others_link(struct world *world)
{
	struct file *top = sim_disk_top(world->disk);
	struct names names = list_folder(world, MAILDIR "new");
	char from[256], to[256];

	if (names.count == 0)
		abort();
	snprintf(from, sizeof(from), MAILDIR "new/%s", names.list[0]);
	snprintf(to, sizeof(to), MAILDIR "cur/%s:2,S", names.list[0]);
	if (file_link(top, from, top, to) != 0)
		abort();
}

/* It is gone for good at once, or may come back. */
static void others_remove(struct world *world, size_t at)
{
	static const char *const folders[] = {MAILDIR "new", MAILDIR "cur"};
	struct model_entry *entry = &world->model.drops[0].entries[at];
	struct file *top = sim_disk_top(world->disk);

	explorer_pause(world->explorer);
	for (size_t f = 0; f < 2; f++) {
		struct names names = list_folder(world, folders[f]);

		for (size_t i = 0; i < names.count; i++) {
			char path[256];

			snprintf(path, sizeof(path), "%s/%s", folders[f], names.list[i]);
			if (strncmp(names.list[i], entry->uid, strlen(entry->uid)) == 0 &&
			    file_unlink(top, path) != 0)
				abort();
		}
	}
	entry->now = ABSENT;
	entry->after_cut = MAYBE;
	explorer_resume(world->explorer);
}

static void others_deliver_and_move(struct world *world)
{
	others_deliver(world);
	others_move(world);
}

/* ---- what was there before ---- */

static void before_flags(struct world *world)
{
	before_four_messages(world);
	others_move(world);
	world_deliver(world, 0, 4, NULL);
}

static void before_uids(struct world *world)
{
	world_import(world, 0, 0, 3);
	world_deliver(world, 0, 3, NULL);
}

static void before_uids_torn(struct world *world)
{
	struct place place = world_place(world, 0);
	char name[UIDS_NAME_OCTETS];
	before_uids(world);
	before_change_octets(world, uids_label(uids_owner(&place), name), 0,
			     BYTES("1795312860.M50"));
}

/* Whole lines that are none: nobody can say what they were. */
static void damage_uids(struct world *world)
{
	struct place place = world_place(world, 0);
	char name[UIDS_NAME_OCTETS];
	before_change_octets(world, uids_label(uids_owner(&place), name), 0,
			     BYTES("1795312860.M50 uid 00000000\nx\n"));
	world->disorder = true;
}

static void before_uids_damaged(struct world *world)
{
	before_uids(world);
	damage_uids(world);
}

static void leave_leftover(struct world *world)
{
	file_close(open_top(world,
			    MAILDIR "tmp/1795312860.M500000R0123456789abcdef,S=1,W=1,C=00000000",
			    FILE_WRITE | FILE_CREATE));
}

static void before_twin(struct world *world)
{
	before_four_messages(world);
	others_link(world);
	world->disorder = true;
}

/* All that repair mends but for messages that are not what their names say. */
static void before_disorder(struct world *world)
{
	struct file *top = sim_disk_top(world->disk);

	before_uids_damaged(world);
	others_link(world);
	leave_leftover(world);
	if (file_make_directory(top, MAILDIR "new/folder") != 0)
		abort();
}

/* A delivery that died has left a file; another program has just begun one. */
static void before_leftovers(struct world *world)
{
	before_one_message(world);
	leave_leftover(world);
	file_close(open_top(world, MAILDIR "tmp/another", FILE_WRITE | FILE_CREATE));
}

/* One that nobody has touched for two days, and one of this minute. */
static void before_old_leftovers(struct world *world)
{
	before_one_message(world);
	file_close(open_top(world, MAILDIR "tmp/old", FILE_WRITE | FILE_CREATE));
	sim_disk_advance(world->disk, 48ULL * 3600 * 1000000000);
	file_close(open_top(world, MAILDIR "tmp/young", FILE_WRITE | FILE_CREATE));
}

static void before_domain_folder(struct world *world)
{
	if (file_make_directory(sim_disk_top(world->disk), "mail/example.org") != 0)
		abort();
}

static void before_uids_index_missing(struct world *world)
{
	before_uids(world);
	if (file_unlink(sim_disk_top(world->disk), "index/7") != 0)
		abort();
}

/* There is room for a message, but not for what would have to be set aside then. */
static void before_uids_damaged_full(struct world *world)
{
	before_uids_damaged(world);
	before_fill_disk(world, 40);
}

/* What cannot be read stands aside already, but is not yet cut off. */
static void before_uids_aside(struct world *world)
{
	struct before_power power = {.call = SIM_SET_SIZE, .role = "uids"};

	before_uids_index_missing(world);
	damage_uids(world);
	before_power_fails(world, &power);
	world_look(world, 0);
	before_power_went(world);
}

/* The index has to be made anew, with the unique-ids that can be read. */
static void before_uids_damaged_index_missing(struct world *world)
{
	before_uids_index_missing(world);
	damage_uids(world);
	before_fill_disk(world, 10);
}

/* ---- what is explored ---- */

static void amid_a_session(struct world *world)
{
	struct session session;

	world_open(world, 0, &session);
	others_deliver(world);
	others_move(world);
	world_update(world, 0, &session, 0x05);
	scenario_look(world);
}

static void removed_amid_a_session(struct world *world)
{
	struct session session;

	world_open(world, 0, &session);
	others_remove(world, 1);
	world_update(world, 0, &session, 0x03);
	scenario_look(world);
}

static void removed_by_others(struct world *world)
{
	world_look(world, 0);
	others_remove(world, 1);
	scenario_look_and_deliver(world);
}

static void update_uids(struct world *world)
{
	scenario_update(world, 0x05);
	world_deliver(world, 0, 6, "another");
	scenario_update(world, 0xFF);
}

static void import_again(struct world *world)
{
	world_deliver(world, 0, 6, "another");
	scenario_look(world);
}

static void clear_old(struct world *world)
{
	scenario_look(world);
	explorer_pause(world->explorer);
	struct names names = list_folder(world, MAILDIR "tmp");

	if (!world_has_failed(world) && (names.count != 1 || strcmp(names.list[0], "young") != 0))
		world_problem(world, "of the leftovers the wrong ones are there");
	explorer_resume(world->explorer);
}

static void repair(struct world *world)
{
	world_repair(world, 0);
	scenario_look_and_deliver(world);
}

static void repair_full(struct world *world)
{
	before_fill_disk(world, 10);
	world_repair(world, 0);
	scenario_look(world);
}

static void update_once(struct world *world)
{
	scenario_update(world, 0x03);
}

static const struct scenario own_scenarios[] = {
	{"others-deliver", 1, 0, before_one_message, scenario_deliver_three, others_deliver},
	{"others-move", 1, 0, before_four_messages, update_once, others_move},
	{"others-both", 1, 0, before_uids, update_once, others_deliver_and_move},
	{"flags", 1, 0, before_flags, update_once, NULL},
	{"amid-session", 1, 0, before_four_messages, amid_a_session, NULL},
	{"removed-amid-session", 1, 0, before_four_messages, removed_amid_a_session, NULL},
	{"removed-by-others", 1, 0, before_four_messages, removed_by_others, NULL},
	{"uids-update", 1, 0, before_uids, update_uids, NULL},
	{"uids-torn", 1, SCENARIO_REBOOT, before_uids_torn, import_again, NULL},
	{"uids-damaged", 1, SCENARIO_REBOOT, before_uids_damaged, import_again, NULL},
	{"twin", 1, SCENARIO_REBOOT, before_twin, update_once, NULL},
	{"leftovers", 1, 0, before_leftovers, scenario_look, NULL},
	{"leftovers-deliver", 1, 0, before_leftovers, scenario_deliver_three, NULL},
	{"leftovers-old", 1, 0, before_old_leftovers, clear_old, NULL},
	{"deliver-folder", 1, 0, before_domain_folder, scenario_deliver_three, NULL},
	{"uids-index-missing", 1, 0, before_uids_index_missing, scenario_deliver_three, NULL},
	{"uids-damaged-full", 1, SCENARIO_REBOOT, before_uids_damaged_full, import_again, NULL},
	{"recover-uids-full", 1, SCENARIO_REBOOT, before_uids_damaged_index_missing,
	 scenario_recover, NULL},
	{"uids-aside", 1, SCENARIO_REBOOT, before_uids_aside, scenario_look, NULL},
	{"uids-aside-deliver", 1, SCENARIO_REBOOT, before_uids_aside, scenario_deliver_three, NULL},
	{"convert", 1, 0, before_four_messages, scenario_convert, NULL},
	{"convert-full", 1, SCENARIO_RESERVE, before_four_messages, scenario_convert_full, NULL},
	{"repair-full", 1, SCENARIO_REBOOT, before_disorder, repair_full, NULL},
	{"repair", 1, SCENARIO_REBOOT, before_disorder, repair, NULL},
};

const struct world_kind world_maildir = {
	.kind = STORE_MAILDIR,
	.role = role,
	.tolerates = tolerates,
	.digest = digest,
	.scenarios = own_scenarios,
	.scenarios_count = sizeof(own_scenarios) / sizeof(own_scenarios[0]),
};
