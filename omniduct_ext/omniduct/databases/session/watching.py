"""What the caller does while a statement runs: show its progress, and notice a service that went silent."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from omniduct.core import failures
from omniduct.databases.session.progress import Progress, Running
from omniduct.databases.session.showing import Showing

if TYPE_CHECKING:
    from omniduct.databases.base import DatabaseClient

__all__ = ["Watch", "asked"]


def asked(client: DatabaseClient, running: Running, handle: Any) -> Progress:
    """How far a statement is: what the service says of it, and what was counted of its result."""
    try:
        said = client._progress(handle)
    except Exception as error:  # progress is an extra
        failures.log(client, "asking for progress", error)
        said = None
    return running.merged(said)


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

    Attributes
    ----------
    fault : str
        Why the service is taken for dead; empty while it is not.
    """

    def __init__(self, client: DatabaseClient, running: Running, handle: Any) -> None:
        self.fault = ""
        self._client = client
        self._running = running
        self._showing = Showing(running, lambda: asked(client, running, handle), client.progress)
        self._interrupted = False
        self._answered = time.monotonic()
        self._unanswered: float | None = None  # since when it does not answer
        self._asked: threading.Thread | None = None

    def look(self) -> str:
        """Look once, without waiting: why the service is taken for dead, or nothing.

        Raises
        ------
        KeyboardInterrupt
            Once, when another thread has said that the statement is not wanted any more.
        """
        if self._running.unwanted and not self._interrupted:
            self._interrupted = True
            raise KeyboardInterrupt
        self._showing.look()
        self._check(time.monotonic())
        return self.fault

    def close(self) -> None:
        """The statement has ended."""
        self._showing.close()

    # Is anybody there? What the service sends for a statement says nothing for hours, so it is asked beside.

    def _check(self, now: float) -> None:
        patience = self._client.answer_timeout
        if patience is None or self._client._host is None:
            return
        silent = now - self._answered
        asking = self._asked is not None and self._asked.is_alive()
        in_vain = 0.0 if self._unanswered is None else now - self._unanswered
        if silent > patience and in_vain > patience / 2:  # the machine itself may have slept
            self.fault = (
                f"{self._client.name}: the service has not answered for {patience:g} s while a statement "
                "ran. The statement was left behind, and the next use connects anew (answer_timeout sets "
                "the time)"
            )
        elif not asking and silent > patience / 3:
            self._unanswered = now if self._unanswered is None else self._unanswered
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
            self._answered, self._unanswered = time.monotonic(), None
