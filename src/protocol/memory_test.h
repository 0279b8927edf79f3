/*
 * memory_test: allocations that fail on purpose, for tests linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc (see meson.build).
 */
#ifndef PROTOCOL_MEMORY_TEST_H
#define PROTOCOL_MEMORY_TEST_H

#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static long memory_left = -1; /* allocations until one fails; negative: none does */
static bool memory_stays_out; /* all that follow fail too */
static bool memory_ran_out;   /* one has failed */

static inline void memory_fail_at(long allocation, bool stays_out)
{
	memory_left = allocation;
	memory_stays_out = stays_out;
	memory_ran_out = false;
}

static bool memory_fails(void)
{
	if (memory_left < 0)
		return false;
	if (memory_left-- > 0)
		return false;
	memory_ran_out = true;
	if (memory_stays_out)
		memory_left = 0;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return memory_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return memory_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return memory_fails() ? NULL : __real_realloc(old, size);
}

#endif
