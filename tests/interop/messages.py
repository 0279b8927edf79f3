"""messages: what is sent through Postern by the tests of mail programs, and how it is compared.

All have what real mail has and mail programs therefore keep: a header, lines of at most 998 octets.
"""

import re

TRACE_HEADERS = (b"Return-Path:", b"Delivered-To:", b"Received:")


def _message(subject, body):
    return (b"From: Sender <sender@example.net>\nTo: Alice <alice@example.org>\n"
            b"Subject: " + subject + b"\nDate: Sun, 22 Nov 2026 02:01:00 +0000\n"
            b"Message-ID: <" + subject.replace(b" ", b".") + b"@example.net>\n"
            b"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
            b"Content-Transfer-Encoding: 8bit\n\n" + body)


MESSAGES = {
    "short": _message(b"short", b"Hello.\n"),
    "no body": _message(b"no body", b""),
    "dots": _message(b"dots", b".\n..\n...\n.hidden\na.\n\n.\n\nend\n"),
    "from": _message(b"from", b"From here\n\nFrom the start\n>From quoted\n\n>>From twice\nend\n"),
    "blank lines": _message(b"blank lines", b"\n\n\nin between\n\n\n\n"),
    "eight bits": _message(b"eight bits", "Grüße, 你好, \u00e9\n".encode() + b"\xe4\xf6\xfc\n"),
    "long lines": _message(b"long lines", b"".join(bytes([65 + n % 26]) * 990 + b"\n"
                                                   for n in range(20))),
    "white space": _message(b"white space", b"  before\nafter  \t \n\t\n -- \n"),
    "large": _message(b"large", b"".join(b"%07d %s\n" % (n, b"postern " * 8)
                                         for n in range(14000))),
}


def lines_lf(octets):
    return octets.replace(b"\r\n", b"\n")


def without_trace(octets):
    """The message below the trace headers that Postern put on top."""
    text = lines_lf(octets)
    while text.startswith(TRACE_HEADERS):
        end = re.search(rb"\n(?![ \t])", text)
        text = text[end.end():]
    return text


def subject_of(octets):
    match = re.search(rb"^Subject: (.*)$", lines_lf(octets), re.M)
    return match.group(1).decode() if match else None


def sorted_messages(list_of_octets):
    return sorted(without_trace(octets) for octets in list_of_octets)
