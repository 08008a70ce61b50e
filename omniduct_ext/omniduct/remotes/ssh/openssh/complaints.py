"""What OpenSSH complains of, as one sentence for people."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from pathlib import Path

from omniduct.errors import DuctAuthenticationError, DuctConnectionError, DuctServerUnreachable
from omniduct.remotes.ssh.hostkeys import changed, fingerprint

__all__ = ["ending", "failure"]

_NOISE = re.compile(r"\s*|@.*|Warning: Permanently added .*|debug\d: .*|Connection to .* closed\.")
_UNREACHABLE = re.compile(
    r"Could not resolve hostname .*|connect to host .* port \d+: .*"
    r"|Connection timed out during banner exchange|Connection to .* timed out.*"
    r"|channel \d+: open failed: .*|stdio forwarding failed",
)
_REFUSED = re.compile(
    r"(?P<who>\S+): Permission denied \((?P<takes>.*)\)\.|.*Too many authentication failures.*"
    r"|.*No supported authentication methods available.*"
)
_CHANGED = re.compile(
    r"fingerprint for the (?P<kind>\S+) key sent by the remote host is\n(?P<new>\S+?)\.?\n"
    r"(?s:.*?)Offending \S+ key in (?P<file>[^\n]*):(?P<line>\d+)\n"
    r"(?s:.*)[Hh]ost key for (?P<name>\S+) has changed"
)
_REVOKED = re.compile(
    r"(?P<kind>\S+) host key for (?P<name>\S+) (?:was|is) (?:marked as )?revoked", re.IGNORECASE
)


def failure(duct: str, place: str, lines: Sequence[str], exit_code: int | None = None) -> DuctConnectionError:
    """The error for a connection that did not come about, or has ended.

    Parameters
    ----------
    duct : str
        The name to use.
    place : str
        Where it was to lead.
    lines : sequence of str
        What OpenSSH wrote on its standard error.
    """
    said = [line.strip() for line in lines if not _NOISE.fullmatch(line.strip())]
    text = "\n".join(said)
    if found := _CHANGED.search(text):
        return _of_changed_key(duct, found)
    if revoked := _REVOKED.search(text):
        return DuctConnectionError(
            f"{duct}: the {revoked['kind']} key of {revoked['name']} is revoked: {said[-1]}"
        )
    for line in reversed(said):
        if refused := _REFUSED.fullmatch(line):
            takes = f". It takes: {refused['takes'].replace(',', ', ')}" if refused["takes"] else f": {line}"
            return DuctAuthenticationError(f"{duct}: {refused['who'] or place} refused the login{takes}")
    for line in said:
        if _UNREACHABLE.fullmatch(line.removeprefix("ssh: ")):
            return DuctServerUnreachable(f"{duct}: {place} cannot be reached: {line.removeprefix('ssh: ')}")
    if "Host key verification failed." in said:
        return DuctConnectionError(
            f"{duct}: the key of {place} is not trusted, so nothing was sent there: {text}"
        )
    why = "; ".join(said[-3:]) or f"ssh ended with exit code {exit_code}, and said nothing"
    return DuctConnectionError(f"{duct}: could not connect to {place}: {why}")


def ending(place: str, lines: Sequence[str]) -> str:
    """Why a connection that had been made has ended."""
    said = [line.strip() for line in lines if not _NOISE.fullmatch(line.strip())]
    why = next((line for line in reversed(said) if not line.startswith("channel ")), "ssh has ended")
    return f"the connection to {place} has ended: {why}"


def _of_changed_key(duct: str, found: re.Match[str]) -> DuctConnectionError:
    file, line = Path(found["file"]), int(found["line"])
    known = _fingerprint_in(file, line)
    return changed(duct, found["name"], found["kind"], found["new"], known, file, line, found["name"])


def _fingerprint_in(file: Path, number: int) -> str:
    """The fingerprint of the key in a line of a file of known keys."""
    try:
        words = file.read_text(errors="replace").splitlines()[number - 1].split()
        return fingerprint(base64.b64decode(words[3 if words[0].startswith("@") else 2]))
    except (OSError, IndexError, binascii.Error):
        return "another"
