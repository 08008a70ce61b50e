"""What OpenSSH would do, as it says it itself: the person's configuration is read by nobody else."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from omniduct.errors import DuctConfigError

__all__ = ["Settings"]

_PATIENCE = 20.0  # seconds; ``Match exec`` in a configuration runs commands
_FAST = "aes128-gcm@openssh.com"


class Settings:
    """The settings that hold for a machine.

    Parameters
    ----------
    duct : str
        The name to use in messages.
    program : str
        That of OpenSSH.
    words : sequence of str
        Options and the machine, as on a command line.

    Raises
    ------
    DuctConfigError
        OpenSSH cannot read the configuration.
    """

    def __init__(self, duct: str, program: str, words: Sequence[str]) -> None:
        said = _said(duct, [program, "-G", *words])
        self._values: dict[str, list[str]] = {}
        for line in said.splitlines():
            name, _, value = line.partition(" ")
            self._values.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> str:
        """A setting by its name in small letters; nothing if it is not set."""
        return self._values.get(name, [""])[0]

    @property
    def login(self) -> str:
        """As whom and where."""
        return f"{self['user']}@{self['hostname']}"

    @property
    def asked(self) -> str:
        """As whom and where, as in OpenSSH's own questions: a `HostKeyAlias` stands for the host there."""
        return f"{self['user']}@{self['hostkeyalias'] or self['hostname']}"

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.login}:{self['port']}"

    @property
    def has_way(self) -> bool:
        """Whether another machine, or a program, leads there."""
        return any(self[name] not in ("", "none") for name in ("proxyjump", "proxycommand"))

    def sent(self, environment: dict[str, str]) -> list[str]:
        """The variables that it sends (``SendEnv``), each as ``name=value``."""
        patterns = [pattern for line in self._values.get("sendenv", []) for pattern in line.split()]
        return [
            f"{name}={value}"
            for name, value in environment.items()
            if any(fnmatchcase(name, pattern) for pattern in patterns)
        ]

    def faster(self, program: str) -> list[str]:
        """An option that puts the fastest cipher first, where the person has no order of their own."""
        ciphers = self["ciphers"].split(",")
        if _FAST not in ciphers or ciphers[0] == _FAST or not _does_aes():
            return []
        usual = Settings("", program, ["-F", "none", "none"])["ciphers"]
        if self["ciphers"] != usual:
            return []
        return ["-o", f"Ciphers={','.join([_FAST, *(each for each in ciphers if each != _FAST)])}"]


def _does_aes() -> bool:
    """Whether the processor has instructions for AES; without them other ciphers are faster."""
    try:
        return re.search(r"\baes\b", Path("/proc/cpuinfo").read_text()) is not None
    except OSError:  # not Linux: all that is sold has them
        return True


def _said(duct: str, command: list[str]) -> str:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        raise DuctConfigError(
            f"{duct}: ssh did not read its configuration within {_PATIENCE:g} s; "
            f"see what it waits for: {' '.join(command)}"
        ) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it says nothing more"]
        raise DuctConfigError(f"{duct}: ssh does not take its configuration, or the host: {'; '.join(said)}")
    return done.stdout.decode(errors="replace")
