"""cyrus: cyrus-pop3d and its lmtpd with Debian's configuration; secrets in sasldb, own store."""

import os

from . import debian
from .debian import MAIL_GROUP
from .rival import Rival

CYRUS = 907  # uid of its daemons; their group is mail
REALM = "peer"


class Cyrus(Rival):
    name = "cyrus"
    kind = "its own"
    packages = ["cyrus-pop3d", "cyrus-common", "sasl2-bin", "libsasl2-modules", "openssl"]
    users = [("cyrus", CYRUS, "/var/spool/cyrus")]

    @classmethod
    def prepare(cls, root):
        os.makedirs(f"{root}/etc/ssl/certs", exist_ok=True)
        debian.make_certificate(root, "/etc/ssl/cyrus.pem", "/etc/ssl/cyrus.pem")
        os.chown(f"{root}/etc/ssl/cyrus.pem", CYRUS, MAIL_GROUP)
        with open(f"{root}/etc/passwd", encoding="utf-8") as stream:
            text = stream.read()
        with open(f"{root}/etc/passwd", "w", encoding="utf-8") as stream:
            stream.write(text.replace(f":{CYRUS}:{CYRUS}:", f":{CYRUS}:{MAIL_GROUP}:"))
        for path, mode in (("lib/cyrus", 0o750), ("spool/cyrus", 0o755), ("spool/sieve", 0o755)):
            os.makedirs(f"{root}/var/{path}", exist_ok=True)
            os.chown(f"{root}/var/{path}", CYRUS, MAIL_GROUP)
            os.chmod(f"{root}/var/{path}", mode)

    def configure(self):
        self.write("/etc/cyrus.conf", f"""\
START {{
  recover cmd="/usr/sbin/cyrus ctl_cyrusdb -r"
}}
SERVICES {{
  pop3 cmd="pop3d -U 30" listen="127.0.0.1:{self.pop3_port}" proto="tcp4" prefork=0 maxchild=50
  pop3s cmd="pop3d -s -U 30" listen="127.0.0.1:{self.pop3s_port}" proto="tcp4" prefork=0 maxchild=50
  lmtp cmd="lmtpd -a" listen="127.0.0.1:{self.lmtp_port}" proto="tcp4" prefork=0 maxchild=20
}}
EVENTS {{
  checkpoint cmd="/usr/sbin/cyrus ctl_cyrusdb -c" period=30
}}
""")
        with open(f"{self.root}/etc/imapd.conf", encoding="utf-8") as stream:
            text = stream.read()
        # A minute between two logins of a user is no policy for a test.
        text = text.replace("popminpoll: 1", "popminpoll: 0")
        self.write("/etc/imapd.conf", text + """
autocreate_post: yes
servername: peer
tls_server_cert: /etc/ssl/cyrus.pem
tls_server_key: /etc/ssl/cyrus.pem
""")
        for folder in ("/run/cyrus", "/run/cyrus/socket"):
            os.makedirs(self.root + folder)
            os.chown(self.root + folder, CYRUS, MAIL_GROUP)

    def launch(self):
        self.jail.run("/usr/sbin/cyrus", "makedirs", "--cleansquat")
        for account in self.accounts:
            self.jail.run("/usr/sbin/saslpasswd2", "-p", "-c", "-u", REALM, account.user,
                          octets=account.password.encode())
        os.chown(f"{self.root}/etc/sasldb2", CYRUS, MAIL_GROUP)
        self.jail.start("/usr/sbin/cyrmaster", "-D", log=self.output)

    def ports(self):
        return [self.pop3_port, self.lmtp_port]

    def fill(self, user, messages):
        """By its LMTP server: nobody else may write into its store."""
        self._fill_lmtp(user, messages, self.lmtp_port)
