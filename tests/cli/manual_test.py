#!/usr/bin/env python3
"""manual_test: the manual pages, the help texts and the completions agree.

    tests/cli/manual_test.py PATH_TO_POSTERN [unittest arguments]

The tree of commands is read from the program's own --help. For each of its leaves the page must have
a subsection of its name (`.Ss postern account add`) that explains the same options with the same
arguments, and postern.conf.5 must name each key. mandoc must find nothing wrong with any page.
"""

import os
import re
import shutil
import subprocess
import sys
import unittest

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = os.path.join(REPOSITORY, "docs", "man")
COMPLETIONS = os.path.join(REPOSITORY, "completions")
PROGRAM = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 and os.sep in sys.argv[1] else None
GLOBAL = {"--root": "DIR", "--version": "", "--help": ""}


def pages():
    return sorted(name for name in os.listdir(PAGES) if name[-1].isdigit())


def help_of(*words):
    return subprocess.run([PROGRAM, *words, "--help"], capture_output=True, text=True, timeout=60,
                          check=True).stdout


def commands_in(text):
    """The words of a table of commands, or none."""
    table = re.search(r"^commands:\n((?:  .*\n)+)", text, re.M)
    return re.findall(r"^  (\S+)", table.group(1), re.M) if table else []


def leaves(*words):
    """All commands that do something, as lists of words."""
    below = commands_in(help_of(*words))
    return [leaf for word in below for leaf in leaves(*words, word)] if below else [list(words)]


def options_in(text):
    """{option: argument} of a help text."""
    found = re.findall(r"^  (--[a-z0-9-]+)(?: (\S+))?(?:  |\s*$| [a-z(])", text, re.M)
    return {name: argument for name, argument in found}


def page_of(words):
    for section in "158":
        path = os.path.join(PAGES, "postern-%s.%s" % (words[0], section))
        if os.path.exists(path):
            with open(path, encoding="utf-8") as stream:
                return path, stream.read()
    raise AssertionError("no page postern-%s" % words[0])


def subsection(text, title):
    found = re.search(r"^\.Ss %s\n(.*?)(?=^\.S[sh] |\Z)" % re.escape(title), text, re.M | re.S)
    return found.group(1) if found else None


def options_of_page(text):
    """{option: argument} of its `.It Fl -option Ar ARGUMENT` lines."""
    options = {}
    for line in re.findall(r"^\.It Fl -(\S.*)$", text, re.M):
        words = line.replace("\\-", "-").split()
        argument = words[words.index("Ar") + 1:] if "Ar" in words else []
        options["--" + words[0]] = "|".join(word for word in argument if word not in "|,")
    return options


@unittest.skipUnless(PROGRAM, "needs the path of a built postern")
class ManualTest(unittest.TestCase):
    maxDiff = None

    def test_every_option_is_explained(self):
        for words in leaves():
            with self.subTest(command=" ".join(words)):
                path, text = page_of(words)
                part = subsection(text, "postern " + " ".join(words))
                self.assertIsNotNone(part, "%s has no .Ss postern %s" % (path, " ".join(words)))
                self.assertEqual(options_of_page(part), options_in(help_of(*words)))

    def test_every_key_is_explained(self):
        with open(os.path.join(PAGES, "postern.conf.5"), encoding="utf-8") as stream:
            explained = re.findall(r"^\.It Ic (\S+)", stream.read(), re.M)
        keys = [option[2:] for option in options_in(help_of("serve")) if option != "--check"]
        self.assertEqual(sorted(explained), sorted(keys))

    def test_global_options(self):
        with open(os.path.join(PAGES, "postern.1"), encoding="utf-8") as stream:
            text = stream.read()
        self.assertEqual(options_of_page(text), GLOBAL)
        named = set(re.findall(r"^\.It Cm (\S+)", text, re.M))
        self.assertEqual(named, set(commands_in(help_of())))

    def test_synopsis_names_every_option(self):
        for words in leaves():
            with self.subTest(command=" ".join(words)):
                text = page_of(words)[1]
                synopsis = re.search(r"^\.Sh SYNOPSIS\n(.*?)^\.Sh ", text, re.M | re.S).group(1)
                options = options_in(help_of(*words))
                if words == ["serve"] or not options:
                    continue  # too many: "Op Ar OPTION ..."
                for option in options:
                    self.assertIn("Fl -" + option[2:], synopsis)

    def test_pages_point_at_pages(self):
        names = {tuple(name.rsplit(".", 1)) for name in pages()}
        for name in pages():
            with open(os.path.join(PAGES, name), encoding="utf-8") as stream:
                for page, section in re.findall(r"^\.Xr (postern\S*) (\d)", stream.read(), re.M):
                    self.assertIn((page, section), names, name)

    def test_every_page_is_installed(self):
        with open(os.path.join(PAGES, "meson.build"), encoding="utf-8") as stream:
            installed = re.findall(r"'(\S+\.\d)'", stream.read())
        self.assertEqual(sorted(installed), pages())

    def test_mandoc_finds_nothing(self):
        if not shutil.which("mandoc"):
            self.skipTest("mandoc is not installed: script/bootstrap does it")
        for name in pages():
            done = subprocess.run(["mandoc", "-T", "lint", "-W", "style", os.path.join(PAGES, name)],
                                  capture_output=True, text=True, timeout=60, check=False)
            said = [line for line in done.stdout.splitlines()
                    if not re.search(r"referenced manual not found|operating system explicitly", line)]
            self.assertEqual(said, [], name)


@unittest.skipUnless(PROGRAM, "needs the path of a built postern")
class CompletionTest(unittest.TestCase):
    """What Tab offers behind these words, by the shell itself."""

    def bash(self, *words):
        script = """
            source "$1"; shift
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            _postern; printf '%s\\n' "${COMPREPLY[@]}"
        """
        done = subprocess.run(
            ["bash", "-c", script, "bash", os.path.join(COMPLETIONS, "postern.bash"), PROGRAM,
             *words], capture_output=True, text=True, timeout=60, check=True)
        return [word for word in done.stdout.split("\n") if word]

    def test_commands(self):
        self.assertEqual(sorted(self.bash("")), sorted(commands_in(help_of())))
        self.assertEqual(self.bash("acc"), ["account"])
        self.assertEqual(sorted(self.bash("account", "")), sorted(commands_in(help_of("account"))))
        self.assertEqual(sorted(self.bash("--root", "/tmp", "mailbox", "")),
                         sorted(commands_in(help_of("mailbox"))))

    def test_options(self):
        for words in leaves():
            with self.subTest(command=" ".join(words)):
                self.assertEqual(sorted(self.bash(*words, "--")),
                                 sorted(list(options_in(help_of(*words))) + ["--help"]))

    def test_global_options(self):
        self.assertEqual(sorted(self.bash("--")), sorted(GLOBAL))

    def test_files_behind_options_that_take_one(self):
        self.assertIn("/etc/passwd", self.bash("serve", "--tls-cert", "/etc/passw"))
        self.assertEqual(self.bash("serve", "--workers", ""), [])

    def test_other_shells_read_their_files(self):
        for shell, name in (("zsh", "_postern"), ("fish", "postern.fish")):
            if shutil.which(shell):
                done = subprocess.run([shell, "-n", os.path.join(COMPLETIONS, name)], timeout=60,
                                      capture_output=True, text=True, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
