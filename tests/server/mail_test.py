#!/usr/bin/env python3
"""Mail through a running server: in by LMTP, out by POP3, plain and by TLS."""

import hashlib
import os
import smtplib
import socket
import ssl
import unittest

from harness import PATIENCE, SECRET, Server, in_every_mode, main, raw, refused


def body_of(lines):
    """What was delivered, without the trace headers that the server put on top."""
    text = b"\r\n".join(lines) + b"\r\n"
    return text[text.index(b"Subject:"):]


class Mail(unittest.TestCase):
    @in_every_mode
    def test_in_and_out(self, mode):
        message = b"Subject: one\r\n\r\n.dot\r\n..\r\nFrom here\r\n\r\n8-bit \xe4\r\n"
        with Server(mode) as server:
            server.send(message)
            pop3 = server.login()
            self.assertEqual(pop3.stat()[0], 1)
            answer, lines, octets = pop3.retr(1)
            self.assertEqual(body_of(lines), message)
            self.assertEqual(octets, pop3.stat()[1])
            self.assertTrue(lines[0].startswith(b"Return-Path: <bob@example.net>"))
            self.assertEqual(lines[1], b"Delivered-To: alice@example.org")
            self.assertEqual(pop3.top(1, 1)[1][-1], b".dot")
            uid = pop3.uidl(1)
            pop3.quit()
            tls = server.login(tls=True)
            self.assertEqual(tls.uidl(1), uid)
            tls.dele(1)
            tls.quit()
            self.assertEqual(server.login().stat(), (0, 0))

    @in_every_mode
    def test_large(self, mode):
        line = b"0123456789abcdef" * 4 + b"\r\n.\x00\r\n"
        message = b"Subject: large\r\n\r\n" + line * 120000
        with Server(mode) as server:
            server.send(message)
            for tls in (False, True):
                pop3 = server.login(tls=tls)
                lines = pop3.retr(1)[1]
                self.assertEqual(hashlib.sha256(body_of(lines)).digest(),
                                 hashlib.sha256(message).digest())
                pop3.quit()

    @in_every_mode
    def test_pipelined(self, mode):
        with Server(mode) as server:
            with smtplib.LMTP("127.0.0.1", server.ports["lmtp"], timeout=PATIENCE) as lmtp:
                for number in range(200):
                    lmtp.sendmail("", ["alice@example.org"],
                                  b"Subject: %d\r\n\r\n%s\r\n" % (number, b"x" * number))
            connection, reader = raw(server)
            words = [b"USER alice", b"PASS " + SECRET.encode(), b"LIST", b"UIDL"]
            words += [b"RETR %d" % n for n in range(1, 201)]
            words += [b"DELE %d" % n for n in range(1, 201, 2)] + [b"QUIT"]
            connection.sendall(b"\r\n".join(words) + b"\r\n")
            text = reader.read()
            self.assertEqual(text.count(b"+OK"), 1 + len(words))
            self.assertEqual(text.count(b"Subject: "), 200)
            self.assertEqual(text.count(b"\r\n.\r\n"), 202)
            connection.close()
            self.assertEqual(server.login().stat()[0], 100)

    @in_every_mode
    def test_recipients(self, mode):
        with Server(mode, accounts=("alice@example.org", "carol@example.org")) as server:
            with smtplib.LMTP("127.0.0.1", server.ports["lmtp"], timeout=PATIENCE) as lmtp:
                lmtp.ehlo()
                lmtp.mail("bob@example.net")
                for name, code in (("alice@example.org", 250), ("nobody@example.org", 550),
                                   ("carol@example.org", 250), ("ALICE@example.org", 250)):
                    self.assertEqual(lmtp.rcpt(name)[0], code)
                lmtp.rset()
                lmtp.mail("bob@example.net")
                lmtp.rcpt("carol@example.org")
                lmtp.rcpt("alice@example.org")
                lmtp.rcpt("alice@example.org")
                lmtp.putcmd("data")
                self.assertEqual(lmtp.getreply()[0], 354)
                lmtp.send(b"Subject: x\r\n\r\n.\r\n")
                self.assertEqual([lmtp.getreply()[0] for _ in range(3)], [250] * 3)
            for name in ("alice", "carol"):
                self.assertEqual(server.login(name).stat()[0], 1, name)

    @in_every_mode
    def test_unix_socket_names_the_peer(self, mode):
        with Server(mode) as server:
            server.run("deliver", "alice", text=b"Subject: by hand\n\n")
            pop3 = server.login()
            uid = mode[1] if mode[1] is not None else os.getuid()
            self.assertIn(b"(unix:uid=%d)" % uid, b"\n".join(pop3.retr(1)[1]))

    @in_every_mode
    def test_connections_of_one_user_are_limited(self, mode):
        if mode[1] is not None or os.getuid() != 0:
            self.skipTest("needs a second uid")
        with Server(mode, workers=1) as server:
            greeting = b""
            connections = []
            for _ in range(21):
                pid, connection = connect_as(4711, os.path.join(server.root, "run/lmtp.sock"))
                connections.append(connection)
                greeting = connection.recv(200)
                if len(connections) < 21:
                    self.assertTrue(greeting.startswith(b"220"), greeting)
            self.assertTrue(greeting.startswith(b"421"), greeting)
            connections[0].close()
            server.wait_for(r"refused: reason=\"too many connections of one user\"")

    @in_every_mode
    def test_wrong_logins(self, mode):
        with Server(mode) as server:
            pop3 = server.connect()
            pop3.user("alice")
            self.assertIn(b"[AUTH]", refused(pop3.pass_, "wrong"))
            pop3.user("nobody@nowhere")
            self.assertIn(b"[AUTH]", refused(pop3.pass_, SECRET))
            server.wait_for(r'login-failed: .* user="alice" .* reason="wrong password"')
            server.wait_for(r'login-failed: .* reason="no such account"')
            self.assertFalse([line for line in server.lines if SECRET in line])

    @in_every_mode
    def test_alpn(self, mode):
        with Server(mode) as server:
            for offered, accepted in ((["pop3"], True), ([], True), (["http/1.1"], False)):
                context = ssl._create_unverified_context()
                if offered:
                    context.set_alpn_protocols(offered)
                plain = socket.create_connection(("127.0.0.1", server.ports["pop3s"]),
                                                 timeout=PATIENCE)
                try:
                    with context.wrap_socket(plain) as tls:
                        self.assertTrue(accepted, offered)
                        self.assertTrue(tls.recv(100).startswith(b"+OK"))
                except ssl.SSLError:
                    self.assertFalse(accepted, offered)

    @in_every_mode
    def test_tls_sessions_are_resumed_by_any_worker(self, mode):
        with Server(mode) as server:
            context = ssl._create_unverified_context()
            session, workers = None, set()
            for _ in range(40):
                plain = socket.create_connection(("127.0.0.1", server.ports["pop3s"]),
                                                 timeout=PATIENCE)
                with context.wrap_socket(plain, session=session) as tls:
                    greeting = tls.recv(200)
                    if session:
                        self.assertTrue(tls.session_reused)
                    session = tls.session
                    workers.add(greeting.split(b"session ")[1][:1])


class Streams(unittest.TestCase):
    """Peers that read and write in odd ways."""

    @in_every_mode
    def test_byte_by_byte(self, mode):
        with Server(mode) as server:
            server.send(b"Subject: x\r\n\r\nhello\r\n")
            connection, reader = raw(server)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in b"USER alice\r\nPASS " + SECRET.encode() + b"\r\nRETR 1\r\nQUIT\r\n":
                connection.sendall(bytes([octet]))
            text = reader.read()
            self.assertEqual(text.count(b"+OK"), 5)
            self.assertIn(b"hello\r\n.\r\n", text)
            connection.close()

    @in_every_mode
    def test_half_closed(self, mode):
        """What was sent before the end of input is still answered, also behind a job."""
        message = b"Subject: x\r\n\r\n" + b"z" * 70 + b"\r\n" * 300000
        with Server(mode) as server:
            server.send(message)
            connection, reader = raw(server)
            connection.sendall(b"USER alice\r\nPASS " + SECRET.encode() + b"\r\nRETR 1\r\n")
            connection.shutdown(socket.SHUT_WR)
            self.assertTrue(reader.read().endswith(b"\r\n.\r\n"))
            server.wait_for(r'session-end: .* retrieved=1 .* reason="peer closed"')
            connection.close()

    @in_every_mode
    def test_slow_readers_hold_up_nobody(self, mode):
        """Many sessions ask for much and read nothing: little of it is kept in memory."""
        message = b"Subject: x\r\n\r\n" + (b"z" * 76 + b"\r\n") * 100000
        names = ["user%d@example.org" % number for number in range(20)]
        with Server(mode, workers=1, accounts=names) as server:
            server.send(message, *names)
            server.login(names[0]).quit()
            before = resident_octets(server.pid_of("worker"))
            slow = []
            for name in names[1:]:
                connection, reader = raw(server)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.sendall(b"USER %s\r\nPASS %s\r\n" % (name.encode(), SECRET.encode()))
                for _ in range(3):
                    self.assertTrue(reader.readline().startswith(b"+OK"))
                connection.sendall(b"RETR 1\r\n" * 5)
                self.assertTrue(reader.readline().startswith(b"+OK"))
                slow.append((connection, reader))
            pop3 = server.login(names[0])
            self.assertGreater(pop3.retr(1)[2], len(message))
            self.assertLess(resident_octets(server.pid_of("worker")) - before, 20 * 400000)
            for connection, reader in slow:
                self.assertIn(b"z" * 76, reader.read(4000))
                connection.close()

    @in_every_mode
    def test_too_long_a_line_and_rubbish(self, mode):
        with Server(mode) as server:
            for rubbish in (b"x" * 100000 + b"\r\n", bytes(range(256)) * 300, b"\r\n" * 1000,
                            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
                for kind in ("pop3", "lmtp", "pop3s"):
                    connection, reader = raw(server, kind)
                    try:
                        connection.sendall(rubbish)
                        connection.shutdown(socket.SHUT_WR)
                        reader.read()
                    except OSError:
                        pass
                    connection.close()
            server.login().quit()
            self.assertFalse([line for line in server.lines if "child-end" in line])


def resident_octets(pid):
    with open("/proc/%d/statm" % pid) as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def connect_as(uid, path):
    """A connection to a unix socket that another uid has made: by a process that passes it on."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        os.setgid(uid)
        os.setuid(uid)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        socket.send_fds(theirs, [b"x"], [connection.fileno()])
        os._exit(0)
    _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    os.waitpid(pid, 0)
    ours.close()
    theirs.close()
    connection = socket.socket(fileno=descriptors[0])
    connection.settimeout(PATIENCE)
    return pid, connection


if __name__ == "__main__":
    main()
