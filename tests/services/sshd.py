"""A throwaway SSH server: OpenSSH's."""

from __future__ import annotations

import base64
import ctypes
import ctypes.util
import functools
import glob
import hashlib
import hmac
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.services.guard import of_user, tree
from tests.services.processes import Service, program

PACKAGE = "openssh-server"
KINDS = ("ed25519", "ecdsa")  # `rsa` takes a while to make
PAM_OATH = "/lib*/security/pam_oath.so", "/lib*/*/security/pam_oath.so", "/usr/lib*/*/security/pam_oath.so"

# Gives a server files of its own, which nobody else sees and which go with it: its users, and what it asks
# them, lie over the machine's /etc; where it would write down who logged in is empty.
MACHINE = """
set -e
mount -t tmpfs tmpfs /run
mkdir -m 755 /run/sshd
mount -t tmpfs tmpfs /var/log
mount -t overlay overlay -o "lowerdir=$0:/etc" /etc
exec "$@"
"""
SOURCES = "passwd: files\ngroup: files\nshadow: files\nhosts: {}\n"
DIALOG = {
    "password": "auth required pam_unix.so nodelay\n",
    "code": "auth required pam_oath.so usersfile={home}/codes window=20 digits=6\n",
}
ALLOWED = "account required pam_permit.so\nsession required pam_permit.so\n"


class SSHD(Service):
    """An SSH server with a user of its own, who exists for it alone.

    Where this is not root, or the machine gives no mount namespaces, the user is who runs the tests: keys do
    then, and a test that asks for the password or a code is skipped.

    Parameters
    ----------
    dialog
        What it asks for in keyboard-interactive logins: of `password` and `code`.
    kinds
        Of which kinds it has host keys: of `ed25519`, `ecdsa` and `rsa`.
    names
        Names of hosts that it alone knows, with their addresses.
    asks_first
        Where a name server should be and none answers, and the seconds, an even number, for which it waits
        for that with each name, before it takes `names`. Without it no name server is asked.
    **settings
        As in `sshd_config`. They can be changed later in `settings`, and hold from the next `start`.

    Attributes
    ----------
    user, user_home
        Who logs in, and a folder of that user's own: the home, if the user is.
    key, locked_key : Path
        Keys that log in; the second needs the `passphrase`.
    """

    PROTOCOL = "ssh"
    STOP = END = signal.SIGTERM
    STOPS_ITS_OWN = False
    UNPRIVILEGED = False

    def __init__(
        self,
        *,
        dialog: Sequence[str] = ("password",),
        kinds: Sequence[str] = KINDS,
        names: Mapping[str, str] | None = None,
        asks_first: tuple[str, int] | None = None,
        **settings: str,
    ) -> None:
        super().__init__()
        self.user, self.passphrase = "alice", secrets.token_hex(8)
        self.settings = dict(settings)
        self._dialog, self._kinds, self._names = list(dialog), list(kinds), dict(names or {})
        self._asks_first = asks_first
        self._password, self._secret, self._codes = secrets.token_hex(8), secrets.token_bytes(20), 0
        self._has_own_user = False

    @property
    def password(self) -> str:
        """The user's password."""
        self._need_own_user()
        return self._password

    @property
    def login(self) -> dict[str, Any]:
        """Who logs in where, with the password."""
        return {"host": self.host, "port": self.port, "username": self.user, "password": self.password}

    @property
    def user_home(self) -> Path:
        """A folder of the user's own."""
        return self.home / "user"

    @property
    def key(self) -> Path:
        """A key that logs in."""
        return self.home / "key"

    @property
    def locked_key(self) -> Path:
        """A key that logs in, and needs the passphrase."""
        return self.home / "locked_key"

    def code(self) -> str:
        """The user's next one-time code, as in RFC 4226; it takes those that follow too, and none twice."""
        self._need_own_user()
        digest = hmac.digest(self._secret, self._codes.to_bytes(8, "big"), "sha1")
        self._codes += 1
        start = digest[-1] & 15
        return f"{(int.from_bytes(digest[start : start + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"

    def make_key(self, name: str, kind: str = "ed25519", passphrase: str = "", accepted: bool = True) -> Path:
        """Make another key, which logs in if it is accepted."""
        key = self.home / name
        self.run(self._keygen, "-q", "-t", kind, "-N", passphrase, "-C", name, "-f", key)
        if accepted:
            with self._accepted.open("a") as accepted_keys:
                accepted_keys.write(_public(key))
        return key

    def fingerprint(self, kind: str = KINDS[0]) -> str:
        """The fingerprint of a host key, as OpenSSH shows it."""
        digest = hashlib.sha256(base64.b64decode(_public(self._host_key(kind)).split()[1])).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"

    def known_hosts(self, *kinds: str) -> str:
        """The lines of a `known_hosts` file for its host keys, or for those of some kinds."""
        place = self.host if self.port == 22 else f"[{self.host}]:{self.port}"
        keys = (_public(self._host_key(kind)).split() for kind in kinds or self._kinds)
        return "".join(f"{place} {name} {key}\n" for name, key, *_ in keys)

    def change_host_keys(self) -> None:
        """Start it again with other host keys."""
        self.stop()
        self._make_host_keys()
        self.start()

    def connections(self) -> int:
        """How many connections there are, logged in or not."""
        return len(self._connections())

    def sessions(self) -> list[psutil.Process]:
        """Of each connection that has logged in the process that serves it, and with which it ends."""
        logged_in = re.compile(rf"sshd(-session)?: {self.user}(@.*)?")  # and nothing in brackets
        serving = (
            [process for process in tree(each.pid) if logged_in.fullmatch(_title(process))]
            for each in self._connections()
        )
        return [found[0] for found in serving if found]  # others are commands that begin

    def commands(self) -> list[str]:
        """The command lines that its user runs, also those that have outlived their connections."""
        self._need_own_user()
        lines = (_title(process) for process in of_user(self._uid))
        return [line for line in lines if line and not line.startswith("sshd")]

    def client(self, *options: str, key: Path | None = None) -> list[str]:
        """The beginning of a command of OpenSSH's client: it uses one key, and trusts this server alone."""
        known_hosts = self.home / "known_hosts"
        known_hosts.write_text(self.known_hosts())
        return [
            *("ssh", *options, "-F", "none", "-i", str(key or self.key), "-o", "IdentitiesOnly=yes"),
            *("-o", f"UserKnownHostsFile={known_hosts}", "-o", "GlobalKnownHostsFile=none"),
            *("-p", str(self.port), f"{self.user}@{self.host}"),
        ]

    def processes(self) -> list[psutil.Process]:
        found = super().processes()
        return [*found, *(set(of_user(self._uid)) - set(found))] if self._has_own_user else found

    def find_programs(self) -> None:
        self._sshd = program("sshd", package=PACKAGE)
        self._keygen = program("ssh-keygen", package="openssh-client")
        self._has_own_user = _can_hide_files()
        if not self._has_own_user:
            self.user = pwd.getpwuid(os.geteuid()).pw_name
        if "code" in self._dialog:
            self._need_own_user()
            if not any(map(glob.glob, PAM_OATH)):
                pytest.skip("pam_oath is not installed (Debian: sudo apt-get install libpam-oath)")

    def make_data(self) -> None:
        self.home.chmod(0o711)  # for the user
        self.user_home.mkdir()
        self._accepted.touch(0o644)
        if self._has_own_user:
            self._make_user()
        elif os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._make_host_keys()
        self.make_key("key")
        self.make_key("locked_key", passphrase=self.passphrase)

    def make_users(self) -> None:
        """The user was made with the data."""

    def command(self) -> list[str]:
        config = self.home / "sshd_config"
        config.write_text(self._configuration())
        command = [self._sshd, "-D", "-e", "-f", str(config)]
        if self._has_own_user:
            return ["unshare", "--mount", "sh", "-c", MACHINE, str(self.home / "etc"), *command]
        return command

    def probe(self) -> None:
        with socket.create_connection((self.host, self.port), timeout=10) as connection:
            said = connection.recv(100)
            assert said.startswith(b"SSH-2.0-"), f"it said {said!r}"
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):  # so that it is no connection any more
                pass

    @property
    def _uid(self) -> int:
        return self.port  # nobody else's, as the port is not

    @property
    def _accepted(self) -> Path:
        return self.home / "authorized_keys"

    def _need_own_user(self) -> None:
        if not self._has_own_user:
            pytest.skip("an SSH server with a user of its own needs root, and mount namespaces")

    def _host_key(self, kind: str) -> Path:
        return self.home / f"host_{kind}"

    def _make_host_keys(self) -> None:
        for kind in self._kinds:
            key = self._host_key(kind)
            key.unlink(missing_ok=True)
            self.run(self._keygen, "-q", "-t", kind, "-N", "", "-f", key)

    def _make_user(self) -> None:
        """Make the files that lie over /etc, with the user first; who else there is cannot log in."""
        assert self._guard is not None
        self._guard.own(self._uid)
        shutil.chown(self.user_home, self._uid, self._uid)
        etc = self.home / "etc"
        (etc / "pam.d").mkdir(parents=True)
        account = f"{self.user}:x:{self._uid}:{self._uid}::{self.user_home}:/bin/bash\n"
        hosts = "".join(f"{address} {name}\n" for name, address in self._names.items())
        rules = "".join(DIALOG[each].format(home=self.home) for each in self._dialog)
        for name, text in {
            "passwd": account + Path("/etc/passwd").read_text(),
            "group": f"{self.user}:x:{self._uid}:\n" + Path("/etc/group").read_text(),
            "hosts": hosts + Path("/etc/hosts").read_text(),
            "nsswitch.conf": SOURCES.format("dns files" if self._asks_first else "files dns"),
            "resolv.conf": self._resolver(),
            "shadow": f"{self.user}:{_hashed(self._password)}:20000:0:99999:7:::\n",
            "pam.d/sshd": rules + ALLOWED,
        }.items():
            (etc / name).write_text(text)
        (etc / "shadow").chmod(0o600)
        codes = self.home / "codes"
        codes.touch(0o600)
        codes.write_text(f"HOTP/E/6 {self.user} - {self._secret.hex()}\n")

    def _resolver(self) -> str:
        """How it asks name servers."""
        address, seconds = self._asks_first or ("127.0.0.1", 2)  # where none is, which is known at once
        # It asks for a name as it is, and then in each domain; if none is said, it may take the machine's.
        return f"nameserver {address}\nsearch .\noptions timeout:{seconds // 2} attempts:1\n"

    def _configuration(self) -> str:
        has_passwords = "yes" if self._has_own_user else "no"
        lines = {
            "ListenAddress": self.host,
            "Port": str(self.port),
            "PidFile": str(self.home / "pid"),
            "AuthorizedKeysFile": str(self._accepted),
            "StrictModes": "no",
            "LogLevel": "VERBOSE",
            "UseDNS": "no",
            "MaxStartups": "100",
            "PrintMotd": "no",
            "PrintLastLog": "no",
            "Subsystem": "sftp internal-sftp",
            "UsePAM": has_passwords,
            # A password alone is no login where the dialog asks for a code too.
            "PasswordAuthentication": "no" if "code" in self._dialog else has_passwords,
            "KbdInteractiveAuthentication": has_passwords,
            **self.settings,
        }
        # From 9.8 on it would refuse an address from which wrong passwords come.
        if b"persourcepenalties" in Path(self._sshd).read_bytes():
            lines.setdefault("PerSourcePenalties", "no")
        keys = (f"HostKey {self._host_key(kind)}\n" for kind in self._kinds)
        return "".join([*keys, *(f"{name} {value}\n" for name, value in lines.items())])

    def _connections(self) -> list[psutil.Process]:
        return [each for each in psutil.Process(self.pid).children() if _title(each)]


@functools.cache
def _can_hide_files() -> bool:
    """Whether a process can be given files of its own."""
    trial = "mount -t tmpfs tmpfs /run && mount -t overlay overlay -o lowerdir=/usr:/etc /etc"
    command = ["unshare", "--mount", "sh", "-c", trial]
    return os.geteuid() == 0 and bool(shutil.which("unshare")) and not _fails(command)


def _fails(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True).returncode != 0


def _title(process: psutil.Process) -> str:
    """What a process calls itself; one that has ended has no name."""
    try:
        return " ".join(process.cmdline()).strip()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def _public(key: Path) -> str:
    return key.with_name(f"{key.name}.pub").read_text()


def _hashed(password: str) -> str:
    """A password as /etc/shadow has it, by the library that also checks it: Python has it no more."""
    crypt = ctypes.CDLL(ctypes.util.find_library("crypt")).crypt
    crypt.restype = ctypes.c_char_p
    hashed: bytes = crypt(password.encode(), f"$6${secrets.token_hex(8)}$".encode())
    return hashed.decode()
