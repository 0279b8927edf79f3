/*
 * lender: questions in, descriptors out; server/broker.h says which.
 *
 * Guarantees: a worker is answered for the folders of its own settings alone.
 */
#include "server/lender.h"

#include <fcntl.h>
#include <unistd.h>

#include "server/broker.h"

static void on_borrow(void *context, const union message *message, const int *descriptors,
		      size_t descriptor_count)
{
	struct lender *lender = context;
	struct message_borrowed answer;
	int opened = -1;

	for (size_t i = 0; i < descriptor_count; i++)
		close(descriptors[i]);
	if (message->header.type != MESSAGE_BORROW)
		return;
	broker_answer(&message->borrow, lender->folders.descriptors[message->borrow.mail_root],
		      broker_system_owner, &answer, &opened);
	channel_send(lender->channel, &answer, &opened, answer.opened);
	if (opened >= 0)
		close(opened);
}

static void on_closed(void *context)
{
	lender_close(context);
}

static bool copy_folders(struct lender *lender, const struct mail_folders *folders)
{
	bool good = true;

	for (uint32_t i = 0; i < MAIL_ROOTS_MAX; i++) {
		bool lent = folders->lent & 1U << i;

		lender->folders.descriptors[i] =
			lent ? fcntl(folders->descriptors[i], F_DUPFD_CLOEXEC, 0) : -1;
		good = good && (!lent || lender->folders.descriptors[i] >= 0);
	}
	return good;
}

bool lender_open(struct lender *lender, struct loop *loop, const struct mail_folders *folders,
		 int *descriptor_out)
{
	int ends[2] = {-1, -1};

	if (copy_folders(lender, folders) && channel_pair(ends))
		lender->channel = channel_new(loop, ends[0], on_borrow, on_closed, lender);
	if (lender->channel) {
		*descriptor_out = ends[1];
		return true;
	}
	mail_folders_close(&lender->folders);
	for (size_t i = 0; i < 2 && ends[0] >= 0; i++)
		close(ends[i]);
	return false;
}

void lender_close(struct lender *lender)
{
	if (!lender->channel)
		return;
	channel_free(lender->channel);
	lender->channel = NULL;
	mail_folders_close(&lender->folders);
}
