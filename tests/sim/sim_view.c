/*
 * sim_view: the content of one file, or the names of one directory, at one time.
 *
 * Pure data: knows no disk, no pending changes and no power cuts.
 */
#include <stdlib.h>
#include <string.h>

#include "sim_inode.h"

void *sim_allocate(size_t size)
{
	void *memory = calloc(1, size > 0 ? size : 1);

	if (memory == NULL)
		abort();
	return memory;
}

char *sim_duplicate(const char *text)
{
	size_t octets = strlen(text) + 1;

	return memcpy(sim_allocate(octets), text, octets);
}

uint64_t sim_mix(uint64_t a, uint64_t b)
{
	uint64_t x = a * 0x9E3779B97F4A7C15ULL + b + 0x632BE59BD9B4E019ULL;

	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
	return x ^ (x >> 31);
}

uint64_t sim_hash(uint64_t sum, const char *data, size_t size)
{
	uint64_t word;

	for (; size >= sizeof(word); data += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		sum = (sum ^ word) * 0x9E3779B97F4A7C15ULL;
		sum ^= sum >> 29;
	}
	for (; size > 0; data++, size--)
		sum = sim_mix(sum, (unsigned char)*data);
	return sum;
}

static void let_go(struct sim_octets *octets)
{
	if (octets != NULL && --octets->references == 0)
		free(octets);
}

void view_free(struct sim_view *view)
{
	let_go(view->octets);
	for (size_t i = 0; i < view->name_count; i++)
		free(view->names[i].name);
	free(view->names);
	*view = (struct sim_view){0};
}

const char *view_data(const struct sim_view *view)
{
	return view->octets != NULL ? view->octets->data : "";
}

uint64_t view_digest(const struct sim_view *view)
{
	struct sim_octets *octets = view->octets;

	if (octets == NULL || view->size == 0)
		return 0;
	if (octets->digested != view->size) {
		octets->digest = sim_hash(1, octets->data, view->size);
		octets->digested = view->size;
	}
	return octets->digest;
}

/* Makes the octets this view's own, with room for `size`. */
static void own(struct sim_view *view, size_t size)
{
	struct sim_octets *old = view->octets;

	if (old != NULL && old->references == 1 && size <= old->capacity) {
		old->digested = 0;
		return;
	}
	size_t capacity = size < 4096 ? size + 64 : size + size / 2;
	struct sim_octets *octets = malloc(sizeof(*octets) + capacity);

	if (octets == NULL)
		abort();
	*octets = (struct sim_octets){.references = 1, .capacity = capacity};
	if (old != NULL)
		memcpy(octets->data, old->data, view->size < size ? view->size : size);
	let_go(old);
	view->octets = octets;
}

void view_set_size(struct sim_view *view, uint64_t size)
{
	own(view, size);
	if (size > view->size)
		memset(view->octets->data + view->size, 0, size - view->size);
	view->size = size;
}

void view_write(struct sim_view *view, uint64_t offset, const char *data, size_t length)
{
	if (offset + length > view->size)
		view_set_size(view, offset + length);
	own(view, view->size);
	if (length > 0)
		memcpy(view->octets->data + offset, data, length);
}

static size_t position(const struct sim_view *view, const char *name)
{
	size_t i = 0;

	while (i < view->name_count && strcmp(view->names[i].name, name) != 0)
		i++;
	return i;
}

struct sim_inode *view_find(const struct sim_view *view, const char *name)
{
	size_t i = position(view, name);

	return i < view->name_count ? view->names[i].inode : NULL;
}

void view_add(struct sim_view *view, const char *name, struct sim_inode *inode)
{
	size_t i = position(view, name);

	if (i == view->name_count) {
		view->names = realloc(view->names, (i + 1) * sizeof(*view->names));
		if (view->names == NULL)
			abort();
		view->names[i].name = sim_duplicate(name);
		view->name_count++;
	}
	view->names[i].inode = inode;
}

void view_remove(struct sim_view *view, const char *name)
{
	size_t i = position(view, name);

	if (i == view->name_count)
		return;
	free(view->names[i].name);
	view->name_count--;
	memmove(view->names + i, view->names + i + 1,
		(view->name_count - i) * sizeof(*view->names));
}

void view_copy(struct sim_view *to, const struct sim_view *from)
{
	*to = (struct sim_view){.octets = from->octets, .size = from->size, .modified_ns = from->modified_ns};
	if (to->octets != NULL)
		to->octets->references++;
	if (from->name_count == 0)
		return;
	to->names = sim_allocate(from->name_count * sizeof(*to->names));
	to->name_count = from->name_count;
	for (size_t i = 0; i < from->name_count; i++) {
		to->names[i].name = sim_duplicate(from->names[i].name);
		to->names[i].inode = from->names[i].inode->copy;
	}
}
