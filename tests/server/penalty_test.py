#!/usr/bin/env python3
"""Guessing passwords gets slow, and a login that fails is in the log at once.

The waits are measured from below only: whatever else a machine does, they are not shorter."""

import time
import unittest

from harness import SECRET, Server, in_every_mode, main, refused


class Penalty(unittest.TestCase):
    def guess(self, server, secret):
        """Seconds until it was refused."""
        pop3 = server.connect()
        pop3.user("alice")
        begun = time.monotonic()
        self.assertIn(b"[AUTH]", refused(pop3.pass_, secret))
        pop3.close()
        return time.monotonic() - begun

    @in_every_mode
    def test_guesses_wait(self, mode):
        # Else what comes from this machine is trusted.
        with Server(mode, "--trusted-network", "192.0.2.0/24") as server:
            self.guess(server, "one")
            since = server.mark()
            self.assertGreaterEqual(self.guess(server, "two"), 2)
            self.assertGreaterEqual(self.guess(server, "two"), 4)
            pop3 = server.connect()
            pop3.user("alice")
            begun = time.monotonic()
            pop3._putcmd("PASS three")
            server.wait_for(r"login-failed: .*wrong password", count=3, since=since)  # before it is told
            self.assertGreaterEqual(self.login(server), 4)
            self.assertIn(b"[AUTH]", refused(pop3._getresp))
            self.assertGreaterEqual(time.monotonic() - begun, 4)

    def login(self, server):
        """A right one waits as well."""
        begun = time.monotonic()
        server.login().quit()
        return time.monotonic() - begun

    @in_every_mode
    def test_many_connections_guess_no_faster(self, mode):
        """Eight answers of an address are held back; who comes then is told to try again, unhashed."""
        with Server(mode, "--trusted-network", "192.0.2.0/24") as server:
            self.guess(server, "one")
            since = server.mark()
            held = []
            for number in range(8):
                held.append(server.connect())
                held[-1].user("alice")
                held[-1]._putcmd("PASS two %d" % number)
            server.wait_for(r"login-failed: .*wrong password", count=8, since=since)
            ninth = server.connect()
            ninth.user("alice")
            self.assertIn(b"[SYS/TEMP]", refused(ninth.pass_, SECRET))
            server.wait_for(r"login-failed: .*too many logins of this address wait", since=since)
            for pop3 in held:
                pop3.close()

    @in_every_mode
    def test_who_is_trusted_does_not(self, mode):
        with Server(mode) as server:
            since = server.mark()
            for number in range(40):  # with penalties this took ten minutes
                self.guess(server, "guess %d" % number)
            server.wait_for(r"login-failed", count=40, since=since)
            server.login().quit()


if __name__ == "__main__":
    main()
