"""What a command on the other machine prints, kept and told, and the process group that it ends by."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ANNOUNCED_IN", "ENDED_IN", "Heard", "Outcome", "Output", "ending"]

ANNOUNCED_IN = 2.0  # seconds in which a command that is to end has to have said its process group
ENDED_IN = 5.0  # seconds that `ending` takes at most, and some

# Ends a process group: politely, firmly, for good. It has no quotes and no backslashes, which shells take
# differently.
_END = (
    "kill -INT -{0}; for s in TERM KILL; do for i in 1 2 3 4 5 6 7; do "
    "kill -0 -{0} 2>/dev/null || exit 0; sleep 0.1; done; kill -$s -{0}; done"
)

Heard = Callable[[str, bytes], object]
"""Told what is printed when it is: "stdout" or "stderr", and the bytes."""


@dataclass(frozen=True)
class Outcome:
    """What came of a command.

    Attributes
    ----------
    returncode : int
        Its exit code; -1 if a signal ended it.
    stdout, stderr : bytes
        What it printed.
    """

    returncode: int
    stdout: bytes
    stderr: bytes


class Output:
    """What a command prints. First of all it says its process group, which is taken out.

    Parameters
    ----------
    heard : callable, optional
        Told what it prints.
    """

    def __init__(self, heard: Heard | None = None) -> None:
        self._heard = heard
        self._mark = f"omniduct-{secrets.token_hex(8)}"
        self._read = {"stdout": bytearray(), "stderr": bytearray()}
        self._told = {"stdout": 0, "stderr": 0}
        self.group: int | None = None
        """The process group there, once it is known."""

    def text(self, command: str, folder: str | None = None) -> str:
        """The command, after what says its process group and changes the folder, for any login shell.

        It is a line of its own for each, so that the command's own lines stay lines. That the shell's child
        says the shell's number makes it work where "$$" means something else.
        """
        lines = [f"sh -c 'echo {self._mark} $PPID >&2'"]
        if folder is not None:
            lines.append(f"cd {shlex.quote(folder)} || exit 1")
        return "\n".join([*lines, command])

    def take(self, name: str, data: bytes) -> None:
        """Keep what came; one thread for each name."""
        self._read[name] += data
        if name == "stderr" and self.group is None:
            before, found, rest = self._read[name].partition(self._mark.encode() + b" ")
            number, newline, after = rest.partition(b"\n")
            if found and newline and number.strip().isdigit():
                self._read[name] = before + after
                self.group = int(number)

    def tell(self, is_over: bool = False) -> None:
        """Tell what has come since; of the errors nothing before the process group is out of them."""
        for name in self._read if self._heard else ():
            if name == "stdout" or self.group is not None or is_over:
                new = bytes(self._read[name][self._told[name] :])
                self._told[name] += len(new)
                if new:
                    assert self._heard is not None
                    self._heard(name, new)

    def outcome(self, returncode: int) -> Outcome:
        """What came of it in the end."""
        return Outcome(returncode, bytes(self._read["stdout"]), bytes(self._read["stderr"]))


def ending(group: int) -> str:
    """A command that ends a process group."""
    return f"sh -c '{_END.format(group)}'"
