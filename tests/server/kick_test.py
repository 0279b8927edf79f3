#!/usr/bin/env python3
"""postern kick and postern status, asked of a running server."""

import socket
import time
import unittest

from harness import PATIENCE, SECRET, Server, in_every_mode, main, refused

ACCOUNTS = ("alice@example.org", "bob@example.org")


class Kick(unittest.TestCase):
    def kick(self, server, *words, code=0):
        answer = server.run("kick", *words, check=False)
        self.assertEqual(answer.returncode, code, answer)
        return answer.stdout.decode()

    def assertEnded(self, pop3):
        text = pop3.file.read()
        self.assertIn(b"-ERR", text)
        self.assertIn(b"ended by the operator", text)

    @in_every_mode
    def test_by_account(self, mode):
        with Server(mode, accounts=ACCOUNTS) as server:
            server.run("account", "set", "alice@example.org", "--alias", "al@example.org",
                       check=False)
            server.send(b"Subject: x\r\n\r\n")
            alice, bob = server.login(), server.login("bob@example.org")
            alice.dele(1)
            self.assertEqual(self.kick(server, "alice@example.org"), "1 session ended\n")
            self.assertEnded(alice)
            server.wait_for(r'session-end: .*user="?alice.*reason="?kicked')
            self.assertEqual(bob.noop(), b"+OK")
            again = server.login()
            self.assertEqual(again.stat()[0], 1)  # rolled back: nothing was deleted
            self.assertEqual(self.kick(server, "ALICE"), "1 session ended\n")
            self.assertEnded(again)
            self.assertEqual(self.kick(server, "alice"), "0 sessions ended\n")
            bob.quit()

    @in_every_mode
    def test_by_session_and_all(self, mode):
        with Server(mode, accounts=ACCOUNTS) as server:
            alice, bob = server.login(tls=True), server.login("bob@example.org")
            words = {session["account"]: session["session"]
                     for session in server.status()["sessions"]}
            self.assertIn(words["bob@example.org"].encode(), bob.getwelcome())
            self.assertEqual(self.kick(server, words["bob@example.org"]), "1 session ended\n")
            self.assertEnded(bob)
            self.assertEqual(self.kick(server, words["bob@example.org"]), "0 sessions ended\n")
            bob = server.login("bob@example.org")
            self.assertEqual(self.kick(server, "--all"), "2 sessions ended\n")
            self.assertEnded(alice)

    @in_every_mode
    def test_amid_a_message(self, mode):
        """A peer that has asked for much and reads nothing, or a little again and again."""
        with Server(mode, accounts=ACCOUNTS) as server:
            server.send(b"Subject: x\r\n\r\n" + b"All work and no play.\r\n" * 1000000)
            for trickle in (False, True):
                with self.subTest(trickle=trickle), socket.socket() as peer:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    peer.settimeout(PATIENCE)
                    peer.connect(("127.0.0.1", server.ports["pop3"]))
                    peer.sendall(b"USER alice\r\nPASS %s\r\nRETR 1\r\n" % SECRET.encode())
                    since, got = server.mark(), b""
                    while b"All work" not in got:
                        got += peer.recv(1024)
                    self.assertEqual(self.kick(server, "alice"), "1 session ended\n")
                    end = time.monotonic() + PATIENCE
                    while trickle and time.monotonic() < end:
                        try:
                            if not peer.recv(512):
                                break
                        except ConnectionResetError:
                            break
                    self.assertLess(time.monotonic(), end)
                    server.wait_for(r'session-end: .*user="?alice.*reason="?kicked', since=since)
                    self.assertEqual(server.status()["sessions"], [])
            self.assertEqual(server.login().stat()[0], 1)

    @in_every_mode
    def test_nobody(self, mode):
        with Server(mode) as server:
            self.kick(server, "carol@example.org", code=67)
            self.kick(server, "x" * 400, code=67)
            self.kick(server, code=64)
            self.kick(server, "alice", "--all", code=64)
            server.stop()
            self.kick(server, "--all", code=75)


class Status(unittest.TestCase):
    @in_every_mode
    def test_of_the_whole(self, mode):
        with Server(mode, workers=1, accounts=ACCOUNTS) as server:
            server.send(b"Subject: x\r\n\r\n")
            pop3 = server.login()
            pop3.retr(1)
            refused(server.connect()._shortcmd, "PASS x")
            status = server.status()
            self.assertEqual({one["kind"] for one in status["server"]["listeners"]},
                             {"pop3", "pop3s", "lmtp"})
            self.assertIn("127.0.0.1:%d" % server.ports["pop3"],
                          [one["address"] for one in status["server"]["listeners"]])
            self.assertRegex(status["server"]["version"], r"^\d+\.\d+\.\d+$")
            self.assertGreaterEqual(status["server"]["uptime_seconds"], 0)
            self.assertRegex(status["server"]["certificate_expires"], r"^20\d\d-")
            total = status["total"]
            self.assertEqual((total["logins"], total["messages_retrieved"],
                              total["messages_delivered"]), (1, 1, 1))
            pop3.quit()
            text = server.run("status").stdout.decode()
            self.assertIn("nobody is logged in", text)
            self.assertRegex(text, r"(?m)^listening pop3 127.0.0.1:%d$" % server.ports["pop3"])
            self.assertRegex(text, r"(?m)^certificate until 20\d\d-")
            self.assertRegex(text, r"(?m)^  logins +1$")

    @in_every_mode
    def test_counts_outlive_their_worker(self, mode):
        with Server(mode, workers=1) as server:
            server.login().quit()
            since = server.mark()
            server.process.send_signal(1)
            server.wait_for(r"child-end: role=worker .*status=0", since=since)
            server.login().quit()
            self.assertEqual(server.status()["total"]["logins"], 2)


if __name__ == "__main__":
    main()
