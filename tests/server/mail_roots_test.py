#!/usr/bin/env python3
"""Maildrops outside of ROOT/mail: in a folder that a key names, and system users' in /var/mail."""

import os
import signal
import stat
import subprocess
import unittest

from harness import INSIDE, SECRET, Server, in_every_mode, main


class Named(unittest.TestCase):
    @in_every_mode
    def test_by_key(self, mode):
        """A number stays with its folder, wherever its key stands."""
        server = Server(mode)
        folders = [os.path.join(server.base, name) for name in ("one", "two")]
        uid = 64001 if mode[1] is None and os.getuid() == 0 else server.uid
        for folder in folders:
            os.mkdir(folder, 0o700)
            if uid is not None:
                os.chown(folder, uid, uid)
        self.configure(server, folders)
        server.run("account", "add", "bob@example.org", "--path", folders[1] + "/bob",
                   "--password-file", "-", text=SECRET.encode())
        with server:
            server.send(b"Subject: x\r\n\r\n", "bob@example.org", "alice@example.org")
            self.assertTrue(os.path.isfile(folders[1] + "/bob"))
            since = server.mark()
            self.configure(server, reversed(folders))
            server.process.send_signal(signal.SIGHUP)
            server.wait_for(r"reload: done=yes", since=since)
            self.assertEqual(server.login("bob@example.org").stat()[0], 1)
            since = server.mark()
            self.configure(server, [os.path.join(server.base, "none")])
            server.process.send_signal(signal.SIGHUP)
            server.wait_for(r"reload: kept=old error=.*opening the mail root .*/none", since=since)
            self.assertEqual(server.login().stat()[0], 1)

    def configure(self, server, folders):
        with open(os.path.join(server.root, "postern.conf"), "w") as file:
            file.write("[serve]\n" + "".join("mail-root = %s\n" % folder for folder in folders))


@unittest.skipUnless(INSIDE in os.environ, "only root gives privileges away")
class SystemUsers(unittest.TestCase):
    def test_spool_of_another_uid(self):
        """Its file is made, read, changed and given to its user by way of the supervisor."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=2775,uid=0,gid=8", "tmpfs",
                        "/var/mail"], check=True)
        with open("/etc/passwd", "a") as file:  # the test's own copy
            file.write("carol:x:4711:4711::/:/bin/sh\n")
        try:
            server = Server(("as root", None), accounts=())
            server.run("account", "add", "carol@example.org", "--store", "spool", "--path",
                       "/var/mail/carol", "--password-file", "-", text=SECRET.encode())
            with server:
                for number in range(3):
                    server.send(b"Subject: %d\r\n\r\n" % number, "carol@example.org")
                status = os.stat("/var/mail/carol")
                self.assertEqual((status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)),
                                 (4711, 8, 0o660))
                pop3 = server.login("carol@example.org")
                self.assertEqual(pop3.stat()[0], 3)
                pop3.dele(2)
                self.assertTrue(pop3.quit().startswith(b"+OK"))
                self.assertEqual(os.listdir("/var/mail"), ["carol"])
                server.kill("worker", 0)
                server.kill("worker", 1)
                pop3 = server.login("carol@example.org")
                self.assertIn(b"Subject: 2", pop3.retr(2)[1])
                pop3.quit()
        finally:
            subprocess.run(["umount", "--lazy", "/var/mail"], check=True)


if __name__ == "__main__":
    main()
