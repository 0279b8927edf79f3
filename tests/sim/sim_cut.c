/*
 * sim_cut: what a power cut leaves.
 *
 * Guarantees that the result holds everything that was synced, and of everything else only what
 * the model in sim_disk.h allows. Each loss is a pure function of disk, kind and number.
 */
#include <stdlib.h>
#include <string.h>

#include "sim_inode.h"

enum fate { FATE_LOST, FATE_KEPT, FATE_TORN, FATE_ZEROES, FATE_GARBAGE };

struct cutter {
	struct sim_disk *disk; /* the copy that is cut */
	enum sim_loss_kind kind;
	uint64_t random;
	uint64_t digits; /* what is left of a SUBSET's number */
	size_t changes;
	struct sim_change **list;
	enum fate *fates;
};

static uint64_t draw(struct cutter *cutter, uint64_t below)
{
	cutter->random = sim_mix(cutter->random, 0x5D);
	return below == 0 ? 0 : (cutter->random >> 11) % below;
}

static bool is_name(const struct sim_change *change)
{
	return change->kind == CHANGE_ADD || change->kind == CHANGE_REMOVE ||
	       change->kind == CHANGE_MOVE;
}

/* Is this the first change of names in its directory that can be lost? */
static bool leads_its_directory(const struct sim_change *first, const struct sim_change *change)
{
	for (; first != change; first = first->next)
		if (first->inode == change->inode && is_name(first) && !first->settled)
			return false;
	return true;
}

static uint64_t names_of_directory(const struct sim_change *change)
{
	uint64_t count = 0;

	for (const struct sim_change *one = change; one != NULL; one = one->next)
		if (one->inode == change->inode && is_name(one) && !one->settled)
			count++;
	return count;
}

uint64_t sim_disk_subsets(const struct sim_disk *disk)
{
	uint64_t subsets = 1;

	for (const struct sim_change *one = disk->pending; one != NULL; one = one->next) {
		uint64_t choices = 2;

		if (one->settled || subsets > UINT32_MAX)
			continue;
		if (is_name(one) && !leads_its_directory(disk->pending, one))
			continue;
		if (is_name(one))
			choices = names_of_directory(one) + 1;
		subsets *= choices;
	}
	return subsets;
}

static void keep_first_names(struct cutter *cutter, size_t at, uint64_t count)
{
	for (size_t i = at; i < cutter->changes; i++) {
		const struct sim_change *one = cutter->list[i];

		if (one->inode != cutter->list[at]->inode || !is_name(one) || one->settled)
			continue;
		cutter->fates[i] = count > 0 ? FATE_KEPT : FATE_LOST;
		count -= count > 0;
	}
}

/* The next choice: a digit of the number, or drawn. */
static uint64_t choose(struct cutter *cutter, uint64_t choices)
{
	if (cutter->kind != SIM_LOSS_SUBSET)
		return draw(cutter, choices);
	uint64_t digit = cutter->digits % choices;

	cutter->digits /= choices;
	return digit;
}

static void choose_fates(struct cutter *cutter)
{
	const struct sim_change *first = cutter->disk->pending;

	for (size_t i = 0; i < cutter->changes; i++) {
		const struct sim_change *one = cutter->list[i];

		if (one->settled)
			cutter->fates[i] = FATE_KEPT;
		else if (!is_name(one) || cutter->kind == SIM_LOSS_NAMES)
			cutter->fates[i] = choose(cutter, 2) == 1 ? FATE_KEPT : FATE_LOST;
		else if (leads_its_directory(first, one))
			keep_first_names(cutter, i, choose(cutter, names_of_directory(one) + 1));
	}
}

static void set_fates(struct cutter *cutter, enum fate fate, size_t from)
{
	for (size_t i = from; i < cutter->changes; i++)
		cutter->fates[i] = cutter->list[i]->settled ? FATE_KEPT : fate;
}

/* One write gets the fate of the kind; the rest is kept, or kept before it and lost behind it, or
 * lost but for names, or drawn. */
static void damage_one_write(struct cutter *cutter, uint64_t number)
{
	uint64_t writes = sim_disk_pending_writes(cutter->disk);
	uint64_t wanted = writes > 0 ? number % writes : 0;
	uint64_t rest = writes > 0 ? number / writes % 4 : 0;
	size_t at = 0;

	while (at < cutter->changes && (cutter->list[at]->kind != CHANGE_WRITE ||
					cutter->list[at]->settled || wanted-- > 0))
		at++;
	if (rest == 3)
		choose_fates(cutter);
	else
		set_fates(cutter, FATE_KEPT, 0);
	if (rest == 1)
		set_fates(cutter, FATE_LOST, at);
	for (size_t i = 0; rest == 2 && i < cutter->changes; i++)
		if (!is_name(cutter->list[i]) && !cutter->list[i]->settled)
			cutter->fates[i] = FATE_LOST;
	if (at < cutter->changes)
		cutter->fates[at] = cutter->kind == SIM_LOSS_TORN     ? FATE_TORN
				    : cutter->kind == SIM_LOSS_ZEROES ? FATE_ZEROES
								      : FATE_GARBAGE;
}

static void decide(struct cutter *cutter, uint64_t number)
{
	switch (cutter->kind) {
	case SIM_LOSS_NONE:
		set_fates(cutter, FATE_KEPT, 0);
		break;
	case SIM_LOSS_ALL:
		set_fates(cutter, FATE_LOST, 0);
		break;
	case SIM_LOSS_SUBSET:
	case SIM_LOSS_SAMPLE:
	case SIM_LOSS_NAMES:
		choose_fates(cutter);
		break;
	default:
		damage_one_write(cutter, number);
		break;
	}
}

/* Pieces of what stands in other blocks, shorter than any record (sim_disk.h). */
static void fill_with_garbage(struct cutter *cutter, char *out, size_t length)
{
	const struct sim_inode *other = cutter->disk->inodes;

	for (uint64_t skip = draw(cutter, 6); other->next != NULL && skip > 0; skip--)
		other = other->next;
	uint64_t from = draw(cutter, other->stable.size);

	for (size_t i = 0; i < length; i++) {
		if (i % SIM_FRAGMENT_OCTETS == 0)
			from = draw(cutter, other->stable.size);
		out[i] = from < other->stable.size ? view_data(&other->stable)[from++]
						   : (char)draw(cutter, 256);
	}
}

/* One sector of a damaged write. Beyond the old size there is nothing old: zeroes or garbage. */
static void damage_sector(struct cutter *cutter, struct sim_view *view, enum fate fate,
			  const struct sim_change *change, uint64_t from, uint64_t to,
			  uint64_t old_size)
{
	char sector[SIM_SECTOR_OCTETS] = {0};

	if (fate == FATE_KEPT) {
		view_write(view, from, change->data + (from - change->offset), to - from);
		return;
	}
	if (from < old_size)
		from = to < old_size ? to : old_size;
	if (fate == FATE_GARBAGE)
		fill_with_garbage(cutter, sector, to - from);
	view_write(view, from, sector, to - from);
}

/* From what octet on, and up to which, the new data are there; between, sectors may be picked. */
struct tear {
	uint64_t first, last;
	bool pick;
	bool short_size; /* the file ends where the data do */
};

static struct tear draw_tear(struct cutter *cutter, const struct sim_change *change, enum fate fate)
{
	uint64_t end = change->offset + change->length;
	uint64_t middle = change->offset + draw(cutter, change->length + 1);
	uint64_t sector = middle - middle % SIM_SECTOR_OCTETS;
	uint64_t shape = draw(cutter, fate == FATE_TORN ? 6 : 4);

	if (sector < change->offset)
		sector = change->offset;
	switch (shape) {
	case 0: /* a beginning */
		return (struct tear){.first = change->offset, .last = sector};
	case 1: /* nothing of it */
		return (struct tear){.first = end, .last = end};
	case 2: /* some sectors */
		return (struct tear){.first = change->offset, .last = end, .pick = true};
	case 3: /* an end */
		return (struct tear){.first = sector, .last = end};
	case 4:
		return (struct tear){.first = change->offset, .last = sector, .short_size = true};
	default:
		return (struct tear){.first = change->offset, .last = middle, .short_size = true};
	}
}

static void apply_damaged(struct cutter *cutter, struct sim_view *view,
			  const struct sim_change *change, enum fate fate)
{
	struct tear tear = draw_tear(cutter, change, fate);
	uint64_t old_size = view->size, to;
	uint64_t end = tear.short_size ? tear.last : change->offset + change->length;
	enum fate otherwise = fate == FATE_GARBAGE ? FATE_GARBAGE : FATE_LOST;

	for (uint64_t from = change->offset; from < end; from = to) {
		to = from + SIM_SECTOR_OCTETS - from % SIM_SECTOR_OCTETS;
		if (to > end)
			to = end;
		bool kept = from >= tear.first && to <= tear.last &&
			    (!tear.pick || draw(cutter, 2) == 1);

		damage_sector(cutter, view, kept ? FATE_KEPT : otherwise, change, from, to,
			      old_size);
	}
}

static void apply_all(struct cutter *cutter)
{
	for (size_t i = 0; i < cutter->changes; i++) {
		struct sim_change *change = cutter->list[i];

		if (cutter->fates[i] == FATE_KEPT)
			sim_change_apply(&change->inode->stable, change);
		else if (cutter->fates[i] != FATE_LOST)
			apply_damaged(cutter, &change->inode->stable, change, cutter->fates[i]);
	}
}

/* What is stable is now all there is. */
static void forget_the_rest(struct sim_disk *disk)
{
	while (disk->pending != NULL) {
		struct sim_change *change = disk->pending;

		disk->pending = change->next;
		sim_change_free(change);
	}
	disk->pending_end = &disk->pending;
	for (struct sim_inode *inode = disk->inodes; inode != NULL; inode = inode->next) {
		view_free(&inode->visible);
		inode->copy = inode;
	}
	for (struct sim_inode *inode = disk->inodes; inode != NULL; inode = inode->next)
		view_copy(&inode->visible, &inode->stable);
	sim_disk_collect(disk);
	disk->boots++;
	disk->now_ns += SIM_REBOOT_NS;
}

struct sim_disk *sim_disk_cut(const struct sim_disk *disk, struct sim_loss loss)
{
	struct cutter cutter = {
		.disk = sim_disk_copy(disk),
		.kind = loss.kind,
		.random = sim_mix(disk->seed, sim_mix(loss.number, (uint64_t)loss.kind)),
		.digits = loss.number,
	};

	for (struct sim_change *one = cutter.disk->pending; one != NULL; one = one->next)
		cutter.changes++;
	cutter.list = sim_allocate(cutter.changes * sizeof(struct sim_change *));
	cutter.fates = sim_allocate(cutter.changes * sizeof(*cutter.fates));
	size_t i = 0;

	for (struct sim_change *one = cutter.disk->pending; one != NULL; one = one->next)
		cutter.list[i++] = one;
	decide(&cutter, loss.number);
	apply_all(&cutter);
	forget_the_rest(cutter.disk);
	free(cutter.list);
	free(cutter.fates);
	return cutter.disk;
}

const char *sim_loss_name(enum sim_loss_kind kind)
{
	static const char *names[SIM_LOSS_KINDS] = {"none",  "all",  "subset", "sample",
						    "names", "torn", "zeroes", "garbage"};

	return names[kind];
}
