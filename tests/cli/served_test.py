#!/usr/bin/env python3
"""served_test: commands beside a running server."""

import json
import os
import socket
import subprocess
import threading
import unittest

from scene import SECONDS_MAX, OK, NOUSER, TEMPFAIL, Case


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

    def uidl(self):
        stream, answer = self.login(b"alice", b"secret")
        self.assertTrue(answer.startswith(b"+OK"), answer)
        stream.write(b"UIDL\r\nQUIT\r\n")
        stream.flush()
        lines = list(stream)
        return [line.split()[1] for line in lines[1:lines.index(b".\r\n")]]

    def test_move_beside_a_session(self):
        self.postern("mailbox", "import", "alice", "-", octets=b"Subject: one\n\n")
        stream, answer = self.login(b"alice", b"secret")
        self.assertTrue(answer.startswith(b"+OK"), answer)
        done = self.postern("account", "set", "alice", "--store", "maildir", code=TEMPFAIL)
        self.assertIn("in use", done.errors)
        stream.write(b"QUIT\r\n")
        stream.flush()
        self.assertEqual(len(list(stream)), 1)
        before = self.uidl()
        self.postern("account", "set", "alice", "--store", "maildir")
        self.assertEqual(self.uidl(), before)

    def test_move_beside_deliveries(self):
        """Mail that arrives meanwhile waits, and goes where the account is then; one that was moved
        twice within a delivery is for the sender to try again."""
        self.postern("mailbox", "import", "alice", "-", octets=b"".join(
            b"From a@b Sun Nov 22 02:01:00 2026\nSubject: %d\n\n" % n for n in range(2000)))
        first = self.uidl()
        failed = []

        def deliver(number):
            for message in range(8):
                status = TEMPFAIL
                while status == TEMPFAIL:
                    done = subprocess.run(
                        [self.program, "--root", self.root, "deliver", "alice"],
                        input=b"Subject: %d.%d\n\n" % (number, message), capture_output=True,
                        timeout=SECONDS_MAX, check=False, **self.options())
                    status = done.returncode
                if status != OK:
                    failed.append(done.stderr)

        threads = [threading.Thread(target=deliver, args=[number]) for number in range(3)]
        for thread in threads:
            thread.start()
        for store in ("maildir", "mbox", "maildir", "mbox"):
            self.postern("account", "set", "alice", "--store", store)
        for thread in threads:
            thread.join(SECONDS_MAX)
        self.assertEqual(failed, [])
        after = self.uidl()
        self.assertEqual(after[:len(first)], first)
        self.assertEqual(len(after), len(first) + 24)
        self.assertEqual(len(set(after)), len(after))
        self.assertIn(", 0 findings", self.postern("mailbox", "verify", "alice").out)



if __name__ == "__main__":
    unittest.main(verbosity=1)
