/*
 * home_lend: a process beside a command that root has started, which opens the spools of system
 * users when the command has become the user `postern` (home.h, server/broker.h).
 *
 * Guarantees: it does what broker_answer() allows and nothing else, and ends with the command.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/home.h"
#include "server/broker.h"
#include "server/channel.h"

/* The least descriptor from `first` on that is needed here, or UINT_MAX. */
static unsigned next_needed(const struct home *home, int line, unsigned first)
{
	unsigned least = (unsigned)line >= first ? (unsigned)line : UINT_MAX;

	for (uint32_t i = 0; i < MAIL_ROOTS_MAX; i++) {
		bool lent = home->lent & 1U << i && (unsigned)home->root_folders[i] >= first;

		if (lent && (unsigned)home->root_folders[i] < least)
			least = (unsigned)home->root_folders[i];
	}
	return least;
}

/* Who waits for the end of a socket of the command's must not wait for us. */
static void close_others(const struct home *home, int line)
{
	unsigned first = STDERR_FILENO + 1;

	for (;;) {
		unsigned needed = next_needed(home, line, first);

		if (needed > first)
			(void)close_range(first, needed == UINT_MAX ? UINT_MAX : needed - 1, 0);
		if (needed == UINT_MAX)
			return;
		first = needed + 1;
	}
}

static _Noreturn void lend(const struct home *home, int line, pid_t command)
{
	static union message message;
	struct message_borrowed answer;
	int descriptors[MESSAGE_DESCRIPTORS_MAX], opened;
	size_t count;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != command)
		_exit(1);
	while (channel_receive_blocking(line, &message, descriptors, &count, INT_MAX)) {
		uint32_t number = message.borrow.mail_root;

		if (message.header.type != MESSAGE_BORROW)
			break;
		broker_answer(&message.borrow,
			      home->lent & 1U << number ? home->root_folders[number] : -1,
			      broker_system_owner, &answer, &opened);
		if (!channel_send_blocking(line, &answer, &opened, answer.opened))
			break;
		if (opened >= 0)
			close(opened);
	}
	_exit(0);
}

enum error_code home_lend(struct home *home, struct error *error)
{
	pid_t command = getpid(), child;
	int ends[2];

	if (home->lent == 0)
		return ERROR_NONE;
	if (!channel_pair(ends))
		return error_set_errno(error, -errno, "making a channel");
	child = fork();
	if (child == 0) {
		close_others(home, ends[1]);
		lend(home, ends[1], command);
	}
	close(ends[1]);
	if (child < 0) {
		close(ends[0]);
		return error_set_errno(error, -errno, "starting a child process");
	}
	home->broker = broker_new(ends[0]);
	if (home->broker)
		return ERROR_NONE;
	close(ends[0]);
	return error_set(error, ERROR_TEMPORARY, "no memory");
}
