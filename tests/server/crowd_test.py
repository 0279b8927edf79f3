#!/usr/bin/env python3
"""Ten thousand connections that say nothing, or too little, beside one honest client.

They come from many addresses, so that no limit by address thins them out, and none of them ever
finishes what it has begun: a command, a line, a TLS handshake, a message. There may be more of them
than the server has room for. What is demanded is that the honest client is served from beginning to
end, again and again, and that all is gone when they are gone.
"""

import resource
import socket
import time
import unittest

from harness import PATIENCE, Server, in_every_mode, main

CONNECTIONS = 10000
OWN_DESCRIPTORS = 200
ROUNDS = 10

# (port, what is sent at once, what trickles behind it); the first flight of a TLS client cut off
# in the middle, a command line that never ends, a message that never does.
KINDS = (
    ("pop3", b"", b""),
    ("pop3", b"U", b"S"),
    ("pop3", b"USER alice@example.org\r\nPASS ", b"x"),
    ("pop3", b"CAPA\r\n" * 20, b"CAPA\r\n"),
    ("pop3s", b"", b""),
    ("pop3s", b"\x16\x03\x01\x02\x00\x01\x00", b"\x00"),
    ("lmtp", b"", b""),
    ("lmtp", b"LHLO a\r\nMAIL FROM:<b@c>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nx", b"x"),
)
LMTP_SHARE = 20  # one in so many speaks LMTP: most of a worker's slots are POP3's


def raise_descriptors():
    """As many as allowed, in this process; how many connections that makes."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(CONNECTIONS, hard - OWN_DESCRIPTORS)


class Crowd:
    def __init__(self, server, count):
        self.members = []
        for number in range(count):
            kinds = KINDS[6:] if number % LMTP_SHARE == 0 else KINDS[:6]
            port, at_once, trickle = kinds[number // LMTP_SHARE % len(kinds)]
            self.join(server.ports[port], "127.1.%d.%d" % (number // 200, number % 200 + 1),
                      at_once, trickle)

    def join(self, port, address, at_once, trickle):
        member = socket.create_connection(("127.0.0.1", port), PATIENCE, (address, 0))
        member.setblocking(False)
        if at_once:
            member.send(at_once)
        self.members.append((member, trickle))

    def trickle(self):
        """One more octet of each that has any, and is still there."""
        for member, octets in self.members:
            try:
                member.send(octets)
            except OSError:
                pass

    def close(self):
        for member, _ in self.members:
            member.close()


def connections_now(server):
    return sum(process["connections_now"] for process in server.status()["processes"]
               if "connections_now" in process)


def wait_until(server, arrived):
    """Looks again and again how many there are; each look takes a round trip."""
    end = time.monotonic() + PATIENCE
    while not arrived(connections_now(server)):
        if time.monotonic() > end:
            raise AssertionError("%d connections" % connections_now(server))


class CrowdTest(unittest.TestCase):
    @in_every_mode
    def test_an_honest_client_is_served(self, mode):
        count = raise_descriptors()
        with Server(mode) as server:
            crowd = Crowd(server, count)
            wait_until(server, lambda now: now >= count // 2)  # what fits
            for number in range(ROUNDS):
                crowd.trickle()
                self.one_honest_day(server, number)
            crowd.close()
            wait_until(server, lambda now: now == 0)

    def one_honest_day(self, server, number):
        text = b"Subject: %d\r\n\r\nAmid the crowd.\r\n" % number
        server.send(text)
        pop3 = server.login(tls=number % 2 == 1)
        self.assertEqual(pop3.stat()[0], 1)
        self.assertTrue(b"\r\n".join(pop3.retr(1)[1] + [b""]).endswith(text))
        pop3.dele(1)
        pop3.quit()


if __name__ == "__main__":
    main()
