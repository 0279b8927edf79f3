#!/usr/bin/env python3
"""kill -9 of a worker or of auth at random points of deliveries and sessions.

Every message that was acknowledged is there once and whole, or was deleted by a session whose QUIT
was answered +OK; and the server serves again. POSTERN_KILL_ROUNDS (default 20) says how often,
POSTERN_KILL_SEED repeats a run's choices.
"""

import hashlib
import os
import poplib
import random
import smtplib
import statistics
import sys
import threading
import time
import unittest

from harness import PATIENCE, SECRET, Server, in_every_mode, main

ROUNDS = int(os.environ.get("POSTERN_KILL_ROUNDS", "20"))
SEED = int(os.environ.get("POSTERN_KILL_SEED", str(random.randrange(1 << 32))))
ACCOUNTS = ("alice@example.org", "carol@example.org", "dave@example.org")
BROKEN = (OSError, EOFError, smtplib.SMTPException, poplib.error_proto)


def make_message(number, octets):
    body = (b"%08d" % number) * (octets // 8)
    body = b"\r\n".join(body[at:at + 72] for at in range(0, len(body), 72)) + b"\r\n"
    return b"Subject: %d %s\r\n\r\n" % (number, hashlib.sha256(body).hexdigest().encode()) + body


def number_of(lines):
    """Which message this is; fails when an octet of it is missing or another."""
    at = next(i for i, line in enumerate(lines) if line.startswith(b"Subject: "))
    _, number, digest = lines[at].split()
    body = b"\r\n".join(lines[at + 2:]) + b"\r\n"
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise AssertionError("message %s is not whole" % number.decode())
    return int(number)


class Traffic:
    """Delivers and retrieves in threads, and keeps the books."""

    def __init__(self, server, choices):
        self.server, self.over, self.problems = server, threading.Event(), []
        self.acknowledged = {name: set() for name in ACCOUNTS}
        self.deleted = {name: set() for name in ACCOUNTS}  # surely
        self.doubtful = {name: set() for name in ACCOUNTS}  # QUIT was not answered
        self.threads = [threading.Thread(target=self.guard, args=(work, random.Random(
            choices.random()), index)) for index, work in
            enumerate((self.deliver, self.deliver, self.retrieve, self.retrieve))]

    def guard(self, work, choices, index):
        number = index << 24
        while not self.over.is_set():
            number += 1
            try:
                work(choices, number)
            except BROKEN:
                pass  # the process that served us was killed
            except Exception as problem:  # anything else is what the test is for
                self.problems.append(problem)
                return

    def deliver(self, choices, number):
        names = choices.sample(ACCOUNTS, choices.randint(1, len(ACCOUNTS)))
        message = make_message(number, choices.choice((100, 3000, 200000)))
        with smtplib.LMTP("127.0.0.1", self.server.ports["lmtp"], timeout=PATIENCE) as lmtp:
            lmtp.ehlo()
            lmtp.mail("bob@example.net")
            accepted = [name for name in names if lmtp.rcpt(name)[0] == 250]
            if not accepted:
                return
            lmtp.putcmd("data")
            if lmtp.getreply()[0] != 354:
                return
            lmtp.send(message + b".\r\n")
            for name in accepted:
                if lmtp.getreply()[0] == 250:
                    self.acknowledged[name].add(number)

    def retrieve(self, choices, number):
        name = choices.choice(ACCOUNTS)
        pop3 = self.server.login(name)
        marked = set()
        for message in range(1, min(pop3.stat()[0], 8) + 1):
            if choices.random() < 0.6:
                marked.add(number_of(pop3.retr(message)[1]))
                pop3.dele(message)
        self.doubtful[name] |= marked
        pop3.quit()
        self.deleted[name] |= marked
        self.doubtful[name] -= marked


class Kill(unittest.TestCase):
    def serve_again(self, server):
        """Returns when a login and a delivery are answered again."""
        begun = time.monotonic()
        while True:
            try:
                server.send(make_message(0, 8), "probe@example.org")
                server.login("probe@example.org").quit()
                return
            except BROKEN:
                self.assertLess(time.monotonic() - begun, PATIENCE)

    def check(self, server, traffic):
        for name in ACCOUNTS:
            pop3 = server.login(name)
            there = [number_of(pop3.retr(n)[1]) for n in range(1, pop3.stat()[0] + 1)]
            pop3.quit()
            self.assertEqual(len(there), len(set(there)), "a message twice")
            there = set(there)
            lost = traffic.acknowledged[name] - traffic.deleted[name] - traffic.doubtful[name]
            self.assertFalse(lost - there, "acknowledged and lost")
            self.assertFalse(traffic.deleted[name] & there, "deleted and there")
            verified = server.run("mailbox", "verify", name, check=False)
            self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)

    @in_every_mode
    def test_at_random_points(self, mode):
        choices = random.Random(SEED)
        print("seed %d, %d rounds" % (SEED, ROUNDS), file=sys.stderr)
        with Server(mode, accounts=ACCOUNTS + ("probe@example.org",)) as server:
            traffic = Traffic(server, choices)
            for thread in traffic.threads:
                thread.start()
            seconds = []
            try:
                for _ in range(ROUNDS):
                    traffic.over.wait(choices.random() * 0.3)
                    role = choices.choice((("worker", 0), ("worker", 1), ("auth", 0)))
                    begun = time.monotonic()
                    server.kill(*role)
                    self.serve_again(server)
                    seconds.append(time.monotonic() - begun)
            finally:
                traffic.over.set()
                for thread in traffic.threads:
                    thread.join()
            self.assertFalse(traffic.problems)
            self.check(server, traffic)
            acknowledged = sum(len(numbers) for numbers in traffic.acknowledged.values())
            print("served again after %.3f s (median), %.3f s (longest); %d acknowledged"
                  % (statistics.median(seconds), max(seconds), acknowledged), file=sys.stderr)
            self.assertGreater(acknowledged, ROUNDS)
            self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    main()
