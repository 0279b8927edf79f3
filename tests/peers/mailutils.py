"""mailutils: mailutils-pop3d for system users by PAM, mbox in /var/mail; as Debian starts it."""

from . import debian
from .rival import Rival


class Mailutils(Rival):
    name = "mailutils"
    has_tls = False
    packages = ["mailutils-pop3d", "libpam-modules", "libpam-runtime"]

    @classmethod
    def prepare(cls, root):
        debian.write_pam(root)

    def configure(self):
        self.write("/etc/mailutils.conf", f"""\
mode daemon;
server 127.0.0.1:{self.pop3_port} {{
}};
""")

    def launch(self):
        self.jail.start("/usr/sbin/pop3d", "--daemon", "--foreground", log=self.output)
