/*
 * jobs: that a class keeps to its threads and its queue, and holds up no other class.
 */
#include "server/jobs.h"

#include <pthread.h>

#include "base/limits.h"
#include "base/test.h"

/* A gate: work waits in it, so that a class can be filled while the test looks. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool open;
static uint32_t inside, inside_max;

static struct loop *loop;
static uint32_t done_count, wanted;

static void wait_in_gate(void *context)
{
	(void)context;
	pthread_mutex_lock(&mutex);
	inside++;
	inside_max = inside > inside_max ? inside : inside_max;
	while (!open)
		pthread_cond_wait(&opened, &mutex);
	inside--;
	pthread_mutex_unlock(&mutex);
}

static void open_gate(void *context)
{
	(void)context;
	pthread_mutex_lock(&mutex);
	open = true;
	pthread_cond_broadcast(&opened);
	pthread_mutex_unlock(&mutex);
}

static void count_done(void *context)
{
	(void)context;
	if (++done_count == wanted)
		loop_stop(loop);
}

static void begin(uint32_t jobs_wanted)
{
	open = false;
	inside = inside_max = done_count = 0;
	wanted = jobs_wanted;
}

/* At most two hashes at a time, at most LOGIN_QUEUE_MAX wait, one more is refused. */
static void test_limits(void **state)
{
	static struct job list[JOBS_AUTH_THREADS + LOGIN_QUEUE_MAX + 1];
	size_t count = sizeof(list) / sizeof(list[0]);
	struct jobs *jobs = *state;

	test_row("limits");
	begin((uint32_t)count - 1);
	test_check(jobs_waiting_max(JOB_HASH) == LOGIN_QUEUE_MAX);
	for (size_t i = 0; i + 1 < count; i++)
		test_check(jobs_submit(jobs, &list[i], JOB_HASH, wait_in_gate, count_done, NULL));
	test_check(!jobs_submit(jobs, &list[count - 1], JOB_HASH, wait_in_gate, count_done, NULL));
	test_check(jobs_pending(jobs, JOB_HASH) == count - 1);
	open_gate(NULL);
	loop_run(loop);
	test_check(inside_max <= JOBS_AUTH_THREADS);
	test_check(jobs_pending(jobs, JOB_HASH) == 0);
}

/* Deliveries that all wait leave the other classes their threads: here one of another class opens
 * the gate for them. */
static void test_classes(void **state)
{
	static struct job deliveries[20], other;
	struct jobs *jobs = *state;

	test_row("classes");
	begin(21);
	for (size_t i = 0; i < 20; i++)
		test_check(jobs_submit(jobs, &deliveries[i], JOB_DELIVER, wait_in_gate, count_done,
				       NULL));
	test_check(jobs_submit(jobs, &other, JOB_OPEN, open_gate, count_done, NULL));
	loop_run(loop);
	test_check(done_count == 21);
}

static int set_up(void **state)
{
	loop = loop_open(JOBS_WORKER_THREADS);
	*state = loop ? jobs_new(loop) : NULL;
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	jobs_free(*state);
	loop_close(loop);
	return 0;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_limits),
	cmocka_unit_test(test_classes),
};
TEST_MAIN_WITH(tests, set_up, tear_down)
