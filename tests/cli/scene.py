#!/usr/bin/env python3
"""scene: what the tests of the commands share: a temporary root, and a way to run postern on it.

Each *_test.py takes the built postern as its first argument; else it is that in the environment's
POSTERN, else the test build's. Started as root, all but the tests of root's own part run as nobody,
in the way a user runs a Postern of his own.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
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
