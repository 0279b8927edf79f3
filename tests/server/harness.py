"""harness: starts a built postern on free ports with a root of its own, and waits for what it says.

As root, the tests run in private mount and network namespaces, where /etc/passwd and /etc/group
are replaced by copies with the users a server started as root becomes; nothing of the machine is
touched. There every test runs twice: with a server started as root, and with one started by
somebody else. Otherwise it runs once, as whoever runs it.

Nothing here sleeps: what is waited for is a line of the server's log, the end of a process or an
answer on a socket.
"""

import json
import os
import poplib
import re
import resource
import select
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

NOBODY = 65534
INSIDE = "POSTERN_TEST_INSIDE"
PATIENCE = 20  # seconds; how long anything may take before the test fails
SECRET = "correct horse"


def enter_namespaces():
    """Runs this script again in namespaces of its own, when that is possible and not done yet."""
    if os.getuid() != 0 or INSIDE in os.environ or not shutil.which("unshare"):
        return
    probe = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True)
    if probe.returncode == 0:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--net", "--propagation", "private",
                              sys.executable] + sys.argv)


def replace_users(folder):
    for name, lines in (("passwd", ["postern:x:64001:64001::/:/usr/sbin/nologin",
                                    "postern-auth:x:64002:64002::/:/usr/sbin/nologin"]),
                        ("group", ["postern:x:64001:", "postern-auth:x:64002:"])):
        path = os.path.join(folder, name)
        with open("/etc/" + name) as old, open(path, "w") as new:
            kept = [line for line in old.read().splitlines() if not line.startswith("postern")]
            new.write("\n".join(kept + lines) + "\n")
        os.chmod(path, 0o644)
        subprocess.run(["mount", "--bind", path, "/etc/" + name], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class MemoryFolder(tempfile.TemporaryDirectory):
    """A folder on a tmpfs: in a mount namespace one of its own, else in /dev/shm."""

    def __init__(self, **words):
        super().__init__(dir=None if INSIDE in os.environ else "/dev/shm", **words)
        if INSIDE in os.environ:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", self.name], check=True)

    def cleanup(self):
        if INSIDE in os.environ:
            subprocess.run(["umount", "--lazy", self.name], check=True)
        super().cleanup()

    def __exit__(self, *problem):
        self.cleanup()


def main(folder_kind=tempfile.TemporaryDirectory):
    """The last line of each test script. Its first argument is the program under test."""
    if len(sys.argv) < 2:
        sys.exit("usage: %s PATH_TO_POSTERN [unittest arguments]" % sys.argv[0])
    enter_namespaces()
    with folder_kind(prefix="postern-test-") as folder:
        os.chmod(folder, 0o755)
        Server.program = os.path.join(folder, "postern")
        shutil.copy(sys.argv.pop(1), Server.program)
        Server.folder = folder
        if INSIDE in os.environ:
            replace_users(folder)
        program = unittest.main(module="__main__", verbosity=2, exit=False, argv=sys.argv,
                                warnings="ignore")
    sys.exit(not program.result.wasSuccessful())


def modes():
    """(name, uid to start as, whether a server started as root is meant)"""
    if os.getuid() != 0:
        return [("as myself", None)]
    if INSIDE in os.environ:
        return [("as root", None), ("rootless", NOBODY)]
    return [("rootless", NOBODY)]


def in_every_mode(test):
    """A test method that is given a mode, run once for each."""
    def run(self):
        for mode in modes():
            with self.subTest(mode=mode[0]):
                test(self, mode)
    run.__doc__ = test.__doc__
    return run


class Server:
    program = None
    folder = None

    def __init__(self, mode, *flags, workers=2, accounts=("alice@example.org",), pop3="127.0.0.1:0"):
        self.uid = mode[1]
        self.flags = ["--pop3", pop3, "--pop3s", "127.0.0.1:0", "--lmtp", "127.0.0.1:0",
                      "--workers", str(workers)] + list(flags)
        self.base = tempfile.mkdtemp(dir=self.folder)
        os.chmod(self.base, 0o755)
        if self.uid is not None:
            os.chown(self.base, self.uid, self.uid)
        self.root = os.path.join(self.base, "root")
        self.lines, self.news = [], threading.Condition()
        self.process, self.ports, self.descriptors = None, {}, None
        for name in accounts:
            self.add_account(name)

    # ---- running things ----

    def drop(self):
        if self.descriptors and self.process is None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))
        if self.uid is not None:
            os.setgroups([])
            os.setgid(self.uid)
            os.setuid(self.uid)

    def run(self, *words, text=b"", check=True):
        return subprocess.run([self.program, "--root", self.root] + list(words), input=text,
                              capture_output=True, preexec_fn=self.drop, timeout=60, check=check)

    def add_account(self, name, secret=SECRET):
        self.run("account", "add", name, "--password-file", "-", text=secret.encode())

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "--root", self.root, "serve"] + self.flags, preexec_fn=self.drop,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        for stream in (self.process.stdout, self.process.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()
        self.wait_for(r"^ready$")
        self.ports = {}
        for line in self.lines:
            found = re.match(r"listening (\w+) (.*):(\d+)$", line)
            if found:
                self.ports[found[1]] = int(found[3])
        return self

    def _read(self, stream):
        for line in stream:
            with self.news:
                self.lines.append(line.rstrip("\n"))
                self.news.notify_all()
        stream.close()

    def wait_for(self, pattern, count=1, since=0, seconds=PATIENCE):
        """The count-th line behind the first `since` ones that matches; fails when none comes."""
        end = time.monotonic() + seconds
        with self.news:
            while True:
                found = [m for m in (re.search(pattern, line) for line in self.lines[since:]) if m]
                if len(found) >= count:
                    return found[count - 1]
                if not self.news.wait(max(0.0, end - time.monotonic())) and \
                        time.monotonic() >= end:
                    raise AssertionError("no line like %r in\n%s" % (pattern,
                                                                      "\n".join(self.lines)))

    def mark(self):
        with self.news:
            return len(self.lines)

    def pid_of(self, role, number=0):
        """The process that has this role now."""
        with self.news:
            for line in reversed(self.lines):
                found = re.search(r"child-start: role=%s number=%d pid=(\d+)" % (role, number), line)
                if found:
                    return int(found[1])
        raise AssertionError("no such process")

    def kill(self, role, number=0):
        """kill -9, and waits until the supervisor has started another."""
        since = self.mark()
        os.kill(self.pid_of(role, number), signal.SIGKILL)
        self.wait_for(r"child-start: role=%s number=%d" % (role, number), since=since)

    def stop(self):
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.base, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *problem):
        if problem[0]:
            print("\n".join(self.lines[-40:]), file=sys.stderr)
        self.close()

    # ---- talking to it ----

    def send(self, message, *recipients, sender="bob@example.net"):
        """A copy for each: smtplib knows one answer a message only."""
        with smtplib.LMTP("127.0.0.1", self.ports["lmtp"], timeout=PATIENCE) as lmtp:
            for recipient in recipients or ["alice@example.org"]:
                lmtp.sendmail(sender, [recipient], message)

    def connect(self, tls=False, host="127.0.0.1"):
        if not tls:
            return poplib.POP3(host, self.ports["pop3"], timeout=PATIENCE)
        return poplib.POP3_SSL(host, self.ports["pop3s"], timeout=PATIENCE,
                               context=ssl._create_unverified_context())

    def login(self, user="alice@example.org", secret=SECRET, tls=False):
        pop3 = self.connect(tls)
        pop3.user(user)
        pop3.pass_(secret)
        return pop3

    def login_in_worker(self, number, tries=200, **words):
        """A session in this very worker; those in others are given up."""
        for _ in range(tries):
            pop3 = self.connect(**words)
            if re.search(rb"session %x\." % number, pop3.getwelcome()):
                return pop3
            pop3.close()
        raise AssertionError("no connection came to worker %d" % number)

    def status(self):
        return json.loads(self.run("status", "--json").stdout)


def refused(call, *arguments):
    """The text of the error reply that a call of poplib gets."""
    try:
        answer = call(*arguments)
    except poplib.error_proto as problem:
        return problem.args[0]
    raise AssertionError("not refused: %r" % (answer,))


def is_test_build(pop3):
    """Whether there is XTRY. Without an argument it tries nothing; script/test insists on it."""
    answer = refused(pop3._shortcmd, "XTRY")
    if b"no such command" not in answer:
        return True
    if os.environ.get("POSTERN_TEST_BUILD") == "1":
        raise AssertionError("a test build without XTRY: %r" % answer)
    return False


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_end(pid, seconds):
    """A process that is not our child: by its descriptor."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def raw(server, kind="pop3", host="127.0.0.1"):
    """A plain socket with a reader of lines."""
    connection = socket.create_connection((host, server.ports[kind]), timeout=PATIENCE)
    return connection, connection.makefile("rb")
