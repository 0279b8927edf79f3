/*
 * world: one process of a server over a simulated disk, with a model of what it must hold.
 *
 * Each step calls the store as the server does, tells the explorer the operation's name, and keeps
 * the model: before a call what may happen, after it what was promised. What goes wrong is kept as
 * the world's problem, the first one.
 */
#ifndef WORLD_H
#define WORLD_H

#include "explorer.h"
#include "kinds.h"
#include "model.h"
#include "store/store.h"

struct world;
typedef void world_step(struct world *world);

struct world {
	struct sim_disk *disk;
	struct explorer *explorer; /* NULL: nothing is explored */
	struct store_root root;
	struct model model;
	const struct world_kind *kind;
	world_step *others; /* what other programs do between a cut and the recovery, or NULL */
	bool full;          /* the disk may have no room: FULL is an answer */
	bool batch;         /* several messages were written at once */
	bool reserve;       /* this server keeps a reserve for removals on a full disk */
	bool disorder;      /* other programs have left what verify names until a repair */
	bool converting;    /* the first maildrop is on its way to another place */
	bool moved;         /* its account's row names the other place */
	bool started;       /* by this world, out of a power cut: all that it finds is stable */
	bool killed;        /* by this world, out of a process's end alone */
	unsigned level;     /* how many recoveries deep; each delivers another message */
	uint64_t now_ms, outer_ms; /* a millisecond goes by with each operation */
	char problem[EXPLORER_TEXT_OCTETS];
};

void world_start(struct world *world, struct sim_disk *disk); /* model and flags stay */
void world_stop(struct world *world);                         /* the disk stays */
void world_problem(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

struct place world_place(const struct world *world, size_t drop);

/* One message, whole: draft, prepare, finish. `uid`: brought along, or NULL. */
void world_deliver(struct world *world, size_t drop, size_t message, const char *uid);
void world_abort(struct world *world, size_t drop, size_t message);
/* Something happens between prepare and the taking back. */
void world_abort_with(struct world *world, size_t drop, size_t message, world_step *between);
/* One message for both maildrops: both are prepared before either is finished. */
void world_deliver_to_both(struct world *world, size_t message);
/* Several messages in one delivery. */
void world_import(struct world *world, size_t drop, size_t first, size_t count);

struct session {
	struct maildrop *maildrop; /* NULL: it could not be opened */
	uint32_t messages;
	size_t entries[MODEL_ENTRIES_MAX]; /* message number - 1 -> entry of the model */
};

/* Opens, lists, reads everything and compares. */
void world_open(struct world *world, size_t drop, struct session *session_out);
/* Brings every message of which nobody knows whether it arrived, and which has a unique-id of its
 * own, once more: there or delivered, it is safe afterwards. */
void world_bring_again(struct world *world, size_t drop);
/* Removes the messages whose bit is set (bit 0: message 1) and closes. */
void world_update(struct world *world, size_t drop, struct session *session, unsigned deleted);
void world_repair(struct world *world, size_t drop);
/* Moves the first maildrop; its row is on stable storage at once. */
void world_convert(struct world *world);
/* Ends a move that was cut, if there is one. */
void world_resume(struct world *world);
void world_close(struct session *session);
void world_look(struct world *world, size_t drop); /* open and close */
void world_verify(struct world *world, size_t drop);

/* What a server does after a crash, and then some: look twice, verify, deliver, look, verify.
 * Deeper by one level afterwards. */
void world_recover(struct world *world);

#endif
