"""What the caller does while a statement runs: show its progress, and notice a service that went silent."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from omniduct.core import failures
from omniduct.databases import progress

if TYPE_CHECKING:
    from omniduct.databases.base import DatabaseClient

__all__ = ["Watch"]


class Watch:
    """Looks after one statement, from the thread that waits for it.

    Parameters
    ----------
    client : DatabaseClient
        The duct that runs it.
    running : Running
        What is known of it.
    handle : object
        What ``_progress`` takes.
    visible : bool
        Whether to show a line of progress.

    Attributes
    ----------
    fault : str
        Why the service is taken for dead; empty while it is not.
    """

    def __init__(
        self, client: DatabaseClient, running: progress.Running, handle: Any, visible: bool = True
    ) -> None:
        self.fault = ""
        self._client = client
        self._running = running
        self._handle = handle
        self._visible = visible and threading.current_thread() is threading.main_thread()
        self._line: progress.Line | None = None
        self._began = self._answered = time.monotonic()
        self._asked: threading.Thread | None = None

    def look(self) -> str:
        """Look once, without waiting: why the service is taken for dead, or nothing."""
        now = time.monotonic()
        if now - self._began >= progress.SHOWN_AFTER:
            self._show()
            self._check(now)
        return self.fault

    def close(self) -> None:
        """The statement has ended."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _show(self) -> None:
        if not self._visible:
            return
        if self._line is None:
            self._line = progress.new_line()
            self._visible = self._line is not None
        if self._line is not None:
            self._line.show(progress.shown(self._running.name, self.progress(), self._running.elapsed))

    def progress(self) -> progress.Progress:
        """How far the statement is."""
        try:
            said = self._client._progress(self._handle)
        except Exception as error:  # the line is an extra
            failures.log(self._client, "asking for progress", error)
            said = None
        return self._running.merged(said)

    # Is anybody there? What the service sends for a statement says nothing for hours, so it is asked beside.

    def _check(self, now: float) -> None:
        patience = self._client.answer_timeout
        if patience is None or self._client._host is None:
            return
        asking = self._asked is not None and self._asked.is_alive()
        if now - self._answered > patience:
            self.fault = (
                f"{self._client.name}: the service has not answered for {patience:g} s while a statement "
                "ran. The statement was left behind, and the next use connects anew (answer_timeout sets "
                "the time)"
            )
        elif not asking and now - self._answered > patience / 3:
            self._asked = threading.Thread(
                target=self._ask, args=(patience / 3,), name=f"omniduct asks {self._client.name}", daemon=True
            )
            self._asked.start()

    def _ask(self, timeout: float) -> None:
        rows = self._running.rows
        try:
            answered = self._client._is_answering(timeout)
        except Exception as error:
            failures.log(self._client, "asking beside a statement", error)
            answered = False
        if answered or self._running.rows != rows:
            self._answered = time.monotonic()
