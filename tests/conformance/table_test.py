#!/usr/bin/env python3
"""docs/conformance.md against what is there: each test that it names exists, each dialogue is named
at least once, and no cell is blank."""

import os
import re
import unittest

from dialogue import read_all

REPOSITORY = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
TABLE = os.path.join(REPOSITORY, "docs/conformance.md")
NAMED = re.compile(r"`([\w./-]+)::([\w-]+)`")


def text_of(path):
    with open(os.path.join(REPOSITORY, path), encoding="utf-8") as stream:
        return stream.read()


def exists(path, name, dialogues):
    if path.endswith(".txt"):
        return "%s::%s" % (path, name) in dialogues
    if not os.path.exists(os.path.join(REPOSITORY, path)):
        return False
    pattern = r"^static void %s\(" if path.endswith(".c") else r"^    def %s\(self"
    return re.search(pattern % re.escape(name), text_of(path), re.M) is not None


def rows():
    """(line number, cells) of the tables' rows, without their heads and the table of others."""
    ours = text_of(TABLE).partition("\n## Other servers\n")[0]
    for number, line in enumerate(ours.split("\n"), 1):
        if line.startswith("|") and not line.startswith(("|---", "| § ")):
            yield number, [cell.strip() for cell in line.strip("|").split("|")]


class Table(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dialogues = {dialogue.label for dialogue in read_all()[0]}

    def test_each_named_test_exists(self):
        missing = [(path, name) for path, name in NAMED.findall(text_of(TABLE))
                   if not exists(path, name, self.dialogues)]
        self.assertEqual(missing, [])

    def test_each_dialogue_is_named(self):
        named = {"%s::%s" % found for found in NAMED.findall(text_of(TABLE))}
        # What clients said is recorded by tests/interop/record.py, and named as a whole.
        self.assertIn("`pop3/client-*.txt`", text_of(TABLE))
        recorded = {label for label in self.dialogues if label.startswith("pop3/client-")}
        self.assertEqual(sorted(self.dialogues - named - recorded), [])

    def test_no_blank(self):
        """Where no test is named the row says why: in its last cell, in words."""
        blank = [number for number, cells in rows() if len(cells) != 4 or not all(cells)]
        self.assertEqual(blank, [])

    def test_there_are_rows(self):
        self.assertGreater(len(list(rows())), 200)


if __name__ == "__main__":
    unittest.main(argv=["table_test", "-v"])
