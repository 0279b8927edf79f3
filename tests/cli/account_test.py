#!/usr/bin/env python3
"""account_test: accounts: added, shown, removed, given passwords."""

import json
import os
import pty
import signal
import sqlite3
import stat
import threading
import unittest

from scene import OK, USAGE, DATAERR, NOINPUT, NOUSER, TEMPFAIL, CONFIG, become_nobody, Case


class Accounts(Case):
    def test_no_instance(self):
        for words in (["account", "list"], ["account", "show", "a@b"], ["account", "remove", "a@b"],
                      ["account", "passwd", "a@b", "--password-file", "-"],
                      ["mailbox", "list", "a@b"], ["mailbox", "verify", "a@b"],
                      ["mailbox", "import", "a@b", "-"]):
            with self.subTest(words=words):
                done = self.postern(*words, octets=b"x", code=CONFIG)
                self.assertIn("there is no instance", done.errors)
        self.assertFalse(os.path.exists(self.root))

    def test_add_and_show(self):
        done = self.add("Alice@Example.ORG", "--alias", "sales", "--alias", "Boss@else.example")
        self.assertIn("added alice@example.org", done.out)
        self.assertIn(f"{self.root}/mail/example.org/alice", done.out)
        self.add("bob")
        for name in ("alice@example.org", "ALICE", "sales", "boss@else.example", "postmaster",
                     "postmaster@else.example"):
            with self.subTest(name=name):
                row = json.loads(self.postern("account", "show", name, "--json").out)
                self.assertEqual(row["name"], "alice@example.org")
                self.assertEqual(row["aliases"], ["boss@else.example", "sales@example.org"])
                self.assertEqual((row["id"], row["store"], row["path"], row["disabled"]),
                                 (1, "mbox", "example.org/alice", False))
                self.assertRegex(row["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        text = self.postern("account", "show", "bob").out
        self.assertIn("name     bob@example.org\n", text)
        self.assertIn("login    allowed\n", text)
        self.assertEqual(self.names(), ["alice@example.org", "bob@example.org"])
        self.assertEqual(len(self.postern("account", "list").out.splitlines()), 2)
        self.assertIn("there is no account or alias carol@example.org",
                      self.postern("account", "show", "carol", code=NOUSER).errors)

    def test_add_refused(self):
        self.add("alice@example.org", "--alias", "sales")
        rows = [
            ("alice@example.org", [], b"x", DATAERR, "already"),
            ("ALICE", [], b"x", DATAERR, "already"),
            ("sales", [], b"x", DATAERR, "already"),
            ("bob", ["--alias", "alice"], b"x", DATAERR, "already an account"),
            ("bob", ["--alias", "bob"], b"x", DATAERR, "already an account"),
            ("bob", ["--alias", "a b"], b"x", DATAERR, "not a name"),
            ("bob", ["--alias", "ok", "--alias", "sales"], b"x", DATAERR, "already an alias"),
            ("", [], b"x", DATAERR, "not a name"),
            ("../../etc/passwd@x", [], b"x", DATAERR, "not a name"),
            ("a@../x", [], b"x", DATAERR, "not a name"),
            ("a\nb@x", [], b"x", DATAERR, r"a\x0ab@x is not a name"),
            ("a'b\"c@x", [], b"x", DATAERR, "not a name"),
            ("\u00e4@x", [], b"x", DATAERR, "not a name"),
            ("/" * 64 + "@" + ".".join(["x" * 63] * 3), [], b"x", DATAERR, "shorter"),
            ("bob", ["--store", "memory"], b"x", USAGE, "no store memory"),
            ("bob", ["--store", "Maildir"], b"x", USAGE, "no store Maildir"),
            ("bob", ["--quota", "1X"], b"x", USAGE, "1X is no quota"),
            ("bob", ["--quota", ""], b"x", USAGE, "is no quota"),
            ("bob", ["--quota", "8388608T"], b"x", USAGE, "is no quota"),
            ("bob", ["--quota-messages", "4294967296"], b"x", USAGE, "no number of messages"),
            ("bob", ["--path", "../x"], b"x", USAGE, "begins with a dot"),
            ("bob", ["--path", "/etc/x"], b"x", USAGE, "no mail root"),
            ("bob", ["--path", "example.org/alice"], b"x", DATAERR, "belongs to alice"),
            ("bob", ["--path", "example.org/alice/x"], b"x", DATAERR, "one inside the other"),
            ("bob", ["--catch-all", "a b"], b"x", DATAERR, "not a domain"),
            ("bob", [], b"", DATAERR, "empty"),
            ("bob", [], b"\n", DATAERR, "empty"),
            ("bob", [], b"a\nb\n", DATAERR, "line end"),
            ("bob", [], b"a\0b", DATAERR, "NUL"),
            ("bob", [], b"x" * 1001, DATAERR, "1000 octets"),
            ("bob", [], b"x" * 10240, 65, "octets"),
        ]
        for name, options, password, code, text in rows:
            with self.subTest(name=name, options=options, password=password[:10]):
                done = self.add(name, *options, password=password, code=code)
                self.assertTrue(done.errors.startswith("postern account add: "), done.errors)
                self.assertIn(text, done.errors)
                self.assertEqual(len(done.errors.splitlines()), 1)
        self.assertEqual(self.names(), ["alice@example.org"])
        done = self.postern("account", "add", "bob", "--password-file", "/no/such", code=NOINPUT)
        self.assertIn("/no/such", done.errors)

    def test_a_mail_root_in_a_wrong_configuration(self):
        """What is wrong there is why no mail root is known."""
        far = os.path.join(self.folder, "far")
        self.add("alice@example.org")
        os.mkdir(far)
        os.chmod(far, 0o777)
        for text, where in [("mail-root = %s\n[serve]\n" % far, "postern.conf line 1"),
                            ("[serve]\nmial-root = %s\n" % far, "postern.conf line 2")]:
            self.write("root/postern.conf", text.encode())
            with self.subTest(text=text):
                done = self.add("bob", "--path", far + "/bob", code=CONFIG)
                self.assertIn("lies below no mail root", done.errors)
                self.assertIn(where, done.errors)
        self.assertEqual(self.names(), ["alice@example.org"])

    def test_aliases_up_to_the_limit(self):
        aliases = [word for n in range(64) for word in ("--alias", f"a{n}@example.org")]
        self.add("alice@example.org", *aliases, "--alias", "more@example.org", code=USAGE)
        self.add("alice@example.org", *aliases)
        row = json.loads(self.postern("account", "show", "alice", "--json").out)
        self.assertEqual(len(row["aliases"]), 64)

    def test_first_account_needs_a_domain(self):
        self.assertIn("no domain", self.add("alice", code=DATAERR).errors)

    def test_names_of_odd_octets(self):
        """Every name that is allowed makes a path of its own below the mail root."""
        for name in ("!#$%&'*+-/=?^_`{|}~@x", "a%2fb@x", "a/b@x", "-rf@x", "x" * 64 + "@x"):
            with self.subTest(name=name):
                self.add(name)
                self.postern("mailbox", "import", "--", name, "-", octets=b"Subject: x\n\n")
                row = json.loads(self.postern("account", "show", "--json", "--", name).out)
                self.assertEqual(row["name"], name)
                path = os.path.join(self.root, "mail", row["path"])
                self.assertEqual(os.path.realpath(path), os.path.realpath(self.root) + "/mail/"
                                 + row["path"])
                self.assertTrue(os.path.isfile(path))

    def test_modes(self):
        self.add("alice@example.org")
        rows = [("", 0o711), ("accounts", 0o700), ("accounts/accounts.db", 0o600), ("mail", 0o700),
                ("index", 0o700), ("journal", 0o700), ("tls", 0o700), ("run", 0o711),
                ("run/locks", 0o700)]
        for name, mode in rows:
            with self.subTest(name=name):
                found = os.stat(os.path.join(self.root, name)).st_mode
                self.assertEqual(stat.S_IMODE(found), mode)

    def verifier(self, name):
        database = sqlite3.connect(os.path.join(self.root, "accounts/accounts.db"))
        self.addCleanup(database.close)
        return database.execute("SELECT verifier FROM credential JOIN account ON id = account"
                                " WHERE name = ?", (name,)).fetchall()

    def test_passwd(self):
        self.add("alice@example.org", "--alias", "sales")
        before = self.verifier("alice@example.org")
        path = self.write("secret", b"another\r\n")
        done = self.postern("account", "passwd", "sales", "--password-file", path)
        self.assertIn("alice@example.org has a new password", done.out)
        after = self.verifier("alice@example.org")
        self.assertEqual((len(before), len(after)), (1, 1))
        self.assertNotEqual(before, after)
        self.assertTrue(after[0][0].startswith("$argon2id$v=19$m=19456,t=2,p=1$"))
        self.assertNotIn("another", after[0][0])
        self.postern("account", "passwd", "bob", "--password-file", path, code=NOUSER)
        self.postern("account", "passwd", "alice", "--password-file", "-", octets=b"", code=DATAERR)
        self.assertEqual(self.verifier("alice@example.org"), after)

    def test_remove(self):
        self.add("alice@example.org", "--alias", "sales")
        self.add("bob")
        mail = os.path.join(self.root, "mail/example.org/alice")
        self.postern("mailbox", "import", "alice", "-", octets=b"Subject: kept\n\n")
        done = self.postern("account", "remove", "sales", code=USAGE)
        self.assertIn("is an alias of alice@example.org", done.errors)
        done = self.postern("account", "remove", "alice")
        self.assertEqual(done.out, "removed alice@example.org; its mail is kept in "
                         f"{mail}\n")
        self.assertTrue(os.path.isfile(mail))
        self.assertEqual(self.names(), ["bob@example.org"])
        self.postern("account", "remove", "alice@example.org", code=NOUSER)
        self.postern("account", "show", "sales", code=NOUSER)
        self.add("alice@example.org")
        self.assertEqual(self.postern("mailbox", "show", "alice", "1").out, "Subject: kept\n\n")
        self.assertGreater(json.loads(self.postern("account", "show", "alice", "--json").out)["id"],
                           2)
        done = self.postern("account", "remove", "alice", "--delete-mail")
        self.assertFalse(os.path.exists(mail))

    def test_remove_that_was_interrupted(self):
        """Between the maildrop and the row: the same command ends the work."""
        for options in ([], ["--delete-mail"]):
            self.add("alice@example.org")
            self.postern("mailbox", "import", "alice@example.org", "-", octets=b"Subject: x\n\n")
            other = sqlite3.connect(os.path.join(self.root, "accounts/accounts.db"))
            other.execute("BEGIN IMMEDIATE")
            self.postern("account", "remove", "alice@example.org", *options, code=TEMPFAIL)
            other.rollback()
            other.close()
            self.postern("account", "remove", "alice@example.org", *options)
            self.assertEqual(self.names(), [])

    def test_remove_before_any_mail(self):
        self.add("alice@never.example")
        self.postern("account", "remove", "alice@never.example", "--delete-mail")
        self.assertEqual(self.names(), [])

    def test_without_a_terminal(self):
        done = self.run_plain("--root", self.root, "account", "add", "a@b", start_new_session=True)
        self.assertEqual(done.returncode, USAGE, done.errors)
        self.assertIn("--password-file", done.errors)

    def prompt(self, typed):
        """Runs `account add` on a terminal of its own and types one answer a question."""
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(self.folder)
            if os.geteuid() == 0:
                become_nobody()
            os.execve(self.program, ["postern", "--root", self.root, "account", "add",
                                     "alice@example.org"], self.options()["env"])
        said = b""
        answers = list(typed)
        while True:
            try:
                octets = os.read(terminal, 4096)
            except OSError:
                break
            if not octets:
                break
            said += octets
            if octets.rstrip(b" ").endswith(b":") and answers:
                os.write(terminal, answers.pop(0))
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said

    def test_prompt(self):
        rows = [
            ([b"one secret\n", b"other\n"], DATAERR, b"differ"),
            ([b"\n"], DATAERR, b"empty"),
            ([b"\x04"], NOINPUT, b"no password was typed"),
            ([b"\x03"], -signal.SIGINT, b""),
            ([b"one secret\n", b"one secret\n"], OK, b"added alice@example.org"),
        ]
        for typed, code, text in rows:
            with self.subTest(typed=typed):
                status, said = self.prompt(typed)
                self.assertEqual(status, code, said)
                self.assertIn(text, said)
                self.assertNotIn(b"secret", said)
        self.assertEqual(self.names(), ["alice@example.org"])

    def test_damaged_database(self):
        self.add("alice@example.org")
        path = os.path.join(self.root, "accounts/accounts.db")
        os.chmod(path, 0o644)
        self.assertIn("chmod 600", self.postern("account", "list", code=CONFIG).errors)
        os.chmod(path, 0o600)
        with open(path, "wb") as file:
            file.write(b"rubbish " * 1000)
        self.assertIn("not a database", self.postern("account", "list", code=CONFIG).errors)

    def test_two_at_a_time(self):
        """First commands of an instance at the same time: each adds its account."""
        threads = [threading.Thread(target=self.add, args=(f"user{i}@example.org",))
                   for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(self.names()), [f"user{i}@example.org" for i in range(6)])


if __name__ == "__main__":
    unittest.main(verbosity=1)
