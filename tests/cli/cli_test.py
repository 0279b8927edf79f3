#!/usr/bin/env python3
"""cli_test: the commands of postern against temporary roots: exit codes, errors, JSON, imports.

    tests/cli/cli_test.py [PROGRAM]

PROGRAM is the built postern; else that in the environment's POSTERN, else the test build's. Started
as root, all but the tests of root's own part run as nobody, in the way a user runs a Postern of his
own.
"""

import json
import os
import pty
import pwd
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import unittest

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("POSTERN") or os.path.join(REPOSITORY, "build/test/src/cli/postern")
if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
    PROGRAM = sys.argv.pop(1)
PROGRAM = os.path.abspath(PROGRAM)
NOBODY = 65534
SECONDS_MAX = 120

OK, USAGE, DATAERR, NOINPUT, NOUSER, TEMPFAIL, CONFIG = 0, 64, 65, 66, 67, 75, 78
VERIFIER = ("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$"
            "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")

FROM_1 = b"From a@b Sun Nov 22 02:01:00 2026\n"
FROM_2 = b"From c@d Sun Nov 22 02:01:05 2026\n"


def become_nobody():
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


class Case(unittest.TestCase):
    """A folder, a root in it that is not made yet, and a way to run postern on it."""

    as_root = False
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="postern-cli-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.root = os.path.join(self.folder, "root")
        self.program = PROGRAM
        if os.geteuid() == 0:
            self.program = os.path.join(self.folder, "postern")
            shutil.copy(PROGRAM, self.program)
            os.chmod(self.folder, 0o755)
            os.chmod(self.program, 0o755)
            if not self.as_root:
                os.chown(self.folder, NOBODY, NOBODY)

    def options(self):
        options = {"cwd": self.folder, "env": {**os.environ, "HOME": self.folder, "LC_ALL": "C"}}
        options["env"].pop("POSTERN_ROOT", None)
        options["env"].pop("XDG_DATA_HOME", None)
        if os.geteuid() == 0 and not self.as_root:
            options["preexec_fn"] = become_nobody
        return options

    def run_plain(self, *arguments, octets=b"", **more):
        """As it is, without --root and without a look at the exit code."""
        done = subprocess.run([self.program, *arguments], input=octets, capture_output=True,
                              timeout=SECONDS_MAX, check=False, **{**self.options(), **more})
        done.out = done.stdout.decode("utf-8", "replace")
        done.errors = done.stderr.decode("utf-8", "replace")
        self.assertNotRegex(done.errors, "Sanitizer|runtime error")
        self.assertGreaterEqual(done.returncode, 0, done.errors)
        return done

    def postern(self, *arguments, octets=b"", code=OK):
        done = self.run_plain("--root", self.root, *arguments, octets=octets)
        self.assertEqual(done.returncode, code, f"{arguments}: {done.out}{done.errors}")
        if code == OK:
            self.assertEqual(done.errors, "")
        else:
            self.assertNotEqual(done.errors, "")
        return done

    def add(self, name, *options, password=b"secret\n", code=OK):
        return self.postern("account", "add", "--password-file", "-", *options, "--", name,
                            octets=password, code=code)

    def names(self):
        return [row["name"] for row in json.loads(self.postern("account", "list", "--json").out)]

    def write(self, name, octets):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(octets)
        return path


class Words(Case):
    """The words of the command line, before anything is done."""

    def test_exit_codes(self):
        rows = [
            ([], USAGE, "usage: postern"),
            (["--bogus"], USAGE, "no option --bogus"),
            (["-xy"], USAGE, "no option -xy"),
            (["--root"], USAGE, "--root needs a value"),
            (["--root", "", "account"], USAGE, "--root needs a folder"),
            (["acount"], USAGE, "did you mean account?"),
            (["delivr"], USAGE, "did you mean deliver?"),
            (["xyzzy"], USAGE, "there is no command xyzzy"),
            (["x\n\x1b[31m"], USAGE, r"\\x0a\\x1b"),
            (["account"], USAGE, "usage: postern account"),
            (["account", "lst"], USAGE, "did you mean list?"),
            (["account", "list", "--jsn"], USAGE, "did you mean --json?"),
            (["account", "list", "x"], USAGE, "too many words"),
            (["account", "list", "-x"], USAGE, "no option -x"),
            (["account", "list", "--json=1"], USAGE, "--json takes no value"),
            (["account", "list", "--jq", "x"], USAGE, "no option --jq"),
            (["account", "add"], USAGE, "something is missing"),
            (["account", "add", "a@b", "--alias"], USAGE, "--alias needs a value"),
            (["account", "add", "a@b", "--store", "x", "--store", "y"], USAGE, "too often"),
            (["account", "passwd"], USAGE, "something is missing"),
            (["account", "remove"], USAGE, "something is missing"),
            (["account", "import"], USAGE, "something is missing"),
            (["account", "show"], USAGE, "something is missing"),
            (["mailbox"], USAGE, "usage: postern mailbox"),
            (["mailbox", "show", "a"], USAGE, "something is missing"),
            (["mailbox", "import", "a"], USAGE, "something is missing"),
            (["mailbox", "import", "a", "b", "--quoting", "x"], USAGE, "mboxrd, mboxo or none"),
            (["deliver"], USAGE, "something is missing"),
            (["deliver", "a", "--sender", "a b"], USAGE, "--sender is not an address"),
            (["deliver", "a", "--sender", "a>b"], USAGE, "--sender is not an address"),
            (["status", "x"], USAGE, "too many words"),
            (["serve", "--bogus"], USAGE, "bogus"),
        ]
        for words, code, text in rows:
            with self.subTest(words=words):
                done = self.run_plain(*words)
                self.assertEqual(done.returncode, code, done.errors)
                self.assertRegex(done.errors, text)
                self.assertEqual(done.out, "")
        self.assertFalse(os.path.exists(self.root))

    def test_help_of_every_command(self):
        """Each has a usage line, options and examples, and the tables name each."""
        for words in self.commands([]):
            with self.subTest(words=words):
                done = self.run_plain(*words, "--help")
                self.assertEqual(done.returncode, OK, done.errors)
                self.assertEqual(done.errors, "")
                self.assertTrue(done.out.startswith(f"usage: postern {' '.join(words)}"), done.out)
                self.assertIn("\nexamples:\n", done.out)
                self.assertLessEqual(max(map(len, done.out.split("\n"))), 110)
        self.assertFalse(os.path.exists(self.root))

    def commands(self, words):
        """All commands, found by walking the help as a newcomer would."""
        listing = self.run_plain(*words, "--help").out
        found = re.search(r"\ncommands:\n((?:  .*\n)+)", listing)
        if not found:
            return [words]
        names = [line.split()[0] for line in found.group(1).splitlines()]
        return [leaf for name in names for leaf in self.commands([*words, name])]

    def test_all_commands_are_there(self):
        self.assertEqual([" ".join(words) for words in self.commands([])], [
            "serve", "account add", "account list", "account show", "account passwd",
            "account remove", "account import", "deliver", "mailbox list", "mailbox show",
            "mailbox import", "mailbox verify", "status"])

    def test_version(self):
        self.assertRegex(self.run_plain("--version").out, r"^postern \d+\.\d+\.\d+\n$")

    def test_full_output(self):
        """A listing that could not be written is not a success."""
        self.add("alice@example.org")
        with open("/dev/full", "wb") as full:
            done = subprocess.run([self.program, "--root", self.root, "account", "list"],
                                  stdout=full, stderr=subprocess.PIPE, timeout=SECONDS_MAX,
                                  check=False, **self.options())
        self.assertEqual(done.returncode, 74, done.stderr)

    def test_where_the_root_is(self):
        rows = [
            ({"HOME": self.folder + "/h"}, self.folder + "/h/.local/share/postern"),
            ({"XDG_DATA_HOME": self.folder + "/x"}, self.folder + "/x/postern"),
            ({"POSTERN_ROOT": self.folder + "/p", "XDG_DATA_HOME": "/x"}, self.folder + "/p"),
        ]
        for environment, root in rows:
            with self.subTest(environment=environment):
                environment = {**self.options()["env"], **environment}
                done = self.run_plain("account", "add", "a@b", "--password-file", "-",
                                      octets=b"x", env=environment)
                self.assertEqual(done.returncode, OK, done.errors)
                self.assertTrue(os.path.isfile(root + "/accounts/accounts.db"))


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
            ("bob", ["--store", "maildir"], b"x", USAGE, "only mbox"),
            ("bob", ["--store", "memory"], b"x", USAGE, "only mbox"),
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


class AccountImport(Case):
    def import_lines(self, octets, code=OK):
        return self.postern("account", "import", "-", octets=octets, code=code)

    def test_good(self):
        done = self.import_lines(b"Alice@example.org:{PLAIN}a:b {PLAIN}\n\n"
                                 + b"bob:" + VERIFIER.encode() + b"\r\n"
                                 + b"carol@example.org:{PLAIN}" + b"x" * 1000, code=DATAERR)
        self.assertIn("line 3: ", done.errors)  # a bare name needs a default domain
        self.add("first@example.org")
        done = self.import_lines(b"Alice@example.org:{PLAIN}a:b {PLAIN}\n\n"
                                 + b"bob:" + VERIFIER.encode() + b"\r\n"
                                 + b"carol@example.org:{PLAIN}" + b"x" * 1000)
        self.assertEqual(done.out, "imported 3 accounts\n")
        self.assertEqual(self.names()[1:], ["alice@example.org", "bob@example.org",
                                            "carol@example.org"])
        database = sqlite3.connect(os.path.join(self.root, "accounts/accounts.db"))
        rows = dict(database.execute("SELECT name, verifier FROM credential JOIN account"
                                     " ON id = account"))
        database.close()
        self.assertEqual(rows["bob@example.org"], VERIFIER)
        self.assertTrue(rows["alice@example.org"].startswith("$argon2id$"))

    def test_every_bad_line_is_named(self):
        self.add("alice@example.org", "--alias", "sales@example.org")
        rows = [
            b"no colon",
            b":{PLAIN}x",
            b"bad name@x:{PLAIN}x",
            b"ok1@x:plain without a mark",
            b"ok2@x:",
            b"ok3@x:{PLAIN}",
            b"ok4@x:{PLAIN}a\0b",
            b"ok5@x:{PLAIN}" + b"x" * 1001,
            b"ok6@x:$argon2id$rubbish",
            b"ok7@x:" + VERIFIER.replace("m=65536", "m=9999999").encode(),
            b"ok8@x:$2y$10$abcdefghijklmnopqrstuv",
            b"\xff\xfe@x:{PLAIN}x",
            b"x" * 100000 + b"@x:{PLAIN}x",
        ]
        done = self.import_lines(b"good@x:{PLAIN}x\n" + b"\n".join(rows) + b"\ngood2@x:{PLAIN}x",
                                 code=DATAERR)
        lines = done.errors.splitlines()
        self.assertEqual([line.split(":")[0] for line in lines[:-1]],
                         [f"line {number}" for number in range(2, len(rows) + 2)])
        self.assertEqual(lines[-1], f"postern account import: nothing was imported: {len(rows)} "
                         "bad lines")
        self.assertEqual(self.names(), ["alice@example.org"])

    def test_taken_names(self):
        self.add("alice@example.org", "--alias", "sales@example.org")
        done = self.import_lines(b"alice@example.org:{PLAIN}x\nnew@x:{PLAIN}x\nNEW@x:{PLAIN}x\n",
                                 code=DATAERR)
        self.assertIn("line 3: new@x stands on line 2 already", done.errors)
        done = self.import_lines(b"alice@example.org:{PLAIN}x\nnew@x:{PLAIN}x\n"
                                 b"sales@example.org:{PLAIN}x\n", code=DATAERR)
        self.assertIn("line 1: there is already an account alice@example.org", done.errors)
        self.assertIn("line 3: sales@example.org is already an alias of", done.errors)
        self.assertEqual(self.names(), ["alice@example.org"])

    def test_file_too_large(self):
        """At the limit it is read (and refused as one long line), one octet above it is not."""
        path = self.write("large", b"")
        os.truncate(path, 64 * 1024 * 1024)
        done = self.postern("account", "import", path, code=DATAERR)
        self.assertIn("line 1: ", done.errors)
        os.truncate(path, 64 * 1024 * 1024 + 1)
        done = self.run_plain("--root", self.root, "account", "import", path)
        self.assertNotEqual(done.returncode, OK)
        self.assertIn("more than 67108864 octets", done.errors)

    def test_nothing(self):
        self.assertEqual(self.import_lines(b"").out, "imported 0 accounts\n")
        self.postern("account", "import", self.folder + "/missing", code=NOINPUT)
        self.postern("account", "import", self.folder, code=NOINPUT)


class Mailbox(Case):
    def setUp(self):
        super().setUp()
        self.add("alice@example.org")

    def bring(self, octets, *options, code=OK):
        return self.postern("mailbox", "import", "alice", "-", *options, octets=octets, code=code)

    def shown(self, count):
        return [self.postern("mailbox", "show", "alice", str(number)).stdout
                for number in range(1, count + 1)]

    def test_list_and_show(self):
        self.assertEqual(self.postern("mailbox", "list", "alice").out, "")
        self.assertEqual(json.loads(self.postern("mailbox", "list", "alice", "--json").out), [])
        self.bring(FROM_1 + b"Subject: x\r\n\r\n>From me\r\n.\r\n\r\n" + FROM_2 + b"\n8 \xe4\0\rb")
        self.assertEqual(self.shown(2), [b"Subject: x\n\nFrom me\n.\n", b"\n8 \xe4\0\rb\n"])
        lines = self.postern("mailbox", "list", "alice").out.splitlines()
        self.assertRegex(lines[0], r"^1 26 [0-9a-f]{32}$")
        self.assertRegex(lines[1], r"^2 10 [0-9a-f]{32}$")
        rows = json.loads(self.postern("mailbox", "list", "alice", "--json").out)
        self.assertEqual([f"{row['number']} {row['octets']} {row['uid']}" for row in rows], lines)
        self.assertEqual([row["damaged"] for row in rows], [False, False])

    def test_list_of_many(self):
        """More than a block of the listing, in several batches, in their order."""
        count = 1200
        done = self.bring(b"".join(FROM_1 + b"Subject: %d\n\n\n" % n for n in range(count)))
        self.assertIn(f"imported {count} messages", done.out)
        lines = self.postern("mailbox", "list", "alice").out.splitlines()
        self.assertEqual([int(line.split()[0]) for line in lines], list(range(1, count + 1)))
        self.assertEqual(len({line.split()[2] for line in lines}), count)
        for number in (1, 256, 257, 512, 513, count):
            self.assertEqual(self.postern("mailbox", "show", "alice", str(number)).out,
                             f"Subject: {number - 1}\n\n")

    def test_show_refused(self):
        self.bring(b"a\n")
        rows = [("0", USAGE), ("-1", USAGE), ("", USAGE), ("1x", USAGE), ("4294967297", USAGE),
                ("2", DATAERR)]
        for word, code in rows:
            with self.subTest(word=word):
                self.postern("mailbox", "show", "alice", "--", word, code=code)
        self.postern("mailbox", "show", "bob", "1", code=NOUSER)

    def test_shapes(self):
        """What a file is, by its beginning and by --quoting."""
        rows = [
            (b"a\n\n" + FROM_1 + b"b\n", [], [b"a\n\n" + FROM_1 + b"b\n"]),
            (b"a", [], [b"a\n"]),
            (FROM_1 + b">>From x\n", [], [b">From x\n"]),
            (FROM_1 + b">>From x\n>From y\n", ["--quoting", "mboxo"], [b">>From x\nFrom y\n"]),
            (FROM_1 + b">From x\n\nFrom y\n", ["--quoting", "none"], [b">From x\n\nFrom y\n"]),
            (FROM_1 + b"a\n" + FROM_2 + b"b\n", ["--quoting", "mboxrd"], [b"a\n", b"b\n"]),
            (b"", [], []),
        ]
        for number, (octets, options, messages) in enumerate(rows):
            with self.subTest(octets=octets):
                name = f"user{number}@example.org"
                self.add(name)
                path = self.write(f"mail{number}", octets)
                done = self.postern("mailbox", "import", name, path, *options)
                self.assertRegex(done.out, f"^imported {len(messages)} message")
                self.assertEqual([self.postern("mailbox", "show", name, str(i + 1)).stdout
                                  for i in range(len(messages))], messages)
                self.assertIn("0 findings", self.postern("mailbox", "verify", name).out)

    def test_envelope(self):
        """Sender and date of a From line stand on ours; the message has neither."""
        self.bring(b"From x@y Thu Jan  1 00:00:09 1970\nSubject: a\n\n")
        with open(os.path.join(self.root, "mail/example.org/alice"), "rb") as file:
            line = file.readline()
        self.assertTrue(line.startswith(b"From x@y Thu Jan  1 00:00:09 1970"), line)

    def test_maildir(self):
        for name, octets in (("cur/2:2,S", b"two\r\n"), ("new/1", b"one\n"), ("cur/3", b"three"),
                             ("new/.hidden", b"no"), ("tmp/0", b"no")):
            self.write("Maildir/" + name, octets)
        done = self.postern("mailbox", "import", "alice", self.folder + "/Maildir")
        self.assertIn("imported 3 messages", done.out)
        self.assertEqual(self.shown(3), [b"one\n", b"two\n", b"three\n"])

    def test_maildir_stops(self):
        """At what is no file: before it all is imported, behind it nothing."""
        self.write("Maildir/cur/1", b"one\n")
        self.write("Maildir/new/3", b"three\n")
        os.symlink("/etc/passwd", self.folder + "/Maildir/cur/2")
        done = self.postern("mailbox", "import", "alice", self.folder + "/Maildir", code=NOINPUT)
        self.assertIn("cur/2", done.errors)
        self.assertIn("imported 1 message,", done.out)
        self.assertIn("stopped: message 2", done.out)
        self.assertEqual(self.shown(1), [b"one\n"])
        self.assertEqual(len(self.postern("mailbox", "list", "alice").out.splitlines()), 1)

    def test_import_refused(self):
        rows = [
            ([self.folder + "/missing"], NOINPUT, "missing"),
            ([self.folder], NOINPUT, "no Maildir"),
            ([self.write("m", b"a\n" + FROM_1), "--quoting", "mboxrd"], DATAERR, "no mbox"),
        ]
        for words, code, text in rows:
            with self.subTest(words=words):
                done = self.postern("mailbox", "import", "alice", *words, code=code)
                self.assertIn(text, done.errors)
        self.postern("mailbox", "import", "bob", "-", octets=b"x", code=NOUSER)
        self.assertEqual(self.postern("mailbox", "list", "alice").out, "")

    def test_too_large(self):
        """One above the largest message: refused whole; what stands before it is kept."""
        path = self.write("large", FROM_1 + b"small\n\n" + FROM_2)
        with open(path, "ab") as file:
            file.truncate(file.tell() + 256 * 1024 * 1024 + 1)
        done = self.postern("mailbox", "import", "alice", path, code=DATAERR)
        self.assertIn("imported 1 message,", done.out)
        self.assertEqual(self.shown(1), [b"small\n"])

    def test_large(self):
        octets = b"Subject: large\n\n" + b"0123456789abcdef" * 600000 + b"\n"
        self.bring(octets)
        self.assertEqual(self.shown(1), [octets])

    def test_verify(self):
        self.bring(FROM_1 + b"one\n\n" + FROM_2 + b"two\n")
        done = json.loads(self.postern("mailbox", "verify", "alice", "--json").out)
        self.assertEqual((done["messages"], done["findings"], done["more"]), (2, [], False))
        path = os.path.join(self.root, "mail/example.org/alice")
        with open(path, "r+b") as file:
            file.seek(file.read().index(b"two"))
            file.write(b"TWO")
        done = self.run_plain("--root", self.root, "mailbox", "verify", "alice", "--json")
        self.assertEqual(done.returncode, DATAERR, done.errors)
        self.assertNotEqual(json.loads(done.out)["findings"], [])
        done = self.run_plain("--root", self.root, "mailbox", "verify", "alice")
        self.assertEqual(done.returncode, DATAERR)
        self.assertRegex(done.out, r"\d+ finding")

    def test_import_beside_import(self):
        """Several at a time into one maildrop: each waits for its turn, nothing is lost."""
        octets = b"".join(FROM_1 + b"Subject: %d\n\n\n" % n for n in range(50))
        threads = [threading.Thread(target=self.bring, args=(octets,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(self.postern("mailbox", "list", "alice").out.splitlines()), 200)
        self.assertIn(" 0 findings", self.postern("mailbox", "verify", "alice").out)


class Lmtp(threading.Thread):
    """A server that answers by a script: word -> reply. Keeps what it heard."""

    def __init__(self, path, replies):
        super().__init__(daemon=True)
        self.replies = {"greeting": "220 x LMTP", "LHLO": "250-x\r\n250 PIPELINING",
                        "MAIL": "250 2.1.0 ok", "RCPT": "250 2.1.5 ok", "DATA": "354 go on",
                        ".": "250 2.1.5 kept", "QUIT": "221 bye", **replies}
        self.lines, self.message = [], b""
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen()

    def run(self):
        connection, _ = self.listener.accept()
        self.listener.close()
        try:
            with connection, connection.makefile("rwb") as stream:
                self.talk(stream)
        except OSError:
            pass  # the client was gone before it had heard everything

    def answer(self, stream, word):
        """False when the script says to hang up instead."""
        if self.replies[word] is None:
            return False
        stream.write(self.replies[word].encode("latin-1") + b"\r\n")
        stream.flush()
        return True

    def talk(self, stream):
        if not self.answer(stream, "greeting"):
            return
        while line := stream.readline():
            self.lines.append(line)
            word = line.split()[0].decode().upper()
            if not self.answer(stream, word):
                return
            if word == "DATA" and self.replies["DATA"].startswith("354"):
                if not self.read_message(stream) or not self.answer(stream, "."):
                    return

    def read_message(self, stream):
        while line := stream.readline():
            if line == b".\r\n":
                return True
            self.message += line
        return False


class Deliver(Case):
    def setUp(self):
        super().setUp()
        os.makedirs(self.root + "/run")

    def deliver(self, *words, octets=b"Subject: x\n\nbody\n", code=OK, **replies):
        server = Lmtp(self.root + "/run/lmtp.sock", replies)
        self.addCleanup(lambda: os.path.exists(self.root + "/run/lmtp.sock")
                        and os.unlink(self.root + "/run/lmtp.sock"))
        server.start()
        done = self.postern("deliver", *words, octets=octets, code=code)
        server.join(SECONDS_MAX)
        os.unlink(self.root + "/run/lmtp.sock")
        return done, server

    def test_good(self):
        _, server = self.deliver("alice", octets=b"Subject: x\r\n\r\n.dot\n..\nlast")
        self.assertEqual(server.message, b"Subject: x\r\n\r\n..dot\r\n...\r\nlast\r\n")
        self.assertEqual(server.lines[1:3], [b"MAIL FROM:<>\r\n", b"RCPT TO:<alice>\r\n"])

    def test_exit_codes(self):
        rows = [
            ({"greeting": "421 4.3.2 closing"}, TEMPFAIL, "4.3.2 closing"),
            ({"greeting": "554 5.3.2 no"}, TEMPFAIL, "5.3.2 no"),
            ({"greeting": None}, TEMPFAIL, "4.4.2 "),
            ({"greeting": "rubbish"}, TEMPFAIL, "4.4.2 "),
            ({"greeting": "220" + "x" * 5000}, TEMPFAIL, "4.4.2 "),
            ({"LHLO": "500 5.5.1 what"}, TEMPFAIL, "5.5.1 what"),
            ({"LHLO": None}, TEMPFAIL, "4.4.2 "),
            ({"MAIL": "452 4.3.1 full"}, TEMPFAIL, "4.3.1 full"),
            ({"MAIL": "552 5.3.4 large"}, TEMPFAIL, "5.3.4 large"),
            ({"RCPT": "550 5.1.1 no such account"}, NOUSER, "5.1.1 no such account"),
            ({"RCPT": "550 5.2.1 disabled"}, NOUSER, "5.2.1 disabled"),
            ({"RCPT": "550 no code"}, NOUSER, "5.0.0 550 no code"),
            ({"RCPT": "501 5.1.3 syntax"}, NOUSER, "5.1.3 syntax"),
            ({"RCPT": "501 5.5.2 syntax"}, TEMPFAIL, "5.5.2 syntax"),
            ({"RCPT": "503 5.5.1 order"}, TEMPFAIL, "5.5.1 order"),
            ({"RCPT": "450 4.2.1 later"}, TEMPFAIL, "4.2.1 later"),
            ({"RCPT": "251 2.1.5 elsewhere"}, TEMPFAIL, "2.1.5 elsewhere"),
            ({"RCPT": None}, TEMPFAIL, "4.4.2 "),
            ({"DATA": "451 4.3.0 later"}, TEMPFAIL, "4.3.0 later"),
            ({"DATA": "554 5.5.1 no"}, DATAERR, "5.5.1 no"),
            ({".": "552 5.3.4 too large"}, DATAERR, "5.3.4 too large"),
            ({".": "550 5.6.0 bare LF"}, DATAERR, "5.6.0 bare LF"),
            ({".": "451 4.3.0 later"}, TEMPFAIL, "4.3.0 later"),
            ({".": "252 2.0.0 perhaps"}, TEMPFAIL, "2.0.0 perhaps"),
            ({".": None}, TEMPFAIL, "4.4.2 "),
            ({".": "250"}, OK, ""),
            ({".": "250-one\r\n250 2.0.0 two"}, OK, ""),
            ({".": "451 4.3.0 \x1b[31m\xe4"}, TEMPFAIL, r"4.3.0 \x1b[31m\xe4"),
        ]
        for replies, code, text in rows:
            with self.subTest(replies=replies):
                done, _ = self.deliver("alice", code=code, **replies)
                self.assertTrue(done.errors.startswith(text), done.errors)

    def test_no_server(self):
        done = self.postern("deliver", "alice", octets=b"x", code=TEMPFAIL)
        self.assertTrue(done.errors.startswith("4.3.2 no server answers"), done.errors)
        self.root = self.folder + "/" + "x" * 200
        self.postern("deliver", "alice", octets=b"x", code=TEMPFAIL)

    def test_bad_recipient(self):
        for name in ("", "a b", "a\r\nRCPT TO:<b>", "a>b", "\u00e4", "x" * 300):
            with self.subTest(name=name):
                done = self.postern("deliver", "--", name, octets=b"x", code=NOUSER)
                self.assertTrue(done.errors.startswith("5.1.3 "), done.errors)

    def test_envelope(self):
        rows = [
            ([], b"", b"<>"),
            (["--sender", "s@x"], b"", b"<s@x>"),
            (["--sender", "<>"], FROM_1, b"<>"),
            (["--sender", ""], FROM_1, b"<>"),
            (["--sender", "s@x"], FROM_1, b"<s@x>"),
            ([], FROM_1, b"<a@b>"),
            ([], b"From a@b\r\n", b"<a@b>"),
            ([], b"From MAILER-DAEMON Sun Nov 22 02:01:00 2026\n", b"<>"),
            ([], b"From \xe4@b Sun Nov 22 02:01:00 2026\n", b"<>"),
            ([], b"From " + b"x" * 300 + b"@b Sun Nov 22 02:01:00 2026\n", b"<>"),
            ([], b"From here to there\n", b"<>"),
        ]
        for options, line, sender in rows:
            with self.subTest(options=options, line=line):
                _, server = self.deliver("alice", *options, octets=line + b"S: x\n\n>From y\n")
                self.assertEqual(server.lines[1], b"MAIL FROM:" + sender + b"\r\n")
                self.assertEqual(server.message, b"S: x\r\n\r\n>From y\r\n")

    def test_only_the_first_line_is_envelope(self):
        _, server = self.deliver("alice", octets=b"S: x\n\n" + FROM_1)
        self.assertEqual(server.message, b"S: x\r\n\r\n" + FROM_1[:-1] + b"\r\n")

    def test_empty(self):
        self.deliver("alice", octets=b"", code=DATAERR)

    def test_large_in_bounded_memory(self):
        """100 MB go through in memory that could not hold them."""
        lines = b"x" * 98 + b"\r\n"
        server = Lmtp(self.root + "/run/lmtp.sock", {})
        heard = [0]

        def count(stream):
            while line := stream.readline():
                if line == b".\r\n":
                    return True
                heard[0] += len(line)
            return False

        server.read_message = count
        server.start()
        options = self.options()
        with subprocess.Popen([self.program, "--root", self.root, "deliver", "alice"],
                              stdin=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
            for _ in range(1000):
                process.stdin.write(lines * 1000)
            process.stdin.flush()
            with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                peak = int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1))
            process.stdin.close()
            errors = process.stderr.read()
            self.assertEqual(process.wait(SECONDS_MAX), OK, errors)
        self.assertEqual(heard[0], 100 * 1000 * 1000)
        self.assertLess(peak, 64 * 1024)


class Status(Case):
    def test_no_server(self):
        done = self.run_plain("--root", self.root, "status")
        self.assertIn(done.returncode, (69, TEMPFAIL), done.errors)
        self.assertIn("no server runs", done.errors)
        os.makedirs(self.root + "/run")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            path = self.root + "/run/control.sock"
            listener.bind(path)
            os.chmod(path, 0o666)
            listener.listen()

            def rubbish():
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.send(b"rubbish")

            thread = threading.Thread(target=rubbish, daemon=True)
            thread.start()
            done = self.run_plain("--root", self.root, "status", "--json")
            self.assertNotEqual(done.returncode, OK)
            self.assertEqual(done.out, "")
            thread.join(SECONDS_MAX)


class Served(Case):
    """The commands beside a server that runs."""

    def setUp(self):
        super().setUp()
        self.add("alice@example.org")
        self.process = subprocess.Popen(
            [self.program, "--root", self.root, "serve", "--pop3", "127.0.0.1:0", "--workers", "1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            **self.options())
        self.port = None
        for line in self.process.stdout:
            if line.startswith(b"listening pop3 "):
                self.port = int(line.rsplit(b":", 1)[1])
            if line == b"ready\n":
                break
        self.log = []
        reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        reader.start()
        self.addCleanup(self.stop, reader)
        self.assertIsNotNone(self.port)

    def stop(self, reader):
        self.process.terminate()
        status = self.process.wait(SECONDS_MAX)
        reader.join(SECONDS_MAX)
        self.process.stdout.close()
        self.process.stderr.close()
        log = b"".join(self.log).decode("utf-8", "replace")
        self.assertNotIn("Sanitizer", log)
        self.assertEqual(status, OK, log)

    def login(self, name, password):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS_MAX)
        stream = connection.makefile("rwb")
        self.addCleanup(connection.close)
        self.addCleanup(stream.close)
        stream.readline()
        stream.write(b"USER " + name + b"\r\nPASS " + password + b"\r\n")
        stream.flush()
        stream.readline()
        return stream, stream.readline()

    def test_status(self):
        self.assertIn("nobody is logged in", self.postern("status").out)
        self.login(b"alice", b"secret")
        answer = json.loads(self.postern("status", "--json").out)
        workers = [row for row in answer["processes"] if row["role"] == "worker"]
        self.assertEqual(len(workers), 1)
        self.assertEqual(workers[0]["logins"], 1)
        self.assertEqual([row["account"] for row in answer["sessions"]], ["alice@example.org"])
        self.assertRegex(self.postern("status").out, r"alice@example\.org +127\.0\.0\.1:\d+ +no ")

    def test_delivered_mail_is_shown(self):
        self.postern("deliver", "alice", "--sender", "s@x", octets=b"Subject: hello\n\n.x\n")
        text = self.postern("mailbox", "show", "alice", "1").out
        self.assertTrue(text.startswith("Return-Path: <s@x>\n"), text)
        self.assertTrue(text.endswith("Subject: hello\n\n.x\n"), text)
        done = self.postern("deliver", "bob", octets=b"x\n", code=NOUSER)
        self.assertTrue(done.errors.startswith("5.1.1 "), done.errors)

    def test_account_changes_count_at_once(self):
        self.assertTrue(self.login(b"alice", b"secret")[1].startswith(b"+OK"))
        self.add("bob", password=b"bobs")
        self.assertTrue(self.login(b"bob", b"bobs")[1].startswith(b"+OK"))
        self.postern("account", "passwd", "bob", "--password-file", "-", octets=b"new")
        self.assertTrue(self.login(b"bob", b"bobs")[1].startswith(b"-ERR"))

    def test_remove_beside_a_session(self):
        """With --delete-mail the session is in the way; without, it only loses its maildrop."""
        stream, answer = self.login(b"alice", b"secret")
        self.assertTrue(answer.startswith(b"+OK"))
        done = self.run_plain("--root", self.root, "account", "remove", "alice", "--delete-mail")
        self.assertNotEqual(done.returncode, OK)
        self.assertIn("in use", done.errors)
        self.assertEqual(self.names(), ["alice@example.org"])
        self.postern("account", "remove", "alice")
        self.assertEqual(self.names(), [])
        self.assertTrue(self.login(b"alice", b"secret")[1].startswith(b"-ERR"))
        stream.write(b"QUIT\r\n")
        stream.flush()
        self.assertTrue(stream.readline().startswith(b"+OK"))

    def test_remove_before_a_deletion(self):
        """The mail of a removed account is kept, also from a session that was about to delete."""
        self.postern("deliver", "alice", octets=b"Subject: kept\n\n")
        stream, _ = self.login(b"alice", b"secret")
        stream.write(b"DELE 1\r\n")
        stream.flush()
        self.assertTrue(stream.readline().startswith(b"+OK"))
        self.postern("account", "remove", "alice")
        stream.write(b"QUIT\r\n")
        stream.flush()
        self.assertFalse(stream.readline().startswith(b"+OK"))
        self.add("alice@example.org")
        self.assertIn("Subject: kept", self.postern("mailbox", "show", "alice", "1").out)

    def test_commands_beside_a_session(self):
        self.login(b"alice", b"secret")
        self.postern("mailbox", "import", "alice", "-", octets=b"a\n")
        self.assertEqual(len(self.postern("mailbox", "list", "alice").out.splitlines()), 1)
        self.postern("mailbox", "verify", "alice")

    def test_second_server(self):
        done = self.run_plain("--root", self.root, "serve", "--pop3", "127.0.0.1:0")
        self.assertNotEqual(done.returncode, OK)
        self.assertIn("running", done.errors)


def users_are_there():
    try:
        pwd.getpwnam("postern")
        pwd.getpwnam("postern-auth")
    except KeyError:
        return False
    return True


@unittest.skipUnless(os.geteuid() == 0, "only root gives privileges away")
class AsRoot(Case):
    as_root = True

    @unittest.skipUnless(users_are_there(), "the users postern and postern-auth are missing")
    def test_each_half_belongs_to_its_owner(self):
        path = self.write("roots.mbox", FROM_1 + b"Subject: x\n\n")
        secret = self.write("roots.secret", b"secret\n")
        os.chmod(path, 0o600)
        os.chmod(secret, 0o600)
        self.postern("account", "add", "alice@example.org", "--password-file", secret)
        self.postern("mailbox", "import", "alice", path)
        self.assertEqual(self.postern("mailbox", "show", "alice", "1").out, "Subject: x\n")
        self.postern("mailbox", "verify", "alice")
        rows = [("", "root"), ("run", "root"), ("accounts", "postern-auth"),
                ("accounts/accounts.db", "postern-auth"), ("mail", "postern"),
                ("mail/example.org/alice", "postern"), ("index", "postern"),
                ("run/locks", "postern")]
        for name, owner in rows:
            with self.subTest(name=name):
                found = os.stat(os.path.join(self.root, name)).st_uid
                self.assertEqual(pwd.getpwuid(found).pw_name, owner)
        for name in os.listdir(self.root + "/run/locks"):
            found = os.stat(os.path.join(self.root, "run/locks", name)).st_uid
            self.assertEqual(pwd.getpwuid(found).pw_name, "postern")
        self.postern("account", "remove", "alice", "--delete-mail")
        self.assertEqual(self.names(), [])
        self.assertFalse(os.path.exists(self.root + "/mail/example.org/alice"))

    @unittest.skipIf(users_are_there(), "the users are there")
    def test_missing_users(self):
        done = self.postern("account", "add", "a@b", "--password-file", "-", octets=b"x",
                            code=CONFIG)
        self.assertIn("useradd --system", done.errors)
        self.assertFalse(os.path.exists(self.root + "/accounts/accounts.db"))

    def test_the_root_of_another(self):
        """Root works on the instance of a user as that user."""
        os.mkdir(self.root, 0o711)
        os.chown(self.root, NOBODY, NOBODY)
        self.add("alice@example.org")
        self.postern("mailbox", "import", "alice", "-", octets=b"x\n")
        for name in ("", "accounts/accounts.db", "mail/example.org/alice"):
            self.assertEqual(os.stat(os.path.join(self.root, name)).st_uid, NOBODY)

    def test_a_stranger(self):
        """Who is neither owner nor root is told whose it is."""
        os.mkdir(self.root, 0o755)
        os.chown(self.root, NOBODY, NOBODY)

        def become_other():
            os.setgroups([])
            os.setresgid(65533, 65533, 65533)
            os.setresuid(65533, 65533, 65533)

        done = self.run_plain("--root", self.root, "account", "list", preexec_fn=become_other)
        self.assertNotEqual(done.returncode, OK)
        self.assertIn("belongs to uid 65534", done.errors)


if __name__ == "__main__":
    unittest.main(verbosity=1)
