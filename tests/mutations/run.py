#!/usr/bin/env python3
"""run: puts each mutation of mutations.py into a copy of the sources, builds, and runs the tests that
must notice. A mutation that no test notices is a hole in the tests.

Usage: tests/mutations/run.py [--only NAME]… [--sample N [--seed S]] [--jobs N] [--keep]
                              [SETUP_COMMAND…]

--sample tries so many of them, which chance chooses; the seed is printed.

SETUP_COMMAND makes the build folder `build` inside a copy (default: meson without sanitizers). The
unmutated copy must pass first. The last line is "mutations: N killed, N survived"; exits with 1 when
one has survived, or its old text is not found exactly once, or it does not build.
"""

import argparse
import concurrent.futures
import os
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

from mutations import CRASH, MUTATIONS  # noqa: E402

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SETUP = ["meson", "setup", "build", "-Doptimization=1", "-Ddebug=false", "-Dtests=enabled"]
TEST_SECONDS_MAX = 120
WHAT_FAILED = r"^(?:FAILED: |row |.*ERROR.*?: ?|\[   LINE   \] |.*[Aa]ssert.*|hole).*"


class Broken(Exception):
    """Neither killed nor survived: the mutation itself is wrong."""


class Copy:
    """One copy of the sources with its build folder; used for one mutation at a time."""

    def __init__(self, folder, setup):
        self.folder = folder
        names = subprocess.run(["git", "ls-files", "-cozX", ".gitignore"], cwd=REPOSITORY, check=True,
                               stdout=subprocess.PIPE).stdout.decode().split("\0")
        for name in filter(None, names):
            source = os.path.join(REPOSITORY, name)
            if os.path.isfile(source):
                os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
                shutil.copy2(source, os.path.join(folder, name))
        self.run(setup, 300)

    def run(self, command, seconds):
        done = subprocess.run(command, cwd=self.folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds)
        output = done.stdout.decode("utf-8", "replace")
        if done.returncode:
            raise Broken(f"{' '.join(command)} failed:\n{output[-3000:]}")
        return output

    def build(self, tests):
        self.run(["ninja", "-C", "build", *{test.split()[0] for test in tests}], 600)

    def read(self, path):
        with open(os.path.join(self.folder, path), encoding="utf-8", newline="") as stream:
            return stream.read()

    def write(self, path, text):
        with open(os.path.join(self.folder, path), "w", encoding="utf-8", newline="") as stream:
            stream.write(text)

    def first_failure(self, test, quick=False):
        """What a test says when it fails, in a line; None when it passes. The crash explorer is
        tried short first, then, unless `quick`, in full."""
        program, *options = test.split()
        is_crash = program == CRASH.split()[0]
        short, full = ["--quick", "--stop"], ["--stop"]
        for arguments in ([[]] if not is_crash else [short] if quick else [short, full]):
            try:
                done = subprocess.run([os.path.join(self.folder, "build", program), *options,
                                       *arguments],
                                      cwd=self.folder, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      timeout=TEST_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                return f"{test}: not done after {TEST_SECONDS_MAX} s"
            if done.returncode:
                output = done.stdout.decode("utf-8", "replace")
                found = re.search(WHAT_FAILED, output, re.M)
                return f"{test}: {found.group(0) if found else done.returncode}"
        return None


def normalised(text):
    """Line breaks and indentation are the formatter's, not the mutation's."""
    return r"\s+".join(re.escape(word) for word in text.split())


def apply(copy, mutation):
    """Edits the copy; returns what stood there, to put it back."""
    before = {}
    for path, old, new in mutation.edits:
        text = copy.read(path)
        before.setdefault(path, text)
        found = list(re.finditer(normalised(old), text))
        if len(found) != 1:
            restore(copy, before)
            raise Broken(f"{path}: the old text stands there {len(found)} times")
        copy.write(path, text[:found[0].start()] + " " + new.strip() + "\n" + text[found[0].end():])
    return before


def restore(copy, before):
    for path, text in before.items():
        copy.write(path, text)


def judge(copies, mutation):
    """(mutation, what killed it or None, what is wrong with it or None)"""
    copy = copies.get()
    before = {}
    try:
        before = apply(copy, mutation)
        copy.build(mutation.tests)
        for test in mutation.tests:
            failure = copy.first_failure(test)
            if failure:
                return mutation, failure, None
        return mutation, None, None
    except Broken as broken:
        return mutation, None, str(broken)
    finally:
        restore(copy, before)
        copies.put(copy)


def prepare(folder, setup, tests):
    copy = Copy(folder, setup)
    copy.build(tests)
    return copy


def run_all(scratch, options, mutations):
    tests = sorted({test for mutation in mutations for test in mutation.tests})
    copies = queue.Queue()
    counts = {"killed": 0, "survived": 0, "broken": 0}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for copy in pool.map(lambda n: prepare(os.path.join(scratch, str(n)), options.setup, tests),
                             range(options.jobs)):
            copies.put(copy)
        for test in tests:
            failure = copy.first_failure(test, quick=options.sample is not None)
            if failure:
                raise Broken(f"without any mutation: {failure}")
        for mutation, failure, wrong in pool.map(lambda one: judge(copies, one), mutations):
            state = "killed" if failure else "broken" if wrong else "survived"
            counts[state] += 1
            print(f"{state:8} {mutation.name}: {failure or wrong or mutation.why}"[:3000], flush=True)
    return counts


def main():
    parser = argparse.ArgumentParser(prog="tests/mutations/run.py")
    parser.add_argument("--only", metavar="NAME", action="append")
    parser.add_argument("--sample", metavar="N", type=int)
    parser.add_argument("--seed", metavar="S", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--jobs", type=int, default=2, help="copies at work at a time")
    parser.add_argument("--keep", action="store_true", help="leave the copies where they are")
    parser.add_argument("setup", nargs=argparse.REMAINDER, metavar="SETUP_COMMAND")
    options = parser.parse_args()
    options.setup = options.setup or SETUP
    mutations = [one for one in MUTATIONS if not options.only or one.name in options.only]
    if options.sample is not None and options.sample < len(mutations):
        print(f"{options.sample} of {len(mutations)}, seed {options.seed}", flush=True)
        mutations = random.Random(options.seed).sample(mutations, options.sample)
    scratch = tempfile.mkdtemp(prefix="postern-mutations-")
    counts = {"killed": 0, "survived": 0, "broken": 1}
    try:
        counts = run_all(scratch, options, mutations)
    except Broken as broken:
        print(broken)
    finally:
        if not options.keep:
            shutil.rmtree(scratch)
    bad = counts["survived"] + counts["broken"]
    if counts["broken"]:
        print(f"{counts['broken']} could not be tried")
    print(f"mutations: {counts['killed']} killed, {counts['survived']} survived")
    return 1 if bad or not mutations else 0


if __name__ == "__main__":
    sys.exit(main())
