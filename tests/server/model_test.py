#!/usr/bin/env python3
"""Strings over {CR, LF, CRLF, dot, NUL, x} as messages: in by SMTP and by LMTP, back by RETR,
against a model that knows nothing of how the server reads.

All of up to six symbols, 55,987, go in twice: by SMTP from a stranger, whose bare newlines are
refused, and by LMTP from one who is trusted, whose are mended. Their order is shuffled by a seed
that is printed and can be given again (POSTERN_MODEL_SEED), so that each meets others in a
connection and in a maildrop.
"""

import itertools
import os
import random
import socket
import threading
import unittest

from harness import NOBODY, PATIENCE, SECRET, MemoryFolder, Server, main

SYMBOLS = [b"\r", b"\n", b"\r\n", b".", b"\0", b"x"]
LONGEST = 6
AT_A_TIME = 200 # messages on their way
ACCOUNTS = ["stranger%d@example.org" % n for n in range(2)] + \
    ["trusted%d@example.org" % n for n in range(2)]


# ---- the model ----------------------------------------------------------------------------------


class Expected:
    """What is to become of a text that is sent behind DATA."""

    def __init__(self, text):
        lines = text.split(b"\r\n")
        end = lines.index(b".")
        lines, rest = lines[:end], b"\r\n".join(lines[end + 1:])
        lines = [line[1:] if line.startswith(b".") else line for line in lines]
        self.has_bare_lf = any(b"\n" in line for line in lines)
        # Handed out: a bare LF as the line end that it was meant to be.
        self.body = b"".join(line.replace(b"\n", b"\r\n") + b"\r\n" for line in lines)
        # What stands behind the end is commands, each of which is none; only CRLF ends one.
        self.commands = rest.count(b"\r\n")


def strings():
    seed = int(os.environ.get("POSTERN_MODEL_SEED") or random.randrange(1 << 32))
    print("POSTERN_MODEL_SEED=%d" % seed)
    everything = [b"".join(symbols) for length in range(LONGEST + 1)
                  for symbols in itertools.product(SYMBOLS, repeat=length)]
    random.Random(seed).shuffle(everything)
    return everything


# ---- in -----------------------------------------------------------------------------------------


def converse(reader, connection, requests, replies_to):
    """Sends requests, so many at a time, and yields the replies to each."""
    for start in range(0, len(requests), AT_A_TIME):
        some = requests[start:start + AT_A_TIME]
        sender = threading.Thread(target=connection.sendall, args=(b"".join(some),))
        sender.start()
        for number in range(start, start + len(some)):
            yield number, [reader.readline() for _ in range(replies_to(number))]
        sender.join()


def send_all(server, kind, account, texts):
    """The codes behind the texts; asserts everything else about the replies."""
    greeting = b"EHLO" if kind == "smtp" else b"LHLO"
    source = "127.0.0.1" if kind == "smtp" else "127.0.0.2"
    expected = [Expected(text) for text in texts]
    requests = [b"MAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\n%s" % (account.encode(), text)
                for text in texts]
    codes = []
    with socket.create_connection(("127.0.0.1", server.ports[kind]), timeout=PATIENCE,
                                  source_address=(source, 0)) as connection:
        reader = connection.makefile("rb")
        connection.sendall(greeting + b" me\r\n")
        while not reader.readline().startswith(b"250 "):
            pass
        for number, replies in converse(reader, connection, requests,
                                        lambda n: 4 + expected[n].commands):
            found = [int(reply[:3]) for reply in replies]
            assert found[:3] == [250, 250, 354], (texts[number], replies)
            assert found[4:] == [500] * expected[number].commands, (texts[number], replies)
            codes.append(found[3])
    return codes


# ---- out ----------------------------------------------------------------------------------------


def message_of(reader):
    """One answer to RETR, up to its final dot; (announced octets, text without stuffing)."""
    status = reader.readline()
    assert status.startswith(b"+OK "), status
    text = b""
    while True:
        line = reader.readline()
        while not line.endswith(b"\r\n"): # a NUL or a bare CR ends no line; a bare LF would
            more = reader.readline()
            assert more, line
            line += more
        if line == b".\r\n":
            return int(status.split()[1]), text
        text += line[1:] if line.startswith(b".") else line


def receive_all(server, account):
    pop3 = server.connect()
    pop3.user(account)
    pop3.pass_(SECRET)
    count = pop3.stat()[0]
    connection, reader = pop3.sock, pop3.file
    requests = [b"RETR %d\r\n" % (number + 1) for number in range(count)]
    for start in range(0, count, AT_A_TIME):
        some = requests[start:start + AT_A_TIME]
        sender = threading.Thread(target=connection.sendall, args=(b"".join(some),))
        sender.start()
        for _ in some:
            yield message_of(reader)
        sender.join()
    pop3.quit()


def without_trace(text):
    """Behind the date, which ends the trace headers."""
    lines = text.split(b"\r\n")
    assert lines[0].startswith(b"Return-Path: <>") and lines[2].startswith(b"Received: "), text
    end = next(i for i in range(3, len(lines)) if not lines[i].endswith(b";") and
               lines[i - 1].endswith(b";"))
    return b"\r\n".join(lines[end + 1:])


# ---- the test -----------------------------------------------------------------------------------


class Model(unittest.TestCase):
    def round_trip(self, server, kind, account, texts):
        expected = [Expected(text) for text in texts]
        refused = [e.has_bare_lf and kind == "smtp" for e in expected]
        codes = send_all(server, kind, account, texts)
        self.assertEqual(codes, [550 if no else 250 for no in refused])
        wanted = [(text, e.body) for text, e, no in zip(texts, expected, refused) if not no]
        received = list(receive_all(server, account))
        self.assertEqual(len(received), len(wanted))
        for (text, body), (octets, got) in zip(wanted, received):
            self.assertEqual(octets, len(got), text)
            self.assertEqual(without_trace(got), body, text)

    def test_all(self):
        texts = [string + b"\r\n.\r\n" for string in strings()]
        mode = ("as it comes", NOBODY if os.getuid() == 0 else None)
        problems = []

        def work(server, kind, account, part):
            try:
                self.round_trip(server, kind, account, part)
            except BaseException as problem: # pylint: disable=broad-except
                problems.append(problem)

        with Server(mode, "--smtp", "127.0.0.1:0", "--trusted-network", "127.0.0.2",
                    accounts=ACCOUNTS) as server:
            threads = []
            for number, account in enumerate(ACCOUNTS):
                kind = "smtp" if account.startswith("stranger") else "lmtp"
                threads.append(threading.Thread(
                    target=work, args=(server, kind, account, texts[number % 2::2])))
                threads[-1].start()
            for thread in threads:
                thread.join()
            for problem in problems:
                raise problem
        print("%d strings, each by SMTP and by LMTP" % len(texts))


if __name__ == "__main__":
    main(MemoryFolder)
