"""dovecot: dovecot-pop3d with Debian's configuration; system users by PAM, mbox or Maildir."""

import shutil

from . import debian
from .rival import Rival


class Dovecot(Rival):
    name = "dovecot"
    packages = ["dovecot-pop3d", "dovecot-lmtpd", "libpam-modules", "libpam-runtime", "openssl"]
    users = [("dovecot", 901, "/usr/lib/dovecot"), ("dovenull", 902, "/nonexistent")]

    def __init__(self, *words, store="maildir", settings="", **others):
        """store: maildir (in ~/Maildir) or mbox (in /var/mail). settings: lines for local.conf."""
        super().__init__(*words, **others)
        self.kind, self.settings = store, settings

    @classmethod
    def prepare(cls, root):
        debian.write_pam(root)
        debian.make_certificate(root, "/etc/dovecot/private/dovecot.pem",
                                "/etc/dovecot/private/dovecot.key")
        debian.copy_missing(f"{root}/usr/share/dovecot/conf.d", f"{root}/etc/dovecot/conf.d")
        shutil.copy(f"{root}/usr/share/dovecot/dovecot.conf", f"{root}/etc/dovecot")

    def configure(self):
        location = "maildir:~/Maildir" if self.kind == "maildir" else \
            "mbox:~/mail:INBOX=/var/mail/%u"
        self.write("/etc/dovecot/local.conf", f"""\
listen = 127.0.0.1
protocols = pop3 lmtp
mail_location = {location}
mail_privileged_group = mail
service pop3-login {{
  inet_listener pop3 {{
    port = {self.pop3_port}
  }}
  inet_listener pop3s {{
    port = {self.pop3s_port}
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.lmtp_port}
  }}
}}
{self.settings}
""")

    def launch(self):
        self.jail.start("/usr/sbin/dovecot", "-F", log=self.output)

    def ports(self):
        return [self.pop3_port, self.lmtp_port]

    def deliver(self, user, octets):
        """By its LMTP server."""
        self._fill_lmtp(user, [octets], self.lmtp_port)
