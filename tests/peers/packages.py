"""packages: Debian packages with all they depend on, unpacked below build/roots, and nothing else.

What a peer needs is worked out by apt as for a machine that has nothing installed, from this
machine's own apt sources but in a state directory of our own: the machine's packages neither matter
nor change. No maintainer script runs. A package is unpacked once, below build/roots/pool, and
linked from there into the root of each peer that needs it; without its documentation.
"""

import concurrent.futures
import contextlib
import fcntl
import os
import re
import shutil
import subprocess

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROOTS = os.path.join(REPOSITORY, "build/roots")
CACHE = os.path.join(ROOTS, "cache")
POOL = os.path.join(ROOTS, "pool")
APT = os.path.join(ROOTS, "apt")

# What a shell script finds on the smallest Debian.
BASE = ["base-files", "base-passwd", "coreutils", "dash", "debianutils", "findutils", "grep",
        "hostname", "libc-bin", "mawk", "netbase", "sed"]
# Only maintainer scripts and timers want these; an MTA comes as a dependency of three rivals.
NEVER = {"adduser", "cron", "cron-daemon-common", "debconf", "dpkg", "e2fsprogs", "exim4-base",
         "exim4-config", "exim4-daemon-light", "init-system-helpers", "libext2fs2",
         "libfile-find-rule-perl", "libnumber-compare-perl", "libtext-glob-perl", "logsave",
         "passwd", "sysvinit-utils", "ucf", "update-inetd", "usrmerge"}
# Debian's merged /usr: packages still name /bin and /lib.
MERGED = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"]
LEFT_OUT = ["usr/share/doc", "usr/share/doc-base", "usr/share/man", "usr/share/info",
            "usr/share/locale", "usr/share/lintian", "usr/share/bug", "usr/share/perl/*/pod",
            "usr/share/guile", "usr/lib/*/guile"]


class Trouble(Exception):
    """Why a peer cannot be had here."""


@contextlib.contextmanager
def locked():
    """One installation at a time; another process waits for its end."""
    os.makedirs(ROOTS, exist_ok=True)
    with open(os.path.join(ROOTS, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def apt_get(*words, folder=None):
    """What apt-get printed."""
    for state in (f"{APT}/lists/partial", f"{CACHE}/partial"):
        os.makedirs(state, exist_ok=True)
    status = f"{APT}/status"
    with open(status, "w", encoding="utf-8"):
        pass
    settings = {"Dir::State": APT, "Dir::State::status": status, "Dir::Cache::archives": CACHE,
                "Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": "",
                "Dir::Log": APT, "APT::Sandbox::User": "root", "Acquire::Retries": "3",
                "Acquire::Languages": "none", "APT::Install-Recommends": "false"}
    command = ["apt-get", "--yes"]
    for name, value in settings.items():
        command += ["--option", f"{name}={value}"]
    done = subprocess.run(command + list(words), capture_output=True, text=True, check=False,
                          cwd=folder, stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"})
    if done.returncode != 0:
        raise Trouble(f"apt-get {' '.join(words)}: {done.stderr.strip()[-600:]}")
    return done.stdout


def plan(names):
    """(package, file name of its archive) of each of the names and of all that they depend on."""
    printed = apt_get("--simulate", "install", *BASE, *names)
    planned = re.findall(r"^Inst (\S+) \((\S+) .*\[(\w+)\]\)", printed, re.M)
    own = set(names)
    return [(package, f"{package}_{version.replace(':', '%3a')}_{architecture}.deb")
            for package, version, architecture in planned
            if package not in NEVER or package in own]


def fetch(names):
    """The file names of the archives, all of them in the cache."""
    try:
        planned = plan(names)
    except Trouble:
        # No package lists yet. One unreachable source of many need not matter: the plan will tell.
        complaint = None
        try:
            apt_get("update")
        except Trouble as trouble:
            complaint = trouble
        try:
            planned = plan(names)
        except Trouble as trouble:
            raise complaint or trouble from trouble
    wanted = [archive for _, archive in planned]
    if not all(os.path.exists(f"{CACHE}/{archive}") for archive in wanted):
        try:
            download(planned)
        except Trouble:
            # The lists are older than what the mirror still has.
            apt_get("update")
            planned = plan(names)
            wanted = [archive for _, archive in planned]
            download(planned)
    return wanted


def download(planned):
    missing = [package for package, archive in planned if not os.path.exists(f"{CACHE}/{archive}")]
    # Only these: what is left out is not loaded either.
    apt_get("--quiet", "download", *missing, folder=CACHE)
    lost = [archive for _, archive in planned if not os.path.exists(f"{CACHE}/{archive}")]
    if lost:
        raise Trouble(f"apt-get brought no {' '.join(lost)}")


def unpack(archive):
    """The folder of the pool that holds what the archive does."""
    folder = f"{POOL}/{archive.removesuffix('.deb')}"
    if os.path.exists(folder):
        return folder
    partial = f"{folder}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    for name in MERGED:
        os.makedirs(f"{partial}/usr/{name}")
        os.symlink(f"usr/{name}", f"{partial}/{name}")
    reader = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", f"{CACHE}/{archive}"],
                              stdout=subprocess.PIPE)
    writer = subprocess.run(
        ["tar", "-x", "-p", "-C", partial, "--keep-directory-symlink", "--same-owner",
         "--numeric-owner", "--anchored"] + [f"--exclude=./{path}/*" for path in LEFT_OUT],
        stdin=reader.stdout, capture_output=True, text=True, check=False)
    if reader.wait() != 0 or writer.returncode != 0:
        raise Trouble(f"{archive} cannot be unpacked: {writer.stderr}")
    os.rename(partial, folder)
    return folder


def assemble(names, root):
    """Makes root the smallest Debian with these packages. It may exist only as a whole."""
    archives = fetch(names)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        folders = list(pool.map(unpack, archives))
    os.makedirs(root)
    for folder in folders:
        subprocess.run(["cp", "--archive", "--link", "--no-clobber", f"{folder}/.", root],
                       check=True)
    for name in MERGED:
        if not os.listdir(f"{root}/usr/{name}"):
            os.rmdir(f"{root}/usr/{name}")
            os.unlink(f"{root}/{name}")
    for name in ("dev", "proc", "root", "run", "tmp", "home", "var/mail", "var/tmp"):
        os.makedirs(f"{root}/{name}", exist_ok=True)
    for name in ("var/run", "var/lock"):
        if not os.path.lexists(f"{root}/{name}"):
            os.symlink("/run", f"{root}/{name}")
