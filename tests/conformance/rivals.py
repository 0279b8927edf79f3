#!/usr/bin/env python3
"""rivals: plays the POP3 dialogues against other servers, and prints who fails what.

    tests/conformance/rivals.py --peers [NAME…]          those that script/peers unpacks (root)
    tests/conformance/rivals.py --host HOST --port PORT --user NAME --secret-file FILE \\
        --deliver COMMAND…                               any server; the command delivers to NAME
                                                         what is on its standard input
Only dialogues that show what the RFCs demand of every server are played: not those with `ours`.
The account's mail is deleted between dialogues.

A cell is `yes`, **no**, or `-` where the server does not announce what the dialogue needs; below
the table stands for each no what was said instead.
"""

import argparse
import os
import sys

from dialogue import Mismatch, Player, read_all
from targets import Remote, deliver_with

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))


def verdict(dialogue, messages, target, over):
    """(cell, what was said instead)"""
    if target.lacks(dialogue, over):
        return "-", None
    try:
        Player(dialogue, messages, target, over).play()
    except Mismatch as problem:
        return "**no**", str(problem).split("\n", maxsplit=1)[0]
    except (AssertionError, OSError, EOFError) as problem:
        return "**no**", "could not be played: %s" % str(problem)[:200]
    return "yes", None


def play_all(name, target, only):
    """Test's name -> (cell, reason)."""
    dialogues, messages = read_all()
    verdicts = {}
    for dialogue in dialogues:
        for over in dialogue.ways():
            label = "%s[%s]" % (dialogue.label, over)
            if dialogue.is_for_any_server() and all(text in label for text in only):
                verdicts[label] = verdict(dialogue, messages, target, over)
                print("%s: %s: %s" % (name, label, verdicts[label][0]), file=sys.stderr, flush=True)
    return verdicts


def show(results):
    """The table, the counts, and the reasons."""
    names = list(results)
    labels = list(next(iter(results.values())))
    print("| dialogue | %s |" % " | ".join(names))
    print("|---|%s" % ("---|" * len(names)))
    for label in labels:
        print("| `%s` | %s |" % (label, " | ".join(results[name][label][0] for name in names)))
    print("| fails | %s |" % " | ".join(
        str(sum(cell == "**no**" for cell, _ in results[name].values())) for name in names))
    for name in names:
        for label, (_, reason) in results[name].items():
            if reason:
                print("\n- %s, `%s`: %s" % (name, label, reason), end="")
    print()


def peers(names, only):
    from peers import RIVALS, why_not  # needs root, and only here

    if why_not():
        sys.exit(why_not())
    results = {}
    for name in names or RIVALS:
        with RIVALS[name](accounts=[("alice", "secret")]) as rival:
            def deliver(text, rival=rival):
                rival.deliver("alice", text.replace(b"\r\n", b"\n"))

            target = Remote("127.0.0.1", rival.pop3_port, rival.login_name("alice"), "secret",
                            deliver)
            results[name] = play_all(name, target, only)
    return results


def main():
    parser = argparse.ArgumentParser(prog="rivals.py", epilog="--deliver takes all that follows")
    parser.add_argument("--peers", nargs="*", metavar="NAME")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=110)
    parser.add_argument("--tls-port", type=int)
    parser.add_argument("--user")
    parser.add_argument("--secret-file")
    parser.add_argument("--deliver", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.peers is not None:
        show(peers(options.peers, options.only))
        return
    if not (options.user and options.secret_file and options.deliver):
        parser.error("either --peers, or --user, --secret-file and --deliver")
    with open(options.secret_file, encoding="latin-1") as file:
        secret = file.readline().rstrip("\n")
    target = Remote(options.host, options.port, options.user, secret, deliver_with(options.deliver),
                    options.tls_port)
    show({options.host: play_all(options.host, target, options.only)})


if __name__ == "__main__":
    main()
