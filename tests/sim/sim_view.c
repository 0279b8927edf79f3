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

void view_free(struct sim_view *view)
{
	free(view->data);
	for (size_t i = 0; i < view->name_count; i++)
		free(view->names[i].name);
	free(view->names);
	*view = (struct sim_view){0};
}

static void ensure(struct sim_view *view, size_t size)
{
	if (size <= view->capacity)
		return;
	size_t capacity = size < 4096 ? size + 64 : size + size / 2;
	char *data = realloc(view->data, capacity);

	if (data == NULL)
		abort();
	view->data = data;
	view->capacity = capacity;
}

void view_set_size(struct sim_view *view, uint64_t size)
{
	ensure(view, size);
	if (size > view->size)
		memset(view->data + view->size, 0, size - view->size);
	view->size = size;
}

void view_reserve(struct sim_view *view, uint64_t size)
{
	if (size > view->size)
		view_set_size(view, size);
}

void view_write(struct sim_view *view, uint64_t offset, const char *data, size_t length)
{
	view_reserve(view, offset + length);
	if (length > 0)
		memcpy(view->data + offset, data, length);
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
	*to = (struct sim_view){0};
	if (from->size > 0)
		view_write(to, 0, from->data, from->size);
	if (from->name_count == 0)
		return;
	to->names = sim_allocate(from->name_count * sizeof(*to->names));
	to->name_count = from->name_count;
	for (size_t i = 0; i < from->name_count; i++) {
		to->names[i].name = sim_duplicate(from->names[i].name);
		to->names[i].inode = from->names[i].inode->copy;
	}
}
