/*
 * cmd_mailbox: the parts of `postern mailbox`, each in its file.
 */
#ifndef CLI_CMD_MAILBOX_H
#define CLI_CMD_MAILBOX_H

#include "cli/home.h"

int mailbox_import(struct context *context, int argc, char **argv);

/* Everything a command needs to work on one maildrop, as its owner. */
struct mailbox {
	struct home home;
	struct home_account found;
	struct store_root root;
};

enum error_code mailbox_open(const struct context *context, const char *account,
			     struct mailbox *mailbox_out, struct error *error);
void mailbox_close(struct mailbox *mailbox);

#endif
