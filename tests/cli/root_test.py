#!/usr/bin/env python3
"""root_test: root's own part: which user does what."""

import os
import pwd
import unittest

from scene import NOBODY, OK, CONFIG, FROM_1, Case


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

    @unittest.skipUnless(users_are_there(), "the users postern and postern-auth are missing")
    def test_the_spool_of_a_system_user(self):
        """In a folder that is root's, a file that is his: all commands work, and he keeps it."""
        folder, him = os.path.join(self.folder, "var-mail"), pwd.getpwnam("nobody")
        spool = os.path.join(folder, "nobody")
        os.mkdir(folder)
        os.chown(folder, 0, 8)  # the group mail
        os.chmod(folder, 0o2775)
        os.makedirs(self.root, 0o711)
        self.write("root/postern.conf", ("[serve]\nmail-root = %s\n" % folder).encode())
        self.postern("account", "add", "nobody@example.org", "--store", "spool", "--path", spool,
                     "--password-file", "-", octets=b"secret")
        for number in (1, 2, 3):
            self.postern("mailbox", "import", "nobody", "-",
                         octets=b"Subject: %d\n\nFrom here\n" % number)
        self.assert_owner(spool, him.pw_uid)
        self.assertEqual(self.postern("mailbox", "show", "nobody", "2").out,
                         "Subject: 2\n\nFrom here\n")
        self.postern("mailbox", "verify", "nobody")
        before = self.postern("mailbox", "list", "nobody").out
        self.postern("account", "set", "nobody", "--store", "mbox", "--path", "example.org/nobody")
        self.assertEqual(self.postern("mailbox", "list", "nobody").out, before)
        self.assertFalse(os.path.exists(spool) and os.path.getsize(spool))
        self.postern("account", "set", "nobody", "--store", "spool", "--path", spool)
        self.assertEqual(self.postern("mailbox", "list", "nobody").out, before)
        self.assert_owner(spool, him.pw_uid)
        self.postern("mailbox", "repair", "nobody")
        self.postern("account", "remove", "nobody", "--delete-mail")
        self.assertEqual(os.path.getsize(spool), 0)

    @unittest.skipUnless(users_are_there(), "the users postern and postern-auth are missing")
    def test_the_usual_place_of_a_spool(self):
        """/var/mail is for system users, and for nobody else."""
        rows = [("nobody@example.org", "/var/mail/nobody"),
                ("no-system-user@example.org",
                 self.root + "/mail/example.org/no-system-user")]
        for name, path in rows:
            with self.subTest(name=name):
                done = self.add(name, "--store", "spool")
                self.assertEqual(done.out,
                                 "added %s; its mail will be kept in %s\n" % (name, path))

    def assert_owner(self, path, uid):
        status = os.stat(path)
        self.assertEqual((status.st_uid, status.st_gid, status.st_mode & 0o7777), (uid, 8, 0o660))

    @unittest.skipUnless(users_are_there(), "the users postern and postern-auth are missing")
    def test_what_ends_early_leaves_nothing_open(self):
        """Who is still root at the end is looked at by LeakSanitizer."""
        self.add("alice@example.org", "--alias", "sales@example.org")
        rows = [("account", "passwd", "bob", "--password-file", "-"),
                ("account", "remove", "bob"), ("account", "remove", "sales"),
                ("account", "set", "bob", "--disable"),
                ("account", "set", "alice", "--store", "maildir", "--path", "/elsewhere/alice"),
                ("account", "show", "bob"), ("account", "add", "bob", "--path", "../bob"),
                ("mailbox", "list", "bob"), ("mailbox", "verify", "bob"),
                ("mailbox", "repair", "bob"), ("mailbox", "show", "alice", "1"),
                ("mailbox", "import", "bob", "-"),
                ("mailbox", "export", "bob", os.path.join(self.folder, "bob.mbox"))]
        for words in rows:
            with self.subTest(words=words):
                done = self.run_plain("--root", self.root, *words, octets=b"secret\n")
                self.assertNotEqual(done.returncode, OK)
        self.postern("account", "passwd", "alice", "--password-file", "-", octets=b"other\n")
        self.postern("account", "set", "alice", "--store", "maildir")
        self.postern("account", "set", "alice", "--path", "example.org/alice.2")
        self.postern("account", "remove", "alice")

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
