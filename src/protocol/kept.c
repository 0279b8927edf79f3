/*
 * kept: copies of a peer's octets, see kept.h.
 *
 * Guarantees: nothing that was kept stays readable in freed memory.
 */
#include "protocol/kept.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool kept_set(struct bytes *kept, struct bytes source)
{
	char *copy = malloc(source.length > 0 ? source.length : 1);

	kept_drop(kept);
	if (copy == NULL)
		return false;
	if (source.length > 0)
		memcpy(copy, source.data, source.length);
	*kept = (struct bytes){copy, source.length};
	return true;
}

void kept_drop(struct bytes *kept)
{
	char *octets = (char *)(uintptr_t)kept->data;

	if (octets != NULL)
		explicit_bzero(octets, kept->length);
	free(octets);
	*kept = (struct bytes){NULL, 0};
}
