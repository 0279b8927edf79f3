#!/usr/bin/env python3
"""Every limit names the test that tries it: src/base/limits.h against docs/limits.md."""

import os
import re
import unittest

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROW = re.compile(r"^\| `(?P<limit>\w+)` \| (?:`(?P<test>[^`]+)`|none: (?P<reason>[^|]+)) \| (?P<words>[^|]*) \|$",
                 re.M)


def read(path):
    with open(os.path.join(REPOSITORY, path), encoding="utf-8") as file:
        return file.read()


class Limits(unittest.TestCase):
    def setUp(self):
        self.limits = re.findall(r"^#define[ \t]+(\w+)[ \t]+\S", read("src/base/limits.h"), re.M)
        self.rows = [match.groupdict() for match in ROW.finditer(read("docs/limits.md"))]

    def test_each_has_its_row(self):
        self.assertEqual([row["limit"] for row in self.rows], self.limits)
        self.assertEqual(len(self.rows), read("docs/limits.md").count("\n| `"))

    def test_each_test_speaks_of_it(self):
        for row in self.rows:
            with self.subTest(row["limit"]):
                if not row["test"]:
                    self.assertTrue(row["reason"].strip())
                    continue
                text, words = read(row["test"]), row["words"].strip()
                found = words in text if words else re.search(r"\b%s\b" % row["limit"], text)
                self.assertTrue(found, "%s does not speak of it" % row["test"])


if __name__ == "__main__":
    unittest.main()
