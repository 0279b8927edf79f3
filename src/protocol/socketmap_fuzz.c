/*
 * Any octets to the socketmap engine, in any pieces, with any answers. Checked: one event at a
 * time, bounded output, as many whole netstrings out as requests were answered, silence behind
 * CLOSE.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "protocol/socketmap.h"

static void answer(struct socketmap *socketmap, const struct socketmap_event *event)
{
	struct socketmap_event second;
	size_t before = socketmap_output(socketmap).length;
	struct bytes text = bytes_first(event->key, SOCKETMAP_ANSWER_MAX);
	struct bytes added;

	assert(event->name.length >= 1 &&
	       event->name.length + event->key.length < SOCKETMAP_REQUEST_MAX);
	assert(memchr(event->name.data, ' ', event->name.length) == NULL);
	assert(!socketmap_next(socketmap, &second));
	assert(socketmap_feed(socketmap, BYTES("1")) == 0);
	socketmap_answer(socketmap, (enum socketmap_outcome)(event->name.data[0] & 3), text);
	added = bytes_skip(socketmap_output(socketmap), before);
	assert(added.length > text.length + 4 && added.data[added.length - 1] == ',');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct socketmap *socketmap = socketmap_new();
	struct bytes in = {(const char *)data, size};
	struct socketmap_event event;
	bool closed = false;

	while (in.length > 0 && !closed) {
		struct bytes piece = bytes_first(in, 1 + (size_t)(uint8_t)in.data[0] % 31);
		size_t taken = socketmap_feed(socketmap, piece);

		assert(taken <= piece.length);
		in = bytes_skip(in, taken);
		while (!closed && socketmap_next(socketmap, &event)) {
			closed = event.kind == SOCKETMAP_CLOSE;
			if (!closed)
				answer(socketmap, &event);
		}
		assert(socketmap_output(socketmap).length <= OUTPUT_OCTETS_MAX);
		socketmap_sent(socketmap, socketmap_output(socketmap).length);
	}
	socketmap_end(socketmap);
	assert(socketmap_feed(socketmap, BYTES("1")) == 0);
	assert(socketmap_next(socketmap, &event) && event.kind == SOCKETMAP_CLOSE);
	assert(socketmap_output(socketmap).length == 0);
	socketmap_free(socketmap);
	return 0;
}
