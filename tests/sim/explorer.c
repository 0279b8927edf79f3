/*
 * explorer: the walk over all points and losses.
 *
 * Guarantees that the same settings and run give the same points, and that the random numbers the
 * code under test draws do not depend on what was explored before.
 */
#include "explorer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "sim_inode.h"

struct explorer_seen {
	size_t count, capacity;
	uint64_t *keys;
};

/* Open addressing; 0 is an empty place. True when the key was new. */
static bool seen_insert(struct explorer_seen *seen, uint64_t key)
{
	size_t at = key & (seen->capacity - 1);

	while (seen->keys[at] != 0 && seen->keys[at] != key)
		at = (at + 1) & (seen->capacity - 1);
	if (seen->keys[at] == key)
		return false;
	seen->keys[at] = key;
	seen->count++;
	return true;
}

static bool seen_add(struct explorer_seen *seen, uint64_t key)
{
	if (seen->count * 2 >= seen->capacity) {
		struct explorer_seen bigger = {.capacity = seen->capacity * 2 + 1024};

		while ((bigger.capacity & (bigger.capacity - 1)) != 0)
			bigger.capacity &= bigger.capacity - 1;
		bigger.keys = sim_allocate(bigger.capacity * sizeof(*bigger.keys));
		for (size_t i = 0; i < seen->capacity; i++)
			if (seen->keys[i] != 0)
				seen_insert(&bigger, seen->keys[i]);
		free(seen->keys);
		*seen = bigger;
	}
	return seen_insert(seen, key | 1);
}

void explorer_book_init(struct explorer_book *book, const struct explorer_settings *settings)
{
	*book = (struct explorer_book){.settings = *settings, .failures_max = 8};
	book->seen = sim_allocate(sizeof(*book->seen));
}

void explorer_book_free(struct explorer_book *book)
{
	free(book->seen->keys);
	free(book->seen);
	book->seen = NULL;
}

static void print_path(const struct explorer *explorer)
{
	const struct explorer_book *book = explorer->book;

	printf("  replay: crash_test --seed %llu --replay %s",
	       (unsigned long long)book->settings.seed, book->run);
	for (unsigned i = 0; i < EXPLORER_DEPTH_MAX && explorer->path[i].point != 0; i++) {
		const struct explorer_step *step = &explorer->path[i];
		bool loss = step->column != COLUMN_KILL && step->column < TABLE_LOSSES;

		printf("%c%llu:%s:%llu", i == 0 ? '/' : ',', (unsigned long long)step->point,
		       loss ? sim_loss_name(step->loss.kind) : table_column_name(step->column),
		       (unsigned long long)step->loss.number);
	}
	printf("\n");
}

void explorer_fail(struct explorer *explorer, const char *text)
{
	explorer->book->failures++;
	printf("FAILED: %s, in %s, point %llu: %s\n", explorer->book->run,
	       explorer->operation != NULL ? explorer->operation : "?",
	       (unsigned long long)explorer->point, text);
	print_path(explorer);
	fflush(stdout);
}

/* Should the recovery of this state be explored as well? More often so after the mere end of a
 * process, because then the recovery meets what was never synced. */
static bool wants_inner(const struct explorer *explorer, uint64_t key, bool power_cut)
{
	const struct explorer_book *book = explorer->book;

	if (explorer->depth + 1 >= EXPLORER_DEPTH_MAX)
		return false;
	if (book->replaying)
		return book->replay[explorer->depth + 1].point != 0;
	uint64_t each = book->settings.inner_each;

	if (!power_cut && !explorer->light)
		each = (each + 7) / 8;
	return each != 0 && (key >> 8) % each == 0;
}

/* Checks one state, with the given explorer attached to its recovery or none. */
static void check(struct explorer *explorer, struct sim_disk *disk, bool power_cut, uint64_t key,
		  struct explorer *inner)
{
	char text[EXPLORER_TEXT_OCTETS] = "";
	uint64_t failures = explorer->book->failures;

	random_set_for_tests(sim_mix(explorer->book->settings.seed, key) | 1);
	bool good = explorer->subject->check(explorer->context, disk, power_cut, inner, text);

	if (!good && explorer->book->failures == failures)
		explorer_fail(explorer, text);
}

static struct explorer inner_of(const struct explorer *explorer)
{
	struct explorer inner = *explorer;

	inner.depth++;
	inner.light = true;
	inner.after_fault = explorer->after_fault || explorer->fault.fired;
	inner.fault = (struct explorer_fault){0};
	inner.disk = NULL;
	memset(inner.cells, 0, sizeof(inner.cells));
	return inner;
}

static void check_with_fault(struct explorer *explorer, const struct sim_disk *disk, bool power_cut,
			     uint64_t key, struct explorer_fault fault)
{
	struct explorer inner = inner_of(explorer);

	inner.faults_only = true;
	inner.fault = fault;
	explorer->path[inner.depth] = (struct explorer_step){fault.point, fault.column, {0}};
	check(explorer, sim_disk_copy(disk), power_cut, key, &inner);
	explorer->path[inner.depth] = (struct explorer_step){0};
}

/* Lets every call of the recovery fail once, in every way that it can; or only in those ways that
 * have not been tried at all. */
static void check_with_faults(struct explorer *explorer, const struct sim_disk *disk,
			      bool power_cut, uint64_t key, const struct explorer *sound, bool all)
{
	const struct explorer_step *wanted = &explorer->book->replay[explorer->depth + 1];
	bool replaying = explorer->book->replaying;

	for (uint64_t point = 1; point <= sound->point; point++)
		for (enum table_column column = TABLE_LOSSES; column < TABLE_COLUMNS; column++) {
			struct explorer_fault fault = {.point = point, .column = column};

			if (!explorer_can_fail(sound, point, column) ||
			    (!all && sound->cells[point]->before[column] > 0) ||
			    (replaying && (wanted->point != point || wanted->column != column)))
				continue;
			check_with_fault(explorer, disk, power_cut, key, fault);
		}
}

static bool wants_faults(const struct explorer *explorer, uint64_t key)
{
	const struct explorer_book *book = explorer->book;

	if (book->replaying)
		return book->replay[explorer->depth + 1].column >= TABLE_LOSSES;
	return (key >> 24) % book->settings.fault_each == 0;
}

static void check_inside(struct explorer *explorer, struct sim_disk *disk, bool power_cut,
			 uint64_t key)
{
	struct explorer inner = inner_of(explorer);
	struct sim_disk *before = sim_disk_copy(disk);

	check(explorer, disk, power_cut, key, &inner);
	if (explorer->book->settings.fault_each != 0)
		check_with_faults(explorer, before, power_cut, key, &inner,
				  wants_faults(explorer, key));
	sim_disk_free(before);
}

static bool replay_skips(const struct explorer *explorer, const struct explorer_step *step)
{
	const struct explorer_step *wanted = &explorer->book->replay[explorer->depth];

	return explorer->book->replaying &&
	       (wanted->point != step->point || wanted->column != step->column ||
		wanted->loss.kind != step->loss.kind || wanted->loss.number != step->loss.number);
}

static void try_state(struct explorer *explorer, enum table_column column, struct sim_loss loss)
{
	struct explorer_step step = {explorer->point, column, loss};
	bool power_cut = column != COLUMN_KILL;

	explorer->last_counts[column]++;
	explorer->book->states++;
	if (replay_skips(explorer, &step))
		return;
	if (explorer->book->replaying && explorer->book->settings.verbose)
		sim_disk_print(explorer->disk);
	struct sim_disk *disk =
		power_cut ? sim_disk_cut(explorer->disk, loss) : sim_disk_copy(explorer->disk);
	uint64_t demanded = explorer->subject->expectations(explorer->context, power_cut);
	uint64_t key = sim_mix(sim_mix(sim_disk_digest(disk), demanded), explorer->depth);

	if (!seen_add(explorer->book->seen, sim_mix(key, power_cut))) {
		sim_disk_free(disk);
		return;
	}
	explorer->book->distinct++;
	explorer->path[explorer->depth] = step;
	if (wants_inner(explorer, key, power_cut))
		check_inside(explorer, disk, power_cut, key);
	else
		check(explorer, disk, power_cut, key, NULL);
	explorer->path[explorer->depth] = (struct explorer_step){0};
}

static void try_loss(struct explorer *explorer, enum sim_loss_kind kind, uint64_t number)
{
	try_state(explorer, table_column_of(kind), (struct sim_loss){kind, number});
}

/* Everything beyond the three plain ways; `light` runs draw some of it. */
static void try_losses(struct explorer *explorer)
{
	const struct explorer_settings *settings = &explorer->book->settings;
	uint64_t subsets = sim_disk_subsets(explorer->disk);
	size_t writes = sim_disk_pending_writes(explorer->disk);
	unsigned damages = explorer->light ? 1 : settings->damages;
	unsigned samples = explorer->light ? settings->samples / 8 + 1 : settings->samples;
	uint64_t all = explorer->light ? 8 : settings->subsets_max;

	if (subsets <= all)
		for (uint64_t n = 0; n < subsets; n++)
			try_loss(explorer, SIM_LOSS_SUBSET, n);
	else
		for (uint64_t n = 0; n < samples; n++)
			try_loss(explorer, SIM_LOSS_SAMPLE, n);
	if (subsets <= 1)
		return;
	for (uint64_t n = 0; n < samples / 4 + 1; n++)
		try_loss(explorer, SIM_LOSS_NAMES, n);
	for (uint64_t n = 0; n < writes * damages; n++) {
		try_loss(explorer, SIM_LOSS_TORN, n);
		try_loss(explorer, SIM_LOSS_ZEROES, n);
		try_loss(explorer, SIM_LOSS_GARBAGE, n);
	}
}

static bool stopped(const struct explorer *explorer)
{
	const struct explorer_fault *fault = &explorer->fault;

	return explorer->book->failures >= explorer->book->failures_max || explorer->faults_only ||
	       (fault->point != 0 && !fault->fired);
}

/* Explores the state of now, unless it is the one of the last point; the counts are the same. */
static void explore(struct explorer *explorer, struct table_cell *next)
{
	uint64_t demands = sim_mix(explorer->subject->expectations(explorer->context, true),
				   explorer->subject->expectations(explorer->context, false));
	uint64_t state = sim_mix(sim_disk_version(explorer->disk), demands);

	explorer->point++;
	if (!stopped(explorer) && state != explorer->last_state) {
		memset(explorer->last_counts, 0, sizeof(explorer->last_counts));
		try_state(explorer, COLUMN_KILL, (struct sim_loss){SIM_LOSS_NONE, 0});
		try_loss(explorer, SIM_LOSS_NONE, 0);
		try_loss(explorer, SIM_LOSS_ALL, 0);
		if (!explorer->light || explorer->book->replaying ||
		    sim_mix(state, explorer->point) % explorer->book->settings.light_each == 0)
			try_losses(explorer);
		explorer->last_state = state;
	}
	for (size_t i = 0; !stopped(explorer) && i < TABLE_LOSSES; i++) {
		if (next != NULL)
			next->before[i] += explorer->last_counts[i];
		if (explorer->last != NULL)
			explorer->last->after[i] += explorer->last_counts[i];
	}
	explorer->last = next;
	random_set_for_tests(sim_mix(explorer->book->settings.seed,
				     sim_mix(explorer->operations, explorer->depth + 7)) |
			     1);
}

static int before_call(void *context, struct sim_disk *disk, const struct sim_operation *operation)
{
	struct explorer *explorer = context;
	struct explorer_fault *fault = &explorer->fault;
	struct table_cell *cell = table_cell(
		&explorer->book->table, explorer->subject->name, explorer->operation,
		explorer->subject->role(operation->path, operation->directory, operation->unnamed),
		operation->call);

	(void)disk;
	cell->calls++;
	cell->sound += !explorer->after_fault && !fault->fired;
	if (explorer->book->settings.verbose)
		printf("%*s%llu %s %s %s%s\n", (int)explorer->depth * 4, "",
		       (unsigned long long)explorer->point + 1, explorer->operation,
		       sim_call_name(operation->call), operation->path,
		       operation->unnamed ? " (unnamed)" : "");
	explore(explorer, cell);
	assert(explorer->point < EXPLORER_POINTS_MAX);
	explorer->cells[explorer->point] = cell;
	if (fault->fired || fault->point != explorer->point)
		return SIM_PASS;
	fault->fired = true;
	cell->before[fault->column]++;
	return table_verdict(fault->column);
}

void explorer_attach(struct explorer *explorer, struct sim_disk *disk)
{
	explorer->disk = disk;
	explorer->operation = explorer->depth == 0 ? "setup" : "recovery";
	explorer->point = 0;
	explorer->operations = 0;
	explorer->last = NULL;
	explorer->last_state = 0;
	sim_disk_set_hook(disk, before_call, explorer);
}

void explorer_detach(struct explorer *explorer)
{
	if (explorer == NULL || explorer->disk == NULL)
		return;
	explorer_checkpoint(explorer);
	sim_disk_set_hook(explorer->disk, NULL, NULL);
	explorer->disk = NULL;
}

void explorer_pause(struct explorer *explorer)
{
	if (explorer != NULL && explorer->disk != NULL)
		sim_disk_set_hook(explorer->disk, NULL, NULL);
}

void explorer_resume(struct explorer *explorer)
{
	if (explorer != NULL && explorer->disk != NULL)
		sim_disk_set_hook(explorer->disk, before_call, explorer);
}

void explorer_operation(struct explorer *explorer, const char *name)
{
	if (explorer == NULL)
		return;
	explorer->operations++;
	if (explorer->depth == 0)
		explorer->operation = name;
	else
		explorer->operation = "recovery";
	explorer_checkpoint(explorer);
}

void explorer_checkpoint(struct explorer *explorer)
{
	if (explorer != NULL && explorer->disk != NULL)
		explore(explorer, NULL);
}

bool explorer_can_fail(const struct explorer *explorer, uint64_t point, enum table_column column)
{
	const struct table_cell *cell = explorer->cells[point];

	return cell != NULL && table_verdict(column) != 0 && table_applies(column, cell->call);
}

static bool parse_step(const char *text, struct explorer_step *step_out)
{
	char name[16] = "";
	unsigned long long point = 0, number = 0;

	if (sscanf(text, "%llu:%15[a-zA-Z]:%llu", &point, name, &number) != 3)
		return false;
	*step_out = (struct explorer_step){.point = point, .loss = {SIM_LOSS_NONE, number}};
	for (enum table_column column = 0; column < TABLE_COLUMNS; column++)
		if (strcmp(table_column_name(column), name) == 0) {
			step_out->column = column;
			if (column == COLUMN_KILL || column >= TABLE_LOSSES)
				return true;
		}
	for (int kind = 0; kind < SIM_LOSS_KINDS; kind++)
		if (strcmp(sim_loss_name((enum sim_loss_kind)kind), name) == 0) {
			step_out->loss.kind = (enum sim_loss_kind)kind;
			step_out->column = table_column_of(step_out->loss.kind);
			return true;
		}
	return false;
}

bool explorer_parse_path(const char *text, struct explorer_step steps_out[EXPLORER_DEPTH_MAX])
{
	memset(steps_out, 0, EXPLORER_DEPTH_MAX * sizeof(*steps_out));
	for (size_t i = 0; i < EXPLORER_DEPTH_MAX; i++) {
		if (!parse_step(text, &steps_out[i]))
			return false;
		text = strchr(text, ',');
		if (text == NULL)
			return true;
		text++;
	}
	return false;
}
