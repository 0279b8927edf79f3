/*
 * explorer: runs something over the simulated disk and, at every single file call, follows every
 * way it may end there: the process dies, the power is cut and any allowed part of what was not
 * synced is lost. Each such state is handed, on a disk of its own, to a check, in the midst of the
 * run; then the run goes on. A run may also be told to let one call fail.
 *
 * The check recovers and looks; it may be given an explorer itself, so that recovery is cut, too.
 * States that are equal, disk and expectations, are checked once. What the disk holds just before a
 * call is what it held just behind the one before it: one state, counted for both calls.
 *
 * Every state has a path (run, point, loss, and again within the recovery), which replays it.
 * The explorer must not know what is being tested.
 */
#ifndef EXPLORER_H
#define EXPLORER_H

#include "sim_disk.h"
#include "table.h"

#define EXPLORER_DEPTH_MAX   2
#define EXPLORER_TEXT_OCTETS 400
#define EXPLORER_POINTS_MAX  2048 /* faults are tried at these; a longer run is an error */

struct explorer;

/* What is under test. */
struct subject {
	const char *name; /* goes into the table */
	/* A number for all that the check will demand; `power_cut` or only the process's end. */
	uint64_t (*expectations)(void *context, bool power_cut);
	/* Takes over the disk. `inner` is to be attached to it when not NULL. Returns true, or
	 * false with a text that says what is wrong. */
	bool (*check)(void *context, struct sim_disk *disk, bool power_cut, struct explorer *inner,
		      char text_out[EXPLORER_TEXT_OCTETS]);
	const char *(*role)(const char *path, bool directory, bool unnamed);
};

struct explorer_settings {
	uint64_t seed;
	unsigned samples;    /* of subsets, where there are too many for all */
	unsigned damages;    /* of each kind, for each pending write */
	unsigned inner_each; /* every n-th state has its recovery explored, too; 0: none */
	unsigned fault_each; /* of these, every n-th has each call of its recovery fail, the others
				only those that never did; 0: none */
	unsigned light_each; /* of runs with a fault and of recoveries, every n-th state is lost in
				all ways; the others only plainly */
	uint64_t subsets_max;
	bool verbose;
};

struct explorer_step {
	uint64_t point; /* 0: none */
	enum table_column column;
	struct sim_loss loss;
};

struct explorer_seen; /* states that were checked */

/* Shared by all explorers of one program. */
struct explorer_book {
	struct explorer_settings settings;
	struct table table;
	struct explorer_seen *seen;
	uint64_t states, distinct, failures;
	uint64_t failures_max; /* beyond it, runs only go to their end */
	bool replaying;
	struct explorer_step replay[EXPLORER_DEPTH_MAX];
	char run[64]; /* names the run, in paths */
};

struct explorer_fault {
	uint64_t point; /* 0: none */
	enum table_column column;
	bool fired;
};

struct explorer {
	struct explorer_book *book;
	const struct subject *subject;
	void *context;
	struct sim_disk *disk;
	unsigned depth;
	bool light;       /* fewer losses: for runs with a fault, and for recoveries */
	bool faults_only; /* no states at all: the fault, and what comes of it */
	struct explorer_fault fault;
	bool after_fault; /* of an outer run */
	const char *operation;
	uint64_t point;
	uint64_t operations; /* begun so far: what is random depends on nothing else */
	struct explorer_step path[EXPLORER_DEPTH_MAX];
	struct table_cell *last; /* the call before this point */
	uint64_t last_state;
	uint64_t last_counts[TABLE_LOSSES];
	struct table_cell *cells[EXPLORER_POINTS_MAX]; /* by point; NULL: no call */
};

void explorer_book_init(struct explorer_book *book, const struct explorer_settings *settings);
void explorer_book_free(struct explorer_book *book);

/* Begins to explore what happens on the disk from now on. */
void explorer_attach(struct explorer *explorer, struct sim_disk *disk);
void explorer_detach(struct explorer *explorer);

/* An operation of the thing under test begins; its name goes into the table. */
void explorer_operation(struct explorer *explorer, const char *name);

/* What is done between the two is not explored: another program's doings, a test's own look. NULL
 * is allowed. */
void explorer_pause(struct explorer *explorer);
void explorer_resume(struct explorer *explorer);

/* What is demanded has changed (something was acknowledged): the state is explored as it is. */
void explorer_checkpoint(struct explorer *explorer);

/* After a run without fault: was there a call at this point that can fail so? */
bool explorer_can_fail(const struct explorer *explorer, uint64_t point, enum table_column column);

/* Something was wrong in the run itself, at no point where it was cut. */
void explorer_fail(struct explorer *explorer, const char *text);

/* "POINT:LOSS:NUMBER[,POINT:LOSS:NUMBER]" as printed with a failure. */
bool explorer_parse_path(const char *text, struct explorer_step steps_out[EXPLORER_DEPTH_MAX]);

#endif
