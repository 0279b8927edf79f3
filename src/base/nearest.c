/*
 * nearest: Levenshtein's distance, in a fixed room.
 *
 * Guarantees: a word of any length costs bounded memory and time. Must not know what the words are.
 */
#include "base/nearest.h"

#include <string.h>

#define NEAREST_MAX 32 /* longer words are no typing errors of ours */

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many octets must be put in, taken out or changed. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NEAREST_MAX + 1], length = strlen(b);

	if (strnlen(a, NEAREST_MAX + 1) > NEAREST_MAX || length > NEAREST_MAX)
		return NEAREST_MAX;
	for (size_t j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 1; j <= length; j++) {
			size_t replaced = diagonal + (a[i] != b[j - 1]);

			diagonal = row[j];
			row[j] = smaller(smaller(row[j], row[j - 1]) + 1, replaced);
		}
	}
	return row[length];
}

const char *nearest_word(const char *word, const char *const *names, size_t count)
{
	const char *nearest = NULL;
	size_t least = strlen(word) / 2 + 1;

	for (size_t i = 0; i < count; i++) {
		size_t found = distance(word, names[i]);

		if (found < least) {
			least = found;
			nearest = names[i];
		}
	}
	return nearest;
}
