#!/usr/bin/env python3
"""Limits that RFCs set and that no dialogue can wait for or reach: what stands in
src/base/limits.h is within them. That the server keeps to limits.h is shown beside its code."""

import os
import re
import unittest

REPOSITORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
MINUTE_MS = 60 * 1000


def limits():
    """Name -> number, of the defines that are numbers or products."""
    found = {}
    with open(os.path.join(REPOSITORY, "src/base/limits.h"), encoding="utf-8") as header:
        for line in header:
            match = re.match(r"#define\s+(\w+)\s+\(?(\d+(?:\s*\*\s*\d+)*)(?:ULL|u)?\)?(?:\s|$)", line)
            if match:
                product = 1
                for part in match.group(2).split("*"):
                    product *= int(part)
                found[match.group(1)] = product
    return found


class Limits(unittest.TestCase):
    def at_least(self, name, number):
        self.assertGreaterEqual(limits()[name], number, name)

    def at_most(self, name, number):
        self.assertLessEqual(limits()[name], number, name)

    def test_pop3_idle_time(self):
        """RFC 1939 section 3: at least 10 minutes"""
        self.at_least("POP3_IDLE_TIMEOUT_MS", 10 * MINUTE_MS)

    def test_pop3_lines(self):
        """RFC 2449 section 4: commands of 255 octets, answers of at most 512"""
        self.at_least("POP3_LINE_MAX", 255)
        self.at_most("POP3_REPLY_MAX", 512)

    def test_unique_ids(self):
        """RFC 1939 section 7: at most 70 octets"""
        self.at_most("UID_MAX", 70)

    def test_smtp_idle_time(self):
        """RFC 5321 section 4.5.3.2.7: at least 5 minutes"""
        self.at_least("SMTP_TIMEOUT_MS", 5 * MINUTE_MS)

    def test_smtp_sizes(self):
        """RFC 5321 sections 4.5.3.1.1 to 4.5.3.1.8; MAIL with the octets that RFC 1870 section 3
        and RFC 6152 section 2 add"""
        self.at_least("LOCAL_PART_MAX", 64)
        self.at_least("SMTP_PATH_MAX", 256)
        self.at_least("SMTP_LINE_MAX", 512 + 26 + 17)
        self.at_least("SMTP_RECIPIENTS_MAX", 100)


if __name__ == "__main__":
    unittest.main(argv=["limits_test", "-v"])
