/*
 * loop: libuv behind ten functions.
 *
 * Guarantees: no callback is called after its watch or timer was stopped, not even one that was
 * already due in the same round; the memory of a handle lives until libuv gives it back in its
 * close callback (libuv design, "handles"). Must not know what the descriptors are.
 */
#include "net/loop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>

#define LOOP_SIGNALS_MAX 8

struct loop_signal {
	uv_signal_t handle;
	loop_callback *callback;
	void *context;
};

struct loop {
	uv_loop_t uv;
	unsigned threads;
	bool stopped;
	size_t signal_count;
	struct loop_signal signals[LOOP_SIGNALS_MAX];
};

struct loop_watch {
	uv_poll_t handle;
	loop_ready_callback *callback;
	void *context;
	int events; /* what libuv waits for now; 0: it sleeps */
};

struct loop_timer {
	uv_timer_t handle;
	loop_callback *callback;
	void *context;
};

struct loop_job {
	uv_work_t request;
	loop_callback *work, *done;
	void *context;
};

/* libuv reads both when it first needs them. Its io_uring would bypass the sandbox's view of system
 * calls, and a pool of another size would break the bounds of server/jobs.h. */
static bool set_environment(unsigned threads)
{
	char number[16];
	snprintf(number, sizeof(number), "%u", threads > 0 ? threads : 1);
	return setenv("UV_THREADPOOL_SIZE", number, 1) == 0 &&
	       setenv("UV_USE_IO_URING", "0", 1) == 0;
}

struct loop *loop_open(unsigned threads)
{
	if (!set_environment(threads))
		return NULL;
	struct loop *loop = calloc(1, sizeof(*loop));
	if (!loop)
		return NULL;
	loop->threads = threads;
	if (uv_loop_init(&loop->uv) != 0) {
		free(loop);
		return NULL;
	}
	return loop;
}

static void assert_closing(uv_handle_t *handle, void *context)
{
	(void)context;
	assert(uv_is_closing(handle)); /* a watch or timer was left running */
}

void loop_close(struct loop *loop)
{
	if (!loop)
		return;
	for (size_t i = 0; i < loop->signal_count; i++)
		uv_close((uv_handle_t *)&loop->signals[i].handle, NULL);
	uv_walk(&loop->uv, assert_closing, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT); /* close callbacks, and jobs under way */
	int result = uv_loop_close(&loop->uv);
	assert(result == 0);
	(void)result;
	free(loop);
}

void loop_run(struct loop *loop)
{
	loop->stopped = false;
	while (!loop->stopped && uv_run(&loop->uv, UV_RUN_DEFAULT) != 0)
		;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
	uv_stop(&loop->uv);
}

static void free_handle(uv_handle_t *handle)
{
	free(handle->data);
}

/* After an error libuv has stopped the handle by itself. */
static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct loop_watch *watch = handle->data;
	if (status < 0) {
		events = watch->events | UV_READABLE;
		watch->events = 0;
	}
	watch->callback(watch->context, (events & UV_READABLE) != 0, (events & UV_WRITABLE) != 0);
}

static struct loop_watch *new_watch(struct loop *loop, int descriptor)
{
	struct loop_watch *watch = calloc(1, sizeof(*watch));
	if (!watch)
		return NULL;
	if (uv_poll_init(&loop->uv, &watch->handle, descriptor) != 0) {
		free(watch);
		return NULL;
	}
	watch->handle.data = watch;
	return watch;
}

bool loop_watch(struct loop *loop, struct loop_watch **watch, int descriptor, bool readable,
		bool writable, loop_ready_callback *callback, void *context)
{
	if (!*watch)
		*watch = new_watch(loop, descriptor);
	struct loop_watch *it = *watch;
	if (!it)
		return false;
	it->callback = callback;
	it->context = context;
	int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
	if (events == it->events)
		return true;
	int result =
		events ? uv_poll_start(&it->handle, events, on_poll) : uv_poll_stop(&it->handle);
	assert(result == 0); /* only a closing handle is refused */
	(void)result;
	it->events = events;
	return true;
}

void loop_unwatch(struct loop_watch **watch)
{
	if (!*watch)
		return;
	uv_close((uv_handle_t *)&(*watch)->handle, free_handle);
	*watch = NULL;
}

static void on_timer(uv_timer_t *handle)
{
	struct loop_timer *timer = handle->data;
	timer->callback(timer->context);
}

bool loop_timer(struct loop *loop, struct loop_timer **timer, uint64_t delay_ms,
		loop_callback *callback, void *context)
{
	if (!*timer) {
		struct loop_timer *made = calloc(1, sizeof(*made));
		if (!made)
			return false;
		uv_timer_init(&loop->uv, &made->handle); /* never fails */
		made->handle.data = made;
		*timer = made;
	}
	(*timer)->callback = callback;
	(*timer)->context = context;
	/* libuv counts from the start of its round, which may be long ago. */
	uv_update_time(&loop->uv);
	int result = uv_timer_start(&(*timer)->handle, on_timer, delay_ms, 0);
	assert(result == 0);
	(void)result;
	return true;
}

void loop_timer_stop(struct loop_timer **timer)
{
	if (!*timer)
		return;
	uv_close((uv_handle_t *)&(*timer)->handle, free_handle);
	*timer = NULL;
}

static void on_signal(uv_signal_t *handle, int signal_number)
{
	(void)signal_number;
	struct loop_signal *it = handle->data;
	it->callback(it->context);
}

bool loop_signal(struct loop *loop, int signal_number, loop_callback *callback, void *context)
{
	assert(loop->signal_count < LOOP_SIGNALS_MAX);
	struct loop_signal *it = &loop->signals[loop->signal_count];
	if (uv_signal_init(&loop->uv, &it->handle) != 0)
		return false;
	loop->signal_count++;
	it->handle.data = it;
	it->callback = callback;
	it->context = context;
	return uv_signal_start(&it->handle, on_signal, signal_number) == 0;
}

static void on_work(uv_work_t *request)
{
	struct loop_job *job = request->data;
	job->work(job->context);
}

static void on_work_done(uv_work_t *request, int status)
{
	assert(status == 0); /* no job is ever cancelled */
	(void)status;
	struct loop_job job = *(struct loop_job *)request->data;
	free(request->data);
	job.done(job.context);
}

bool loop_job(struct loop *loop, loop_callback *work, loop_callback *done, void *context)
{
	assert(loop->threads > 0);
	struct loop_job *job = malloc(sizeof(*job));
	if (!job)
		return false;
	job->work = work;
	job->done = done;
	job->context = context;
	job->request.data = job;
	int result = uv_queue_work(&loop->uv, &job->request, on_work, on_work_done);
	assert(result == 0); /* only a missing function is refused */
	(void)result;
	return true;
}
