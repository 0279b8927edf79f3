#!/usr/bin/env python3
"""run: plays the dialogues below tests/conformance/ against a built postern, one test for each
dialogue, kind of store and kind of connection.

    tests/conformance/run.py PATH_TO_POSTERN [--only TEXT] [unittest arguments]

TEXT is a part of a test's name, such as `pop3/uidl.txt::` or `[maildir`. The language of the
dialogues stands in dialogue.py. What a built server cannot do yet is skipped with its reason; how
often, is told at the end.
"""

import collections
import os
import sys
import unittest

from dialogue import Mismatch, Player, read_all
from targets import Postern, lacks_flags, make_outside, stores

from harness import main

servers = {}  # by store and flags
not_played = collections.Counter()


def server_for(store, flags):
    if (store, flags) not in servers:
        servers[store, flags] = Postern(store, flags)
    return servers[store, flags]


class Conformance(unittest.TestCase):
    def __init__(self, dialogue, messages, store, over):
        super().__init__("play")
        self.dialogue, self.messages, self.store, self.over = dialogue, messages, store, over
        self.label = "%s[%s,%s]" % (dialogue.label, store, over)

    def leave_out(self, reason):
        not_played[reason] += 1
        self.skipTest(reason)

    def play(self):
        if lacks_flags(self.dialogue):
            self.leave_out(lacks_flags(self.dialogue))
        target = server_for(self.store, tuple(self.dialogue.words("serve")))
        if target.lacks(self.dialogue, self.over):
            self.leave_out(target.lacks(self.dialogue, self.over))
        try:
            Player(self.dialogue, self.messages, target, self.over).play()
        except Mismatch as problem:
            raise self.failureException("%s\n%s" % (
                problem, "\n".join(target.server.lines[target.mark:][-8:]))) from None

    def __str__(self):
        return self.label

    id = __str__

    def shortDescription(self):
        return None


def load_tests(_loader, _tests, _pattern):
    make_outside()
    suite = unittest.TestSuite()
    dialogues, messages = read_all()
    for store in stores():
        for dialogue in dialogues:
            if store not in (dialogue.words("store") or [store]):
                continue
            for over in dialogue.ways():
                test = Conformance(dialogue, messages, store, over)
                if all(text in test.label for text in ONLY):
                    suite.addTest(test)
    return suite


def tearDownModule():
    for server in servers.values():
        server.close()
    for reason, count in sorted(not_played.items()):
        print("not played: %d times: %s" % (count, reason), flush=True)


ONLY = []
while "--only" in sys.argv:
    at = sys.argv.index("--only")
    ONLY.append(sys.argv[at + 1])
    del sys.argv[at:at + 2]
if "CONFORMANCE_ONLY" in os.environ:  # main() runs this script anew in its namespaces
    ONLY += os.environ["CONFORMANCE_ONLY"].split("\n")
elif ONLY:
    os.environ["CONFORMANCE_ONLY"] = "\n".join(ONLY)

if __name__ == "__main__":
    main()
