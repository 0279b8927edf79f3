#!/usr/bin/env python3
"""postern serve --check: everything that is wrong, at once, and nothing is changed."""

import os
import socket
import subprocess
import unittest

from harness import NOBODY, Server, in_every_mode, main


class Check(unittest.TestCase):
    def check(self, server, *words):
        answer = server.run("serve", "--check", *words, check=False)
        return answer.returncode, answer.stdout.decode(), answer.stderr.decode()

    def write(self, server, text):
        path = os.path.join(server.root, "postern.conf")
        with open(path, "w") as file:
            file.write(text)

    def tree(self, folder):
        return sorted((path, os.stat(os.path.join(path, name)).st_mode, name)
                      for path, folders, names in os.walk(folder) for name in folders + names)

    @in_every_mode
    def test_in_order(self, mode):
        server = Server(mode)
        before = self.tree(server.base)
        code, out, errors = self.check(server, "--pop3", "127.0.0.1:0")
        self.assertEqual((code, errors), (0, ""))
        self.assertIn("everything is in order", out)
        self.assertEqual(self.tree(server.base), before)
        server.close()

    @in_every_mode
    def test_before_the_first_start(self, mode):
        server = Server(mode, accounts=())
        code, out, errors = self.check(server, "--pop3", "127.0.0.1:0")
        self.assertEqual((code, errors), (0, ""))
        self.assertIn("is not there yet; a start makes it", out)
        self.assertFalse(os.path.exists(server.root))
        server.close()

    @in_every_mode
    def test_beside_a_running_server(self, mode):
        with Server(mode) as server:
            code, out, errors = self.check(server, "--pop3", "127.0.0.1:%d" % server.ports["pop3"])
            self.assertEqual((code, errors), (0, ""))
            self.assertIn("a server of this root is running (pid %d)" % server.process.pid, out)
            server.login().quit()

    @in_every_mode
    def test_every_mistake(self, mode):
        server = Server(mode)
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            self.write(server, "[serve]\n"
                               "worker = 2\n"
                               "pop3 = 127.0.0.1:%d\n"
                               "pop3 = 192.0.2.77:1110\n"
                               "log-to = nowhere\n"
                               "tls-cert = none.pem\n"
                               "tls-key = none.key\n"
                               "mail-root = /dev/null\n"
                               "lmtp = unix:/nowhere/at/all\n"
                               "smtp\n" % other.getsockname()[1])
            os.rmdir(os.path.join(server.root, "uids"))
            open(os.path.join(server.root, "uids"), "w").close()
            code, _, errors = self.check(server)
        self.assertEqual(code, 78)
        for text in ("postern.conf line 2: no such key: worker; did you mean workers?",
                     "postern.conf line 5: log-to is not stderr, syslog or journal: nowhere",
                     "postern.conf line 10: neither [section] nor key = value: smtp",
                     "postern.conf line 3: pop3: ", "Address already in use",
                     "postern.conf line 4: pop3: ", "Cannot assign requested address",
                     "postern.conf line 9: lmtp: ",
                     "postern.conf line 6: tls-cert: there is no file ", "none.pem",
                     "postern.conf line 8: mail-root: /dev/null is no folder",
                     "the folder uids: "):
            self.assertIn(text, errors)
        for line in errors.splitlines():
            self.assertTrue(line.startswith("postern serve: "), line)
        server.close()

    def assertPlaced(self, server, text, *expected):
        """Exactly these errors, each with its place."""
        self.write(server, "[serve]\npop3 = 127.0.0.1:0\n" + text)
        code, _, errors = self.check(server)
        self.assertEqual(code, 78)
        self.assertEqual(len(errors.splitlines()), len(expected), errors)
        for line, (number, part) in zip(errors.splitlines(), expected):
            self.assertIn("postern.conf line %d: " % number, line)
            self.assertIn(part, line)

    def pair(self, folder, kind):
        """A certificate and key of this kind, readable by all."""
        paths = [os.path.join(folder, kind + end) for end in (".cert", ".key")]
        words = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else [kind]
        subprocess.run(["openssl", "req", "-x509", "-newkey", *words, "-nodes", "-subj", "/CN=x",
                        "-days", "2", "-out", paths[0], "-keyout", paths[1]], check=True,
                       capture_output=True)
        for path in paths:
            os.chmod(path, 0o644)
        return paths

    @in_every_mode
    def test_file_and_line(self, mode):
        """Also of what is found when a value is used."""
        server = Server(mode)
        one, two = self.pair(server.base, "ec"), self.pair(server.base, "rsa:2048")
        self.assertPlaced(server, "tls-cert = /nonexistent\nmail-root = /nope\n",
                          (3, "tls-cert: tls-cert and tls-key belong together"),
                          (3, "tls-cert: /nonexistent: No such file"),
                          (4, "mail-root: /nope is no folder"))
        self.assertPlaced(server, "mail-root =\nmail-root = /nope\n",
                          (3, "a value is missing behind: mail-root"), (4, "/nope is no folder"))
        self.assertPlaced(server, "tls-cert = %s\ntls-key = %s\n" % (one[0], two[1]),
                          (4, "tls-key: the TLS key is that of another certificate"))
        self.assertPlaced(server, "tls-key = /nope\ntls-cert = %s\n" % one[0],
                          (3, "tls-key: there is no file /nope"))
        self.assertPlaced(server, "tls-cert = %s\ntls-key = %s\n" % (one[1], one[1]),
                          (3, "tls-cert: the TLS certificate is unusable"))
        self.assertPlaced(server, "tls-cert = %s\ntls-key = %s\n" % (one[0], one[0]),
                          (4, "tls-key: the TLS key is unusable"))
        server.close()

    @in_every_mode
    def test_an_address_twice(self, mode):
        """Neither checks nor starts: tried again by a service manager it would be no better."""
        server = Server(mode)
        server.flags = []
        for text, number in (("socketmap = unix:run/lmtp.sock\n", 3),
                             ("lmtp = unix:run/control.sock\n", 3),
                             ("lmtp = unix:run/x.sock\nlmtp = unix:run/x.sock\n", 4)):
            self.assertPlaced(server, text, (number, "unix:"))
            answer = server.run("serve", check=False)
            self.assertEqual(answer.returncode, 78)
            self.assertIn(b"line %d: " % number, answer.stderr)
        server.close()

    @in_every_mode
    def test_no_logger(self, mode):
        """A server whose log goes nowhere says so where it was started."""
        for target, path in (("journal", "/run/systemd/journal/socket"), ("syslog", "/dev/log")):
            if os.path.exists(path):
                self.skipTest("there is one")
            with self.subTest(target):
                server = Server(mode)
                code, _, errors = self.check(server, "--pop3", "127.0.0.1:0", "--log-to", target)
                self.assertEqual(code, 78)
                self.assertIn("--log-to: nobody listens at %s" % path, errors)
                server.flags += ["--log-to", target]
                with server:
                    server.wait_for(r"nobody listens at %s" % path)

    @in_every_mode
    def test_every_one_of_many(self, mode):
        server = Server(mode)
        self.write(server, "[serve]\n" + "".join("wrong%d = 1\n" % i for i in range(500)))
        _, _, errors = self.check(server, "--pop3", "127.0.0.1:0")
        self.assertEqual(len(errors.splitlines()), 500)
        server.close()

    @in_every_mode
    def test_broken_database(self, mode):
        server = Server(mode)
        with open(os.path.join(server.root, "accounts", "accounts.db"), "r+b") as database:
            database.write(b"this is not what it was" * 100)
        code, _, errors = self.check(server, "--pop3", "127.0.0.1:0")
        self.assertEqual(code, 78)
        self.assertIn("the account database: ", errors)
        server.close()

    @in_every_mode
    def test_somebody_elses_root(self, mode):
        if mode[1] is None:
            self.skipTest("needs a second uid")
        server = Server(mode)
        os.chown(os.path.join(server.root, "mail"), 0 if mode[1] != 0 else NOBODY, 0)
        os.chmod(os.path.join(server.root, "mail"), 0o500)
        code, _, errors = self.check(server, "--pop3", "127.0.0.1:0")
        self.assertEqual(code, 78)
        self.assertIn("the folder mail", errors)
        server.close()

    @in_every_mode
    def test_a_start_says_the_same(self, mode):
        server = Server(mode)
        self.write(server, "[serve]\nworker = 2\npop4 = x\n")
        answer = server.run("serve", check=False)
        self.assertEqual(answer.returncode, 78)
        self.assertIn(b"line 2", answer.stderr)
        self.assertIn(b"line 3", answer.stderr)
        server.close()


if __name__ == "__main__":
    main()
