/*
 * channel: packets, descriptors beside them, and a bounded queue for what the socket does not take.
 *
 * Guarantees: on_closed is called once, from the loop, never from channel_send(), and after every
 * message that the other end sent before it died; a received descriptor is given to the callback or
 * closed. Must not know what the messages mean.
 */
#include "server/channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define RECEIVE_ROUND   256 /* messages taken before the loop serves others */
#define SEND_TIMEOUT_MS 10000
#define ENDS_ROOM       CMSG_SPACE(MESSAGE_DESCRIPTORS_MAX * sizeof(int))

struct queued {
	struct queued *next;
	size_t size;
	size_t descriptor_count;
	int descriptors[MESSAGE_DESCRIPTORS_MAX]; /* copies of the caller's */
	char octets[];
};

struct channel {
	struct loop *loop;
	struct loop_watch *watch;
	int descriptor;
	channel_callback *on_message;
	channel_closed_callback *on_closed;
	void *context;
	struct queued *first, **last_next;
	size_t queue_length;
	bool is_broken;            /* nothing is sent any more */
	bool is_closed;            /* on_closed was called */
	bool is_running, is_freed; /* freed from a callback: when it returns */
	union message incoming;
};

bool channel_pair(int ends_out[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends_out) == 0;
}

/* ---- one packet ---- */

union ends_room {
	struct cmsghdr header; /* aligns */
	char octets[ENDS_ROOM];
};

static ssize_t send_packet(int descriptor, const void *data, size_t size, const int *descriptors,
			   size_t descriptor_count)
{
	union ends_room room = {0};
	struct iovec piece = {.iov_base = (void *)data, .iov_len = size};
	struct msghdr packet = {.msg_iov = &piece, .msg_iovlen = 1};
	if (descriptor_count > 0) {
		packet.msg_control = &room;
		packet.msg_controllen = CMSG_SPACE(descriptor_count * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(descriptor_count * sizeof(int));
		memcpy(CMSG_DATA(header), descriptors, descriptor_count * sizeof(int));
	}
	ssize_t sent;
	do
		sent = sendmsg(descriptor, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent;
}

static void close_all(const int *descriptors, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(descriptors[i]);
}

static size_t take_descriptors(struct msghdr *packet, int out[MESSAGE_DESCRIPTORS_MAX])
{
	size_t total = 0;
	for (struct cmsghdr *at = CMSG_FIRSTHDR(packet); at; at = CMSG_NXTHDR(packet, at)) {
		if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		assert(total + count <= MESSAGE_DESCRIPTORS_MAX); /* there was room for no more */
		memcpy(out + total, CMSG_DATA(at), count * sizeof(int));
		total += count;
	}
	return total;
}

enum packet { PACKET_OK, PACKET_NONE, PACKET_END, PACKET_BAD };

static enum packet receive_failure(void)
{
	/* The other end closed with messages of ours unread: Linux tells that first, once, and has
	 * what it sent us still in store. */
	if (errno == EINTR || errno == EAGAIN || errno == ECONNRESET)
		return errno == EAGAIN ? PACKET_NONE : PACKET_OK;
	return PACKET_BAD;
}

/* With OK *size_out is 0 when there was a mere interruption. */
static enum packet receive_packet(int descriptor, union message *out, size_t *size_out,
				  int descriptors_out[MESSAGE_DESCRIPTORS_MAX], size_t *count_out)
{
	union ends_room room;
	struct iovec piece = {.iov_base = out, .iov_len = sizeof(*out)};
	struct msghdr packet = {.msg_iov = &piece,
				.msg_iovlen = 1,
				.msg_control = &room,
				.msg_controllen = CMSG_LEN(MESSAGE_DESCRIPTORS_MAX * sizeof(int))};
	*size_out = *count_out = 0;
	ssize_t got = recvmsg(descriptor, &packet, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (got < 0)
		return receive_failure();
	*count_out = take_descriptors(&packet, descriptors_out);
	*size_out = (size_t)got;
	bool whole = !(packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
	bool sound =
		whole && message_check(out, *size_out) && message_descriptors(out) == *count_out;
	if (sound)
		return PACKET_OK;
	close_all(descriptors_out, *count_out);
	return got == 0 && *count_out == 0 ? PACKET_END : PACKET_BAD;
}

/* ---- the queue ---- */

static void free_queued(struct queued *queued)
{
	close_all(queued->descriptors, queued->descriptor_count);
	explicit_bzero(queued->octets, queued->size);
	free(queued);
}

static void remove_first(struct channel *channel)
{
	struct queued *first = channel->first;
	channel->first = first->next;
	if (!channel->first)
		channel->last_next = &channel->first;
	channel->queue_length--;
	free_queued(first);
}

static bool copy_descriptors(struct queued *queued, const int *descriptors, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int copy = fcntl(descriptors[i], F_DUPFD_CLOEXEC, 0);
		if (copy < 0)
			return false;
		queued->descriptors[queued->descriptor_count++] = copy;
	}
	return true;
}

static bool append(struct channel *channel, const void *data, size_t size, const int *descriptors,
		   size_t descriptor_count)
{
	if (channel->queue_length == CHANNEL_QUEUE_MAX)
		return false;
	struct queued *queued = calloc(1, sizeof(*queued) + size);
	if (!queued)
		return false;
	queued->size = size;
	memcpy(queued->octets, data, size);
	if (!copy_descriptors(queued, descriptors, descriptor_count)) {
		free_queued(queued);
		return false;
	}
	*channel->last_next = queued;
	channel->last_next = &queued->next;
	channel->queue_length++;
	return true;
}

/* What the other end sent before is still read; then the loop sees the end and tells the owner. */
static void give_up_sending(struct channel *channel)
{
	channel->is_broken = true;
	while (channel->first)
		remove_first(channel);
	shutdown(channel->descriptor, SHUT_RDWR);
}

static bool must_wait(void)
{
	return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS;
}

static void send_queued(struct channel *channel)
{
	while (channel->first) {
		struct queued *it = channel->first;
		if (send_packet(channel->descriptor, it->octets, it->size, it->descriptors,
				it->descriptor_count) >= 0) {
			remove_first(channel);
			continue;
		}
		if (!must_wait())
			give_up_sending(channel);
		return;
	}
}

/* ---- the channel ---- */

static void on_ready(void *context, bool readable, bool writable);

static bool watch(struct channel *channel)
{
	return loop_watch(channel->loop, &channel->watch, channel->descriptor, true,
			  channel->first != NULL, on_ready, channel);
}

static void free_now(struct channel *channel)
{
	while (channel->first)
		remove_first(channel);
	loop_unwatch(&channel->watch);
	close(channel->descriptor);
	explicit_bzero(&channel->incoming, sizeof(channel->incoming));
	free(channel);
}

static void tell_closed(struct channel *channel)
{
	channel->is_broken = channel->is_closed = true;
	loop_unwatch(&channel->watch);
	channel->on_closed(channel->context);
}

/* False when there is no more for now, or ever. */
static bool receive_one(struct channel *channel)
{
	int descriptors[MESSAGE_DESCRIPTORS_MAX];
	size_t size, count;
	enum packet packet =
		receive_packet(channel->descriptor, &channel->incoming, &size, descriptors, &count);
	if (packet == PACKET_OK && size > 0) {
		channel->on_message(channel->context, &channel->incoming, descriptors, count);
		explicit_bzero(&channel->incoming, size);
	} else if (packet == PACKET_END || packet == PACKET_BAD) {
		tell_closed(channel);
	}
	return packet == PACKET_OK && !channel->is_freed;
}

static void on_ready(void *context, bool readable, bool writable)
{
	struct channel *channel = context;
	(void)readable; /* may be spurious anyway */
	channel->is_running = true;
	if (writable)
		send_queued(channel);
	for (int i = 0; i < RECEIVE_ROUND && receive_one(channel); i++)
		;
	channel->is_running = false;
	if (channel->is_freed)
		free_now(channel);
	else if (!channel->is_closed)
		watch(channel);
}

struct channel *channel_new(struct loop *loop, int descriptor, channel_callback *on_message,
			    channel_closed_callback *on_closed, void *context)
{
	struct channel *channel = calloc(1, sizeof(*channel));
	if (!channel)
		return NULL;
	channel->loop = loop;
	channel->descriptor = descriptor;
	channel->on_message = on_message;
	channel->on_closed = on_closed;
	channel->context = context;
	channel->last_next = &channel->first;
	if (!watch(channel)) {
		free(channel);
		return NULL;
	}
	return channel;
}

void channel_free(struct channel *channel)
{
	if (!channel)
		return;
	if (channel->is_running)
		channel->is_freed = channel->is_broken = true;
	else
		free_now(channel);
}

void channel_send(struct channel *channel, const void *message, const int *descriptors,
		  size_t descriptor_count)
{
	const struct message_header *header = message;
	assert(message_check(message, header->size));
	assert(message_descriptors(message) == descriptor_count);
	if (channel->is_broken)
		return;
	if (!channel->first) {
		if (send_packet(channel->descriptor, message, header->size, descriptors,
				descriptor_count) >= 0)
			return;
		if (!must_wait()) {
			give_up_sending(channel);
			return;
		}
	}
	if (!append(channel, message, header->size, descriptors, descriptor_count))
		give_up_sending(channel);
	else if (!channel->is_running)
		watch(channel);
}

static bool wait_for(int descriptor, short event, uint64_t end_ms)
{
	struct pollfd ready = {.fd = descriptor, .events = event};
	for (;;) {
		uint64_t now_ms = clock_monotonic_ms();
		int left_ms = now_ms < end_ms ? (int)(end_ms - now_ms) : 0;
		int result = poll(&ready, 1, left_ms);
		if (result >= 0 || errno != EINTR)
			return result > 0;
	}
}

void channel_flush(struct channel *channel, unsigned timeout_ms)
{
	uint64_t end_ms = clock_monotonic_ms() + timeout_ms;
	while (channel->first && wait_for(channel->descriptor, POLLOUT, end_ms))
		send_queued(channel);
}

/* ---- blocking ---- */

bool channel_receive_blocking(int descriptor, union message *message_out, int *descriptors_out,
			      size_t *descriptor_count_out, unsigned timeout_ms)
{
	uint64_t end_ms = clock_monotonic_ms() + timeout_ms;
	size_t size = 0;
	while (wait_for(descriptor, POLLIN, end_ms)) {
		enum packet packet = receive_packet(descriptor, message_out, &size, descriptors_out,
						    descriptor_count_out);
		if (packet == PACKET_OK && size > 0)
			return true;
		if (packet == PACKET_END || packet == PACKET_BAD)
			break;
	}
	*descriptor_count_out = 0;
	return false;
}

bool channel_send_blocking(int descriptor, const void *message, const int *descriptors,
			   size_t descriptor_count)
{
	const struct message_header *header = message;
	uint64_t end_ms = clock_monotonic_ms() + SEND_TIMEOUT_MS;
	assert(message_check(message, header->size));
	assert(message_descriptors(message) == descriptor_count);
	do {
		if (send_packet(descriptor, message, header->size, descriptors, descriptor_count) >=
		    0)
			return true;
	} while (must_wait() && wait_for(descriptor, POLLOUT, end_ms));
	return false;
}
