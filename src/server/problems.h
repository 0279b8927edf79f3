/*
 * problems: all that is wrong with the set-up of an instance, in the order in which it was found.
 * Whoever looks goes on behind a problem, so that an operator sees every one at once.
 */
#ifndef SERVER_PROBLEMS_H
#define SERVER_PROBLEMS_H

#include <stdio.h>

#include "base/error.h"

/* All zero: none. */
struct problems {
	size_t count;
	size_t kept, room; /* texts: fewer than `count` when memory has run out */
	struct error *list;
};

/* The same as error_set(), once more. */
enum error_code problems_add(struct problems *problems, enum error_code code, const char *format,
			     ...) __attribute__((format(printf, 3, 4)));

/* One that a function returned. Returns its code. */
enum error_code problems_take(struct problems *problems, const struct error *error);

/* The first one, and how many there are besides, as one error; ERROR_NONE when there is none. */
enum error_code problems_first(const struct problems *problems, struct error *error);

/* Back to none. */
void problems_free(struct problems *problems);

/* One line each, behind `prefix`. */
void problems_print(const struct problems *problems, const char *prefix, FILE *out);

#endif
