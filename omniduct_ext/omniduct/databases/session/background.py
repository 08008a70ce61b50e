"""Statements that run while the person works: what a statement's method gives with ``background=True``."""

from __future__ import annotations

import contextvars
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from omniduct.core import cleanup
from omniduct.core.lifecycle import twin
from omniduct.databases.session.progress import Progress, counts, duration, link_of, shown
from omniduct.databases.session.running import PATIENCE, Interrupted, place_of_caller, tell
from omniduct.databases.session.showing import Showing
from omniduct.databases.session.streaming import Beside
from omniduct.errors import DuctError, DuctStatementError, DuctTimeout

if TYPE_CHECKING:
    from omniduct.databases.base import DatabaseClient

__all__ = ["Background"]

_LOOK = 0.2  # seconds


class Background:
    """A statement that runs in the background, and what comes of it; much like `concurrent.futures.Future`.

    Several may run at a time. Each has a connection of its own, where the driver has such: it sees neither
    the session's temporary tables and settings nor what a transaction has not committed. Otherwise it
    takes its turn on the session. In a notebook it displays how far it is, and keeps that up to date.

    A handle that is dropped leaves the statement running; should it fail then, a warning says so.
    Disconnecting the duct cancels it, and so does the end of Python: a script waits for its `result`.

    Parameters
    ----------
    client : DatabaseClient
        The duct; it is connected, and asks for a login if it has to, before this returns.
    statement : str
        The text.
    work : callable
        Runs the statement on what it is given, and returns the result; called in another thread.
    """

    def __init__(self, client: DatabaseClient, statement: str, work: Callable[[Beside], Any]) -> None:
        self._client = client
        self._work = _Work(Beside(client, statement, lasting=False), work)
        self._work.start()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end, and return what the statement gave.

        Interrupting this leaves the statement running.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Raises
        ------
        DuctStatementError
            The service refused the statement, or it was cancelled.
        DuctConnectionError
            The connection was lost.
        DuctTimeout
            It has not ended within that time, and goes on.
        """
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self._work.result

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end, and return what `result` would raise; None if the statement succeeded."""
        self._wait(timeout)
        return self._work.own_error()

    def done(self) -> bool:
        """Whether it has ended: finished, failed or been cancelled."""
        return self._work.has_ended()

    def running(self) -> bool:
        """Whether it has not ended."""
        return not self._work.has_ended()

    def cancel(self) -> bool:
        """Cancel it in the database, and wait a moment for its end.

        Returns
        -------
        bool
            Whether that ended it, or will; False if it had ended by itself.
        """
        return self._work.cancel()

    def cancelled(self) -> bool:
        """Whether it was cancelled, by `cancel` or because the duct was disconnected."""
        return self._work.has_ended() and self._work.was_cancelled()

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self._work.beside.progress()

    @property
    def elapsed(self) -> float:
        """Seconds since it began; until its end, once it has ended."""
        return self._work.running.elapsed

    def _wait(self, timeout: float | None) -> None:
        work = self._work
        deadline = None if timeout is None else time.monotonic() + timeout
        line = Showing(work.running, work.beside.progress, self._client.progress, logs=False)
        try:
            while not work.has_ended():
                left = _LOOK if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    raise DuctTimeout(
                        f"{work.name}: the statement has not ended within {timeout:g} s; it goes on"
                    )
                work.over.wait(min(left, _LOOK))
                line.look()
            return
        except KeyboardInterrupt:
            interrupted = Interrupted(
                f"{work.name}: the statement goes on in the background; its .cancel() ends it"
            )
        finally:
            line.close()
        raise interrupted

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(
            f"a statement in the background has no {name!r}: wait for its result, as in .result().{name}"
        )

    def __repr__(self) -> str:
        return str(self._work)

    def _ipython_display_(self) -> None:
        from omniduct.ipython.progress import show_while

        work = self._work  # not the handle, which may be dropped while it is shown
        if not show_while(work.over, work.shown):
            raise NotImplementedError  # IPython then prints it

    def __del__(self) -> None:
        work = self.__dict__.get("_work")
        if work is not None:
            work.drop()


class _Work:
    """The statement itself, in a thread of its own, which goes on when its handle is dropped."""

    def __init__(self, beside: Beside, work: Callable[[Beside], Any]) -> None:
        self.beside = beside
        self.running = beside.running
        self.name = beside.running.name
        self.over = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None
        self._work: Callable[[Beside], Any] | None = work
        self._dropped = False
        self._seen = threading.Lock()  # held once somebody was told how it ended
        self._place = place_of_caller()
        self._thread = threading.Thread(
            target=contextvars.copy_context().run,
            args=(self._run,),
            name=f"omniduct runs {self.name}",
            daemon=True,
        )

    def start(self) -> None:
        self._thread.start()
        _under_way.add(self)

    def has_ended(self) -> bool:
        """Whether it has; in a forked child it never ran."""
        return self.over.is_set() or not self._thread.is_alive()

    def _run(self) -> None:
        work, self._work = self._work, None
        assert work is not None
        try:
            self.result = work(self.beside)
        except KeyboardInterrupt as interrupt:  # by `cancel`
            self.error = _cancelled(str(interrupt))
        except BaseException as error:
            self.error = error.with_traceback(None) if isinstance(error, DuctError) else error
        finally:
            del work
            self._end()

    def _end(self) -> None:
        try:
            self.beside.close()
        finally:
            self.running.end()
            self.over.set()
            if self._dropped:
                self._report()

    def cancel(self) -> bool:
        if self.has_ended():
            return False
        self.look()
        self.running.unwanted = True
        self.over.wait(PATIENCE)
        return not self.over.is_set() or self.was_cancelled()

    def was_cancelled(self) -> bool:
        return isinstance(self.error, DuctStatementError) and self.error.cancelled

    def own_error(self) -> BaseException | None:
        """Why it failed; an exception of the caller's own: threads do not share tracebacks."""
        self.look()
        if not self.over.is_set():
            return DuctStatementError(f"{self.name}: the statement runs in the process that has begun it")
        return twin(self.error) if isinstance(self.error, DuctError) else self.error

    # Who is told how it ended

    def look(self) -> bool:
        """Note that somebody is told of its end; whether nobody was before."""
        return self._seen.acquire(blocking=False)

    def drop(self) -> None:
        self._dropped = True
        if self.over.is_set():
            self._report()

    def _report(self) -> None:
        if self.error is not None and cleanup.may_clean() and self.look():
            tell(
                f"{self.name}: a statement in the background failed, and nobody asked for its result: "
                f"{self._sentence()}",
                self._place,
            )

    def report_end_of_python(self) -> None:
        if not self.has_ended() and self.look():
            tell(
                f"{self.name}: a statement in the background is cancelled, as Python ends; .result() would "
                "have waited for it",
                self._place,
            )

    def __str__(self) -> str:
        return f"<Background of {self.name}, {self.told().splitlines()[0]}>"

    def told(self) -> str:
        """How it fares, or how it ended."""
        running = self.running
        took = duration(running.elapsed)
        if not self.has_ended():
            return ": ".join(filter(None, [f"running {took}", counts(self.beside.progress())]))
        self.look()
        if self.was_cancelled():
            return "cancelled"
        if self.error is not None:
            return f"failed after {took}: {self._sentence()}"
        rows = running.rows
        return f"finished in {took}" + ("" if rows is None else f": {rows:,} row{'' if rows == 1 else 's'}")

    def shown(self) -> tuple[str, str]:
        """The same for a page that is kept up to date: a line of progress and its link while it runs."""
        if self.has_ended():
            return str(self), ""
        progress = self.running.worth_a_bar(self.beside.progress())
        return shown(self.name, progress, self.running.elapsed), link_of(progress)

    def _sentence(self) -> str:
        return str(self.error).removeprefix(f"{self.name}: ") or type(self.error).__name__


def _cancelled(said: str) -> DuctStatementError:
    """What became of a cancelled statement: `said` is of an interrupt."""
    failure = DuctStatementError(said if "cancelled" in said else f"{said} when it was cancelled")
    failure.cancelled = True
    return failure


_under_way: weakref.WeakSet[_Work] = weakref.WeakSet()


def _at_exit() -> None:
    for work in list(_under_way):
        work.report_end_of_python()


cleanup.before_the_end(_at_exit)
