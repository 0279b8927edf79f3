/*
 * kind_mbox: the own mbox in the simulation: its files, and the scenarios that only it has: torn
 * and damaged tails, what was set aside, a removal's journal, the reserve.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kind_mbox.h"
#include "scenarios_before.h"

static const char *role(const char *path, bool directory, bool unnamed)
{
	const char *common = world_common_role(path, directory, unnamed);

	if (common != NULL)
		return common;
	if (strncmp(path, "journal/", 8) == 0)
		return "journal";
	return strstr(path, "/.postern-") != NULL ? "temporary" : "mbox";
}

/* What was set aside is for a person to look at, but no journal may ever be that. A removal's new
 * file that a killed process has left is removed by the next removal or after the next start of the
 * machine. On a full disk a damaged tail that there is no room to set aside stays where it is. Of
 * several messages written at once a later one may have reached the disk whole and an earlier one
 * not: what is left of that stays. */
static bool tolerates(const struct world *world, const struct finding *finding)
{
	return (strncmp(finding->file, "journal/aside.", 14) == 0 &&
		strstr(finding->file, ".redo") == NULL) ||
	       (world->killed && strstr(finding->text, "before it took effect") != NULL) ||
	       ((world->full || world->batch || world->disorder) &&
		strstr(finding->text, "no message") != NULL) ||
	       (world->full && (strstr(finding->text, "is incomplete") != NULL ||
				strstr(finding->text, "fails its checksum") != NULL));
}

static uint64_t digest(const struct world *world, size_t drop)
{
	struct place place = world_place(world, drop);
	char path[MAILDROP_PATH_MAX + 8];

	snprintf(path, sizeof(path), "mail/%s", place.path);
	return sim_disk_file_digest(world->disk, path);
}

/* ---- what was there before ---- */

static void before_tail_torn(struct world *world)
{
	before_four_messages(world);
	before_change_octets(world, "mail/example.org/alice", 0,
			     BYTES("From a@b.c Sun Nov 22 02:01:00 2026 postern=1 length=812 quo"));
}

/* A whole record behind the end whose content is not what its line says: kept aside. */
static void before_tail_damaged(struct world *world)
{
	before_four_messages(world);
	before_change_octets(world, "mail/example.org/alice", 4, BYTES("XX"));
	world->model.drops[0].entries[3].now = ABSENT;
	world->model.drops[0].entries[3].after_cut = ABSENT;
	if (file_unlink(sim_disk_top(world->disk), "index/7") != 0)
		abort();
}

/* A whole record with a wrong content, and hardly room to set it aside. */
static void before_tail_damaged_on_full_disk(struct world *world)
{
	before_tail_damaged(world);
	before_fill_disk(world, 10);
}

static bool remove_reserve(void *context, const char *name)
{
	struct world *world = context;

	if (strncmp(name, "reserve.", 8) == 0 && file_unlink(world->root.journal, name) != 0)
		abort();
	return true;
}

static void before_no_reserve(struct world *world)
{
	before_four_messages(world);
	if (file_list(world->root.journal, remove_reserve, world) != 0)
		abort();
}

/* The one that is still open goes with the process, and makes some room. */
static void before_no_room_for_reserve(struct world *world)
{
	before_no_reserve(world);
	before_fill_disk(world, -1000);
}

/* The damaged tail stands aside already, but is not yet cut off. */
static void before_aside_left(struct world *world)
{
	struct before_power power = {.call = SIM_SET_SIZE, .role = "mbox"};

	before_tail_damaged(world);
	before_power_fails(world, &power);
	world_look(world, 0);
	before_power_went(world);
}

/* A removal in place that was cut in its midst. What it was to remove may be there or not. */
void scenario_journal_left(struct world *world)
{
	struct before_power power = {.call = SIM_WRITE, .role = "journal", .more = 4};
	struct session session;

	before_long_messages(world);
	world_open(world, 0, &session);
	sim_disk_set_capacity(world->disk, sim_disk_used(world->disk), ENOSPC);
	before_power_fails(world, &power);
	world_update(world, 0, &session, 0x09);
	before_power_went(world);
	sim_disk_set_capacity(world->disk, 0, ENOSPC);
}

#define MBOX_OCTETS_MAX 65536

/* The second message's From line is not ours any more: its octets are no message until a repair,
 * which delivers them behind the others, with another unique-id. */
static void before_line_damaged(struct world *world)
{
	static char octets[MBOX_OCTETS_MAX];
	struct model_drop *drop = &world->model.drops[0];
	struct model_entry *entry;
	struct file *file;
	const char *line, *end;
	ssize_t size;

	before_four_messages(world);
	if (file_open(sim_disk_top(world->disk), "mail/example.org/alice", FILE_READ, &file) != 0)
		abort();
	size = file_read(file, octets, sizeof(octets), 0, false);
	file_close(file);
	line = size > 0 ? memmem(octets, (size_t)size, "\n\nFrom ", 7) : NULL;
	end = line != NULL ? memchr(line + 2, '\n', (size_t)(octets + size - line - 2)) : NULL;
	if (end == NULL)
		abort();
	before_change_octets(world, "mail/example.org/alice", (uint64_t)(octets + size - (end - 1)),
			     end[-1] == '0' ? BYTES("1") : BYTES("0"));
	if (file_unlink(sim_disk_top(world->disk), "index/7") != 0)
		abort();
	entry = model_move_to_end(drop, &drop->entries[1]);
	entry->uid[0] = '\0';
	entry->now = MAYBE;
	entry->after_cut = MAYBE;
	world->disorder = true;
}

/* What a look has not found may come by the next repair. */
static void repair_once(struct world *world)
{
	struct model_drop *drop = &world->model.drops[0];
	struct model_entry *entry = &drop->entries[drop->count - 1];

	if (entry->now == ABSENT)
		entry->now = MAYBE;
	if (entry->after_cut == ABSENT)
		entry->after_cut = MAYBE;
	world_repair(world, 0);
	if (world->disorder)
		return;
	entry->now = PRESENT;
	entry->after_cut = PRESENT;
}

/* Twice, for the second finds nothing to do. */
static void repair(struct world *world)
{
	repair_once(world);
	world_look(world, 0);
	repair_once(world);
	world_verify(world, 0);
	world_look(world, 0);
}

static void repair_full(struct world *world)
{
	before_fill_disk(world, 500);
	repair(world);
}

static const struct scenario own_scenarios[] = {
	{"recover-torn-tail", 1, SCENARIO_REBOOT, before_tail_torn, scenario_recover, NULL},
	{"recover-damaged-tail", 1, SCENARIO_REBOOT, before_tail_damaged, scenario_recover, NULL},
	{"convert", 1, 0, before_four_messages, scenario_convert, NULL},
	{"convert-full", 1, SCENARIO_RESERVE, before_four_messages, scenario_convert_full, NULL},
	{"repair", 1, SCENARIO_REBOOT, before_line_damaged, repair, NULL},
	{"repair-full", 1, SCENARIO_REBOOT, before_line_damaged, repair_full, NULL},
	{"start", 1, SCENARIO_RESERVE, before_no_reserve, scenario_look, NULL},
	{"start-full", 1, SCENARIO_RESERVE, before_no_room_for_reserve, scenario_look, NULL},
	{"open-damaged-full", 1, SCENARIO_REBOOT, before_tail_damaged_on_full_disk, scenario_look,
	 NULL},
	{"open-aside", 1, SCENARIO_REBOOT, before_aside_left, scenario_look, NULL},
	{"deliver-aside", 1, SCENARIO_REBOOT, before_aside_left, scenario_deliver_three, NULL},
	{"recover-damaged-full", 1, SCENARIO_REBOOT, before_tail_damaged_on_full_disk,
	 scenario_recover, NULL},
	{"open-journal", 1, SCENARIO_RESERVE | SCENARIO_REBOOT, scenario_journal_left,
	 scenario_look_and_deliver, NULL},
	{"deliver-journal", 1, SCENARIO_RESERVE | SCENARIO_REBOOT, scenario_journal_left,
	 scenario_deliver_three, NULL},
};

const struct world_kind world_mbox = {
	.kind = STORE_MBOX,
	.reserve = true,
	.role = role,
	.tolerates = tolerates,
	.digest = digest,
	.scenarios = own_scenarios,
	.scenarios_count = sizeof(own_scenarios) / sizeof(own_scenarios[0]),
};
