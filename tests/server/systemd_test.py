#!/usr/bin/env python3
"""What a service manager is told and hands over. systemd itself is not needed but for the units."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from harness import PATIENCE, Server, in_every_mode, main
from restart_test import Activated

UNITS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../systemd")


class Notified(Server):
    """Under a service manager: its end of the notify socket is `manager`."""

    def __init__(self, mode, name, watchdog_ms=None, **words):
        self.manager = None
        super().__init__(mode, **words)
        self.name = name or os.path.join(self.base, "notify")
        self.watchdog_ms = watchdog_ms
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(self.name.replace("@", "\0", 1))
        self.manager.settimeout(PATIENCE)
        if name is None:
            os.chmod(self.name, 0o777)

    def drop(self):
        super().drop()
        if not self.manager:
            return  # a command before its time
        os.environ["NOTIFY_SOCKET"] = self.name
        if self.watchdog_ms:
            os.environ.update(WATCHDOG_USEC=str(self.watchdog_ms * 1000),
                              WATCHDOG_PID=str(os.getpid()))

    def told(self, pattern):
        """The next word of it that matches; those before are dropped."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            text = self.manager.recv(4096).decode()
            if re.search(pattern, text, re.M):
                return text
        raise AssertionError("it never said %r" % pattern)

    def close(self):
        super().close()
        self.manager.close()


class Notify(unittest.TestCase):
    @in_every_mode
    def test_life(self, mode):
        for name in (None, "@postern-test-%d" % os.getpid()):
            with Notified(mode, name) as server:
                self.assertIn("MAINPID=%d" % server.process.pid, server.told("^READY=1$"))
                self.assertRegex(server.told("^STATUS="), r"^STATUS=0 sessions$")
                for pid in (server.pid_of("auth"), server.pid_of("worker")):
                    with open("/proc/%d/environ" % pid) as file:
                        self.assertNotIn("NOTIFY", file.read())
                server.process.send_signal(signal.SIGHUP)
                self.assertRegex(server.told("^RELOADING=1$"), r"(?m)^MONOTONIC_USEC=\d+$")
                server.told("^READY=1$")
                with open(os.path.join(server.root, "postern.conf"), "w") as file:
                    file.write("nonsense\n")
                server.process.send_signal(signal.SIGHUP)
                server.told("^RELOADING=1$")
                server.told("^READY=1$")  # as it was
                server.process.send_signal(signal.SIGTERM)
                server.told("^STOPPING=1$")
                self.assertEqual(server.stop(), 0)

    @in_every_mode
    def test_watchdog(self, mode):
        """It is fed only while every process answers."""
        with Notified(mode, None, watchdog_ms=600) as server:
            for role in ("worker", "auth"):
                server.told("^WATCHDOG=1$")
                pid = server.pid_of(role)
                os.kill(pid, signal.SIGSTOP)
                server.told("does not answer$")
                for _ in range(5):
                    self.assertNotEqual(server.manager.recv(4096), b"WATCHDOG=1")
                os.kill(pid, signal.SIGCONT)
            server.told("^WATCHDOG=1$")
            kept = server.login()
            server.told("^STATUS=1 sessions$")
            kept.quit()


class Activation(unittest.TestCase):
    @in_every_mode
    def test_by_name(self, mode):
        with Activated(mode) as server:
            kinds = [line.split()[1] for line in server.lines if line.startswith("listening")]
            self.assertEqual(kinds, ["pop3", "pop3s", "lmtp", "lmtp"])
            server.send(b"Subject: x\r\n\r\n")
            self.assertEqual(server.login(tls=True).stat()[0], 1)
            since = server.mark()
            server.process.send_signal(signal.SIGHUP)
            server.wait_for(r"reload: done=yes", since=since)
            self.assertEqual(server.login().stat()[0], 1)

    @in_every_mode
    def test_by_address(self, mode):
        server = Activated(mode)
        server.names = "postern.socket:x:y"
        for kind, one in zip(server.KINDS, server.given):
            server.flags += ["--%s" % kind, "127.0.0.1:%d" % one.getsockname()[1]]
        with server:
            server.login(tls=True).quit()
            self.assertEqual(len([line for line in server.lines if "listening pop3 " in line]), 1)

    @in_every_mode
    def test_without_names(self, mode):
        """As systemd-socket-activate and old managers hand them over."""
        server = Activated(mode)
        server.names = None
        for kind, one in zip(server.KINDS, server.given):
            server.flags += ["--%s" % kind, "127.0.0.1:%d" % one.getsockname()[1]]
        with server:
            server.login(tls=True).quit()
            self.assertFalse([line for line in server.lines if "runtime error" in line])

    @in_every_mode
    def test_unix_socket(self, mode):
        """Only for what can be told to listen on one."""
        for kind in ("pop3", "pop3s", "smtp", "lmtp", "socketmap"):
            with self.subTest(kind):
                server = Activated(mode)
                server.given[0].close()
                server.given[0] = socket.socket(socket.AF_UNIX)
                server.given[0].bind(os.path.join(server.base, "given"))
                server.given[0].listen()
                server.names = "%s:pop3s:lmtp" % kind
                server.process = server.launch()
                if kind in ("lmtp", "socketmap"):
                    server.wait_for(r"^ready$")
                else:
                    self.assertEqual(server.process.wait(PATIENCE), 78)
                    server.wait_for(r"only LMTP and socketmap can listen on a unix socket")
                server.close()

    @in_every_mode
    def test_what_is_it_for(self, mode):
        server = Activated(mode)
        server.names = "pop3:imap:lmtp"
        process = server.launch()
        self.assertEqual(process.wait(PATIENCE), 78)
        server.wait_for(r"is named imap: what is it for\? FileDescriptorName=")
        server.close()

    @in_every_mode
    def test_no_listening_socket(self, mode):
        server = Activated(mode)
        server.given[1].close()
        server.given[1] = socket.socket()
        process = server.launch()
        self.assertEqual(process.wait(PATIENCE), 78)
        server.wait_for(r"descriptor 4 \(pop3s\) was handed over, but is no listening socket")
        server.close()


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
class Units(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=Server.folder)
        for name in os.listdir(UNITS):
            with open(os.path.join(UNITS, name)) as file:
                text = file.read().replace("/usr/bin/postern", Server.program)
            with open(os.path.join(self.folder, name), "w") as file:
                file.write(text)

    def path(self, name):
        return os.path.join(self.folder, name)

    def test_verify(self):
        units = [self.path(name) for name in os.listdir(self.folder)
                 if name.endswith((".service", ".socket"))]
        answer = subprocess.run(["systemd-analyze", "verify", "--man=no"] + units,
                                capture_output=True, text=True, check=False)
        ours = [line for line in answer.stderr.splitlines() if "postern" in line]
        self.assertEqual((answer.returncode, ours), (0, []))

    def score(self, service):
        answer = subprocess.run(["systemd-analyze", "security", "--offline=true", service],
                                capture_output=True, text=True, check=True)
        return float(re.search(r"exposure level for .*: ([0-9.]+)", answer.stdout)[1])

    def test_score(self):
        """docs/design/0011-operation.md publishes these; 10 is worst."""
        self.assertLessEqual(self.score(self.path("postern.service")), 2.6)
        with open(self.path("postern.service")) as file, open(self.path("rootless.conf")) as more:
            text = file.read().replace("[Install]", more.read().split("[Service]")[1] + "[Install]")
        with open(self.path("postern.service"), "w") as file:
            file.write(text)
        self.assertLessEqual(self.score(self.path("postern.service")), 1.1)


if __name__ == "__main__":
    main()
