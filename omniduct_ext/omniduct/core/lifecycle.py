"""The states of a duct, and the attempts to change them that threads share."""

from __future__ import annotations

import contextlib
import copy
import datetime
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from omniduct.errors import DuctConnectionError, DuctError

if TYPE_CHECKING:
    from omniduct.core.status import DuctStatus

__all__ = ["CONNECTED", "CONNECTING", "DISCONNECTED", "FAILED", "LOST", "Lifecycle"]

logger = logging.getLogger("omniduct")

DISCONNECTED = "disconnected"
CONNECTING = "connecting"
CONNECTED = "connected"
LOST = "lost"
FAILED = "failed"


class _Attempt:
    """One connecting or disconnecting under way: who leads it, and how it ended for all who wait."""

    __slots__ = ("_over", "cancelled", "failure", "leader")

    def __init__(self) -> None:
        self.leader = threading.get_ident()
        self.cancelled = False
        self.failure: DuctError | None = None
        self._over = threading.Event()

    def end(self) -> None:
        self._over.set()

    def wait(self) -> None:
        self._over.wait()

    def own_failure(self) -> DuctError:
        """An exception of the caller's own, chained to the one cause: threads do not share tracebacks."""
        assert self.failure is not None
        try:
            own = copy.copy(self.failure)
        except Exception:  # a third party's error with a constructor of its own
            own = DuctConnectionError(str(self.failure))
        own.__cause__ = self.failure.__cause__
        own.__suppress_context__ = True
        return own.with_traceback(None)


class Lifecycle:
    """The state of one duct.

    All changes of state go through here. The lock guards the bookkeeping only: no hook of a duct and
    no observer ever runs under it.
    """

    def __init__(self) -> None:
        self.state = DISCONNECTED
        self.last_error = ""
        self.since = datetime.datetime.now(datetime.timezone.utc)
        self.running = 0
        self.last_used = 0.0
        self.lock = threading.RLock()
        self._attempt: _Attempt | None = None
        self._checkers: set[int] = set()
        self._status: DuctStatus | None = None
        self._events: deque[dict[str, object]] = deque()
        self._publishing = threading.Lock()

    # What the world may observe

    @property
    def status(self) -> DuctStatus:
        """The observable twin of this state; made when first asked for."""
        with self.lock:
            if self._status is None:
                from omniduct.core.status import DuctStatus

                self._status = DuctStatus(**self._snapshot())
            return self._status

    def _snapshot(self) -> dict[str, object]:
        return {
            "state": self.state,
            "last_error": self.last_error,
            "since": self.since,
            "running": self.running,
        }

    def enter(self, state: str, error: str = "") -> None:
        """Move to a state; observers hear of it once the caller holds no lock."""
        with self.lock:
            self._enter(state, error)
        self.publish()

    def _enter(self, state: str, error: str = "") -> None:
        """Move to a state under the lock; the caller publishes once it has let go of it."""
        if state != self.state or error != self.last_error:
            self.state, self.last_error = state, error
            self.since = datetime.datetime.now(datetime.timezone.utc)
            self._note()

    def begin_statement(self) -> None:
        """Count a statement that is under way."""
        with self.lock:
            self.running += 1
            self._note()
        self.publish()

    def end_statement(self) -> None:
        """Count it no longer."""
        with self.lock:
            self.running -= 1
            self.last_used = time.monotonic()
            self._note()
        self.publish()

    def _note(self) -> None:
        if self._status is not None:
            self._events.append(self._snapshot())

    def publish(self) -> None:
        """Tell the observers what happened, in order, one thread at a time."""
        while self._events and self._publishing.acquire(blocking=False):
            try:
                while self._events:
                    self._tell(self._events.popleft())
            finally:
                self._publishing.release()

    def _tell(self, event: dict[str, object]) -> None:
        assert self._status is not None
        for name, value in event.items():
            try:
                self._status.set_trait(name, value)
            except Exception:
                logger.exception("an observer of a duct's %s failed", name)

    # Attempts

    def leads(self) -> bool:
        """Whether the calling thread is connecting, disconnecting or checking: a hook uses its own duct."""
        attempt, thread = self._attempt, threading.get_ident()
        return (attempt is not None and attempt.leader == thread) or thread in self._checkers

    @contextlib.contextmanager
    def checking(self) -> Iterator[None]:
        """Within this block the calling thread checks the connection."""
        thread = threading.get_ident()
        self._checkers.add(thread)
        try:
            yield
        finally:
            self._checkers.discard(thread)

    def checked(self, reason: str) -> bool:
        """Take in what a check found, unless the state has changed since; whether it is connected."""
        with self.lock:
            if self.state != CONNECTED:
                return False
            if self.running:  # a statement began meanwhile, and speaks for the connection
                return True
            if reason:
                self._enter(LOST, reason)
            else:
                self.touch()
        self.publish()
        return not reason

    def in_use(self, within: float) -> bool:
        """Whether it is connected and needs no probe: a statement runs, or it was used a moment ago."""
        return self.state == CONNECTED and (self.running > 0 or time.monotonic() - self.last_used < within)

    def touch(self) -> None:
        """Note a use."""
        self.last_used = time.monotonic()

    def share_connect(self, connect: Callable[[], None], undo: Callable[[], None]) -> None:
        """Connect, or share the attempt of the thread that is connecting.

        `connect` is called by one thread at a time; every other waits and gets what came of it: an
        exception of its own when it failed. When the thread that leads is interrupted, one that waits
        leads the next. `undo` takes back a connection that nobody wants any more.
        """
        while self.state != CONNECTED:
            attempt, leads = self._join()
            if leads:
                self._lead(attempt, connect, undo)
                return
            cancelled_before = attempt.cancelled
            attempt.wait()
            if attempt.failure is not None and not cancelled_before:
                raise attempt.own_failure()

    def _join(self) -> tuple[_Attempt, bool]:
        with self.lock:
            if self._attempt is not None:
                return self._attempt, False
            self._attempt = _Attempt()
            return self._attempt, True

    def _lead(self, attempt: _Attempt, connect: Callable[[], None], undo: Callable[[], None]) -> None:
        done = False
        try:
            if self.state == CONNECTED:  # somebody else was faster
                return
            self.enter(CONNECTING)
            connect()
            done = True
            self._settle(attempt, undo)
        except DuctError as failure:
            if not done:
                undo()
            attempt.failure = failure
            self.enter(DISCONNECTED if attempt.cancelled else FAILED, str(failure))
            raise attempt.own_failure() from failure.__cause__
        except BaseException as interruption:
            undo()
            self.enter(DISCONNECTED, f"connecting was interrupted ({type(interruption).__name__})")
            raise
        finally:
            self._leave(attempt)

    def _settle(self, attempt: _Attempt, undo: Callable[[], None]) -> None:
        """Become connected, unless somebody called `disconnect` meanwhile."""
        with self.lock:
            if not attempt.cancelled:
                self.touch()
                self._enter(CONNECTED)
        if attempt.cancelled:
            undo()
            raise DuctConnectionError("connecting was cancelled")
        self.publish()

    def _leave(self, attempt: _Attempt) -> None:
        with self.lock:
            if self._attempt is attempt:
                self._attempt = None
        attempt.end()

    def share_disconnect(self, disconnect: Callable[[], None], when: str = "") -> None:
        """Disconnect, alone; connecting that is under way in another thread is cancelled instead.

        With `when`, only if it is still in that state once it is this thread's turn.
        """
        while True:
            with self.lock:
                if when and self.state != when:
                    return
                attempt = self._attempt
                if attempt is None:
                    attempt = self._attempt = _Attempt()
                    break
                if self.state == CONNECTING:
                    attempt.cancelled = True
                    return
            attempt.wait()
        try:
            disconnect()
        finally:
            self.enter(DISCONNECTED)
            self._leave(attempt)
