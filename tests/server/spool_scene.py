"""spool_scene: a server with accounts whose maildrops are spools, and system users to own them.

Started as root, the spools lie in a folder as Debian's /var/mail is (root:mail, 2775), belong to
system users, and are lent to the workers by the supervisor. Rootless, folder and spools belong to
the server's user.
"""

import hashlib
import os
import re

from harness import INSIDE, SECRET, Server

UIDS = {"alice": 10001, "bob": 10002, "carol": 10003}
USERS = ["alice", "bob"]
DOMAIN = "example.org"
MAIL_GROUP = 8  # Debian's group mail


def add_system_users():
    """Into the copy of /etc/passwd that the tests' mount namespace has."""
    assert INSIDE in os.environ
    with open("/etc/passwd", encoding="utf-8") as passwd:
        there = {line.split(":")[0] for line in passwd}
    with open("/etc/passwd", "a", encoding="utf-8") as passwd:
        for name, uid in UIDS.items():
            if name not in there:
                passwd.write("%s:x:%d:%d::/:/usr/sbin/nologin\n" % (name, uid, uid))


class SpoolServer(Server):
    """Accounts of system users, whose spools lie in the folder `spool`; and probe, an own mbox."""

    def __init__(self, mode, *flags, users=USERS, spool=None, **words):
        super().__init__(mode, *flags, accounts=("probe@" + DOMAIN,), **words)
        self.spool = spool or os.path.join(self.base, "spool")
        if mode[1] is None and os.getuid() == 0:
            add_system_users()
        self.make_folder()
        with open(os.path.join(self.root, "postern.conf"), "w", encoding="utf-8") as settings:
            settings.write("[serve]\nmail-root = %s\n" % self.spool)
        for user in users:
            self.run("account", "add", address(user), "--store", "spool", "--path",
                     self.path(user), "--password-file", "-", text=SECRET.encode())

    def make_folder(self):
        os.makedirs(self.spool, exist_ok=True)
        if os.getuid() == 0:
            os.chown(self.spool, self.uid or 0, MAIL_GROUP)
            os.chmod(self.spool, 0o2775)

    def path(self, user):
        return os.path.join(self.spool, user)

    def owner(self, user):
        """The uid that a user's spool has."""
        if self.uid is None and os.getuid() == 0:
            return UIDS[user]
        return os.getuid() if self.uid is None else self.uid

    def write(self, user, octets, mode=0o600):
        """Another program puts this in the place of a spool's content; the file stays."""
        with open(self.path(user), "wb") as spool:
            spool.write(octets)
        os.chmod(self.path(user), mode)
        if os.getuid() == 0:
            os.chown(self.path(user), self.owner(user), self.owner(user))

    def content(self, user):
        with open(self.path(user), "rb") as spool:
            return spool.read()

    def log_of_changes(self):
        """What the log says of spools that others have altered below a session's feet."""
        with self.news:
            return [line for line in self.lines if "changed by another" in line]

    def verify(self, user):
        return self.run("mailbox", "verify", address(user), check=False)


def address(user):
    return "%s@%s" % (user, DOMAIN)


# ---- messages that can be told apart and proved ----


def make_message(number, octets, choices):
    """LF line ends. A few lines begin with From: whoever writes them to an mbox must quote them."""
    lines = []
    while octets > 0:
        line = "%0*x" % (choices.randint(1, 70), choices.getrandbits(200))
        if choices.random() < 0.02:
            line = "From " + line
        lines.append(line)
        octets -= len(line) + 1
    body = "\n".join(lines + ["the end"]).encode() + b"\n"
    return b"Subject: %d %s\n\n" % (number, digest_of(body)) + body


def digest_of(body):
    """Without the quoting of those who cannot undo it."""
    return hashlib.sha256(re.sub(rb"(?m)^>(?=From )", b"", body)).hexdigest().encode()


def number_of(lines):
    """Which message this is; fails when an octet of it is missing or another."""
    at = next((i for i, line in enumerate(lines) if line.startswith(b"Subject: ")), None)
    if at is None:
        raise AssertionError("no message of ours: %r" % lines[:20])
    _, number, digest = lines[at].split()
    blank = lines.index(b"", at)  # MTAs add fields behind ours
    if digest_of(b"\n".join(lines[blank + 1:]) + b"\n") != digest:
        raise AssertionError("message %s is not whole: %r … %r" % (
            number.decode(), lines[:blank + 5], lines[-5:]))
    return int(number)
