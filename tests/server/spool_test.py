#!/usr/bin/env python3
"""Spools over the wire: system users' files and what may not be one, locks of other programs, files
that change below a session, a mail reader at work between two, full and read-only disks, and files
that are no mailbox."""

import concurrent.futures
import fcntl
import os
import poplib
import pty
import select
import shutil
import smtplib
import stat
import struct
import subprocess
import threading
import time
import unittest

from harness import INSIDE, PATIENCE, SECRET, in_every_mode, main, modes, refused
from spool_scene import MAIL_GROUP, UIDS, SpoolServer, address

ALICE = address("alice")
LOCKED = 60  # seconds; how long anything may take while another program holds a lock
DATE = "Sun Nov 22 02:01:00 2026"
THREE = ["alice", "bob", "carol"]
NO_PROCESS = 2 ** 22 + 1  # above the highest pid there can be


def foreign(*bodies):
    """An mbox as an MTA writes it."""
    return b"".join(b"From carol@example.net %s\nSubject: %d\nMessage-ID: <%d@example.net>\n\n%s\n\n"
                    % (DATE.encode(), at, at, body) for at, body in enumerate(bodies))


def uids_of(pop3):
    return [line.split()[1] for line in pop3.uidl()[1]]


def open_descriptor_lock(descriptor):
    """As another program's, though this process may have others on the file."""
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK if hasattr(fcntl, "F_OFD_SETLK") else 37,
                struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))


class Files(unittest.TestCase):
    """Whose files, and which."""

    @in_every_mode
    def test_made_by_postern(self, mode):
        """A system user's spool is that user's, with the folder's group; rootless, the server's."""
        with SpoolServer(mode) as server:
            server.send(b"Subject: one\r\n\r\nOne.\r\n", ALICE)
            made = os.stat(server.path("alice"))
            self.assertEqual(made.st_uid, server.owner("alice"))
            if server.owner("alice") == UIDS["alice"]:
                self.assertEqual(made.st_gid, MAIL_GROUP)
                self.assertEqual(stat.S_IMODE(made.st_mode), 0o660)
            else:
                self.assertEqual(stat.S_IMODE(made.st_mode), 0o600)
            self.assertEqual(os.listdir(server.spool), ["alice"])
            self.assertEqual(server.verify("alice").returncode, 0, server.verify("alice"))

    @in_every_mode
    def test_a_users_own(self, mode):
        """As useradd and MTAs make it: 0600, group of the user. It stays so."""
        with SpoolServer(mode) as server:
            server.write("alice", foreign(b"Zero.", b"One.", b"Two."))
            before = os.stat(server.path("alice"))
            server.send(b"Subject: three\r\n\r\nThree.\r\n", ALICE)
            pop3 = server.login(ALICE)
            self.assertEqual(pop3.stat()[0], 4)
            self.assertIn(b"One.", pop3.retr(2)[1])
            self.assertIn(b"Three.", pop3.retr(4)[1])
            for number in (1, 3, 4):
                pop3.dele(number)
            pop3.quit()
            self.assertEqual(server.content("alice"), foreign(b"Zero.", b"One.")[
                len(foreign(b"Zero.")):])
            after = os.stat(server.path("alice"))
            for name in ("st_uid", "st_gid", "st_mode", "st_ino"):
                self.assertEqual(getattr(after, name), getattr(before, name), name)

    def refuse(self, mode, make, why):
        """Neither login nor delivery takes what `make` puts there; it is unharmed, the log says
        why, and others are served."""
        with SpoolServer(mode) as server:
            other = os.path.join(server.base, "other")
            with open(other, "wb") as stream:
                stream.write(foreign(b"Another's."))
            os.chown(other, server.owner("alice"), server.owner("alice"))
            make(server, server.path("alice"), other)
            before = os.lstat(server.path("alice"))
            since = server.mark()
            pop3 = server.connect()
            pop3.user(ALICE)
            answer = refused(pop3.pass_, SECRET)
            self.assertRegex(answer, rb"\[SYS/(PERM|TEMP)\]")
            server.wait_for("store: .*while=login error=.*" + why, since=since)
            with self.assertRaises(smtplib.SMTPDataError) as given:
                server.send(b"Subject: x\r\n\r\nx\r\n", ALICE)
            self.assertEqual(given.exception.smtp_code, 451)
            server.wait_for("delivery: .*error=.*" + why, since=since)
            after = os.lstat(server.path("alice"))
            self.assertEqual((after.st_ino, after.st_size, after.st_mode, after.st_uid),
                             (before.st_ino, before.st_size, before.st_mode, before.st_uid))
            with open(other, "rb") as stream:
                self.assertEqual(stream.read(), foreign(b"Another's."))
            server.send(b"Subject: y\r\n\r\ny\r\n", address("bob"))
            self.assertEqual(server.login(address("bob")).stat()[0], 1)
            self.assertEqual(sorted(os.listdir(server.spool)), ["alice", "bob"])

    @in_every_mode
    def test_symbolic_link(self, mode):
        self.refuse(mode, lambda _, path, other: os.symlink(other, path), "symbolic link")

    @in_every_mode
    def test_dangling_link(self, mode):
        """Nothing is made where it points."""
        self.refuse(mode, lambda server, path, _: os.symlink(server.base + "/no", path),
                    "symbolic link")

    @in_every_mode
    def test_second_name(self, mode):
        self.refuse(mode, lambda _, path, other: os.link(other, path), "second name")

    @in_every_mode
    def test_fifo(self, mode):
        """Nobody is at its other end: whoever opened it as a file would wait for ever."""
        def make(server, path, _):
            os.mkfifo(path, 0o600)
            os.chown(path, server.owner("alice"), server.owner("alice"))
        self.refuse(mode, make, "not a regular file")

    @in_every_mode
    def test_folder(self, mode):
        def make(server, path, _):
            os.mkdir(path)
            os.chown(path, server.owner("alice"), server.owner("alice"))
        self.refuse(mode, make, "not a regular file")

    @unittest.skipUnless(INSIDE in os.environ, "started as root only")
    def test_anothers(self):
        """A spool that belongs to another user, or to root, whatever its mode allows."""
        for owner in (UIDS["bob"], 0):
            def make(_, path, other, owner=owner):
                shutil.copy(other, path)
                os.chown(path, owner, MAIL_GROUP)
                os.chmod(path, 0o666)
            with self.subTest(owner=owner):
                self.refuse(modes()[0], make, "not permitted")


class Locks(unittest.TestCase):
    """Those of other programs."""

    def held(self, mode, take, who):
        """With a lock held by another program a delivery, a login that must read, and a removal
        are refused in bounded time, and the log says why; nothing is lost."""
        with SpoolServer(mode, users=THREE) as server:
            for user in THREE:
                server.write(user, foreign(b"One.", b"Two."))
            session = server.login(address("bob"))
            session.sock.settimeout(LOCKED)
            session.dele(1)
            answers = {}

            def deliver():
                with smtplib.LMTP("127.0.0.1", server.ports["lmtp"], timeout=LOCKED) as lmtp:
                    try:
                        lmtp.sendmail("x@example.net", [ALICE], b"Subject: x\r\n\r\nx\r\n")
                    except smtplib.SMTPDataError as problem:
                        answers["delivery"] = problem.smtp_code

            def login():
                pop3 = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=LOCKED)
                pop3.user(address("carol"))
                answers["login"] = refused(pop3.pass_, SECRET)

            def remove():
                answers["removal"] = refused(session.quit)

            release = [take(server, user) for user in THREE]
            since = server.mark()
            threads = [threading.Thread(target=work) for work in (login, remove, deliver)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertRegex(answers["login"], rb"\[(IN-USE|SYS/TEMP)\]")
            self.assertIn(b"-ERR", answers["removal"])
            self.assertEqual(answers["delivery"], 451)
            for line in ("store: .*while=login", "store: .*while=update", "delivery: .*temporary"):
                server.wait_for(line + ".*error=.*" + who, since=since)
            for done in release:
                done()
            for user in THREE:
                self.assertEqual(server.content(user), foreign(b"One.", b"Two."))
            server.send(b"Subject: x\r\n\r\nx\r\n", ALICE)
            self.assertEqual(server.login(ALICE).stat()[0], 3)
            self.assertEqual(sorted(os.listdir(server.spool)), sorted(THREE))

    def test_held(self):
        """A dotlock of a program that lives, which the log names, and a kernel lock; both at once,
        because either is waited for half a minute."""
        def dotlock(server, user):
            path = server.path(user) + ".lock"
            with open(path, "x", encoding="utf-8") as lock:
                lock.write("%d\n" % os.getpid())
            return lambda: os.unlink(path)

        def kernel_lock(server, user):
            spool = os.open(server.path(user), os.O_RDWR)
            open_descriptor_lock(spool)
            return lambda: os.close(spool)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            for done in [pool.submit(self.held, modes()[0], *words) for words in (
                    (dotlock, "process %d holds" % os.getpid()),
                    (kernel_lock, "another program is using the spool"))]:
                done.result()

    @in_every_mode
    def test_stale_dotlock(self, mode):
        """Of a program that is no more, or of one that has held it for longer than anybody does."""
        with SpoolServer(mode) as server:
            server.write("alice", foreign(b"One."))
            for content, age in ((b"%d\n" % NO_PROCESS, 0), (b"0", 400), (b"", 400)):
                with self.subTest(content=content):
                    path = server.path("alice") + ".lock"
                    with open(path, "xb") as lock:
                        lock.write(content)
                    if os.getuid() == 0:
                        os.chown(path, server.owner("alice"), MAIL_GROUP)
                    os.utime(path, (time.time() - age, time.time() - age))
                    server.send(b"Subject: x\r\n\r\nx\r\n", ALICE)
                    self.assertFalse(os.path.exists(path))


    @in_every_mode
    def test_linked_dotlock(self, mode):
        """Exim makes its dotlock by linking: for a moment it has two names. That is a lock as any
        other, and waited for."""
        with SpoolServer(mode) as server:
            server.write("alice", foreign(b"One."))
            names = [server.path("alice") + end for end in (".lock", ".lock.peer.65f3a")]
            with open(names[1], "x", encoding="utf-8") as lock:
                lock.write("%d\n" % os.getpid())
            os.link(names[1], names[0])
            pop3 = server.connect()
            pop3.user(ALICE)
            pop3.sock.sendall(b"PASS %s\r\n" % SECRET.encode())
            # Many others come and go before it is given back.
            for _ in range(20):
                server.login(address("bob")).quit()
            for name in names:
                os.unlink(name)
            self.assertTrue(pop3.file.readline().startswith(b"+OK"))
            self.assertEqual(pop3.stat()[0], 1)


class Changes(unittest.TestCase):
    """What another program does to the file below a session that has seen three messages."""

    def check(self, mode, change, after):
        """`change(path)`, then RETR of the last and QUIT: neither gets its mark of success, and
        nothing but what `change` did has happened to the file."""
        for command in ("retr", "quit"):
            with self.subTest(command=command), SpoolServer(mode) as server:
                server.write("alice", foreign(b"One.", b"Two.", b"Three."))
                pop3 = server.login(ALICE)
                pop3.dele(2)
                since = server.mark()
                change(server.path("alice"))
                if command == "retr":
                    with self.assertRaises((OSError, poplib.error_proto)) as given:
                        pop3.retr(3)
                    if isinstance(given.exception, poplib.error_proto):
                        self.assertEqual(given.exception.args[0], "-ERR EOF")
                    server.wait_for("session-end: .*changed by another program", since=since)
                else:
                    self.assertIn(b"-ERR", refused(pop3.quit))
                self.assertEqual(os.path.exists(server.path("alice")), after is not None)
                if after is not None:
                    self.assertEqual(server.content("alice"), after)
                self.assertEqual(server.login(ALICE).stat()[0],
                                 after.count(b"From carol") if after else 0)

    @in_every_mode
    def test_shrunk(self, mode):
        """Another program has removed the last."""
        less = foreign(b"One.", b"Two.")
        self.check(mode, lambda path: os.truncate(path, len(less)), less)

    @in_every_mode
    def test_emptied(self, mode):
        self.check(mode, lambda path: os.truncate(path, 0), b"")

    @in_every_mode
    def test_rewritten(self, mode):
        """In its place, as mail readers do: as long as before, with other messages."""
        other = foreign(b"ONE.", b"TWO.", b"THREE.")

        def change(path):
            with open(path, "r+b") as spool:
                spool.write(other)
        self.check(mode, change, other)

    def replaced(self, mode, change, after):
        """The session keeps the file that it has seen; at the end it is another's."""
        with SpoolServer(mode) as server:
            server.write("alice", foreign(b"One.", b"Two."))
            pop3 = server.login(ALICE)
            self.assertIn(b"Two.", pop3.retr(2)[1])
            pop3.dele(1)
            change(server)
            self.assertIn(b"-ERR", refused(pop3.quit))
            self.assertEqual(os.path.exists(server.path("alice")), after is not None)
            if after:
                self.assertEqual(server.content("alice"), after)
            self.assertEqual(server.login(ALICE).stat()[0], after.count(b"From carol") if after
                             else 0)

    @in_every_mode
    def test_replaced(self, mode):
        """By one that looks the same, too: another program may have it open."""
        for after in (foreign(b"One.", b"Two."), foreign(b"Three.")):
            def change(server, after=after):
                os.unlink(server.path("alice"))
                server.write("alice", after)
            with self.subTest(after=after):
                self.replaced(mode, change, after)

    @in_every_mode
    def test_vanished(self, mode):
        self.replaced(mode, lambda server: os.unlink(server.path("alice")), None)

    @in_every_mode
    def test_grown(self, mode):
        """More mail is no reason to refuse anything, and is not removed."""
        with SpoolServer(mode) as server:
            server.write("alice", foreign(b"One.", b"Two."))
            pop3 = server.login(ALICE)
            for number in (1, 2):
                pop3.dele(number)
            with open(server.path("alice"), "ab") as spool:
                spool.write(foreign(b"Three."))
            pop3.quit()
            self.assertEqual(server.content("alice"), foreign(b"Three."))


MUTT = shutil.which("mutt")


@unittest.skipUnless(MUTT, "mutt is not installed")
class Reader(unittest.TestCase):
    """A mail reader that flags messages, removes one, and saves the file in its own way."""

    def mutt(self, server, user, keys):
        folder = os.path.join(server.base, "home")
        os.makedirs(folder, exist_ok=True)
        uid = server.owner(user)
        rc = os.path.join(folder, "rc")
        with open(rc, "w", encoding="utf-8") as text:
            text.write("set quit=yes delete=yes resolve=no move=no sleep_time=0 wait_key=no header_cache=''\n"
                       "set tmpdir=%s folder=%s beep=no timeout=5 mail_check=0\n"
                       "push '%s'\n" % (folder, folder, keys))
        if os.getuid() == 0:
            os.chown(folder, uid, uid)
        child, terminal = pty.fork()
        if child == 0:
            if os.getuid() == 0:
                os.setgroups([MAIL_GROUP])
                os.setgid(uid)
                os.setuid(uid)
            os.environ.update({"HOME": folder, "TERM": "xterm", "LC_ALL": "C.UTF-8"})
            os.execv(MUTT, ["mutt", "-n", "-F", rc, "-f", server.path(user)])
        screen, end = b"", time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                octets = os.read(terminal, 65536)
            except OSError:
                break
            screen += octets
        else:
            os.kill(child, 9)
        os.close(terminal)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0, screen[-3000:])

    @in_every_mode
    def test_unique_ids_stay(self, mode):
        with SpoolServer(mode) as server:
            server.write("alice", foreign(b"One.", b"Two.", b"Three.", b"Two."))
            server.send(b"Subject: five\r\n\r\nFive.\r\nFrom me\r\n", ALICE)
            pop3 = server.login(ALICE)
            before = uids_of(pop3)
            pop3.quit()
            self.assertEqual(len(set(before)), 5)
            octets = server.content("alice")
            self.mutt(server, "alice", "<first-entry><flag-message><next-entry><next-entry>"
                                       "<delete-message><last-entry><display-message><exit>"
                                       "<sync-mailbox><exit>")
            self.assertNotEqual(server.content("alice"), octets)
            self.assertIn(b"\nX-Status: F\n", server.content("alice"))
            pop3 = server.login(ALICE)
            self.assertEqual(uids_of(pop3), before[:2] + before[3:])
            self.assertEqual(pop3.retr(4)[1][-2:], [b"Five.", b"From me"])
            self.assertIn(b"One.", pop3.retr(1)[1])


@unittest.skipUnless(INSIDE in os.environ, "needs a mount namespace")
class Disks(unittest.TestCase):
    def mount(self, server, options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", server.spool], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", server.spool], check=False)
        server.make_folder()

    @in_every_mode
    def test_full(self, mode):
        """Deliveries are refused with 452; whoever deletes gets room."""
        server = SpoolServer(mode)
        self.mount(server, "size=256k")
        with server:
            message = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 500
            count = 0
            with self.assertRaises(smtplib.SMTPDataError) as given:
                for count in range(20):
                    server.send(message, ALICE)
            self.assertEqual(given.exception.smtp_code, 452)
            self.assertGreater(count, 2)
            pop3 = server.login(ALICE)
            self.assertEqual(pop3.stat()[0], count)
            uids = uids_of(pop3)
            for number in range(1, count + 1):
                self.assertEqual(pop3.retr(number)[1].count(b"x" * 70), 500)
            pop3.dele(1)
            pop3.dele(3)
            pop3.quit()
            server.send(message, ALICE)
            pop3 = server.login(ALICE)
            self.assertEqual(uids_of(pop3)[:-1], uids[1:2] + uids[3:])
            pop3.quit()
            self.assertEqual(server.verify("alice").returncode, 0, server.verify("alice"))

    @in_every_mode
    def test_read_only(self, mode):
        """A disk that cannot be written: nothing is taken, and what is there is unharmed."""
        server = SpoolServer(mode)
        self.mount(server, "size=256k")
        with server:
            server.write("alice", foreign(b"One.", b"Two."))
            server.login(ALICE).quit()
            subprocess.run(["mount", "-o", "remount,ro", server.spool], check=True)
            with self.assertRaises(smtplib.SMTPDataError) as given:
                server.send(b"Subject: x\r\n\r\nx\r\n", ALICE)
            self.assertEqual(given.exception.smtp_code // 100, 4)
            server.wait_for("delivery: .*Read-only file system")
            pop3 = server.connect()
            pop3.user(ALICE)
            self.assertRegex(refused(pop3.pass_, SECRET), rb"\[SYS/(PERM|TEMP)\]")
            server.wait_for("store: .*while=login .*Read-only file system")
            self.assertEqual(server.content("alice"), foreign(b"One.", b"Two."))
            subprocess.run(["mount", "-o", "remount,rw", server.spool], check=True)
            server.send(b"Subject: x\r\n\r\nx\r\n", ALICE)
            self.assertEqual(server.login(ALICE).stat()[0], 3)

    @in_every_mode
    def test_folder_without_write(self, mode):
        """No dotlock can be made in it: the kernel lock must do. (Root writes all the same.)"""
        with SpoolServer(mode) as server:
            server.write("alice", foreign(b"One.", b"Two."))
            os.chmod(server.spool, 0o555)
            server.send(b"Subject: x\r\n\r\nx\r\n", ALICE)
            pop3 = server.login(ALICE)
            self.assertEqual(pop3.stat()[0], 3)
            pop3.dele(1)
            pop3.quit()
            self.assertTrue(server.content("alice").startswith(b"From carol"))
            self.assertEqual(server.login(ALICE).stat()[0], 2)


# Content of a file that another program has left, and how many messages there are in it.
NO_MAILBOXES = (
    ("nothing", b"", 0),
    ("zeroes", bytes(100000), 0),
    ("octets of all kinds", bytes(range(256)) * 400, 0),
    ("an executable", b"\x7fELF" + os.urandom(5000) + b"\nFrom nowhere\n", 0),
    ("one word", b"hello", 0),
    ("blank lines", b"\n\n\n", 0),
    ("no final newline", foreign(b"One.", b"Two.").rstrip(b"\n"), 2),
    ("cut in a From line", foreign(b"One.") + b"From ca", 2),
    ("CRLF", foreign(b"One.", b"Two.").replace(b"\n", b"\r\n"), 2),
    ("a line of 10 MB", foreign(b"x" * (10 << 20), b"Two."), 2),
    ("10 MB without a line end", b"x" * (10 << 20), 0),
    ("only From lines", b"From a %s\n" % DATE.encode() * 1000, 1000),
    ("NUL in a message", foreign(b"One.\0", b"\0\0\0\n\0"), 2),
)


class NoMailboxes(unittest.TestCase):
    @in_every_mode
    def test_all(self, mode):
        """Each is served; a delivery behind it is whole; all that was there stays as it is when
        that is removed."""
        with SpoolServer(mode) as server:
            for name, octets, count in NO_MAILBOXES:
                with self.subTest(content=name):
                    server.write("alice", octets)
                    self.check(server, octets, count)

    def check(self, server, octets, count):
        pop3 = server.login(ALICE)
        self.assertEqual(pop3.stat()[0], count)
        uids = uids_of(pop3)
        self.assertEqual(len(set(uids)), count)
        sizes = [int(line.split()[1]) for line in pop3.list()[1]]
        for number in range(1, min(count, 3) + 1):
            poplib._MAXLINE = 1 << 25
            lines = pop3.retr(number)[1]
            self.assertEqual(sum(len(line) + 2 for line in lines), sizes[number - 1])
        pop3.quit()
        self.assertEqual(server.content("alice"), octets)
        server.send(b"Subject: x\r\n\r\nLast.\r\n", ALICE)
        pop3 = server.login(ALICE)
        self.assertEqual(uids_of(pop3)[:-1], uids)
        self.assertEqual(pop3.stat()[0], count + 1)
        self.assertEqual(pop3.retr(count + 1)[1][-1], b"Last.")
        pop3.dele(count + 1)
        pop3.quit()
        self.assertEqual(server.content("alice")[:len(octets)], octets)
        self.assertLessEqual(len(server.content("alice")), len(octets) + 2)
        self.assertEqual(server.login(ALICE).stat()[0], count)


if __name__ == "__main__":
    main()
