"""jail: a root of its own for a peer's processes, that ends with whoever made it.

Jail(root) makes mount, pid and host name namespaces in which `root` is the root directory, with a
few devices and /proc, and gives ways to run programs in it. When the jail is closed, or the process
that made it ends in whatever way, the kernel kills everything inside and the mounts are gone. The
network is that of the caller.

Run as a program (by Jail, through unshare) this file is the first process of the namespaces: it
mounts, says "ready", adopts whatever daemons leave behind, and lives until its input ends.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC = 1, 32, 4096, 16384
DEVICES = ["null", "zero", "full", "random", "urandom", "tty"]


class Jail:
    def __init__(self, root, binds=()):
        """binds: (what, where in the root, whether it can be written)."""
        words = [f"{what}:{where}:{'rw' if writable else 'ro'}" for what, where, writable in binds]
        self.keeper = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--propagation",
             "private", sys.executable, os.path.abspath(__file__), root, *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True)
        self.started, self.pid = [], None
        line = self.keeper.stdout.readline().split()
        if line[:1] != ["ready"]:
            self.close()
            raise RuntimeError(f"no namespace could be made for {root}")
        self.pid = int(line[1])

    def _command(self, command, user):
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--uts", "--root", "--wd"]
        if user is not None:
            enter += [f"--setuid={user[0]}", f"--setgid={user[1]}"]
        return enter + list(command)

    def _words(self, environment):
        return {"env": {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C",
                        **(environment or {})}, "start_new_session": True}

    def run(self, *command, octets=b"", user=None, environment=None, check=True, seconds=120):
        """A program run to its end. user: (uid, gid)."""
        done = subprocess.run(self._command(command, user), input=octets, capture_output=True,
                              check=False, timeout=seconds, **self._words(environment))
        if check and done.returncode != 0:
            said = (done.stdout + done.stderr).decode("utf-8", "replace")
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {said[-2000:]}")
        return done

    def start(self, *command, log, user=None, environment=None):
        """A program that stays; what it prints goes to the file log."""
        process = subprocess.Popen(self._command(command, user), stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=subprocess.STDOUT,
                                   **self._words(environment))
        self.started.append(process)
        return process

    def close(self):
        """Kills everything inside, waits until it is gone."""
        self.keeper.stdin.close()
        try:
            self.keeper.wait(5)
        except subprocess.TimeoutExpired:
            # A forked child of ours still holds the other end of its input.
            os.kill(self.pid or self.keeper.pid, signal.SIGKILL)
            self.keeper.wait()
        self.keeper.stdout.close()
        for process in self.started:
            process.wait()


# ---- inside --------------------------------------------------------------------------------------


def mount(what, where, kind=None, flags=0):
    library = ctypes.CDLL(None, use_errno=True)
    if library.mount(what.encode(), where.encode(), kind and kind.encode(), flags, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {what} on {where}: {os.strerror(number)}")


def bind(what, where, writable):
    if os.path.isdir(what):
        os.makedirs(where, exist_ok=True)
    elif not os.path.exists(where):
        with open(where, "w", encoding="utf-8"):
            pass
    mount(what, where, flags=MS_BIND | MS_REC)
    if not writable:
        mount(what, where, flags=MS_BIND | MS_REMOUNT | MS_RDONLY)


def main():
    root, *binds = sys.argv[1:]
    outer = os.readlink("/proc/self")
    for text in binds:
        what, where, mode = text.rsplit(":", 2)
        bind(what, root + where, mode == "rw")
    for name in DEVICES:
        bind(f"/dev/{name}", f"{root}/dev/{name}", True)
    mount("proc", f"{root}/proc", "proc")
    with open(f"{root}/etc/hostname", encoding="utf-8") as name:
        socket.sethostname(name.read().strip())
    os.chdir(root)
    os.chroot(".")
    # Children that nobody waits for vanish at once.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    print("ready", outer, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
