/*
 * loop: watches, timers, signals and jobs do what net/loop.h says.
 */
#include "net/loop.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/test.h"

struct fixture {
	struct loop *loop;
	struct loop_watch *watch, *other_watch;
	struct loop_timer *timer, *other_timer;
	int ends[2], other_ends[2];
	int calls, other_calls;
	bool readable, writable;
	pthread_t thread;
};

static void set_up(struct fixture *fixture, unsigned threads)
{
	*fixture = (struct fixture){0};
	fixture->loop = loop_open(threads);
	assert_non_null(fixture->loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fixture->ends), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fixture->other_ends),
			 0);
}

static void tear_down(struct fixture *fixture)
{
	loop_unwatch(&fixture->watch);
	loop_unwatch(&fixture->other_watch);
	loop_timer_stop(&fixture->timer);
	loop_timer_stop(&fixture->other_timer);
	loop_close(fixture->loop);
	for (int i = 0; i < 2; i++) {
		close(fixture->ends[i]);
		close(fixture->other_ends[i]);
	}
}

static void count_and_stop(void *context)
{
	struct fixture *fixture = context;
	fixture->calls++;
	loop_stop(fixture->loop);
}

static void note_ready(void *context, bool readable, bool writable)
{
	struct fixture *fixture = context;
	fixture->readable = readable;
	fixture->writable = writable;
	count_and_stop(fixture);
}

static void test_watch_tells_what_is_ready(void **state)
{
	static const struct {
		const char *name;
		bool wants_read, wants_write, has_octets, peer_closed;
		bool is_called, readable, writable;
	} rows[] = {
		{"nothing to read", true, false, false, false, false, false, false},
		{"octets", true, false, true, false, true, true, false},
		{"room", false, true, false, false, true, false, true},
		{"octets not asked for", false, true, true, false, true, false, true},
		{"both", true, true, true, false, true, true, true},
		{"hang-up", true, false, false, true, true, true, false},
		{"asleep", false, false, true, true, false, false, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fixture f;
		test_row(rows[i].name);
		set_up(&f, 0);
		if (rows[i].has_octets)
			test_check(write(f.ends[1], "x", 1) == 1);
		if (rows[i].peer_closed)
			shutdown(f.ends[1], SHUT_RDWR);
		test_check(loop_watch(f.loop, &f.watch, f.ends[0], rows[i].wants_read,
				      rows[i].wants_write, note_ready, &f));
		if (!rows[i].is_called)
			test_check(loop_timer(f.loop, &f.timer, 20, count_and_stop, &f));
		loop_run(f.loop);
		test_check(f.calls == 1);
		test_check(f.readable == rows[i].readable);
		test_check(f.writable == rows[i].writable);
		test_check((f.readable || f.writable) == rows[i].is_called);
		tear_down(&f);
	}
}

static void test_watch_refuses_what_cannot_be_waited_for(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, 0);
	FILE *file = tmpfile();
	assert_non_null(file);
	assert_false(loop_watch(f.loop, &f.watch, fileno(file), true, false, note_ready, &f));
	assert_null(f.watch);
	fclose(file);
	tear_down(&f);
}

static void stop_the_other(void *context, bool readable, bool writable)
{
	struct fixture *fixture = context;
	(void)readable, (void)writable;
	fixture->calls++;
	loop_unwatch(&fixture->watch);
	loop_unwatch(&fixture->other_watch);
	loop_timer_stop(&fixture->other_timer);
}

/* Two descriptors are ready in one round; whoever comes first stops both. */
static void test_no_call_after_stopping(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, 0);
	assert_int_equal(write(f.ends[1], "x", 1), 1);
	assert_int_equal(write(f.other_ends[1], "x", 1), 1);
	assert_true(loop_watch(f.loop, &f.watch, f.ends[0], true, false, stop_the_other, &f));
	assert_true(loop_watch(f.loop, &f.other_watch, f.other_ends[0], true, false, stop_the_other,
			       &f));
	loop_run(f.loop); /* ends by itself: nothing is left to wait for */
	assert_int_equal(f.calls, 1);
	assert_null(f.watch);
	assert_null(f.other_watch);
	/* The descriptor may be watched again at once. */
	assert_true(loop_watch(f.loop, &f.watch, f.ends[0], true, false, note_ready, &f));
	loop_run(f.loop);
	assert_int_equal(f.calls, 2);
	tear_down(&f);
}

static void count_other(void *context)
{
	struct fixture *fixture = context;
	fixture->other_calls++;
}

static void test_timer_moves_and_runs_once(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, 0);
	assert_true(loop_timer(f.loop, &f.other_timer, 0, count_other, &f));
	struct loop_timer *same = f.other_timer;
	assert_true(loop_timer(f.loop, &f.other_timer, 5, count_other, &f));
	assert_ptr_equal(f.other_timer, same);
	assert_true(loop_timer(f.loop, &f.timer, 30, count_and_stop, &f));
	loop_run(f.loop);
	assert_int_equal(f.other_calls, 1);
	assert_non_null(f.other_timer);
	assert_true(loop_timer(f.loop, &f.other_timer, 0, count_other, &f)); /* again */
	assert_true(loop_timer(f.loop, &f.timer, 30, count_and_stop, &f));
	loop_run(f.loop);
	assert_int_equal(f.other_calls, 2);
	tear_down(&f);
}

static void raise_signal(void *context)
{
	struct fixture *fixture = context;
	fixture->other_calls++;
	assert_int_equal(raise(SIGUSR1), 0);
}

static void test_signal_is_told_on_the_loop(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, 0);
	assert_true(loop_signal(f.loop, SIGUSR1, count_and_stop, &f));
	for (int i = 1; i <= 3; i++) {
		assert_true(loop_timer(f.loop, &f.timer, 0, raise_signal, &f));
		loop_run(f.loop);
		assert_int_equal(f.calls, i);
	}
	tear_down(&f);
}

static void note_thread(void *context)
{
	struct fixture *fixture = context;
	fixture->other_calls++;
	fixture->thread = pthread_self();
}

static void check_thread(void *context)
{
	struct fixture *fixture = context;
	assert_int_equal(fixture->other_calls, 1);
	assert_false(pthread_equal(fixture->thread, pthread_self()));
	count_and_stop(fixture);
}

static void test_job_runs_in_a_thread(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, 2);
	assert_true(loop_job(f.loop, note_thread, check_thread, &f));
	loop_run(f.loop);
	assert_int_equal(f.calls, 1);
	assert_string_equal(getenv("UV_THREADPOOL_SIZE"), "2");
	tear_down(&f);
}

static void count_call(void *context)
{
	struct fixture *fixture = context;
	fixture->calls++;
}

static void do_nothing(void *context)
{
	(void)context;
}

static void test_close_waits_for_jobs(void **state)
{
	enum { JOBS = 100 };
	(void)state;
	struct fixture f;
	set_up(&f, 2);
	for (int i = 0; i < JOBS; i++)
		assert_true(loop_job(f.loop, do_nothing, count_call, &f));
	tear_down(&f);
	assert_int_equal(f.calls, JOBS);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_watch_tells_what_is_ready),
	cmocka_unit_test(test_watch_refuses_what_cannot_be_waited_for),
	cmocka_unit_test(test_no_call_after_stopping),
	cmocka_unit_test(test_timer_moves_and_runs_once),
	cmocka_unit_test(test_signal_is_told_on_the_loop),
	cmocka_unit_test(test_job_runs_in_a_thread),
	cmocka_unit_test(test_close_waits_for_jobs),
};

TEST_MAIN(tests)
