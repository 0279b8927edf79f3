"""syslog: a /dev/log for one root. Keeps the lines in a file and lets a test wait for one."""

import os
import re
import socket
import threading
import time


class Syslog:
    def __init__(self, path, copy):
        """path: where the socket shall be; copy: the file that gets each line."""
        self.lines, self.news = [], threading.Condition()
        self.copy = open(copy, "a", encoding="utf-8", buffering=1)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(path)
        self.path = path
        os.chmod(path, 0o666)
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self):
        while True:
            octets = self.socket.recv(65536)
            if octets == b"end":
                return
            line = octets.decode("utf-8", "replace").rstrip("\n\0")
            line = re.sub(r"^<\d+>(\w{3} [ \d]\d [\d:]{8} )?", "", line)
            with self.news:
                self.lines.append(line)
                self.copy.write(line + "\n")
                self.news.notify_all()

    def mark(self):
        """How many lines there are, for `since`."""
        with self.news:
            return len(self.lines)

    def wait_for(self, pattern, count=1, since=0, seconds=60):
        """The count-th match behind the first `since` lines; AssertionError when none comes."""
        end = time.monotonic() + seconds
        found, seen = 0, since
        with self.news:
            while True:
                while seen < len(self.lines):
                    match = re.search(pattern, self.lines[seen])
                    seen += 1
                    found += match is not None
                    if match and found >= count:
                        return match
                left = end - time.monotonic()
                if left <= 0 or not self.news.wait(left):
                    raise AssertionError("%d of %d lines like %r, the last lines are\n%s" % (
                        found, count, pattern, "\n".join(self.lines[-30:])))

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.connect(self.path)
            last.send(b"end")
        self.thread.join()
        self.socket.close()
        self.copy.close()
