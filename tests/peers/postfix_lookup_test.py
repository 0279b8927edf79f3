#!/usr/bin/env python3
"""Postfix in front of Postern: what would be refused later is refused at RCPT, so that nothing has
to be bounced; what is put off waits; and Postfix as a client of our SMTP."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
sys.path[0:1] = [os.path.join(REPOSITORY, "tests"), os.path.join(REPOSITORY, "tests/server")]

import harness  # noqa: E402
import peers  # noqa: E402

USERS = [("alice", "correct horse")]
MODE = ("as root", None)


def message(number):
    return (b"From: sender@example.net\nSubject: number %d\nMessage-ID: <%d@example.net>\n"
            b"Date: Mon, 01 Jan 2024 10:00:00 +0000\n\n%s\n" % (number, number, b"x" * 500))


@unittest.skipIf(peers.why_not(), peers.why_not())
class Lookup(unittest.TestCase):
    def behind(self, server, **settings):
        table = f"socketmap:inet:127.0.0.1:{server.ports['socketmap']}"
        return peers.Postfix(USERS, lmtp=f"unix:{server.root}/run/lmtp.sock",
                             recipients=f"{table}:recipients", domains=f"{table}:domains", **settings)

    def answers(self, mta, *addresses):
        with mta.connect() as smtp:
            smtp.helo()
            smtp.mail("sender@example.net")
            return [smtp.rcpt(address)[0] for address in addresses]

    def test_accounts_come_and_go(self):
        """Nothing is kept of an answer: an account is there as soon as it is made."""
        addresses = ["carol@example.org", "dave@second.example"]
        with harness.Server(MODE, "--socketmap", "127.0.0.1:0") as server:
            with self.behind(server) as mta:
                # The second one's domain is not Postern's yet; Postfix relays for who is near.
                self.assertEqual(self.answers(mta, addresses[0]), [550])
                for address in addresses:
                    server.add_account(address)
                self.assertEqual(self.answers(mta, *addresses), [250, 250])
                mta.send(message(1), *addresses)
                mta.wait_delivered(2)
                server.run("account", "set", addresses[0], "--disable")
                self.assertEqual(self.answers(mta, *addresses), [550, 250])
                self.assertEqual(mta.queued(), 0)

    def test_full(self):
        """A full maildrop is no unknown one: its mail waits in Postfix and comes when there is
        room; the other recipient of the message has it at once."""
        with harness.Server(MODE, "--socketmap", "127.0.0.1:0") as server:
            server.run("account", "add", "carol@example.org", "--quota-messages", "1",
                       "--password-file", "-", text=harness.SECRET.encode())
            with self.behind(server) as mta:
                mta.send(message(1), "carol")
                mta.wait_delivered(1)
                mark = mta.log.mark()
                mta.send(message(2), "alice", "carol")
                mta.log.wait_for(mta.deferred, since=mark)
                mta.log.wait_for(r"452.4\.2\.2", since=mark)
                mta.wait_delivered(1, since=mark)
                self.assertEqual(mta.queued(), 1)
                pop3 = server.login("carol")
                self.assertIn(b"Subject: number 1", pop3.retr(1)[1])
                pop3.dele(1)
                pop3.quit()
                mta.flush()
                mta.wait_delivered(2, since=mark)
                self.assertIn(b"Subject: number 2", server.login("carol").retr(1)[1])
                self.assertEqual(server.login("alice").stat()[0], 1)

    def test_more_connections_than_a_user_has(self):
        """Postfix hands over with 40 connections at a time: what is refused for that is put off by
        it, not lost; named as trusted, nothing is refused."""
        for flags in ((), ("--trusted-user", "903")):
            with harness.Server(MODE, "--socketmap", "127.0.0.1:0", *flags, workers=1) as server:
                with self.behind(server, settings={"lmtp_destination_concurrency_limit": "40",
                                                   "initial_destination_concurrency": "40"}) as mta:
                    for number in range(100):
                        mta.send(message(number), "alice")
                    mta.drain(100)
                    self.assertEqual(mta.queued(), 0)
                self.assertEqual(server.login().stat()[0], 100)
                if flags:
                    self.assertFalse([line for line in server.lines if "refused: " in line])


@unittest.skipIf(peers.why_not(), peers.why_not())
class Smtp(unittest.TestCase):
    def check(self, level, word):
        accounts = ["alice@example.org", "carol@example.org"]
        with harness.Server(MODE, "--smtp", "127.0.0.1:0", accounts=accounts) as server:
            transport = f"smtp:[127.0.0.1]:{server.ports['smtp']}"
            with peers.Postfix(USERS, lmtp="127.0.0.1:1",
                               settings={"virtual_transport": transport,
                                         "smtp_tls_security_level": level}) as mta:
                for number in range(5):
                    mta.send(message(number), *accounts)
                mta.wait_delivered(10)
            for account in accounts:
                pop3 = server.login(account)
                self.assertEqual(pop3.stat()[0], 5)
                lines = pop3.retr(3)[1]
                self.assertIn(b"with " + word + b" id", b"\n".join(lines))
                self.assertEqual(lines[-1], b"x" * 500)
                pop3.quit()

    def test_plain(self):
        self.check("none", b"ESMTP")

    def test_tls(self):
        self.check("encrypt", b"ESMTPS")


if __name__ == "__main__":
    harness.main()
