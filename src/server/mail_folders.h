/*
 * mail_folders: the further mail roots (server/mail_roots.h), opened by the supervisor, which hands
 * them to workers; and those of them whose files it opens for workers as well (server/broker.h).
 */
#ifndef SERVER_MAIL_FOLDERS_H
#define SERVER_MAIL_FOLDERS_H

#include "server/config.h"
#include "server/instance.h"

struct mail_folders {
	int descriptors[MAIL_ROOTS_MAX]; /* by number; -1: not open, as number 0 always is */
	uint32_t lent; /* bits by number: they belong to neither user of the server */
};

/* Gives them their numbers and opens them. A folder that cannot be opened is an error, and nothing
 * is left open. */
enum error_code mail_folders_open(const struct config *config, const struct instance *instance,
				  struct mail_folders *folders_out, struct error *error);
/* Does this folder belong to neither user of a server that root has started? -1 is no folder. */
bool mail_folder_is_lent(const struct instance *instance, int descriptor);

void mail_folders_close(struct mail_folders *folders);

#endif
