/*
 * loop: one thread that waits for sockets, timers, signals and finished jobs. The only file that
 * includes <uv.h> is net/loop.c.
 *
 * The loop and its pool of threads are made after privileges are dropped and the sandbox is
 * entered. Callbacks run on the loop's thread, must not block, and may call any function here.
 * Sockets belong to the caller: the loop only watches them (uv_poll), so that TLS sits on the
 * socket and back-pressure is the socket's own. Wake-ups may be spurious.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_watch; /* a watched descriptor */
struct loop_timer; /* a running timer */

typedef void loop_callback(void *context);
typedef void loop_ready_callback(void *context, bool readable, bool writable);

/* `threads` is the size of the job pool, set once for the process; 0: no jobs, no threads. NULL
 * when memory or descriptors have run out. */
struct loop *loop_open(unsigned threads);
/* Watches and timers must have been stopped. Jobs under way are waited for, their done() is called.
 */
void loop_close(struct loop *loop); /* NULL is allowed */

void loop_run(struct loop *loop);  /* until loop_stop(), or until nothing is left to wait for */
void loop_stop(struct loop *loop); /* from a callback */

/* Watches a descriptor. *watch is NULL the first time and set; later calls change what is waited
 * for. With neither it sleeps but stays. An error or hang-up counts as readable (and as writable
 * where that was waited for); it is told once, until the next call here.
 * False, with *watch still NULL, the first time only: memory has run out, or the descriptor is of a
 * kind that cannot be waited for. Later calls never fail. */
bool loop_watch(struct loop *loop, struct loop_watch **watch, int descriptor, bool readable,
		bool writable, loop_ready_callback *callback, void *context);
/* Must come before the descriptor is closed. Sets *watch to NULL; NULL is allowed. */
void loop_unwatch(struct loop_watch **watch);

/* Calls once after delay_ms. *timer is NULL the first time and set; a later call moves it. It stays
 * allocated when it has run out, until loop_timer_stop(). False, with *timer still NULL, the first
 * time only: memory has run out. */
bool loop_timer(struct loop *loop, struct loop_timer **timer, uint64_t delay_ms,
		loop_callback *callback, void *context);
void loop_timer_stop(struct loop_timer **timer); /* sets *timer to NULL; NULL is allowed */

/* Calls each time the signal arrives; for the life of the loop. False when memory has run out. */
bool loop_signal(struct loop *loop, int signal_number, loop_callback *callback, void *context);

/* Runs work(context) in a thread, then done(context) on the loop. Never dropped, and refused
 * (false: neither is called) only when memory has run out: whoever submits keeps count
 * (server/jobs.h). The context must live until done. */
bool loop_job(struct loop *loop, loop_callback *work, loop_callback *done, void *context);

#endif
