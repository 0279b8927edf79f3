/*
 * control: the socket by which a command asks the running server. Lives in auth.
 *
 * Only root and the instance's owner are listened to (SO_PEERCRED). A client asks STATUS; when the
 * owner of the control says that the answer is ready, it is pulled message by message, as fast as
 * the client reads: nothing is queued.
 */
#ifndef SERVER_CONTROL_H
#define SERVER_CONTROL_H

#include "net/loop.h"
#include "server/message.h"

struct control;

/* Somebody asks STATUS: control_ready() is to follow. */
typedef void control_asked_callback(void *context);

/* The next message of the answer; *cursor starts at 0 and is the callee's. False behind the last.
 */
typedef bool control_next_callback(void *context, size_t *cursor, union message *message_out);

struct control *control_new(struct loop *loop, int listening, uid_t owner_uid,
			    control_asked_callback *on_asked, control_next_callback *next,
			    void *context);
void control_ready(struct control *control);

#endif
