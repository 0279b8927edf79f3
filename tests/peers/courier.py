"""courier: courier-pop with Debian's configuration; system users by PAM, ~/Maildir."""

import os

from . import debian
from .rival import Rival

COURIER = 906  # uid and gid of its daemons
CERTIFICATE = "/etc/courier/pop3d.pem"


class Courier(Rival):
    name = "courier"
    kind = "maildir"
    packages = ["courier-pop", "courier-authdaemon", "libpam-modules", "libpam-runtime", "openssl"]
    users = [("courier", COURIER, "/var/lib/courier")]

    def __init__(self, *words, sessions=40, sessions_per_address=4, **others):
        """The limits are Debian's defaults (MAXDAEMONS, MAXPERIP)."""
        super().__init__(*words, **others)
        self.limits = {"MAXDAEMONS": sessions, "MAXPERIP": sessions_per_address}

    @classmethod
    def prepare(cls, root):
        debian.write_pam(root)
        debian.make_certificate(root, CERTIFICATE, CERTIFICATE)
        os.chmod(f"{root}{CERTIFICATE}", 0o600)
        os.chown(f"{root}{CERTIFICATE}", COURIER, 0)
        os.chown(f"{root}/etc/courier/authdaemonrc", 0, COURIER)
        os.chmod(f"{root}/etc/courier/authdaemonrc", 0o640)

    def configure(self):
        with open(f"{self.root}/etc/courier/pop3d", "a", encoding="utf-8") as stream:
            stream.write(f"ADDRESS=127.0.0.1\nPORT={self.pop3_port}\n")
            stream.writelines(f"{name}={value}\n" for name, value in self.limits.items())
        with open(f"{self.root}/etc/courier/pop3d-ssl", "a", encoding="utf-8") as stream:
            stream.write(f"SSLADDRESS=127.0.0.1\nSSLPORT={self.pop3s_port}\n")
        for folder, mode, owner in (("", 0o775, 0), ("/authdaemon", 0o750, COURIER)):
            os.makedirs(f"{self.root}/run/courier{folder}")
            os.chmod(f"{self.root}/run/courier{folder}", mode)
            os.chown(f"{self.root}/run/courier{folder}", owner, COURIER)
        for account in self.accounts:
            self._fill_maildir(account, [])

    def launch(self):
        self.jail.run("/usr/sbin/authdaemond", "start")
        self.jail.run("/usr/lib/courier/pop3d", "start")
        self.jail.run("/usr/lib/courier/pop3d-ssl", "start")
