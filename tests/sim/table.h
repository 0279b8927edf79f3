/*
 * table: which states were tried, by store, operation of it, role of the file, file call and kind
 * of loss. A file call that was made but never failed in every way that applies to it is a hole,
 * and a hole fails the run: so the table cannot claim more than was done.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stdio.h>

#include "sim_disk.h"

/* What can happen at a call: the process ends there, the power is cut there, the call fails. */
enum table_column {
	COLUMN_KILL, /* the process ends; nothing is lost but its locks */
	COLUMN_NONE,
	COLUMN_ALL,
	COLUMN_SUBSET, /* and samples of subsets */
	COLUMN_NAMES,
	COLUMN_TORN,
	COLUMN_ZEROES,
	COLUMN_GARBAGE,
	COLUMN_EIO,
	COLUMN_ENOSPC,
	COLUMN_EDQUOT,
	COLUMN_EINTR,
	COLUMN_SHORT,
	TABLE_COLUMNS
};
#define TABLE_LOSSES                                                                               \
	COLUMN_EIO /* columns before it are states on disk, counted before and after               \
		    */

struct table_cell {
	const char *store, *operation, *role;
	enum sim_call call;
	uint64_t calls;
	uint64_t sound; /* of them, with no failure before them: these must be tried in all ways */
	uint64_t before[TABLE_COLUMNS]; /* losses just before the call, and failures of it */
	uint64_t after[TABLE_LOSSES];   /* losses just behind it */
};

#define TABLE_CELLS_MAX 1200

struct table {
	size_t count;
	struct table_cell cells[TABLE_CELLS_MAX];
};

const char *table_column_name(enum table_column column);
enum table_column table_column_of(enum sim_loss_kind kind);

/* The failure of a column, as the hook gives it to the disk. */
int table_verdict(enum table_column column);
bool table_applies(enum table_column column, enum sim_call call);

struct table_cell *table_cell(struct table *table, const char *store, const char *operation,
			      const char *role, enum sim_call call);

/* Names what was never tried; returns how many. */
size_t table_holes(const struct table *table, FILE *out);

enum table_format { TABLE_TEXT, TABLE_MARKDOWN, TABLE_TABS };
void table_print(const struct table *table, enum table_format format, FILE *out);

#endif
