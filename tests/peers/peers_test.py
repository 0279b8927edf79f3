#!/usr/bin/env python3
"""The peers themselves: each rival takes a message and hands it out, each MTA hands over to a
running Postern by LMTP and delivers into a spool, and script/peers starts and stops them."""

import glob
import os
import poplib
import re
import smtplib
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
sys.path[0:1] = [os.path.join(REPOSITORY, "tests"), os.path.join(REPOSITORY, "tests/server")]

import harness  # noqa: E402
import peers  # noqa: E402

MESSAGE = (b"From: bob@example.net\nTo: alice@example.org\nDate: Mon, 01 Jan 2024 10:00:00 +0000\n"
           b"Message-ID: <whole@example.net>\nSubject: whole\nMIME-Version: 1.0\n"
           b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
           b"A line.\n.\n..\n.two dots and one\n\nFrom here to there\n>From there\n"
           b"\xc3\xa4\xc3\xb6\xc3\xbc\n" + b"long " * 190 + b"\n\nthe last line\n")
USERS = [("alice", "correct horse"), ("bob", "battery staple")]
# Deliveries of mbox files quote lines that begin with From; this is not about them.
PLAIN = MESSAGE.replace(b"From here", b"From-here").replace(b">From there", b">there")


def whole(lines, message):
    """Whether a retrieved message ends as the one that was sent, below what was put on top."""
    got = b"\n".join(lines).rstrip(b"\n")
    wanted = message.rstrip(b"\n")
    head, _, body = wanted.partition(b"\n\n")
    return got.endswith(b"\n\n" + body) and all(
        line in got.split(b"\n") for line in head.split(b"\n"))


@unittest.skipIf(peers.why_not(), peers.why_not())
class Rivals(unittest.TestCase):
    def check(self, kind, **settings):
        with kind(USERS, **settings) as rival:
            rival.deliver("alice", PLAIN)
            rival.fill("alice", [PLAIN.replace(b"whole", b"number %d" % i) for i in range(20)])
            pop3 = rival.login("alice")
            self.assertEqual(pop3.stat()[0], 21)
            lines = pop3.retr(1)[1]
            self.assertTrue(whole(lines, PLAIN), lines)
            uids = pop3.uidl()[1]
            pop3.dele(1)
            pop3.quit()
            pop3 = rival.login("alice")
            self.assertEqual(pop3.stat()[0], 20)
            self.assertEqual([line.split()[1] for line in pop3.uidl()[1]],
                             [line.split()[1] for line in uids[1:]])
            self.assertIn(b"number 19", b"".join(pop3.retr(20)[1]))
            pop3.quit()
            self.assertEqual(rival.login("bob").stat()[0], 0)
            with self.assertRaises(poplib.error_proto):
                rival.login("alice", "wrong")
            if rival.has_tls:
                self.check_tls(rival)

    def check_tls(self, rival):
        context = ssl._create_unverified_context()
        for pop3 in (poplib.POP3_SSL("127.0.0.1", rival.pop3s_port, context=context, timeout=60),
                     rival.connect()):
            if not isinstance(pop3, poplib.POP3_SSL):
                pop3.stls(context)
            pop3.user("alice")
            pop3.pass_("correct horse")
            self.assertEqual(pop3.stat()[0], 20)
            pop3.quit()

    def test_dovecot_maildir(self):
        self.check(peers.Dovecot, store="maildir")

    def test_dovecot_mbox(self):
        self.check(peers.Dovecot, store="mbox")

    def test_courier(self):
        self.check(peers.Courier)

    def test_cyrus(self):
        self.check(peers.Cyrus)

    def test_mailutils(self):
        self.check(peers.Mailutils)

    def test_popa3d(self):
        self.check(peers.Popa3d)

    def test_nothing_stays(self):
        """After close() there is no process and no file."""
        rival = peers.Dovecot(USERS).start()
        base, keeper = rival.base, rival.jail.pid
        rival.close()
        self.assertFalse(os.path.exists(base))
        self.assertFalse(os.path.exists(f"/proc/{keeper}"))
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            self.assertNotIn(base, mounts.read())

    def test_nothing_stays_of_a_killed_test(self):
        """Whoever made an instance is killed: the kernel ends what ran in it."""
        script = ("import sys; sys.path.insert(0, sys.argv[1]); import peers\n"
                  "p = peers.Popa3d().start(); print(p.jail.pid, p.base, flush=True)\n"
                  "sys.stdin.read()")
        with subprocess.Popen([sys.executable, "-c", script, os.path.dirname(HERE)], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as maker:
            pid, base = maker.stdout.readline().split()
            maker.kill()
        self.addCleanup(subprocess.run, ["rm", "-rf", base], check=False)
        self.assertTrue(harness.wait_for_end(int(pid), harness.PATIENCE))


@unittest.skipIf(peers.why_not(), peers.why_not())
class HandOver(unittest.TestCase):
    """Each MTA takes mail by SMTP and hands it to Postern by LMTP."""

    def check(self, kind, way):
        accounts = ["alice@example.org", "bob@example.org"]
        with harness.Server(("as root", None), accounts=accounts) as server:
            address = f"unix:{server.root}/run/lmtp.sock" if way == "unix" else \
                f"127.0.0.1:{server.ports['lmtp']}"
            with kind(USERS, lmtp=address) as mta:
                mta.send(MESSAGE, "alice", "bob")
                mta.wait_delivered(2)
            for account in accounts:
                pop3 = server.login(account)
                self.assertEqual(pop3.stat()[0], 1)
                lines = pop3.retr(1)[1]
                self.assertTrue(whole(lines, MESSAGE), lines)
                self.assertEqual(lines[0], b"Return-Path: <sender@example.net>")
                pop3.quit()

    def check_away(self, kind):
        """While nobody listens the MTA keeps the message; then it is handed over, once."""
        port, = peers.free_ports(1)
        with kind(USERS, lmtp=f"127.0.0.1:{port}") as mta:
            mta.send(MESSAGE, "alice")
            mta.log.wait_for(mta.deferred)
            self.assertEqual(mta.queued(), 1)
            with harness.Server(("as root", None), "--lmtp", f"127.0.0.1:{port}") as server:
                mta.flush()
                mta.wait_delivered()
                pop3 = server.login()
                self.assertEqual(pop3.stat()[0], 1)
                self.assertTrue(whole(pop3.retr(1)[1], MESSAGE))

    def test_postfix_away(self):
        self.check_away(peers.Postfix)

    def test_exim_away(self):
        self.check_away(peers.Exim)

    def test_opensmtpd_away(self):
        self.check_away(peers.OpenSmtpd)

    def test_postfix_socket(self):
        self.check(peers.Postfix, "unix")

    def test_postfix_port(self):
        self.check(peers.Postfix, "port")

    def test_exim_socket(self):
        self.check(peers.Exim, "unix")

    def test_exim_port(self):
        self.check(peers.Exim, "port")

    def test_opensmtpd_socket(self):
        self.check(peers.OpenSmtpd, "unix")

    def test_opensmtpd_port(self):
        self.check(peers.OpenSmtpd, "port")


@unittest.skipIf(peers.why_not(), peers.why_not())
class Spools(unittest.TestCase):
    """Each MTA's own local delivery, and procmail, append to mbox files in a folder given."""

    def check(self, kind, **settings):
        with tempfile.TemporaryDirectory() as spool, kind(USERS, spool=spool, **settings) as mta:
            mta.send_many([PLAIN] * 20, "alice", "bob")
            mta.drain(40)
            for user, uid in (("alice", 10001), ("bob", 10002)):
                with open(f"{spool}/{user}", "rb") as mbox:
                    messages = re.split(rb"(?m)^From ", mbox.read())
                self.assertEqual(messages[0], b"")
                self.assertEqual(len(messages), 21)
                self.assertTrue(all(whole(each.split(b"\n"), PLAIN) for each in messages[1:]))
                self.assertEqual(os.stat(f"{spool}/{user}").st_uid, uid)

    def test_postfix(self):
        self.check(peers.Postfix)

    def test_postfix_procmail(self):
        self.check(peers.Postfix, procmail=True)

    def test_exim(self):
        self.check(peers.Exim)

    def test_exim_procmail(self):
        self.check(peers.Exim, procmail=True)

    def test_opensmtpd(self):
        self.check(peers.OpenSmtpd)

    def test_opensmtpd_procmail(self):
        self.check(peers.OpenSmtpd, procmail=True)


class Socketmap(socketserver.StreamRequestHandler):
    """Answers that alice exists: netstrings of "name key"."""

    asked = []

    def handle(self):
        while length := b"".join(iter(lambda: self.rfile.read(1).strip(b":"), b"")):
            question = self.rfile.read(int(length) + 1)[:-1].decode()
            self.asked.append(question)
            answer = b"OK yes" if question == "recipients alice@example.org" else b"NOTFOUND "
            self.wfile.write(b"%d:%s," % (len(answer), answer))


@unittest.skipIf(peers.why_not(), peers.why_not())
class Recipients(unittest.TestCase):
    def check(self, **settings):
        """Postfix asks a table which addresses exist, before it takes mail for them."""
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Socketmap) as table:
            threading.Thread(target=table.serve_forever, daemon=True).start()
            self.addCleanup(table.shutdown)
            name = f"socketmap:inet:127.0.0.1:{table.server_address[1]}:recipients"
            with peers.Postfix(USERS, recipients=name, **settings) as mta:
                with mta.connect() as smtp:
                    smtp.helo()
                    smtp.mail("sender@example.net")
                    self.assertEqual(smtp.rcpt("alice@example.org")[0], 250)
                    self.assertEqual(smtp.rcpt("nobody@example.org")[0], 550)
            table.shutdown()
        self.assertIn("recipients nobody@example.org", Socketmap.asked)

    def test_of_postern(self):
        """Postern's own table: what it would refuse is refused by Postfix, at RCPT. While it is away
        nobody is told that an address does not exist."""
        with harness.Server(("as root", None), "--socketmap", "127.0.0.1:0") as server:
            table = f"socketmap:inet:127.0.0.1:{server.ports['socketmap']}"
            with peers.Postfix(USERS, lmtp=f"unix:{server.root}/run/lmtp.sock",
                               recipients=f"{table}:recipients", domains=f"{table}:domains") as mta:
                with mta.connect() as smtp:
                    smtp.helo()
                    smtp.mail("sender@example.net")
                    for address, code in (("alice@example.org", 250), ("ALICE@Example.ORG", 250),
                                          ("alice+lists@example.org", 250),
                                          ("postmaster@example.org", 250),
                                          ("nobody@example.org", 550)):
                        self.assertEqual(smtp.rcpt(address)[0], code, address)
                    self.assertEqual(smtp.data(MESSAGE)[0], 250)
                mta.wait_delivered(3)  # Postfix takes the second for the first
                self.assertGreaterEqual(server.login().stat()[0], 1)
                self.assertEqual(server.stop(), 0)
                with mta.connect() as smtp:
                    smtp.helo()
                    smtp.mail("sender@example.net")
                    for address in ("alice@example.org", "nobody@example.org"):
                        self.assertEqual(smtp.rcpt(address)[0], 451, address)

    def test_with_lmtp(self):
        self.check(lmtp="127.0.0.1:1")

    def test_with_local_delivery(self):
        self.check()


class Command(unittest.TestCase):
    program = os.path.join(REPOSITORY, "script/peers")

    def command(self, *words, **settings):
        return subprocess.run([self.program, *words], capture_output=True, text=True, check=False,
                              timeout=300, **settings)

    @unittest.skipIf(peers.why_not(), peers.why_not())
    def test_start_and_stop(self):
        started = self.command("start", "popa3d", "opensmtpd")
        self.addCleanup(self.command, "stop", "popa3d", "opensmtpd")
        self.assertEqual(started.returncode, 0, started.stderr)
        port = {name: int(re.search(rf"{name} \w+ 127\.0\.0\.1:(\d+)", started.stdout)[1])
                for name in ("popa3d", "opensmtpd")}
        pids = [int(pid) for pid in re.findall(r"pid (\d+)", started.stdout)]
        pop3 = poplib.POP3("127.0.0.1", port["popa3d"], timeout=60)
        pop3.user("bob")
        pop3.pass_("secret")
        self.assertEqual(pop3.stat(), (0, 0))
        pop3.quit()
        with smtplib.SMTP("127.0.0.1", port["opensmtpd"], timeout=60) as smtp:
            self.assertEqual(smtp.noop()[0], 250)
        again = self.command("start", "popa3d")
        self.assertIn(again.stdout.strip(), started.stdout)
        self.assertEqual(sorted(self.command("status").stdout.splitlines()),
                         sorted(started.stdout.splitlines()))
        self.assertEqual(self.command("stop", "popa3d", "opensmtpd").returncode, 0)
        self.assertNotIn("popa3d", self.command("status").stdout)
        self.assertFalse([pid for pid in pids if harness.is_alive(pid)])
        self.assertEqual(self.command("stop", "popa3d").returncode, 0)

    @unittest.skipIf(peers.why_not(), peers.why_not())
    def test_installed_is_at_once(self):
        self.assertEqual(self.command("install", "popa3d").returncode, 0)
        stamp = os.stat(os.path.join(REPOSITORY, "build/roots/popa3d")).st_ino
        done = self.command("install", "popa3d")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(os.stat(os.path.join(REPOSITORY, "build/roots/popa3d")).st_ino, stamp)

    def test_exit_codes(self):
        self.assertEqual(self.command("--help").returncode, 0)
        self.assertEqual(self.command("list").returncode, 0)
        for words in ([], ["dance"], ["start"], ["start", "sendmail"], ["status", "--loud"]):
            with self.subTest(words=words):
                self.assertEqual(self.command(*words).returncode, 64)

    @unittest.skipIf(os.getuid() != 0, "needs a second uid")
    def test_not_root(self):
        def drop():
            os.setgroups([])
            os.setgid(harness.NOBODY)
            os.setuid(harness.NOBODY)
        done = self.command("install", "popa3d", preexec_fn=drop)
        self.assertEqual(done.returncode, 69)
        self.assertIn("need root", done.stderr)

    @unittest.skipIf(peers.why_not(), peers.why_not())
    def test_wrong_flag(self):
        done = self.command("start", "popa3d", "--procmail")
        self.assertEqual(done.returncode, 69)
        self.assertIn("popa3d has no --procmail", done.stderr)


class Readme(unittest.TestCase):
    def test_names_every_peer(self):
        with open(os.path.join(HERE, "README.md"), encoding="utf-8") as stream:
            text = stream.read()
        for name, kind in peers.PEERS.items():
            self.assertIn(f"`{kind.__name__}`", text, name)
            for package in kind.packages[:1]:
                self.assertIn(package, text)
        for path in glob.glob(os.path.join(HERE, "*.py")):
            self.assertTrue(os.path.basename(path) == "__init__.py" or
                            f"`{os.path.basename(path)}`" in text, path)


if __name__ == "__main__":
    harness.main()
