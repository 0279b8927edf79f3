#!/usr/bin/env python3
"""record: what real mail programs say to a POP3 server, written down as dialogues.

    tests/interop/record.py PATH_TO_POSTERN CLIENT… | all

Each client retrieves three messages through a proxy that keeps every octet in its order; the result is
tests/conformance/pop3/client-CLIENT.txt, in the language of tests/conformance/dialogue.py: the
client's lines as it sent them, several in one packet where it did so, and what the server answered,
with sizes, unique-ids and messages as variables. These files are committed: the dialogues are played without the
programs, against each kind of store and other servers. Run it anew for a new version of a program.
"""

import base64
import os
import pty
import pwd
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(1, os.path.join(HERE, "..", "conformance"))
# pylint: disable=wrong-import-position
from instance import Instance
from dialogue import read_all
import thunderbird

ACCOUNT, SECRET = "user@example.org", "correct horse"
MAIL = ("one", "two", "three")
CLIENT_SECONDS_MAX = 120
QUIET_SECONDS = 0.3  # what comes within so long belongs together


# ---- the proxy -----------------------------------------------------------------------------------


class Recorder:
    """Takes connections for a server; keeps [("C" or "S", octets)…] of each, in its order."""

    def __init__(self, server):
        self.server = server
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.connections = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listening.accept()[0]
            except OSError:
                return
            talk = []
            self.connections.append(talk)
            threading.Thread(target=self.pass_on, args=(client, talk), daemon=True).start()

    def pass_on(self, client, talk):
        server = socket.create_connection(self.server)
        other = {client: ("C", server), server: ("S", client)}
        while other:
            for ready in select.select(list(other), [], [])[0]:
                side, to = other[ready]
                octets = self.burst(ready)
                talk.append((side, octets))
                if octets:
                    to.sendall(octets)
                else:
                    to.shutdown(socket.SHUT_WR)
                    del other[ready]
        client.close()
        server.close()

    @staticmethod
    def burst(ready):
        """What was sent together; a packet may come in pieces."""
        octets = ready.recv(1 << 20)
        while octets and select.select([ready], [], [], QUIET_SECONDS)[0]:
            more = ready.recv(1 << 20)
            if not more:
                break
            octets += more
        return octets


# ---- the clients ---------------------------------------------------------------------------------


def run(folder, *command, user=None):
    environment = {"HOME": folder, "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
                   "FETCHMAILHOME": folder, "TERM": "dumb"}
    subprocess.run(command, stdin=subprocess.DEVNULL, env=environment, cwd=folder, check=True,
                   timeout=CLIENT_SECONDS_MAX, stdout=subprocess.DEVNULL, user=user,
                   group=user and pwd.getpwuid(user).pw_gid, extra_groups=user and [])


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w",
              encoding="utf-8") as stream:
        stream.write(text)
    return path


def maildir(folder):
    for name in ("tmp", "new", "cur"):
        os.makedirs(os.path.join(folder, "Maildir", name), exist_ok=True)
    return os.path.join(folder, "Maildir")


def curl(folder, port):
    base = ["curl", "-s", "-S", "-u", f"{ACCOUNT}:{SECRET}", "-o", "/dev/null"]
    url = f"pop3://127.0.0.1:{port}/"
    run(folder, *base, url)
    run(folder, *base, url, "-X", "UIDL")
    for number in (1, 2, 3):
        run(folder, *base, url + str(number))
    run(folder, *base, url + "2", "-X", "DELE", "--list-only")
    run(folder, *base, "--login-options", "AUTH=PLAIN", url + "1")
    run(folder, *base, "--login-options", "AUTH=PLAIN", "--sasl-ir", url + "1")


def mpop(folder, port):
    for keep in ("on", "off"):
        run(folder, "mpop", "-q", "--host=127.0.0.1", f"--port={port}", f"--user={ACCOUNT}",
            f"--passwordeval=cat {write(folder, 'secret', SECRET)}", "--auth=user", "--tls=off",
            f"--keep={keep}", f"--uidls-file={folder}/uidls-{keep}",
            f"--delivery=maildir,{maildir(folder)}", "--timeout=60")


def fetchmail(folder, port):
    for keep in ("keep", "nokeep"):
        rc = write(folder, "fetchmailrc", "set no bouncemail\n"
                   f"poll 127.0.0.1 protocol POP3 port {port} auth password timeout 60 uidl\n"
                   f"  user '{ACCOUNT}' there with password '{SECRET}' is root here\n"
                   f"  sslproto '' {keep} mda '/bin/cat'\n")
        run(folder, "fetchmail", "-f", rc, "--nodetach", "--nosyslog", "--pidfile",
            f"{folder}/pid", "-i", f"{folder}/ids-{keep}")


def getmail(folder, port):
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chmod(folder, 0o755)
    for delete in ("False", "True"):
        state = os.path.join(folder, delete)
        os.makedirs(state)
        path = maildir(state)
        write(state, "getmailrc", f"""[retriever]
type = SimplePOP3Retriever
server = 127.0.0.1
port = {port}
username = {ACCOUNT}
password = {SECRET}
[destination]
type = Maildir
path = {path}/
[options]
delete = {delete}
verbose = 0
""")
        for parent, folders, files in os.walk(state):
            for name in [".", *folders, *files]:
                os.chown(os.path.join(parent, name), nobody, -1)
        run(state, "getmail", "--getmaildir", state, "--rcfile", "getmailrc", user=nobody)


def mutt(folder, port):
    """On a pseudo terminal: all messages are opened, one is deleted, the folder is left."""
    rc = write(folder, "muttrc", "\n".join([
        "set delete=yes move=no quit=yes sleep_time=0 wait_key=no header_cache=''",
        "set ssl_starttls=no ssl_force_tls=no pop_delete=no pop_last=no beep=no confirmappend=no",
        f"set pop_user='{ACCOUNT}' pop_pass='{SECRET}' pop_authenticators=user",
        f"set tmpdir={folder} folder={folder} mbox_type=Maildir confirmcreate=no",
        f"push '<tag-pattern>~A<enter><tag-prefix><copy-message>{folder}/copy<enter>"
        "<untag-pattern>~A<enter><first-entry><delete-message><quit>'"]) + "\n")
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update({"HOME": folder, "TERM": "xterm", "LC_ALL": "C.UTF-8"})
        os.execvp("mutt", ["mutt", "-n", "-F", rc, "-f", f"pop://127.0.0.1:{port}/"])
    end = time.monotonic() + CLIENT_SECONDS_MAX
    while time.monotonic() < end:
        if select.select([terminal], [], [], 1)[0]:
            try:
                if not os.read(terminal, 65536):
                    break
            except OSError:
                break
    else:
        os.kill(child, 9)
    os.close(terminal)
    os.waitpid(child, 0)


def python(folder, port):
    script = write(folder, "script.py", f"""import poplib
pop3 = poplib.POP3("127.0.0.1", {port})
pop3.user({ACCOUNT!r})
pop3.pass_({SECRET!r})
pop3.capa(), pop3.stat(), pop3.list(), pop3.list(2), pop3.uidl(), pop3.uidl(3)
pop3.retr(1), pop3.top(2, 1), pop3.noop(), pop3.dele(1), pop3.rset(), pop3.dele(3), pop3.quit()
""")
    run(folder, sys.executable, script)


CLIENTS = {"curl": curl, "mpop": mpop, "fetchmail": fetchmail, "getmail": getmail, "mutt": mutt,
           "poplib": python,
           "thunderbird": lambda folder, port: thunderbird.fetch(folder, port, ACCOUNT, SECRET)}


def version_of(name):
    command = {"poplib": [sys.executable], "getmail": ["getmail"], "mutt": ["mutt", "-v"]}
    words = command.get(name, [name])
    flags = [] if len(words) > 1 else ["--version"]
    said = subprocess.run([*words, *flags], capture_output=True, text=True, check=False).stdout
    return " ".join(said.split("\n")[0].split()[:6])


# ---- from octets to a dialogue -------------------------------------------------------------------


class Writer:
    """Writes one recording. What a command asks tells how its answer is to be read."""

    def __init__(self, name):
        self.out = [f"# Recorded by tests/interop/record.py: {version_of(name)}.", "",
                    f"== {name}", f"about: what {name} says, as it was recorded",
                    "mail: " + " ".join(MAIL)]

    def write(self, connections):
        if any("AUTH" in self.text(octets) for talk in connections for side, octets in talk
               if side == "C"):
            self.out.append("needs: auth")
        gone = set()
        for number, talk in enumerate(connections, 1):
            word = "" if len(connections) == 1 else str(number)
            gone |= self.connection(word, talk, gone)
        left = [str(n) for n in range(1, len(MAIL) + 1) if n not in gone]
        self.out.append("left: " + (" ".join(left) or "none"))

    @staticmethod
    def text(octets):
        return octets.decode("latin-1")

    def connection(self, word, talk, gone):
        """Commands wait for their answers; those of one packet are sent together."""
        self.word = word
        self.present = [n for n in range(1, len(MAIL) + 1) if n not in gone]
        self.out.append(f"open{word}")
        answers = b"".join(octets for side, octets in talk if side == "S")
        answers = self.answer("", answers)
        marked, quit_said = set(), False
        for side, octets in talk:
            if side != "C" or not octets:
                continue
            lines = self.text(octets).split("\r\n")
            if lines.pop() != "":
                raise ValueError("a packet that ends amid a line: %r" % octets)
            for at, line in enumerate(lines, 1):
                mark = ":" if at == len(lines) else "+"
                self.out.append(f"C{word}{mark} {self.hide(line)}")
            for line in lines:
                answers = self.answer(line, answers)
                words = line.split()
                if words and words[0].upper() == "DELE":
                    marked.add(self.present[int(words[1]) - 1])
                if words and words[0].upper() == "RSET":
                    marked.clear()
                quit_said |= line.upper() == "QUIT"
        if answers:
            raise ValueError("more answers than commands: %r" % answers[:200])
        self.out.append(f"S{word} closed" if quit_said else f"drop{word}")
        return marked if quit_said else set()

    def hide(self, line):
        whole = base64.b64encode(f"\0{ACCOUNT}\0{SECRET}".encode()).decode()
        line = line.replace("\\", "\\\\").replace("{", "\\x7b")
        return line.replace(whole, "{base64 - user secret}").replace(ACCOUNT, "{user}") \
                   .replace(SECRET, "{secret}")

    def answer(self, command, octets):
        """Writes what answers this command; what is left."""
        first, _, rest = octets.partition(b"\r\n")
        words = command.upper().split() or [""]
        self.say("+ ..." if first.startswith(b"+ ") else self.status(words, self.text(first)))
        if not first.startswith(b"+OK") or words[0] not in ("LIST", "UIDL", "RETR", "TOP", "CAPA",
                                                            "AUTH") or \
           (words[0] in ("LIST", "UIDL") and len(words) > 1) or \
           (words[0] == "AUTH" and len(words) > 1):
            return rest
        body, _, rest = rest.partition(b"\r\n.\r\n") if not rest.startswith(b".\r\n") else \
            (b"", b"", rest[3:])
        self.block(words, [line for line in self.text(body).split("\r\n") if body])
        return rest

    def say(self, pattern):
        self.out.append(f"S{self.word}: {pattern}")

    def status(self, words, line):
        kind = line.split()[0]
        numbers = [int(n) for n in re.findall(r"\b\d+\b", line)]
        sizes = "+".join(str(n) for n in self.present)
        if kind != "+OK":
            return kind + "..." if len(line) > len(kind) else kind
        if words[0] == "STAT" and numbers[0] == len(self.present) and self.present:
            return "+OK %d {size %s}..." % (numbers[0], sizes)
        if words[0] in ("LIST", "UIDL") and len(words) > 1:
            what = "size" if words[0] == "LIST" else "uid"
            return "+OK %d {%s %d}" % (numbers[0], what, self.present[numbers[0] - 1])
        return "+OK..."

    def block(self, words, lines):
        word = self.word
        if words[0] == "RETR":
            self.out.append(f"S{word} message {self.present[int(words[1]) - 1]}")
        elif words[0] == "TOP":
            self.out.append(f"S{word} top {self.present[int(words[1]) - 1]} {words[2]}")
        elif words[0] in ("LIST", "UIDL"):
            what = "size" if words[0] == "LIST" else "uid"
            for line in lines:
                number = int(line.split()[0])
                self.say("%d {%s %d}" % (number, what, self.present[number - 1]))
            self.say(".")
        else:
            self.out.append(f"S{word} list")


def record(name):
    instance = Instance()
    folder = tempfile.mkdtemp(prefix="postern-record-")
    messages = read_all()[1]
    try:
        instance.add_account(ACCOUNT, SECRET)
        for which in MAIL:
            instance.postern("mailbox", "import", ACCOUNT, "-",
                             octets=messages[which].replace(b"\r\n", b"\n"))
        instance.start()
        recorder = Recorder(instance.listening["pop3"])
        CLIENTS[name](folder, recorder.port)
        recorder.listening.close()
        trouble = instance.stop()
        if trouble:
            raise AssertionError(trouble)
    finally:
        instance.remove()
        shutil.rmtree(folder, ignore_errors=True)
    writer = Writer(name)
    writer.write([talk for talk in recorder.connections if any(octets for _, octets in talk)])
    path = os.path.join(HERE, "..", "conformance", "pop3", f"client-{name}.txt")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("\n".join(writer.out) + "\n")
    print("wrote", os.path.relpath(path))


if __name__ == "__main__":
    NAMES = sys.argv[1:]
    if not NAMES or not set(NAMES) <= set(CLIENTS) | {"all"}:
        sys.exit(__doc__)
    for NAME in CLIENTS if NAMES == ["all"] else NAMES:
        record(NAME)
