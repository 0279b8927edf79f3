/*
 * command: finds a command's row, and reports failures in one form.
 *
 * Guarantees: a wrong word changes nothing and is answered with the nearest right one and EX_USAGE;
 * help asked for goes to standard output with 0, help not asked for to standard error.
 *
 * Must not know: what any command does.
 */
#include "cli/command.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/nearest.h"

#define TABLE_MAX 16

static void print_table(FILE *out, const struct context *context, const struct command_table *table)
{
	const char *space = context->name[0] ? " " : "";

	fprintf(out, "usage: postern%s%s COMMAND [ARGUMENT...]\n\n%s\n\ncommands:\n", space,
		context->name, table->about);
	for (size_t i = 0; i < table->count; i++)
		fprintf(out, "  %-10s %s\n", table->rows[i].name, table->rows[i].summary);
	fprintf(out, "\n\"postern%s%s COMMAND --help\" explains one, with examples.\n", space,
		context->name);
	if (table->footer)
		fprintf(out, "\n%s\n", table->footer);
}

static int unknown_word(const struct context *context, const struct command_table *table,
			const char *word)
{
	const char *names[TABLE_MAX], *nearest;
	char room[80];

	assert(table->count <= TABLE_MAX);
	for (size_t i = 0; i < table->count; i++)
		names[i] = table->rows[i].name;
	nearest = nearest_word(word, names, table->count);
	error_escape(bytes_of(word), room, sizeof(room));
	if (nearest)
		return command_fail_usage(context, "there is no command %s; did you mean %s?", room,
					  nearest);
	return command_fail_usage(context, "there is no command %s", room);
}

static void add_name(struct context *context, const char *word)
{
	size_t length = strlen(context->name);

	snprintf(context->name + length, sizeof(context->name) - length, "%s%s", length ? " " : "",
		 word);
}

int command_dispatch(struct context *context, const struct command_table *table, int argc,
		     char **argv)
{
	if (argc < 2) {
		print_table(stderr, context, table);
		return EX_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_table(stdout, context, table);
		return EX_OK;
	}
	for (size_t i = 0; i < table->count; i++) {
		if (strcmp(argv[1], table->rows[i].name) != 0)
			continue;
		add_name(context, argv[1]);
		return table->rows[i].run(context, argc - 1, argv + 1);
	}
	return unknown_word(context, table, argv[1]);
}

int command_fail(const struct context *context, const struct error *error)
{
	assert(error->code != ERROR_NONE);
	fflush(stdout);
	fprintf(stderr, "postern%s%s: %s\n", context->name[0] ? " " : "", context->name,
		error->text);
	return error_meaning(error->code)->exit_code;
}

int command_fail_usage(const struct context *context, const char *format, ...)
{
	const char *space = context->name[0] ? " " : "";
	va_list arguments;

	fprintf(stderr, "postern%s%s: ", space, context->name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\ntry: postern%s%s --help\n", space, context->name);
	return EX_USAGE;
}
