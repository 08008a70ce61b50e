"""Keys that may log in: those that the agent holds, and those in files."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omniduct.errors import DuctPromptUnavailable
from omniduct.remotes.ssh.asking import Asking
from omniduct.remotes.ssh.config import Place

if TYPE_CHECKING:
    from paramiko import PKey

__all__ = ["Keys"]

logger = logging.getLogger("omniduct")

_TRIES = 3  # of a passphrase


class Keys:
    """The keys for a place, by name, each loaded when its turn has come.

    Those come first that the configuration names and the agent holds, then the agent's others, then files.

    Attributes
    ----------
    left_out : list of str
        Why keys could not be used, a sentence each.
    locked : list of Path
        Those of them whose passphrase nobody could be asked for.
    """

    def __init__(self, place: Place, asking: Asking) -> None:
        self._place = place
        self._asking = asking
        self.left_out: list[str] = []
        self.locked: list[Path] = []

    def __iter__(self) -> Iterator[tuple[str, Callable[[], PKey | None]]]:
        held = self._held()
        named = {data for file in self._place.keys if (data := _public(file))}
        is_named = [(key, name) for key, name in held if key.asbytes() in named]
        others = [] if self._place.only_these_keys else [pair for pair in held if pair not in is_named]
        for key, name in is_named + others:
            yield name, lambda key=key: key  # type: ignore[misc]
        known = {key.asbytes() for key, _ in held}
        for file in self._place.keys:
            if _public(file) not in known:
                yield str(file), lambda file=file: self._loaded(file)  # type: ignore[misc]

    def _held(self) -> list[tuple[Any, str]]:
        import paramiko

        try:
            keys: Any = paramiko.Agent().get_keys()
        except Exception:  # there is none, or it speaks another language
            logger.debug("%s: asking the agent", self._asking.name, exc_info=True)
            return []
        return [(key, f"{getattr(key, 'comment', '') or 'without a name'} of the agent") for key in keys]

    def _loaded(self, file: Path) -> PKey | None:
        """The key in a file; its passphrase is asked for if it has one."""
        import paramiko

        try:
            return paramiko.PKey.from_path(file)
        except (TypeError, paramiko.PasswordRequiredException):  # it has a passphrase
            return self._unlocked(file)
        except (OSError, ValueError, paramiko.SSHException, paramiko.UnknownKeyType) as error:
            said = str(error).partition(". ")[0]
            self.left_out.append(f"the key {file} cannot be read: {said}")
            return None

    def _unlocked(self, file: Path) -> PKey | None:
        import paramiko

        field, wrong = f"passphrase of {file}", ""
        for _ in range(_TRIES):
            try:
                passphrase = self._asking.secret(field, f"Passphrase of {file}{wrong}")
            except DuctPromptUnavailable:
                self.locked.append(file)
                self.left_out.append(f"the key {file} has a passphrase, and there is nobody to ask")
                return None
            try:
                return paramiko.PKey.from_path(file, passphrase.encode())
            except (TypeError, ValueError, paramiko.SSHException):
                self._asking.forget(field)
                wrong = " (the last one was wrong)"
        self.left_out.append(f"the key {file} was not opened: its passphrase was wrong")
        return None


def _public(file: Path) -> bytes | None:
    """The public half of a key, from the file beside it."""
    try:
        return base64.b64decode(file.with_name(f"{file.name}.pub").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
