/*
 * brought: see brought.h. Must not know: kinds of store.
 */
#include "store/brought.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/lock.h"

static int compare_uids(const void *a, const void *b)
{
	const struct bytes *one = a, *two = b;
	size_t shorter = one->length < two->length ? one->length : two->length;
	int order = memcmp(one->data, two->data, shorter);
	return order != 0 ? order : (one->length > shorter) - (two->length > shorter);
}

static enum store_result find_uids(struct index *index, struct bytes *uids, size_t count)
{
	struct index_entry entry;
	struct index_walk walk = index_walk(index);
	qsort(uids, count, sizeof *uids, compare_uids);
	for (size_t i = 1; i < count; i++)
		if (bytes_equal(uids[i - 1], uids[i]))
			return STORE_EXISTS;
	while (index_next(&walk, &entry)) {
		struct bytes uid = {entry.uid, entry.uid_length};
		if (bsearch(&uid, uids, count, sizeof *uids, compare_uids) != NULL)
			return STORE_EXISTS;
	}
	return walk.result;
}

enum store_result brought_are_new(struct index *index, const struct delivery_request *requests,
				  size_t count, struct error *error)
{
	size_t brought = 0;
	struct bytes *uids = calloc(count, sizeof *uids);
	if (uids == NULL)
		return store_failure(error, -ENOMEM, "while delivering");
	for (size_t i = 0; i < count; i++)
		if (requests[i].uid.length > 0)
			uids[brought++] = requests[i].uid;
	enum store_result result = brought > 0 ? find_uids(index, uids, brought) : STORE_OK;
	free(uids);
	if (result == STORE_EXISTS)
		error_set(error, ERROR_DATA, "a message with this unique-id is there already");
	else if (result != STORE_OK)
		error_set(error, ERROR_IO, "the index cannot be read");
	return result;
}
