#!/usr/bin/env python3
"""account_set_test: what may be changed of an account, its mail converted and moved, the domains."""

import json
import os
import signal
import sqlite3
import subprocess
import time
import unittest

from scene import CONFIG, Case, DATAERR, NOBODY, NOUSER, OK, USAGE


class Rows(Case):
    def shown(self, name):
        return json.loads(self.postern("account", "show", name, "--json").out)

    def set(self, *words, code=OK, octets=b""):
        return self.postern("account", "set", *words, code=code, octets=octets)

    def test_each_option(self):
        self.add("alice@example.org", "--alias", "sales")
        rows = [
            (["--quota", "1G"], "quota", 1 << 30),
            (["--quota", "5"], "quota", 5),
            (["--quota", "2k"], "quota", 2048),
            (["--quota", "8388607T"], "quota", 8388607 << 40),
            (["--quota", "0"], "quota", 0),
            (["--quota-messages", "4294967295"], "quota_messages", 4294967295),
            (["--quota-messages", "0"], "quota_messages", 0),
            (["--disable"], "disabled", True),
            (["--enable"], "disabled", False),
            (["--alias", "info"], "aliases", ["info@example.org", "sales@example.org"]),
            (["--remove-alias", "sales", "--catch-all", "Example.ORG"], "aliases",
             ["@example.org", "info@example.org"]),
            (["--remove-alias", "@example.org", "--remove-alias", "info@example.org"], "aliases",
             []),
        ]
        for words, key, value in rows:
            with self.subTest(words=words):
                self.assertEqual(self.set("alice", *words).out, "changed alice@example.org\n")
                self.assertEqual(self.shown("alice")[key], value)

    def test_refused(self):
        self.add("alice@example.org")
        self.add("bob@example.org")
        before = self.postern("account", "list", "--json").out
        rows = [
            ([], USAGE, "what is to be changed"),
            (["alice"], USAGE, "what is to be changed"),
            (["--quota", "1"], USAGE, "which account"),
            (["alice", "--default-domain", "example.org"], USAGE, "belong to no account"),
            (["alice", "--enable", "--disable"], USAGE, "exclude"),
            (["alice", "--apop", "--no-apop"], USAGE, "exclude"),
            (["alice", "--disable", "--password-file", "-"], USAGE, "--apop"),
            (["alice", "--quota", "-1"], USAGE, "no quota"),
            (["alice", "--store", "mh"], USAGE, "no store mh"),
            (["alice", "--path", "/etc/passwd"], USAGE, "no mail root"),
            (["alice", "--path", "a/../b"], USAGE, "begins with a dot"),
            (["alice", "--path", "example.org/bob"], DATAERR, "belongs to bob"),
            (["alice", "--path", "example.org"], DATAERR, "one inside the other"),
            (["carol", "--disable"], NOUSER, "no account or alias carol"),
            (["alice", "--alias", "bob"], DATAERR, "already an account"),
            # Nothing of a command that fails is done.
            (["alice", "--alias", "new", "--remove-alias", "old"], NOUSER, "no alias old"),
            (["alice", "--alias", "new", "--quota", "1", "--alias", "bob"], DATAERR, "already"),
            (["alice", "--store", "maildir", "--alias", "bob"], DATAERR, "already"),
            (["--domain-alias", "a.example"], USAGE, "NEW=OLD"),
            (["--domain-alias", "a.example=b.example"], DATAERR, "no local domain"),
            (["--default-domain", "b.example"], DATAERR, "no local domain"),
        ]
        for words, code, text in rows:
            with self.subTest(words=words):
                self.assertIn(text, self.set(*words, code=code).errors)
                self.assertEqual(self.postern("account", "list", "--json").out, before)

    def test_domains(self):
        self.add("alice@example.org")
        self.add("bob@example.com")
        self.set("--domain-alias", "example.net=example.org")
        self.assertEqual(self.shown("alice@example.net")["name"], "alice@example.org")
        self.set("--default-domain", "example.com")
        self.assertEqual(self.shown("bob")["name"], "bob@example.com")
        self.assertEqual(json.loads(self.postern("account", "list", "--domains", "--json").out),
                         {"default": "example.com", "aliases": {"example.net": "example.org"}})
        self.assertIn("example.net", self.postern("account", "list", "--domains").out)
        self.set("--remove-domain-alias", "example.net")
        self.postern("account", "show", "alice@example.net", code=NOUSER)

    def test_apop(self):
        """The secret lies in a file of its own, and goes with consent and account."""
        file = os.path.join(self.root, "accounts/apop.db")

        def secrets():
            with sqlite3.connect(file) as database:
                return [row[0] for row in database.execute("SELECT secret FROM secret")]

        self.add("alice@example.org", password=b"tanstaaf\n")
        self.assertFalse(os.path.exists(file))
        self.assertIn("not the password", self.set("alice", "--apop", "--password-file", "-",
                                                   octets=b"wrong\n", code=DATAERR).errors)
        self.set("alice", "--apop", "--password-file", "-", octets=b"tanstaaf\n")
        self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
        self.assertEqual(secrets(), ["tanstaaf"])
        self.assertTrue(self.shown("alice")["apop"])
        self.postern("account", "passwd", "alice", "--password-file", "-", octets=b"other\n")
        self.assertEqual(secrets(), ["other"])
        self.set("alice", "--no-apop")
        self.assertEqual(secrets(), [])
        self.assertFalse(self.shown("alice")["apop"])
        self.add("bob", "--apop", password=b"both\n")
        self.assertEqual(secrets(), ["both"])
        self.postern("account", "remove", "bob")
        self.assertEqual(secrets(), [])
        with open(file, "rb") as stream:
            self.assertNotRegex(stream.read(), b"tanstaaf|other|both")


class Moves(Case):
    def setUp(self):
        super().setUp()
        self.add("alice@example.org")
        self.messages = [b"Subject: %d\n\nFrom me\n>From you\n%s\n" % (n, b"x" * (n * 997))
                         for n in range(40)]
        mbox = b"".join(b"From bob@example.net Sun Nov 22 02:01:%02d 2026\n%s\n" %
                        (n, message.replace(b"\n>From", b"\n>>From").replace(b"\nFrom", b"\n>From"))
                        for n, message in enumerate(self.messages))
        self.postern("mailbox", "import", "alice", self.write("in.mbox", mbox))
        self.listing = self.postern("mailbox", "list", "alice").out
        self.assertEqual(len(self.listing.splitlines()), 40)

    def set(self, *words, code=OK):
        return self.postern("account", "set", "alice", *words, code=code)

    def account(self):
        return json.loads(self.postern("account", "show", "alice", "--json").out)

    def check(self):
        """The same messages, octets and unique-ids, and nothing left over."""
        self.assertEqual(self.postern("mailbox", "list", "alice").out, self.listing)
        self.assertIn(", 0 findings", self.postern("mailbox", "verify", "alice").out)
        for number in (1, 7, 40):
            shown = self.postern("mailbox", "show", "alice", str(number))
            self.assertEqual(shown.stdout, self.messages[number - 1])
        self.assertEqual([name for name in os.listdir(os.path.join(self.root, "journal"))
                          if "move" in name], [])

    def test_there_and_back(self):
        rows = [
            (["--store", "maildir"], "maildir", "example.org/alice~maildir"),
            (["--store", "mbox"], "mbox", "example.org/alice"),
            (["--path", "elsewhere/a"], "mbox", "elsewhere/a"),
            (["--store", "maildir", "--path", "elsewhere/b"], "maildir", "elsewhere/b"),
            (["--path", "elsewhere/c"], "maildir", "elsewhere/c"),
            (["--store", "mbox"], "mbox", "example.org/alice"),
            (["--store", "maildir"], "maildir", "example.org/alice~maildir"),
        ]
        old = os.path.join(self.root, "mail/example.org/alice")
        for words, store, path in rows:
            with self.subTest(words=words):
                self.assertIn(f"as {store}: 40 messages", self.set(*words).out)
                account = self.account()
                self.assertEqual((account["store"], account["path"]), (store, path))
                self.check()
        self.assertFalse(os.path.exists(old))
        self.assertEqual(self.set("--store", "maildir").out,
                         "alice@example.org is there already\n")

    def test_further_mail_root(self):
        far = os.path.join(self.folder, "far")
        self.assertIn("no mail root", self.set("--path", f"{far}/alice", code=USAGE).errors)
        self.write("root/postern.conf", f"[serve]\nmail-root = {far}\n".encode())
        self.assertIn("cannot be opened",
                      self.set("--path", f"{far}/alice", code=CONFIG).errors)
        os.mkdir(far)
        if os.geteuid() == 0:
            os.chown(far, NOBODY, NOBODY)
        self.set("--path", f"{far}/alice")
        self.assertTrue(os.path.isfile(f"{far}/alice"))
        self.assertEqual((self.account()["mail_root"], self.account()["path"]), (1, "alice"))
        self.check()
        os.unlink(os.path.join(self.root, "postern.conf"))
        self.assertIn("does not name",
                      self.postern("mailbox", "list", "alice", code=CONFIG).errors)

    def test_something_is_there(self):
        self.write("root/mail/taken", b"From x\n\n")
        self.set("--path", "taken", code=DATAERR)
        self.assertEqual(self.account()["path"], "example.org/alice")
        self.check()

    def test_alias_names_the_account(self):
        self.postern("account", "set", "alice", "--alias", "sales")
        self.assertIn("as maildir", self.postern("account", "set", "sales", "--store",
                                                 "maildir").out)
        self.check()

    def test_killed(self):
        """Ended at any moment: the mail is where the account says, and the same command goes on."""
        for round_number in range(30):
            store = "maildir" if self.account()["store"] == "mbox" else "mbox"
            process = subprocess.Popen(
                [self.program, "--root", self.root, "account", "set", "alice", "--store", store],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                **self.options())
            time.sleep(0.0015 * round_number)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self.assertEqual(self.postern("mailbox", "list", "alice").out, self.listing)
            self.set("--store", store)
            self.assertEqual(self.account()["store"], store)
            self.check()


if __name__ == "__main__":
    unittest.main(verbosity=1)
