"""The statements of a duct that are under way, for who looks on from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import shorten
from typing import TYPE_CHECKING

from omniduct.databases.session.progress import Progress, Running, duration
from omniduct.databases.session.watching import asked

if TYPE_CHECKING:
    from omniduct.databases.base import DatabaseClient

__all__ = ["Call", "calls_of"]


class Call:
    """A statement under way.

    Parameters
    ----------
    running : Running
        What is known of it.
    progress : callable
        Gives how far it is; from any thread.
    cancel : callable
        Cancels it in the database; from any thread. It waits a moment for the end.

    Attributes
    ----------
    key : str
        Tells it from the others of the duct.
    statement : str
        Its text.
    """

    def __init__(
        self, running: Running, progress: Callable[[], Progress], cancel: Callable[[], object]
    ) -> None:
        self.key = f"{id(running):x}"
        self.statement = running.statement
        self.progress = progress
        self._cancel = cancel
        self._running = running

    @property
    def elapsed(self) -> float:
        """Seconds since it was called."""
        return self._running.elapsed

    def __repr__(self) -> str:
        return f"<Call, {duration(self.elapsed)}: {shorten(self.statement, 60)}>"

    def cancel(self) -> None:
        """Cancel it."""
        self._cancel()


def calls_of(client: DatabaseClient) -> list[Call]:
    """The statements under way: those of the session in their order, then those beside it."""
    session = [_of_session(client, n, running) for n, running in enumerate(_named(client))]
    streams = [each for each in list(client._streams) if each.open and each.running.statement]
    beside = [Call(each.running, each.progress, each.cancel) for each in streams]
    return [*session, *sorted(beside, key=lambda call: -call.elapsed)]


def _named(client: DatabaseClient) -> list[Running]:
    """The session's calls that have a statement; those of beside are noted there."""
    besides = [each.running for each in list(client._streams)]
    return [each for each in list(client._calls) if each.statement and each not in besides]


def _of_session(client: DatabaseClient, place: int, running: Running) -> Call:
    if place == 0:
        return Call(running, lambda: asked(client, running, client._session_handle()), client.cancel)

    def withdraw() -> None:
        running.unwanted = True

    return Call(running, lambda: running.merged(Progress(text="waiting")), withdraw)
