"""A statement under way: the session's worker thread, and how an interrupt ends the statement.

The driver's call runs on the worker; the caller waits. A KeyboardInterrupt does not strike the
caller's code at a random place: while a statement runs, SIGINT is only counted. It then makes the
caller repeat the driver's own cancel until the worker has ended, as a single cancel that comes
before the statement has begun is lost.
"""

from __future__ import annotations

import contextvars
import logging
import signal
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType
from typing import Any, Generic, TypeVar

from omniduct.errors import DuctConnectionError, DuctStatementError

__all__ = ["Session"]

logger = logging.getLogger("omniduct")

_Result = TypeVar("_Result")

_CANCEL_EVERY = 0.02  # seconds
_POLL = 0.2  # seconds; on Windows a lock that is waited for hears no signal
PATIENCE = 2.0
"""Seconds that a second interrupt leaves the statement to end, before the session is given up."""


class _Job(Generic[_Result]):
    """One call for the worker, and what came of it."""

    __slots__ = ("_claim", "_context", "_function", "_wake", "error", "over", "result")

    def __init__(self, function: Callable[[], _Result]) -> None:
        self._function: Callable[[], _Result] | None = function
        self._context = contextvars.copy_context()
        self._claim = threading.Lock()
        self._wake = threading.Lock()
        self._wake.acquire()
        self.over = False
        self.result: _Result | None = None
        self.error: BaseException | None = None

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
        try:
            self._wake.release()
        except RuntimeError:  # awake already
            pass


class _Interrupts:
    """Counts SIGINT instead of letting it raise, for the main thread and while within."""

    __slots__ = ("_former", "_job", "count", "second")

    def __init__(self, job: _Job[Any]) -> None:
        self._job = job
        self._former: Any = None
        self.count = 0
        self.second = 0.0

    def __enter__(self) -> _Interrupts:
        if threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._former = signal.signal(signal.SIGINT, self._count)
        return self

    def __exit__(self, *_: object) -> None:
        if self._former is not None:
            signal.signal(signal.SIGINT, self._former)

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 2:
            self.second = time.monotonic()
        self._job.wake()

    def note(self) -> None:
        """Count an interrupt that was raised all the same: the handler was somebody else's."""
        self._count(0, None)

    def impatient(self) -> bool:
        """Whether the person will not wait for the statement to end."""
        return self.count > 1 and (self.count > 2 or time.monotonic() - self.second > PATIENCE)


class Session:
    """The thread on which the statements of one connection run, one at a time and in order.

    Parameters
    ----------
    name : str
        Of the duct, for the thread's name and messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.given_up = False
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._current: list[_Job[Any]] = []
        self._thread = threading.Thread(
            target=_work, args=(self._jobs, self._gate, self._current), name=f"omniduct {name}", daemon=True
        )
        self._thread.start()

    def run(self, function: Callable[[], _Result], cancel: Callable[[], None]) -> _Result:
        """Call `function` on the worker and wait for what it returns or raises.

        Parameters
        ----------
        cancel : callable
            The driver's cancel; called from other threads, and only while `function` runs.

        Raises
        ------
        KeyboardInterrupt
            The person interrupted, and `function` has ended; or the session is given up (`given_up`),
            and `function` goes on being cancelled in the background.
        """
        if threading.current_thread() is self._thread:
            raise DuctStatementError(
                f"{self.name}: a statement cannot be run from within another of the same duct"
            )
        job = _Job(function)
        with _Interrupts(job) as interrupts:
            self._jobs.put(job)
            self._await(job, cancel, interrupts)
        if interrupts.count:
            raise KeyboardInterrupt
        if job.error is not None:
            error, job.error = job.error, None
            raise error
        return job.result  # type: ignore[return-value]

    def _await(self, job: _Job[Any], cancel: Callable[[], None], interrupts: _Interrupts) -> None:
        while not job.over:
            try:
                job.wait(_POLL)
                if not job.over and not self._thread.is_alive() and job.claim():
                    job.error = DuctConnectionError(f"{self.name}: was disconnected before the statement could run")
                    return
                if interrupts.count and not job.over:
                    self._stop(job, cancel, interrupts)
                    return
            except KeyboardInterrupt:
                interrupts.note()

    def _stop(self, job: _Job[Any], cancel: Callable[[], None], interrupts: _Interrupts) -> None:
        """Cancel until the job has ended, or the person has lost patience."""
        if job.claim():  # still waiting for its turn: it never runs
            job.over = True
        while not job.over:
            self._cancel(job, cancel)
            job.wait(_CANCEL_EVERY)
            if interrupts.impatient() and not job.over:
                self._give_up(job, cancel)
                return

    def _cancel(self, job: _Job[Any], cancel: Callable[[], None]) -> None:
        """Cancel the job; under the gate, so that the cancel never strikes the one after it."""
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
            while not job.over:
                self._cancel(job, cancel)
                job.wait(_CANCEL_EVERY)

        threading.Thread(target=go_on, name=f"omniduct cancels {self.name}", daemon=True).start()

    def cancel(self, cancel: Callable[[], None]) -> bool:
        """Cancel what runs now, from any thread; whether something ran."""
        running = list(self._current)
        for job in running:
            self._cancel(job, cancel)
        return bool(running)

    def close(self, cancel: Callable[[], None], patience: float = PATIENCE) -> None:
        """End the thread, cancelling what still runs and waiting a moment for it to end."""
        self._jobs.put(None)
        deadline = time.monotonic() + patience
        while self._thread.is_alive() and time.monotonic() < deadline:
            if threading.current_thread() is self._thread:
                return
            self.cancel(cancel)
            self._thread.join(_CANCEL_EVERY)

    def __del__(self) -> None:
        self._jobs.put(None)


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
