#!/usr/bin/env python3
"""Every mutation of tests/mutations must be noticed by the tests; each counts as one test."""

import os
import re
import subprocess
import sys

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "mutations", "run.py")


def main():
    done = subprocess.run([sys.executable, RUN], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    output = done.stdout.decode("utf-8", "replace")
    print(output, end="")
    killed = len(re.findall(r"^killed ", output, re.M))
    bad = len(re.findall(r"^(?:survived|broken) ", output, re.M))
    if done.returncode and not bad:
        bad = 1
    print(f"mutations: {killed} passed, {bad} failed, 0 skipped")
    return 1 if bad or not killed else 0


if __name__ == "__main__":
    sys.exit(main())
