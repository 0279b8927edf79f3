"""debian: what maintainer scripts do to a fresh machine, done to a root: files from templates, the
users, PAM, a certificate. Works on the tree only; the one program it runs, it runs in the root."""

import ctypes
import os
import shutil
import subprocess

MAIL_GROUP = 8
SHADOW_GROUP = 42


def hash_password(password, salt=b"$6$postern0"):
    """As shadow(5) has it, by the C library's own crypt(3)."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    return library.crypt(password.encode(), salt).decode()


def begin_users(root):
    """Debian's static users and groups."""
    for name in ("passwd", "group"):
        shutil.copy(f"{root}/usr/share/base-passwd/{name}.master", f"{root}/etc/{name}")
    append(f"{root}/etc/shadow", [])
    os.chmod(f"{root}/etc/shadow", 0o640)
    os.chown(f"{root}/etc/shadow", 0, SHADOW_GROUP)


def add_users(root, users, shell="/usr/sbin/nologin"):
    """users: (name, uid, home, password or None); each with a group of its own."""
    append(f"{root}/etc/passwd", [f"{name}:x:{uid}:{uid}::{home}:{shell}"
                                  for name, uid, home, _ in users])
    append(f"{root}/etc/group", [f"{name}:x:{uid}:" for name, uid, _, _ in users])
    append(f"{root}/etc/shadow", [
        f"{name}:{hash_password(password) if password else '*'}:19000:0:99999:7:::"
        for name, _, _, password in users])


def add_groups(root, groups):
    append(f"{root}/etc/group", [f"{name}:x:{gid}:{members}" for name, gid, members in groups])


def write_pam(root):
    """What pam-auth-update makes of Debian's templates where there is pam_unix only."""
    lines = {"auth": "auth [success=1 default=ignore] pam_unix.so nullok\n"
                     "auth requisite pam_deny.so\nauth required pam_permit.so\n",
             "account": "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\n"
                        "account requisite pam_deny.so\naccount required pam_permit.so\n",
             "password": "password requisite pam_deny.so\n",
             "session": "session required pam_unix.so\n",
             "session-noninteractive": "session required pam_unix.so\n"}
    for name, text in lines.items():
        with open(f"{root}/etc/pam.d/common-{name}", "w", encoding="utf-8") as stream:
            stream.write(text)


def make_certificate(root, certificate, key):
    """A self-signed pair, by the root's own openssl; both may be one file."""
    subprocess.run(["chroot", root, "/usr/bin/openssl", "req", "-new", "-x509", "-nodes", "-batch",
                    "-newkey", "rsa:2048", "-days", "3650", "-subj", "/CN=localhost", "-out",
                    certificate, "-keyout", key], check=True, capture_output=True,
                   env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"})


def copy_missing(source, target):
    """Copies a tree of defaults into a folder of settings, as ucf does at first."""
    shutil.copytree(source, target, dirs_exist_ok=True, symlinks=True)


def append(path, lines):
    with open(path, "a", encoding="utf-8") as stream:
        stream.writelines(line + "\n" for line in lines)
