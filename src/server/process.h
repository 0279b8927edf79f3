/*
 * process: one child of the supervisor, from fork to the last word it is told.
 */
#ifndef SERVER_PROCESS_H
#define SERVER_PROCESS_H

#include "server/certificate.h"
#include "server/channel.h"
#include "server/lender.h"
#include "server/message.h"
#include "server/sockets.h"

struct process {
	struct process *next;
	void *owner; /* the supervisor */
	enum process_role role;
	uint32_t number;     /* of a worker, unique among the living ones */
	uint32_t generation; /* raised by each reload */
	pid_t pid;           /* 0: not running */
	struct channel *channel;
	struct lender lender; /* to a worker */
	struct loop_timer *restart;
	uint64_t started_ms;
	unsigned quick_deaths; /* in a row */
	unsigned vain_starts;  /* deaths before it was ever ready */
	bool ready;
	bool was_ready;    /* ever */
	bool retiring;     /* told to end; not to be started again */
	bool answered;     /* the last PING, or it was not asked yet */
	uint32_t sessions; /* that it knows, as of then */
};

/* What a child is told when it begins. */
struct process_orders {
	const struct config *config;
	const struct instance *instance;
	const struct mail_folders *mail;
	uid_t owner_uid;
	int control;
	int log; /* standard error of the children */
	struct loop *loop;
	channel_callback *on_message;       /* with the process */
	channel_closed_callback *on_closed; /* with the process */
};

/* Forks and executes this program, and configures it. False when the system refuses. */
bool process_start(struct process *process, const struct process_orders *orders,
		   struct error *error);

void process_send_certificate(struct process *process, const struct certificate *certificate);
/* The socket by which a worker asks for the files of system users, where any may be lent. */
void process_send_broker(struct process *process, const struct mail_folders *mail,
			 struct loop *loop);
void process_send_tickets(struct process *process, const uint8_t *current, const uint8_t *previous);
void process_send_sockets(struct process *process, const struct sockets *sockets);
void process_send_drain(struct process *process, bool at_once);
void process_send_ping(struct process *process);

/* Gives a worker and auth a channel to each other. */
void process_introduce(struct process *worker, struct process *auth);

#endif
