#!/usr/bin/env python3
"""SMTP that only receives, in front of a running server; what it has in common with LMTP, of both."""

import fcntl
import os
import re
import smtplib
import socket
import ssl
import struct
import unittest

from harness import NOBODY, PATIENCE, SECRET, Server, in_every_mode, main, raw

ALICE, CAROL = "alice@example.org", "carol@example.org"
ENVELOPE = b"MAIL FROM:<bob@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"


class Intake(Server):
    def __init__(self, mode, *flags, **words):
        super().__init__(mode, "--smtp", "127.0.0.1:0", *flags, **words)

    def smtp(self, kind="smtp"):
        return (smtplib.SMTP if kind == "smtp" else smtplib.LMTP)(
            "127.0.0.1", self.ports[kind], timeout=PATIENCE)

    def messages(self, name="alice"):
        pop3 = self.login(name)
        texts = [b"\r\n".join(pop3.retr(n + 1)[1]) + b"\r\n" for n in range(pop3.stat()[0])]
        pop3.quit()
        return texts


def opened(server, kind="smtp", source="127.0.0.1"):
    """A socket behind the greeting of the server and of ours."""
    connection = socket.create_connection(("127.0.0.1", server.ports[kind]), timeout=PATIENCE,
                                          source_address=(source, 0))
    reader = connection.makefile("rb")
    assert reader.readline().startswith(b"220 ")
    connection.sendall(b"EHLO me.example\r\n" if kind == "smtp" else b"LHLO me.example\r\n")
    while not reader.readline().startswith(b"250 "):
        pass
    return connection, reader


def codes(reader, count):
    return [int(reader.readline()[:3]) for _ in range(count)]


def rest_of(connection):
    """What comes until the other side has closed, however it does that."""
    text = b""
    try:
        while True:
            piece = connection.recv(65536)
            if not piece:
                return text
            text += piece
    except ConnectionResetError:
        return text


class Plain(unittest.TestCase):
    @in_every_mode
    def test_a_message(self, mode):
        with Intake(mode) as server:
            with server.smtp() as smtp:
                code, features = smtp.ehlo("mx.example.net")
                self.assertEqual(features.split(b"\n")[1:],
                                 [b"PIPELINING", b"SIZE 268435456", b"8BITMIME", b"STARTTLS",
                                  b"ENHANCEDSTATUSCODES"])
                smtp.sendmail("bob@example.net", ["Alice@Example.org"],
                              b"Subject: x\r\n\r\n.dot \xe4\r\n", ["BODY=8BITMIME"])
                smtp.mail("")
                smtp.rcpt("alice")
                smtp.data("Subject: y\r\n\r\n")
            first, second = server.messages()
            self.assertRegex(
                first, rb"\AReturn-Path: <bob@example\.net>\r\n"
                rb"Delivered-To: alice@example\.org\r\n"
                rb"Received: from mx\.example\.net \(\[127\.0\.0\.1\]\)\r\n"
                rb"\tby \S+ with ESMTP id \S+\r\n\tfor <Alice@Example\.org>;\r\n"
                rb"\t\w{3}, [^\r]*\r\nSubject: x\r\n\r\n\.dot \xe4\r\n\Z")
            self.assertTrue(second.startswith(b"Return-Path: <>\r\n"), second)

    @in_every_mode
    def test_helo(self, mode):
        with Intake(mode) as server:
            with server.smtp() as smtp:
                self.assertEqual(smtp.helo("mx")[0], 250)
                smtp.sendmail("bob@example.net", [ALICE], b"Subject: x\r\n\r\n")
            self.assertIn(b" with SMTP id ", server.messages()[0])

    @in_every_mode
    def test_pipelined(self, mode):
        with Intake(mode) as server:
            connection, reader = opened(server)
            connection.sendall((ENVELOPE + b"Subject: p\r\n\r\n..\r\n.\r\n") * 50 + b"QUIT\r\n")
            self.assertEqual(codes(reader, 201), [250, 250, 354, 250] * 50 + [221])
            texts = server.messages()
            self.assertEqual(len(texts), 50)
            self.assertTrue(all(text.endswith(b"\r\n\r\n.\r\n") for text in texts))

    @in_every_mode
    def test_who_is_a_recipient(self, mode):
        rows = [
            ("alice@example.org", 250, b"2.1.5"), ("ALICE@EXAMPLE.ORG", 250, b"2.1.5"),
            ("alice", 250, b"2.1.5"), ("@one.example,@two.example:alice@example.org", 250, b"2.1.5"),
            ('"alice"@example.org', 250, b"2.1.5"), ("alice+tag@example.org", 250, b"2.1.5"),
            ("nobody@example.org", 550, b"5.1.1"), ("nobody", 550, b"5.1.1"),
            ("a%elsewhere.example@example.org", 550, b"5.1.1"),
            ('"a@elsewhere.example"@example.org', 550, b"5.1.1"),
            ("alice@elsewhere.example", 550, b"5.7.1"), ("alice@[127.0.0.1]", 550, b"5.7.1"),
            ("postmaster@elsewhere.example", 550, b"5.7.1"),
            ("alice@" + "x" * 250 + ".example", 501, b"5.1.3"),
            ("alice@sub.example.org", 550, b"5.7.1"), ("alice@example.or", 550, b"5.7.1"),
            ("postmaster", 250, b"2.1.5"), ("Postmaster@Example.org", 250, b"2.1.5"),
            ("postmaster@second.example", 250, b"2.1.5"),
            ("", 501, b"5.1.3"), ("\xe4lice@example.org", 501, b"5.1.3"),
        ]
        accounts = (ALICE, "bob@second.example")
        with Intake(mode, accounts=accounts) as server:
            for kind in ("smtp", "lmtp"):
                connection, reader = opened(server, kind)
                connection.sendall(b"MAIL FROM:<>\r\n")
                self.assertEqual(codes(reader, 1), [250])
                for address, code, status in rows:
                    connection.sendall(b"RCPT TO:<%s>\r\n" % address.encode("latin-1"))
                    answer = reader.readline()
                    self.assertTrue(answer.startswith(b"%d %s " % (code, status)),
                                    (kind, address, answer))
                connection.sendall(b"DATA\r\n.\r\nQUIT\r\n")
                rest_of(connection)
                server.wait_for(r"recipient-refused: session=\S+ peer=127\.0\.0\.1:\d+ "
                                r'recipient="alice@elsewhere\.example" outcome=not-local')
                server.wait_for(r"intake-end: session=\S+ peer=\S+ protocol=%s tls=no "
                                r"received=\d\d+ sent=\d\d+ messages=1 refused=9 seconds=\d+ "
                                r'reason="?closed' % kind.upper())

    @in_every_mode
    def test_what_is_not_done(self, mode):
        with Intake(mode) as server:
            connection, reader = opened(server)
            for line, code in ((b"VRFY alice", 252), (b"EXPN all", 502), (b"AUTH PLAIN", 502),
                               (b"TURN", 500), (b"NOOP", 250), (b"RSET", 250), (b"HELP", 214),
                               (b"MAIL FROM:<a@b> SMTPUTF8", 555), (b"QUIT", 221)):
                connection.sendall(line + b"\r\n")
                self.assertEqual((line, codes(reader, 1)), (line, [code]))
            self.assertEqual(reader.read(), b"")


class All(unittest.TestCase):
    """One reply for all recipients."""

    @in_every_mode
    def test_recipients_max(self, mode):
        with Intake(mode, accounts=(ALICE, CAROL)) as server:
            connection, reader = opened(server)
            connection.sendall(b"MAIL FROM:<bob@example.net>\r\n" + b"".join(
                b"RCPT TO:<%s+%d@example.org>\r\n" % (name, number)
                for number in range(50) for name in (b"alice", b"carol")))
            self.assertEqual(codes(reader, 101), [250] * 101)
            connection.sendall(b"RCPT TO:<alice@example.org>\r\n")
            self.assertTrue(reader.readline().startswith(b"452 4.5.3 "))
            connection.sendall(b"DATA\r\nSubject: x\r\n\r\n.\r\nRCPT TO:<alice>\r\n")
            self.assertEqual(codes(reader, 3), [354, 250, 503])
            for name in ("alice", "carol"):
                texts = server.messages(name)
                self.assertEqual(len(texts), 1)
                self.assertNotIn(b"\tfor <", texts[0])
            server.wait_for(r"delivery: ", count=100)

    def test_one_is_locked(self):
        """The other does not have it either; 30 seconds, so in one mode only."""
        mode = ("as it comes", NOBODY if os.getuid() == 0 else None)
        with Intake(mode, accounts=(ALICE, CAROL)) as server:
            server.send(b"Subject: makes the lock file\r\n\r\n", ALICE, CAROL)
            locks = os.path.join(server.root, "run/locks")
            with open(os.path.join(locks, "2.file"), "r+b") as lock:
                whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                fcntl.fcntl(lock, fcntl.F_OFD_SETLK, whole)
                connection, reader = opened(server)
                connection.settimeout(90)
                connection.sendall(b"MAIL FROM:<bob@example.net>\r\nRCPT TO:<%s>\r\nRCPT TO:<%s>\r\n"
                                   b"DATA\r\nSubject: x\r\n\r\n.\r\n"
                                   % (ALICE.encode(), CAROL.encode()))
                self.assertEqual(codes(reader, 5), [250, 250, 250, 354, 451])
                server.wait_for(r"delivery: .*outcome=temporary", count=2)
            self.assertEqual([len(server.messages(name)) for name in ("alice", "carol")], [1, 1])
            connection.sendall(b"MAIL FROM:<bob@example.net>\r\nRCPT TO:<alice>\r\n"
                               b"RCPT TO:<carol>\r\nDATA\r\n.\r\n")
            self.assertEqual(codes(reader, 5), [250, 250, 250, 354, 250])
            self.assertEqual([len(server.messages(name)) for name in ("alice", "carol")], [2, 2])


class Sizes(unittest.TestCase):
    @in_every_mode
    def test_size(self, mode):
        line = b"x" * 62 + b"\r\n"
        with Intake(mode, "--message-octets-max", "65536") as server:
            for kind in ("smtp", "lmtp"):
                connection, reader = opened(server, kind)
                for octets, code in ((65535, 250), (65536, 250), (65537, 552)):
                    connection.sendall(b"MAIL FROM:<> SIZE=%d\r\nRSET\r\n" % octets)
                    self.assertEqual(codes(reader, 2), [code, 250])
                for octets, code in ((65535, 250), (65536, 250), (65537, 552)):
                    body = line * 1023 + b"y" * (octets - 65472 - 2) + b"\r\n"
                    self.assertEqual(len(body), octets)
                    connection.sendall(ENVELOPE + body + b".\r\n")
                    self.assertEqual(codes(reader, 4), [250, 250, 354, code])
                connection.close()
            self.assertEqual(server.login().stat()[0], 4)


class Quotas(unittest.TestCase):
    """alice has none, carol's is tried."""

    def served(self, mode, *quota):
        server = Intake(mode)
        server.run("account", "add", CAROL, "--password-file", "-", *quota, text=SECRET.encode())
        return server

    def both(self, reader, connection, message, size=b""):
        """The codes of the two RCPT, and those behind the message."""
        connection.sendall(b"MAIL FROM:<>%s\r\nRCPT TO:<alice>\r\nRCPT TO:<carol>\r\n" % size)
        self.assertEqual(codes(reader, 1), [250])
        recipients = [reader.readline()[:9] for _ in range(2)]
        taken = sum(code.startswith(b"250") for code in recipients)
        connection.sendall(b"DATA\r\n" + message + b"\r\n.\r\nNOOP\r\n")
        self.assertEqual(codes(reader, 1), [354])
        answers = [reader.readline()[:9]]
        while not answers[-1].startswith(b"250 2.0.0") or len(answers) == 1:
            answers.append(reader.readline()[:9])
        self.assertIn(len(answers) - 1, (1, taken))
        return recipients, answers[:-1]

    @in_every_mode
    def test_full_at_rcpt(self, mode):
        """Told before the message, so that alice gets hers."""
        with self.served(mode, "--quota-messages", "1") as server:
            for kind, delivered in (("smtp", b"250 2.0.0"), ("lmtp", b"250 2.1.5")):
                server.login("carol").quit()
                connection, reader = opened(server, kind)
                if kind == "smtp":
                    server.send(b"Subject: fills it\r\n\r\n", CAROL)
                found = self.both(reader, connection, b"Subject: x\r\n")
                self.assertEqual(found, ([b"250 2.1.5", b"452 4.2.2"], [delivered]))
                connection.close()
            self.assertEqual(server.login("alice").stat()[0], 2)
            self.assertEqual(server.login("carol").stat()[0], 1)

    @in_every_mode
    def test_declared_size(self, mode):
        with self.served(mode, "--quota", "5000") as server:
            for kind in ("smtp", "lmtp"):
                connection, reader = opened(server, kind)
                recipients, _ = self.both(reader, connection, b"x" * 900, b" SIZE=5001")
                self.assertEqual(recipients, [b"250 2.1.5", b"552 5.3.4"])
                connection.close()

    @in_every_mode
    def test_full_behind_the_message(self, mode):
        """SMTP: both or none. LMTP: each for itself. What may pass by itself is 452, else 552."""
        with self.served(mode, "--quota", "5000") as server:
            smtp, smtp_reader = opened(server)
            lmtp, lmtp_reader = opened(server, "lmtp")
            good = [b"250 2.1.5", b"250 2.1.5"]
            for line, count, code in ((b"x" * 98 + b"\r\n", 60, b"552 5.3.4"),
                                      (b"x" * 98 + b"\r\n", 30, b"452 4.2.2")):
                if code.startswith(b"452"):
                    server.send(line * 20, CAROL)
                self.assertEqual(self.both(smtp_reader, smtp, line * count), (good, [code]))
                self.assertEqual(self.both(lmtp_reader, lmtp, line * count),
                                 (good, [b"250 2.1.5", code]))
            self.assertEqual(server.login("alice").stat()[0], 2)
            self.assertEqual(server.login("carol").stat()[0], 1)
            server.wait_for(r"delivery: .*user=alice@\S+ .*outcome=quota")


class Tls(unittest.TestCase):
    @in_every_mode
    def test_starttls(self, mode):
        with Intake(mode) as server:
            for kind, word in (("smtp", b"ESMTPS"), ("lmtp", b"LMTPS")):
                with server.smtp(kind) as smtp:
                    smtp.ehlo()
                    self.assertTrue(smtp.has_extn("starttls"))
                    smtp.mail("forgotten@example.net")
                    smtp.rcpt(ALICE)
                    smtp.starttls(context=ssl._create_unverified_context())
                    self.assertEqual(smtp.docmd("MAIL FROM:<a@b>")[0], 503)
                    smtp.ehlo()
                    self.assertFalse(smtp.has_extn("starttls"))
                    self.assertEqual(smtp.docmd("RCPT TO:<alice>")[0], 503)
                    self.assertEqual(smtp.docmd("STARTTLS")[0], 502)
                    smtp.sendmail("bob@example.net", [ALICE], b"Subject: x\r\n\r\n")
                text = server.messages()[-1]
                self.assertIn(b" with %s id " % word, text)
                self.assertNotIn(b"forgotten", text)

    @in_every_mode
    def test_not_at_unix_sockets(self, mode):
        with Intake(mode) as server:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(PATIENCE)
            connection.connect(os.path.join(server.root, "run/lmtp.sock"))
            connection.sendall(b"LHLO me\r\nQUIT\r\n")
            self.assertNotIn(b"STARTTLS", rest_of(connection))

    @in_every_mode
    def test_injection(self, mode):
        """Whatever stands behind STARTTLS, cut wherever: it is never taken for a command."""
        text = b"STARTTLS\r\nMAIL FROM:<injected@example.net>\r\n"
        with Intake(mode) as server:
            for kind in ("smtp", "lmtp"):
                for split in range(len(text) + 1):
                    connection, _ = opened(server, kind)
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    try:
                        connection.sendall(text[:split])
                        connection.sendall(text[split:])
                        connection.shutdown(socket.SHUT_WR)
                    except OSError:
                        pass # cut off already
                    answer = rest_of(connection)
                    self.assertNotIn(b"250", answer, split)
                    self.assertIn(answer.split(b"\r\n")[0], (b"", b"220 2.0.0 begin TLS"))
            # What came in one piece with the command was noticed as what it is.
            server.wait_for(r'injection: .* reason="octets behind STARTTLS"', count=2)

    @in_every_mode
    def test_handshake_behind_the_command(self, mode):
        """A client that does not wait for 220 is cut off, not taken for somebody on the way."""
        with Intake(mode) as server:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = ssl._create_unverified_context().wrap_bio(incoming, outgoing)
            self.assertRaises(ssl.SSLWantReadError, client.do_handshake)
            connection, _ = opened(server)
            connection.sendall(b"STARTTLS\r\n" + outgoing.read())
            self.assertEqual(rest_of(connection), b"")


class Strangers(unittest.TestCase):
    @in_every_mode
    def test_bare_newlines(self, mode):
        """Refused from a stranger, at the true end; mended from one who is trusted."""
        body = b"Subject: x\r\n\r\none\n.\r\nMAIL FROM:<smuggled@example.net>\r\n\r\n.\r\n"
        with Intake(mode, "--trusted-network", "127.0.0.2") as server:
            for kind in ("smtp", "lmtp"):
                connection, reader = opened(server, kind)
                connection.sendall(ENVELOPE + body + b"NOOP\r\n")
                self.assertEqual(codes(reader, 3), [250, 250, 354])
                self.assertTrue(reader.readline().startswith(b"550 5.6.0 "))
                self.assertEqual(codes(reader, 1), [250])
                connection.sendall(ENVELOPE + b"no \r bare LF\r\n.\r\nQUIT\r\n")
                self.assertEqual(codes(reader, 5), [250, 250, 354, 250, 221])
                connection, reader = opened(server, kind, "127.0.0.2")
                connection.sendall(ENVELOPE + body + b"QUIT\r\n")
                self.assertEqual(codes(reader, 5), [250, 250, 354, 250, 221])
            texts = server.messages()
            self.assertEqual(len(texts), 4)
            for text in texts[0::2]:
                self.assertTrue(text.endswith(b"no \r bare LF\r\n"), text)
            for text in texts[1::2]:
                self.assertTrue(text.endswith(b"one\r\n.\r\nMAIL FROM:<smuggled@example.net>\r\n\r\n"),
                                text)

    @in_every_mode
    def test_unix_sockets_are_trusted(self, mode):
        with Intake(mode, "--trusted-network", "none") as server:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(PATIENCE)
            connection.connect(os.path.join(server.root, "run/lmtp.sock"))
            connection.sendall(b"LHLO me\r\n" + ENVELOPE + b"a\nb\r\n.\r\nQUIT\r\n")
            self.assertIn(b"250 2.1.5 delivered", rest_of(connection))

    @in_every_mode
    def test_connections_of_one_address(self, mode):
        with Intake(mode, "--trusted-network", "127.0.0.2", "--connections-per-address", "3",
                    workers=1) as server:
            mine = [opened(server)[0] for _ in range(3)]
            trusted = [opened(server, source="127.0.0.2")[0] for _ in range(6)]
            other = [opened(server, source="127.0.0.3")[0] for _ in range(3)]
            connection, reader = raw(server, "smtp")
            self.assertTrue(reader.readline().startswith(b"421 4.3.2 "))
            connection.close()
            server.wait_for(r'refused: reason="too many connections of one address"')
            connection, reader = raw(server, "pop3") # one account of an address for all ports
            self.assertTrue(reader.readline().startswith(b"-ERR [SYS/TEMP]"))
            mine[0].sendall(b"QUIT\r\n")
            rest_of(mine[0])
            opened(server)
            for connection in mine + trusted + other:
                connection.close()

    @in_every_mode
    def test_trusted_users(self, mode):
        if mode[1] is not None or os.getuid() != 0:
            self.skipTest("needs a second uid")
        with Intake(mode, "--trusted-user", "4711", workers=1) as server:
            pid = os.fork()
            if pid == 0:
                os.setuid(4711)
                connections = []
                for _ in range(25):
                    connections.append(socket.socket(socket.AF_UNIX))
                    connections[-1].connect(os.path.join(server.root, "run/lmtp.sock"))
                os._exit(not all(c.recv(4) == b"220 " for c in connections))
            self.assertEqual(os.waitpid(pid, 0)[1], 0)

    @in_every_mode
    def test_octets_of_one_user(self, mode):
        if mode[1] is not None or os.getuid() != 0:
            self.skipTest("needs a second uid")
        message = b"x" * 62 + b"\r\n"
        with Intake(mode, "--megabytes-per-user", "1", workers=1) as server:
            pid = os.fork()
            if pid == 0:
                os.setuid(4711)
                answers = []
                for count in (8000, 8000, 2000): # lines of 63 octets, of which 16,644 are a megabyte
                    connection = socket.socket(socket.AF_UNIX)
                    connection.connect(os.path.join(server.root, "run/lmtp.sock"))
                    connection.sendall(b"LHLO me\r\n" + ENVELOPE + message * count +
                                       b".\r\nQUIT\r\n")
                    answers.append(rest_of(connection).split(b"\r\n")[-3][:9])
                os._exit(answers != [b"250 2.1.5"] * 2 + [b"452 4.3.1"])
            self.assertEqual(os.waitpid(pid, 0)[1], 0)
            server.wait_for(r'draft: .*error="too many octets of one user"')
            self.assertEqual(server.login().stat()[0], 2)
            server.send(message * 20000) # everybody else is as free as before

    @in_every_mode
    def test_garbage(self, mode):
        """50,000 commands of it: cut off, and nothing of it comes back."""
        with Intake(mode) as server:
            for kind in ("smtp", "lmtp"):
                for line in (b"xyzzy\r\n", b"RCPT TO:<xyzzy@example.org>\r\n", b"NOOP xyzzy\r\n",
                             b"HELO xyzzy!\r\n"):
                    connection, reader = raw(server, kind)
                    try:
                        connection.sendall(line * 50000)
                    except (ConnectionResetError, BrokenPipeError):
                        pass
                    answer = rest_of(connection)
                    self.assertLess(answer.count(b"\r\n"), 1100)
                    self.assertNotIn(b"xyzzy", answer)
            server.send(b"Subject: still there\r\n\r\n")

    @in_every_mode
    def test_browser(self, mode):
        request = (b"POST /xyzzy HTTP/1.1\r\nHost: xyzzy\r\nContent-Length: 60\r\n\r\n"
                   b"EHLO xyzzy\r\n" + ENVELOPE + b"xyzzy\r\n.\r\n")
        with Intake(mode) as server:
            for kind in ("smtp", "lmtp"):
                connection, reader = raw(server, kind)
                self.assertRegex(reader.readline(), rb"\A220 \S+ E?[LS]MTP ready\r\n\Z")
                connection.sendall(request)
                self.assertEqual(rest_of(connection), b"")
            self.assertEqual(server.messages(), [])


if __name__ == "__main__":
    main()
