/*
 * home_attend: work that another process of the right user does when it is told to (home.h).
 *
 * Guarantees: it ends with the process that it attends on.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/home.h"

struct shared { /* with the other process; the data stands behind it, whatever it is */
	_Alignas(max_align_t) struct error error;
};

struct home_attendant {
	struct home *home;
	home_work *work;
	struct shared *shared; /* the data stands behind it */
	size_t size;
	int line; /* one octet there: do it; one back: done. -1: no other process is needed */
	pid_t child;
};

static _Noreturn void attend(struct home_attendant *attendant, enum home_side side, int line)
{
	struct shared *shared = attendant->shared;
	char word;
	bool became = side == HOME_CALLER ||
		      home_become(attendant->home, side, &shared->error) == ERROR_NONE;

	while (read(line, &word, 1) == 1) {
		if (became) {
			shared->error.code = ERROR_NONE;
			attendant->work(attendant->home, shared + 1, &shared->error);
		}
		if (write(line, &word, 1) != 1)
			break;
	}
	_exit(0);
}

static enum error_code start_attendant(struct home_attendant *attendant, enum home_side side,
				       struct error *error)
{
	int lines[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lines) != 0)
		return error_set_errno(error, -errno, "starting a child process");
	fflush(NULL);
	attendant->child = fork();
	if (attendant->child == 0) {
		close(lines[0]);
		attend(attendant, side, lines[1]);
	}
	close(lines[1]);
	attendant->line = lines[0];
	if (attendant->child < 0)
		return error_set_errno(error, -errno, "starting a child process");
	return ERROR_NONE;
}

enum error_code home_attend(struct home *home, enum home_side side, home_work *work,
			    const void *data, size_t size, struct home_attendant **attendant_out,
			    struct error *error)
{
	struct home_attendant *attendant = calloc(1, sizeof(*attendant));
	enum error_code code = ERROR_NONE;

	*attendant_out = NULL;
	if (!attendant)
		return error_set(error, ERROR_TEMPORARY, "no memory");
	*attendant = (struct home_attendant){.home = home, .work = work, .size = size, .line = -1};
	attendant->shared = mmap(NULL, sizeof(struct shared) + size, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (attendant->shared == MAP_FAILED) {
		free(attendant);
		return error_set_errno(error, -errno, "sharing memory with a child process");
	}
	memcpy(attendant->shared + 1, data, size);
	if (home->privileged)
		code = start_attendant(attendant, side, error);
	if (code != ERROR_NONE)
		home_attend_end(attendant);
	else
		*attendant_out = attendant;
	return code;
}

void *home_attendant_data(struct home_attendant *attendant)
{
	return attendant->shared + 1;
}

enum error_code home_attendant_run(struct home_attendant *attendant, struct error *error)
{
	struct shared *shared = attendant->shared;
	char word = '!';

	if (attendant->line < 0)
		return attendant->work(attendant->home, shared + 1, error);
	if (send(attendant->line, &word, 1, MSG_NOSIGNAL) != 1 ||
	    recv(attendant->line, &word, 1, MSG_WAITALL) != 1)
		return error_set(error, ERROR_INTERNAL, "a child process died");
	if (shared->error.code != ERROR_NONE)
		*error = shared->error;
	return shared->error.code;
}

void home_attend_end(struct home_attendant *attendant)
{
	if (!attendant)
		return;
	if (attendant->line >= 0)
		close(attendant->line);
	if (attendant->child > 0)
		while (waitpid(attendant->child, NULL, 0) < 0 && errno == EINTR)
			;
	munmap(attendant->shared, sizeof(struct shared) + attendant->size);
	free(attendant);
}
