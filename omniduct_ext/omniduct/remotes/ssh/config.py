"""What OpenSSH's client configuration says of a machine: the same file, read in the same way."""

from __future__ import annotations

import getpass
import glob
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omniduct.errors import DuctConfigError

__all__ = ["Place", "place_of"]

_PORT = 22
_KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
_ALL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
_KEYS = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")
_DEEPEST = 16  # files that include each other, as in OpenSSH
_INCLUDE = re.compile(r"\s*include\b[\s=]*(.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A machine to log in at, and how.

    Attributes
    ----------
    alias : str
        As the person wrote it.
    host, port, user
        Where it is, and as whom.
    keys : tuple of Path
        Private keys to try, in order; those that are there.
    only_these_keys : bool
        Whether the agent's other keys are left alone (``IdentitiesOnly``).
    jumps : tuple of str
        Machines on the way, each as in ``user@host:port`` (``ProxyJump``).
    command : str
        A program whose input and output lead there (``ProxyCommand``).
    known_hosts : tuple of Path
        Files with keys of machines.
    new_hosts : Path, optional
        The file that a new key goes into.
    key_name : str
        What its key is written under; the host and port unless ``HostKeyAlias`` says another.
    hashes : bool
        Whether a new key is written under a name that nobody can read (``HashKnownHosts``).
    """

    alias: str
    host: str
    port: int
    user: str
    keys: tuple[Path, ...] = ()
    only_these_keys: bool = False
    jumps: tuple[str, ...] = ()
    command: str = ""
    known_hosts: tuple[Path, ...] = ()
    new_hosts: Path | None = None
    key_name: str = ""
    hashes: bool = False

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


def place_of(
    alias: str, user: str | None = None, port: int | None = None, *, file: Path | None = None
) -> Place:
    """What is known of a machine; what is given comes before what the file says.

    Parameters
    ----------
    alias : str
        A name in the file, or of a host.
    file : Path, optional
        ``~/.ssh/config`` by default; the machine's own, ``/etc/ssh/ssh_config``, is read after it.

    Raises
    ------
    DuctConfigError
        The file cannot be read.
    """
    said = _said_of(alias, user, port, file or Path("~/.ssh/config").expanduser())
    found_port = port or int(said.get("port", _PORT))
    host = str(said.get("hostname", alias))
    own = _files(said.get("userknownhostsfile", _KNOWN_HOSTS))
    return Place(
        alias=alias,
        host=host,
        port=found_port,
        user=user or said.get("user") or getpass.getuser(),
        keys=_keys(said),
        only_these_keys=_is_yes(said, "identitiesonly"),
        jumps=_jumps(said),
        command=_command(said),
        known_hosts=(*own, *_files(said.get("globalknownhostsfile", _ALL_KNOWN_HOSTS))),
        new_hosts=own[0] if own else None,
        key_name=said.get("hostkeyalias") or (host if found_port == _PORT else f"[{host}]:{found_port}"),
        hashes=_is_yes(said, "hashknownhosts"),
    )


def _said_of(alias: str, user: str | None, port: int | None, file: Path) -> dict[str, Any]:
    import paramiko

    # First, as on OpenSSH's command line: a ProxyCommand names them, and a Match may ask for the user.
    text = (f"User {user}\n" if user else "") + (f"Port {port}\n" if port else "")
    text += "".join(f"{_text(each)}\n" for each in (file, Path("/etc/ssh/ssh_config")))
    try:
        config = paramiko.SSHConfig.from_text(text)
        return dict(config.lookup(alias))
    except (paramiko.ConfigParseError, paramiko.CouldNotCanonicalize, ValueError) as error:
        raise DuctConfigError(f"{file} cannot be read: {error}") from error


def _text(file: Path, depth: int = 0) -> str:
    """The text of a file, with those that it includes; nothing if it is not there."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    if depth > _DEEPEST:
        raise DuctConfigError(f"{file}: its files include each other without an end")
    return "\n".join(_included(line, file, depth) for line in lines)


def _included(line: str, file: Path, depth: int) -> str:
    match = _INCLUDE.fullmatch(line)
    if match is None:
        return line
    folder = file.parent if file.is_absolute() else Path("~/.ssh").expanduser()
    patterns = [str(folder / Path(word).expanduser()) for word in shlex.split(match[1], comments=True)]
    return "\n".join(_text(Path(name), depth + 1) for each in patterns for name in sorted(glob.glob(each)))


def _is_yes(said: dict[str, Any], key: str) -> bool:
    return str(said.get(key, "no")).lower() == "yes"


def _keys(said: dict[str, Any]) -> tuple[Path, ...]:
    named = said.get("identityfile")
    files = [Path(str(name).strip('"')).expanduser() for name in named or ()]
    if not named:
        files = [Path("~/.ssh").expanduser() / name for name in _KEYS]
    return tuple(file for file in files if file.is_file())


def _jumps(said: dict[str, Any]) -> tuple[str, ...]:
    jumps = "none" if _is_after(said, "proxyjump", "proxycommand") else str(said.get("proxyjump", "none"))
    return () if jumps.lower() == "none" else tuple(each.strip() for each in jumps.split(",") if each.strip())


def _command(said: dict[str, Any]) -> str:
    command = None if _is_after(said, "proxycommand", "proxyjump") else said.get("proxycommand")
    return "" if not command or str(command).lower() == "none" else str(command)


def _files(text: str) -> list[Path]:
    """The files that a value names; those that keep nothing are left out."""
    names = (name for name in _names(text) if name.lower() not in ("none", os.devnull))
    return [Path(name).expanduser() for name in names]


def _is_after(said: dict[str, Any], name: str, other: str) -> bool:
    """Whether a setting is there, but another before it: of the two ways to a machine the first holds."""
    order = [key for key in said if key in (name, other)]
    return order == [other, name]


def _names(text: str) -> list[str]:
    """The names in a value; a single one that was quoted is here without its quotes."""
    return [text] if Path(text).expanduser().is_file() else shlex.split(text)
