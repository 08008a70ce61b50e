"""Whether a machine is the one that it was: its key, and the files of known keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omniduct.errors import DuctConnectionError, DuctPromptUnavailable, DuctWarning
from omniduct.remotes.ssh.asking import Asking
from omniduct.remotes.ssh.config import Place

if TYPE_CHECKING:
    from paramiko import PKey

__all__ = ["ask_trust", "changed", "check", "fingerprint", "known_kinds", "warn_unchecked"]


@dataclass(frozen=True)
class _Known:
    """A line of a file of known keys."""

    file: Path
    number: int
    kind: str
    key: bytes
    is_revoked: bool

    @property
    def place(self) -> str:
        return f"{self.file}, line {self.number}"


def fingerprint(key: bytes) -> str:
    """A key's fingerprint, as OpenSSH writes it."""
    digest = hashlib.sha256(key).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def known_kinds(place: Place) -> list[str]:
    """The kinds of keys that are known of a machine: it is asked for one of these first."""
    return list(dict.fromkeys(line.kind for line in _known(place) if not line.is_revoked))


def check(place: Place, key: PKey, asking: Asking) -> None:
    """Let a machine pass whose key is known, or which the person trusts.

    Raises
    ------
    DuctConnectionError
        The key is another one than is known, or nobody trusts it. Nothing was sent to the machine.
    """
    data, kind = key.asbytes(), key.get_name()
    lines = list(_known(place))
    same = [line for line in lines if line.key == data]
    if revoked := [line for line in same if line.is_revoked]:
        raise DuctConnectionError(
            f"{asking.name}: the key of {place.host} ({kind} {fingerprint(data)}) is revoked in "
            f"{revoked[0].place}"
        )
    if same:
        return
    if others := [line for line in lines if line.kind == kind and not line.is_revoked]:
        known = others[0]
        raise changed(
            asking.name,
            f"{place.host}:{place.port}",
            kind,
            fingerprint(data),
            fingerprint(known.key),
            known.file,
            known.number,
            place.key_name,
        )
    _trust(place, kind, data, asking, [line for line in lines if not line.is_revoked])


def changed(
    duct: str, place: str, kind: str, new: str, known: str, file: Path, line: int, key_name: str
) -> DuctConnectionError:
    """The error for a machine whose key is not the one that is known, with the fingerprints of both."""
    return DuctConnectionError(
        f"{duct}: the key of {place} is not the one that is known, so nothing was sent there. Its {kind} key "
        f"is {new}; known is {known} ({file}, line {line}). Somebody may be listening in between, or the "
        "machine was set up anew: ask whoever runs it. If the new key is right, remove the former: "
        f"ssh-keygen -R '{key_name}' -f {file}"
    )


def ask_trust(
    confirm: Callable[[str, str], bool],
    duct: str,
    place: str,
    key: str,
    advice: str,
    known: str = "",
    remembers: bool = True,
) -> None:
    """Ask the person whether they trust a machine whose key nobody knows.

    Parameters
    ----------
    confirm : callable
        Asks, given the field and the text.
    key : str
        The sentence with the kind and the fingerprint of the machine's key.
    advice : str
        What to do if nobody can be asked, and the key is right.
    known : str
        What is known of the machine all the same.
    remembers : bool
        Whether the key will be written down.

    Raises
    ------
    DuctConnectionError
        The person does not trust it, or nobody can be asked.
    """
    text = f"{place} is not known{known}. {key}. Trust it{', and remember it' if remembers else ''}?"
    try:
        trusts = confirm(f"trust in {place}", text)
    except DuctPromptUnavailable:
        raise DuctConnectionError(
            f"{duct}: {place} is not known, and there is nobody to ask. {key}. If that is right{advice}"
        ) from None
    if not trusts:
        raise DuctConnectionError(f"{duct}: you did not trust {place}, so nothing was sent there")


def warn_unchecked(duct: str, host: str) -> None:
    """Say that anybody may pass for a machine."""
    warnings.warn(
        f"{duct}: check_known_hosts is off, so anybody in between may pass for {host}",
        DuctWarning,
        stacklevel=2,
    )


def _trust(place: Place, kind: str, data: bytes, asking: Asking, others: Sequence[_Known] = ()) -> None:
    """Have the person trust a key that nobody knows, and write it down."""
    ask_trust(
        asking.confirm,
        asking.name,
        f"{place.host}:{place.port}",
        f"Its {kind} key is {fingerprint(data)}",
        f": ssh-keyscan -p {place.port} {place.host} >> {place.new_hosts or '~/.ssh/known_hosts'}",
        f" by this key, but by another ({others[0].kind}, {others[0].place})" if others else "",
        place.new_hosts is not None,
    )
    _remember(place, kind, data)


def _remember(place: Place, kind: str, data: bytes) -> None:
    import paramiko

    file = place.new_hosts
    if file is None:  # the configuration says so
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    known_as = place.key_name.lower()  # as OpenSSH writes it, and looks for it
    name = paramiko.HostKeys.hash_host(known_as) if place.hashes else known_as
    line = f"{name} {kind} {base64.b64encode(data).decode()}\n"
    with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b") as target:
        size = target.seek(0, os.SEEK_END)
        if size and (target.seek(size - 1), target.read(1))[1] != b"\n":
            line = f"\n{line}"
        target.write(line.encode())


def _known(place: Place) -> Iterator[_Known]:
    """The lines that are about a machine."""
    for file in place.known_hosts:
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for number, line in enumerate(lines, 1):
            if known := _read(line, place.key_name, file, number):
                yield known


def _read(line: str, name: str, file: Path, number: int) -> _Known | None:
    import paramiko

    text = line.strip()
    if not text or text.startswith(("#", "@cert-authority")):
        return None
    is_revoked = text.startswith("@revoked")
    if is_revoked:
        text = text.partition(" ")[2].strip()
    try:
        entry = paramiko.hostkeys.HostKeyEntry.from_line(text, number)
    except (paramiko.hostkeys.InvalidHostKey, ValueError):
        return None
    if entry is None or entry.key is None:
        return None
    if not _are_of(entry.hostnames or [], name):
        return None
    return _Known(file, number, entry.key.get_name(), entry.key.asbytes(), is_revoked)


def _are_of(patterns: list[str], name: str) -> bool:
    """Whether the names of a line are a machine's; they may be hashed, have wildcards, or exclude one."""
    found = False
    for pattern in patterns:
        matches = _matches(pattern.removeprefix("!"), name)
        if matches and pattern.startswith("!"):
            return False
        found = found or matches
    return found


def _matches(pattern: str, name: str) -> bool:
    import paramiko

    if pattern.startswith("|1|"):
        try:
            return hmac.compare_digest(paramiko.HostKeys.hash_host(name.lower(), pattern), pattern)
        except (AssertionError, ValueError):  # a damaged line is nobody's
            return False
    wild = re.escape(pattern.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(wild, name.lower()) is not None
