/*
 * uid_set: see uid_set.h. Must not know what it is for.
 */
#include "store/uid_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/lock.h"

#define TABLE_BLOCK 64

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static enum store_result take_block(struct uid_set *set, struct maildrop *maildrop, uint32_t count,
				    struct error *error)
{
	struct maildrop_entry entries[TABLE_BLOCK];
	enum store_result result =
		maildrop_table(maildrop, (uint32_t)set->count + 1, count, false, entries, error);
	for (uint32_t i = 0; i < count && result == STORE_OK; i++)
		memcpy(set->list[set->count++], entries[i].uid, sizeof entries[i].uid);
	return result;
}

enum store_result uid_set_take(struct uid_set *set_out, struct maildrop *maildrop,
			       struct error *error)
{
	uint32_t total = maildrop_summary(maildrop).messages;
	enum store_result result = STORE_OK;
	*set_out = (struct uid_set){.list = calloc((size_t)total + 1, sizeof *set_out->list)};
	if (set_out->list == NULL)
		return store_failure(error, -ENOMEM, "while listing unique-ids");
	while (set_out->count < total && result == STORE_OK) {
		uint32_t left = total - (uint32_t)set_out->count;
		result = take_block(set_out, maildrop, left < TABLE_BLOCK ? left : TABLE_BLOCK,
				    error);
	}
	qsort(set_out->list, set_out->count, sizeof *set_out->list, compare);
	return result;
}

bool uid_set_has(const struct uid_set *set, const char *uid)
{
	return set->count > 0 &&
	       bsearch(uid, set->list, set->count, sizeof *set->list, compare) != NULL;
}

void uid_set_free(struct uid_set *set)
{
	free(set->list);
	*set = (struct uid_set){0};
}
