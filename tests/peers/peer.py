"""peer: what the rivals and the MTAs have in common: a root, accounts, an instance, its log.

A class says which packages make its root. An object is one instance: a fresh copy of the root's
/etc and /var in a temporary folder with the users given, the root's programs read-only, started on
free loopback ports and ended by close(). What is in the instance can be looked at from outside
below `root`, where its processes see it at /.
"""

import collections
import hashlib
import inspect
import os
import shutil
import socket
import subprocess
import tempfile
import time

from . import debian, packages
from .jail import Jail
from .syslog import Syslog

Account = collections.namedtuple("Account", "user password uid")
FIRST_UID = 10001
PATIENCE = 60  # seconds; how long a start may take before the test fails
DOMAIN = "example.org"


def why_not():
    """Why no peer can be had on this machine, or None."""
    if os.geteuid() != 0:
        return "the peers need root: they live in roots of their own"
    for program in ("apt-get", "dpkg-deb", "tar", "unshare", "nsenter"):
        if not shutil.which(program):
            return f"the peers need {program}"
    probe = subprocess.run(["unshare", "--mount", "--pid", "--uts", "--fork", "true"],
                           capture_output=True, check=False)
    return None if probe.returncode == 0 else "the peers need namespaces: unshare is refused here"


class Peer:
    name = None
    packages = []
    # Those of the packages, as their maintainer scripts would make them.
    users = []  # (name, uid, home), each with a group of its own
    groups = []  # (name, gid, members)

    # ---- the root, shared by all instances ----

    @classmethod
    def template(cls):
        return os.path.join(packages.ROOTS, cls.name)

    @classmethod
    def recipe(cls):
        """Changes when the root must be made anew."""
        texts = [inspect.getsource(part) for part in (packages, debian, cls.install, cls.prepare)]
        texts.append(repr((cls.packages, cls.users, cls.groups)))
        return hashlib.sha256("".join(texts).encode()).hexdigest()

    @classmethod
    def is_installed(cls):
        try:
            with open(cls.template() + ".recipe", encoding="utf-8") as stamp:
                return stamp.read() == cls.recipe()
        except FileNotFoundError:
            return False

    @classmethod
    def install(cls):
        """Unpacks the root where that is not done yet; True when there was something to do."""
        with packages.locked():
            if cls.is_installed():
                return False
            root, stamp = cls.template(), cls.template() + ".recipe"
            if os.path.exists(stamp):
                os.unlink(stamp)
            if os.path.exists(root):
                shutil.rmtree(root)
            packages.assemble(cls.packages, root)
            debian.begin_users(root)
            debian.add_users(root, [(*user, None) for user in cls.users])
            debian.add_groups(root, cls.groups)
            os.chown(f"{root}/var/mail", 0, debian.MAIL_GROUP)
            os.chmod(f"{root}/var/mail", 0o2775)
            cls.prepare(root)
            with open(stamp, "w", encoding="utf-8") as stream:
                stream.write(cls.recipe())
            return True

    @classmethod
    def prepare(cls, root):
        """What the maintainer scripts would have done to the root."""

    # ---- an instance ----

    def __init__(self, accounts=(("alice", "secret"),), folder=None, domain=DOMAIN):
        """accounts: (user, password) or (user, password, uid); folder: where the instance's own
        folder is made, for example on a tmpfs."""
        self.domain = domain
        self.accounts = []
        for number, account in enumerate(accounts):
            self.accounts.append(Account(*account) if len(account) == 3
                                 else Account(*account, FIRST_UID + number))
        self.base = tempfile.mkdtemp(prefix="postern-peer-", dir=folder)
        self.root = os.path.join(self.base, "root")
        self.jail = self.log = self.output = None

    def start(self):
        """The instance runs and answers when this returns."""
        reason = why_not()
        if reason:
            raise packages.Trouble(reason)
        self.install()
        try:
            self._furnish()
            self.configure()
            self.jail = Jail(self.root, self._binds())
            self.output = open(os.path.join(self.base, "output"), "wb")
            self.log = Syslog(os.path.join(self.root, "dev/log"), os.path.join(self.base, "log"))
            self.launch()
            for port in self.ports():
                self._wait_for_port(port)
        except BaseException:
            self.close()
            raise
        return self

    def _furnish(self):
        template = self.template()
        os.makedirs(self.root)
        os.chmod(self.base, 0o755)
        for name in ("etc", "var"):
            subprocess.run(["cp", "--archive", f"{template}/{name}", self.root], check=True)
        for name in ("dev", "proc", "run", "usr", "home", "root"):
            os.makedirs(f"{self.root}/{name}")
        os.makedirs(f"{self.root}/tmp")
        os.chmod(f"{self.root}/tmp", 0o1777)
        for name in packages.MERGED:
            if os.path.islink(f"{template}/{name}"):
                os.symlink(f"usr/{name}", f"{self.root}/{name}")
        debian.add_users(self.root, [
            (account.user, account.uid, f"/home/{account.user}", account.password)
            for account in self.accounts], shell="/bin/sh")
        for account in self.accounts:
            home = f"{self.root}/home/{account.user}"
            os.makedirs(home)
            os.chown(home, account.uid, account.uid)
        self.write("/etc/hosts", f"127.0.0.1 localhost peer.{self.domain} peer\n::1 localhost\n")
        self.write("/etc/hostname", f"peer.{self.domain}\n")
        self.write("/etc/mailname", f"{self.domain}\n")
        self.write("/etc/resolv.conf", "")
        self.write("/etc/nsswitch.conf", "".join(f"{name}: files\n" for name in (
            "passwd", "group", "shadow", "hosts", "services", "protocols")))

    def _binds(self):
        """What the jail shows beside the instance's own files: (what, where, writable)."""
        return [(f"{self.template()}/usr", "/usr", False)]

    def configure(self):
        """Writes the configuration; nothing runs yet."""

    def launch(self):
        """Starts the processes in the jail."""
        raise NotImplementedError

    def ports(self):
        """Those that answer when the instance is ready."""
        raise NotImplementedError

    def close(self):
        if self.jail:
            self.jail.close()
        if self.log:
            self.log.close()
        if self.output:
            self.output.close()
        self.jail = self.log = self.output = None
        shutil.rmtree(self.base, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *problem):
        self.close()

    # ---- helpers for the classes ----

    def write(self, path, text, mode=0o644, owner=None):
        """A file of the instance; path as its processes see it."""
        where = self.root + path
        os.makedirs(os.path.dirname(where), exist_ok=True)
        with open(where, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(where, mode)
        if owner:
            os.chown(where, *owner)

    def account(self, user):
        return next(account for account in self.accounts if account.user == user)

    def said(self):
        """What its programs printed and logged, for a message."""
        texts = []
        for name in ("output", "log"):
            try:
                path = os.path.join(self.base, name)
                with open(path, encoding="utf-8", errors="replace") as part:
                    texts.append(part.read()[-4000:])
            except FileNotFoundError:
                pass
        return "\n".join(texts)

    def _wait_for_port(self, port):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
                    if connection.recv(4096):
                        connection.sendall(b"QUIT\r\n")
                        connection.recv(4096)
                        return
            except OSError:
                pass
            if time.monotonic() > end:
                raise AssertionError(f"{self.name} does not answer on port {port}:\n{self.said()}")
            # There is no event to wait for: a port that is not bound yet refuses at once.
            time.sleep(0.02)


def free_ports(count):
    """Ports of 127.0.0.1 that nobody has now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
