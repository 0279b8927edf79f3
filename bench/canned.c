/*
 * canned: a POP3 server that knows no accounts and no mail: it gives the answers a login with STAT
 * and QUIT gets, from constants. The reference for logins a second: what is left when everything
 * that makes a mail server is taken away. As many processes as the server beside it has workers.
 *
 *   bench_canned ADDRESS PROCESSES     prints "ready"; ends when its standard input ends
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/number.h"
#include "bench/connection.h"

#define EVENTS_MAX    256
#define PROCESSES_MAX 64

struct session {
	int descriptor;
	char first; /* octet of the line under way; 0 between lines */
};

static const struct bytes greeting = {"+OK POP3 server ready\r\n", 23};

static struct bytes answer(char first)
{
	switch (first) {
	case 'U':
		return BYTES("+OK send PASS\r\n");
	case 'P':
		return BYTES("+OK maildrop has 10 messages (20480 octets)\r\n");
	case 'S':
		return BYTES("+OK 10 20480\r\n");
	case 'Q':
		return BYTES("+OK bye\r\n");
	default:
		return BYTES("-ERR unknown command\r\n");
	}
}

static bool say(int descriptor, struct bytes text)
{
	return send(descriptor, text.data, text.length, MSG_NOSIGNAL) == (ssize_t)text.length;
}

/* False when the session is over. */
static bool serve(struct session *session)
{
	char octets[512];
	ssize_t count = recv(session->descriptor, octets, sizeof(octets), 0);

	if (count <= 0)
		return count < 0 && (errno == EAGAIN || errno == EINTR);
	for (ssize_t i = 0; i < count; i++) {
		if (session->first == 0)
			session->first = octets[i];
		if (octets[i] != '\n')
			continue;
		if (!say(session->descriptor, answer(session->first)) || session->first == 'Q')
			return false;
		session->first = 0;
	}
	return true;
}

static void accept_all(int listener, int epoll)
{
	for (;;) {
		int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct session *session = descriptor >= 0 ? calloc(1, sizeof(*session)) : NULL;
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = session};

		if (session == NULL) {
			if (descriptor >= 0)
				close(descriptor);
			return;
		}
		session->descriptor = descriptor;
		if (!say(descriptor, greeting) ||
		    epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) < 0) {
			close(descriptor);
			free(session);
		}
	}
}

static void serve_for_ever(int listener)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[EVENTS_MAX], event = {.events = EPOLLIN | EPOLLEXCLUSIVE};

	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event); /* data.ptr NULL marks it */
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++) {
			struct session *session = events[i].data.ptr;

			if (session == NULL) {
				accept_all(listener, epoll);
			} else if (!serve(session)) {
				close(session->descriptor);
				free(session);
			}
		}
	}
}

int main(int argc, char **argv)
{
	pid_t children[PROCESSES_MAX];
	struct sockaddr_in address;
	uint64_t processes;
	int listener, yes = 1;

	if (argc != 3 || !peer_parse(argv[1], &address) ||
	    !number_parse(bytes_of(argv[2]), PROCESSES_MAX, &processes))
		return EX_USAGE;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 1024) < 0) {
		perror("bench_canned");
		return EX_UNAVAILABLE;
	}
	for (uint64_t i = 0; i < processes; i++) {
		children[i] = fork();
		if (children[i] == 0)
			serve_for_ever(listener);
	}
	printf("ready\n");
	fflush(stdout);
	while (getchar() != EOF)
		;
	for (uint64_t i = 0; i < processes; i++)
		kill(children[i], SIGTERM);
	return EX_OK;
}
