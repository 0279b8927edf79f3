/*
 * channel: messages over one end of a SOCK_SEQPACKET socket.
 *
 * Sending never blocks: what the socket does not take at once is queued, at most
 * CHANNEL_QUEUE_MAX messages; past that the other side is taken for broken. The secret in a message
 * is wiped from queue and buffers when it has been sent.
 */
#ifndef SERVER_CHANNEL_H
#define SERVER_CHANNEL_H

#include "net/loop.h"
#include "server/message.h"

struct channel;

/* A message that passed message_check(), with its descriptors (the callee's from now on; those it
 * does not take it must close). */
typedef void channel_callback(void *context, const union message *message, const int *descriptors,
			      size_t descriptor_count);
/* The other end closed, sent rubbish, or the queue is full. The channel is dead; free it. Called
 * from the loop, once, after all that the other end had sent. */
typedef void channel_closed_callback(void *context);

/* A pair of connected, non-blocking, close-on-exec ends; false when the system refuses. */
bool channel_pair(int ends_out[2]);

/* Takes over the descriptor; NULL when memory has run out, and then it stays the caller's. */
struct channel *channel_new(struct loop *loop, int descriptor, channel_callback *on_message,
			    channel_closed_callback *on_closed, void *context);
void channel_free(struct channel *channel); /* NULL is allowed; may be called from its callbacks */

/* The message must pass message_check() and have the descriptors of its type, which stay the
 * caller's. On a dead channel nothing happens. */
void channel_send(struct channel *channel, const void *message, const int *descriptors,
		  size_t descriptor_count);

/* Sends what is queued, blocking at most timeout_ms: before an exit. */
void channel_flush(struct channel *channel, unsigned timeout_ms);

/* Blocking, for commands and for a child's first message: one message within timeout_ms (sending:
 * ten seconds). descriptors_out has room for MESSAGE_DESCRIPTORS_MAX. */
bool channel_receive_blocking(int descriptor, union message *message_out, int *descriptors_out,
			      size_t *descriptor_count_out, unsigned timeout_ms);
bool channel_send_blocking(int descriptor, const void *message, const int *descriptors,
			   size_t descriptor_count);

#endif
