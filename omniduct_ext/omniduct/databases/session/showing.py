"""Where a statement's progress is shown once it takes more than a second: in a cell, a terminal or a log."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from omniduct.databases.session.progress import Progress, Running, link_of, logged, shown

__all__ = ["SHOWN_AFTER", "Line", "Showing"]

logger = logging.getLogger("omniduct")

SHOWN_AFTER = 1.0
"""Seconds after which a statement shows its progress."""

_LOGGED_EVERY = 10.0  # seconds, at first, and at least
_LOGGED_AT_LEAST_EVERY = 60.0


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


def _is_watched() -> bool:
    """Whether a person may look: at a notebook or a terminal, and not at a log or a script's output."""
    if "IPython" in sys.modules:
        from omniduct.ipython.progress import is_watched

        if is_watched():
            return True
    return sys.stderr is not None and sys.stderr.isatty()


def _new_line() -> Line:
    """A line where the person can see it."""
    if "IPython" in sys.modules:
        from omniduct.ipython.progress import notebook_line

        line = notebook_line()
        if line is not None:
            return line
    return _TerminalLine(sys.stderr)


class _Log:
    """Tells the log of one call: at once, then when its state has changed, and else more and more rarely."""

    def __init__(self, running: Running, ask: Callable[[], Progress]) -> None:
        self._running = running
        self._ask = ask
        self._state = ""
        self._every = _LOGGED_EVERY
        self._looks = self._tells = 0.0  # when it next does

    def look(self) -> None:
        """Tell the log, if it is time to."""
        now = time.monotonic()
        if now < self._looks:
            return
        progress = self._ask()
        state = re.sub(r"\d+", "", progress.text)
        self._looks = now + _LOGGED_EVERY
        if state == self._state and now < self._tells:
            return
        logger.info("%s", logged(self._running.name, progress, self._running.elapsed))
        self._state, self._running.logged = state, True
        self._tells = now + self._every
        self._every = min(2 * self._every, _LOGGED_AT_LEAST_EVERY)


class Showing:
    """Shows one call once it has taken a second: in a line that goes in the end, or else in the log.

    The log is for where nobody looks. A line is the main thread's: those of others would stand in its way.

    Parameters
    ----------
    running : Running
        The call.
    ask : callable
        Gives how far it is.
    wanted : bool
        Whether to show anything.
    logs : bool
        Whether it is the one that tells the log: several may wait for a call.
    """

    def __init__(
        self, running: Running, ask: Callable[[], Progress], wanted: bool = True, logs: bool = True
    ) -> None:
        self._running = running
        self._ask = ask
        self._wanted = wanted
        self._logs = logs
        self._line: Line | None = None
        self._log: _Log | None = None
        self._from = time.monotonic() + SHOWN_AFTER

    def look(self) -> None:
        """Show how far it is now, if it is time to; who waits calls this some times a second."""
        if not self._wanted or time.monotonic() < self._from:
            return
        try:
            if self._line is None and self._log is None:
                self._begin()
            if self._line is not None:
                self._show(self._line)
            elif self._log is not None:
                self._log.look()
        except Exception:  # it is an extra
            self._wanted = False
            logger.debug("%s: showing progress", self._running.name, exc_info=True)

    def _begin(self) -> None:
        if not _is_watched():
            if self._logs and logger.isEnabledFor(logging.INFO):
                self._log = self._running.log = self._running.log or _Log(self._running, self._ask)
        elif threading.current_thread() is threading.main_thread():
            self._line = _new_line()
        self._wanted = self._line is not None or self._log is not None

    def _show(self, line: Line) -> None:
        running = self._running
        progress = running.worth_a_bar(self._ask())
        text = shown(running.name, progress, running.elapsed, line.width, line.ascii)
        line.show(text, link_of(progress))

    def close(self) -> None:
        """Take the line away."""
        line, self._line = self._line, None
        if line is not None:
            try:
                line.close()
            except Exception:
                logger.debug("%s: taking the progress away", self._running.name, exc_info=True)
