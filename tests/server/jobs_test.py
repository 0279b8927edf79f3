#!/usr/bin/env python3
"""Mail where every read of a maildrop is a job.

What a maildrop holds is read on the loop as long as the page cache has it, and by a thread where it
has not. No test can empty the page cache for sure; but a tmpfs knows no reading without waiting
(RWF_NOWAIT), so with the root there all reads go the second way. The tests of mail and of contests
are run there too.
"""

import os
import re
import threading
import unittest

from unittest import mock

import mail_test
from contest_test import Contest
from harness import PATIENCE, SECRET, MemoryFolder, Server, in_every_mode, main, raw
from mail_test import Mail

MESSAGES = 300


def reads_wait(folder):
    """Whether the kernel refuses to read without waiting there."""
    path = os.path.join(folder, "probe")
    with open(path, "w+b") as file:
        file.write(b"x")
        file.flush()
        try:
            os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
        except OSError:
            return True
        finally:
            os.unlink(path)
    return False


def message_of(number):
    """Some longer than what one job reads, some with lines that are stuffed."""
    body = b".%d\r\n" % number * (60000 if number % 100 == 0 else number % 7)
    return b"Subject: %d\r\n\r\nfirst\r\n%s" % (number, body)


def fill(server, name="alice@example.org"):
    """All of them in one session, which smtplib cannot."""
    connection, reader = raw(server, "lmtp")
    script = b"LHLO x\r\n"
    for number in range(1, MESSAGES + 1):
        script += b"MAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\n" % name.encode()
        script += message_of(number).replace(b"\r\n.", b"\r\n..") + b".\r\n"
    script += b"QUIT\r\n"
    threading.Thread(target=connection.sendall, args=(script,)).start()
    answers = reader.read()
    connection.close()
    return len(re.findall(rb"^250 2.* delivered as ", answers, re.M))


def split(text, count):
    """The multi-line answers at the front, as (first line, octets behind it); and what is left."""
    found = []
    for _ in range(count):
        line, text = text.split(b"\r\n", 1)
        body, text = text.split(b"\r\n.\r\n", 1)
        found.append((line, body.replace(b"\r\n..", b"\r\n.")))
    return found, text


class Streams(mail_test.Streams):
    def test_slow_readers_hold_up_nobody(self):
        """AddressSanitizer keeps what the jobs have freed; here that would count as theirs."""
        options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
        with mock.patch.dict(os.environ, {"ASAN_OPTIONS": options}):
            super().test_slow_readers_hold_up_nobody()


class Jobs(unittest.TestCase):
    def setUp(self):
        if not reads_wait(Server.folder):
            self.skipTest("this kernel reads a tmpfs without waiting")

    def look_at_all(self, server, name):
        """LIST, UIDL, RETR and TOP of all messages in one go; what came is compared."""
        numbers = range(1, MESSAGES + 1)
        words = [b"USER " + name.encode(), b"PASS " + SECRET.encode(), b"LIST", b"UIDL"]
        words += [b"RETR %d" % n for n in numbers] + [b"TOP %d 1" % n for n in numbers] + [b"QUIT"]
        connection, reader = raw(server)
        threading.Thread(target=connection.sendall,
                         args=(b"\r\n".join(words) + b"\r\n",)).start()
        text = reader.read()
        connection.close()
        for _ in range(3):
            self.assertTrue(text.startswith(b"+OK"), text[:100])
            text = text.split(b"\r\n", 1)[1]
        found, rest = split(text, 2 + 2 * MESSAGES)
        listed = [int(line.split()[1]) for line in found[0][1].split(b"\r\n")]
        self.assertEqual(len(listed), MESSAGES)
        self.assertEqual(len(set(found[1][1].split(b"\r\n"))), MESSAGES)
        for number in numbers:
            line, body = found[1 + number]
            self.assertEqual(len(body) + 2, listed[number - 1], number)
            self.assertEqual(body[body.index(b"Subject:"):] + b"\r\n", message_of(number), number)
            line, body = found[1 + MESSAGES + number]
            self.assertTrue(body.endswith(b"Subject: %d\r\n\r\nfirst" % number), body[-100:])
        self.assertTrue(rest.startswith(b"+OK"), rest)

    @in_every_mode
    def test_hundreds_pipelined(self, mode):
        with Server(mode) as server:
            self.assertEqual(fill(server), MESSAGES)
            for _ in range(2):
                self.look_at_all(server, "alice@example.org")

    @in_every_mode
    def test_many_connections_at_once(self, mode):
        """Of one worker, so that all share its scratch memory and its threads."""
        names = ["user%d@example.org" % number for number in range(12)]
        problems = []

        def one(server, name):
            try:
                if fill(server, name) != MESSAGES:
                    raise AssertionError("not all were delivered to " + name)
                for _ in range(2):
                    self.look_at_all(server, name)
            except Exception as problem:
                problems.append((name, problem))

        with Server(mode, workers=1, accounts=names) as server:
            threads = [threading.Thread(target=one, args=(server, name)) for name in names]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(6 * PATIENCE)
            self.assertEqual(problems, [])
            self.assertFalse([line for line in server.lines if "child-end" in line])


if __name__ == "__main__":
    main(MemoryFolder)
