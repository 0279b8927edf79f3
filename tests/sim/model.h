/*
 * model: what the maildrops must hold, kept beside the store and simpler than it.
 *
 * Each message of a maildrop has two states: what a session must see as long as the machine runs
 * (a process may end), and what must be there after a power cut. Acknowledged is PRESENT in both;
 * on its way, or half way taken back, is MAYBE; deleted with OK is ABSENT in both.
 *
 * Must not know the simulated disk, nor how the store keeps anything.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/limits.h"

/* A message as a test delivers it, and as it must come out. */
struct message {
	struct bytes headers, body;
	struct bytes stored; /* both, ended by LF */
	uint64_t wire_octets;
};

#define MODEL_MESSAGES 16 /* all different; the last four are for deliveries after recoveries */
#define MODEL_LARGE    5  /* the number of one larger than a draft's memory */
#define MODEL_FRESH    (MODEL_MESSAGES - 4)
const struct message *model_message(size_t number);
void model_make_messages(void); /* once */
void model_free_messages(void);

enum presence { ABSENT, PRESENT, MAYBE };

struct model_entry {
	size_t message;
	enum presence now, after_cut;
	char uid[UID_MAX + 1]; /* empty while unknown */
	bool brought;          /* the unique-id came with the message */
	bool again; /* delivered once more: the first copy may come back in its old place */
	bool seen;  /* by the observation under way */
};

#define MODEL_ENTRIES_MAX 20
#define MODEL_DROPS_MAX   2

struct model_drop {
	size_t count;
	struct model_entry entries[MODEL_ENTRIES_MAX]; /* in the order of delivery */
};

struct model {
	size_t drops_count;
	struct model_drop drops[MODEL_DROPS_MAX];
};

struct model_entry *model_add(struct model *model, size_t drop, size_t message);

/* It was delivered anew, behind all others. */
struct model_entry *model_move_to_end(struct model_drop *drop, struct model_entry *entry);

/* The power was cut: what must be there after it must be there now. */
void model_cut(struct model *model);
uint64_t model_digest(const struct model *model, bool power_cut);

/* An observation is begin, one model_see for each message in order, end. Each returns NULL, or what
 * is wrong. With `settled` (the machine has just started, everything seen is on stable storage)
 * what may be there is decided for good. */
void model_begin(struct model_drop *drop);
const char *model_see(struct model_drop *drop, struct bytes stored, uint64_t octets,
		      const char *uid, struct model_entry **entry_out);
const char *model_end(struct model_drop *drop, bool settled);

#endif
