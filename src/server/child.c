/*
 * child: how a process that the supervisor has started learns what it is.
 *
 * Guarantees: nothing but the supervisor's first message decides; what a terminal or a service
 * manager sends to all processes of the server is left to the supervisor.
 */
#include "server/child.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "server/auth.h"
#include "server/channel.h"
#include "server/sandbox.h"
#include "server/server.h"
#include "server/worker.h"

#define CONFIGURE_MS 10000

/* SIGPIPE: OpenSSL writes by write(2). */
static void ignore_signals(void)
{
	static const int ignored[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = SIG_IGN};

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)sigaction(ignored[i], &action, NULL);
}

enum error_code child_follow_supervisor(int descriptor, struct error *error)
{
	struct ucred maker = {0};
	socklen_t length = sizeof(maker);

	/* Not getppid(): when the supervisor has died already that is somebody else. */
	if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &maker, &length) != 0)
		return error_set_errno(error, -errno, "asking who the supervisor is");
	return sandbox_follow_parent(maker.pid, error);
}

static void open_log(const char *name, const struct message_configure *configure)
{
	struct log_output output = {.target = (enum log_target)configure->log_target,
				    .format = (enum log_format)configure->log_format,
				    .level = (enum log_level)configure->log_level,
				    .framed = configure->log_target != LOG_TO_STDERR};

	log_open(name, output.level);
	log_redirect(&output);
}

int server_child(int descriptor)
{
	static union message first;
	int descriptors[MESSAGE_DESCRIPTORS_MAX];
	size_t count = 0;

	ignore_signals();
	log_open("child", LOG_LEVEL_INFO);
	if (!channel_receive_blocking(descriptor, &first, descriptors, &count, CONFIGURE_MS) ||
	    first.header.type != MESSAGE_CONFIGURE) {
		log_event(LOG_LEVEL_ERROR, "start",
			  "error=\"--child is for the supervisor of a server only\"");
		return EX_USAGE;
	}
	if (first.configure.role == PROCESS_AUTH) {
		(void)prctl(PR_SET_NAME, "postern-auth");
		open_log("auth", &first.configure);
		_exit(auth_run(descriptor, &first.configure, descriptors));
	}
	(void)prctl(PR_SET_NAME, "postern-worker");
	open_log("worker", &first.configure);
	_exit(worker_run(descriptor, &first.configure, descriptors));
}
