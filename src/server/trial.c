/*
 * trial: one row a thing to try.
 *
 * Guarantees: what was allowed is undone (closed, reaped). Must not be in a release.
 */
#include "server/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/number.h"

#define DESCRIPTORS_TRIED 1024

/* Each returns 0 or a negative errno. */

static int opened(int descriptor)
{
	if (descriptor < 0)
		return -errno;
	close(descriptor);
	return 0;
}

static int try_open(const char *path)
{
	return opened(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

static int try_create(const char *path)
{
	return opened(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
}

static int try_exec(const char *path)
{
	char name[] = "trial";
	char *const arguments[] = {name, NULL};

	execv(path, arguments);
	return -errno;
}

static int try_socket(const char *path)
{
	(void)path;
	return opened(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

/* On a descriptor that is none: the filter speaks before the kernel looks at it. */
static int try_connect(const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	return connect(-1, (struct sockaddr *)&name, sizeof(name)) == 0 ? 0 : -errno;
}

static int try_ptrace(const char *path)
{
	(void)path;
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0 ? 0 : -errno;
}

static int try_fork(const char *path)
{
	pid_t pid = fork();

	(void)path;
	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return -errno;
	(void)waitpid(pid, NULL, 0);
	return 0;
}

static int try_signal(const char *path)
{
	(void)path;
	return kill(getppid(), 0) == 0 ? 0 : -errno;
}

static bool is_channel(int descriptor)
{
	int type = 0;
	socklen_t length = sizeof(type);

	return getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
	       type == SOCK_SEQPACKET;
}

/* Hangs up on everybody but the supervisor, whose channel has this number: on auth. */
static int try_hangup(const char *number)
{
	uint64_t kept = 0;

	if (!number_parse(bytes_of(number), DESCRIPTORS_TRIED, &kept))
		return -EINVAL;
	for (int descriptor = 0; descriptor < DESCRIPTORS_TRIED; descriptor++)
		if (descriptor != (int)kept && is_channel(descriptor))
			(void)shutdown(descriptor, SHUT_RDWR);
	return 0;
}

static const struct {
	const char *word;
	int (*run)(const char *path);
} trials[] = {
	{"open", try_open},     {"create", try_create},   {"exec", try_exec},
	{"socket", try_socket}, {"connect", try_connect}, {"ptrace", try_ptrace},
	{"fork", try_fork},     {"signal", try_signal},   {"hangup", try_hangup},
};

const char *trial_run(struct bytes argument, char outcome[TRIAL_OCTETS])
{
	char text[PATH_MAX] = "";
	char *path;

	(void)bytes_to_string(argument, text, sizeof(text));
	path = strchr(text, ' ');
	if (path)
		*path++ = '\0';
	for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++) {
		int result;

		if (strcmp(trials[i].word, text) != 0)
			continue;
		result = trials[i].run(path ? path : "");
		(void)snprintf(outcome, TRIAL_OCTETS, "%s%s", result == 0 ? "allowed" : "refused: ",
			       result == 0 ? "" : strerrorname_np(-result));
		return outcome;
	}
	return "what?";
}
