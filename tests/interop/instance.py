"""instance: a Postern for a test: a temporary root, accounts, a server on ports of the kernel's choice.

The program is the test's first argument, else that in the environment's POSTERN, else the test
build's. Everything the server said is kept; whatever a sanitizer found in any of its processes fails
the test that stops it.
"""

import os
import re
import shutil
import smtplib
import subprocess
import sys
import tempfile
import threading

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if len(sys.argv) > 1 and not sys.argv[1].startswith("-") and os.sep in sys.argv[1]:
    PROGRAM = os.path.abspath(sys.argv.pop(1))
else:
    PROGRAM = os.environ.get("POSTERN") or os.path.join(REPOSITORY, "build/test/src/cli/postern")
READY_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60


class Instance:
    def __init__(self):
        # Below a folder that only its owner may enter, as /root is: the server's users may not.
        self.folder = tempfile.mkdtemp(prefix="postern-interop-")
        self.root = os.path.join(self.folder, "root")
        self.process = None
        self.said = []
        self.listening = {}

    def postern(self, *arguments, octets=b"", check=True):
        done = subprocess.run([PROGRAM, "--root", self.root, *arguments], input=octets,
                              capture_output=True, timeout=120, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"postern {' '.join(arguments)}: exit {done.returncode}: "
                                 f"{done.stderr.decode('utf-8', 'replace')}")
        return done

    def add_account(self, name, password):
        self.postern("account", "add", name, "--password-file", "-", octets=password.encode())

    def start(self, *flags):
        self.process = subprocess.Popen(
            [PROGRAM, "--root", self.root, "serve", "--pop3", "127.0.0.1:0", "--pop3s",
             "127.0.0.1:0", "--lmtp", "127.0.0.1:0", *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        threading.Thread(target=self._listen_to_errors, daemon=True).start()
        ready = threading.Event()
        threading.Thread(target=self._listen_to_output, args=(ready,), daemon=True).start()
        if not ready.wait(READY_SECONDS_MAX) or "pop3" not in self.listening:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server did not become ready:\n" + self.log())

    def _listen_to_output(self, ready):
        for line in self.process.stdout:
            words = line.decode().split()
            if words[:1] == ["listening"] and not words[2].startswith("unix:"):
                host, port = words[2].rsplit(":", 1)
                self.listening[words[1]] = (host, int(port))
            if words == ["ready"]:
                ready.set()
        ready.set()

    def _listen_to_errors(self):
        for line in self.process.stderr:
            self.said.append(line.decode("utf-8", "replace"))

    def log(self):
        return "".join(self.said[-100:])

    def stop(self):
        """Ends the server and says what was wrong about it: "" is good."""
        self.process.terminate()
        try:
            status = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "the server did not end:\n" + self.log()
        found = [line for line in self.said
                 if re.search(r"Sanitizer|runtime error:|Assertion .* failed", line)]
        if status != 0 or found:
            return f"exit status {status}\n" + "".join(found) + self.log()
        return ""

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- putting mail in ----

    def lmtp(self, recipient, octets):
        host, port = self.listening["lmtp"]
        with smtplib.LMTP(host, port, "client.example.net") as client:
            client.sendmail("sender@example.net", [recipient], with_crlf(octets))

    def lmtp_unix(self, recipient, octets):
        with smtplib.LMTP(os.path.join(self.root, "run/lmtp.sock"), 0,
                          "client.example.net") as client:
            client.sendmail("sender@example.net", [recipient], with_crlf(octets))

    def deliver(self, recipient, octets):
        self.postern("deliver", recipient, "--sender", "sender@example.net", octets=octets)

    def maildrop_path(self, name):
        user, domain = name.split("@")
        return os.path.join(self.root, "mail", domain, user)


def with_crlf(octets):
    """smtplib mends the line ends of text, but sends octets as they are."""
    return octets.replace(b"\n", b"\r\n")


def program_missing(name):
    return shutil.which(name) is None
