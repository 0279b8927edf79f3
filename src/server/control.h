/*
 * control: the socket by which a command asks the running server. Lives in auth.
 *
 * Only root and the instance's owner are listened to (SO_PEERCRED). A client asks STATUS; when the
 * owner of the control says that the answer is ready, it is pulled message by message, as fast as
 * the client reads: nothing is queued. KICK is answered at once.
 */
#ifndef SERVER_CONTROL_H
#define SERVER_CONTROL_H

#include "net/loop.h"
#include "server/message.h"

struct control;

struct control_callbacks {
	/* Somebody asks STATUS: control_ready() is to follow. */
	void (*on_asked)(void *context);
	/* The next message of the answer; *cursor starts at 0 and is the callee's. False behind the
	 * last. */
	bool (*next)(void *context, size_t *cursor, union message *message_out);
	void (*on_kick)(void *context, const struct message_kick *kick,
			struct message_kicked *kicked_out);
};

struct control *control_new(struct loop *loop, int listening, uid_t owner_uid,
			    const struct control_callbacks *callbacks, void *context);
void control_ready(struct control *control);

#endif
