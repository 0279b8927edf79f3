#!/usr/bin/env python3
"""The POP3 dialogues against a server that has one defect at a time (small_server.py): the dialogue
that is there for it fails, and without any defect none does. So nobody relies on a dialogue that
cannot fail, or on a player that lets everything pass."""

import unittest

from dialogue import Mismatch, Player, read_all, unescape
from small_server import DEFECTS, SECRET, SmallServer
from targets import open_connection

# What the small server has of the features that dialogues need.
KNOWN = {"capa", "top", "uidl", "user", "resp-codes", "auth-resp-code", "pipelining"}


class Target:
    changes_messages = False

    def __init__(self, server):
        self.server, self.logins = server, 0

    def prepare(self, dialogue):
        self.server.reset()
        secret = dialogue.settings.get("secret", SECRET)
        self.server.secret = unescape(secret)
        return {"user": "alice", "secret": secret, "domain": "example.org"}

    def fill(self, _user, mail):
        for octets in mail:
            self.server.add(octets)
        return mail, [len(octets) + (0 if octets.endswith(b"\r\n") else 2) for octets in mail]

    def connect(self, _kind, _tls, _outside):
        return open_connection("127.0.0.1", self.server.port, False)

    @staticmethod
    def is_same(text, wanted):
        return text == wanted

    def restore(self, _user):
        pass

    def deadline(self):
        self.logins = 0

    def is_late(self, _end):
        """Ours releases its lock at once where it does at all; a thread may take a moment."""
        self.logins += 1
        return self.logins > 200


def failing(defect, labels=None):
    """Labels of the dialogues that notice."""
    dialogues, messages = read_all()
    patience = 1 if defect else None
    server, found = SmallServer(defect), []
    try:
        for dialogue in dialogues:
            if is_for_it(dialogue) and dialogue.label in (labels or [dialogue.label]):
                try:
                    Player(dialogue, messages, Target(server), "plain", patience).play()
                except Mismatch:
                    found.append(dialogue.label)
    finally:
        server.close()
    return found


def is_for_it(dialogue):
    return dialogue.protocol == "pop3" and "ours" not in dialogue.settings and \
        set(dialogue.words("needs")) <= KNOWN and \
        (dialogue.is_for_any_server() or "secret" in dialogue.settings)


class Defects(unittest.TestCase):
    def test_no_defect(self):
        self.assertEqual(failing(None), [])

    def test_each_is_noticed_by_its_dialogue(self):
        for defect, label in DEFECTS.items():
            with self.subTest(defect=defect):
                self.assertEqual(failing(defect, [label]), [label])


if __name__ == "__main__":
    unittest.main(argv=["defects_test", "-v"])
