"""dialogue: the language of the files below tests/conformance/, read and played.

A file holds dialogues about one topic. Its folder names the protocol; those of intake/ are played
with lmtp and with smtp. A dialogue begins with `== name`, then come its settings,
one a line, then its steps:

    == dele-keeps-numbers
    about: RFC 1939 section 5: message numbers never change within a session
    mail: one two three
    login
    C: DELE 1
    S: +OK...
    C: LIST
    S: +OK...
    S: 2 {size 2}
    S: 3 {size 3}
    S: .
    C: QUIT
    S: +OK...
    left: 2 3

Settings
    about: TEXT            what is shown; the section of the RFC
    mail: NAME…            messages in the maildrop at the beginning, defined by `message NAME`
    needs: WORD…           features without which it cannot run (targets.py probes for them)
    over: plain tls        which connections it is played over; plain alone where it is not said
    ours: TEXT             what is shown is a choice of Postern's, which no other server need share
    store: KIND…           only with these stores
    serve: FLAG…           flags of the server
    user: FLAG…            flags of `account add` for {user}
    secret: TEXT           its password
    account: NAME FLAG…    a further account {NAME}, with these flags of `account add`

Steps; a digit behind C, S, open, login, tls, drop or shut names another session than the first
    open [pop3|lmtp|smtp] [tls] [outside]   a connection, of the folder's kind where none is said;
                                            outside: from and to an address that is not loopback
    login [tls]            open pop3, greeting (both where not done yet), USER, PASS
    apop                   reads the greeting, and makes {apop} of its timestamp and {secret}, and
                           {APOP} of the same digits in upper case
    C: TEXT                a line to the server
    C+ TEXT                the same, but sent together with the next C: line
    raw: TEXT              octets without a line end
    S: PATTERN             the next line of the server
    S list                 lines up to the final dot, byte-stuffing undone, for `has` and `lacks`
    S reply CODE           an SMTP reply of one or more lines, their texts for `has` and `lacks`
    S message N            a whole message up to the final dot: message N of `mail`, octet for octet
    S top N LINES          the same of the header and so many lines of the body
    S closed               the server closes, and has nothing more to say
    S closed or PATTERN    the same, or it says this one line first
    S closes or: PATTERN   this line, or nothing more of the dialogue because the server closes
    S rest                 the server closes, whatever it says before
    has: PATTERN           one of the lines last read by list, reply, message or top
    lacks: PATTERN         none of them
    count: NUMBER          so many of them
    tls                    begins TLS on this connection
    tls or closed          the same, or nothing more of the dialogue because the server closes
    drop, shut             closes the connection, or only our half of it
    left: N… | all | none  what a new session finds afterwards, and its unique-ids where known
    run: WORD…             a command of Postern; `run fails: WORD…` one that must fail
    log: REGEX             a line of the server's log that must come
    harm, mend             makes changes of the maildrop fail at the disk, and takes that back
    repeat N STEP          the step so many times
    for lmtp STEP          the step where the dialogue is played with lmtp, or smtp
    # …                    a comment

Text: \\r \\n \\t \\0 \\s \\xHH \\\\; {NAME} a variable ({user}, {secret}, {domain}, {DOMAIN} in upper
case, further accounts; below intake/ {HELLO}, {hello} and {PROTOCOL}); {TEXT*N} a repetition;
{base64 A B} the values of A and B with NUL between them, `-` is empty.
In patterns `...` is any text, and a variable without a value takes what stands there, up to a
space, and must be the same from then on: {size N} digits, {text A} anything, {uid N} a unique-id,
which differs from all others. {size 1+3} is a sum. A pattern in slashes is a regex.

A message is `message NAME` and lines behind `|` (`|*1000` is a line a thousand times), in any file;
each line ends in CRLF; `|-` is a last line without line end.

Guarantees: nothing is skipped; each line of the server is looked at, ends in CRLF, and a status
line has at most 512 octets (RFC 1939 section 3, RFC 5321 section 4.5.3.1.5). Must not know: which
server is behind a target.
"""

import base64
import hashlib
import os
import re
import ssl

FOLDER = os.path.dirname(os.path.abspath(__file__))
STATUS_OCTETS_MAX = 512
SETTINGS = ("about", "mail", "needs", "over", "ours", "store", "serve", "user", "secret",
            "account")
STEP = re.compile(r"(open|login|apop|tls|drop|shut|C|S)(\d?)(?:(:|\+| |$)) ?(.*)$")
OTHER_STEP = re.compile(r"(raw|has|lacks|count|left|run|run fails|log)(\d?): ?(.*)$")
WORDS = {"lmtp": {"HELLO": "LHLO", "hello": "lhlo", "PROTOCOL": "LMTP"},
         "smtp": {"HELLO": "EHLO", "hello": "ehlo", "PROTOCOL": "ESMTP"}}
OURS_ONLY = ("run", "run fails", "log", "harm", "mend")


class Mismatch(AssertionError):
    """The server did not say what it must."""


class Closed(Exception):
    """The server closed where it may, and the dialogue is over."""


class Dialogue:
    def __init__(self, path, name, line):
        self.path, self.name, self.line = path, name, line
        self.settings, self.accounts, self.steps = {}, [], []
        self.only_for = None  # while it is read: the protocol that this line is for

    @property
    def label(self):
        return "%s::%s" % (self.path, self.name)

    @property
    def protocol(self):
        return self.path.split("/")[0]

    def add(self, number, verb, which, text, line):
        self.steps.append((number, verb, which, text, line, self.only_for))

    def ways(self):
        """Kinds of connections it is played over: plain and tls, or lmtp and smtp."""
        return self.words("over") or (["lmtp", "smtp"] if self.protocol == "intake" else ["plain"])

    def words(self, setting):
        return self.settings.get(setting, "").split()

    def is_for_any_server(self):
        """Whether it shows nothing but what the RFCs demand of every POP3 server."""
        return self.protocol == "pop3" and not self.accounts and \
            not self.path.startswith("pop3/client-") and \
            not any(key in self.settings for key in ("ours", "serve", "user", "secret")) and \
            not any(step[1] in OURS_ONLY or "outside" in step[3].split() for step in self.steps)


# ---- reading -------------------------------------------------------------------------------------


def unescape(text, number=0):
    """Octets of a text as it stands in a file."""
    def escape(match):
        word = match.group(1)
        return chr(int(word[1:], 16)) if word[0] == "x" else \
            {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\", "s": " "}[word]

    text = re.sub(r"\\(x[0-9a-fA-F]{2}|.)", escape, text)
    text = re.sub(r"\{([^{}]+)\*(\d+)\}", lambda m: m.group(1) * int(m.group(2)), text)
    return text.encode("latin-1")


def read_file(path, messages):
    """The dialogues of a file; its messages are added to `messages`."""
    dialogues, message = [], None
    with open(os.path.join(FOLDER, path), encoding="utf-8") as stream:
        for number, line in enumerate(stream.read().split("\n"), 1):
            where = "%s:%d" % (path, number)
            if line.startswith("|") and message:
                messages[message] += message_line(line)
                continue
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            if line.startswith("message "):
                message = line.split()[1]
                if message in messages:
                    raise ValueError("%s: a second message %s" % (where, message))
                messages[message] = b""
            elif line.startswith("== "):
                dialogues.append(Dialogue(path, line[3:].strip(), number))
                message = None
            elif not dialogues:
                raise ValueError("%s: outside of a dialogue" % where)
            else:
                take_line(dialogues[-1], number, line, where)
    return dialogues


def message_line(line):
    match = re.match(r"\|(?:\*(\d+))?(-?) ?(.*)$", line)
    return (unescape(match.group(3)) + (b"" if match.group(2) else b"\r\n")) * \
        int(match.group(1) or 1)


def take_line(dialogue, number, line, where):
    key, _, value = line.partition(":")
    if key in SETTINGS and not dialogue.steps:
        if key == "account":
            dialogue.accounts.append(value.split())
        else:
            dialogue.settings[key] = (dialogue.settings.get(key, "") + " " + value.strip()).strip()
        return
    if line.startswith("for "):
        _, dialogue.only_for, line = line.split(" ", 2)
        take_line(dialogue, number, line, where)
        dialogue.only_for = None
        return
    repeat = re.match(r"repeat (\d+) (.*)$", line)
    if repeat:
        for _ in range(int(repeat.group(1))):
            take_line(dialogue, number, repeat.group(2), where)
        return
    if line in ("harm", "mend"):
        dialogue.add(number, line, "", "", line)
        return
    match = OTHER_STEP.match(line)
    if match:
        dialogue.add(number, match.group(1), match.group(2), match.group(3), line)
        return
    match = STEP.match(line)
    if not match:
        raise ValueError("%s: no step: %s" % (where, line))
    verb = match.group(1) + (match.group(3) if match.group(1) in "CS" else "")
    dialogue.add(number, verb.strip(), match.group(2), match.group(4), line)


def read_all():
    """(dialogues, messages) of all files below tests/conformance/."""
    dialogues, messages = [], {}
    for folder in (".", "pop3", "intake", "lmtp", "smtp"):
        for name in sorted(os.listdir(os.path.join(FOLDER, folder))):
            if name.endswith(".txt"):
                dialogues += read_file(os.path.normpath(os.path.join(folder, name)), messages)
    labels = [dialogue.label for dialogue in dialogues]
    twice = {label for label in labels if labels.count(label) > 1}
    if twice:
        raise ValueError("more than one dialogue of a name: %s" % ", ".join(sorted(twice)))
    for dialogue in dialogues:
        unknown = [name for name in dialogue.words("mail") if name not in messages]
        if unknown or not dialogue.settings.get("about") or not dialogue.steps:
            raise ValueError("%s: %s" % (dialogue.label, "no message %s" % unknown if unknown
                                         else "no about or no steps"))
    return dialogues, messages


# ---- playing -------------------------------------------------------------------------------------


class Session:
    """One connection: lines out, lines in."""

    def __init__(self, connection):
        self.connection = connection
        self.reader = connection.makefile("rb")
        self.queued = b""
        self.greeted = False
        self.block = []  # what list, reply, message and top have read last

    def send(self, octets):
        try:
            self.connection.sendall(self.queued + octets)
        except OSError as problem:
            raise Mismatch("the connection broke: %s" % problem) from None
        self.queued = b""

    def line(self):
        self.greeted = True
        try:
            line = self.reader.readline()
        except TimeoutError:
            raise Mismatch("no answer came") from None
        except (ConnectionError, ssl.SSLError) as problem:
            raise Mismatch("the connection broke: %s" % problem) from None
        if not line:
            raise Mismatch("the server closed the connection")
        if not line.endswith(b"\r\n"):
            raise Mismatch("a line without CRLF: %r" % line)
        return line[:-2]

    def status(self):
        line = self.line()
        if len(line) + 2 > STATUS_OCTETS_MAX:
            raise Mismatch("a status line of %d octets" % (len(line) + 2))
        return line

    def dotted(self):
        """Lines up to the final dot, byte-stuffing undone."""
        self.block = []
        while True:
            line = self.line()
            if line == b".":
                return self.block
            self.block.append(line[1:] if line.startswith(b".") else line)

    def is_closed(self):
        try:
            rest = self.reader.read()
        except TimeoutError:
            raise Mismatch("the server does not close") from None
        except (ConnectionError, ssl.SSLError):
            rest = b""
        if rest:
            raise Mismatch("instead of closing it says %r" % rest[:200])

    def begin_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.reader.close()
        try:
            self.connection = context.wrap_socket(self.connection)
        except (ssl.SSLError, OSError) as problem:
            raise Mismatch("no TLS: %s" % problem) from None
        self.reader = self.connection.makefile("rb")

    def close(self):
        self.reader.close()
        self.connection.close()


class Player:
    """Plays one dialogue against a target (targets.py)."""

    def __init__(self, dialogue, messages, target, over, patience=None):
        self.dialogue, self.target, self.over, self.patience = dialogue, target, over, patience
        self.mail = [messages[name] for name in dialogue.words("mail")]
        self.sessions, self.variables, self.transcript = {}, {}, []

    def play(self):
        number = self.dialogue.line
        try:
            self.variables = dict(self.target.prepare(self.dialogue))
            self.mail, sizes = self.target.fill(self.variables["user"], self.mail)
            self.variables.update(("size %d" % at, str(size)) for at, size in enumerate(sizes, 1))
            self.variables.update(WORDS.get(self.over, {}))
            for number, verb, which, text, line, only_for in self.dialogue.steps:
                if only_for not in (None, self.over):
                    continue
                self.transcript.append("%5d  %s" % (number, line))
                self.step(verb, which, text)
            self.compare_sums()
        except Closed:
            pass
        except Mismatch as problem:
            raise Mismatch("tests/conformance/%s:%d: %s\n%s" % (
                self.dialogue.path, number, problem, "\n".join(self.transcript[-12:]))) from None
        finally:
            for session in self.sessions.values():
                session.close()
            self.target.restore(self.variables.get("user"))

    def step(self, verb, which, text):
        simple = {"left": self.left, "run": self.run, "run fails": self.run_fails, "log": self.log,
                  "harm": self.harm, "mend": self.mend}
        if verb in simple:
            simple[verb](text)
        elif verb in ("open", "login"):
            getattr(self, verb)(which, text)
        else:
            if which not in self.sessions:
                self.open(which, "")
            self.step_of_session(self.sessions[which], verb, text)

    def step_of_session(self, session, verb, text):
        if verb == "C:":
            session.send(self.octets(text) + b"\r\n")
        elif verb == "C+":
            session.queued += self.octets(text) + b"\r\n"
        elif verb == "raw":
            session.send(self.octets(text))
        elif verb == "S:":
            self.compare(session.status(), text)
        elif verb == "S":
            self.read_block(session, text.split())
        elif verb == "has":
            if not any(self.matches(line, text) for line in session.block):
                raise Mismatch("not among %r" % session.block[:60])
        elif verb == "lacks":
            if any(self.matches(line, text, bind=False) for line in session.block):
                raise Mismatch("is among %r" % session.block[:60])
        elif verb == "count":
            if len(session.block) != int(text):
                raise Mismatch("%d lines: %r" % (len(session.block), session.block[:60]))
        elif verb == "tls":
            self.begin_tls(session, text)
        elif verb == "apop":
            self.apop(session)
        elif verb == "drop":
            session.close()
        else:
            session.connection.shutdown(1)

    # ---- sessions ----

    def open(self, which, text):
        words = text.split()
        kinds = [word for word in words if word in ("pop3", "lmtp", "smtp")]
        own = self.over if self.dialogue.protocol == "intake" else self.dialogue.protocol
        kind = kinds[0] if kinds else own
        tls = "tls" in words or (kind == own and self.over == "tls")
        if which in self.sessions:
            self.sessions.pop(which).close()
        self.sessions[which] = self.connect(kind, tls, "outside" in words)

    def connect(self, kind, tls, outside):
        if kind == "pop3" and self.target.changes_messages:
            self.variables = {name: value for name, value in self.variables.items()
                              if not name.startswith("size ")}
        connection = self.target.connect(kind, tls, outside)
        if self.patience:
            connection.settimeout(self.patience)
        return Session(connection)

    def login(self, which, text):
        if which not in self.sessions:
            self.open(which, "pop3 " + text)
        if not self.sessions[which].greeted:
            self.compare(self.sessions[which].status(), "+OK...")
        for line in ("USER {user}", "PASS {secret}"):
            self.sessions[which].send(self.octets(line) + b"\r\n")
            self.compare(self.sessions[which].status(), "+OK...")

    def apop(self, session):
        greeting = session.status()
        stamp = re.search(rb"<[^<>]+>", greeting)
        if not stamp:
            raise Mismatch("no timestamp: %r" % greeting)
        digest = hashlib.md5(stamp.group(0) + self.octets("{secret}")).hexdigest()
        self.variables.update({"apop": digest, "APOP": digest.upper()})

    # ---- text ----

    def octets(self, text):
        def value(match):
            name = match.group(1)
            if "*" in name:
                return match.group(0)
            if name.startswith("base64 "):
                words = [self.variables.get(word, word) for word in name.split()[1:]]
                return base64.b64encode(b"\0".join(
                    unescape("" if word == "-" else word) for word in words)).decode()
            if name not in self.variables:
                raise Mismatch("no value for {%s}" % name)
            return self.variables[name]

        return unescape(re.sub(r"\{([^{}]+)\}", value, text))

    def compare(self, line, pattern):
        if not self.matches(line, pattern):
            raise Mismatch("not `%s` but %r" % (pattern, line[:600]))

    def matches(self, line, pattern, bind=True):
        """Compares, and binds the variables that have no value yet."""
        text = line.decode("latin-1")
        if pattern.startswith("/") and pattern.endswith("/") and len(pattern) > 1:
            return re.search(pattern[1:-1], text) is not None
        names = []
        regex = "".join(self.part(part, names) for part in
                        re.split(r"(\.\.\.|\{[^{}*]+\})", pattern))
        match = re.fullmatch(regex, text, re.S)
        if not match:
            return False
        found = dict(zip(names, match.groups()))
        if bind:
            for name, value in found.items():
                self.bind(name, value)
        return True

    def part(self, part, names):
        if part == "...":
            return ".*"
        if not part.startswith("{"):
            return re.escape(unescape(part).decode("latin-1"))
        name = part[1:-1]
        if "+" in name and all(each in self.variables for each in parts_of(name)):
            return str(sum(int(self.variables[each]) for each in parts_of(name)))
        if name in self.variables:
            return re.escape(self.variables[name])
        if name in names:
            return "(?:\\%d)" % (names.index(name) + 1)
        names.append(name)
        return {"size": r"(\d+)", "uid": r"([\x21-\x7e]{1,70})", "text": "(.*)"}.get(
            name.split()[0], r"(\S+)")

    def compare_sums(self):
        """Sums that could not be compared when they were read: {size 1+2} before {size 2}."""
        for name in [name for name in self.variables if "+" in name]:
            if all(part in self.variables for part in parts_of(name)):
                total = sum(int(self.variables[part]) for part in parts_of(name))
                if int(self.variables[name]) != total:
                    raise Mismatch("{%s} is %s, not %d" % (name, self.variables[name], total))

    def bind(self, name, value):
        if name.startswith("uid "):
            same = [other for other, known in self.variables.items()
                    if other.startswith("uid ") and known == value]
            if same:
                raise Mismatch("{%s} is the same as {%s}" % (name, same[0]))
        self.variables[name] = value

    # ---- blocks ----

    def read_block(self, session, words):
        if words == ["closed"]:
            session.is_closed()
        elif words[:2] == ["closed", "or"]:
            self.read_last_line(session, " ".join(words[2:]))
        elif words[:2] == ["closes", "or:"]:
            try:
                line = session.status()
            except Mismatch:
                raise Closed from None
            self.compare(line, " ".join(words[2:]))
        elif words == ["rest"]:
            self.read_rest(session)
        elif words == ["list"]:
            session.dotted()
        elif words[0] == "reply":
            self.read_reply(session, words[1])
        elif words[0] == "message":
            self.read_message(session, int(words[1]), None)
        elif words[0] == "top":
            self.read_message(session, int(words[1]), int(words[2]))
        else:
            raise ValueError("no such step: S %s" % " ".join(words))

    @staticmethod
    def begin_tls(session, text):
        try:
            session.begin_tls()
        except Mismatch:
            if text == "or closed":
                raise Closed from None
            raise

    @staticmethod
    def read_rest(session):
        try:
            session.reader.read()
        except TimeoutError:
            raise Mismatch("the server does not close") from None
        except (ConnectionError, ssl.SSLError):
            pass

    def read_last_line(self, session, pattern):
        try:
            line = session.line()
        except Mismatch:
            return
        self.compare(line, pattern)
        session.is_closed()

    def read_reply(self, session, code):
        session.block = []
        while True:
            line = session.status().decode("latin-1")
            if not re.match(code + r"([ -]|$)", line):
                raise Mismatch("not %s but %r" % (code, line))
            session.block.append(line[4:].encode("latin-1"))
            if line[3:4] != "-":
                return

    def read_message(self, session, number, lines):
        text = b"".join(line + b"\r\n" for line in session.dotted())
        wanted = self.mail[number - 1]
        # Whatever ends without a line end is sent with one.
        wanted += b"" if wanted.endswith(b"\r\n") else b"\r\n"
        if lines is None:
            # Where no size is known yet, that of another server's message is learnt here.
            size = self.variables.setdefault("size %d" % number, str(len(text)))
            if len(text) != int(size):
                raise Mismatch("%d octets of %s" % (len(text), size))
        if lines is not None:
            wanted = top_of(wanted, lines)
        if not self.target.is_same(text, wanted):
            raise Mismatch("not the message: %s" % difference(text, wanted))

    # ---- what is left ----

    def left(self, text):
        everything = range(1, len(self.mail) + 1)
        numbers = list(everything) if text == "all" else \
            [] if text == "none" else [int(word) for word in text.split()]
        session = self.new_session()
        try:
            session.send(b"UIDL\r\n")
            self.compare(session.status(), "+OK...")
            found = [line.split(b" ") for line in session.dotted()]
            if len(found) != len(numbers):
                raise Mismatch("%d messages are left" % len(found))
            for at, (number, (shown, uid)) in enumerate(zip(numbers, found), 1):
                if int(shown) != at:
                    raise Mismatch("numbers with a gap: %r" % found)
                if not self.matches(uid, "{uid %d}" % number):
                    raise Mismatch("another unique-id than before: %r" % uid)
                session.send(b"RETR %d\r\n" % at)
                self.compare(session.status(), "+OK...")
                self.read_message(session, number, None)
            session.send(b"QUIT\r\n")
            self.compare(session.status(), "+OK...")
        finally:
            session.close()

    def new_session(self):
        """A login in which a maildrop that is in use still is tried again: the server learns of a
        lost connection only after it."""
        end = self.target.deadline()
        while True:
            session = self.connect("pop3", False, False)
            self.compare(session.status(), "+OK...")
            session.send(self.octets("USER {user}") + b"\r\n")
            self.compare(session.status(), "+OK...")
            session.send(self.octets("PASS {secret}") + b"\r\n")
            answer = session.status()
            if answer.startswith(b"+OK"):
                return session
            session.close()
            if self.target.is_late(end):
                raise Mismatch("no login afterwards: %r" % answer)

    # ---- what only Postern can do ----

    def run(self, text):
        result = self.target.command(self.octets(text).decode().split())
        if result.returncode != 0:
            raise Mismatch("exit %d: %r" % (result.returncode, result.stderr))

    def run_fails(self, text):
        if self.target.command(self.octets(text).decode().split()).returncode == 0:
            raise Mismatch("exit 0")

    def log(self, text):
        try:
            self.target.wait_for_log(self.octets(text).decode("latin-1"))
        except AssertionError as problem:
            raise Mismatch(str(problem)[:2000]) from None

    def harm(self, _text):
        self.target.harm(self.variables["user"])

    def mend(self, _text):
        self.target.restore(self.variables["user"])


def parts_of(name):
    """size 1+3 -> size 1, size 3"""
    word, _, numbers = name.partition(" ")
    return [word + " " + number for number in numbers.split("+")]


def top_of(message, lines):
    header, blank, body = message.partition(b"\r\n\r\n")
    if not blank:
        return message
    ends = [line + b"\r\n" for line in body.split(b"\r\n")[:-1]]
    return header + blank + b"".join(ends[:lines])


def difference(text, wanted):
    at = next((at for at, pair in enumerate(zip(text, wanted)) if pair[0] != pair[1]),
              min(len(text), len(wanted)))
    return "%d octets for %d, the first other one at %d: %r for %r" % (
        len(text), len(wanted), at, text[at:at + 60], wanted[at:at + 60])
