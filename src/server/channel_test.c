/*
 * channel: messages arrive whole, in order and with their descriptors; a bad end is told once; no
 * descriptor is left behind.
 */
#include "server/channel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/test.h"

struct end {
	struct loop *loop;
	struct channel *channel;
	size_t received, closed;
	size_t expected; /* messages after which the loop stops */
	bool free_on_message;
	uint64_t last_request;
	uint32_t last_type;
	size_t last_descriptors;
	ino_t last_inode;
	char last_password[PASSWORD_MAX];
};

struct fixture {
	struct loop *loop;
	struct end a;
	int b; /* the other end, raw */
};

static void on_message(void *context, const union message *message, const int *descriptors,
		       size_t descriptor_count)
{
	struct end *end = context;
	struct stat status;
	end->received++;
	test_check(message->header.request > end->last_request); /* in order */
	end->last_request = message->header.request;
	end->last_type = message->header.type;
	end->last_descriptors = descriptor_count;
	if (message->header.type == MESSAGE_LOGIN)
		memcpy(end->last_password, message->login.password, message->login.password_length);
	for (size_t i = 0; i < descriptor_count; i++) {
		test_check(fstat(descriptors[i], &status) == 0);
		test_check((fcntl(descriptors[i], F_GETFD) & FD_CLOEXEC) != 0);
		end->last_inode = status.st_ino;
		close(descriptors[i]);
	}
	if (end->free_on_message) {
		channel_free(end->channel);
		end->channel = NULL;
		loop_stop(end->loop);
	}
	if (end->received == end->expected)
		loop_stop(end->loop);
}

static void on_closed(void *context)
{
	struct end *end = context;
	end->closed++;
	channel_free(end->channel);
	end->channel = NULL;
	loop_stop(end->loop);
}

static void set_up(struct fixture *f)
{
	int ends[2];
	memset(f, 0, sizeof(*f));
	f->loop = loop_open(0);
	assert_non_null(f->loop);
	assert_true(channel_pair(ends));
	f->b = ends[1];
	f->a.loop = f->loop;
	f->a.channel = channel_new(f->loop, ends[0], on_message, on_closed, &f->a);
	assert_non_null(f->a.channel);
}

static void tear_down(struct fixture *f)
{
	channel_free(f->a.channel);
	loop_close(f->loop);
	if (f->b >= 0)
		close(f->b);
}

static size_t open_descriptors(void)
{
	size_t count = 0;
	DIR *directory = opendir("/proc/self/fd");
	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void make_login(struct message_login *login, uint64_t request)
{
	message_init(login, MESSAGE_LOGIN, request);
	login->password_length = 6;
	memcpy(login->password, "secret", 6);
}

static void test_messages_and_descriptors_arrive(void **state)
{
	static const struct {
		const char *name;
		enum message_type type;
		uint32_t mail_roots;
	} rows[] = {
		{"no descriptor", MESSAGE_STATUS, 0},
		{"one", MESSAGE_PEER, 0},
		{"all that there may be", MESSAGE_CONFIGURE, MAIL_ROOTS_MAX},
		{"the biggest", MESSAGE_TLS, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fixture f;
		struct end other = {0};
		static union message message;
		int file = open("/dev/null", O_RDONLY | O_CLOEXEC),
		    descriptors[MESSAGE_DESCRIPTORS_MAX];
		struct stat status;
		test_row(rows[i].name);
		set_up(&f);
		size_t open_before = open_descriptors();
		for (size_t k = 0; k < MESSAGE_DESCRIPTORS_MAX; k++)
			descriptors[k] = file;
		message_init(&message, rows[i].type, 1);
		if (rows[i].type == MESSAGE_CONFIGURE) {
			message.configure.role = PROCESS_WORKER;
			message.configure.mail_roots = rows[i].mail_roots;
			for (uint32_t k = 1; k < rows[i].mail_roots; k++)
				message.configure.mail_root_numbers[k] = k;
		}
		other.loop = f.loop;
		other.channel = channel_new(f.loop, f.b, on_message, on_closed, &other);
		f.b = -1;
		f.a.expected = 1;
		size_t count = message_descriptors(&message);
		channel_send(other.channel, &message, descriptors, count);
		loop_run(f.loop);
		test_check(f.a.received == 1 && f.a.closed == 0);
		test_check(f.a.last_type == rows[i].type && f.a.last_descriptors == count);
		test_check(fstat(file, &status) == 0);
		test_check(count == 0 || f.a.last_inode == status.st_ino);
		test_check(open_descriptors() == open_before);
		channel_free(other.channel);
		close(file);
		tear_down(&f);
	}
}

/* ---- bad packets ---- */

static void send_raw(int end, const void *data, size_t size, size_t descriptor_count)
{
	enum { MANY = MESSAGE_DESCRIPTORS_MAX + 3 };
	union {
		struct cmsghdr header;
		char octets[CMSG_SPACE(MANY * sizeof(int))];
	} room = {0};
	struct iovec piece = {.iov_base = (void *)data, .iov_len = size};
	struct msghdr packet = {.msg_iov = &piece, .msg_iovlen = 1};
	if (descriptor_count > 0) {
		packet.msg_control = &room;
		packet.msg_controllen = CMSG_SPACE(descriptor_count * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(descriptor_count * sizeof(int));
		for (size_t i = 0; i < descriptor_count; i++)
			memcpy(CMSG_DATA(header) + i * sizeof(int), &end, sizeof(int));
	}
	test_check(sendmsg(end, &packet, MSG_NOSIGNAL) == (ssize_t)size);
}

static void test_bad_packets_close(void **state)
{
	static const struct {
		const char *name;
		enum message_type type;
		long size; /* 0: the right one */
		size_t descriptors;
		uint32_t claimed; /* type in the header, 0: the right one */
	} rows[] = {
		{"one octet", MESSAGE_STATUS, 1, 0, 0},
		{"empty", MESSAGE_STATUS, -1, 0, 0},
		{"header of another type", MESSAGE_STATUS, 0, 0, MESSAGE_LOGIN},
		{"unknown type", MESSAGE_STATUS, 0, 0, 9999},
		{"longer than any", MESSAGE_TLS, sizeof(union message) + 8, 0, 0},
		{"unwanted descriptor", MESSAGE_STATUS, 0, 1, 0},
		{"missing descriptor", MESSAGE_PEER, 0, 0, 0},
		{"two for one", MESSAGE_PEER, 0, 2, 0},
		{"more than there is room for", MESSAGE_PEER, 0, MESSAGE_DESCRIPTORS_MAX + 1, 0},
		{"bad, with descriptors", MESSAGE_PEER, 0, 1, 9999},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fixture f;
		static char packet[sizeof(union message) + 64];
		struct message_header *header = (struct message_header *)packet;
		test_row(rows[i].name);
		set_up(&f);
		size_t open_before = open_descriptors();
		memset(packet, 0, sizeof(packet));
		message_init(packet, rows[i].type, 1);
		size_t size = rows[i].size ? (size_t)rows[i].size : header->size;
		if (rows[i].claimed)
			header->type = rows[i].claimed;
		send_raw(f.b, packet, rows[i].size < 0 ? 0 : size, rows[i].descriptors);
		loop_run(f.loop);
		test_check(f.a.received == 0 && f.a.closed == 1);
		test_check(open_descriptors() == open_before - 1); /* the channel's own */
		tear_down(&f);
	}
}

/* ---- the queue ---- */

static uint64_t fill(struct fixture *f, uint64_t count)
{
	for (uint64_t i = 1; i <= count; i++) {
		struct message_login login;
		make_login(&login, i);
		channel_send(f->a.channel, &login, NULL, 0);
	}
	return count;
}

/* How many the socket takes before it is full. */
static uint64_t socket_room(void)
{
	struct fixture f;
	struct message_login login;
	uint64_t count = 0;
	set_up(&f);
	make_login(&login, 1);
	while (send(f.b, &login, sizeof(login), MSG_NOSIGNAL) > 0)
		count++;
	tear_down(&f);
	return count;
}

static void test_queue_keeps_order_and_limit(void **state)
{
	static const struct {
		const char *name;
		int beyond; /* the queue's maximum */
		bool survives;
	} rows[] = {
		{"little", 10 - CHANNEL_QUEUE_MAX, true},
		{"one below", -1, true},
		{"at", 0, true},
		{"one above", 1, false},
	};
	(void)state;
	uint64_t room = socket_room();
	test_check(room > 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fixture f;
		struct end other = {0};
		test_row(rows[i].name);
		set_up(&f);
		uint64_t sent =
			fill(&f, (uint64_t)((int64_t)room + CHANNEL_QUEUE_MAX + rows[i].beyond));
		other.loop = f.loop;
		other.expected = sent;
		other.channel = channel_new(f.loop, f.b, on_message, on_closed, &other);
		f.b = -1;
		loop_run(f.loop);
		test_check(f.a.closed == !rows[i].survives);
		test_check((other.received == sent) == rows[i].survives);
		test_check(!rows[i].survives || memcmp(other.last_password, "secret", 6) == 0);
		channel_free(other.channel);
		tear_down(&f);
	}
}

/* A queued message has its own copy: the caller closes its descriptor at once. */
static void test_queued_descriptors_are_copies(void **state)
{
	(void)state;
	struct fixture f;
	struct end other = {0};
	struct message_peer peer;
	struct stat status;
	set_up(&f);
	uint64_t sent = fill(&f, socket_room() + 5);
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(file, &status), 0);
	message_init(&peer, MESSAGE_PEER, sent + 1);
	channel_send(f.a.channel, &peer, &file, 1);
	close(file);
	other.loop = f.loop;
	other.expected = sent + 1;
	other.channel = channel_new(f.loop, f.b, on_message, on_closed, &other);
	f.b = -1;
	loop_run(f.loop);
	assert_int_equal(other.received, sent + 1);
	assert_int_equal(other.last_inode, status.st_ino);
	channel_free(other.channel);
	tear_down(&f);
}

static void test_flush(void **state)
{
	(void)state;
	struct fixture f;
	static union message message;
	int descriptors[MESSAGE_DESCRIPTORS_MAX];
	size_t count;
	set_up(&f);
	uint64_t sent = fill(&f, socket_room() + 5);
	channel_flush(f.a.channel, 1); /* the socket is full: gives up */
	for (uint64_t i = 1; i <= sent; i++) {
		assert_true(channel_receive_blocking(f.b, &message, descriptors, &count, 1000));
		assert_int_equal(message.header.request, i);
		channel_flush(f.a.channel, 1); /* takes nothing as long as the socket is full */
	}
	tear_down(&f);
}

/* ---- ends ---- */

/* The other end closes with our messages unread: Linux reports a reset before what it had sent. */
static void test_last_words_are_heard(void **state)
{
	static const struct {
		const char *name;
		uint64_t unread;
		bool sends_after;
	} rows[] = {
		{"all read", 0, false},
		{"some unread", 3, false},
		{"and we go on talking", 3, true},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fixture f;
		struct message_ready ready;
		test_row(rows[i].name);
		set_up(&f);
		fill(&f, rows[i].unread);
		for (uint64_t k = 1; k <= 2; k++) {
			message_init(&ready, MESSAGE_READY, k);
			test_check(channel_send_blocking(f.b, &ready, NULL, 0));
		}
		close(f.b);
		f.b = -1;
		if (rows[i].sends_after)
			fill(&f, 2);
		test_check(f.a.closed == 0); /* never from within channel_send() */
		loop_run(f.loop);
		test_check(f.a.received == 2 && f.a.closed == 1);
		tear_down(&f);
	}
}

static void test_free_from_the_callback(void **state)
{
	(void)state;
	struct fixture f;
	struct message_ready ready;
	set_up(&f);
	f.a.free_on_message = true;
	for (uint64_t k = 1; k <= 3; k++) {
		message_init(&ready, MESSAGE_READY, k);
		assert_true(channel_send_blocking(f.b, &ready, NULL, 0));
	}
	loop_run(f.loop);
	assert_int_equal(f.a.received, 1);
	assert_int_equal(f.a.closed, 0);
	tear_down(&f);
}

static void test_blocking_receive(void **state)
{
	(void)state;
	int ends[2], descriptors[MESSAGE_DESCRIPTORS_MAX];
	size_t count;
	static union message message;
	struct message_ready ready;
	assert_true(channel_pair(ends));
	assert_false(channel_receive_blocking(ends[1], &message, descriptors, &count, 1));
	message_init(&ready, MESSAGE_READY, 5);
	assert_true(channel_send_blocking(ends[0], &ready, NULL, 0));
	assert_true(channel_receive_blocking(ends[1], &message, descriptors, &count, 1000));
	assert_int_equal(message.header.request, 5);
	assert_int_equal(write(ends[0], "rubbish", 7), 7);
	assert_false(channel_receive_blocking(ends[1], &message, descriptors, &count, 1000));
	close(ends[0]);
	assert_false(channel_receive_blocking(ends[1], &message, descriptors, &count, 1000));
	assert_false(channel_send_blocking(ends[1], &ready, NULL, 0));
	close(ends[1]);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_messages_and_descriptors_arrive),
	cmocka_unit_test(test_bad_packets_close),
	cmocka_unit_test(test_queue_keeps_order_and_limit),
	cmocka_unit_test(test_queued_descriptors_are_copies),
	cmocka_unit_test(test_flush),
	cmocka_unit_test(test_last_words_are_heard),
	cmocka_unit_test(test_free_from_the_callback),
	cmocka_unit_test(test_blocking_receive),
};

TEST_MAIN(tests)
