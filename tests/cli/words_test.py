#!/usr/bin/env python3
"""words_test: the words themselves: exit codes, help, where the root is."""

import os
import re
import subprocess
import unittest

from scene import SECONDS_MAX, OK, USAGE, Case


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
            "serve", "account add", "account list", "account show", "account set",
            "account passwd", "account remove", "account import", "deliver", "mailbox list",
            "mailbox show", "mailbox import", "mailbox export", "mailbox verify", "mailbox repair",
            "kick", "status"])

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


if __name__ == "__main__":
    unittest.main(verbosity=1)
