#!/usr/bin/env python3
"""The processes of a server: start, death, drain, reload, and what the sandbox refuses."""

import fcntl
import os
import poplib
import re
import select
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time
import unittest

from harness import (PATIENCE, SECRET, Server, in_every_mode, is_test_build, main, raw, refused,
                     wait_for_end)


class Start(unittest.TestCase):
    @in_every_mode
    def test_says_where_it_listens(self, mode):
        with Server(mode) as server:
            said = [line.rsplit(":", 1)[0] for line in server.lines if line.startswith("listening")]
            self.assertEqual(said, ["listening pop3 127.0.0.1", "listening pop3s 127.0.0.1",
                                    "listening lmtp 127.0.0.1", "listening lmtp unix"])
            self.assertEqual(server.stop(), 0)

    @in_every_mode
    def test_one_server_a_root(self, mode):
        with Server(mode) as server:
            second = server.run("serve", "--pop3", "127.0.0.1:0", check=False)
            self.assertEqual(second.returncode, 75)
            self.assertIn(b"pid %d" % server.process.pid, second.stderr)
            self.assertEqual(server.login().stat(), (0, 0))

    @in_every_mode
    def test_words_not_understood(self, mode):
        server = Server(mode, accounts=())
        for words in (["--pop4", "x"], ["--pop3"], ["--pop3", "host:1"], ["--workers", "0"],
                      ["--pop3", "unix:/x"], ["--tls-cert", "x"]):
            answer = server.run("serve", *words, check=False)
            self.assertEqual(answer.returncode, 64, words)
            self.assertTrue(answer.stderr, words)
        server.close()

    @in_every_mode
    def test_file_and_flags(self, mode):
        server = Server(mode)
        path = os.path.join(server.root, "postern.conf")
        for text, code in ((b"[serve]\nworkers = 1\nallow-plaintext = yes\n", None),
                           (b"[serve]\nworker = 1\n", 78), (b"[serve]\nworkers 1\n", 78),
                           (b"[serve]\npop3 = " + b"x" * 300 + b"\n", 78)):
            with open(path, "wb") as conf:
                conf.write(text)
            if code is None:
                with server:
                    pass
                server = Server(mode)
                path = os.path.join(server.root, "postern.conf")
                continue
            answer = server.run("serve", check=False)
            self.assertEqual(answer.returncode, code, text)
            self.assertIn(b"line 2", answer.stderr)
        server.close()


    @in_every_mode
    def test_broken_database(self, mode):
        server = Server(mode)
        path = os.path.join(server.root, "accounts", "accounts.db")
        with open(path, "r+b") as database:
            database.write(b"this is not what it was" * 100)
        answer = server.run("serve", "--pop3", "127.0.0.1:0", check=False)
        self.assertNotEqual(answer.returncode, 0)
        self.assertIn(b"accounts.db", answer.stderr)
        self.assertNotIn(b"ready", answer.stdout)
        server.close()

    @in_every_mode
    def test_few_descriptors(self, mode):
        """Those for whom there are none are told; the others are served to their QUIT."""
        if mode[1] is None and os.getuid() == 0:
            self.skipTest("root takes as many as it wants")
        names = ["user%d@example.org" % number for number in range(30)]
        server = Server(mode, workers=1, accounts=names[:1])
        server.run("account", "import", "-", text=b"".join(
            b"%s:{PLAIN}%s\n" % (name.encode(), SECRET.encode()) for name in names[1:]))
        server.descriptors = 128
        with server:
            server.send(b"Subject: x\r\n\r\n", *names)
            sessions, told = [], 0
            for name in names:
                try:
                    pop3 = server.login(name)
                    pop3.retr(1)
                    pop3.dele(1)
                    sessions.append(pop3)
                except poplib.error_proto as problem:
                    self.assertIn(b"[SYS/TEMP]", problem.args[0])
                    told += 1
            self.assertGreater(len(sessions), 5)
            self.assertGreater(told, 5)
            for pop3 in sessions:
                self.assertTrue(pop3.quit().startswith(b"+OK"))
            self.assertEqual(server.login(names[0]).stat(), (0, 0))


class Death(unittest.TestCase):
    @in_every_mode
    def test_of_a_worker(self, mode):
        with Server(mode, workers=1) as server:
            pop3 = server.login()
            server.kill("worker")
            with self.assertRaises((OSError, EOFError, Exception)):
                pop3.noop()
            begun = time.monotonic()
            server.login().quit()
            self.assertLess(time.monotonic() - begun, 1)

    @in_every_mode
    def test_of_auth(self, mode):
        with Server(mode) as server:
            kept = server.login_in_worker(0)
            kept.user("alice")
            kept.pass_(SECRET)
            server.kill("auth")
            self.assertEqual(kept.noop(), b"+OK")
            end = time.monotonic() + 1
            while True:  # answered at once, with [SYS/TEMP] until the new one is there
                other = server.login_in_worker(1)
                other.user("alice")
                answer = refused(other.pass_, SECRET)
                other.close()
                if b"[IN-USE]" in answer:
                    break
                self.assertIn(b"[SYS/TEMP]", answer)
                self.assertLess(time.monotonic(), end)
            kept.quit()
            server.login().quit()

    @in_every_mode
    def test_of_the_supervisor(self, mode):
        with Server(mode) as server:
            pids = [server.pid_of("auth"), server.pid_of("worker", 0), server.pid_of("worker", 1)]
            session = server.login()
            server.process.kill()
            server.process.wait()
            for pid in pids:
                self.assertTrue(wait_for_end(pid, 1), pid)
            session.close()
            server.start()
            server.login().quit()
            self.assertEqual(server.stop(), 0)

    @in_every_mode
    def test_again_and_again(self, mode):
        with Server(mode, workers=1) as server:
            for _ in range(6):
                server.kill("worker")
                server.login().quit()
                server.kill("auth")


class Slots(unittest.TestCase):
    """Where descriptors are few: (164 - 64) / 5 are 20 connections, 8 of them for LMTP alone."""

    def few(self, mode):
        if mode[1] is None and os.getuid() == 0:
            self.skipTest("root takes as many as it wants")
        users = ["u%d@example.org" % number for number in range(13)]
        server = Server(mode, workers=1, accounts=["alice@example.org"] + users)
        server.descriptors = 164
        return server

    def greeted(self, server, kind, greeting):
        connection, reader = raw(server, kind)
        self.assertTrue(reader.readline().startswith(greeting))
        return connection, reader

    @in_every_mode
    def test_whoever_says_nothing_makes_room(self, mode):
        with self.few(mode) as server:
            idle = [self.greeted(server, "pop3", b"+OK") for _ in range(12)]
            newcomer = self.greeted(server, "pop3", b"+OK")
            server.wait_for(r"made room for another")
            gone = [reader for _, reader in idle if select.select([reader], [], [], 0)[0]]
            self.assertEqual([reader.readline() for reader in gone], [b""])
            letters = [self.greeted(server, "lmtp", b"220") for _ in range(9)]
            server.send(b"Subject: x\r\n\r\n")
            self.assertEqual(server.login().stat()[0], 1)
            for connection, _ in idle + letters + [newcomer]:
                connection.close()

    @in_every_mode
    def test_sessions_leave_some_to_lmtp(self, mode):
        with self.few(mode) as server:
            sessions = [server.login("u%d@example.org" % number) for number in range(12)]
            connection, reader = raw(server)
            self.assertIn(b"-ERR [SYS/TEMP]", reader.readline())
            connection.close()
            letters = []
            for _ in range(8):
                connection, reader = self.greeted(server, "lmtp", b"220")
                connection.sendall(b"LHLO a\r\nMAIL FROM:<b@c>\r\nRCPT TO:<u12@example.org>\r\n")
                while not reader.readline().startswith(b"250 2.1.5"):
                    pass
                letters.append((connection, reader))
            connection, reader = raw(server, "lmtp")
            self.assertTrue(reader.readline().startswith(b"421"))
            connection.close()
            letters.pop()[0].close()
            sessions.pop().quit()
            end = time.monotonic() + PATIENCE
            while True:  # until the worker has seen the ends of both
                try:
                    server.send(b"Subject: x\r\n\r\n")
                    self.assertEqual(server.login().stat()[0], 1)
                    break
                except (smtplib.SMTPException, poplib.error_proto):
                    self.assertLess(time.monotonic(), end)


class Log(unittest.TestCase):
    @in_every_mode
    def test_reader_that_hangs_stops_nobody(self, mode):
        """Standard error is a fifo that nobody reads for a while: mail goes on, lines are lost, and
        it is said how many."""
        server = Server(mode)
        path = os.path.join(server.base, "log")
        os.mkfifo(path)
        if server.uid is not None:
            os.chown(path, server.uid, server.uid)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        writer = os.open(path, os.O_WRONLY)
        flags = fcntl.fcntl(writer, fcntl.F_GETFL)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        server.process = subprocess.Popen(
            [server.program, "--root", server.root, "serve"] + server.flags,
            preexec_fn=server.drop, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=writer, text=True)
        try:
            for line in server.process.stdout:
                found = re.match(r"listening (\w+) (.*):(\d+)$", line)
                if found:
                    server.ports[found[1]] = int(found[3])
                if line == "ready\n":
                    break
            for _ in range(60):  # some lines each; 4096 octets are full soon
                server.login().quit()
            server.send(b"Subject: x\r\n\r\n")
            self.assertEqual(fcntl.fcntl(writer, fcntl.F_GETFL), flags)
            text = os.read(reader, 65536)
            for _ in range(20):  # until each process has had something to say
                server.login().quit()
                text += os.read(reader, 65536)
            self.assertRegex(text, rb"warning log-dropped: lines=[1-9]")
            self.assertEqual(server.login().stat()[0], 1)
        finally:
            server.stop()
            server.process.stdout.close()
            server.close()
            os.close(reader)
            os.close(writer)


class Drain(unittest.TestCase):
    @in_every_mode
    def test_idle_sessions_are_told(self, mode):
        with Server(mode) as server:
            pop3 = server.login()
            server.process.send_signal(signal.SIGTERM)
            self.assertIn(b"-ERR [SYS/TEMP]", pop3.file.read())
            self.assertEqual(server.process.wait(PATIENCE), 0)

    @in_every_mode
    def test_an_answer_is_finished(self, mode):
        message = b"Subject: long\r\n\r\n" + (b"y" * 76 + b"\r\n") * 200000
        with Server(mode) as server:
            server.send(message)
            connection, reader = raw(server)
            connection.sendall(b"USER alice\r\nPASS " + SECRET.encode() + b"\r\nRETR 1\r\n")
            for _ in range(3):
                self.assertTrue(reader.readline().startswith(b"+OK"))
            self.assertTrue(reader.readline().startswith(b"+OK"))
            server.process.send_signal(signal.SIGTERM)
            server.wait_for(r"drain: ")
            text = reader.read()
            self.assertIn(message[-1000:] + b".\r\n", text)
            self.assertEqual(server.process.wait(PATIENCE), 0)
            connection.close()

    @in_every_mode
    def test_the_sockets_are_closed(self, mode):
        with Server(mode) as server:
            self.assertEqual(server.stop(), 0)
            with self.assertRaises(ConnectionRefusedError):
                raw(server)


class Reload(unittest.TestCase):
    def certificate(self, server):
        return ssl.get_server_certificate(("127.0.0.1", server.ports["pop3s"]))

    def replace_pair(self, server, certificate, key):
        for name, text in (("cert.pem", certificate), ("key.pem", key)):
            with open(os.path.join(server.root, "tls", name), "wb") as file:
                file.write(text)

    def new_pair(self, server):
        paths = [os.path.join(server.base, name) for name in ("c.pem", "k.pem")]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                        "/CN=other", "-days", "2", "-out", paths[0], "-keyout", paths[1]],
                       check=True, capture_output=True)
        return [open(path, "rb").read() for path in paths]

    @in_every_mode
    def test_sessions_go_on(self, mode):
        with Server(mode) as server:
            old = self.certificate(server)
            kept = server.login()
            self.replace_pair(server, *self.new_pair(server))
            since = server.mark()
            server.process.send_signal(signal.SIGHUP)
            server.wait_for(r"reload: done=yes", since=since)
            end = time.monotonic() + PATIENCE
            while self.certificate(server) == old:  # an old worker may have accepted just before
                self.assertLess(time.monotonic(), end)
            self.assertEqual(kept.noop(), b"+OK")
            other = server.connect()
            other.user("alice")
            self.assertIn(b"[IN-USE]", refused(other.pass_, SECRET))
            kept.quit()
            server.wait_for(r"child-end: role=worker number=[01] .* status=0", count=2, since=since)
            server.login().quit()
            self.assertEqual(server.stop(), 0)

    @in_every_mode
    def test_again_and_again(self, mode):
        """Reloads that come while one is under way are done too; old workers end when empty."""
        with Server(mode) as server:
            kept = server.login()
            for number in range(1, 6):
                for _ in range(3):
                    server.process.send_signal(signal.SIGHUP)
                server.wait_for(r"reload: done=yes", count=number)
                self.assertEqual(kept.noop(), b"+OK")
            kept.quit()
            end = time.monotonic() + PATIENCE
            while len(server.status()["processes"]) != 3:
                self.assertLess(time.monotonic(), end)
            server.send(b"Subject: x\r\n\r\n")
            self.assertEqual(server.login().stat()[0], 1)
            self.assertEqual(server.stop(), 0)

    @in_every_mode
    def test_before_ready_is_remembered(self, mode):
        with Server(mode, workers=1) as server:
            server.stop()
            server.process = subprocess.Popen(
                [server.program, "--root", server.root, "serve"] + server.flags,
                preexec_fn=server.drop, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True)
            server.lines = []
            for line in server.process.stderr:  # signals are listened to before the first child
                if "child-start" in line:
                    break
            server.process.send_signal(signal.SIGHUP)
            for stream in (server.process.stdout, server.process.stderr):
                threading.Thread(target=server._read, args=(stream,), daemon=True).start()
            server.wait_for(r"^ready$")
            server.wait_for(r"reload: done=yes")
            self.assertEqual(server.stop(), 0)

    @in_every_mode
    def test_new_workers_that_die_are_given_up(self, mode):
        with Server(mode, workers=1) as server:
            kept = server.login()
            old = self.certificate(server)
            self.replace_pair(server, *self.new_pair(server))
            killed = threading.Event()
            killer = threading.Thread(target=kill_new_workers, args=(server, killed))
            killer.start()
            for tries in range(20):  # until one was killed before it was ready, five times
                since = server.mark()
                server.process.send_signal(signal.SIGHUP)
                if server.wait_for(r"reload: (done|kept)=", since=since)[1] == "kept":
                    break
            else:
                self.fail("the new workers were always faster")
            killed.set()
            killer.join()
            server.wait_for(r'reload: kept=old error="a new worker ends')
            if tries == 0:
                self.assertEqual(self.certificate(server), old)
            self.assertEqual(kept.noop(), b"+OK")
            since = server.mark()
            server.process.send_signal(signal.SIGHUP)
            server.wait_for(r"reload: done=yes", since=since)
            self.assertNotEqual(self.certificate(server), old)
            kept.quit()
            end = time.monotonic() + PATIENCE
            while len(server.status()["processes"]) != 2:
                self.assertLess(time.monotonic(), end)
            self.assertEqual(server.stop(), 0)

    @in_every_mode
    def test_a_bad_pair_changes_nothing(self, mode):
        with Server(mode) as server:
            old = self.certificate(server)
            self.replace_pair(server, b"not a certificate\n", b"not a key\n")
            server.process.send_signal(signal.SIGHUP)
            server.wait_for(r"reload: kept=old error=")
            self.assertEqual(self.certificate(server), old)
            server.login(tls=True).quit()

    @in_every_mode
    def test_listeners_of_the_file(self, mode):
        old, other, new = free_ports(3)
        server = Server(mode)
        server.flags = ["--workers", "2"]
        path = os.path.join(server.root, "postern.conf")
        write(path, "[serve]\npop3 = 127.0.0.1:%d\npop3s = 127.0.0.1:%d\n" % (old, other))
        with server:
            kept = server.login()
            write(path, "[serve]\npop3 = 127.0.0.1:%d\npop3s = 127.0.0.1:%d\n" % (new, other))
            server.process.send_signal(signal.SIGHUP)
            server.wait_for(r"reload: done=yes")
            server.ports["pop3"] = new
            self.assertIn(b"ready", server.connect().getwelcome())
            self.assertEqual(kept.noop(), b"+OK")
            kept.quit()
            server.ports["pop3"] = old
            end = time.monotonic() + PATIENCE
            while True:  # until the old workers have heard of it
                try:
                    raw(server)[0].close()
                except ConnectionResetError:
                    pass  # just being closed
                except ConnectionRefusedError:
                    break
                self.assertLess(time.monotonic(), end)
            write(path, "[serve]\npop3 = 127.0.0.1\n")
            server.process.send_signal(signal.SIGHUP)
            server.wait_for(r"reload: kept=old error=.*line 2")
            server.ports["pop3"] = new
            server.login().quit()


def kill_new_workers(server, enough):
    """Each that is started from now on, as soon as its pid is known."""
    at = server.mark()
    while not enough.is_set():
        with server.news:
            server.news.wait_for(lambda: len(server.lines) > at, 0.1)
            lines, at = server.lines[at:], len(server.lines)
        for line in lines:
            found = re.search(r"child-start: role=worker .*pid=(\d+)", line)
            if found:
                try:
                    os.kill(int(found[1]), signal.SIGKILL)
                except ProcessLookupError:
                    pass


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def free_ports(count):
    listening = [socket.socket() for _ in range(count)]
    for one in listening:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in listening]
    for one in listening:
        one.close()
    return ports


class Sandbox(unittest.TestCase):
    def attempt(self, pop3, *words):
        return pop3._shortcmd("XTRY " + " ".join(words)).decode()

    @in_every_mode
    def test_of_a_live_worker(self, mode):
        with Server(mode) as server:
            server.send(b"Subject: x\r\n\r\n")
            secret = os.path.join(server.base, "secret")
            with open(secret, "w") as file:
                file.write("x")
            os.chmod(secret, 0o644)
            os.makedirs(os.path.join(server.root, "fetch"), exist_ok=True)
            pop3 = server.login()
            if not is_test_build(pop3):
                self.skipTest("not a test build: it has no XTRY")
            refused_ones = [("open", os.path.join(server.root, "accounts/accounts.db")),
                            ("open", os.path.join(server.root, "accounts")),
                            ("open", os.path.join(server.root, "tls/key.pem")),
                            ("open", os.path.join(server.root, "fetch")),
                            ("open", os.path.join(server.root, "run/pid")),
                            ("create", os.path.join(server.root, "run/x")),
                            ("create", os.path.join(server.root, "fetch/x")),
                            ("create", os.path.join(server.base, "x")),
                            ("open", secret), ("open", "/etc/passwd"), ("exec", "/bin/true"),
                            ("connect", "/x"), ("socket",), ("ptrace",), ("fork",), ("signal",)]
            for words in refused_ones:
                answer = self.attempt(pop3, *words)
                self.assertTrue(re.search(r"refused: (EACCES|EPERM)$", answer), (words, answer))
            name = os.path.join(server.root, "mail/example.org/alice")
            self.assertTrue(self.attempt(pop3, "open", name).endswith("allowed"))

    @in_every_mode
    def test_users(self, mode):
        if mode[1] is not None or os.getuid() != 0:
            self.skipTest("started as root only")
        with Server(mode) as server:
            for role, uid in (("auth", 64002), ("worker", 64001)):
                with open("/proc/%d/status" % server.pid_of(role)) as status:
                    text = status.read()
                self.assertRegex(text, r"Uid:\t%d\t%d\t%d\t%d\n" % (uid, uid, uid, uid))
                self.assertRegex(text, r"Groups:\t%d? ?\n" % uid)
                self.assertRegex(text, r"NoNewPrivs:\t1\n")
                self.assertRegex(text, r"CapEff:\t0+\n")
                self.assertRegex(text, r"Seccomp:\t2\n")


class Control(unittest.TestCase):
    @in_every_mode
    def test_status(self, mode):
        with Server(mode) as server:
            server.send(b"Subject: x\r\n\r\n")
            pop3 = server.login()
            status = server.status()
            roles = sorted(process["role"] for process in status["processes"])
            self.assertEqual(roles, ["auth", "worker", "worker"])
            self.assertEqual(len(status["sessions"]), 1)
            pids = {process["pid"] for process in status["processes"]}
            self.assertEqual(pids, {server.pid_of("auth"), server.pid_of("worker", 0),
                                    server.pid_of("worker", 1)})
            pop3.quit()
            self.assertEqual(server.status()["sessions"], [])

    @in_every_mode
    def test_strangers_are_not_answered(self, mode):
        if os.getuid() != 0 or mode[1] is None:
            self.skipTest("needs a second uid")
        with Server(mode) as server:
            path = os.path.join(server.root, "run/control.sock")
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            os.chmod(path, 0o666)
            stranger = subprocess.run(
                ["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups", server.program,
                 "--root", server.root, "status"], capture_output=True, timeout=60)
            self.assertNotEqual(stranger.returncode, 0)
            server.wait_for(r"control: refused_uid=4711")
            server.run("status")  # behind it in the log, there is no more of it
            self.assertEqual(len([line for line in server.lines if "refused_uid" in line]), 1)


if __name__ == "__main__":
    main()
