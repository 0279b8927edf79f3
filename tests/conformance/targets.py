"""targets: the servers that dialogues are played against.

A target prepares an account and its messages, hands out connections, and says which features it
has. Postern is one target for each kind of store and each set of flags; any other POP3 server is a
Remote, known by its addresses, a login, and a way to deliver to it.

Guarantees: each dialogue begins with exactly the messages it names. Must not know: what a dialogue
is about.
"""

import functools
import os
import poplib
import re
import select
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))

from dialogue import unescape  # noqa: E402
from harness import INSIDE, PATIENCE, SECRET, Server, modes  # noqa: E402

poplib._MAXLINE = 1 << 20  # of a line of a message; ours have more than poplib's 2,048 octets
OUTSIDE = "192.0.2.1"  # of this network namespace alone
STORES = ("mbox", "maildir", "spool")


def open_connection(host, port, tls):
    connection = socket.create_connection((host, port), timeout=PATIENCE)
    if not tls:
        return connection
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)


# ---- Postern -------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=None)
def help_of(*words):
    answer = subprocess.run([Server.program, *words, "--help"], capture_output=True, text=True,
                            timeout=60)
    return answer.stdout


def stores():
    """The kinds that `account add --store` takes, by trying."""
    taken, said = [], b""
    with tempfile.TemporaryDirectory() as folder:
        for kind in STORES:
            answer = subprocess.run(
                [Server.program, "--root", os.path.join(folder, kind), "account", "add",
                 "user@example.org", "--store", kind, "--password-file", "-"], input=b"secret",
                capture_output=True, timeout=60, check=False)
            taken += [kind] if answer.returncode == 0 else []
            said += answer.stderr
    if "mbox" not in taken:
        raise AssertionError("no account could be added: %r" % said)
    return taken


def features_of(capabilities):
    """From the answer to CAPA: its tags, `capa` where there is one, `auth` for AUTH PLAIN."""
    features = {tag.lower() for tag in capabilities} | ({"capa"} if capabilities else set())
    return features | ({"auth"} if "PLAIN" in capabilities.get("SASL", []) else set())


def lacks_flags(dialogue):
    """Why a built postern has not the flags it needs, or None."""
    given = {"serve": dialogue.words("serve"),
             "account add": dialogue.words("user") + sum(dialogue.accounts, [])}
    for command, words in given.items():
        known = help_of(*command.split())
        for word in words:
            if word.startswith("--") and word + " " not in known:
                return "needs %s of %s" % (word, command)
    return None


def make_outside():
    """An address that is not loopback, where the namespace is ours."""
    if INSIDE in os.environ:
        subprocess.run(["ip", "address", "add", OUTSIDE + "/32", "dev", "lo"], check=False,
                       capture_output=True)


class Postern:
    """A running server whose accounts have one kind of store."""

    changes_messages = False

    def __init__(self, store, flags):
        self.store, self.count, self.mark, self.modes = store, 0, 0, {}
        kinds = ["pop3", "lmtp"] + (["smtp"] if "--smtp" in help_of("serve") else [])
        listeners = [] if "smtp" not in kinds else ["--smtp", "127.0.0.1:0"]
        if INSIDE in os.environ:
            for kind in kinds + ["pop3s"]:
                listeners += ["--" + kind, OUTSIDE + ":0"]
        self.server = Server(modes()[0], *listeners, *flags, accounts=("first@example.org",))
        self.server.start()
        self.ports = {}
        for line in self.server.lines:
            found = re.match(r"listening (\w+) (.*):(\d+)$", line)
            if found:
                self.ports[found[1], found[2]] = int(found[3])
        self.features = self.probe()

    def probe(self):
        features = {self.store}
        texts = {"smtp": (("serve",), "--smtp"), "apop": (("serve",), "--apop"),
                 "bare-newline": (("serve",), "--bare-newline"),
                 "disable": (("account", "set"), "--disable"),
                 "quota": (("account", "set"), "--quota")}
        features |= {name for name, (words, text) in texts.items() if text in help_of(*words)}
        if INSIDE in os.environ:
            features.add("namespace")
        pop3 = poplib.POP3("127.0.0.1", self.ports["pop3", "127.0.0.1"], timeout=PATIENCE)
        capabilities = pop3.capa()
        pop3.close()
        features |= features_of(capabilities)
        if "smtp" in features:
            with open_connection("127.0.0.1", self.ports["smtp", "127.0.0.1"], False) as smtp:
                smtp.sendall(b"EHLO here\r\nQUIT\r\n")
                text = smtp.makefile("rb").read()
            features |= {"starttls"} if b"STARTTLS" in text else set()
        return features

    def lacks(self, dialogue, over):
        """Why it cannot be played, or None."""
        wanted = dialogue.words("needs") + (["smtp"] if "smtp" in (over, dialogue.protocol) else [])
        if any("outside" in step[3].split() for step in dialogue.steps):
            wanted.append("namespace")
        missing = [word for word in wanted if word not in self.features]
        return "needs " + " ".join(missing) if missing else None

    # ---- accounts and messages ----

    def prepare(self, dialogue):
        """Accounts in a domain of their own; their names by variable, as text of a dialogue."""
        self.count += 1
        self.mark = self.server.mark()
        domain = "d%d.example.org" % self.count
        secret = dialogue.settings.get("secret", SECRET)
        self.add("user@" + domain, secret, dialogue.words("user"), domain)
        variables = {"user": "user@" + domain, "secret": secret, "domain": domain,
                     "DOMAIN": domain.upper()}
        for name, *flags in dialogue.accounts:
            variables[name] = "%s@%s" % (name, domain)
            self.add(variables[name], SECRET, flags, domain)
        return variables

    def add(self, name, secret, flags, domain):
        # A spool is another program's file: it needs a path where accounts have no user of their own.
        path = ["--path", "%s/%s" % (domain, name.partition("@")[0])] if self.store == "spool" else []
        self.server.run("account", "add", name, "--store", self.store, "--password-file", "-", *path,
                        *[flag.replace("{domain}", domain) for flag in flags],
                        text=unescape(secret))

    def fill(self, user, mail):
        """Imported octet by octet, so that all sizes are known."""
        if mail:
            self.import_all(user, mail)
        return mail, [len(text) + (0 if text.endswith(b"\r\n") else 2) for text in mail]

    def import_all(self, user, mail):
        with tempfile.TemporaryDirectory(dir=self.server.base) as folder:
            os.chmod(folder, 0o755)
            for name in ("cur", "new", "tmp"):
                os.mkdir(os.path.join(folder, name))
            for at, text in enumerate(mail):
                name = "%010d.m.h" % (1000000000 + at)
                with open(os.path.join(folder, "new", name), "wb") as file:
                    file.write(text.replace(b"\r\n", b"\n"))
            self.server.run("mailbox", "import", user, folder)

    def maildrop(self, user):
        name, _, domain = user.partition("@")
        return os.path.join(self.server.root, "mail", domain, name)

    def folders(self, user):
        """Those in which something must be changed when messages are stored or removed."""
        path = self.maildrop(user)
        journal = os.path.join(self.server.root, "journal")
        if os.path.isdir(path):
            return [os.path.join(path, name) for name in ("cur", "new", "tmp")]
        while not os.path.exists(os.path.dirname(path)):
            path = os.path.dirname(path)
        return [os.path.dirname(path)] + ([journal] if os.path.exists(journal) else [])

    def harm(self, user):
        for folder in self.folders(user):
            if folder not in self.modes:
                self.modes[folder] = stat.S_IMODE(os.stat(folder).st_mode)
            os.chmod(folder, 0o500 if os.getuid() else 0o555)

    def restore(self, _user):
        for folder, mode in self.modes.items():
            os.chmod(folder, mode)
        self.modes = {}

    @staticmethod
    def is_same(text, wanted):
        return text == wanted

    # ---- talking to it ----

    def connect(self, kind, tls, outside):
        return open_connection(OUTSIDE if outside else "127.0.0.1", self.port(
            kind + ("s" if tls else ""), outside), tls)

    def port(self, kind, outside):
        return self.ports[kind, OUTSIDE if outside else "127.0.0.1"]

    def command(self, words):
        return self.server.run(*words, check=False)

    def wait_for_log(self, pattern):
        self.server.wait_for(pattern, since=self.mark)

    @staticmethod
    def deadline():
        return time.monotonic() + PATIENCE

    @staticmethod
    def is_late(end):
        return time.monotonic() > end

    def close(self):
        self.server.close()


# ---- any other server ----------------------------------------------------------------------------


class Remote:
    """A POP3 server somewhere: its login, and a function that delivers a message to it. Such a
    server may add header fields at delivery, and, when mail was read, others again (Status,
    X-UIDL); so fields may be added and sizes change from session to session, not within one."""

    changes_messages = True

    def __init__(self, host, port, user, secret, deliver, tls_port=None):
        self.host, self.ports = host, {False: port, True: tls_port}
        self.user, self.secret, self.filled = user, secret, 0
        self.deliver = deliver
        pop3 = self.poplib()
        try:
            capabilities = pop3.capa()
        except poplib.error_proto:
            capabilities = {}
        pop3.close()
        self.features = features_of(capabilities)
        self.features |= {"tls"} if tls_port else set()
        self.features |= {"apop"} if pop3.timestamp.search(pop3.getwelcome()) else set()

    def poplib(self):
        return poplib.POP3(self.host, self.ports[False], timeout=PATIENCE)

    def lacks(self, dialogue, over):
        wanted = dialogue.words("needs") + (["tls"] if over == "tls" else [])
        missing = [word for word in wanted if word not in self.features]
        return "needs " + " ".join(missing) if missing else None

    def login(self):
        pop3 = self.poplib()
        pop3.user(self.user)
        pop3.pass_(self.secret)
        return pop3

    def prepare(self, _dialogue):
        """An empty maildrop."""
        pop3 = self.wait_until(lambda session: True)
        for number in range(1, pop3.stat()[0] + 1):
            pop3.dele(number)
        pop3.quit()
        self.wait_until(lambda session: session.stat()[0] == 0).quit()
        return {"user": self.user, "secret": self.secret}

    def wait_until(self, holds):
        """A session in which something holds: deliveries and locks may take a while."""
        end = self.deadline()
        while True:
            try:
                pop3 = self.login()
                if holds(pop3):
                    return pop3
                pop3.quit()
            except (poplib.error_proto, OSError) as problem:
                if self.is_late(end):
                    raise AssertionError("no session: %s" % problem) from None
            if self.is_late(end):
                raise AssertionError("the maildrop does not become what it should")
            select.select([], [], [], 0.2)  # another server's pace; nothing of ours waits here

    def fill(self, _user, mail):
        # A server may drop what it had before, by its Message-ID.
        self.filled += 1
        mail = [re.sub(rb"(?m)^(Message-ID: <.*)@", rb"\1.%d.%d@" % (self.filled, at), text)
                for at, text in enumerate(mail)]
        for count, text in enumerate(mail, 1):
            self.deliver(text)
            self.wait_until(lambda session, count=count: session.stat()[0] == count).quit()
        return mail, []

    @staticmethod
    def is_same(text, wanted):
        """All fields in their order, perhaps others among them, and the same body."""
        header, _, body = text.partition(b"\r\n\r\n")
        wanted_header, _, wanted_body = wanted.partition(b"\r\n\r\n")
        fields = iter(header.split(b"\r\n"))
        return all(field in fields for field in wanted_header.rstrip(b"\r\n").split(b"\r\n")) and \
            body == wanted_body

    def connect(self, _kind, tls, _outside):
        if self.ports[tls] is None:
            raise AssertionError("no address for this kind of connection")
        return open_connection(self.host, self.ports[tls], tls)

    def restore(self, _user):
        pass

    @staticmethod
    def deadline():
        return time.monotonic() + PATIENCE

    @staticmethod
    def is_late(end):
        return time.monotonic() > end


def deliver_with(command):
    """A function that hands a message to a command's standard input."""
    if shutil.which(command[0]) is None:
        sys.exit("there is no command %s" % command[0])
    return lambda text: subprocess.run(command, input=text.replace(b"\r\n", b"\n"), check=True,
                                       timeout=60)
