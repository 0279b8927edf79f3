/*
 * command: tables of commands, and what every command does the same way: find its row, name itself
 * in messages, fail with a sysexits code.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct context {
	const char *root; /* of the instance, as chosen by --root, POSTERN_ROOT or the default */
	bool root_chosen; /* false: it is the default */
	char name[64];    /* "account add", for messages */
};

struct command {
	const char *name;
	/* argv[0] is the command's own word. An exit code of sysexits.h. */
	int (*run)(struct context *context, int argc, char **argv);
	const char *summary; /* one line of help */
};

struct command_table {
	const char *about; /* the first paragraph of its help */
	const struct command *rows;
	size_t count;
	const char *footer; /* the last paragraph, or NULL */
};

/* Runs the row that argv[1] names; answers --help, a missing and an unknown word itself. */
int command_dispatch(struct context *context, const struct command_table *table, int argc,
		     char **argv);

/* Prints "postern NAME: TEXT" to standard error and returns the code's exit code. */
int command_fail(const struct context *context, const struct error *error);

/* The same for a wrong command line; adds how to get help. */
int command_fail_usage(const struct context *context, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

int cmd_serve(struct context *context, int argc, char **argv);
int cmd_account(struct context *context, int argc, char **argv);
int cmd_deliver(struct context *context, int argc, char **argv);
int cmd_mailbox(struct context *context, int argc, char **argv);
int cmd_kick(struct context *context, int argc, char **argv);
int cmd_status(struct context *context, int argc, char **argv);

#endif
