#!/usr/bin/env python3
"""The spool store beside real MTAs: their own local delivery appends to two mbox files, Postern
delivers to the same by LMTP, sessions read and delete, and workers are killed at random moments.

Each message that the MTA says it has delivered was retrieved whole, and was deleted once or is
still there, once; none that was deleted comes again; unique-ids stay.

POSTERN_SPOOL_POSTFIX (2000) and POSTERN_SPOOL_OTHERS (300) say how many messages are sent. Beside
Postfix a Postern that was not started as root gets a fifth of them, too. POSTERN_SPOOL_SEED repeats
a run's choices.
"""

import glob
import os
import random
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
sys.path[0:1] = [os.path.join(REPOSITORY, "tests"), os.path.join(REPOSITORY, "tests/server")]

import harness  # noqa: E402
import peers  # noqa: E402
from spool_books import SIZES, Books  # noqa: E402
from spool_scene import USERS, SpoolServer, make_message  # noqa: E402

POSTFIX = int(os.environ.get("POSTERN_SPOOL_POSTFIX", "2000"))
OTHERS = int(os.environ.get("POSTERN_SPOOL_OTHERS", "300"))
SEED = int(os.environ.get("POSTERN_SPOOL_SEED", str(random.randrange(1 << 32))))
CONNECTIONS = 4
OF_POSTERN = 1 << 30  # the numbers of what comes by LMTP


class Procmail(peers.Postfix):
    """As Postfix runs it for each message; but it waits one second instead of eight for a mailbox
    that is locked, and more of them wait at a time."""

    def __init__(self, *words, **others):
        super().__init__(*words, procmail=True,
                         settings={"local_destination_concurrency_limit": "20"}, **others)

    def configure(self):
        super().configure()
        self.write("/etc/procmailrc", "LOCKSLEEP=1\n")


class Run:
    """One MTA beside one Postern."""

    def __init__(self, case, mode, kind, messages, pause):
        """pause: how many seconds there are at most between a client's session and its next; Exim
        and procmail wait whole seconds when they find a mailbox locked."""
        self.case = case
        self.messages = messages if mode[1] is None else messages // 5
        self.choices = random.Random(SEED)
        self.server = SpoolServer(mode)
        accounts = [(user, "secret", self.server.owner(user)) for user in USERS]
        self.mta = kind(accounts, spool=self.server.spool)
        self.books = Books(self.server, USERS, pause)
        self.kills = 0

    def send(self, first):
        """One connection's share of the messages. What is in the MTA's queue counts: it may drop
        nothing."""
        choices = random.Random("%d %d" % (SEED, first))
        with self.mta.connect() as smtp:
            for number in range(first, self.messages, CONNECTIONS):
                user = choices.choice(USERS)
                message = make_message(number, choices.choice(SIZES), choices)
                self.books.offered[user].add(number)
                smtp.sendmail("sender@example.net", [self.mta.address(user)],
                              message.replace(b"\n", b"\r\n"))
                self.books.delivered[user].add(number)

    def kill(self, choices, _):
        if not self.books.over.wait(0.1 + choices.random()):
            self.server.kill("worker", choices.randrange(2))
            self.kills += 1

    def guard_send(self, first):
        try:
            self.send(first)
        except Exception as problem:
            self.books.blame(problem)

    def work(self):
        books, mark = self.books, self.mta.log.mark()
        for _ in range(4):
            books.start(books.session, random.Random(self.choices.random()))
        books.start(books.deliver, random.Random(self.choices.random()), OF_POSTERN)
        books.start(self.kill, random.Random(self.choices.random()))
        try:
            senders = [threading.Thread(target=self.guard_send, args=(first,))
                       for first in range(CONNECTIONS)]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()
            if not books.problems:
                self.mta.drain(self.messages, mark)
        finally:
            books.end()

    def report(self, seconds):
        return "%s: %d messages of %s in %.0f s, %d kills; %s" % (
            self.case.id(), self.messages, self.mta.name, seconds, self.kills,
            ", ".join("%d %s" % (many, what) for what, many in sorted(self.books.counts.items())))

    def check(self):
        case, server = self.case, self.server
        self.books.check(case)
        case.assertEqual(self.mta.queued(), 0)
        left = sorted(os.path.basename(path) for path in glob.glob(server.spool + "/*"))
        case.assertEqual(left, sorted(USERS), "dotlocks are left")
        case.assertEqual(server.log_of_changes(), [])
        case.assertGreater(self.kills, 0)
        case.assertGreater(self.books.counts["messages deleted"], self.messages / 10)
        for user in USERS:
            verified = server.verify(user)
            case.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
            case.assertIn(b" 0 findings", verified.stdout)
        case.assertEqual(server.stop(), 0)

    def run(self):
        begun = time.monotonic()
        with self.mta:
            self.server.make_folder()  # the MTA has made it root's
            with self.server:
                self.work()
                print(self.report(time.monotonic() - begun), file=sys.stderr)
                self.check()


@unittest.skipIf(peers.why_not(), peers.why_not())
class Contention(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print("seed %d" % SEED, file=sys.stderr)

    @harness.in_every_mode
    def test_postfix(self, mode):
        Run(self, mode, peers.Postfix, POSTFIX, 0.1).run()

    def test_postfix_procmail(self):
        Run(self, harness.modes()[0], Procmail, OTHERS, 1).run()

    def test_exim(self):
        Run(self, harness.modes()[0], peers.Exim, OTHERS, 0.5).run()


if __name__ == "__main__":
    harness.main()
