"""Fetching in other threads: the next page while one is read, and what may be long in coming."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator
from queue import Empty, Full, Queue, SimpleQueue
from typing import Any, TypeAlias, TypeVar

from omniduct.databases.session.running import check_wanted

__all__ = ["Ahead", "while_wanted"]

_Result = TypeVar("_Result")

_Item: TypeAlias = Any  # what the iterator gives, its error, or None at its end

_PAGES = 2  # held at most, beside the one that is read
_LARGE = 1 << 21  # bytes of an item, a segment say, of which one is enough
_LOOK = 0.1  # seconds between two looks whether anybody still wants them
_SOON = 0.005  # seconds between two looks whether a large one was taken


class Ahead:
    """What an iterator gives, fetched by a thread of its own, a few items ahead.

    Parameters
    ----------
    items : iterator of bytes or Segment
        It is run in the thread, to its end or until `close`.
    """

    def __init__(self, items: Iterator[Any]) -> None:
        self._items: Queue[_Item] = Queue(_PAGES)
        self._closed = threading.Event()
        self._thread = threading.Thread(
            target=_fill, args=(items, self._items, self._closed), name="omniduct fetches ahead", daemon=True
        )
        self._thread.start()

    def __iter__(self) -> Iterator[Any]:
        while (item := self._next()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def _next(self) -> _Item:
        while not self._closed.is_set():
            check_wanted()
            with contextlib.suppress(Empty):
                return self._items.get(timeout=_LOOK)
        return None

    def close(self) -> None:
        """End the thread; it takes the time that its request takes."""
        self._closed.set()


def _fill(items: Iterator[Any], queue: Queue[_Item], closed: threading.Event) -> None:
    """The thread."""
    try:
        for item in items:
            _put(queue, item, closed)
            while len(item) > _LARGE and not queue.empty() and not closed.wait(_SOON):
                pass
            if closed.is_set():
                return
        _put(queue, None, closed)
    except BaseException as error:
        _put(queue, error, closed)


def _put(queue: Queue[_Item], item: _Item, closed: threading.Event) -> None:
    while not closed.is_set():
        with contextlib.suppress(Full):
            queue.put(item, timeout=_LOOK)
            return


def while_wanted(function: Callable[[], _Result], check: Callable[[], None]) -> _Result:
    """What a function gives, called in a thread of its own, which is left behind where `check` raises."""
    outcomes: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def call() -> None:
        try:
            outcomes.put((function(), None))
        except BaseException as error:
            outcomes.put((None, error))

    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(call,), name="omniduct fetches a segment", daemon=True).start()
    while True:
        try:
            result, error = outcomes.get(timeout=_LOOK)
        except Empty:
            check()
            check_wanted()
            continue
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]
