/*
 * cmd_mailbox: the parts of `postern mailbox`, each in its file.
 */
#ifndef CLI_CMD_MAILBOX_H
#define CLI_CMD_MAILBOX_H

#include "cli/home.h"

int mailbox_import(struct context *context, int argc, char **argv);
int mailbox_export(struct context *context, int argc, char **argv);
int mailbox_verify(struct context *context, int argc, char **argv);
int mailbox_repair(struct context *context, int argc, char **argv);

/* Everything a command needs to work on one maildrop, as its owner. */
struct mailbox {
	struct home home;
	struct home_account found;
	struct store_root root;
};

/* Finds the account; as who typed the command. */
enum error_code mailbox_find(const struct context *context, const char *account,
			     struct mailbox *mailbox_out, struct error *error);
/* Becomes the owner of the mail and opens its folders. */
enum error_code mailbox_enter(struct mailbox *mailbox, struct error *error);

/* Both; with an error nothing is open. */
enum error_code mailbox_open(const struct context *context, const char *account,
			     struct mailbox *mailbox_out, struct error *error);
void mailbox_close(struct mailbox *mailbox);

/* The number of the message that a word means: a message number, or a unique-id. */
enum error_code mailbox_message(struct maildrop *maildrop, const char *word, uint32_t *number_out,
				struct error *error);

#endif
