/*
 * cmd_account: the parts of `postern account`, each in its file.
 */
#ifndef CLI_CMD_ACCOUNT_H
#define CLI_CMD_ACCOUNT_H

#include "accounts/directory.h"
#include "cli/command.h"

int account_list(struct context *context, int argc, char **argv);
int account_show(struct context *context, int argc, char **argv);
int account_import(struct context *context, int argc, char **argv);

/* Adds an account with a maildrop of its own below ROOT/mail; `name` is normal. */
enum error_code account_add_row(struct directory *directory, const char *name, const char *store,
				const char *verifier, struct account *account_out,
				struct error *error);

#endif
