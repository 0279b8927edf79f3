#!/usr/bin/env python3
"""deliver_test: a message handed to the server."""

import os
import re
import socket
import subprocess
import threading
import unittest

from scene import SECONDS_MAX, OK, DATAERR, NOUSER, TEMPFAIL, FROM_1, Case


class Lmtp(threading.Thread):
    """A server that answers by a script: word -> reply. Keeps what it heard."""

    def __init__(self, path, replies):
        super().__init__(daemon=True)
        self.replies = {"greeting": "220 x LMTP", "LHLO": "250-x\r\n250 PIPELINING",
                        "MAIL": "250 2.1.0 ok", "RCPT": "250 2.1.5 ok", "DATA": "354 go on",
                        ".": "250 2.1.5 kept", "QUIT": "221 bye", **replies}
        self.lines, self.message = [], b""
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen()

    def run(self):
        connection, _ = self.listener.accept()
        self.listener.close()
        try:
            with connection, connection.makefile("rwb") as stream:
                self.talk(stream)
        except OSError:
            pass  # the client was gone before it had heard everything

    def answer(self, stream, word):
        """False when the script says to hang up instead."""
        if self.replies[word] is None:
            return False
        stream.write(self.replies[word].encode("latin-1") + b"\r\n")
        stream.flush()
        return True

    def talk(self, stream):
        if not self.answer(stream, "greeting"):
            return
        while line := stream.readline():
            self.lines.append(line)
            word = line.split()[0].decode().upper()
            if not self.answer(stream, word):
                return
            if word == "DATA" and self.replies["DATA"].startswith("354"):
                if not self.read_message(stream) or not self.answer(stream, "."):
                    return

    def read_message(self, stream):
        while line := stream.readline():
            if line == b".\r\n":
                return True
            self.message += line
        return False


class Deliver(Case):
    def setUp(self):
        super().setUp()
        os.makedirs(self.root + "/run")

    def deliver(self, *words, octets=b"Subject: x\n\nbody\n", code=OK, **replies):
        server = Lmtp(self.root + "/run/lmtp.sock", replies)
        self.addCleanup(lambda: os.path.exists(self.root + "/run/lmtp.sock")
                        and os.unlink(self.root + "/run/lmtp.sock"))
        server.start()
        done = self.postern("deliver", *words, octets=octets, code=code)
        server.join(SECONDS_MAX)
        os.unlink(self.root + "/run/lmtp.sock")
        return done, server

    def test_good(self):
        _, server = self.deliver("alice", octets=b"Subject: x\r\n\r\n.dot\n..\nlast")
        self.assertEqual(server.message, b"Subject: x\r\n\r\n..dot\r\n...\r\nlast\r\n")
        self.assertEqual(server.lines[1:3], [b"MAIL FROM:<>\r\n", b"RCPT TO:<alice>\r\n"])

    def test_exit_codes(self):
        rows = [
            ({"greeting": "421 4.3.2 closing"}, TEMPFAIL, "4.3.2 closing"),
            ({"greeting": "554 5.3.2 no"}, TEMPFAIL, "5.3.2 no"),
            ({"greeting": None}, TEMPFAIL, "4.4.2 "),
            ({"greeting": "rubbish"}, TEMPFAIL, "4.4.2 "),
            ({"greeting": "220" + "x" * 5000}, TEMPFAIL, "4.4.2 "),
            ({"LHLO": "500 5.5.1 what"}, TEMPFAIL, "5.5.1 what"),
            ({"LHLO": None}, TEMPFAIL, "4.4.2 "),
            ({"MAIL": "452 4.3.1 full"}, TEMPFAIL, "4.3.1 full"),
            ({"MAIL": "552 5.3.4 large"}, TEMPFAIL, "5.3.4 large"),
            ({"RCPT": "550 5.1.1 no such account"}, NOUSER, "5.1.1 no such account"),
            ({"RCPT": "550 5.2.1 disabled"}, NOUSER, "5.2.1 disabled"),
            ({"RCPT": "550 no code"}, NOUSER, "5.0.0 550 no code"),
            ({"RCPT": "501 5.1.3 syntax"}, NOUSER, "5.1.3 syntax"),
            ({"RCPT": "501 5.5.2 syntax"}, TEMPFAIL, "5.5.2 syntax"),
            ({"RCPT": "503 5.5.1 order"}, TEMPFAIL, "5.5.1 order"),
            ({"RCPT": "450 4.2.1 later"}, TEMPFAIL, "4.2.1 later"),
            ({"RCPT": "251 2.1.5 elsewhere"}, TEMPFAIL, "2.1.5 elsewhere"),
            ({"RCPT": None}, TEMPFAIL, "4.4.2 "),
            ({"DATA": "451 4.3.0 later"}, TEMPFAIL, "4.3.0 later"),
            ({"DATA": "554 5.5.1 no"}, DATAERR, "5.5.1 no"),
            ({".": "552 5.3.4 too large"}, DATAERR, "5.3.4 too large"),
            ({".": "550 5.6.0 bare LF"}, DATAERR, "5.6.0 bare LF"),
            ({".": "451 4.3.0 later"}, TEMPFAIL, "4.3.0 later"),
            ({".": "252 2.0.0 perhaps"}, TEMPFAIL, "2.0.0 perhaps"),
            ({".": None}, TEMPFAIL, "4.4.2 "),
            ({".": "250"}, OK, ""),
            ({".": "250-one\r\n250 2.0.0 two"}, OK, ""),
            ({".": "451 4.3.0 \x1b[31m\xe4"}, TEMPFAIL, r"4.3.0 \x1b[31m\xe4"),
        ]
        for replies, code, text in rows:
            with self.subTest(replies=replies):
                done, _ = self.deliver("alice", code=code, **replies)
                self.assertTrue(done.errors.startswith(text), done.errors)

    def test_no_server(self):
        done = self.postern("deliver", "alice", octets=b"x", code=TEMPFAIL)
        self.assertTrue(done.errors.startswith("4.3.2 no server answers"), done.errors)
        self.root = self.folder + "/" + "x" * 200
        self.postern("deliver", "alice", octets=b"x", code=TEMPFAIL)

    def test_bad_recipient(self):
        for name in ("", "a b", "a\r\nRCPT TO:<b>", "a>b", "\u00e4", "x" * 300):
            with self.subTest(name=name):
                done = self.postern("deliver", "--", name, octets=b"x", code=NOUSER)
                self.assertTrue(done.errors.startswith("5.1.3 "), done.errors)

    def test_envelope(self):
        rows = [
            ([], b"", b"<>"),
            (["--sender", "s@x"], b"", b"<s@x>"),
            (["--sender", "<>"], FROM_1, b"<>"),
            (["--sender", ""], FROM_1, b"<>"),
            (["--sender", "s@x"], FROM_1, b"<s@x>"),
            ([], FROM_1, b"<a@b>"),
            ([], b"From a@b\r\n", b"<a@b>"),
            ([], b"From MAILER-DAEMON Sun Nov 22 02:01:00 2026\n", b"<>"),
            ([], b"From \xe4@b Sun Nov 22 02:01:00 2026\n", b"<>"),
            ([], b"From " + b"x" * 300 + b"@b Sun Nov 22 02:01:00 2026\n", b"<>"),
            ([], b"From here to there\n", b"<>"),
        ]
        for options, line, sender in rows:
            with self.subTest(options=options, line=line):
                _, server = self.deliver("alice", *options, octets=line + b"S: x\n\n>From y\n")
                self.assertEqual(server.lines[1], b"MAIL FROM:" + sender + b"\r\n")
                self.assertEqual(server.message, b"S: x\r\n\r\n>From y\r\n")

    def test_only_the_first_line_is_envelope(self):
        _, server = self.deliver("alice", octets=b"S: x\n\n" + FROM_1)
        self.assertEqual(server.message, b"S: x\r\n\r\n" + FROM_1[:-1] + b"\r\n")

    def test_empty(self):
        self.deliver("alice", octets=b"", code=DATAERR)

    def test_large_in_bounded_memory(self):
        """100 MB go through in memory that could not hold them."""
        lines = b"x" * 98 + b"\r\n"
        server = Lmtp(self.root + "/run/lmtp.sock", {})
        heard = [0]

        def count(stream):
            while line := stream.readline():
                if line == b".\r\n":
                    return True
                heard[0] += len(line)
            return False

        server.read_message = count
        server.start()
        options = self.options()
        with subprocess.Popen([self.program, "--root", self.root, "deliver", "alice"],
                              stdin=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
            for _ in range(1000):
                process.stdin.write(lines * 1000)
            process.stdin.flush()
            with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                peak = int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1))
            process.stdin.close()
            errors = process.stderr.read()
            self.assertEqual(process.wait(SECONDS_MAX), OK, errors)
        self.assertEqual(heard[0], 100 * 1000 * 1000)
        self.assertLess(peak, 64 * 1024)


if __name__ == "__main__":
    unittest.main(verbosity=1)
