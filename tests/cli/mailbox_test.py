#!/usr/bin/env python3
"""mailbox_test: one maildrop: listed, shown, imported into, verified."""

import json
import os
import resource
import subprocess
import threading
import unittest

from scene import OK, USAGE, DATAERR, NOINPUT, NOUSER, TEMPFAIL, FROM_1, FROM_2, Case


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
        rows = [("0", USAGE), ("-1", DATAERR), ("", USAGE), ("1x", DATAERR), ("4294967297", USAGE),
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

    def test_files_may_not_grow(self):
        """ulimit -f: an error of the disk like any other, no death by SIGXFSZ; nothing is half there."""
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
        for store in ("mbox", "maildir", "spool"):
            with self.subTest(store=store):
                name = f"grow-{store}@example.org"
                self.add(name, "--store", store, "--path", f"example.org/grow-{store}")
                done = subprocess.run(
                    [self.program, "--root", self.root, "mailbox", "import", name, "-"],
                    input=b"Subject: x\n\n" + b"x\n" * 100000, capture_output=True, timeout=60,
                    preexec_fn=limit)
                self.assertEqual(done.returncode, TEMPFAIL, done.stderr)
                self.assertEqual(self.postern("mailbox", "list", name).out, "")

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


if __name__ == "__main__":
    unittest.main(verbosity=1)
