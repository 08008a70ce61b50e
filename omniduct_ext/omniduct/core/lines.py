"""Lines of progress: where the person can see one, and the one of a terminal."""

from __future__ import annotations

import os
import sys
from typing import Protocol, TextIO

__all__ = ["SHOWN_AFTER", "Line", "is_watched", "new_line"]

SHOWN_AFTER = 1.0
"""Seconds after which what is under way shows its progress."""


class Line(Protocol):
    """Where a line of progress is shown: it is written over, and goes away in the end."""

    ascii: bool

    @property
    def width(self) -> int:
        """The columns that it has."""

    def show(self, text: str, link: str) -> None:
        """Show this instead; the link behind it, or not, if there is no room."""

    def close(self) -> None:
        """Take the line away."""


class _TerminalLine:
    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._taken = 0
        self.ascii = "utf" not in (terminal.encoding or "").lower()

    @property
    def width(self) -> int:
        """One column less than there are: in the last one some terminals go to the next line."""
        try:
            columns = os.get_terminal_size(self._terminal.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return (columns or 80) - 1

    def show(self, text: str, link: str) -> None:
        from tqdm.utils import disp_len

        if link and disp_len(text) + 1 + len(link) <= self.width:
            text = f"{text} {link}"
        taken, width = self._taken, disp_len(text)
        self._taken = width
        self._write(text + " " * (min(taken, self.width) - width))

    def close(self) -> None:
        self._write(" " * min(self._taken, self.width))
        self._write("")

    def _write(self, text: str) -> None:
        encoding = self._terminal.encoding or "ascii"
        self._terminal.write("\r" + text.encode(encoding, "replace").decode(encoding))
        self._terminal.flush()


def is_watched() -> bool:
    """Whether a person may look: at a notebook or a terminal, and not at a log or a script's output."""
    if "IPython" in sys.modules:
        from omniduct.ipython import progress

        if progress.is_watched():
            return True
    return sys.stderr is not None and sys.stderr.isatty()


def new_line() -> Line:
    """A line where the person can see it."""
    if "IPython" in sys.modules:
        from omniduct.ipython.progress import notebook_line

        line = notebook_line()
        if line is not None:
            return line
    return _TerminalLine(sys.stderr)
