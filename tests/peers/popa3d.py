"""popa3d: Debian's popa3d for system users by PAM, mbox in /var/mail.

Its stand-alone mode can have port 110 of all addresses only, so it runs from inetd, the other mode
that Debian's package knows; without tcpd."""

from . import debian
from .rival import Rival


class Popa3d(Rival):
    name = "popa3d"
    has_tls = False
    packages = ["popa3d", "openbsd-inetd", "libpam-modules", "libpam-runtime"]
    users = [("popa3d", 905, "/var/lib/popa3d")]

    @classmethod
    def prepare(cls, root):
        debian.write_pam(root)

    def configure(self):
        # More starts a minute than anybody makes: inetd would close the port after 256.
        self.write("/etc/inetd.conf", f"127.0.0.1:{self.pop3_port} stream tcp4 nowait.1000000 root "
                                      "/usr/sbin/popa3d popa3d\n")

    def launch(self):
        self.jail.start("/usr/sbin/inetd", "-i", log=self.output)
