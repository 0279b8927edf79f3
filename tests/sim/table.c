/*
 * table: counts what the explorer tried, prints it, and finds holes.
 *
 * Must not know how states are made or checked.
 */
#include "table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	int verdict;
} columns[TABLE_COLUMNS] = {
	[COLUMN_KILL] = {"kill", 0},
	[COLUMN_NONE] = {"none", 0},
	[COLUMN_ALL] = {"all", 0},
	[COLUMN_SUBSET] = {"subset", 0},
	[COLUMN_NAMES] = {"names", 0},
	[COLUMN_TORN] = {"torn", 0},
	[COLUMN_ZEROES] = {"zeroes", 0},
	[COLUMN_GARBAGE] = {"garbage", 0},
	[COLUMN_EIO] = {"EIO", -EIO},
	[COLUMN_ENOSPC] = {"ENOSPC", -ENOSPC},
	[COLUMN_EDQUOT] = {"EDQUOT", -EDQUOT},
	[COLUMN_EINTR] = {"EINTR", -EINTR},
	[COLUMN_SHORT] = {"short", SIM_SHORT},
};

const char *table_column_name(enum table_column column)
{
	return columns[column].name;
}

int table_verdict(enum table_column column)
{
	return columns[column].verdict;
}

enum table_column table_column_of(enum sim_loss_kind kind)
{
	static const enum table_column of[SIM_LOSS_KINDS] = {
		[SIM_LOSS_NONE] = COLUMN_NONE,     [SIM_LOSS_ALL] = COLUMN_ALL,
		[SIM_LOSS_SUBSET] = COLUMN_SUBSET, [SIM_LOSS_SAMPLE] = COLUMN_SUBSET,
		[SIM_LOSS_NAMES] = COLUMN_NAMES,   [SIM_LOSS_TORN] = COLUMN_TORN,
		[SIM_LOSS_ZEROES] = COLUMN_ZEROES, [SIM_LOSS_GARBAGE] = COLUMN_GARBAGE,
	};

	return of[kind];
}

/* Only calls that need room can find none; only reads and writes can be short. */
bool table_applies(enum table_column column, enum sim_call call)
{
	switch (column) {
	case COLUMN_ENOSPC:
	case COLUMN_EDQUOT:
		return call == SIM_CREATE || call == SIM_WRITE || call == SIM_SYNC ||
		       call == SIM_RENAME || call == SIM_LINK || call == SIM_MAKE_DIRECTORY;
	case COLUMN_SHORT:
		return call == SIM_READ || call == SIM_WRITE;
	default:
		return true;
	}
}

struct table_cell *table_cell(struct table *table, const char *store, const char *operation,
			      const char *role, enum sim_call call)
{
	for (size_t i = 0; i < table->count; i++) {
		struct table_cell *cell = &table->cells[i];

		if (cell->call == call && strcmp(cell->store, store) == 0 &&
		    strcmp(cell->operation, operation) == 0 && strcmp(cell->role, role) == 0)
			return cell;
	}
	assert(table->count < TABLE_CELLS_MAX);
	struct table_cell *cell = &table->cells[table->count++];

	*cell = (struct table_cell){
		.store = store, .operation = operation, .role = role, .call = call};
	return cell;
}

static size_t hole(FILE *out, const struct table_cell *cell, const char *what)
{
	fprintf(out, "hole: %s, %s, %s, %s: no state tried: %s\n", cell->store, cell->operation,
		cell->role, sim_call_name(cell->call), what);
	return 1;
}

/* Torn writes and lost names need something pending, so only these three are wanted everywhere. */
static size_t holes_of(const struct table_cell *cell, FILE *out)
{
	static const enum table_column wanted[] = {COLUMN_KILL, COLUMN_NONE, COLUMN_ALL};
	size_t holes = 0;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (cell->before[wanted[i]] == 0)
			holes += hole(out, cell, "before");
		if (cell->after[wanted[i]] == 0)
			holes += hole(out, cell, "after");
	}
	if (cell->call == SIM_WRITE && cell->after[COLUMN_TORN] == 0)
		holes += hole(out, cell, "torn");
	for (enum table_column column = TABLE_LOSSES; column < TABLE_COLUMNS; column++)
		if (table_applies(column, cell->call) && cell->before[column] == 0)
			holes += hole(out, cell, table_column_name(column));
	return holes;
}

size_t table_holes(const struct table *table, FILE *out)
{
	size_t holes = 0;

	for (size_t i = 0; i < table->count; i++)
		if (table->cells[i].calls == 0 || table->cells[i].sound > 0)
			holes += holes_of(&table->cells[i], out);
	if (table->count == 0)
		holes += (size_t)(fprintf(out, "hole: nothing was tried\n") > 0);
	return holes;
}

static int compare(const void *a, const void *b)
{
	const struct table_cell *one = a, *two = b;
	int order = strcmp(one->store, two->store);

	if (order == 0)
		order = strcmp(one->operation, two->operation);

	if (order == 0)
		order = strcmp(one->role, two->role);
	return order != 0 ? order : (int)one->call - (int)two->call;
}

struct style {
	const char *begin, *between, *end;
	int name_width, number_width;
};

static void print_number(uint64_t number, bool applies, const struct style *style, FILE *out)
{
	fputs(style->between, out);
	if (applies)
		fprintf(out, "%*llu", style->number_width, (unsigned long long)number);
	else
		fprintf(out, "%*s", style->number_width, "-");
}

static void print_names(const char *const names[4], const struct style *style, FILE *out)
{
	for (int i = 0; i < 4; i++)
		fprintf(out, "%s%-*s", i == 0 ? style->begin : style->between, style->name_width,
			names[i]);
}

static void print_cell(const struct table_cell *cell, const struct style *style, FILE *out)
{
	const char *names[] = {cell->store, cell->operation, cell->role, sim_call_name(cell->call)};

	print_names(names, style, out);
	print_number(cell->calls, true, style, out);
	for (enum table_column column = 0; column < TABLE_COLUMNS; column++) {
		bool loss = column < TABLE_LOSSES;
		uint64_t number = cell->before[column] + (loss ? cell->after[column] : 0);

		print_number(number, table_applies(column, cell->call), style, out);
	}
	fprintf(out, "%s\n", style->end);
}

static void print_head(const struct style *style, bool rule, FILE *out)
{
	static const char *const names[] = {"store", "operation", "file", "call"};

	print_names(names, style, out);
	fprintf(out, "%s%*s", style->between, style->number_width, "calls");
	for (enum table_column column = 0; column < TABLE_COLUMNS; column++)
		fprintf(out, "%s%*s", style->between, style->number_width,
			table_column_name(column));
	fprintf(out, "%s\n", style->end);
	if (!rule)
		return;
	fputs("|---|---|---|---|", out);
	for (int column = -1; column < TABLE_COLUMNS; column++)
		fputs("---:|", out);
	fputc('\n', out);
}

void table_print(const struct table *table, enum table_format format, FILE *out)
{
	static const struct style styles[] = {
		[TABLE_TEXT] = {"", " ", "", 14, 8},
		[TABLE_MARKDOWN] = {"| ", " | ", " |", 1, 1},
		[TABLE_TABS] = {"", "\t", "", 1, 1},
	};
	struct table *sorted = malloc(sizeof(*sorted));

	if (sorted == NULL)
		abort();
	*sorted = *table;
	qsort(sorted->cells, sorted->count, sizeof(sorted->cells[0]), compare);
	print_head(&styles[format], format == TABLE_MARKDOWN, out);
	for (size_t i = 0; i < sorted->count; i++)
		print_cell(&sorted->cells[i], &styles[format], out);
	free(sorted);
}
