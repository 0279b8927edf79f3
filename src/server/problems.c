/*
 * problems: a list that grows, and goes on counting when it cannot.
 *
 * Guarantees: none is forgotten without being counted. Must not know what they are about.
 */
#include "server/problems.h"

#include <stdarg.h>
#include <stdlib.h>

#define ROOM_FIRST 16

static bool make_room(struct problems *problems)
{
	size_t room = problems->room ? 2 * problems->room : ROOM_FIRST;
	struct error *list;

	if (problems->kept < problems->room)
		return true;
	list = realloc(problems->list, room * sizeof(*list));
	if (!list)
		return false;
	problems->list = list;
	problems->room = room;
	return true;
}

void problems_free(struct problems *problems)
{
	free(problems->list);
	*problems = (struct problems){.count = 0};
}

enum error_code problems_take(struct problems *problems, const struct error *error)
{
	if (make_room(problems))
		problems->list[problems->kept++] = *error;
	problems->count++;
	return error->code;
}

enum error_code problems_add(struct problems *problems, enum error_code code, const char *format,
			     ...)
{
	struct error error = {.code = code};
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(error.text, sizeof(error.text), format, arguments);
	va_end(arguments);
	return problems_take(problems, &error);
}

enum error_code problems_first(const struct problems *problems, struct error *error)
{
	char more[64] = "";

	if (problems->count == 0)
		return ERROR_NONE;
	if (problems->kept == 0)
		return error_set(error, ERROR_TEMPORARY, "out of memory");
	if (problems->count > 1)
		(void)snprintf(more, sizeof(more), " (and %zu more: serve --check lists them)",
			       problems->count - 1);
	return error_set(error, problems->list[0].code, "%.*s%s",
			 (int)(ERROR_TEXT_MAX - sizeof(more)), problems->list[0].text, more);
}

void problems_print(const struct problems *problems, const char *prefix, FILE *out)
{
	for (size_t i = 0; i < problems->kept; i++)
		(void)fprintf(out, "%s%s\n", prefix, problems->list[i].text);
	if (problems->count > problems->kept)
		(void)fprintf(out, "%sand %zu more: memory has run out\n", prefix,
			      problems->count - problems->kept);
}
