"""exim: exim4-daemon-light as Debian's "internet site" with split configuration, without DNS."""

import os

from .mta import Mta

EXIM = 908  # uid and gid of Debian-exim

ROUTER = """\
hand_over:
  debug_print = "R: hand_over for $local_part@$domain"
  driver = accept
  domains = +local_domains
  transport = hand_over
"""

OVER_SOCKET = """\
hand_over:
  driver = lmtp
  socket = {path}
  batch_max = 100
  return_path_add = false
"""

OVER_PORT = """\
hand_over:
  driver = smtp
  protocol = lmtp
  hosts = {host}
  port = {port}
  allow_localhost
"""


class Exim(Mta):
    name = "exim"
    packages = ["exim4-daemon-light", "exim4-base", "exim4-config", "procmail", "util-linux"]
    users = [("Debian-exim", EXIM, "/var/spool/exim4")]
    delivered, deferred = r" [=-]> ", r" == "

    def __init__(self, *words, settings=None, **others):
        """settings: further main options of Exim, as a dictionary."""
        super().__init__(*words, **others)
        self.settings = settings or {}

    @classmethod
    def prepare(cls, root):
        # exim4-base.postinst, exim4-config.postinst
        for path, mode, group in (("var/log/exim4", 0o2750, 4), ("var/spool/exim4", 0o750, EXIM),
                                  ("var/spool/exim4/db", 0o750, EXIM)):
            os.makedirs(f"{root}/{path}", exist_ok=True)
            os.chown(f"{root}/{path}", EXIM, group)
            os.chmod(f"{root}/{path}", mode)
        os.chown(f"{root}/etc/exim4/passwd.client", 0, EXIM)
        os.chmod(f"{root}/etc/exim4/passwd.client", 0o640)

    def configure(self):
        answers = {"configtype": "internet", "other_hostnames": self.domain, "readhost": "",
                   "local_interfaces": f"127.0.0.1.{self.smtp_port}", "relay_domains": "",
                   "minimaldns": "true", "relay_nets": "", "smarthost": "", "hide_mailname": "",
                   "mailname_in_oh": "true", "localdelivery": "mail_spool"}
        names = {"configtype": "dc_eximconfig_configtype"}
        lines = [f"{names.get(name, 'dc_' + name)}='{value}'\n" for name, value in answers.items()]
        self.write("/etc/exim4/update-exim4.conf.conf",
                   "".join(lines) + "CFILEMODE='644'\ndc_use_split_config='true'\n")
        options = {"log_file_path": "syslog", "syslog_timestamp": "no",
                   "syslog_duplication": "no",
                   # Else what comes behind the tenth message of a connection waits for a queue run.
                   "smtp_accept_queue_per_connection": "0", **self.settings}
        self.write("/etc/exim4/conf.d/main/95_peer", "".join(
            f"{name} = {value}\n" for name, value in options.items()))
        self.write("/etc/aliases", "")
        if self.lmtp:
            self._write_lmtp()
        elif self.procmail:
            self.write("/etc/procmailrc", "")  # Debian's router of procmail asks for one
        os.makedirs(f"{self.root}/run/exim4")
        os.chown(f"{self.root}/run/exim4", EXIM, EXIM)

    def _write_lmtp(self):
        if self.lmtp.startswith("unix:"):
            transport = OVER_SOCKET.format(path=self.lmtp_socket())
        else:
            host, port = self.lmtp.rsplit(":", 1)
            transport = OVER_PORT.format(host=host, port=port)
        self.write("/etc/exim4/conf.d/router/350_hand_over", ROUTER)
        self.write("/etc/exim4/conf.d/transport/30_hand_over", transport)

    def launch(self):
        self.jail.run("/usr/sbin/update-exim4.conf")
        self.jail.start("/usr/sbin/exim4", "-bdf", "-q30m", log=self.output)

    def flush(self):
        self.jail.run("/usr/sbin/exim4", "-qff")

    def queued(self):
        return int(self.jail.run("/usr/sbin/exim4", "-bpc").stdout)
