#!/usr/bin/env python3
"""The socketmap service, asked by a client of the test's own."""

import os
import signal
import socket
import unittest

from harness import PATIENCE, Server, in_every_mode, main

PORT = ("--socketmap", "127.0.0.1:0")


def netstring(octets):
    return b"%d:%s," % (len(octets), octets)


class Client:
    def __init__(self, connection):
        self.connection = connection
        self.reader = connection.makefile("rb")

    @staticmethod
    def of(server):
        return Client(socket.create_connection(("127.0.0.1", server.ports["socketmap"]),
                                               timeout=PATIENCE))

    def send(self, *requests):
        self.connection.sendall(b"".join(netstring(request) for request in requests))

    def answer(self):
        digits = b""
        while True:
            octet = self.reader.read(1)
            assert octet, "closed behind %r" % digits
            if octet == b":":
                break
            digits += octet
        text = self.reader.read(int(digits))
        assert self.reader.read(1) == b","
        return text

    def ask(self, request):
        self.send(request)
        return self.answer()

    def close(self):
        self.reader.close()
        self.connection.close()


class Socketmap(unittest.TestCase):
    @in_every_mode
    def test_answers(self, mode):
        rows = [
            (b"recipients alice@example.org", b"OK alice@example.org"),
            (b"recipients Alice@Example.ORG", b"OK alice@example.org"),
            (b"recipients alice", b"OK alice@example.org"),
            (b"recipients alice+tag@example.org", b"OK alice@example.org"),
            (b"recipients bob@second.example", b"OK bob@second.example"),
            (b"recipients postmaster@second.example", b"OK alice@example.org"),
            (b"recipients nobody@example.org", b"NOTFOUND "),
            (b"recipients bob@example.org", b"NOTFOUND "),
            (b"recipients alice@elsewhere.example", b"NOTFOUND "),
            (b"recipients @example.org", b"NOTFOUND "),
            (b"recipients example.org", b"NOTFOUND "),
            (b"recipients a b@example.org", b"NOTFOUND "),
            (b"recipients \xff\0@example.org", b"NOTFOUND "),
            (b"recipients ", b"NOTFOUND "),
            (b"recipients " + b"x" * 2000, b"NOTFOUND "),
            (b"domains example.org", b"OK example.org"),
            (b"domains Second.Example", b"OK Second.Example"),
            (b"domains elsewhere.example", b"NOTFOUND "),
            (b"domains .example.org", b"NOTFOUND "),
            (b"domains sub.example.org", b"NOTFOUND "),
            (b"domains alice@example.org", b"NOTFOUND "),
            (b"domains ", b"NOTFOUND "),
            (b"domains " + b"x" * 300, b"NOTFOUND "),
            (b"aliases alice", b"PERM the maps are recipients and domains"),
            (b"recipients", b"PERM not a name and a key"),
            (b"", b"PERM not a name and a key"),
        ]
        with Server(mode, *PORT, accounts=("alice@example.org", "bob@second.example")) as server:
            client = Client.of(server)
            for request, answer in rows:
                self.assertEqual((request, client.ask(request)), (request, answer))
            client.send(*[request for request, _ in rows * 20])
            for request, answer in rows * 20:
                self.assertEqual((request, client.answer()), (request, answer))
            client.close()

    @in_every_mode
    def test_unix_socket(self, mode):
        with Server(mode, "--socketmap", "unix:" + os.path.join(self.folder(), "map")) as server:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(PATIENCE)
            connection.connect(os.path.join(self.folder(), "map"))
            client = Client(connection)
            self.assertEqual(client.ask(b"domains example.org"), b"OK example.org")
            client.close()
            server.add_account("new@third.example")
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(os.path.join(self.folder(), "map"))
            client = Client(connection)
            self.assertEqual(client.ask(b"recipients new@third.example"), b"OK new@third.example")
            client.close()

    @staticmethod
    def folder():
        folder = os.path.join(Server.folder, "socketmap")
        if not os.path.isdir(folder):
            os.mkdir(folder)
            os.chmod(folder, 0o777)
        return folder

    @in_every_mode
    def test_auth_is_away(self, mode):
        """Not known is not the same as not there: the MTA must keep its mail."""
        with Server(mode, *PORT, workers=1) as server:
            client = Client.of(server)
            auth = server.pid_of("auth")
            os.kill(auth, signal.SIGSTOP)
            client.send(b"recipients nobody@example.org")
            os.kill(auth, signal.SIGKILL)
            self.assertTrue(client.answer().startswith(b"TEMP "))
            server.wait_for("child-start: role=auth", count=2)
            client.close()
            # The new one is introduced before long; nothing tells a client when.
            client = Client.of(server)
            answer = client.ask(b"recipients nobody@example.org")
            while answer.startswith(b"TEMP "):
                answer = client.ask(b"recipients nobody@example.org")
            self.assertEqual(answer, b"NOTFOUND ")
            client.close()

    @in_every_mode
    def test_what_is_no_netstring(self, mode):
        """Closed without a word: where the next request would begin is not known."""
        with Server(mode, *PORT) as server:
            for octets in (b"GET /xyzzy HTTP/1.1\r\nHost: xyzzy\r\n\r\n", b"99999:xyzzy", b"\0" * 9,
                           b"4097:xyzzy", b"05:xyzzy,", b"xyzzy\r\n" * 50000):
                client = Client.of(server)
                try:
                    client.connection.sendall(octets)
                    self.assertEqual(client.reader.read(), b"")
                except (ConnectionResetError, BrokenPipeError):
                    pass
                client.close()
            client = Client.of(server)
            self.assertEqual(client.ask(b"domains example.org"), b"OK example.org")
            client.close()

    @in_every_mode
    def test_many(self, mode):
        """A connection for each process of an MTA, all asking at once."""
        with Server(mode, *PORT, workers=1) as server:
            clients = [Client.of(server) for _ in range(100)]
            for _ in range(20):
                for number, client in enumerate(clients):
                    client.send(b"recipients %s@example.org" % (b"alice", b"nobody")[number % 2])
                for number, client in enumerate(clients):
                    self.assertEqual(client.answer(),
                                     (b"OK alice@example.org", b"NOTFOUND ")[number % 2])
            for client in clients:
                client.close()


if __name__ == "__main__":
    main()
