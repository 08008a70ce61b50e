"""What the panel knows of the ducts, kept up to date: changes are pushed, one row each."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from omniduct.core.lifecycle import CONNECTED
from omniduct.duct import Duct
from omniduct.ipython import threads
from omniduct.ipython.panel.rows import in_order, key_of, row_of

if TYPE_CHECKING:
    from omniduct.registry import DuctRegistry

__all__ = ["Board"]

logger = logging.getLogger("omniduct")

_TOGETHER = 0.05  # seconds within which changes go to the page in one message
_RUNNING_EVERY = 1.0  # seconds between two looks at statements under way
_CHECKERS = 8  # ducts that are checked at a time
_SEEN_FOR = 30.0  # seconds for which a view's word holds that somebody looks; it says so every 10

Describe = Callable[[Duct], dict[str, Any]]


class Board:
    """Watches a registry and its ducts; a thread tells what has changed, until `close`.

    Parameters
    ----------
    registry : DuctRegistry
        Whose ducts.
    describe : callable
        What is to be said of a duct besides its row.
    tell : callable
        Called, in the thread, with the rows that have changed, and with the order of all keys if that has.
    gone : callable, optional
        Called with each duct that the registry has no longer.

    Attributes
    ----------
    check_every : float
        Seconds between two checks of the ducts that are connected; 0 for none.
    """

    def __init__(
        self,
        registry: DuctRegistry,
        describe: Describe,
        tell: Callable[[list[dict[str, Any]], list[str] | None], None],
        gone: Callable[[Duct], None] = lambda duct: None,
    ) -> None:
        self.check_every = 15.0
        self._registry = registry
        self._describe = describe
        self._tell = tell
        self._gone = gone
        self._watched: dict[str, tuple[Duct, Callable[[Any], None]]] = {}
        self._watching = threading.Lock()  # else one that closes might leave what is just taken in
        self._names: dict[str, list[str]] = {}
        self._changed: set[str] = set()
        self._reordered = False
        self._wake = threading.Event()
        self._closed = False
        self._last_seen = -math.inf
        self._checked = time.monotonic()
        self._pool: ThreadPoolExecutor | None = None
        self._take_in()
        self._changed.clear()  # a page begins with all rows
        registry.observe(self._note_names, names="revision")
        threads.start("omniduct panel", _run, weakref.ref(self), self._wake)

    # What there is

    def ducts(self) -> list[Duct]:
        """The ducts, in the order of the rows."""
        return in_order(self._registry)

    def rows(self) -> list[dict[str, Any]]:
        """All rows, as they are now."""
        return [self._row(duct) for duct in self.ducts()]

    def duct(self, key: str) -> Duct | None:
        """The duct of a row; None if the registry has it no longer."""
        watched = self._watched.get(key)
        return None if watched is None else watched[0]

    def _row(self, duct: Duct) -> dict[str, Any]:
        return {**row_of(self._registry, duct).as_dict(), **self._describe(duct)}

    # What changes, from any thread

    def note(self, duct: Duct | None) -> None:
        """Note that something of a duct's row has changed."""
        if duct is not None:
            self._note_key(key_of(duct), None)

    def _note_key(self, key: str, _change: object) -> None:
        self._changed.add(key)
        self._wake.set()

    def _note_names(self, _change: object) -> None:
        self._reordered = True
        self._wake.set()

    def see(self, when: float) -> None:
        """Note when somebody last saw the panel; nothing is checked when nobody does."""
        was_seen = self._is_seen()
        self._last_seen = when
        if self._is_seen() and not was_seen:
            self._checked = time.monotonic()
        self._wake.set()

    def _is_seen(self) -> bool:
        return time.monotonic() - self._last_seen < _SEEN_FOR

    def tell_all(self) -> None:
        """Have all rows told, and their order: there is a view that may know older ones."""
        self._changed.update(list(self._watched))
        self._note_names(None)

    def close(self) -> None:
        """Watch no more."""
        self._closed = True
        self._wake.set()
        with contextlib.suppress(ValueError):
            self._registry.unobserve(self._note_names, names="revision")
        with self._watching:
            self._drop(list(self._watched))
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    # In the thread

    def _wait(self) -> float:
        """Seconds until there is something to do, if nothing happens before."""
        if not self._is_seen():
            return 60.0
        waits = [self._checked + self.check_every - time.monotonic()] if self.check_every else []
        if any(duct._life.running for duct, _ in list(self._watched.values())):
            waits.append(_RUNNING_EVERY)
        return max(0.0, min(waits, default=60.0))

    def _look(self) -> None:
        """Tell what has changed, and check what is due."""
        keys = None
        reordered, self._reordered = self._reordered, False
        changed, self._changed = self._changed, set()
        try:
            if reordered:
                keys = self._take_in()
                changed, self._changed = changed | self._changed, set()
            if self._is_seen():
                watched = list(self._watched.items())
                changed |= {key for key, (duct, _) in watched if duct._life.running}
                self._check()
            rows = [self._row(duct) for key in changed if (duct := self.duct(key)) is not None]
            if rows or keys is not None:
                self._tell(rows, keys)
        except BaseException:  # as when another thread registers meanwhile: it is told with the next change
            self._reordered |= reordered
            self._changed |= changed
            raise

    def _take_in(self) -> list[str]:
        """Watch what is new and leave what is gone; the order of all."""
        ducts = {key_of(duct): duct for duct in self.ducts()}
        with self._watching:
            if self._closed:
                return []
            gone = self._drop([key for key in self._watched if key not in ducts])
            for key in ducts.keys() - self._watched.keys():
                self._watch(key, ducts[key])
        for duct in gone:
            self._gone(duct)
        former, self._names = self._names, {key: self._registry.names_of(duct) for key, duct in ducts.items()}
        self._changed.update(key for key, names in self._names.items() if names != former.get(key))
        return list(ducts)

    def _watch(self, key: str, duct: Duct) -> None:
        observer = functools.partial(self._note_key, key)
        self._watched[key] = duct, observer
        duct._life.status.observe(observer)

    def _drop(self, keys: Iterable[str]) -> list[Duct]:
        dropped = []
        for key in keys:
            duct, observer = self._watched.pop(key)
            dropped.append(duct)
            with contextlib.suppress(ValueError):
                duct._life.status.unobserve(observer)
        return dropped

    def _check(self) -> None:
        """Have the ducts that are connected looked after; it takes its time elsewhere."""
        if not self.check_every or time.monotonic() - self._checked < self.check_every:
            return
        self._checked = time.monotonic()
        connected = [duct for duct, _ in list(self._watched.values()) if duct._life.state == CONNECTED]
        if connected:
            self._pool = self._pool or ThreadPoolExecutor(
                _CHECKERS, thread_name_prefix="omniduct panel checks"
            )
            for duct in connected:
                self._pool.submit(_checked, duct)


def _checked(duct: Duct) -> None:
    try:
        duct.is_connected()
    except Exception:
        logger.debug("%s: checking it for the panel", duct.name, exc_info=True)


def _run(board: weakref.ref[Board], wake: threading.Event) -> None:
    """The thread; it holds the board only while it is at work."""
    while True:
        this = board()
        if this is None or this._closed:
            return
        wait = this._wait()
        del this
        if wake.wait(wait):
            time.sleep(_TOGETHER)
            wake.clear()
        this = board()
        if this is None or this._closed:
            return
        try:
            this._look()
        except Exception:  # the page is gone, perhaps; the next change is told again
            logger.debug("telling the panel", exc_info=True)
        del this
