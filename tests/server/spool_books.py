"""spool_books: deliveries to spools and sessions that read and delete, with books about each message.

Every message has a number, and its Subject the digest of its body. The books know what was handed
in, what a session saw, and what was deleted for sure (QUIT got +OK) or perhaps (no answer came).
What a session sees must be whole, under the unique-id it has always had, and nothing that was
deleted for sure. Whatever is wrong is kept in `problems`.
"""

import poplib
import smtplib
import sys
import threading

from spool_scene import address, make_message, number_of

# The process that served us was killed.
BROKEN = (OSError, EOFError, smtplib.SMTPException)
SIZES = (60, 400, 400, 3000, 3000, 20000, 120000)


def is_cut(problem):
    """poplib's way to say that the connection has ended."""
    return isinstance(problem, poplib.error_proto) and problem.args[0] == "-ERR EOF"


class Books:
    def __init__(self, server, users, pause):
        """pause: seconds, at most, from one piece of work of a client to its next."""
        self.server, self.users, self.pause = server, users, pause
        self.mutex = threading.Lock()
        self.over = threading.Event()
        self.problems = []
        self.delivered = {user: set() for user in users}  # by whomever, and acknowledged
        self.offered = {user: set() for user in users}    # the same, or with no answer
        self.deleted = {user: set() for user in users}    # surely
        self.doubtful = {user: set() for user in users}   # QUIT was not answered
        self.uids = {user: {} for user in users}          # unique-id: number
        self.counts = {}
        self.threads = []

    def count(self, what, more=1):
        with self.mutex:
            self.counts[what] = self.counts.get(what, 0) + more

    def start(self, work, choices, first=0):
        """Does work(choices, number) with ever higher numbers in a thread, until it is over."""
        thread = threading.Thread(target=self._guard, args=(work, choices, first))
        self.threads.append(thread)
        thread.start()

    def _guard(self, work, choices, number):
        while not self.over.is_set():
            number += 1
            try:
                work(choices, number)
            except BROKEN:
                self.count("connections broken")
            except Exception as problem:  # anything else is what the test is for
                if not is_cut(problem):
                    self.blame(problem)
                    return
                self.count("connections broken")

    def blame(self, problem):
        """Said at once: what the log holds of it soon scrolls away."""
        self.problems.append(problem)
        print("problem: %s: %s" % (type(problem).__name__, problem), file=sys.stderr)

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()

    # ---- Postern's own deliveries ----

    def deliver(self, choices, number):
        """By LMTP to one or all; a pause, so that there is room for the others."""
        users = choices.sample(self.users, choices.randint(1, len(self.users)))
        message = make_message(number, choices.choice(SIZES), choices).replace(b"\n", b"\r\n")
        with smtplib.LMTP("127.0.0.1", self.server.ports["lmtp"], timeout=60) as lmtp:
            lmtp.ehlo()
            lmtp.mail("bob@example.net")
            accepted = [user for user in users if lmtp.rcpt(address(user))[0] == 250]
            if not accepted:
                return
            lmtp.putcmd("data")
            if lmtp.getreply()[0] != 354:
                return
            for user in accepted:
                self.offered[user].add(number)
            lmtp.send(message.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            for user in accepted:
                if lmtp.getreply()[0] == 250:
                    self.delivered[user].add(number)
                    self.count("delivered by Postern")
                else:
                    self.count("put off by Postern")
        self.over.wait(choices.random() * self.pause)

    # ---- sessions ----

    def session(self, choices, _):
        user = choices.choice(self.users)
        gone = set(self.deleted[user])  # before the login
        try:
            pop3 = self.server.login(address(user))
        except poplib.error_proto as problem:
            if is_cut(problem):
                raise
            text = str(problem.args[0])
            if "[IN-USE]" not in text and "[SYS/TEMP]" not in text:
                raise
            self.count("logins refused " + ("in use" if "IN-USE" in text else "for now"))
            self.over.wait(choices.random() * self.pause / 5)
            return
        try:
            numbers = self.look(user, pop3, gone)
            self.leave(user, pop3, numbers, choices)
            self.count("sessions")
        finally:
            pop3.close()
        self.over.wait(choices.random() * self.pause)

    def look(self, user, pop3, gone=frozenset()):
        """Retrieves all; the numbers in their order."""
        uids = [line.split()[1] for line in pop3.uidl()[1]]
        sizes = [int(line.split()[1]) for line in pop3.list()[1]]
        numbers = []
        for at, (uid, size) in enumerate(zip(uids, sizes)):
            lines = pop3.retr(at + 1)[1]
            number = number_of(lines)
            if sum(len(line) + 2 for line in lines) != size:
                raise AssertionError("message %d is not as long as LIST says" % number)
            if self.uids[user].setdefault(uid, number) != number:
                raise AssertionError("unique-id %r was message %d's and is %d's" % (
                    uid, self.uids[user][uid], number))
            if number in gone:
                raise AssertionError("message %d was deleted and is there again" % number)
            numbers.append(number)
        if len(set(numbers)) != len(numbers):
            raise AssertionError("a message is there twice: %r" % sorted(numbers))
        self.count("messages retrieved", len(numbers))
        return numbers

    def leave(self, user, pop3, numbers, choices):
        share = choices.choice((0, 0.5, 0.8, 0.9, 1))
        front = choices.random() < 0.2  # these or any
        marked = set()
        for at, number in enumerate(numbers):
            if (at < share * len(numbers)) if front else (choices.random() < share):
                pop3.dele(at + 1)
                marked.add(number)
        if choices.random() < 0.15:
            return  # nothing may be deleted
        self.doubtful[user] |= marked
        try:
            pop3.quit()
        except poplib.error_proto as problem:
            if is_cut(problem):
                raise
            # The spool was locked by others for too long: all of it is still there.
            self.count("removals refused")
            self.doubtful[user] -= marked
            return
        if self.deleted[user] & marked:
            raise AssertionError("deleted twice: %r" % (self.deleted[user] & marked))
        self.deleted[user] |= marked
        self.doubtful[user] -= marked
        self.count("messages deleted", len(marked))

    # ---- the end ----

    def check(self, case):
        """Nobody is at work any more."""
        case.assertEqual(self.problems, [])
        for user in self.users:
            pop3 = self.server.login(address(user))
            there = set(self.look(user, pop3, self.deleted[user]))
            pop3.quit()
            lost = self.delivered[user] - self.deleted[user] - self.doubtful[user] - there
            case.assertEqual(lost, set(), "delivered and lost")
            case.assertEqual(there - self.offered[user], set(), "from nowhere")
            seen = list(self.uids[user].values())
            case.assertEqual(len(seen), len(set(seen)), "a message had two unique-ids")
            self.count("messages left", len(there))
