"""Where a statement's progress is shown once it takes more than a second: in a cell, a terminal or a log."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable

from omniduct.core.lines import SHOWN_AFTER, Line, is_watched, new_line
from omniduct.databases.session.progress import Progress, Running, link_of, logged, shown

__all__ = ["Showing"]

logger = logging.getLogger("omniduct")

_LOGGED_EVERY = 10.0  # seconds, at first, and at least
_LOGGED_AT_LEAST_EVERY = 60.0


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
        if not is_watched():
            if self._logs and logger.isEnabledFor(logging.INFO):
                self._log = self._running.log = self._running.log or _Log(self._running, self._ask)
        elif threading.current_thread() is threading.main_thread():
            self._line = new_line()
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
