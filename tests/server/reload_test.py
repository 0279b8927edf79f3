#!/usr/bin/env python3
"""What goes wrong at a reload, a certificate that changes on disk, and a worker that was stopped."""

import os
import poplib
import signal
import smtplib
import ssl
import subprocess
import threading
import time
import unittest

from harness import (PATIENCE, SECRET, Server, in_every_mode, is_alive, is_test_build, main,
                     refused)


def make_pair(folder, name):
    """The paths of a new certificate and its key."""
    paths = [os.path.join(folder, name + end) for end in (".cert", ".key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-days", "2",
                    "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return paths


def make_old_pair(folder):
    """One that was good in 2020."""
    path = os.path.join(folder, "old")
    for name, text in ((".index", ""), (".serial", "01\n"), (".conf", """
[ca]
default_ca = it
[it]
database = %s.index
serial = %s.serial
new_certs_dir = %s
default_md = sha256
policy = names
[names]
commonName = supplied
""" % (path, path, folder))):
        with open(path + name, "w") as file:
            file.write(text)
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=old", "-out", path + ".ask",
                    "-keyout", path + ".key"], check=True, capture_output=True)
    subprocess.run(["openssl", "ca", "-batch", "-selfsign", "-notext", "-config", path + ".conf",
                    "-in", path + ".ask", "-keyfile", path + ".key", "-out", path + ".cert",
                    "-startdate", "20200101000000Z", "-enddate", "20200201000000Z"], check=True,
                   capture_output=True)
    return path + ".cert", path + ".key"


def copy(source, target):
    with open(source, "rb") as file:
        text = file.read()
    with open(target + ".new", "wb") as file:
        file.write(text)
    os.replace(target + ".new", target)


class Certificate(unittest.TestCase):
    """Noticed without a signal, within seconds."""

    def shown(self, server):
        text = ssl.get_server_certificate(("127.0.0.1", server.ports["pop3s"]))
        answer = subprocess.run(["openssl", "x509", "-noout", "-subject"], input=text.encode(),
                                capture_output=True, check=True)
        return answer.stdout.decode().strip().rsplit("=", 1)[1].strip()

    def serve(self, mode):
        server = Server(mode)
        self.pairs = {name: make_pair(server.base, name) for name in ("one", "two", "three")}
        self.live = [os.path.join(server.base, "live." + end) for end in ("cert", "key")]
        for source, target in zip(self.pairs["one"], self.live):
            os.symlink(source, target)
        server.flags += ["--tls-cert", self.live[0], "--tls-key", self.live[1]]
        for folder, _, names in os.walk(server.base):
            for name in names:
                if server.uid is not None and not os.path.islink(os.path.join(folder, name)):
                    os.chown(os.path.join(folder, name), server.uid, server.uid)
        return server

    @in_every_mode
    def test_swapped_in(self, mode):
        """By turning symbolic links, as certbot does; then by writing over the files."""
        with self.serve(mode) as server:
            self.assertEqual(self.shown(server), "one")
            kept = server.login(tls=True)
            before = server.status()["server"]["certificate_expires"]
            for source, target in zip(self.pairs["two"], self.live):
                os.symlink(source, target + ".new")
                os.replace(target + ".new", target)
            server.wait_for(r"certificate: changed=yes", count=1)
            self.assertEqual(self.shown(server), "two")
            self.assertEqual(kept.noop(), b"+OK")
            for source, target in zip(self.pairs["three"], self.pairs["two"]):
                with open(source, "rb") as file, open(target, "wb") as out:
                    out.write(file.read())
            server.wait_for(r"certificate: changed=yes", count=2)
            self.assertEqual(self.shown(server), "three")
            self.assertEqual(kept.noop(), b"+OK")
            server.kill("worker", 0)
            server.kill("worker", 1)
            self.assertEqual(self.shown(server), "three")
            self.assertTrue(before)

    @in_every_mode
    def test_a_bad_one_is_not_taken(self, mode):
        with self.serve(mode) as server:
            for name, change, word in (
                    ("the key of another", lambda: copy(self.pairs["two"][0], self.live[0]),
                     "TLS"),
                    ("no certificate", lambda: copy(__file__, self.live[0]), "PEM"),
                    ("nothing", lambda: os.remove(self.live[0]), "there is no file"),
                    ("expired", lambda: self.expire(server), "expired")):
                with self.subTest(name):
                    since = server.mark()
                    change()
                    server.wait_for(r"certificate: kept=old error=.*(%s)" % word, since=since)
                    self.assertEqual(self.shown(server), "one")
            for source, target in zip(self.pairs["three"], self.live):
                copy(source, target)
            server.wait_for(r"certificate: changed=yes")
            self.assertEqual(self.shown(server), "three")

    def expire(self, server):
        for source, target in zip(make_old_pair(server.base), self.live):
            copy(source, target)


class Reload(unittest.TestCase):
    @in_every_mode
    def test_new_worker_that_hangs(self, mode):
        """It is given up when its time is over; the next reload works."""
        with Server(mode, workers=1) as server:
            old = server.pid_of("worker", 0)
            for _ in range(20):  # until one is stopped before it is ready
                since = server.mark()
                server.process.send_signal(signal.SIGHUP)
                pid = int(server.wait_for(r"child-start: role=worker .*pid=(\d+)", since=since)[1])
                os.kill(pid, signal.SIGSTOP)
                try:
                    server.wait_for(r"reload: ", since=since, seconds=1)
                except AssertionError:
                    break
                os.kill(pid, signal.SIGCONT)
                old = pid
            server.wait_for(r"reload: kept=old error=.*not ready in time", since=since)
            server.wait_for(r"child-end: role=worker .*pid=%d signal=9" % pid, since=since)
            self.assertTrue(is_alive(old))
            server.login().quit()
            since = server.mark()
            server.process.send_signal(signal.SIGHUP)
            server.wait_for(r"reload: done=yes", since=since)
            server.login().quit()

    @in_every_mode
    def test_signal_from_the_first_moment(self, mode):
        """A SIGHUP to a server that has just begun is remembered, never deadly."""
        server = Server(mode, workers=1)
        server.start()
        server.stop()
        for _ in range(5):
            server.process = subprocess.Popen(
                [server.program, "--root", server.root, "serve"] + server.flags,
                preexec_fn=lambda: (server.drop(), signal.pthread_sigmask(
                    signal.SIG_BLOCK, [signal.SIGHUP])),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            server.process.send_signal(signal.SIGHUP)
            server.lines = []
            for stream in (server.process.stdout, server.process.stderr):
                threading.Thread(target=server._read, args=(stream,), daemon=True).start()
            server.wait_for(r"^ready$")
            server.wait_for(r"reload: done=yes")
            self.assertEqual(server.stop(), 0)
        server.close()


class Host(unittest.TestCase):
    @in_every_mode
    def test_name(self, mode):
        """In the greetings, and after a reload."""
        with Server(mode, "--smtp", "127.0.0.1:0") as server:
            with open(os.path.join(server.root, "postern.conf"), "w") as file:
                file.write("[serve]\nhost-name = Mail.Example.org\n")
            since = server.mark()
            server.process.send_signal(signal.SIGHUP)
            server.wait_for(r"reload: done=yes", since=since)
            with smtplib.SMTP() as smtp:
                greeting = smtp.connect("127.0.0.1", server.ports["smtp"])
                self.assertEqual(greeting[1].split()[0], b"mail.example.org")
            self.assertIn(b"mail.example.org", server.connect().getwelcome())
            server.send(b"Subject: x\r\n\r\n")
            text = b"\n".join(server.login().retr(1)[1])
            self.assertIn(b"by mail.example.org with LMTP", text)


class Log(unittest.TestCase):
    @in_every_mode
    def test_what_needs_a_restart_is_said(self, mode):
        with Server(mode) as server:
            path = os.path.join(server.root, "postern.conf")
            for text, ignored in (("log-level = debug\n", "log-level"),
                                  ("log-to = syslog\nlog-format = json\nlog-level = debug\n",
                                   "log-to log-format log-level"),
                                  ("workers = 2\n", None)):
                with self.subTest(text), open(path, "w") as file:
                    file.write("[serve]\n" + text)
                since = server.mark()
                server.process.send_signal(signal.SIGHUP)
                server.wait_for(r"reload: done=yes", since=since)
                said = [line for line in server.lines[since:] if "reload: ignored=" in line]
                self.assertEqual(len(said), 1 if ignored else 0)
                if ignored:
                    self.assertRegex(said[0], 'ignored="?%s"? error="only a restart' % ignored)


class Logins(unittest.TestCase):
    """Auth lives on at a reload, and must hear of what it decides about."""

    def reload(self, server, text, expected="done=yes"):
        with open(os.path.join(server.root, "postern.conf"), "w") as file:
            file.write("[serve]\n" + text)
        since = server.mark()
        server.process.send_signal(signal.SIGHUP)
        server.wait_for(r"reload: " + expected, since=since)

    def apop(self, server):
        """Whether it is offered and works; None: not offered."""
        pop3 = server.connect()
        try:
            pop3.apop("carol@example.org", SECRET)
        except poplib.error_proto as problem:
            return None if "not supported" in str(problem) else False
        pop3.quit()
        return True

    @in_every_mode
    def test_apop(self, mode):
        server = Server(mode)
        server.run("account", "add", "carol@example.org", "--apop", "--password-file", "-",
                   text=SECRET.encode())
        with server:
            self.assertIsNone(self.apop(server))
            self.reload(server, "apop = yes\n")
            self.assertTrue(self.apop(server))
            self.reload(server, "apop = no\nworkers = no\n", "kept=old")
            self.assertTrue(self.apop(server))
            server.kill("auth")
            end = time.monotonic() + PATIENCE
            while not self.apop(server):
                self.assertLess(time.monotonic(), end)
            offered = [server.connect() for _ in range(50)]  # of old workers
            self.reload(server, "apop = no\n")
            self.assertIsNone(self.apop(server))
            self.assertTrue(any(self.is_refused(pop3) for pop3 in offered))

    def is_refused(self, pop3):
        """Auth may hear of the new rules a moment after the log."""
        try:
            pop3.apop("carol@example.org", SECRET)
        except poplib.error_proto as problem:
            self.assertIn(b"[AUTH]", problem.args[0])
            return True
        pop3.quit()
        return False

    @in_every_mode
    def test_trusted_networks(self, mode):
        with Server(mode) as server:
            self.reload(server, "trusted-network = 192.0.2.0/24\n")
            begun = time.monotonic()
            for guess in ("one", "two"):
                pop3 = server.connect()
                pop3.user("alice")
                self.assertIn(b"[AUTH]", refused(pop3.pass_, guess))
                pop3.close()
            self.assertGreaterEqual(time.monotonic() - begun, 2)  # now a stranger
            self.reload(server, "trusted-network = 127.0.0.0/8\n")
            for number in range(40):  # with penalties this took ten minutes
                pop3 = server.connect()
                pop3.user("alice")
                self.assertIn(b"[AUTH]", refused(pop3.pass_, "guess %d" % number))
                pop3.close()
            server.wait_for(r"login-failed", count=42)


class Channels(unittest.TestCase):
    @in_every_mode
    def test_worker_meets_auth_again(self, mode):
        """Auth closes the channel of a worker that does not listen: they are introduced anew."""
        with Server(mode, workers=1) as server:
            pop3 = server.login()
            if not is_test_build(pop3):
                self.skipTest("not a test build: it has no XTRY")
            with open("/proc/%d/cmdline" % server.pid_of("worker")) as file:
                channel = file.read().split("\0")[2]
            answer = pop3._shortcmd("XTRY hangup " + channel).decode()
            self.assertTrue(answer.endswith("allowed"), answer)
            server.wait_for(r"auth-lost")
            end = time.monotonic() + PATIENCE
            while len(server.status()["sessions"]) != 1:  # announced anew
                self.assertLess(time.monotonic(), end)
            pop3.quit()
            server.login().quit()


if __name__ == "__main__":
    main()
