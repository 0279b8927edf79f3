/*
 * option: the words behind a command, read by one table from which the help is printed as well, so
 * that what is explained and what is understood cannot differ.
 */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include "cli/command.h"

#define OPTION_LIST_MAX 64
struct option_list {
	const char *values[OPTION_LIST_MAX];
	size_t count;
};

/* One option; exactly one of flag, text and list is set. */
struct option_row {
	const char *name;         /* without the hyphens */
	const char *value_name;   /* "FILE"; NULL for a flag */
	const char *help;         /* one line */
	bool *flag;               /* set to true when given */
	const char **text;        /* takes a value, once */
	struct option_list *list; /* takes a value, repeatable */
};

struct option_page {
	const char *operands; /* "NAME" as the usage line shows them */
	int operands_min, operands_max;
	const char *about;    /* a paragraph */
	const char *examples; /* lines that can be copied */
	const struct option_row *rows;
	size_t row_count;
};

/* True: go on with the operands. False: it is over (help, or a mistake that was reported), with
 * this exit code. */
bool option_parse(const struct context *context, const struct option_page *page, int argc,
		  char **argv, char ***operands_out, int *operand_count_out, int *exit_code_out);

#endif
