"""injection_test: STLS and what may stand around it, HTTP on every port, garbage, and the ways to
log in, over real sockets.

What is put behind STLS in plain text must cut the connection and never be obeyed; what looks like
HTTP or TLS where POP3 is spoken must be cut off without an octet of it coming back.
"""

import base64
import hashlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import unittest
from contextlib import closing

import harness

ALICE = "alice@example.org"
SECRET = harness.SECRET
INJECTED = b"STLS\r\nUSER mallory\r\n"


def unverified():
    return ssl._create_unverified_context()


def rest_of(peer):
    """Everything until the end; a reset is an end."""
    octets = b""
    try:
        while piece := peer.recv(65536):
            octets += piece
    except (ConnectionResetError, ssl.SSLError):
        pass
    return octets


class Plain:
    """A plain connection behind its greeting."""

    def __init__(self, server, kind="pop3"):
        self.socket, self.lines = harness.raw(server, kind)
        self.greeting = self.lines.readline()
        self.session = re.search(rb"session ([0-9a-f.]+)", self.greeting)[1].decode()

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.lines.close()
        self.socket.close()

    def ask(self, command):
        self.socket.sendall(command)
        return self.lines.readline()

    def listing(self, command):
        """The lines of a multi-line answer."""
        if not self.ask(command).startswith(b"+OK"):
            raise AssertionError("refused: %r" % command)
        return list(iter(lambda: self.lines.readline().rstrip(b"\r\n"), b"."))

    def rest(self):
        return rest_of(self.socket)

    def shake_hands(self):
        self.lines.close()
        self.socket = unverified().wrap_socket(self.socket)
        self.lines = self.socket.makefile("rb")


def cut_for_injection(server, session):
    server.wait_for(r"injection: session=%s .*reason=\"octets behind STLS\"" % re.escape(session))


class InjectionTest(unittest.TestCase):
    @harness.in_every_mode
    def test_every_split_point(self, mode):
        """Split behind the command, the octets come after the reply: then they are the handshake's,
        and no TLS. Everywhere else they came before it."""
        with harness.Server(mode, workers=1) as server:
            for split in range(1, len(INJECTED) + 1):
                with self.subTest(split=split), Plain(server) as peer:
                    peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    peer.socket.sendall(INJECTED[:split])
                    waits = split == len(b"STLS\r\n")
                    if waits:
                        self.assertEqual(peer.lines.readline(), b"+OK begin TLS\r\n")
                    peer.socket.sendall(INJECTED[split:])
                    rest = peer.rest()
                    self.assertNotIn(b"send PASS", rest)
                    self.assertNotIn(b"mallory", rest)
                    self.assertFalse(re.search(rb"\+OK|-ERR", rest), rest)
                    if not waits:
                        self.assertEqual(rest, b"")
                    server.wait_for(r"session-end: session=%s user=- " % re.escape(peer.session))
            with closing(server.login()) as pop3:
                self.assertEqual(pop3.stat(), (0, 0))

    @harness.in_every_mode
    def test_log_of_an_injection(self, mode):
        with harness.Server(mode, workers=1) as server:
            with Plain(server) as peer:
                peer.socket.sendall(INJECTED)
                self.assertEqual(peer.rest(), b"")
                cut_for_injection(server, peer.session)

    @harness.in_every_mode
    def test_client_hello_at_once(self, mode):
        """A client that does not wait for the reply might be another one, on the way."""
        hello = ssl.MemoryBIO()
        tls = unverified().wrap_bio(ssl.MemoryBIO(), hello)
        self.assertRaises(ssl.SSLWantReadError, tls.do_handshake)
        with harness.Server(mode, workers=1) as server, Plain(server) as peer:
            peer.socket.sendall(b"STLS\r\n" + hello.read())
            self.assertEqual(peer.rest(), b"")
            cut_for_injection(server, peer.session)

    @harness.in_every_mode
    def test_stls(self, mode):
        with harness.Server(mode, workers=1) as server, Plain(server) as peer:
            self.assertIn(b"STLS", peer.listing(b"CAPA\r\n"))
            self.assertEqual(peer.ask(b"USER %s\r\n" % ALICE.encode()), b"+OK send PASS\r\n")
            self.assertEqual(peer.ask(b"STLS\r\n"), b"+OK begin TLS\r\n")
            peer.shake_hands()
            self.assertNotIn(b"STLS", peer.listing(b"CAPA\r\n"))
            self.assertEqual(peer.ask(b"PASS %s\r\n" % SECRET.encode()), b"-ERR send USER first\r\n")
            self.assertEqual(peer.ask(b"STLS\r\n"), b"-ERR TLS cannot begin here\r\n")
            peer.ask(b"USER %s\r\n" % ALICE.encode())
            self.assertEqual(peer.ask(b"PASS %s\r\n" % SECRET.encode()),
                             b"+OK 0 messages (0 octets)\r\n")
            self.assertEqual(peer.ask(b"STLS\r\n"), b"-ERR already logged in\r\n")
            server.wait_for(r"login: session=%s user=%s .*mechanism=USER tls=\"TLSv1\.[23] " %
                            (re.escape(peer.session), ALICE))

    @harness.in_every_mode
    def test_handshake_that_fails(self, mode):
        with harness.Server(mode, workers=1) as server, Plain(server) as peer:
            peer.ask(b"STLS\r\n")
            peer.socket.sendall(b"NOOP\r\nNOOP\r\n")
            self.assertNotRegex(peer.rest(), rb"\+OK|-ERR")
            server.wait_for(r"session-end: session=%s .*reason=\"TLS handshake failed\"" %
                            re.escape(peer.session))

    @harness.in_every_mode
    def test_poplib(self, mode):
        with harness.Server(mode, workers=1) as server:
            server.send(b"Subject: x\r\n\r\nbody\r\n")
            with closing(server.connect()) as pop3:
                self.assertIn("STLS", pop3.capa())
                pop3.stls(unverified())
                self.assertNotIn("STLS", pop3.capa())
                pop3.user(ALICE)
                pop3.pass_(SECRET)
                self.assertEqual(pop3.retr(1)[1][-1], b"body")
                pop3.quit()


class ForeignTest(unittest.TestCase):
    REQUESTS = [b"GET /secret-word HTTP/1.1\r\nHost: secret-word\r\n\r\n",
                b"POST / HTTP/1.1\r\nContent-Length: 40\r\n\r\nUSER secret-word\r\nPASS x\r\n",
                b"BREW /secret-word HTTP/1.1\r\n\r\n",
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"GET /" + b"secret-word" * 3000,
                b"HTTP/1.1 200 secret-word\r\n\r\n"]

    @harness.in_every_mode
    def test_http(self, mode):
        with harness.Server(mode, workers=1) as server:
            for kind in ("pop3", "pop3s"):
                for request in self.REQUESTS:
                    with self.subTest(kind=kind, request=request[:20]):
                        self.one_request(server, kind, request)

    def one_request(self, server, kind, request):
        with socket.create_connection(("127.0.0.1", server.ports[kind]),
                                      timeout=harness.PATIENCE) as peer:
            if kind == "pop3s":
                peer = unverified().wrap_socket(peer)
            greeting = peer.recv(4096)
            try:
                peer.sendall(request)
            except OSError:
                pass  # cut amid a long one
            self.assertEqual(rest_of(peer), b"")
            session = re.search(rb"session ([0-9a-f.]+)", greeting)[1].decode()
            server.wait_for(r"session-end: session=%s .*reason=\"not POP3\"" % re.escape(session))
            peer.close()

    @harness.in_every_mode
    def test_http_where_tls_is_spoken(self, mode):
        """Cut off in the handshake: nothing but a TLS alert comes back."""
        with harness.Server(mode, workers=1) as server:
            peer, lines = harness.raw(server, "pop3s")
            with peer, lines:
                peer.sendall(self.REQUESTS[0])
                octets = rest_of(peer)
                self.assertNotIn(b"secret-word", octets)
                self.assertIn(octets[:1], (b"", b"\x15"))

    @harness.in_every_mode
    def test_tls_where_plain_text_is_spoken(self, mode):
        with harness.Server(mode, workers=1) as server:
            with Plain(server) as peer:
                peer.socket.sendall(b"\x16\x03\x01")  # no line end will ever come
                self.assertEqual(peer.rest(), b"")
                server.wait_for(r"session-end: session=%s .*reason=\"not POP3\"" %
                                re.escape(peer.session))

    @harness.in_every_mode
    def test_garbage(self, mode):
        """50,000 commands, before login and behind it: no more answers than the limits allow, and
        the server is as before."""
        with harness.Server(mode, workers=1) as server:
            with Plain(server) as peer:
                try:
                    peer.socket.sendall(b"XYZZY plugh\r\n" * 50000)
                except OSError:
                    pass
                answers = peer.rest().splitlines()
                self.assertLessEqual(len(answers), 3)
                self.assertNotIn(b"plugh", b"".join(answers))
            with Plain(server) as peer:
                peer.ask(b"USER %s\r\n" % ALICE.encode())
                self.assertTrue(peer.ask(b"PASS %s\r\n" % SECRET.encode()).startswith(b"+OK"))
                # A good command among them resets the count: all are answered, none is echoed.
                for _ in range(50000 // 1000):
                    peer.socket.sendall(b"NOOP\r\nXYZZY plugh\r\n" * 500)
                    for _ in range(500):
                        self.assertEqual(peer.lines.readline(), b"+OK\r\n")
                        self.assertEqual(peer.lines.readline(), b"-ERR no such command\r\n")
            with closing(server.login()) as pop3:
                self.assertEqual(pop3.stat(), (0, 0))


def consenting(server):
    """Adds alice, who consents to APOP."""
    server.run("account", "add", ALICE, "--apop", "--password-file", "-", text=SECRET.encode())


def plain_message(user=ALICE, secret=SECRET, authorize=""):
    return base64.b64encode(b"\0".join(part.encode() for part in (authorize, user, secret)))


class LoginTest(unittest.TestCase):
    DENIED = b"-ERR [AUTH] wrong user or password\r\n"

    @harness.in_every_mode
    def test_plain(self, mode):
        """Initial response or a line of its own; whose maildrop; each line ends in a bare LF too."""
        rows = [
            (b"AUTH PLAIN " + plain_message(), b"+OK 0 messages (0 octets)\r\n"),
            (b"AUTH PLAIN " + plain_message(authorize=ALICE), b"+OK 0 messages (0 octets)\r\n"),
            (b"AUTH PLAIN " + plain_message("alice", authorize="ALICE@example.org"),
             b"+OK 0 messages (0 octets)\r\n"),
            (b"AUTH PLAIN " + plain_message(authorize="bob@example.org"), self.DENIED),
            (b"AUTH PLAIN " + plain_message(authorize="nobody@example.org"), self.DENIED),
            (b"AUTH PLAIN " + plain_message(secret="wrong"), self.DENIED),
            (b"AUTH PLAIN " + plain_message(user="nobody@example.org"), self.DENIED),
        ]
        with harness.Server(mode, workers=1, accounts=(ALICE, "bob@example.org")) as server:
            for end in (b"\r\n", b"\n"):
                for command, answer in rows:
                    with self.subTest(command=command), Plain(server) as peer:
                        self.assertEqual(peer.ask(command + end), answer)
                    with self.subTest(command=command, end=end), Plain(server) as peer:
                        first, second = command.rsplit(b" ", 1)
                        self.assertEqual(peer.ask(first + end), b"+ \r\n")
                        self.assertEqual(peer.ask(second + end), answer)
            server.wait_for(r"login: .*user=%s .*mechanism=PLAIN" % ALICE)
            for reason in ("asks for another account", "wrong password", "no such account"):
                server.wait_for(r"login-failed: .*mechanism=PLAIN tls=no reason=\"%s\"" % reason)

    @harness.in_every_mode
    def test_octets_of_a_user_in_the_log(self, mode):
        with harness.Server(mode, workers=1) as server, Plain(server) as peer:
            name = 'x" reason="none\u00e9\\'
            self.assertEqual(peer.ask(b"AUTH PLAIN " + plain_message(user=name) + b"\r\n"),
                             self.DENIED)
            line = server.wait_for(r"login-failed: .*").string
            self.assertNotIn('reason="none', line)
            self.assertIn('reason="no such account"', line)

    @harness.in_every_mode
    def test_longest_password(self, mode):
        """1,000 octets with spaces inside and at both ends, by PASS and by PLAIN."""
        secret = " " + "p w" * 332 + "  "
        secret += " " * (1000 - len(secret))
        with harness.Server(mode, workers=1, accounts=()) as server:
            server.add_account(ALICE, secret)
            with closing(server.login(secret=secret)) as pop3:
                self.assertEqual(pop3.stat(), (0, 0))
            for wrong in (secret[:-1], secret[:-1] + "x"):
                with Plain(server) as peer:
                    peer.ask(b"USER %s\r\n" % ALICE.encode())
                    self.assertEqual(peer.ask(b"PASS %s\r\n" % wrong.encode()), self.DENIED)
            with Plain(server) as peer:
                peer.ask(b"AUTH PLAIN\r\n")
                self.assertTrue(peer.ask(plain_message(secret=secret) + b"\r\n").startswith(b"+OK"))

    @harness.in_every_mode
    def test_apop(self, mode):
        """Offered only where it is wanted, and only to accounts that consent."""
        with harness.Server(mode, workers=1) as server:
            self.assertNotIn(b"<", server.connect().getwelcome())
        with harness.Server(mode, "--apop", workers=1, accounts=("bob@example.org",)) as server:
            consenting(server)
            greetings = {re.search(rb"<[^<>@ ]+@[^<>@ ]+>", Plain(server).greeting)[0]
                         for _ in range(20)}
            self.assertEqual(len(greetings), 20)
            with closing(server.connect()) as pop3:
                pop3.apop(ALICE, SECRET)
                self.assertEqual(pop3.stat(), (0, 0))
            server.wait_for(r"login: .*user=%s .*mechanism=APOP" % ALICE)
            for user, secret, reason in ((ALICE, "wrong", "wrong digest"),
                                         ("bob@example.org", SECRET, "no consent to APOP"),
                                         ("bob@example.org", "", "no consent to APOP"),
                                         ("nobody@example.org", SECRET, "no such account")):
                with self.subTest(user=user), closing(server.connect()) as pop3:
                    self.assertEqual(harness.refused(pop3.apop, user, secret),
                                     b"-ERR [AUTH] wrong user or password")
                    server.wait_for(r"login-failed: .*mechanism=APOP .*reason=\"%s\"" % reason)
            with closing(server.login()) as pop3:
                self.assertEqual(pop3.stat(), (0, 0))
            with closing(server.connect()) as pop3:
                pop3.stls(unverified())
                pop3.apop(ALICE, SECRET)

    @harness.in_every_mode
    def test_digest_of_another_connection(self, mode):
        """What was seen on one connection opens no other."""
        with harness.Server(mode, "--apop", workers=1, accounts=()) as server:
            consenting(server)
            with Plain(server) as one, Plain(server) as other:
                stamp = re.search(rb"<.*>", one.greeting)[0]
                digest = hashlib.md5(stamp + SECRET.encode()).hexdigest().encode()
                command = b"APOP %s %s\r\n" % (ALICE.encode(), digest)
                self.assertEqual(other.ask(command), self.DENIED)
                self.assertEqual(one.ask(command), b"+OK 0 messages (0 octets)\r\n")

    @harness.in_every_mode
    def test_refused_for_now_is_logged(self, mode):
        with harness.Server(mode, workers=1) as server:
            with Plain(server) as peer:
                peer.ask(b"USER %s\r\n" % ALICE.encode())
                os.kill(server.pid_of("auth"), signal.SIGSTOP)
                peer.socket.sendall(b"PASS %s\r\n" % SECRET.encode())
                os.kill(server.pid_of("auth"), signal.SIGKILL)
                self.assertTrue(peer.lines.readline().startswith(b"-ERR [SYS/TEMP]"))
                server.wait_for(r"login-refused: session=%s user=\"%s\" .*reason=\"no answer from auth\""
                                % (re.escape(peer.session), ALICE))

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    @harness.in_every_mode
    def test_curl(self, mode):
        with harness.Server(mode, "--apop", workers=1, accounts=()) as server:
            consenting(server)
            server.send(b"Subject: x\r\n\r\nbody of it\r\n")
            plain, secure = (":".join(["pop3://127.0.0.1", str(server.ports["pop3"])]) + "/1",
                             ":".join(["pop3s://127.0.0.1", str(server.ports["pop3s"])]) + "/1")
            for url, words, mechanism in (
                    (plain, ["--login-options", "AUTH=PLAIN"], "PLAIN"),
                    (plain, ["--login-options", "AUTH=PLAIN", "--sasl-ir"], "PLAIN"),
                    (plain, ["--login-options", "AUTH=+APOP"], "APOP"),
                    (plain, ["--ssl-reqd"], "PLAIN"),
                    (secure, [], "PLAIN")):
                with self.subTest(url=url, words=words):
                    since = server.mark()
                    run = subprocess.run(
                        ["curl", "--silent", "--show-error", "--insecure", "--max-time", "20",
                         "--config", "-", url] + words, capture_output=True, timeout=60,
                        input=('user = "%s:%s"\n' % (ALICE, SECRET)).encode())
                    self.assertEqual(run.returncode, 0, run.stderr)
                    self.assertIn(b"body of it", run.stdout)
                    server.wait_for(r"login: .*mechanism=%s tls=\"%s" %
                                    (mechanism, "TLS" if "--ssl-reqd" in words or url == secure
                                     else '"'), since=since)


if __name__ == "__main__":
    harness.main()
