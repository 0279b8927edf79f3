/*
 * lender: the supervisor's end of the broker's socket of one worker.
 */
#ifndef SERVER_LENDER_H
#define SERVER_LENDER_H

#include "server/channel.h"
#include "server/mail_folders.h"

struct lender {
	struct channel *channel;     /* NULL: nothing is lent to this worker */
	struct mail_folders folders; /* copies of those lent, of the settings it began with */
};

/* Answers from now on what comes over *descriptor_out's other end. False when memory or descriptors
 * have run out. */
bool lender_open(struct lender *lender, struct loop *loop, const struct mail_folders *folders,
		 int *descriptor_out);
void lender_close(struct lender *lender); /* one that was never opened, too */

#endif
