#!/usr/bin/env python3
"""Restarts and reloads under load: no connection is refused, no retrieval is broken.

POSTERN_RESTART_ROUNDS says how many of each; 10 unless told otherwise."""

import fcntl
import os
import poplib
import signal
import socket
import subprocess
import threading
import time
import unittest

from harness import PATIENCE, SECRET, Server, in_every_mode, main

ROUNDS = int(os.environ.get("POSTERN_RESTART_ROUNDS", "10"))
CLIENTS = 4
MESSAGE = b"Subject: long\r\n\r\n" + b"".join(b"line %d %s\r\n" % (n, b"y" * 60) for n in range(4000))
NAMES = ["user%d@example.org" % number for number in range(CLIENTS)]


class Activated(Server):
    """A server whose sockets are bound by us, as a service manager does."""

    KINDS = ("pop3", "pop3s", "lmtp")

    def __init__(self, mode, **words):
        super().__init__(mode, **words)
        self.flags = self.flags[self.flags.index("--workers"):]
        self.given = []
        for _ in self.KINDS:
            listening = socket.socket()
            listening.bind(("127.0.0.1", 0))
            listening.listen(4096)
            self.given.append(listening)
        self.names = ":".join(self.KINDS)

    def hand_over(self):
        """In the child, before exec."""
        self.drop()
        high = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 200) for one in self.given]
        for number, descriptor in enumerate(high):
            os.dup2(descriptor, 3 + number)
            os.close(descriptor)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)))
        if self.names is not None:
            os.environ["LISTEN_FDNAMES"] = self.names

    def launch(self):
        """Starts a server, and does not wait until it is ready."""
        process = subprocess.Popen(
            [self.program, "--root", self.root, "serve"] + self.flags, close_fds=False,
            preexec_fn=self.hand_over, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        for stream in (process.stdout, process.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()
        return process

    def start(self):
        self.process = self.launch()
        self.wait_for(r"^ready$")
        self.ports = {kind: one.getsockname()[1] for kind, one in zip(self.KINDS, self.given)}
        return self

    def close(self):
        super().close()
        for one in self.given:
            one.close()


class Client(threading.Thread):
    """Logs in and retrieves, again and again. A session may be ended with a word between two
    answers; an answer that was begun is whole and right."""

    def __init__(self, server, name, ended):
        super().__init__(daemon=True)
        self.server, self.name, self.ended = server, name, ended
        self.retrieved = self.told = self.cut = 0
        self.problem = None

    def session(self):
        retrieving = False
        try:
            pop3 = self.server.connect()
            pop3.user(self.name)
            pop3.pass_(SECRET)
            pop3.stat()
            pop3._putcmd("RETR 1")
            pop3._getresp()
            retrieving = True
            text = bytearray()
            while b"\r\n.\r\n" not in text[-200:]:  # a word of farewell may stand behind it
                octets = pop3.file.read1(65536)
                assert octets, "a retrieval was cut"
                text += octets
            assert MESSAGE + b".\r\n" in text, "other octets came"
            retrieving = False
            self.retrieved += 1
            pop3.quit()
        except poplib.error_proto as problem:
            if retrieving:
                raise AssertionError("a retrieval ended amid: %r" % problem)
            if isinstance(problem.args[0], str):  # poplib's own: the end of the connection
                self.cut += 1
            elif b"[SYS/TEMP]" in problem.args[0] or b"[IN-USE]" in problem.args[0]:
                self.told += 1
            else:
                raise
        except (ConnectionResetError, BrokenPipeError):
            # We wrote while it closed: what it said is lost with our octets.
            if retrieving:
                raise
            self.cut += 1

    def run(self):
        try:
            while not self.ended.is_set():
                self.session()
        except Exception as problem:  # also a refused connection
            self.problem = problem


class UnderLoad(unittest.TestCase):
    def under_load(self, server, rounds):
        ended = threading.Event()
        clients = [Client(server, name, ended) for name in NAMES]
        for client in clients:
            client.start()
        try:
            for number in range(rounds):
                before = sum(client.retrieved for client in clients)
                self.change(server, number)
                end = time.monotonic() + PATIENCE
                while sum(client.retrieved for client in clients) <= before:
                    self.assertLess(time.monotonic(), end)
                    self.assertFalse([c.problem for c in clients if c.problem])
                    ended.wait(0.01)
        finally:
            ended.set()
            for client in clients:
                client.join(PATIENCE)
        self.assertEqual([client.problem for client in clients if client.problem], [])
        print("%d rounds: %d retrieved, %d told, %d cut between answers" % (
            rounds, sum(c.retrieved for c in clients), sum(c.told for c in clients),
            sum(c.cut for c in clients)))

    @in_every_mode
    def test_restarts(self, mode):
        server = Activated(mode, accounts=NAMES)
        with server:
            server.send(MESSAGE, *NAMES)
            self.under_load(server, ROUNDS)
            self.assertEqual(server.stop(), 0)

    def change(self, server, number):
        """Every second time the new server is started at once, and waits for the old."""
        since, old = server.mark(), server.process
        old.send_signal(signal.SIGTERM)
        if number % 2:
            server.wait_for(r"drain: ", since=since)
            server.process = server.launch()
        self.assertEqual(old.wait(PATIENCE), 0)
        if not number % 2:
            server.process = server.launch()
        server.wait_for(r"^ready$", since=since)


class Reloads(UnderLoad):
    test_restarts = None

    @in_every_mode
    def test_reloads(self, mode):
        server = Server(mode, accounts=NAMES)
        with server:
            server.send(MESSAGE, *NAMES)
            self.under_load(server, ROUNDS)
            self.assertEqual(server.stop(), 0)

    def change(self, server, number):
        since = server.mark()
        server.process.send_signal(signal.SIGHUP)
        server.wait_for(r"reload: done=yes", since=since)


if __name__ == "__main__":
    main()
