/*
 * option: options and operands by getopt_long, help from the same table.
 *
 * Guarantees: an unknown option, a missing value, a repeated one or a wrong number of operands is
 * named, and nothing else happens. Words from the command line are escaped before they are shown.
 *
 * Must not know: any command.
 */
#include "cli/option.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/nearest.h"

#define ROWS_MAX 16
#define FOUND    1 /* what getopt_long returns for a row; no letter */

static void print_page(const struct context *context, const struct option_page *page)
{
	printf("usage: postern %s%s%s%s\n\n%s\n", context->name,
	       page->row_count > 0 ? " [OPTION...]" : "", page->operands[0] ? " " : "",
	       page->operands, page->about);
	if (page->row_count > 0)
		printf("\noptions:\n");
	for (size_t i = 0; i < page->row_count; i++) {
		const struct option_row *row = &page->rows[i];
		int width = printf("  --%s%s%s", row->name, row->value_name ? " " : "",
				   row->value_name ? row->value_name : "");

		printf("%*s %s%s\n", width < 26 ? 26 - width : 1, "", row->help,
		       row->list ? " (repeatable)" : "");
	}
	printf("\nexamples:\n%s\n", page->examples);
}

static void fill_options(const struct option_page *page, struct option *options)
{
	assert(page->row_count <= ROWS_MAX);
	for (size_t i = 0; i < page->row_count; i++)
		options[i] = (struct option){.name = page->rows[i].name,
					     .has_arg = page->rows[i].flag ? no_argument
									   : required_argument,
					     .val = FOUND};
	options[page->row_count] = (struct option){.name = "help", .val = 'h'};
	options[page->row_count + 1] = (struct option){.name = NULL};
}

/* False when it was given before or there are too many. */
static bool take_value(const struct option_row *row, const char *value)
{
	if (row->flag) {
		*row->flag = true;
		return true;
	}
	if (row->text) {
		bool first = *row->text == NULL;

		*row->text = value;
		return first;
	}
	if (row->list->count == OPTION_LIST_MAX)
		return false;
	row->list->values[row->list->count++] = value;
	return true;
}

/* What getopt_long did not understand: a letter, a word, or a flag that was given a value. */
static int unknown_option(const struct context *context, const struct option_page *page,
			  const char *word)
{
	const char *names[ROWS_MAX], *nearest;
	char room[80];

	if (optopt == FOUND)
		return command_fail_usage(
			context, "--%s takes no value",
			error_escape(bytes_first(bytes_of(word + 2), strcspn(word + 2, "=")), room,
				     sizeof(room)));
	if (optopt != 0)
		return command_fail_usage(context,
					  "there is no option -%c (operands that begin with a "
					  "hyphen come behind --)",
					  optopt > ' ' && optopt < 0x7f ? optopt : '?');
	for (size_t i = 0; i < page->row_count; i++)
		names[i] = page->rows[i].name;
	nearest = nearest_word(word + 2, names, page->row_count);
	error_escape(bytes_of(word), room, sizeof(room));
	if (nearest)
		return command_fail_usage(context, "there is no option %s; did you mean --%s?",
					  room, nearest);
	return command_fail_usage(context, "there is no option %s", room);
}

static bool parse_options(const struct context *context, const struct option_page *page, int argc,
			  char **argv, int *exit_code_out)
{
	struct option options[ROWS_MAX + 2];
	int letter, index = 0;

	fill_options(page, options);
	opterr = 0;
	optind = 0; /* GNU: start anew, the words before were another table's */
	while ((letter = getopt_long(argc, argv, ":h", options, &index)) != -1) {
		if (letter == 'h') {
			print_page(context, page);
			*exit_code_out = EX_OK;
			return false;
		}
		if (letter == ':') {
			*exit_code_out =
				command_fail_usage(context, "%s needs a value", argv[optind - 1]);
			return false;
		}
		if (letter != FOUND) {
			*exit_code_out = unknown_option(context, page, argv[optind - 1]);
			return false;
		}
		if (!take_value(&page->rows[index], optarg)) {
			*exit_code_out = command_fail_usage(context, "--%s is given too often",
							    page->rows[index].name);
			return false;
		}
	}
	return true;
}

bool option_parse(const struct context *context, const struct option_page *page, int argc,
		  char **argv, char ***operands_out, int *operand_count_out, int *exit_code_out)
{
	int count;

	if (!parse_options(context, page, argc, argv, exit_code_out))
		return false;
	count = argc - optind;
	*operands_out = argv + optind;
	*operand_count_out = count;
	if (count >= page->operands_min && count <= page->operands_max)
		return true;
	*exit_code_out = command_fail_usage(context, "%s: usage is %s %s",
					    count < page->operands_min ? "something is missing"
								       : "too many words",
					    context->name, page->operands);
	return false;
}
