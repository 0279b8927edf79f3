"""opensmtpd: OpenSMTPD with Debian's smtpd.conf changed as its comments say for a domain."""

import os

from .mta import Mta

QUEUE = 910  # uid and gid of the queue's user


class OpenSmtpd(Mta):
    name = "opensmtpd"
    packages = ["opensmtpd", "procmail"]
    users = [("opensmtpd", 909, "/var/lib/opensmtpd/empty"),
             ("opensmtpq", QUEUE, "/var/lib/opensmtpd/empty")]
    delivered, deferred = r" mda delivery .* result=Ok", r" mda delivery .* result=TempFail"

    @classmethod
    def prepare(cls, root):
        os.chown(f"{root}/usr/sbin/smtpctl", 0, QUEUE)
        os.chmod(f"{root}/usr/sbin/smtpctl", 0o2755)

    def configure(self):
        self.write("/etc/aliases", "")
        # By LMTP all addresses are those of one user of the host; the recipient goes along.
        self.write("/etc/everybody", f"@{self.domain} {self.accounts[0].user}\n")
        self.write("/etc/smtpd.conf", f"""\
table aliases file:/etc/aliases
table everybody file:/etc/everybody
listen on 127.0.0.1 port {self.smtp_port} hostname peer.{self.domain}
action "local" {self._action()}
action "relay" relay
match from any for domain "{self.domain}" action "local"
match for local action "local"
match from local for any action "relay"
""")

    def _action(self):
        if self.lmtp:
            address = self.lmtp_socket() if self.lmtp.startswith("unix:") else self.lmtp
            return f'lmtp "{address}" rcpt-to virtual <everybody>'
        if self.procmail:
            return 'mda "/usr/bin/procmail -f -" alias <aliases>'
        return "mbox alias <aliases>"

    def launch(self):
        self.jail.start("/usr/sbin/smtpd", "-F", log=self.output)

    def flush(self):
        self.jail.run("/usr/sbin/smtpctl", "schedule", "all")

    def queued(self):
        """Envelopes: one a recipient."""
        return len(self.jail.run("/usr/sbin/smtpctl", "show", "queue").stdout.splitlines())
