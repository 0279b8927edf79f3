#!/usr/bin/env python3
"""Every kind of line in every form and at every place can be taken apart again, whatever peers send;
and the filter for fail2ban finds what it must, and nothing else."""

import json
import os
import re
import socket
import subprocess
import threading
import unittest

from harness import INSIDE, PATIENCE, Server, in_every_mode, main, modes, refused

FILTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../fail2ban/postern.conf")
LINE = re.compile(r'^(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<process>\w+)\[(?P<pid>\d+)\] '
                  r'(?P<level>error|warning|info|debug) (?P<event>[a-z-]+):(?P<fields>.*)$')
FIELD = re.compile(r' (?P<key>[a-z_0-9]+)=(?:"(?P<quoted>[^"]*)"|(?P<plain>[^ "]*))')
# What USER sends, and how it must look in every form.
HOSTILE = [(b'x" peer=192.0.2.1:1 reason="wrong password', r'x\x22 peer=192.0.2.1:1 reason=\x22wrong password'),
           (b"a\\x", r"a\x5cx"), (b"\xc3\xa4\xff", r"\xc3\xa4\xff"),
           (b"{\"a\":1}", r"{\x22a\x22:1}"), (b"x" * 200, "x" * 200)]
KINDS = {"login", "login-failed", "session-end", "delivery"}


def fields_of(text):
    """Fails when anything is left over."""
    found, at = {}, 0
    for match in FIELD.finditer(text):
        assert match.start() == at, text
        found[match["key"]] = match["quoted"] if match["plain"] is None else match["plain"]
        at = match.end()
    assert at == len(text), text
    return found


def records_of_text(lines):
    for line in lines:
        match = LINE.match(line)
        if not match:
            assert line == "ready" or line.startswith("listening "), line
            continue
        yield {"event": match["event"], "process": match["process"], **fields_of(match["fields"])}


def records_of_json(lines):
    for line in lines:
        if line != "ready" and not line.startswith("listening "):
            yield json.loads(line)


class Forms(unittest.TestCase):
    def talk(self, server):
        """One line of each kind, and failed logins with hostile names."""
        server.send(b"Subject: x\r\n\r\nhello\r\n")
        pop3 = server.login()
        pop3.retr(1)
        pop3.quit()
        for name, _ in HOSTILE:
            connection = server.connect()
            connection.sock.sendall(b"USER " + name + b"\r\nPASS x\r\n")
            connection._getresp()
            refused(connection._getresp)
            connection.close()

    def check(self, records):
        by_event = {}
        for record in records:
            by_event.setdefault(record["event"], []).append(record)
        self.assertLessEqual(KINDS, set(by_event), by_event.keys())
        failed = by_event["login-failed"]
        self.assertEqual([record["user"] for record in failed], [text for _, text in HOSTILE])
        for record in failed:
            self.assertRegex(record["peer"], r"^127\.0\.0\.1:\d+$")
            self.assertEqual(record["reason"], "no such account")
        end = [record for record in by_event["session-end"] if record.get("user")][0]
        self.assertEqual((str(end["retrieved"]), str(end["deleted"])), ("1", "0"))
        self.assertIn("sent", end)
        self.assertIn("seconds", end)
        self.assertEqual(end["reason"], "quit")
        self.assertEqual(by_event["login"][0]["user"], "alice@example.org")

    @in_every_mode
    def test_text(self, mode):
        with Server(mode) as server:
            self.talk(server)
            server.wait_for(r"login-failed", count=len(HOSTILE))
            server.stop()
            self.check(records_of_text(server.lines))

    @in_every_mode
    def test_json(self, mode):
        server = Server(mode, "--log-format", "json")
        with server:
            self.talk(server)
            server.wait_for(r'"event":"login-failed"', count=len(HOSTILE))
            server.stop()
            records = list(records_of_json(server.lines))
            self.check(records)
            self.assertTrue(all(isinstance(record["pid"], int) for record in records))

    @in_every_mode
    def test_debug_level(self, mode):
        with Server(mode, "--log-level", "error") as server:
            self.talk(server)
            server.stop()
            self.assertEqual([line for line in server.lines if " info " in line or " warning " in line], [])


class Logger(threading.Thread):
    """A socket where a logger should be."""

    def __init__(self, path):
        super().__init__(daemon=True)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.path, self.packets, self.news = path, [], threading.Condition()
        self.start()

    def run(self):
        while True:
            packet = self.socket.recv(65536)
            with self.news:
                if packet == b"end":
                    return
                self.packets.append(packet)
                self.news.notify_all()

    def wait_for(self, word, count):
        with self.news:
            assert self.news.wait_for(
                lambda: sum(word in packet for packet in self.packets) >= count, PATIENCE), word

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", self.path)
        self.join(PATIENCE)
        self.socket.close()
        os.unlink(self.path)


@unittest.skipUnless(INSIDE in os.environ, "needs a file system of its own for the loggers' sockets")
class Loggers(Forms):
    test_text = test_json = test_debug_level = None

    def serve(self, mode, path, *flags):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", os.path.dirname(path)], check=True)
        logger = Logger(path)
        try:
            with Server(mode, *flags) as server:
                self.talk(server)
                logger.wait_for(b"login-failed", len(HOSTILE))
                server.stop()
                logger.wait_for(b"child-end", 3)
                plain = [line for line in server.lines
                         if line != "ready" and not line.startswith("listening")]
                self.assertEqual(plain, [])
            return list(logger.packets)
        finally:
            logger.close()
            subprocess.run(["umount", "--lazy", os.path.dirname(path)], check=True)

    @in_every_mode
    def test_journal(self, mode):
        os.makedirs("/run/systemd/journal", exist_ok=True)
        records = []
        for packet in self.serve(mode, "/run/systemd/journal/socket", "--log-to", "journal"):
            fields = dict(line.split("=", 1) for line in packet.decode().splitlines())
            self.assertEqual(fields["SYSLOG_IDENTIFIER"], "postern")
            self.assertIn(fields["PRIORITY"], "3467")
            self.assertTrue(fields["MESSAGE"])
            records.append({key[len("POSTERN_"):].lower(): value for key, value in fields.items()
                            if key.startswith("POSTERN_")})
        self.check(records)

    def in_dev(self, mode, *flags):
        """With a /dev of its own that has what a server opens there."""
        nodes = [name for name in ("null", "zero", "random", "urandom", "full", "tty")
                 if os.path.exists("/dev/" + name)]
        kept = Server.folder + "/dev"
        os.makedirs(kept, exist_ok=True)
        subprocess.run(["mount", "--rbind", "/dev", kept], check=True)
        try:
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev"], check=True)
            for name in nodes:
                open("/dev/" + name, "w").close()
                subprocess.run(["mount", "--bind", kept + "/" + name, "/dev/" + name], check=True)
            os.makedirs("/dev/shm")
            logger = Logger("/dev/log")
            with Server(mode, *flags) as server:
                self.talk(server)
                logger.wait_for(b"login-failed", len(HOSTILE))
                server.stop()
            packets = list(logger.packets)
            logger.close()
            return packets
        finally:
            subprocess.run(["umount", "--lazy", "/dev"], check=True)
            subprocess.run(["umount", "--lazy", kept], check=True)

    HEAD = re.compile(r"^<(\d+)>\w{3} [ \d]\d \d\d:\d\d:\d\d postern-(\w+)\[(\d+)\]: (.*)$")

    @in_every_mode
    def test_syslog(self, mode):
        records = []
        for packet in self.in_dev(mode, "--log-to", "syslog"):
            match = self.HEAD.match(packet.decode())
            self.assertEqual(int(match[1]) // 8, 2)
            event, fields = re.match(r"\w+ ([a-z-]+):(.*)$", match[4]).groups()
            records.append({"event": event, **fields_of(fields)})
        self.check(records)

    @in_every_mode
    def test_syslog_json(self, mode):
        self.check([json.loads(self.HEAD.match(packet.decode())[4])
                    for packet in self.in_dev(mode, "--log-to", "syslog", "--log-format", "json")])


def banned(line):
    """The address that the filter finds. fail2ban's <HOST> as an expression of ours; the rest is
    Python's already."""
    with open(FILTER) as file:
        texts = re.search(r"(?m)^failregex = (.*(?:\n +.*)*)$", file.read())[1].split("\n")
    found = [re.match(text.strip().replace("<HOST>", r"(?P<host>[0-9a-fA-F:.]+)"), line)
             for text in texts]
    hosts = {match["host"] for match in found if match}
    return hosts.pop() if hosts else None


class Ban(unittest.TestCase):
    def test_lines(self):
        for form in ("text", "json"):
            with self.subTest(form), Server(modes()[0], "--apop", "--log-format", form) as server:
                server.run("account", "add", "carol@example.org", "--apop", "--password-file", "-",
                           text=b"carol's secret")
                Forms.talk(self, server)
                for secret in ("wrong", "worse"):
                    connection = server.connect()
                    connection.user("alice")
                    refused(connection.pass_, secret)
                refused(server.connect().apop, "carol@example.org", "wrong")
                refused(server.connect().apop, "alice@example.org", "wrong")  # never consented
                server.wait_for(r"login-failed", count=len(HOSTILE) + 4)
                server.stop()
                found = [host for host in map(banned, server.lines) if host]
                self.assertEqual(found, ["127.0.0.1"] * (len(HOSTILE) + 3))

    def test_addresses(self):
        before = " warning login-failed: session=0.1 user=\"x\" peer="
        json_before = '"event":"login-failed","session":"0.1","user":"x","peer":"'
        for peer, host in (("192.0.2.1:5", "192.0.2.1"), ("[2001:db8::1]:5", "2001:db8::1")):
            self.assertEqual(
                banned(before + peer + " mechanism=USER tls=no reason=\"wrong password\""), host)
            self.assertEqual(
                banned(json_before + peer + '","tls":"no","reason":"wrong password"}'), host)
        self.assertIsNone(banned(before + "1.2.3.4:5 reason=\"too many logins wait\""))
        self.assertIsNone(banned(json_before + '1.2.3.4:5","reason":"too many logins wait"}'))


if __name__ == "__main__":
    main()
