/*
 * jobs: blocking work by class, in the loop's threads, results back on the loop.
 *
 * Each class has a number of threads it may hold at once and a number of jobs that may wait, so
 * that one kind of work (deliveries that sync) cannot starve another (logins), and so that a flood
 * is refused instead of kept. No job may wait for a lock: it returns and its owner's timer tries
 * again.
 */
#ifndef SERVER_JOBS_H
#define SERVER_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "net/loop.h"

enum job_class {
	JOB_OPEN,    /* opening a maildrop, its table */
	JOB_READ,    /* messages for a peer */
	JOB_CHANGE,  /* UPDATE */
	JOB_DRAFT,   /* a message coming in that is too large for memory */
	JOB_DELIVER, /* deliveries */
	JOB_HASH,    /* passwords; in auth only */
	JOB_CLASSES
};

#define JOBS_WORKER_THREADS 10 /* the sum of the classes but HASH: none ever waits for another */
#define JOBS_AUTH_THREADS   2

/* Lives in its owner's struct: queueing allocates nothing here. */
struct job {
	struct jobs *jobs;
	struct job *next;
	loop_callback *work, *done;
	void *context;
	enum job_class class;
	bool pending; /* submitted and not done: the owner must stay */
};

struct jobs *jobs_new(struct loop *loop);
void jobs_free(struct jobs *jobs); /* none may be pending */

/* Runs work(context) in a thread, then done(context) on the loop. False when the class has as many
 * jobs waiting as it may: then nothing will happen. */
bool jobs_submit(struct jobs *jobs, struct job *job, enum job_class class, loop_callback *work,
		 loop_callback *done, void *context);

/* Jobs of a class that wait or run. */
uint32_t jobs_pending(const struct jobs *jobs, enum job_class class);

/* How many may wait, beside those that run. */
uint32_t jobs_waiting_max(enum job_class class);

#endif
