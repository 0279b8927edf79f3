/*
 * crash_test: the store over the simulated disk: every scenario, every file call, every loss, every
 * failure. Exits with 1 when an invariant was broken or a cell of the table was not visited.
 *
 *   crash_test [--kind KIND] [--only SCENARIO] [--seed N] [--states N] [--quick] [--stop]
 *              [--table FILE] [--markdown FILE]
 * SIM_LONG in the environment means --states 8 and never --quick.
 *   crash_test --replay KIND:SCENARIO[+POINT.FAULT][/PATH]     exactly what a failure has printed
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "world.h"
#include "sim_inode.h"

/* Millions of small pieces of memory: a long quarantine and deep stacks would cost half the time.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "malloc_context_size=3:quarantine_size_mb=4";
}

struct options {
	struct explorer_settings settings;
	const struct world_kind *kind; /* NULL: all */
	const char *only, *table, *markdown, *replay;
	unsigned fault_every; /* of all faults, which are tried */
	bool stop;            /* at the first failure */
};

static uint64_t expectations(void *context, bool power_cut)
{
	const struct world *world = context;

	return sim_mix(model_digest(&world->model, power_cut),
		       world->batch * 4u + world->full * 2u + world->reserve +
			       world->disorder * 8u + world->converting * 16u + world->moved * 32u +
			       world->level * 64u);
}

static struct world branch_of(const struct world *parent, bool power_cut)
{
	struct world world = {
		.kind = parent->kind,
		.others = parent->others,
		.model = parent->model,
		.full = parent->full,
		.batch = parent->batch,
		.disorder = parent->disorder,
		.converting = parent->converting,
		.moved = parent->moved,
		.now_ms = parent->now_ms,
		.reserve = parent->reserve,
		.started = power_cut,
		.killed = !power_cut || parent->killed ||
			  (parent->explorer != NULL && parent->explorer->fault.fired),
		.level = parent->level,
	};

	if (power_cut)
		model_cut(&world.model);
	return world;
}

/* Once more with the power cut and everything lost that was not synced by then. */
static void look_after_cut(struct world *world)
{
	struct sim_disk *disk = sim_disk_cut(world->disk, (struct sim_loss){SIM_LOSS_ALL, 0});
	struct world after = branch_of(world, true);

	world_start(&after, disk);
	for (size_t drop = 0; drop < after.model.drops_count; drop++)
		world_look(&after, drop);
	world_stop(&after);
	if (after.problem[0] != '\0')
		world_problem(world, "after another power cut: %.300s", after.problem);
	sim_disk_free(disk);
}

static bool check(void *context, struct sim_disk *disk, bool power_cut, struct explorer *inner,
		  char text_out[EXPLORER_TEXT_OCTETS])
{
	const struct world *parent = context;
	struct world world = branch_of(parent, power_cut);

	if (parent->others != NULL) {
		world_start(&world, disk);
		parent->others(&world);
		world_stop(&world);
	}
	world.explorer = inner;
	if (inner != NULL)
		inner->context = &world;
	world_start(&world, disk);
	world_recover(&world);
	world_stop(&world);
	world.explorer = NULL;
	if (inner != NULL && inner->faults_only) {
		world.killed = true;
		world_start(&world, disk);
		world_recover(&world);
		world_stop(&world);
	}
	look_after_cut(&world);
	sim_disk_free(disk);
	snprintf(text_out, EXPLORER_TEXT_OCTETS, "%s", world.problem);
	return world.problem[0] == '\0';
}

/* Runs a scenario, with one fault or none. */
static void run(struct explorer_book *book, const struct world_kind *kind,
		const struct scenario *scenario, struct explorer_fault fault,
		struct explorer *explorer)
{
	const struct subject subject = {store_kind_name(kind->kind), expectations, check,
					kind->role};
	struct sim_disk *disk = sim_disk_new(book->settings.seed);
	struct world world = {.kind = kind,
			      .others = scenario->others,
			      .reserve = kind->reserve && (scenario->flags & SCENARIO_RESERVE) != 0,
			      .model = {.drops_count = scenario->drops}};

	int length = snprintf(book->run, sizeof(book->run), "%s:%s", subject.name, scenario->name);

	if (fault.point != 0)
		snprintf(book->run + length, sizeof(book->run) - (size_t)length, "+%llu.%s",
			 (unsigned long long)fault.point, table_column_name(fault.column));
	*explorer = (struct explorer){.book = book,
				      .subject = &subject,
				      .context = &world,
				      .light = fault.point != 0,
				      .fault = fault,
				      .operation = "before"};
	random_set_for_tests(sim_mix(book->settings.seed, 1) | 1);
	world_start(&world, disk);
	scenario->before(&world);
	world_stop(&world);
	sim_disk_settle(disk);
	if ((scenario->flags & SCENARIO_REBOOT) != 0) {
		struct sim_disk *before = disk;

		disk = sim_disk_cut(before, (struct sim_loss){SIM_LOSS_NONE, 0});
		sim_disk_free(before);
	}
	world.explorer = explorer;
	world_start(&world, disk);
	scenario->body(&world);
	world_stop(&world);
	if (world.problem[0] != '\0')
		explorer_fail(explorer, world.problem);
	sim_disk_free(disk);
}

static void run_all_faults(struct explorer_book *book, const struct world_kind *kind,
			   const struct scenario *scenario, const struct explorer *sound,
			   unsigned every)
{
	static struct explorer explorer;
	uint64_t number = 0;

	for (uint64_t point = 1; point <= sound->point; point++)
		for (enum table_column column = TABLE_LOSSES; column < TABLE_COLUMNS; column++) {
			if (!explorer_can_fail(sound, point, column) || number++ % every != 0 ||
			    book->failures >= book->failures_max)
				continue;
			run(book, kind, scenario,
			    (struct explorer_fault){.point = point, .column = column}, &explorer);
		}
}

static struct explorer_settings settings_for(const struct world_kind *kind,
					     const struct explorer_settings *settings)
{
	struct explorer_settings own = *settings;
	unsigned thin = kind->thin;

	if (thin <= 1)
		return own;
	own.subsets_max = own.subsets_max / (thin * thin * thin);
	own.samples = own.samples / thin + 1;
	own.damages = own.damages / thin + 1;
	own.inner_each *= thin;
	return own;
}

static bool run_scenario(struct explorer_book *book, const struct world_kind *kind,
			 const struct scenario *scenario, const struct options *options)
{
	static struct explorer sound;
	uint64_t states = book->states, distinct = book->distinct, failures = book->failures;

	book->settings = settings_for(kind, &options->settings);
	book->failures_max = options->stop ? 1 : book->failures + 4;
	run(book, kind, scenario, (struct explorer_fault){0}, &sound);
	run_all_faults(book, kind, scenario, &sound, options->fault_every);
	printf("%-8s %-22s %5llu points %9llu states %9llu distinct\n", store_kind_name(kind->kind),
	       scenario->name, (unsigned long long)sound.point,
	       (unsigned long long)(book->states - states),
	       (unsigned long long)(book->distinct - distinct));
	fflush(stdout);
	return book->failures == failures;
}

static const struct scenario *find_scenario(const struct world_kind *kind, struct bytes name)
{
	for (size_t i = 0; i < scenarios_count; i++)
		if (bytes_equal(bytes_of(scenarios[i].name), name))
			return &scenarios[i];
	for (size_t i = 0; i < kind->scenarios_count; i++)
		if (bytes_equal(bytes_of(kind->scenarios[i].name), name))
			return &kind->scenarios[i];
	return NULL;
}

static const struct world_kind *find_kind(struct bytes name)
{
	for (size_t i = 0; i < world_kinds_count; i++)
		if (bytes_equal(bytes_of(store_kind_name(world_kinds[i]->kind)), name))
			return world_kinds[i];
	return NULL;
}

static int replay(struct explorer_book *book, const char *text)
{
	static struct explorer explorer;
	size_t colon = strcspn(text, ":"), end = strcspn(text, "+/");
	const struct world_kind *kind = find_kind((struct bytes){text, colon});
	const struct scenario *scenario =
		kind != NULL && colon < end
			? find_scenario(kind, (struct bytes){text + colon + 1, end - colon - 1})
			: NULL;
	const char *path = strchr(text, '/'), *plus = strchr(text, '+');
	struct explorer_fault fault = {0};

	if (scenario == NULL || (path != NULL && !explorer_parse_path(path + 1, book->replay))) {
		fprintf(stderr, "crash_test: \"%s\" is no such path\n", text);
		return 64;
	}
	if (plus != NULL)
		fault.point = strtoull(plus + 1, NULL, 10);
	for (enum table_column column = 0; plus != NULL && column < TABLE_COLUMNS; column++) {
		const char *name = table_column_name(column), *dot = strchr(plus, '.');

		if (dot != NULL && strncmp(dot + 1, name, strlen(name)) == 0)
			fault.column = column;
	}
	book->replaying = true;
	run(book, kind, scenario, fault, &explorer);
	printf("crash: replayed %s: %s\n", text, book->failures > 0 ? "failed" : "passed");
	return book->failures > 0;
}

static int write_table(const struct explorer_book *book, enum table_format format, const char *path)
{
	FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");

	if (out == NULL) {
		perror(path);
		return 1;
	}
	table_print(&book->table, format, out);
	if (out == stdout)
		return fflush(out) != 0;
	return fclose(out) != 0;
}

struct tally {
	size_t good, bad;
};

static void run_list(struct explorer_book *book, const struct world_kind *kind,
		     const struct scenario *list, size_t count, const struct options *options,
		     struct tally *tally)
{
	for (size_t i = 0; i < count; i++) {
		if (options->only != NULL && strcmp(options->only, list[i].name) != 0)
			continue;
		if (options->stop && tally->bad > 0)
			break;
		if (run_scenario(book, kind, &list[i], options))
			tally->good++;
		else
			tally->bad++;
	}
}

static int run_everything(struct explorer_book *book, const struct options *options)
{
	struct tally tally = {0};
	size_t holes = 0;
	int failed = 0;

	for (size_t i = 0; i < world_kinds_count; i++) {
		const struct world_kind *kind = world_kinds[i];

		if (options->kind != NULL && options->kind != kind)
			continue;
		run_list(book, kind, scenarios, scenarios_count, options, &tally);
		run_list(book, kind, kind->scenarios, kind->scenarios_count, options, &tally);
	}
	if (options->table != NULL)
		failed |= write_table(book, TABLE_TABS, options->table);
	if (options->markdown != NULL)
		failed |= write_table(book, TABLE_MARKDOWN, options->markdown);
	else if (options->only == NULL)
		table_print(&book->table, TABLE_TEXT, stdout);
	if (options->only == NULL && options->fault_every == 1 && book->failures == 0)
		holes = table_holes(&book->table, stdout);
	printf("crash: %zu rows of the table, %llu states, %llu of them different, %llu failures, "
	       "%zu holes\n",
	       book->table.count, (unsigned long long)book->states,
	       (unsigned long long)book->distinct, (unsigned long long)book->failures, holes);
	tally.bad += holes > 0 || failed || book->distinct == 0;
	printf("crash: %zu passed, %zu failed, 0 skipped\n", tally.good, tally.bad);
	return tally.bad > 0;
}

static bool parse_options(int count, char **arguments, struct options *options)
{
	static const struct option names[] = {{"kind", required_argument, NULL, 'k'},
					      {"seed", required_argument, NULL, 's'},
					      {"states", required_argument, NULL, 'n'},
					      {"only", required_argument, NULL, 'o'},
					      {"table", required_argument, NULL, 't'},
					      {"markdown", required_argument, NULL, 'm'},
					      {"replay", required_argument, NULL, 'r'},
					      {"quick", no_argument, NULL, 'q'},
					      {"stop", no_argument, NULL, 'x'},
					      {"verbose", no_argument, NULL, 'v'},
					      {NULL, 0, NULL, 0}};
	const char *thorough = getenv("SIM_LONG");
	bool is_long = thorough != NULL && thorough[0] != '\0';
	unsigned states = is_long ? 8 : 1;
	int letter;

	while ((letter = getopt_long(count, arguments, "", names, NULL)) != -1) {
		switch (letter) {
		case 's':
			options->settings.seed = strtoull(optarg, NULL, 10);
			break;
		case 'n':
			states = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'k':
			options->kind = find_kind(bytes_of(optarg));
			if (options->kind == NULL)
				return false;
			break;
		case 'o':
			options->only = optarg;
			break;
		case 't':
			options->table = optarg;
			break;
		case 'm':
			options->markdown = optarg;
			break;
		case 'r':
			options->replay = optarg;
			break;
		case 'q':
			if (is_long)
				break;
			options->fault_every = 7;
			options->settings.inner_each *= 4;
			options->settings.fault_each = 0;
			break;
		case 'x':
			options->stop = true;
			break;
		case 'v':
			options->settings.verbose = true;
			break;
		default:
			return false;
		}
	}
	options->settings.samples *= states;
	options->settings.damages *= states;
	options->settings.inner_each = options->settings.inner_each / states + 1;
	return optind == count && states > 0;
}

int main(int count, char **arguments)
{
	struct explorer_book book;
	struct options options = {
		.settings = {.seed = 1,
			     .samples = 32,
			     .damages = 8,
			     .inner_each = 64,
			     .fault_each = 12,
			     .light_each = 6,
			     .subsets_max = SIM_SUBSETS_ALL},
		.fault_every = 1,
	};

	if (!parse_options(count, arguments, &options)) {
		fprintf(stderr, "usage: crash_test [--kind KIND] [--only SCENARIO] [--seed N] "
				"[--states N] [--quick] [--stop] [--verbose] [--table FILE] "
				"[--markdown FILE] [--replay PATH]\n");
		return 64;
	}
	model_make_messages();
	explorer_book_init(&book, &options.settings);
	int status = options.replay != NULL ? replay(&book, options.replay)
					    : run_everything(&book, &options);

	explorer_book_free(&book);
	model_free_messages();
	return status;
}
