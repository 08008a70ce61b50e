"""A statement under way: the session's worker thread, and how an interrupt ends the statement.

The driver's call runs on the worker; the caller waits. A KeyboardInterrupt does not strike the
caller's code at a random place: while a statement runs, SIGINT is only counted. It then makes the
caller repeat the driver's own cancel until the worker has ended, as a single cancel that comes
before the statement has begun is lost.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from queue import SimpleQueue
from types import FrameType
from typing import Any, Generic, Protocol, TypeVar

from omniduct.errors import (
    DuctConnectionError,
    DuctError,
    DuctStatementError,
    DuctWarning,
    Interrupted,
    is_library,
)

__all__ = ["Interrupted", "Session", "SessionReplaced", "check_wanted", "place_of_caller", "shielded", "tell"]

logger = logging.getLogger("omniduct")

_Result = TypeVar("_Result")

_CANCEL_EVERY = 0.02  # seconds, at first
_CANCEL_AT_LEAST_EVERY = 0.25
_POLL = 0.2  # seconds; on Windows a lock that is waited for hears no signal
_IN_ONE_GO = 0.5  # seconds; interrupts within these are one impatient hand, not a third decision
PATIENCE = 2.0
"""Seconds that a second interrupt leaves the statement to end, before the session is given up."""


class SessionReplaced(Exception):
    """The session was given up before the statement's turn came: it can be run on the next."""


class Counter(Protocol):
    """Counts the statements under way, as a duct's life-cycle does."""

    def begin_statement(self) -> None:
        """Count one more."""

    def end_statement(self) -> None:
        """Count one less."""


class Watcher(Protocol):
    """Looked through by who waits for a statement, some times a second."""

    def look(self) -> str:
        """Why the service is taken for dead; nothing while it is not."""

    def close(self) -> None:
        """The statement has ended."""


class _Job(Generic[_Result]):
    """One call for the worker, and what came of it."""

    __slots__ = (
        "_claim",
        "_context",
        "_function",
        "_wake",
        "cancelled",
        "error",
        "notes",
        "over",
        "result",
        "stopping",
    )

    def __init__(self, function: Callable[[], _Result]) -> None:
        self._function: Callable[[], _Result] | None = function
        self._context = contextvars.copy_context()
        self._context.run(_JOB.set, self)
        self._claim = threading.Lock()
        self._wake = threading.Lock()
        self._wake.acquire()
        self.over = False
        self.cancelled = ""  # what to say of one that was cancelled from elsewhere
        self.stopping = False
        self.result: _Result | None = None
        self.error: BaseException | None = None
        self.notes: list[str] = []  # what to tell where the person's own code is being run

    def claim(self) -> bool:
        """Take the job, to run it or to drop it; True for the first who asks."""
        return self._claim.acquire(blocking=False)

    def run(self) -> None:
        function, self._function = self._function, None
        assert function is not None
        try:
            self.result = self._context.run(function)
        except BaseException as error:
            self.error = error

    def wait(self, seconds: float) -> None:
        self._wake.acquire(timeout=seconds)

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # awake already
            self._wake.release()


_JOB: contextvars.ContextVar[_Job[Any] | None] = contextvars.ContextVar("omniduct_job", default=None)


def check_wanted() -> None:
    """End the statement here if it is being cancelled: for loops of ours, which no driver's cancel reaches.

    Raises
    ------
    DuctStatementError
        It is.
    """
    job = _JOB.get()
    if job is not None and job.stopping:
        raise DuctStatementError("the statement was cancelled")


class _Interrupts:
    """Counts SIGINT instead of letting it raise, for the main thread and while within."""

    __slots__ = ("_former", "_wake", "times")

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self._wake = wake
        self._former: Any = None
        self.times: list[float] = []

    def __enter__(self) -> _Interrupts:
        if threading.current_thread() is threading.main_thread() and _ends_what_runs():
            self._former = signal.signal(signal.SIGINT, self._count)
        return self

    def __exit__(self, *_: object) -> None:
        if self._former is not None:
            signal.signal(signal.SIGINT, self._former)

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.times.append(time.monotonic())
        self._wake()

    def note(self) -> None:
        """Count an interrupt that was raised all the same: the handler was somebody else's."""
        self._count(0, None)

    def __bool__(self) -> bool:
        return bool(self.times)

    def waits(self) -> bool:
        """Whether the person has interrupted once, and has waited since; nobody waits in another thread."""
        waited = len(self.times) == 1 and time.monotonic() - self.times[0] > PATIENCE
        return waited and threading.current_thread() is threading.main_thread()

    def impatient(self) -> bool:
        """Whether the person will not wait for the statement to end."""
        if len(self.times) < 2:
            return False
        second, last = self.times[1], self.times[-1]
        return last - second > _IN_ONE_GO or time.monotonic() - second > PATIENCE


def _ends_what_runs() -> bool:
    """Whether the handler of SIGINT is there to end what runs, and is not a program's with plans of its own.

    Python's own does; so do those of asyncio and of a notebook's cell with an ``await`` in it, which
    only cancel a coroutine and so would never reach a statement.
    """
    handler: Any = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        return True
    function = getattr(handler, "func", handler)  # asyncio's is a partial
    return str(getattr(function, "__module__", "")).startswith(("asyncio.", "ipykernel."))


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Within this block nothing is left half done: an interrupt is raised when it ends."""
    with _Interrupts() as interrupts:
        yield
    if interrupts:
        raise KeyboardInterrupt


def tell(text: str, place: tuple[str, int] | None = None) -> None:
    """Warn the person, every time; at the line of their own code that is being run, if at no other place."""
    job = _JOB.get()
    if job is not None and not job.over and place is None:
        job.notes.append(text)
    else:
        warnings.warn_explicit(text, DuctWarning, *(place or place_of_caller()))


def place_of_caller() -> tuple[str, int]:
    """File and line of the person's own code that is being run."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_back is not None and is_library(frame.f_code.co_filename):
        frame = frame.f_back
    return ("<unknown>", 1) if frame is None else (frame.f_code.co_filename, frame.f_lineno)


class Session:
    """The thread on which the statements of one connection run, one at a time and in order.

    Parameters
    ----------
    name : str
        Of the duct, for the thread's name and messages.

    Attributes
    ----------
    given_up : bool
        Its statement does not end, and the person would not wait. Whoever finds this replaces the
        session and then calls `retire`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.given_up = False
        self._retired = False
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._within = False
        self._current: list[_Job[Any]] = []
        self._thread = threading.Thread(
            target=_work, args=(self._jobs, self._gate, self._current), name=f"omniduct {name}", daemon=True
        )
        self._thread.start()

    @property
    def is_within(self) -> bool:
        """Whether `from_within` holds."""
        return self._within

    @contextlib.contextmanager
    def from_within(self, cancel: Callable[[], None], seconds: float) -> Iterator[None]:
        """Within this, statements may be run from the worker itself: the one before has ended.

        Those that have not ended after so many seconds are cancelled.
        """
        over = threading.Event()
        watch = threading.Thread(
            target=_cancel_late,
            args=(over, cancel, seconds),
            name=f"omniduct limits {self.name}",
            daemon=True,
        )
        watch.start()
        self._within = True
        try:
            yield
        finally:
            self._within = False
            over.set()
            watch.join(PATIENCE)  # a cancel is not to strike what comes next

    def run(
        self,
        function: Callable[[], _Result],
        cancel: Callable[[], None],
        counter: Counter | None = None,
        watch: Watcher | None = None,
    ) -> _Result:
        """Call `function` on the worker and wait for what it returns or raises.

        Parameters
        ----------
        cancel : callable
            The driver's cancel; called from other threads, and only while `function` runs.
        counter : Counter, optional
            Told of the beginning and the end, whatever interrupts.
        watch : Watcher, optional
            Looked through while waiting; what it finds gives the session up.

        Raises
        ------
        KeyboardInterrupt
            The person interrupted, and `function` has ended; or the session is given up (`given_up`),
            and `function` goes on being cancelled in the background.
        SessionReplaced
            The session was given up meanwhile, and `function` was never called.
        """
        if threading.current_thread() is self._thread:
            if self._within:
                return function()
            raise DuctStatementError(
                f"{self.name}: a statement cannot be run from within another of the same duct"
            )
        job = _Job(function)
        with _Interrupts(job.wake) as interrupts:
            if counter is not None:
                counter.begin_statement()
            try:
                self._jobs.put(job)
                said = self._await(job, cancel, interrupts, watch)
            finally:
                if watch is not None:
                    watch.close()
                if counter is not None:
                    counter.end_statement()
        if interrupts:
            undone = getattr(job.error, "undone", "")
            raise Interrupted(f"{self.name}: the statement {said or 'had ended'}{undone}")
        return self._outcome(job)

    def _outcome(self, job: _Job[_Result]) -> _Result:
        for note in job.notes:
            tell(note)
        error, job.error = job.error, None
        if error is None:
            return job.result  # type: ignore[return-value]
        if job.cancelled:
            undone = getattr(error, "undone", "")
            failure = DuctStatementError(f"{self.name}: the statement {job.cancelled}{undone}")
            failure.cancelled = True
            raise failure
        if isinstance(error, DuctError):  # it says all there is: `%debug` begins in the caller's thread
            error = error.with_traceback(None)
        raise error

    def _await(
        self, job: _Job[Any], cancel: Callable[[], None], interrupts: _Interrupts, watch: Watcher | None
    ) -> str:
        """Wait for the job; what became of it, in words, when the person interrupted."""
        while not job.over:
            try:
                job.wait(_POLL)
                if watch is not None and not job.over and (fault := watch.look()):
                    self._give_up(job, cancel)
                    raise DuctConnectionError(fault)
                if not job.over and self._is_past() and job.claim():
                    job.error = self._never()
                    return "had not begun"
                if interrupts and not job.over:
                    return self._stop(job, cancel, interrupts)
            except KeyboardInterrupt:
                interrupts.note()
        return ""

    def _is_past(self) -> bool:
        return self._retired or not self._thread.is_alive()

    def _never(self) -> Exception:
        if self.given_up:
            return SessionReplaced()
        return DuctConnectionError(f"{self.name}: was disconnected before the statement could run")

    def _stop(self, job: _Job[Any], cancel: Callable[[], None], interrupts: _Interrupts) -> str:
        """Cancel until the job has ended, or the person has lost patience."""
        if job.claim():  # still waiting for its turn: it never runs
            job.over = True
            return "had not begun"
        told = False
        for pause in _pauses():
            if job.over:
                break
            self._cancel(job, cancel)
            job.wait(pause)
            if interrupts.impatient() and not job.over:
                self._give_up(job, cancel)
                return "goes on being cancelled in the background"
            if interrupts.waits() and not told and not job.over:
                told = True
                tell(f"{self.name}: the statement has not ended yet; interrupt again to leave it behind")
        return "was cancelled" if job.error is not None else "had run to its end"

    def _cancel(self, job: _Job[Any], cancel: Callable[[], None]) -> None:
        """Cancel the job; under the gate, so that the cancel never strikes the one after it."""
        job.stopping = True
        with self._gate:
            if not job.over:
                try:
                    cancel()
                except Exception:
                    logger.debug("%s: cancelling", self.name, exc_info=True)

    def _give_up(self, job: _Job[Any], cancel: Callable[[], None]) -> None:
        self.given_up = True
        self._jobs.put(None)

        def go_on() -> None:
            for pause in _pauses():
                if job.over:
                    return
                self._cancel(job, cancel)
                job.wait(pause)

        threading.Thread(target=go_on, name=f"omniduct cancels {self.name}", daemon=True).start()

    def retire(self) -> None:
        """Send the statements that still wait here to the session that has taken this one's place."""
        self._retired = True

    def cancel(self, cancel: Callable[[], None], said: str = "was cancelled") -> bool:
        """Cancel what runs now, from any thread, and wait a moment for its end; whether something ran."""
        running = list(self._current)
        deadline = time.monotonic() + PATIENCE
        for job in running:
            job.cancelled = said
            for pause in _pauses():
                if job.over or time.monotonic() > deadline:
                    break
                self._cancel(job, cancel)
                time.sleep(pause)
        return bool(running)

    def close(self, cancel: Callable[[], None]) -> None:
        """End the thread, cancelling what still runs and waiting a moment for it to end."""
        self._jobs.put(None)
        if threading.current_thread() is self._thread or self.given_up:
            return
        deadline = time.monotonic() + PATIENCE
        while self._thread.is_alive() and time.monotonic() < deadline:
            self.cancel(cancel, "was cancelled: the duct was disconnected")
            self._thread.join(_CANCEL_EVERY)

    def __del__(self) -> None:
        self._jobs.put(None)


def _pauses() -> Iterator[float]:
    """Seconds between one cancel and the next: soon, as one may be lost; then less often, as it may cost."""
    pause = _CANCEL_EVERY
    while True:
        yield pause
        pause = min(pause * 1.5, _CANCEL_AT_LEAST_EVERY)


def _cancel_late(over: threading.Event, cancel: Callable[[], None], seconds: float) -> None:
    """Cancel after so many seconds, and on, until it is over."""
    for pause in chain([seconds], _pauses()):
        if over.wait(pause):
            return
        with contextlib.suppress(Exception):
            cancel()


def _work(jobs: SimpleQueue[_Job[Any] | None], gate: threading.Lock, current: list[_Job[Any]]) -> None:
    """The worker. It holds no reference to its session, which may go while it waits."""
    while True:
        job = jobs.get()
        if job is None:
            return
        if job.claim():
            current.append(job)
            job.run()
            with gate:
                job.over = True
                current.clear()
        job.wake()
        del job
