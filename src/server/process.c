/*
 * process: starts a child and hands it what it needs.
 *
 * Guarantees: a child gets only the descriptors that its orders name, and standard error; it is
 * killed by the kernel when the supervisor dies.
 * Must not know: when to start or stop one (supervisor.c).
 */
#include "server/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "accounts/secret.h"
#include "base/clock.h"
#include "base/log.h"

/* ---- starting ---- */

/* In the child, between fork and exec: standard input and output are the supervisor's alone. */
static void execute(int channel_end, int log, pid_t parent)
{
	char program[] = "postern", flag[] = "--child", number[16];
	char *const arguments[] = {program, flag, number, NULL};

	(void)snprintf(number, sizeof(number), "%d", channel_end);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent ||
	    dup2(log, STDERR_FILENO) < 0 || dup2(log, STDIN_FILENO) < 0 ||
	    dup2(log, STDOUT_FILENO) < 0 || fcntl(channel_end, F_SETFD, 0) != 0)
		_exit(EX_OSERR);
	execv("/proc/self/exe", arguments);
	_exit(EX_OSERR);
}

static void send_configure(struct process *process, const struct process_orders *orders)
{
	const struct instance *instance = orders->instance;
	bool auth = process->role == PROCESS_AUTH;
	const struct instance_user *user = auth ? &instance->auth_user : &instance->mail_user;
	int for_auth[] = {instance->accounts, orders->control};
	int for_worker[MESSAGE_DESCRIPTORS_MAX] = {instance->index, instance->journal,
						   instance->uids, instance->locks, instance->mail};
	struct message_configure message;

	message_init(&message, MESSAGE_CONFIGURE, 0);
	message.role = process->role;
	message.number = process->number;
	message.mail_roots = auth ? 0 : 1; /* number 0 */
	for (uint32_t i = 1; !auth && i < MAIL_ROOTS_MAX; i++) {
		if (orders->mail->descriptors[i] < 0)
			continue;
		for_worker[WORKER_FOLDERS + message.mail_roots] = orders->mail->descriptors[i];
		message.mail_root_numbers[message.mail_roots++] = i;
	}
	message.drop_user = instance->as_root;
	message.uid = user->uid;
	message.gid = user->gid;
	message.owner_uid = orders->owner_uid;
	message.apop = orders->config->apop;
	message.allow_plaintext = orders->config->allow_plaintext;
	message.message_octets_max = orders->config->message_octets_max;
	message.megabytes_per_user = orders->config->megabytes_per_user;
	message.connections_per_address = orders->config->connections_per_address;
	message.trusted_count = orders->config->trusted_count;
	memcpy(message.trusted, orders->config->trusted, sizeof(message.trusted));
	message.trusted_user_count = orders->config->trusted_user_count;
	memcpy(message.trusted_users, orders->config->trusted_users, sizeof(message.trusted_users));
	message.log_level = orders->config->log_level;
	message.log_target = orders->config->log_to;
	message.log_format = orders->config->log_format;
	(void)bytes_to_string(bytes_of(orders->config->host), message.host, sizeof(message.host));
	channel_send(process->channel, &message, auth ? for_auth : for_worker,
		     auth ? 2 : WORKER_FOLDERS + message.mail_roots);
}

bool process_start(struct process *process, const struct process_orders *orders,
		   struct error *error)
{
	pid_t parent = getpid();
	int ends[2];

	if (!channel_pair(ends)) {
		error_set_errno(error, -errno, "making a channel");
		return false;
	}
	process->pid = fork();
	if (process->pid == 0)
		execute(ends[1], orders->log, parent);
	if (process->pid < 0) {
		error_set_errno(error, -errno, "starting a process");
		process->pid = 0;
	}
	close(ends[1]);
	if (process->pid > 0)
		process->channel = channel_new(orders->loop, ends[0], orders->on_message,
					       orders->on_closed, process);
	if (!process->channel) {
		close(ends[0]); /* the child, if there is one, sees that and ends */
		if (process->pid > 0)
			error_set(error, ERROR_TEMPORARY, "out of memory");
		return false;
	}
	process->started_ms = clock_monotonic_ms();
	process->ready = false;
	send_configure(process, orders);
	return true;
}

/* ---- handing over ---- */

static void send_pem(struct process *process, struct bytes pem, bool key, bool last)
{
	struct message_tls message;

	do {
		struct bytes part = bytes_first(pem, TLS_PART_OCTETS);

		message_init(&message, MESSAGE_TLS, 0);
		message.key = key;
		message.length = (uint32_t)part.length;
		memcpy(message.octets, part.data, part.length);
		pem = bytes_skip(pem, part.length);
		message.last = last && pem.length == 0;
		channel_send(process->channel, &message, NULL, 0);
	} while (pem.length > 0);
	secret_wipe(&message, sizeof(message));
}

void process_send_certificate(struct process *process, const struct certificate *certificate)
{
	send_pem(process, buffer_bytes(&certificate->certificate_pem), false, false);
	send_pem(process, buffer_bytes(&certificate->key_pem), true, true);
}

void process_send_broker(struct process *process, const struct mail_folders *mail,
			 struct loop *loop)
{
	struct message_broker message;
	int end;

	if (mail->lent == 0)
		return;
	lender_close(&process->lender);
	if (!lender_open(&process->lender, loop, mail, &end)) {
		log_event(LOG_LEVEL_ERROR, "broker", "error=\"out of memory or descriptors\"");
		return;
	}
	message_init(&message, MESSAGE_BROKER, 0);
	message.mail_roots = mail->lent;
	channel_send(process->channel, &message, &end, 1);
	close(end);
}

void process_send_tickets(struct process *process, const uint8_t *current, const uint8_t *previous)
{
	struct message_tickets message;

	message_init(&message, MESSAGE_TICKETS, 0);
	memcpy(message.current, current, sizeof(message.current));
	memcpy(message.previous, previous, sizeof(message.previous));
	channel_send(process->channel, &message, NULL, 0);
	secret_wipe(&message, sizeof(message));
}

void process_send_sockets(struct process *process, const struct sockets *sockets)
{
	for (uint32_t i = 0; i < sockets->count; i++) {
		struct message_listener message;

		message_init(&message, MESSAGE_LISTENER, 0);
		message.kind = sockets->list[i].wanted.kind;
		message.last = i + 1 == sockets->count;
		channel_send(process->channel, &message, &sockets->list[i].descriptor, 1);
	}
}

void process_send_drain(struct process *process, bool at_once)
{
	struct message_drain message;

	message_init(&message, MESSAGE_DRAIN, 0);
	message.at_once = at_once;
	channel_send(process->channel, &message, NULL, 0);
}

void process_send_ping(struct process *process)
{
	struct message_ping message;

	message_init(&message, MESSAGE_PING, 0);
	channel_send(process->channel, &message, NULL, 0);
}

void process_introduce(struct process *worker, struct process *auth)
{
	struct message_peer message;
	int ends[2];

	if (!channel_pair(ends)) {
		log_event(LOG_LEVEL_ERROR, "introduce", "error=\"%s\"", strerror(errno));
		return;
	}
	message_init(&message, MESSAGE_PEER, 0);
	message.worker = worker->number;
	message.pid = (uint32_t)worker->pid;
	channel_send(auth->channel, &message, &ends[0], 1);
	message.pid = (uint32_t)auth->pid;
	channel_send(worker->channel, &message, &ends[1], 1);
	close(ends[0]);
	close(ends[1]);
}
