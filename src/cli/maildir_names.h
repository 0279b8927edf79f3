/*
 * maildir_names: the messages of a Maildir that is to be imported, in order of name, which for
 * most programs that write Maildirs is the order of arrival.
 */
#ifndef CLI_MAILDIR_NAMES_H
#define CLI_MAILDIR_NAMES_H

#include <stddef.h>

#include "base/error.h"

struct maildir_name {
	char *text;
	int folder; /* 0: cur, 1: new */
};

struct maildir {
	int folders[2]; /* cur, new; -1 when not open */
	struct maildir_name *names;
	size_t count, capacity;
};

/* Opens cur/ and new/ of an open folder and lists both. Whatever it returns, maildir_close() is
 * called. ERROR_NO_INPUT when the folder is no Maildir. */
enum error_code maildir_open(int folder, struct maildir *maildir_out, struct error *error);
void maildir_close(struct maildir *maildir);

#endif
