#!/usr/bin/env python3
"""Two logins for one maildrop: the living keep it, the dead yield it."""

import fcntl
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
import unittest

from harness import INSIDE, PATIENCE, SECRET, Server, in_every_mode, main, refused

SERVER_SIDE, PEER_SIDE = "10.231.7.1", "10.231.7.2"

# What the far peer runs: logs in, says so, and then lives on without a word.
PEER = """
import poplib, sys
pop3 = poplib.POP3(sys.argv[1], int(sys.argv[2]), timeout=60)
pop3.user("alice")
pop3.pass_(sys.argv[3])
print(pop3.getwelcome().decode(), flush=True)
sys.stdin.readline()
print(pop3.noop().decode(), flush=True)
sys.stdin.readline()
"""


def ip(*words):
    subprocess.run(["ip"] + list(words), check=True)


class FarPeer:
    """A POP3 session from another network namespace, behind a cable that can be cut."""

    def __init__(self, server):
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo up; exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.holder.stdout.readline()
        inside = ["nsenter", "--net", "--target", str(self.holder.pid)]
        ip("link", "add", "near", "type", "veth", "peer", "name", "far",
           "netns", str(self.holder.pid))
        ip("address", "add", SERVER_SIDE + "/24", "dev", "near")
        ip("link", "set", "near", "up")
        self.inside = inside
        self.run("ip", "address", "add", PEER_SIDE + "/24", "dev", "far")
        self.run("ip", "link", "set", "far", "up")
        self.session = subprocess.Popen(
            inside + [sys.executable, "-c", PEER, SERVER_SIDE, str(server.ports["pop3"]), SECRET],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.worker = int(re.search(r"session (\w+)\.", self.session.stdout.readline())[1], 16)

    def run(self, *words):
        subprocess.run(self.inside + list(words), check=True)

    def cut(self):
        """Nothing that is sent arrives any more, and nobody is told."""
        self.run("ip", "link", "set", "far", "down")

    def says(self):
        self.session.stdin.write("\n")
        self.session.stdin.flush()
        return self.session.stdout.readline().strip()

    def close(self):
        for process in (self.session, self.holder):
            process.kill()
            process.communicate()


class Contest(unittest.TestCase):
    @in_every_mode
    def test_living_session_keeps_its_maildrop(self, mode):
        with Server(mode) as server:
            first = server.login_in_worker(0)
            first.user("alice")
            first.pass_(SECRET)
            for worker in (0, 1):
                second = server.login_in_worker(worker)
                second.user("alice")
                begun = time.monotonic()
                self.assertIn(b"[IN-USE]", refused(second.pass_, SECRET))
                self.assertLess(time.monotonic() - begun, 5)
                second.close()
            self.assertEqual(first.noop(), b"+OK")
            first.quit()
            server.login().quit()

    @in_every_mode
    def test_closed_session_is_free_at_once(self, mode):
        with Server(mode) as server:
            server.send(b"Subject: x\r\n\r\n")
            for number in range(20):
                pop3 = server.login_in_worker(number % 2)
                pop3.user("alice")
                pop3.pass_(SECRET)
                if number % 4 == 3:
                    pop3.close()  # without QUIT
                else:
                    pop3.quit()

    @in_every_mode
    def test_after_auth_was_restarted(self, mode):
        """Sessions are announced to the new auth, so the living one is still asked."""
        with Server(mode) as server:
            first = server.login_in_worker(0)
            first.user("alice")
            first.pass_(SECRET)
            server.kill("auth")
            end = time.monotonic() + PATIENCE
            while len(server.status()["sessions"]) != 1:
                self.assertLess(time.monotonic(), end)
            second = server.login_in_worker(1)
            second.user("alice")
            self.assertIn(b"[IN-USE]", refused(second.pass_, SECRET))
            first.quit()
            second.user("alice")
            second.pass_(SECRET)

    @in_every_mode
    def test_stopped_worker_keeps_its_maildrops(self, mode):
        """Nobody answers for the session then; it counts as alive, and newcomers are told so."""
        with Server(mode, accounts=("alice@example.org", "carol@example.org")) as server:
            first = server.login_in_worker(0)
            first.user("alice")
            first.pass_(SECRET)
            worker = server.pid_of("worker", 0)
            others = [server.login_in_worker(1) for _ in range(3)]
            os.kill(worker, signal.SIGSTOP)
            try:
                for _ in range(2):  # the second time the first probe is still unanswered
                    begun = time.monotonic()
                    for other in others:
                        other._putcmd("USER alice")
                        other._getresp()
                        other._putcmd("PASS " + SECRET)
                    for other in others:
                        self.assertIn(b"[IN-USE]", refused(other._getresp))
                    self.assertLess(time.monotonic() - begun, 10)
                others[0].user("carol")
                others[0].pass_(SECRET)
            finally:
                os.kill(worker, signal.SIGCONT)
            self.assertEqual(first.noop(), b"+OK")
            others[1].user("alice")
            self.assertIn(b"[IN-USE]", refused(others[1].pass_, SECRET))
            first.quit()
            server.login().quit()

    @in_every_mode
    def test_command_line_holds_the_lock(self, mode):
        """Of a maildrop held by no session that auth knows, nobody can be asked."""
        with Server(mode) as server:
            server.send(b"Subject: x\r\n\r\n")
            server.login().quit()
            locks = os.path.join(server.root, "run/locks")
            name = next(n for n in os.listdir(locks) if n.endswith(".session"))
            with open(os.path.join(locks, name), "r+b") as lock:
                flock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                fcntl.fcntl(lock, fcntl.F_OFD_SETLK, flock)
                pop3 = server.connect()
                pop3.user("alice")
                self.assertIn(b"[IN-USE]", refused(pop3.pass_, SECRET))
            pop3.user("alice")
            pop3.pass_(SECRET)


@unittest.skipUnless(INSIDE in os.environ and shutil.which("nsenter"), "needs network namespaces")
class Vanished(unittest.TestCase):
    def contest(self, mode, cut):
        with Server(mode, "--allow-plaintext", pop3="0.0.0.0:0") as server:
            server.send(b"Subject: x\r\n\r\n")
            peer = FarPeer(server)
            try:
                if cut:
                    peer.cut()
                second = server.login_in_worker(1 - peer.worker)
                second.user("alice")
                begun = time.monotonic()
                if cut:
                    second.pass_(SECRET)
                    self.assertEqual(second.stat()[0], 1)
                    server.wait_for(r"session-end: .*taken over")
                else:
                    self.assertIn(b"[IN-USE]", refused(second.pass_, SECRET))
                    self.assertEqual(peer.says(), "+OK")
                self.assertLess(time.monotonic() - begun, 5)
            finally:
                peer.close()
                subprocess.run(["ip", "link", "delete", "near"], capture_output=True)

    @in_every_mode
    def test_is_taken_over(self, mode):
        self.contest(mode, cut=True)

    @in_every_mode
    def test_silent_but_alive_is_not(self, mode):
        self.contest(mode, cut=False)


if __name__ == "__main__":
    main()
