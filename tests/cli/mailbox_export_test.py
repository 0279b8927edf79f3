#!/usr/bin/env python3
"""mailbox_export_test: what goes out of a maildrop comes back the same; repair."""

import json
import os
import unittest

from scene import Case, DATAERR, OK, TEMPFAIL, USAGE

MESSAGES = [
    b"Subject: plain\n\nbody\n",
    b"Subject: quoted\n\nFrom here\n>From there\n>>From everywhere\nFromage\n",
    b"\n",
    b"no header at all\n\n\n\n",
    b"Subject: octets\n\n" + bytes(range(1, 10)) + bytes(range(11, 256)) + b"\0\n",
    b"Subject: lone CR\n\na\rb\n.\n..\n",
    b"Subject: long\n\n" + b"x" * 300000 + b"\nFrom the end\n",
]


class Export(Case):
    store = "mbox"

    def setUp(self):
        super().setUp()
        self.add("alice@example.org", "--store", self.store)
        self.add("bob@example.org")
        for message in MESSAGES:
            self.postern("mailbox", "import", "alice", self.write("message", message))

    def content(self, account):
        count = len(self.postern("mailbox", "list", account).out.splitlines())
        return [self.postern("mailbox", "show", account, str(n + 1)).stdout
                for n in range(count)]

    def path(self, name):
        return os.path.join(self.folder, name)

    def left_over(self):
        return [name for name in os.listdir(self.folder) if "postern-" in name]

    def test_round_trips(self):
        for kind, name in (("mbox", "out.mbox"), ("maildir", "Out")):
            with self.subTest(kind=kind):
                done = self.postern("mailbox", "export", "alice", "--to", f"{kind}:{name}")
                self.assertIn(f"exported {len(MESSAGES)} messages", done.out)
                self.postern("mailbox", "import", "bob", self.path(name))
                self.assertEqual(self.content("bob"), MESSAGES)
                self.postern("account", "remove", "bob", "--delete-mail")
                self.add("bob")
        self.assertEqual(self.left_over(), [])

    def test_standard_output(self):
        whole = self.postern("mailbox", "export", "alice").stdout
        self.postern("mailbox", "export", "alice", "--to", "mbox:same")
        with open(self.path("same"), "rb") as stream:
            self.assertEqual(stream.read(), whole)
        self.assertEqual(os.stat(self.path("same")).st_mode & 0o777, 0o600)
        self.postern("mailbox", "import", "bob", "-", octets=whole)
        self.assertEqual(self.content("bob"), MESSAGES)

    def test_one_message(self):
        uid = self.postern("mailbox", "list", "alice").out.splitlines()[1].split()[2]
        by_number = self.postern("mailbox", "export", "alice", "--message", "2").stdout
        self.assertEqual(self.postern("mailbox", "export", "alice", "--message", uid).stdout,
                         by_number)
        self.assertRegex(by_number, rb"\AFrom \S+ \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\n")
        self.assertEqual(by_number.split(b"\n", 1)[1], MESSAGES[1].replace(b"From ", b">From ")
                         .replace(b">From", b">From") + b"\n")
        self.assertEqual(self.postern("mailbox", "show", "alice", uid).stdout, MESSAGES[1])

    def test_mboxo(self):
        done = self.postern("mailbox", "export", "alice", "--quoting", "mboxo", "--message", "2")
        self.assertEqual(done.stdout.split(b"\n", 1)[1],
                         b"Subject: quoted\n\n>From here\n>From there\n>>From everywhere\n"
                         b"Fromage\n\n")

    def test_json(self):
        done = self.postern("mailbox", "export", "alice", "--to", "mbox:out", "--json")
        octets = sum(len(message) + message.count(b"\n") for message in MESSAGES)
        self.assertEqual(json.loads(done.out), {"account": "alice@example.org", "to": "mbox:out",
                                                "messages": len(MESSAGES), "octets": octets})

    def test_refused(self):
        self.write("there", b"mine")
        os.mkdir(self.path("folder"))
        rows = [
            (["--to", "mbox:there"], DATAERR, "stays as it is"),
            (["--to", "maildir:folder"], DATAERR, "stays as it is"),
            (["--to", "mbox:no/such/folder"], 71, "No such file"),
            (["--to", "mbox:"], USAGE, "--to is"),
            (["--to", "file"], USAGE, "--to is"),
            (["--quoting", "none"], USAGE, "--quoting is"),
            (["--quoting", "mboxrd", "--to", "maildir:x"], USAGE, "a Maildir has none"),
            (["--json"], USAGE, "--json is"),
            (["--message", "0"], USAGE, "not a message number"),
            (["--message", "99", "--to", "mbox:x"], DATAERR, "no message 99"),
            (["--message", "abc", "--to", "maildir:x"], DATAERR, "unique-id abc"),
        ]
        for words, code, text in rows:
            with self.subTest(words=words):
                done = self.postern("mailbox", "export", "alice", *words, code=code)
                self.assertIn(text, done.errors)
        self.assertFalse(os.path.exists(self.path("x")))
        self.assertEqual(self.left_over(), [])


class ExportMaildir(Export):
    store = "maildir"


class Repair(Case):
    def setUp(self):
        super().setUp()
        self.add("alice@example.org")
        for word in (b"one", b"two", b"three"):
            self.postern("mailbox", "import", "alice",
                         self.write("message", b"Subject: %s\n\n%s\n" % (word, word * 5)))
        self.file = os.path.join(self.root, "mail/example.org/alice")

    def damage(self):
        with open(self.file, "r+b") as stream:
            octets = stream.read()
            stream.seek(octets.index(b"twotwo"))
            stream.write(b"T")

    def test_good(self):
        self.assertEqual(self.postern("mailbox", "repair", "alice").out,
                         "the maildrop was in order\n")

    def test_damaged(self):
        self.damage()
        self.postern_finds(1)
        done = self.postern("mailbox", "repair", "alice", "--json")
        self.assertGreater(len(json.loads(done.out)["findings"]), 0)
        self.postern_finds(0)
        shown = [self.postern("mailbox", "show", "alice", str(n)).stdout for n in (1, 2, 3)]
        self.assertEqual(sorted(shown), [b"Subject: one\n\noneoneoneoneone\n",
                                         b"Subject: three\n\nthreethreethreethreethree\n",
                                         b"Subject: two\n\nTwotwotwotwotwo\n"])
        kept = [name for name in os.listdir(os.path.join(self.root, "journal"))
                if name.startswith("kept.")]
        self.assertEqual(len(kept), 1)
        self.postern("account", "remove", "alice", "--delete-mail")
        self.assertEqual([name for name in os.listdir(os.path.join(self.root, "journal"))
                          if name.startswith("kept.")], [])

    def postern_finds(self, count):
        done = self.run_plain("--root", self.root, "mailbox", "verify", "alice", "--json")
        self.assertEqual(len(json.loads(done.out)["findings"]) > 0, count > 0, done.out)
        self.assertEqual(done.returncode, DATAERR if count else OK)

    def test_export_of_damaged(self):
        self.damage()
        # Whoever reads it finds out; nothing half stays behind.
        self.postern("mailbox", "export", "alice", "--to", "mbox:out", code=DATAERR)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "out")))
        self.assertEqual([name for name in os.listdir(self.folder) if "postern-" in name], [])


if __name__ == "__main__":
    unittest.main(verbosity=1)
