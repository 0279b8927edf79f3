#!/usr/bin/env python3
"""clients_test: real mail programs retrieve what smtplib and `postern deliver` put in.

Each gets an account of its own with every message of messages.py put in three ways, retrieves them
plain and over TLS, and must end up with the same octets but for line ends and Postern's trace headers.
"""

import glob
import mailbox
import os
import poplib
import pty
import pwd
import re
import select
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from instance import Instance, program_missing
from messages import MESSAGES, lines_lf, sorted_messages, subject_of, without_trace

PASSWORD = "correct horse 9"
CLIENT_SECONDS_MAX = 120
INSTANCE = Instance()
ACCOUNTS = ["poplib", "curl", "mpop", "fetchmail", "getmail", "mutt", "files"]


def setUpModule():
    try:
        for name in ACCOUNTS:
            INSTANCE.add_account(f"{name}@example.org", PASSWORD)
        INSTANCE.start()
        for name in ACCOUNTS:
            fill(f"{name}@example.org")
    except BaseException:
        INSTANCE.remove()
        raise


def tearDownModule():
    trouble = INSTANCE.stop()
    INSTANCE.remove()
    if trouble:
        raise AssertionError(trouble)


def fill(account):
    for octets in MESSAGES.values():
        INSTANCE.lmtp(account, octets)
        INSTANCE.lmtp_unix(account, octets)
        INSTANCE.deliver(account, octets)


WANTED = sorted(list(MESSAGES.values()) * 3)


class ClientTest(unittest.TestCase):
    account = None
    program = None
    maxDiff = 4000

    def setUp(self):
        if self.program and program_missing(self.program):
            self.skipTest(f"{self.program} is not installed: script/bootstrap does it")
        self.folder = tempfile.mkdtemp(prefix="postern-client-")
        os.chmod(self.folder, 0o700)
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.host, self.plain_port = INSTANCE.listening["pop3"]
        self.tls_port = INSTANCE.listening["pop3s"][1]

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(os.open(self.path(name), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w",
                  encoding="utf-8") as stream:
            stream.write(text)
        return self.path(name)

    def run_client(self, *command, user=None):
        environment = {"HOME": self.folder, "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
                       "FETCHMAILHOME": self.folder, "TERM": "dumb"}
        done = subprocess.run(command, capture_output=True, timeout=CLIENT_SECONDS_MAX,
                              stdin=subprocess.DEVNULL, env=environment, cwd=self.folder,
                              check=False, user=user and user.pw_uid,
                              group=user and user.pw_gid, extra_groups=user and [])
        said = (done.stdout[-2000:] + done.stderr[-2000:]).decode("utf-8", "replace")
        self.assertEqual(done.returncode, 0, f"{command[0]} said: {said}\n{INSTANCE.log()}")
        return done.stdout

    def read_all(self, pattern):
        octets = []
        for path in glob.glob(self.path(pattern)):
            with open(path, "rb") as stream:
                octets.append(stream.read())
        return octets

    def compare(self, retrieved):
        self.assertEqual(len(retrieved), len(WANTED))
        for got, wanted in zip(sorted_messages(retrieved), WANTED):
            if got != wanted:
                self.assertEqual(subject_of(got), subject_of(wanted))
                self.assertEqual(got[:4000], wanted[:4000])
                self.fail(f"{subject_of(got)} differs behind its first 4000 octets")

    def emptied(self):
        """The maildrop, as another session sees it after this one deleted everything."""
        client = poplib.POP3(self.host, self.plain_port, 60)
        client.user(self.account)
        client.pass_(PASSWORD)
        self.assertEqual(client.stat(), (0, 0))
        client.quit()


class Poplib(ClientTest):
    account = "poplib@example.org"

    def connect(self, tls):
        if not tls:
            return poplib.POP3(self.host, self.plain_port, 60)
        context = ssl.create_default_context(cafile=os.path.join(INSTANCE.root, "tls/cert.pem"))
        context.check_hostname = False
        return poplib.POP3_SSL(self.host, self.tls_port, timeout=60, context=context)

    def retrieve(self, client):
        return [b"\r\n".join(client.retr(number)[1]) + b"\r\n"
                for number in range(1, client.stat()[0] + 1)]

    def log_in(self, tls):
        client = self.connect(tls)
        client.user(self.account)
        client.pass_(PASSWORD)
        return client

    def test_1_plain(self):
        client = self.log_in(False)
        self.compare(self.retrieve(client))
        client.quit()

    def test_2_tls(self):
        client = self.log_in(True)
        self.compare(self.retrieve(client))
        client.quit()

    def test_3_sizes_and_ids(self):
        client = self.log_in(False)
        count, octets = client.stat()
        sizes = [int(line.split()[1]) for line in client.list()[1]]
        ids = [line.split()[1] for line in client.uidl()[1]]
        whole = self.retrieve(client)
        self.assertEqual([len(message) for message in whole], sizes)
        self.assertEqual(sum(sizes), octets)
        self.assertEqual(len(set(ids)), count)
        top = client.top(1, 0)[1]
        self.assertEqual(whole[0].split(b"\r\n")[:len(top)], top)
        client.quit()
        again = self.log_in(True)
        self.assertEqual([line.split()[1] for line in again.uidl()[1]], ids)
        again.quit()

    def test_4_wrong_password(self):
        client = self.connect(False)
        client.user(self.account)
        with self.assertRaisesRegex(poplib.error_proto, r"-ERR \[AUTH\]"):
            client.pass_("wrong")
        client.close()

    def test_5_in_use(self):
        first = self.log_in(False)
        second = self.connect(True)
        second.user(self.account)
        with self.assertRaisesRegex(poplib.error_proto, r"-ERR \[IN-USE\]"):
            second.pass_(PASSWORD)
        second.close()
        first.noop()
        first.quit()

    def test_6_delete(self):
        client = self.log_in(True)
        ids = [line.split()[1] for line in client.uidl()[1]]
        for number in range(1, len(ids) + 1, 2):
            client.dele(number)
        client.quit()
        client = self.log_in(False)
        self.assertEqual([line.split()[1] for line in client.uidl()[1]], ids[1::2])
        for number in range(1, len(ids[1::2]) + 1):
            client.dele(number)
        client.quit()
        self.emptied()


class Curl(ClientTest):
    account = "curl@example.org"
    program = "curl"

    def curl(self, scheme, port, tail, *more):
        return self.run_client("curl", "-s", "-S", "--max-time", "60", "-u",
                               f"{self.account}:{PASSWORD}", *more,
                               f"{scheme}://{self.host}:{port}/{tail}")

    def numbers(self, scheme, port, *more):
        return [int(line.split()[0]) for line in self.curl(scheme, port, "", *more).split(b"\r\n")
                if line]

    def test_1_plain(self):
        numbers = self.numbers("pop3", self.plain_port)
        self.compare([self.curl("pop3", self.plain_port, number) for number in numbers])

    def test_2_tls(self):
        cert = ("--cacert", os.path.join(INSTANCE.root, "tls/cert.pem"), "-k")
        numbers = self.numbers("pop3s", self.tls_port, *cert)
        self.compare([self.curl("pop3s", self.tls_port, number, *cert) for number in numbers])

    def test_2_stls(self):
        plain = ("--login-options", "AUTH=PLAIN")
        for more in (("--ssl-reqd", "-k"), ("--ssl-reqd", "-k", *plain), plain,
                     ("--sasl-ir", *plain)):
            with self.subTest(more=more):
                self.assertEqual(len(self.numbers("pop3", self.plain_port, *more)), len(WANTED))
        numbers = self.numbers("pop3", self.plain_port, "--ssl-reqd", "-k")
        self.compare([self.curl("pop3", self.plain_port, number, "--ssl-reqd", "-k")
                      for number in numbers])

    def test_3_uidl(self):
        self.assertEqual(len(self.curl("pop3", self.plain_port, "", "-X", "UIDL").splitlines()),
                         len(WANTED))

    def test_4_delete(self):
        for _ in WANTED:
            self.curl("pop3", self.plain_port, "1", "-X", "DELE", "--list-only")
        self.emptied()


class Mpop(ClientTest):
    account = "mpop@example.org"
    program = "mpop"

    def mpop(self, tls, keep, stls=False, mechanism="user"):
        for name in ("tmp", "new", "cur"):
            os.makedirs(self.path("Maildir/" + name), exist_ok=True)
        port = self.tls_port if tls and not stls else self.plain_port
        secret = self.write("secret", PASSWORD)
        self.run_client(
            "mpop", "-q", f"--host={self.host}", f"--port={port}", f"--user={self.account}",
            f"--passwordeval=cat {secret}", f"--auth={mechanism}",
            f"--tls={'on' if tls else 'off'}", f"--tls-starttls={'on' if stls else 'off'}",
            "--tls-certcheck=off", f"--keep={'on' if keep else 'off'}", "--received-header=off", f"--uidls-file={self.path('uidls')}",
            f"--delivery=maildir,{self.path('Maildir')}", "--timeout=60")
        return self.read_all("Maildir/new/*")

    def test_1_plain(self):
        self.compare(self.mpop(False, True))

    def test_2_tls(self):
        self.compare(self.mpop(True, True))

    def test_2_stls(self):
        self.compare(self.mpop(True, True, stls=True, mechanism="plain"))

    def test_3_delete(self):
        self.compare(self.mpop(False, False))
        self.emptied()


class Fetchmail(ClientTest):
    account = "fetchmail@example.org"
    program = "fetchmail"

    def fetchmail(self, tls, keep, stls=False):
        os.makedirs(self.path("mail"))
        sink = self.write("sink", f"cat >\"$(mktemp '{self.path('mail')}/XXXXXXXX')\"\n")
        port = self.tls_port if tls else self.plain_port
        security = "ssl sslproto 'TLS1.2+' no sslcertck" if tls else "sslproto ''"
        if stls:
            security = "sslproto 'TLS1.2+' no sslcertck"
        rc = self.write("fetchmailrc", "set invisible\nset no bouncemail\n"
                        f"poll {self.host} protocol POP3 port {port} auth password timeout 60\n"
                        f"  user '{self.account}' there with password '{PASSWORD}' is root here\n"
                        f"  {security} fetchall {'keep' if keep else 'nokeep'} no rewrite "
                        f"mda '/bin/sh {sink}'\n")
        self.run_client("fetchmail", "-f", rc, "--nodetach", "--nosyslog", "--pidfile",
                        self.path("pid"), "-i", self.path("ids"))
        return self.read_all("mail/*")

    def test_1_plain(self):
        self.compare(self.fetchmail(False, True))

    def test_2_tls(self):
        self.compare(self.fetchmail(True, True))

    def test_2_stls(self):
        self.compare(self.fetchmail(False, True, stls=True))

    def test_3_delete(self):
        self.compare(self.fetchmail(False, False))
        self.emptied()


class Getmail(ClientTest):
    account = "getmail@example.org"
    program = "getmail"

    def getmail(self, tls, delete):
        """Its wait for the child that writes a message misses an early end of it now and then (6.18);
        it then gives up, deletes nothing, and may be started again."""
        for _ in range(5):
            shutil.rmtree(self.path("Maildir"), ignore_errors=True)
            for name in ("tmp", "new", "cur"):
                os.makedirs(self.path("Maildir/" + name))
            self.write("getmailrc", self.settings(tls, delete))
            try:
                self.run_client("getmail", "--getmaildir", self.folder, "--rcfile", "getmailrc",
                                user=self.somebody())
                break
            except AssertionError as problem:
                if not re.search(r"waiting child pid \d+ timed out", str(problem)):
                    raise
        else:
            self.fail("getmail waited in vain for its own child five times")
        return self.read_all("Maildir/new/*")

    def settings(self, tls, delete):
        kind = "SimplePOP3SSLRetriever" if tls else "SimplePOP3Retriever"
        port = self.tls_port if tls else self.plain_port
        return f"""[retriever]
type = {kind}
server = {self.host}
port = {port}
username = {self.account}
password = {PASSWORD}
timeout = 15
[destination]
type = Maildir
path = {self.path('Maildir')}/
[options]
read_all = true
delete = {delete}
delivered_to = false
received = false
verbose = 0
"""

    def somebody(self):
        """It refuses to deliver as root."""
        if os.geteuid() != 0:
            return None
        user = pwd.getpwnam("nobody")
        for folder, folders, files in os.walk(self.folder):
            for name in [".", *folders, *files]:
                os.chown(os.path.join(folder, name), user.pw_uid, user.pw_gid)
        return user

    def test_1_plain(self):
        self.compare(self.getmail(False, False))

    def test_2_tls(self):
        self.compare(self.getmail(True, False))

    def test_3_delete(self):
        self.compare(self.getmail(False, True))
        self.emptied()


class MuttDriver(ClientTest):
    """mutt has no mode without a screen: it gets a pseudo terminal and its keys from its own push."""

    program = "mutt"

    def copy_all(self, folder, settings):
        """Every message of the folder, by way of a Maildir that mutt writes (in an mbox it would
        leave "From " lines as they are and count on Content-Length)."""
        rc = self.write("muttrc", "\n".join([
            "set confirmappend=no confirmcreate=no delete=no move=no quit=yes mark_old=no",
            "set mbox_type=Maildir sleep_time=0 wait_key=no read_inc=0 write_inc=0 header_cache=''",
            "set ssl_verify_host=no ssl_verify_dates=no ssl_starttls=no ssl_force_tls=no",
            f"set tmpdir={self.folder} folder={self.folder}",  # else it asks to make ~/Mail
            "set pop_checkinterval=3600 pop_delete=no pop_last=no postponed='' record=''",
            "set timeout=5 beep=no", *settings,
            f"push '<tag-pattern>~A<enter><tag-prefix><copy-message>{self.path('copy')}<enter><exit>'"]) + "\n")
        child, terminal = pty.fork()
        if child == 0:
            os.environ.update({"HOME": self.folder, "TERM": "xterm", "LC_ALL": "C.UTF-8",
                               "COLUMNS": "100", "LINES": "40"})
            os.execvp("mutt", ["mutt", "-n", "-F", rc, "-R", "-f", folder])
        screen, end = b"", time.monotonic() + CLIENT_SECONDS_MAX
        while time.monotonic() < end:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                octets = os.read(terminal, 65536)
            except OSError:
                break
            if not octets:
                break
            screen += octets
        else:
            os.kill(child, 9)
        os.close(terminal)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        shown = re.sub(rb"\x1b[\[(][0-9;?]*[A-Za-z]", b" ", screen)[-1500:]
        self.assertEqual(status, 0, shown)
        self.assertTrue(os.path.exists(self.path("copy")), shown)
        return self.read_all("copy/*/*")


# What mutt writes into a copy by itself.
MUTT_HEADERS = re.compile(rb"^(Status|X-Status|Content-Length|Lines): .*\n", re.M)


def unquoted(octets):
    """mboxrd: one ">" less before each From."""
    return re.sub(rb"^>(>*From )", rb"\1", octets, flags=re.M)


def mbox_messages(path):
    """The messages of an mbox as Python's own module splits it, its quoting undone."""
    box = mailbox.mbox(path, create=False)
    messages = []
    for key in box.keys():
        octets = box.get_bytes(key)
        messages.append(unquoted(octets))
    box.close()
    return messages


class Mutt(MuttDriver):
    account = "mutt@example.org"

    def pop(self, scheme, port, *more):
        copied = self.copy_all(f"{scheme}://{self.host}:{port}/", [
            f"set pop_user='{self.account}' pop_pass='{PASSWORD}' pop_authenticators=user", *more])
        self.same(copied)

    def same(self, copied):
        """mutt adds a few headers to a copy."""
        def plain(octets):
            head, _, body = without_trace(octets).partition(b"\n\n")
            return MUTT_HEADERS.sub(b"", head + b"\n") + b"\n" + body
        self.compare([plain(octets) for octets in copied])

    def test_1_plain(self):
        self.pop("pop", self.plain_port)

    def test_2_tls(self):
        self.pop("pops", self.tls_port,
                 f"set certificate_file='{INSTANCE.root}/tls/cert.pem'")

    def test_3_reads_the_mbox(self):
        copy = self.path("maildrop")
        shutil.copyfile(INSTANCE.maildrop_path(self.account), copy)
        self.same([unquoted(octets) for octets in self.copy_all(copy, [])])


class Files(ClientTest):
    """The file itself, read by somebody else's code."""

    account = "files@example.org"

    def test_python_reads_the_mbox(self):
        messages = mbox_messages(INSTANCE.maildrop_path(self.account))
        self.compare(messages)

    def test_import_gives_the_octets_back(self):
        """What Python's mailbox wrote, imported octet by octet without trace headers."""
        path = self.path("box")
        box = mailbox.mbox(path)
        for octets in MESSAGES.values():
            box.add(octets)
        box.close()
        INSTANCE.add_account("imported@example.org", PASSWORD)
        INSTANCE.postern("mailbox", "import", "imported@example.org", path, "--quoting", "mboxo")
        client = poplib.POP3(self.host, self.plain_port, 60)
        client.user("imported@example.org")
        client.pass_(PASSWORD)
        got = [lines_lf(b"\r\n".join(client.retr(number)[1]) + b"\r\n")
               for number in range(1, client.stat()[0] + 1)]
        client.quit()
        # mboxo cannot tell ">From" that was there from one it made; all others are equal.
        self.assertEqual(len(got), len(MESSAGES))
        for message, wanted in zip(got, MESSAGES.values()):
            if subject_of(wanted) != "from":
                self.assertTrue(message == wanted, subject_of(wanted))

    def test_verify_finds_nothing(self):
        INSTANCE.postern("mailbox", "verify", self.account)


if __name__ == "__main__":
    unittest.main()
