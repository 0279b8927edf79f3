"""command: what script/peers does. One process holds each instance that was started; its pid and
what must be known to talk to it stand in build/roots/run/NAME.json while it runs."""

import argparse
import concurrent.futures
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time

from . import MTAS, PEERS, RIVALS, packages
from .packages import Trouble
from .peer import why_not

RUN = os.path.join(packages.ROOTS, "run")
EX_USAGE, EX_UNAVAILABLE = 64, 69
DEFAULT_ACCOUNTS = [("alice", "secret"), ("bob", "secret")]

DESCRIPTION = f"""\
Other people's mail servers, from Debian's packages, each in a root of its own below build/roots/.
The machine itself is not touched: nothing is installed, no user is added, no service is started
that `stop` does not end. Needs root.

  install [NAME…]  downloads and unpacks; at once where that is done (without names: all)
  start NAME…      starts on free ports of 127.0.0.1 and prints them
  stop [NAME…]     ends what was started (without names: all)
  status           what runs, and where
  list             the names and what they are
  clean            stops all and removes build/roots

rivals: {", ".join(RIVALS)}
MTAs:   {", ".join(MTAS)}"""


def say(text):
    print(f"peers: {text}", file=sys.stderr)


def arguments(words):
    parser = argparse.ArgumentParser(
        prog="script/peers", description=DESCRIPTION,
        usage="script/peers COMMAND [NAME…] [options]",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=list(COMMANDS) + ["hold"], metavar="COMMAND")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--accounts", metavar="FILE", help="lines `user password`; without: alice "
                        "and bob with the password secret")
    parser.add_argument("--store", choices=["mbox", "maildir"],
                        help="how a rival that can choose keeps mail")
    parser.add_argument("--lmtp", metavar="ADDR",
                        help="where an MTA hands over: HOST:PORT or unix:PATH")
    parser.add_argument("--spool", metavar="FOLDER",
                        help="where an MTA's local delivery puts mailboxes")
    parser.add_argument("--procmail", action="store_true",
                        help="an MTA's local delivery is procmail")
    parser.add_argument("--recipients", metavar="TABLE", help="Postfix: the table of recipients, "
                        "as socketmap:inet:HOST:PORT:NAME")
    try:
        parsed = parser.parse_intermixed_args(words)
    except SystemExit as end:
        sys.exit(EX_USAGE if end.code else 0)
    unknown = [name for name in parsed.names if name not in PEERS]
    if unknown or (parsed.command in ("start", "hold") and not parsed.names):
        say(f"there is no peer {unknown[0]}" if unknown else f"{parsed.command} which one?")
        say(f"there are {', '.join(PEERS)}")
        sys.exit(EX_USAGE)
    return parsed


# ---- commands ------------------------------------------------------------------------------------


def install(options):
    failed = False
    for name in options.names or PEERS:
        began = time.monotonic()
        try:
            if PEERS[name].install():
                say(f"{name} unpacked in {time.monotonic() - began:.1f} s")
        except (Trouble, subprocess.CalledProcessError, OSError) as trouble:
            say(f"{name} cannot be had: {trouble}")
            failed = True
    return EX_UNAVAILABLE if failed else 0


def start(options):
    with concurrent.futures.ThreadPoolExecutor(len(options.names)) as pool:
        return max(pool.map(lambda name: start_one(name, options), options.names))


def start_one(name, options):
    if running(name):
        print(describe(running(name)))
        return 0
    command = [sys.executable, sys.argv[0], "hold", name]
    for flag in ("accounts", "store", "lmtp", "spool", "recipients"):
        if getattr(options, flag):
            command += [f"--{flag}", getattr(options, flag)]
    if options.procmail:
        command.append("--procmail")
    os.makedirs(RUN, exist_ok=True)
    with open(f"{RUN}/{name}.errors", "w+b") as errors:
        holder = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=errors, start_new_session=True)
        line = holder.stdout.readline()
        if not line:
            errors.seek(0)
            say(f"{name} did not start: {errors.read().decode('utf-8', 'replace').strip()}")
            return EX_UNAVAILABLE
    print(describe(json.loads(line)), flush=True)
    return 0


def hold(options):
    """The process behind `start`: an instance, until SIGTERM."""
    name = options.names[0]
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    with PEERS[name](**settings(PEERS[name], options)) as peer:
        state = {"name": name, "pid": os.getpid(), "began": process_start(os.getpid()),
                 "root": peer.root, "users": [account.user for account in peer.accounts]}
        for port in ("smtp_port", "pop3_port", "pop3s_port", "lmtp_port"):
            if getattr(peer, port, None):
                state[port] = getattr(peer, port)
        path = f"{RUN}/{name}.json"
        with open(path, "w", encoding="utf-8") as stream:
            json.dump(state, stream)
        print(json.dumps(state), flush=True)
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 1)
        signal.sigwait([signal.SIGTERM, signal.SIGINT])
        os.unlink(path)
    return 0


def settings(kind, options):
    words = {"accounts": DEFAULT_ACCOUNTS}
    if options.accounts:
        with open(options.accounts, encoding="utf-8") as lines:
            words["accounts"] = [line.rstrip("\n").split(" ", 1) for line in lines if line.strip()]
    for flag in ("store", "lmtp", "spool", "procmail", "recipients"):
        value = getattr(options, flag)
        if value and not takes(kind, flag):
            raise Trouble(f"{kind.name} has no --{flag}")
        if value:
            words[flag] = value
    return words


def takes(kind, flag):
    return any(flag in each.__init__.__code__.co_varnames for each in kind.__mro__[:-1])


def stop(options):
    for name in options.names or PEERS:
        state = running(name)
        if not state:
            continue
        descriptor = os.pidfd_open(state["pid"])
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        wait_for_end(descriptor)
        say(f"{name} ended")
    return 0


def wait_for_end(descriptor):
    select.select([descriptor], [], [])
    os.close(descriptor)


def status(_options):
    for name in PEERS:
        state = running(name)
        if state:
            print(describe(state))
    return 0


def list_peers(_options):
    for name, kind in PEERS.items():
        print(f"{name:10} {'rival' if name in RIVALS else 'MTA  '} "
              f"{'installed' if kind.is_installed() else '-        '} {' '.join(kind.packages)}")
    return 0


def clean(options):
    options.names = []
    stop(options)
    shutil.rmtree(packages.ROOTS, ignore_errors=True)
    return 0


COMMANDS = {"install": install, "start": start, "stop": stop, "status": status,
            "list": list_peers, "clean": clean}

# ---- what runs -----------------------------------------------------------------------------------


def process_start(pid):
    """When the kernel says that the process began: a pid alone may be somebody else's by now."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[19])


def running(name):
    try:
        with open(f"{RUN}/{name}.json", encoding="utf-8") as stream:
            state = json.load(stream)
        return state if process_start(state["pid"]) == state["began"] else None
    except (FileNotFoundError, ProcessLookupError):
        return None


def describe(state):
    ports = " ".join(f"{name.removesuffix('_port')} 127.0.0.1:{port}"
                     for name, port in state.items() if name.endswith("_port"))
    return f"{state['name']} {ports} pid {state['pid']} root {state['root']}"


def main():
    options = arguments(sys.argv[1:])
    reason = why_not() if options.command not in ("status", "list") else None
    if reason:
        say(reason)
        return EX_UNAVAILABLE
    try:
        return {**COMMANDS, "hold": hold}[options.command](options)
    except Trouble as trouble:
        say(str(trouble))
        return EX_UNAVAILABLE
