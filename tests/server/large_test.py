#!/usr/bin/env python3
"""A maildrop of 100,000 messages, and a message of 50 MB: what they cost is counted, not timed."""

import hashlib
import os
import re
import smtplib
import socket
import unittest

from harness import SECRET, Server, in_every_mode, main

MESSAGES = 100000
LARGE_OCTETS = 50 * 1024 * 1024
# What the peak of any process may grow by while the large message passes in and out: less than half
# of it, with the sanitizers' own memory counted in.
GROWTH_MAX_KB = 20 * 1024

os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"


def write_mbox(path):
    """100,000 messages, 258 MB; the number stands in each."""
    body = b"".join(b"%02d " % n + b"abcdefghij" * 7 + b"\n" for n in range(34))
    with open(path, "wb") as mbox:
        for number in range(1, MESSAGES + 1):
            mbox.write(b"From a@b Sat Nov 21 10:00:00 2026\nSubject: %d\n\n" % number + body + b"\n")


def octets_read(server):
    return sum(process.get("file_octets_read", 0) for process in server.status()["processes"])


def peaks(server):
    peak = {}
    for number in range(2):
        pid = server.pid_of("worker", number)
        with open("/proc/%d/status" % pid) as status:
            peak[pid] = int(re.search(r"VmHWM:\s+(\d+)", status.read())[1])
    return peak


class Talk:
    """POP3 without poplib's limits: octets in, octets out."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.ports["pop3"]), 60)
        self.file = self.socket.makefile("rb", 1 << 16)
        self.file.readline()
        self.ask(b"USER alice@example.org")
        assert self.ask(b"PASS " + SECRET.encode()).startswith(b"+OK")

    def ask(self, command):
        self.socket.sendall(command + b"\r\n")
        return self.file.readline()

    def lines(self):
        for line in self.file:
            if line == b".\r\n":
                return
            yield line

    def quit(self):
        self.ask(b"QUIT")
        self.file.close()
        self.socket.close()


class Many(unittest.TestCase):
    def test_second_login_reads_no_mail(self):
        from harness import modes
        server = Server(modes()[-1])
        self.addCleanup(server.close)
        path = os.path.join(server.base, "many")
        write_mbox(path)
        os.chmod(path, 0o644)
        server.run("mailbox", "import", "alice@example.org", path)
        size = os.path.getsize(path)
        os.unlink(path)
        with server:
            first = Talk(server)
            stat = first.ask(b"STAT").split()
            self.assertEqual(int(stat[1]), MESSAGES)
            first.quit()
            before = octets_read(server)
            again = Talk(server)
            self.assertEqual(again.ask(b"STAT").split(), stat)
            # The From line of the last message and two entries of the index.
            self.assertLess(octets_read(server) - before, 4096)
            again.ask(b"LIST")
            self.assertEqual(sum(1 for _ in again.lines()), MESSAGES)
            again.ask(b"UIDL")
            uids = [line.split() for line in again.lines()]
            self.assertEqual([int(uid[0]) for uid in uids], list(range(1, MESSAGES + 1)))
            self.assertEqual(len({uid[1] for uid in uids}), MESSAGES)
            # The listings were read from the index, not from the mail.
            self.assertLess(octets_read(server) - before, size // 4)
            for number in (1, 54321, MESSAGES):
                again.ask(b"TOP %d 0" % number)
                self.assertIn(b"Subject: %d\r\n" % number, list(again.lines()))
            again.quit()


class Large(unittest.TestCase):
    @in_every_mode
    def test_memory_is_bounded(self, mode):
        line = bytes(range(32, 107)) + b"\r\n"
        message = b"Subject: large\r\n\r\n" + line * (LARGE_OCTETS // len(line))
        with Server(mode) as server:
            server.send(b"Subject: small\r\n\r\nx\r\n")
            for _ in range(4):
                server.login().quit()
            before = peaks(server)
            with smtplib.LMTP("127.0.0.1", server.ports["lmtp"], timeout=120) as lmtp:
                lmtp.sendmail("", ["alice@example.org"], message)
            talk = Talk(server)
            talk.ask(b"RETR 2")
            digest = hashlib.sha256()
            inside = False
            for line in talk.lines():
                inside = inside or line.startswith(b"Subject:")
                if inside:
                    digest.update(line)
            talk.quit()
            self.assertEqual(digest.digest(), hashlib.sha256(message).digest())
            for pid, peak in peaks(server).items():
                self.assertLess(peak - before[pid], GROWTH_MAX_KB)


if __name__ == "__main__":
    main()
