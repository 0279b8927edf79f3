#!/usr/bin/env python3
"""account_import_test: accounts from a file."""

import os
import sqlite3
import unittest

from scene import OK, DATAERR, NOINPUT, VERIFIER, Case


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


if __name__ == "__main__":
    unittest.main(verbosity=1)
