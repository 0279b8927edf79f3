"""rival: a POP3 server of somebody else, with a way to put mail into it as its users would."""

import fcntl
import os
import poplib
import smtplib
import time

from .debian import MAIL_GROUP
from .peer import Peer, free_ports


class Rival(Peer):
    """pop3_port answers POP3, pop3s_port POP3 in TLS where it can. deliver() puts one message in,
    fill() many."""

    kind = "mbox"  # how it keeps mail: mbox, maildir or its own
    has_tls = True

    def __init__(self, *words, **settings):
        super().__init__(*words, **settings)
        self.pop3_port, self.pop3s_port, self.lmtp_port = free_ports(3)
        if not self.has_tls:
            self.pop3s_port = None

    def ports(self):
        return [self.pop3_port]

    def deliver(self, user, octets):
        """A message with line ends LF, as one delivery."""
        self.fill(user, [octets])

    def fill(self, user, messages):
        """Many messages; quicker than a delivery each where the store allows."""
        if self.kind == "maildir":
            self._fill_maildir(self.account(user), messages)
        else:
            self._fill_mbox(self.account(user), messages)

    def connect(self, seconds=60):
        return poplib.POP3("127.0.0.1", self.pop3_port, timeout=seconds)

    def login(self, user, password=None, seconds=60):
        pop3 = self.connect(seconds)
        pop3.user(self.login_name(user))
        pop3.pass_(password or self.account(user).password)
        return pop3

    def login_name(self, user):
        return user

    # ---- stores ----

    def mbox_path(self, user):
        return f"{self.root}/var/mail/{user}"

    def maildir_path(self, user):
        return f"{self.root}/home/{user}/Maildir"

    def _fill_mbox(self, account, messages):
        """As a delivery agent of the host does: From_ line, `>` before From, under a lock."""
        path = self.mbox_path(account.user)
        with open(path, "ab") as mbox:
            fcntl.lockf(mbox, fcntl.LOCK_EX)
            os.fchown(mbox.fileno(), account.uid, MAIL_GROUP)
            os.fchmod(mbox.fileno(), 0o660)
            for octets in messages:
                mbox.write(mbox_entry(octets))

    def _fill_maildir(self, account, messages):
        folder = self.maildir_path(account.user)
        if not os.path.isdir(folder):
            for name in ("", "/tmp", "/new", "/cur"):
                os.makedirs(folder + name, mode=0o700)
                os.chown(folder + name, account.uid, account.uid)
        for octets in messages:
            self.count = getattr(self, "count", 0) + 1
            name = f"{int(time.time())}.M{self.count:06}P{os.getpid()}.peer"
            with open(f"{folder}/tmp/{name}", "xb") as message:
                message.write(octets)
                os.fchown(message.fileno(), account.uid, account.uid)
            os.rename(f"{folder}/tmp/{name}", f"{folder}/new/{name}")

    def _fill_lmtp(self, recipient, messages, port):
        with smtplib.LMTP("127.0.0.1", port, "client.example.net", timeout=60) as lmtp:
            for octets in messages:
                lmtp.sendmail("sender@example.net", [recipient], octets.replace(b"\n", b"\r\n"))


def mbox_entry(octets):
    date = time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime())
    body = octets if octets.endswith(b"\n") else octets + b"\n"
    lines = [b">" + line if line.startswith(b"From ") else line
             for line in body.splitlines(keepends=True)]
    return b"From sender@example.net %s\n" % date.encode() + b"".join(lines) + b"\n"
