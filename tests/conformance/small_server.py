"""small_server: a POP3 server in memory that does one thing wrong, chosen by name, or nothing. It is
there to show that the dialogues notice; see defects_test.py."""

import socket
import threading

SECRET = "correct horse"
DEFECTS = {  # what it does wrong: the dialogue that is there to notice
    "LIST and UIDL renumber after DELE": "pop3/dele.txt::keeps-numbers",
    "deleted messages stay listed": "pop3/list.txt::without-deleted",
    "deleted messages are listed with size 0": "pop3/list.txt::all-deleted",
    "deleted messages are counted": "pop3/stat.txt::without-deleted",
    "deleted messages can be retrieved": "pop3/retr.txt::deleted",
    "QUIT removes nothing": "pop3/quit.txt::removed-at-ok",
    "QUIT removes what is not marked": "pop3/dele.txt::keeps-numbers",
    "a lost connection removes": "pop3/dele.txt::without-quit",
    "RETR removes without QUIT": "pop3/retr.txt::leaves-everything",
    "RSET takes nothing back": "pop3/dele.txt::rset",
    "TOP counts header lines": "pop3/top.txt::counts-body-lines",
    "TOP n 0 sends everything": "pop3/top.txt::zero-lines",
    "number 0 is message 1": "pop3/dele.txt::zero",
    "numbers wrap at 32 bits": "pop3/list.txt::wrapped-number",
    "signs are taken for numbers": "pop3/list.txt::not-a-number",
    "unique-ids are not unique": "pop3/uidl.txt::all",
    "unique-ids change": "pop3/uidl.txt::stays",
    "sizes count LF": "pop3/stat.txt::octets-count-crlf",
    "no byte-stuffing": "pop3/retr.txt::byte-stuffing",
    "only the dot line is stuffed": "pop3/retr.txt::byte-stuffing",
    "input is echoed": "pop3/login.txt::no-echo",
    "text behind a NUL is ignored": "pop3/lines.txt::nul-is-no-end",
    "over-long lines are cut": "pop3/lines.txt::over-long-line-of-commands",
    "a bare CR ends a line": "pop3/lines.txt::bare-cr",
    "two sessions at a time": "pop3/lock.txt::second-session",
    "the lock stays": "pop3/lock.txt::free-after-quit",
    "commands before login": "pop3/session.txt::transaction-commands-before-login",
    "lower-case answers": "pop3/session.txt::status-indicators",
    "keywords are case-sensitive": "pop3/session.txt::case-of-commands",
    "spaces end a password": "pop3/login.txt::password-with-spaces",
    "no answer to unknown commands": "pop3/session.txt::unknown-command",
    "commands behind QUIT count": "pop3/quit.txt::nothing-behind-quit",
}


class SmallServer:
    """One maildrop, of the user alice."""

    def __init__(self, defect=None):
        self.defect, self.mail, self.given, self.sessions = defect, [], 0, 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with connection:
            try:
                SmallSession(self, connection).run()
            except OSError:
                pass

    def reset(self):
        self.mail, self.lock = [], threading.Lock()

    def add(self, octets):
        self.given += 1
        uid = 1 if self.defect == "unique-ids are not unique" else self.given
        self.mail.append((uid, octets if octets.endswith(b"\r\n") else octets + b"\r\n"))

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class SmallSession:
    def __init__(self, server, connection):
        self.server, self.connection = server, connection
        self.name, self.locked, self.box, self.deleted = None, None, None, set()
        self.number = server.sessions = server.sessions + 1

    def wrong(self, defect):
        assert defect in DEFECTS
        return self.server.defect == defect

    def say(self, *lines):
        octets = b"".join(line + b"\r\n" for line in lines)
        if self.wrong("lower-case answers"):
            octets = octets.replace(b"+OK", b"+ok").replace(b"-ERR", b"-err")
        self.connection.sendall(octets)

    # ---- lines ----

    def lines(self):
        """Lines without CRLF; over-long ones as None."""
        held = b""
        while octets := self.connection.recv(65536):
            held += octets
            if self.wrong("a bare CR ends a line"):
                held = held.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
            while b"\r\n" in held:
                line, _, held = held.partition(b"\r\n")
                while self.wrong("over-long lines are cut") and len(line) > 500:
                    yield line[:500]
                    line = line[500:].lstrip(b"x ")
                yield line if len(line) < 1000 else None

    def run(self):
        try:
            self.say(b"+OK ready")
            going = True
            for line in self.lines():
                if going or self.wrong("commands behind QUIT count"):
                    going = self.take(line) and going
                if not going and not self.wrong("commands behind QUIT count"):
                    return
            if self.wrong("a lost connection removes"):
                self.remove()
        finally:
            if self.locked and not self.wrong("the lock stays"):
                self.locked.release()

    def take(self, line):
        """Carries out one command; whether the session goes on."""
        if line is None:
            self.say(b"-ERR too long")
            return True
        if self.wrong("text behind a NUL is ignored"):
            line = line.partition(b"\0")[0]
        word, _, rest = line.partition(b" ")
        if not self.wrong("keywords are case-sensitive"):
            word = word.upper()
        if word == b"QUIT" and not rest:
            self.quit()
            return False
        name = word.decode("latin-1")
        if not self.is_allowed(name):
            if not self.wrong("no answer to unknown commands"):
                self.say(b"-ERR what is " + line if self.wrong("input is echoed") else b"-ERR what?")
        elif name in ("USER", "PASS"):
            getattr(self, "do_" + name)(rest)
        else:
            getattr(self, "do_" + name)(rest.split(b" ") if rest else [])
        return True

    def is_allowed(self, name):
        login, others = ("USER", "PASS"), ("STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "RSET",
                                           "NOOP")
        if self.box is None and self.wrong("commands before login") and name in others:
            self.box = list(self.server.mail)
        return name == "CAPA" or name in (login if self.box is None else others)

    # ---- login ----

    def do_CAPA(self, words):
        if words:
            self.say(b"-ERR")
        else:
            self.say(b"+OK", b"TOP", b"UIDL", b"USER", b"RESP-CODES", b"AUTH-RESP-CODE",
                     b"PIPELINING", b".")

    def do_USER(self, rest):
        self.name = rest
        self.say(b"+OK " + (rest if self.wrong("input is echoed") else b"go on"))

    def do_PASS(self, rest):
        name, self.name = self.name, None
        secret = self.server.secret
        if self.wrong("spaces end a password"):
            rest, secret = rest.split(b" ")[0], secret.split(b" ")[0]
        if name is None:
            self.say(b"-ERR USER first")
        elif name != b"alice" or rest != secret:
            self.say(b"-ERR [AUTH] wrong")
        elif not self.wrong("two sessions at a time") and \
                not self.server.lock.acquire(blocking=False):
            self.say(b"-ERR [IN-USE] locked")
        else:
            self.locked = None if self.wrong("two sessions at a time") else self.server.lock
            self.box = list(self.server.mail)
            self.say(b"+OK")

    # ---- messages ----

    def message(self, word):
        """Its number, or None and an answer."""
        text = word.decode("latin-1")
        if self.wrong("signs are taken for numbers"):
            text = text.lstrip("+-")
        if text.isascii() and text.isdigit():
            number = int(text)
            if self.wrong("numbers wrap at 32 bits"):
                number %= 1 << 32
            if number == 0 and self.wrong("number 0 is message 1"):
                number = 1
            if 1 <= number <= len(self.box) and (number not in self.deleted or
                                                 self.wrong("deleted messages can be retrieved")):
                return number
        self.say(b"-ERR no such message")
        return None

    def size(self, number):
        octets = self.box[number - 1][1]
        return len(octets.replace(b"\r\n", b"\n") if self.wrong("sizes count LF") else octets)

    def uid(self, number):
        uid = b"%d.1" % self.box[number - 1][0]
        return uid + b".%d" % self.number if self.wrong("unique-ids change") else uid

    def shown(self):
        """(number as shown, number) of what is listed."""
        numbers = [number for number in range(1, len(self.box) + 1)
                   if number not in self.deleted or self.wrong("deleted messages stay listed") or
                   self.wrong("deleted messages are listed with size 0")]
        if self.wrong("LIST and UIDL renumber after DELE"):
            return list(enumerate(numbers, 1))
        return [(number, number) for number in numbers]

    def do_STAT(self, words):
        if words:
            self.say(b"-ERR")
            return
        counted = [number for number in range(1, len(self.box) + 1)
                   if number not in self.deleted or self.wrong("deleted messages are counted")]
        self.say(b"+OK %d %d" % (len(counted), sum(map(self.size, counted))))

    def listing(self, words, value):
        if len(words) > 1:
            self.say(b"-ERR")
        elif words:
            number = self.message(words[0])
            if number:
                self.say(b"+OK %d %b" % (number, value(number)))
        else:
            self.say(b"+OK", *[b"%d %b" % (shown, value(number))
                               for shown, number in self.shown()], b".")

    def do_LIST(self, words):
        self.listing(words, lambda number: b"%d" % (
            0 if number in self.deleted else self.size(number)))

    def do_UIDL(self, words):
        self.listing(words, self.uid)

    def send(self, octets):
        lines = octets.split(b"\r\n")[:-1]
        if self.wrong("only the dot line is stuffed"):
            lines = [b".." if line == b"." else line for line in lines]
        elif not self.wrong("no byte-stuffing"):
            lines = [b"." + line if line.startswith(b".") else line for line in lines]
        self.say(b"+OK", *lines, b".")

    def do_RETR(self, words):
        number = self.message(words[0]) if len(words) == 1 else self.say(b"-ERR")
        if number:
            self.send(self.box[number - 1][1])
            if self.wrong("RETR removes without QUIT") and self.box[number - 1] in self.server.mail:
                self.server.mail.remove(self.box[number - 1])

    def do_TOP(self, words):
        if len(words) != 2 or not words[1].isdigit():
            self.say(b"-ERR")
            return
        number, lines = self.message(words[0]), int(words[1])
        if not number:
            return
        octets = self.box[number - 1][1]
        header, blank, body = octets.partition(b"\r\n\r\n")
        if self.wrong("TOP n 0 sends everything") and lines == 0:
            lines = len(octets)
        if self.wrong("TOP counts header lines"):
            lines = max(0, lines - header.count(b"\r\n") - 2)
        kept = [line + b"\r\n" for line in body.split(b"\r\n")[:-1]][:lines]
        self.send(header + blank + b"".join(kept))

    def do_DELE(self, words):
        number = self.message(words[0]) if len(words) == 1 else self.say(b"-ERR")
        if number:
            self.deleted.add(number)
            self.say(b"+OK")

    def do_RSET(self, words):
        if words:
            self.say(b"-ERR")
            return
        if not self.wrong("RSET takes nothing back"):
            self.deleted = set()
        self.say(b"+OK")

    def do_NOOP(self, words):
        self.say(b"-ERR" if words else b"+OK")

    # ---- the end ----

    def remove(self):
        for number in self.deleted:
            if self.box[number - 1] in self.server.mail:
                self.server.mail.remove(self.box[number - 1])

    def quit(self):
        if self.box is not None and not self.wrong("QUIT removes nothing"):
            self.remove()
            if self.wrong("QUIT removes what is not marked") and self.deleted and self.server.mail:
                self.server.mail.pop(0)
        if self.locked and not self.wrong("the lock stays"):
            self.locked.release()
            self.locked = None
        self.say(b"+OK")
