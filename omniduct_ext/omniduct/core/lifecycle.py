"""The states of a duct, and the attempts to change them that threads share."""

from __future__ import annotations

import datetime
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from omniduct.errors import DuctAuthenticationError, DuctConnectionError, DuctError

if TYPE_CHECKING:
    from omniduct.core.status import DuctStatus

__all__ = ["CONNECTED", "CONNECTING", "DISCONNECTED", "FAILED", "LOST", "Lifecycle", "twin"]

DISCONNECTED = "disconnected"
CONNECTING = "connecting"
CONNECTED = "connected"
LOST = "lost"
FAILED = "failed"

_TICK = 0.05  # seconds between two looks at what an attempt asks of the person
_PATIENCE = 5.0  # seconds that a statement waits for a check under way: twice what a check may take, and some


class _Attempt:
    """One connecting or disconnecting under way: who leads it, and how it ended for all who wait."""

    __slots__ = ("_over", "cancelled", "failure", "in_hooks", "leader", "succeeded")

    def __init__(self) -> None:
        self.leader = threading.get_ident()
        self.in_hooks = False
        self.cancelled = False
        self.succeeded = False
        self.failure: DuctError | None = None
        self._over = threading.Event()

    def led_here(self) -> bool:
        return self.leader == threading.get_ident()

    def is_over(self) -> bool:
        return self._over.is_set()

    def end(self) -> None:
        self._over.set()

    def wait(self, meanwhile: Callable[[], object] | None = None) -> None:
        """Wait for its end; `meanwhile` is called now and then."""
        while not self._over.wait(None if meanwhile is None else _TICK):
            assert meanwhile is not None
            meanwhile()

    def own_failure(self) -> DuctError:
        """An exception of the caller's own, chained to the one cause: threads do not share tracebacks."""
        assert self.failure is not None
        return twin(self.failure)


def twin(error: DuctError) -> DuctError:
    """Another exception that says the same and has the same cause.

    It is made without the constructor: a third party's may need more.
    """
    kind = type(error)
    try:
        other = kind.__new__(kind, *error.args)
        other.__dict__.update(error.__dict__)
    except Exception:
        plain = DuctAuthenticationError if isinstance(error, DuctAuthenticationError) else DuctConnectionError
        other = plain(str(error))
    other.__cause__ = error.__cause__
    return other


def _cancelled(name: str) -> DuctConnectionError:
    return DuctConnectionError(f"{name}: connecting was cancelled by disconnecting")


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
        self._busy = 0  # of these, on the connection itself: not those on connections beside it
        self._doubtful = False
        self.last_used = 0.0
        self.lock = threading.RLock()
        self._attempt: _Attempt | None = None
        self.connections = 0  # made so far: tells one connection from the next
        self.cancels = 0  # calls of `disconnect` while it was not connected
        self._checks = 0  # under way
        self._no_checks = threading.Condition(self.lock)
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

    def _enter(self, state: str, error: str = "") -> None:
        """Move to a state under the lock; the caller publishes once it has let go of it."""
        if state != self.state or error != self.last_error:
            self.state, self.last_error = state, error
            self.since = datetime.datetime.now(datetime.timezone.utc)
            self._note()

    def fail(self, reason: str) -> None:
        """Note why connecting could not even begin, unless another thread has got further meanwhile."""
        with self.lock:
            if self._attempt is None and self.state in (DISCONNECTED, FAILED):
                self._enter(FAILED, reason)
        self.publish()

    def lose(self, reason: str) -> None:
        """Note that the connection has gone, if there is one."""
        with self.lock:
            if self.state == CONNECTED:
                self._enter(LOST, reason)
        self.publish()

    def _note(self) -> None:
        if self._status is not None:
            self._events.append(self._snapshot())

    def publish(self) -> None:
        """Tell the observers what happened, in order, one thread at a time."""
        while self._events and self._publishing.acquire(blocking=False):
            try:
                while self._events:
                    assert self._status is not None
                    self._status.become(self._events.popleft())
            finally:
                self._publishing.release()

    # Statements and checks: a connection is never used for both at once

    def begin_statement(self, beside: bool = False) -> None:
        """Count a statement that is under way, once no check touches the connection any more.

        With `beside` it runs on a connection of its own, and says nothing of this one.
        """
        with self.lock:
            self.running += 1
            if not beside:
                self._claim()
            self._note()
        try:
            self.publish()
        except BaseException:  # while observers hear of it: the caller has not begun, and ends nothing
            self.end_statement(beside)
            raise

    def _claim(self) -> None:
        """Keep checks off the connection, once none is under way."""
        self._busy += 1
        try:
            if threading.get_ident() not in self._checkers:  # else it is the check's own
                self._no_checks.wait_for(lambda: not self._checks, _PATIENCE)
        except BaseException:
            self._busy -= 1
            self.running -= 1
            raise

    def end_statement(self, beside: bool = False) -> None:
        """Count it no longer."""
        with self.lock:
            self.running -= 1
            if not beside:
                self._busy -= 1
                self.last_used = time.monotonic()
            self._note()
        self.publish()

    def replaced(self) -> None:
        """Note that the connection is another one now, while the state stayed as it was."""
        with self.lock:
            self.connections += 1

    def doubt(self) -> None:
        """Note that a statement failed: the next use checks the connection first."""
        self._doubtful = True

    def check(self, find_fault: Callable[[], str]) -> bool:
        """Whether it is connected.

        Parameters
        ----------
        find_fault : callable
            Says why it is not, or nothing; asked unless a statement under way speaks for the connection.
        """
        with self.lock:
            if self.state != CONNECTED or self._busy or self._under_way():
                return self.state == CONNECTED
            checked = self.connections
            self._checks += 1
        try:
            fault = find_fault()
            with self.lock:
                if self.state == CONNECTED and self.connections == checked:  # else it is about a former one
                    self._take_in(fault)
        finally:
            with self.lock:
                self._checks -= 1
                self._no_checks.notify_all()
            self.publish()
        return self.state == CONNECTED

    def _take_in(self, fault: str) -> None:
        self._doubtful = False
        if fault:
            self._enter(LOST, fault)
        else:
            self.touch()

    def checking(self, hook: Callable[[], str]) -> str:
        """Call a hook that checks the connection; meanwhile the calling thread is one that checks."""
        thread = threading.get_ident()
        self._checkers.add(thread)
        try:
            return hook()
        finally:
            self._checkers.discard(thread)

    def in_use(self, within: float) -> bool:
        """Whether it is connected and needs no probe: a statement runs, or it was used a moment ago."""
        if not self._is_steady():
            return False
        recent = time.monotonic() - self.last_used < within
        return self._busy > 0 or (recent and not self._doubtful)

    def touch(self) -> None:
        """Note a use."""
        self.last_used = time.monotonic()

    # Attempts

    def _under_way(self) -> _Attempt | None:
        """The attempt that is under way."""
        attempt = self._attempt
        return None if attempt is None or attempt.is_over() else attempt

    def _is_steady(self) -> bool:
        """Whether it is connected, and nobody is disconnecting."""
        return self.state == CONNECTED and self._under_way() is None

    def leads(self) -> bool:
        """Whether the calling thread is in a hook that connects, disconnects or checks."""
        attempt = self._under_way()
        if attempt is not None and attempt.in_hooks and attempt.led_here():
            return True
        return threading.get_ident() in self._checkers

    def share_connect(
        self,
        name: str,
        connect: Callable[[], None],
        undo: Callable[[], None],
        begun: int,
        meanwhile: Callable[[], object] | None = None,
    ) -> None:
        """Connect the duct of that name, or share the attempt of the thread that is connecting.

        `connect` is called by one thread at a time; every other waits and gets what came of it: an
        exception of its own when it failed. When the thread that leads is interrupted, one that waits
        leads the next. `undo` takes back what a failed attempt left, or one that nobody wants any more.
        `begun` is the number of `cancels` when the caller began; another one by now cancels this.
        `meanwhile` is called now and then while waiting: to answer what the attempt asks.
        """
        while not self._is_steady():
            mine = _Attempt()
            try:
                other = self._join(mine, name, begun)
                if other is None:
                    self._lead(mine, name, connect, undo)
            finally:
                try:
                    self._leave(mine)
                finally:
                    mine.end()
                    self.publish()
            if other is None:
                if mine.failure is not None:
                    raise mine.own_failure()
                return
            if other.led_here():  # an observer of its own attempt, which goes on when the observer returns
                return
            cancelled_before = other.cancelled
            other.wait(meanwhile)
            if other.failure is not None and not cancelled_before:
                raise other.own_failure()

    def _join(self, mine: _Attempt, name: str, begun: int) -> _Attempt | None:
        """Begin an attempt; if there is one under way, that one."""
        with self.lock:
            if self.cancels != begun:
                raise _cancelled(name)
            other = self._under_way()
            if other is None:
                self._attempt = mine
            return other

    def _lead(
        self, attempt: _Attempt, name: str, connect: Callable[[], None], undo: Callable[[], None]
    ) -> None:
        with self.lock:
            if self.state == CONNECTED:  # somebody else was faster
                attempt.succeeded = True
                return
            self._enter(CONNECTING)
        self.publish()  # an observer may well cancel
        attempt.in_hooks = True
        try:
            if not attempt.cancelled:
                connect()
            self._succeed(attempt, name)
        except DuctError as failure:
            attempt.failure = failure
        finally:
            if not attempt.succeeded:
                undo()

    def _succeed(self, attempt: _Attempt, name: str) -> None:
        """Become connected, unless somebody called `disconnect` meanwhile."""
        with self.lock:
            if attempt.cancelled:
                raise _cancelled(name)
            self.connections += 1
            self._doubtful = False
            self.touch()
            self._enter(CONNECTED)
            attempt.succeeded = True  # last: an interrupt before this takes the connection back

    def _leave(self, attempt: _Attempt) -> None:
        """End an attempt of the calling thread, for all who wait.

        Whoever calls this also ends the attempt itself and publishes, as an interrupt may strike anywhere
        in here, and nobody may wait for ever.
        """
        with self.lock:
            if self._attempt is attempt:
                if attempt.failure is not None and not attempt.cancelled:
                    self._enter(FAILED, str(attempt.failure))
                elif not attempt.succeeded:
                    self._enter(DISCONNECTED)
                self._attempt = None
        attempt.end()

    def share_disconnect(self, disconnect: Callable[[], None], when: str = "") -> None:
        """Disconnect, alone; connecting that is under way in another thread is cancelled instead.

        With `when`, only if it is still in that state once it is this thread's turn.
        """
        mine = _Attempt()
        with self.lock:
            if not when and self.state != CONNECTED:  # whoever gathers what connecting needs is to stop, too
                self.cancels += 1
        try:
            while True:
                with self.lock:
                    if when and self.state != when:
                        return
                    other = self._under_way()
                    if other is None:
                        self._attempt = mine
                        break
                    if self.state == CONNECTING:
                        other.cancelled = True
                        self._enter(DISCONNECTED)  # though its driver may take its time to notice
                if other.cancelled:
                    return
                other.wait()
            mine.in_hooks = True
            self.last_used = -math.inf  # if this is interrupted, the next use probes first
            disconnect()
        finally:
            try:
                self._leave(mine)
            finally:
                mine.end()
                self.publish()
