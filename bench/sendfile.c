/*
 * sendfile: sends one file over and over to whoever connects, by sendfile(2), until the peer
 * closes. The reference for octets a second: the kernel alone, no encoding, no check, no protocol.
 *
 *   bench_sendfile ADDRESS FILE     prints "ready"; ends when its standard input ends
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "bench/connection.h"

static void send_for_ever(int descriptor, int file, off_t size)
{
	off_t offset = 0;

	while (sendfile(descriptor, file, &offset, (size_t)(size - offset)) > 0) {
		if (offset == size)
			offset = 0;
	}
}

/* A process for each connection: its time is counted when it has been waited for. */
static void serve(int listener, int file, off_t size)
{
	struct pollfd waiting[2] = {{.fd = listener, .events = POLLIN},
				    {.fd = STDIN_FILENO, .events = POLLIN}};

	while (poll(waiting, 2, -1) > 0 && waiting[1].revents == 0) {
		int descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fork() == 0) {
			send_for_ever(descriptor, file, size);
			_exit(0);
		}
		close(descriptor);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address;
	struct stat status;
	int listener, file, yes = 1;

	signal(SIGPIPE, SIG_IGN);
	if (argc != 3 || !peer_parse(argv[1], &address))
		return EX_USAGE;
	file = open(argv[2], O_RDONLY | O_CLOEXEC);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (file < 0 || fstat(file, &status) < 0 || status.st_size == 0 ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 64) < 0) {
		perror("bench_sendfile");
		return EX_UNAVAILABLE;
	}
	printf("ready\n");
	fflush(stdout);
	serve(listener, file, status.st_size);
	return EX_OK;
}
