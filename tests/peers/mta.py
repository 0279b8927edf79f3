"""mta: an SMTP server of somebody else, and where it puts the mail for its domain."""

import os
import smtplib
import time

from .debian import MAIL_GROUP
from .peer import Peer, free_ports


class Mta(Peer):
    """Takes mail for `domain` on smtp_port and hands it over, as one of these says:

    lmtp="127.0.0.1:PORT" or "unix:PATH"   by LMTP, to the address that was given
    spool=FOLDER                           its own local delivery, into FOLDER/USER; as /var/mail
    spool=FOLDER, procmail=True            procmail, called for each message, into FOLDER/USER

    Users are the accounts. For local delivery and procmail they own their files; FOLDER is made
    ready as Debian's /var/mail is (root:mail, 2775). None of both: FOLDER is in the instance.
    """

    def __init__(self, *words, lmtp=None, spool=None, procmail=False, **others):
        super().__init__(*words, **others)
        self.lmtp, self.procmail = lmtp, procmail
        self.spool = os.path.abspath(spool) if spool else os.path.join(self.root, "var/mail")
        self.smtp_port, = free_ports(1)

    def ports(self):
        return [self.smtp_port]

    # Where the folder of a unix socket is seen from inside.
    socket_folder = "/srv/lmtp"

    def _binds(self):
        binds = super()._binds()
        if self.lmtp and self.lmtp.startswith("unix:"):
            folder = os.path.dirname(os.path.abspath(self.lmtp.removeprefix("unix:")))
            os.makedirs(self.root + self.socket_folder, exist_ok=True)
            binds.append((folder, self.socket_folder, True))
        if not self.spool.startswith(self.root):
            os.chown(self.spool, 0, MAIL_GROUP)
            os.chmod(self.spool, 0o2775)
            binds.append((self.spool, "/var/mail", True))
        return binds

    def lmtp_socket(self):
        """The path of the unix socket as the MTA sees it."""
        return f"{self.socket_folder}/{os.path.basename(self.lmtp)}"

    def connect(self, seconds=120):
        return smtplib.SMTP("127.0.0.1", self.smtp_port, "client.example.net", timeout=seconds)

    def send(self, octets, *recipients, sender="sender@example.net"):
        """A message with line ends LF to users or addresses; returns when it is in the queue."""
        self.send_many([octets], *recipients, sender=sender)

    def send_many(self, messages, *recipients, sender="sender@example.net"):
        """As send(); many messages over few connections: OpenSMTPD takes 100 on one."""
        messages = list(messages)
        for first in range(0, len(messages), 90):
            with self.connect() as smtp:
                for octets in messages[first:first + 90]:
                    smtp.sendmail(sender, [self.address(name) for name in recipients],
                                  octets.replace(b"\n", b"\r\n"))

    def address(self, name):
        return name if "@" in name else f"{name}@{self.domain}"

    # Of the log: one for each recipient that has got the message; one that has to be tried again.
    delivered = deferred = None

    def wait_delivered(self, count=1, since=0, seconds=120):
        """Until that many deliveries to recipients are done, since log.mark()."""
        return self.log.wait_for(self.delivered, count, since, seconds)

    def drain(self, count, since=0, seconds=600):
        """As wait_delivered(), but what was put off, because a mailbox was locked for too long or
        the server was away, is tried again every few seconds instead of minutes later."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.wait_delivered(count, since, seconds=3)
            except AssertionError:
                if time.monotonic() > end:
                    raise
                self.flush()

    def flush(self):
        """Tries again at once what was put off; minutes would pass else."""
        raise NotImplementedError

    def queued(self):
        """How many messages are in the queue."""
        raise NotImplementedError
