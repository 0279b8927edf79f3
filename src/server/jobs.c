/*
 * jobs: a queue for each class in front of the loop's threads.
 *
 * Guarantees: the classes together never hold more threads than there are, so a job handed to the
 * loop starts at once. Must not know: what the work is.
 */
#include "server/jobs.h"

#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"

static const struct {
	uint32_t running_max, waiting_max;
} limits[JOB_CLASSES] = {
	[JOB_OPEN] = {2, SESSIONS_MAX},    [JOB_READ] = {2, SESSIONS_MAX},
	[JOB_CHANGE] = {2, SESSIONS_MAX},  [JOB_DRAFT] = {1, SESSIONS_MAX},
	[JOB_DELIVER] = {3, SESSIONS_MAX}, [JOB_HASH] = {JOBS_AUTH_THREADS, LOGIN_QUEUE_MAX},
};

struct job_queue {
	struct job *first, **last;
	uint32_t waiting, running;
};

#define MEMORY_WAIT_MS 100

struct jobs {
	struct loop *loop;
	struct loop_timer *retry; /* when the loop had no memory for a job */
	struct job_queue queues[JOB_CLASSES];
};

void jobs_free(struct jobs *jobs)
{
	if (!jobs)
		return;
	for (size_t i = 0; i < JOB_CLASSES; i++)
		assert(jobs->queues[i].waiting + jobs->queues[i].running == 0);
	loop_timer_stop(&jobs->retry);
	free(jobs);
}

static void run_in_thread(void *context)
{
	struct job *job = context;

	job->work(job->context);
}

static void run_next(struct jobs *jobs, enum job_class class);
static void run_all(void *context);

static void finish(void *context)
{
	struct job *job = context;
	struct jobs *jobs = job->jobs;

	jobs->queues[job->class].running--;
	run_next(jobs, job->class);
	job->pending = false;
	job->done(job->context); /* may free the job */
}

static void run_next(struct jobs *jobs, enum job_class class)
{
	struct job_queue *queue = &jobs->queues[class];
	struct job *job = queue->first;

	if (!job || queue->running == limits[class].running_max)
		return;
	if (!loop_job(jobs->loop, run_in_thread, finish, job)) {
		(void)loop_timer(jobs->loop, &jobs->retry, MEMORY_WAIT_MS, run_all, jobs);
		return;
	}
	queue->first = job->next;
	if (!queue->first)
		queue->last = &queue->first;
	queue->waiting--;
	queue->running++;
}

static void run_all(void *context)
{
	for (size_t i = 0; i < JOB_CLASSES; i++)
		run_next(context, (enum job_class)i);
}

struct jobs *jobs_new(struct loop *loop)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));

	if (!jobs)
		return NULL;
	jobs->loop = loop;
	for (size_t i = 0; i < JOB_CLASSES; i++)
		jobs->queues[i].last = &jobs->queues[i].first;
	/* Made now, so that it is there when memory is short. */
	if (!loop_timer(loop, &jobs->retry, MEMORY_WAIT_MS, run_all, jobs)) {
		free(jobs);
		return NULL;
	}
	return jobs;
}

bool jobs_submit(struct jobs *jobs, struct job *job, enum job_class class, loop_callback *work,
		 loop_callback *done, void *context)
{
	struct job_queue *queue = &jobs->queues[class];

	assert(!job->pending);
	if (queue->waiting == limits[class].waiting_max)
		return false;
	*job = (struct job){.jobs = jobs,
			    .work = work,
			    .done = done,
			    .context = context,
			    .class = class,
			    .pending = true};
	*queue->last = job;
	queue->last = &job->next;
	queue->waiting++;
	run_next(jobs, class);
	return true;
}

uint32_t jobs_pending(const struct jobs *jobs, enum job_class class)
{
	return jobs->queues[class].waiting + jobs->queues[class].running;
}

uint32_t jobs_waiting_max(enum job_class class)
{
	return limits[class].waiting_max;
}
