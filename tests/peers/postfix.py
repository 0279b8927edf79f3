"""postfix: Debian's main.cf of an "Internet Site", without DNS, with the services out of chroot."""

import os
import re
import shutil

from .mta import Mta


POSTDROP = 904  # the group that may put mail into the queue


class Postfix(Mta):
    name = "postfix"
    packages = ["postfix", "procmail", "diffutils"]
    users = [("postfix", 903, "/var/spool/postfix")]
    groups = [("postdrop", POSTDROP, "")]
    delivered, deferred = r"status=sent", r"status=deferred"

    def __init__(self, *words, recipients=None, domains=None, settings=None, **others):
        """recipients: a lookup table of which addresses exist, "socketmap:inet:HOST:PORT:NAME" for
        one; without, with LMTP every address of the domain is taken, and for local delivery the
        users' names. domains: such a table of the domains that are handed over by LMTP, instead of
        `domain`. settings: further lines of main.cf, as a dictionary."""
        super().__init__(*words, **others)
        self.recipients, self.domains = recipients, domains
        self.settings = settings or {}

    @classmethod
    def prepare(cls, root):
        share = f"{root}/usr/share/postfix"
        shutil.copy(f"{share}/main.cf.debian", f"{root}/etc/postfix/main.cf")
        shutil.copy(f"{share}/master.cf.dist", f"{root}/etc/postfix/master.cf")
        shutil.copy(f"{share}/dynamicmaps.cf", f"{root}/etc/postfix/dynamicmaps.cf")
        for name in ("postdrop", "postqueue"):
            os.chown(f"{root}/usr/sbin/{name}", 0, POSTDROP)
            os.chmod(f"{root}/usr/sbin/{name}", 0o2555)
        os.makedirs(f"{root}/var/lib/postfix", exist_ok=True)
        os.chown(f"{root}/var/lib/postfix", 903, 903)

    def configure(self):
        lines = {
            # As Debian's maintainer script asks and answers for an Internet Site.
            "myhostname": f"peer.{self.domain}", "myorigin": "/etc/mailname",
            "mydestination": f"{self.domain}, localhost" if not self.lmtp else "localhost",
            "relayhost": "", "mynetworks": "127.0.0.0/8 [::1]/128", "inet_protocols": "ipv4",
            "inet_interfaces": "127.0.0.1", "mailbox_size_limit": "0", "recipient_delimiter": "+",
            "alias_maps": "", "alias_database": "",
            "smtpd_relay_restrictions":
                "permit_mynetworks permit_sasl_authenticated defer_unauth_destination",
            # There is no DNS in here.
            "disable_dns_lookups": "yes", "smtpd_peername_lookup": "no",
        }
        if self.lmtp:
            lines.update({"virtual_mailbox_domains": self.domains or self.domain,
                          "virtual_transport": f"lmtp:{self._next_hop()}"})
            if self.recipients:
                lines["virtual_mailbox_maps"] = self.recipients
        elif self.recipients:
            lines["local_recipient_maps"] = self.recipients
        if self.procmail:
            lines["mailbox_command"] = 'procmail -a "$EXTENSION"'
        lines.update(self.settings)
        with open(f"{self.root}/etc/postfix/main.cf", "a", encoding="utf-8") as stream:
            stream.writelines(f"{name} = {value}\n" for name, value in lines.items())
        self._write_services()

    def _next_hop(self):
        if self.lmtp.startswith("unix:"):
            return "unix:" + self.lmtp_socket()
        host, port = self.lmtp.rsplit(":", 1)
        return f"inet:[{host}]:{port}"

    def _write_services(self):
        """master.cf: the port is ours, nothing is chrooted (column 5): the root is one."""
        path = f"{self.root}/etc/postfix/master.cf"
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
        text = re.sub(r"^smtp( +inet)", rf"127.0.0.1:{self.smtp_port}\1", text, flags=re.M)
        text = re.sub(r"^(\S+ +(?:inet|unix|fifo|unix-dgram) +\S +\S +)y", r"\1n", text, flags=re.M)
        self.write("/etc/postfix/master.cf", text)

    def launch(self):
        self.jail.start("/usr/sbin/postfix", "start-fg", log=self.output)

    def flush(self):
        self.jail.run("/usr/sbin/postqueue", "-f")

    def queued(self):
        return len(self.jail.run("/usr/sbin/postqueue", "-j").stdout.splitlines())
