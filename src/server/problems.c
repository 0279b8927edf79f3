/*
 * problems: a list that is full goes on counting.
 *
 * Guarantees: none is forgotten without being counted. Must not know what they are about.
 */
#include "server/problems.h"

#include <stdarg.h>
#include <string.h>

enum error_code problems_take(struct problems *problems, const struct error *error)
{
	if (problems->count < PROBLEMS_MAX)
		problems->list[problems->count] = *error;
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
	if (problems->count > 1)
		(void)snprintf(more, sizeof(more), " (and %zu more: serve --check lists them)",
			       problems->count - 1);
	return error_set(error, problems->list[0].code, "%.*s%s",
			 (int)(ERROR_TEXT_MAX - sizeof(more)), problems->list[0].text, more);
}

void problems_print(const struct problems *problems, const char *prefix, FILE *out)
{
	for (size_t i = 0; i < problems->count && i < PROBLEMS_MAX; i++)
		(void)fprintf(out, "%s%s\n", prefix, problems->list[i].text);
	if (problems->count > PROBLEMS_MAX)
		(void)fprintf(out, "%sand %zu more\n", prefix, problems->count - PROBLEMS_MAX);
}
