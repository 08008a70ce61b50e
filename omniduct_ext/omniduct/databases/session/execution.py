"""Statements on the session: one after the other, with failures that people can read."""

from __future__ import annotations

import contextlib
import contextvars
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

from omniduct.core import failures
from omniduct.core.lifecycle import CONNECTED
from omniduct.databases.hooks import DatabaseHooks
from omniduct.databases.session import explaining
from omniduct.databases.session.calls import Call, calls_of
from omniduct.databases.session.progress import CURRENT, Running
from omniduct.databases.session.running import Session, SessionReplaced, shielded, tell
from omniduct.databases.session.transactions import Transactions
from omniduct.databases.session.watching import Watch
from omniduct.databases.statements import Statement
from omniduct.duct import Duct
from omniduct.errors import DuctArgumentError, DuctError

if TYPE_CHECKING:
    from omniduct.databases.base import DatabaseClient
    from omniduct.databases.session.streaming import Beside

__all__ = ["Execution"]

_Result = TypeVar("_Result")

ASIDE: contextvars.ContextVar[Beside | None] = contextvars.ContextVar("omniduct_aside", default=None)
"""Beside what statements run that would otherwise run on the session: for who looks on while it is busy."""

_LOOK_UP = 5.0  # seconds that looking for near misses may take


class Execution(Transactions, DatabaseHooks, Duct):
    """How a database runs statements; a part of `DatabaseClient`."""

    answer_timeout: float | None
    _session: Session | None
    _streams: weakref.WeakSet[Beside]
    _calls: list[Running]

    def cancel(self) -> bool:
        """Cancel the statement that runs on the session, from any thread; whether one ran."""
        session = self._session
        return session is not None and session.cancel(self._canceller(session))

    def under_way(self) -> list[Call]:
        """The statements under way, on the session and beside it; each tells how far it is."""
        return calls_of(cast("DatabaseClient", self))

    # Several statements, and one

    def _run(
        self, prepared: list[Statement], finish: Callable[[Any], _Result], options: dict[str, Any]
    ) -> _Result:
        """Run statements on the session, one after the other, and what to do with the last's cursor."""
        aside = ASIDE.get()
        if aside is not None and aside.client is self:
            return aside.run(prepared, finish, options)
        with Running(self.name, prepared[-1].text).noted() as running:
            return self._on_session(lambda: self._run_all(prepared, finish, options), running)

    def _run_all(
        self, prepared: list[Statement], finish: Callable[[Any], _Result], options: dict[str, Any]
    ) -> _Result:
        count = len(prepared)
        for number, statement in enumerate(prepared[:-1], start=1):
            self._attempt(statement, f"statement {number} of {count}: ", self._exhaust, options)
        return self._attempt(
            prepared[-1], f"statement {count} of {count}: " if count > 1 else "", finish, options
        )

    def _attempt(
        self,
        statement: Statement,
        which: str,
        finish: Callable[[Any], _Result],
        options: dict[str, Any],
    ) -> _Result:
        cursor = options.get("cursor")
        answer = None
        try:
            with self._settings(options.get("session_properties"), cursor):
                try:
                    answer = self._execute_prepared(statement, options)
                    result = finish(answer)
                except Exception as error:  # recover first: settings are restored on a usable session
                    _let_go(answer)
                    failure = self._failure(error, which, self._recovered(cursor), statement.text, cursor)
                else:
                    if cursor is None:
                        self._note_transaction(statement.text)
                    return result
        except Exception as error:
            failure = self._failure(error, which)
        raise failure  # not from within `except`, where Python would chain the driver's frames to it

    def _execute_prepared(self, statement: Statement, options: dict[str, Any]) -> Any:
        given = dict(options)
        properties = self._get_session_properties(given.pop("session_properties", None))
        cursor, wait = given.pop("cursor", None), given.pop("wait", True)
        text = self._statement_prepare(statement.text, properties, **given)
        if statement.parameters:
            given["parameters"] = [bound.value for bound in statement.parameters]
        return self._execute(text, cursor, wait, properties, **given)

    @contextlib.contextmanager
    def _settings(self, overrides: dict[str, Any] | None, cursor: Any) -> Iterator[None]:
        """Within this, session properties given for one call hold; before and after, the session's own."""
        if overrides and not self.SUPPORTS_SESSION_PROPERTIES:
            raise DuctArgumentError(f"{self.name}: {self.protocol or 'it'} has no session properties")
        former: dict[str, Any] = {}
        try:
            for name, value in (overrides or {}).items():
                former[name] = self._setting(name, cursor)
                self._set(name, value, cursor)
            yield
        finally:
            for name, value in former.items() if cursor is None else ():  # a sibling goes, and its settings
                try:
                    self._set(name, value, cursor)
                except Exception as error:
                    failures.log(self, f"restoring the session property {name}", error)

    # Failures

    def _failure_while_reading(self, read: Callable[[], _Result]) -> _Result:
        """Read on; an error of the driver becomes one for people."""
        try:
            return read()
        except Exception as error:
            failure = self._failure(error)
        raise failure

    def _failure(
        self, error: Exception, which: str = "", note: str = "", statement: str = "", cursor: Any = None
    ) -> DuctError:
        """What to tell the person of an error; the connection is checked before it is used again."""
        if isinstance(error, DuctError):
            return error
        self._life.doubt()
        explained = self._explain(error, statement)
        near = self._near(explained, statement) if cursor is None else ""
        mark = explaining.marked(statement, explained.position)
        said = failures.redact(self, f"{explained.said}{near}{mark}")
        failure = explained.kind(f"{self.name}: {which}{said}{note}")
        failure.__cause__ = failures.cause(self, error)
        failure.undone = note
        if explained.lost and cursor is None:  # that of a sibling is not the session's
            self._life.lose(said)
        return failure

    def _near(self, explained: explaining.Explanation, statement: str) -> str:
        """Names from the catalog that are nearly the one that is not there."""
        session = self._session
        if session is None or session.is_within:  # a look-up of ours that failed
            return ""
        if not (explained.table or explained.column or explained.missing):
            return ""
        try:
            with session.from_within(self._canceller(session), _LOOK_UP):
                return cast("DatabaseClient", self)._near_names(explained, statement)
        except Exception as error:  # the statement's own error is the one to tell
            failures.log(self, "looking for near misses", error)
            return ""

    def _recovered(self, cursor: Any) -> str:
        try:
            note = self._recover(cursor)
        except Exception as error:  # the statement's own error is the one to tell
            failures.log(self, "recovering from a failed statement", error)
            return ""
        if note and cursor is None:
            self._transaction_undone()
        return note

    # The session

    def _call(self, function: Callable[[], _Result]) -> _Result:
        """Call what speaks to the driver by itself, on the session; its errors are for people."""

        def call() -> _Result:
            try:
                return function()
            except Exception as error:
                failure = self._failure(error, note=self._recovered(None))
            raise failure

        with Running(self.name).noted() as running:
            return self._on_session(call, running)

    def _on_session(self, function: Callable[[], _Result], running: Running | None = None) -> _Result:
        running = running or Running(self.name)
        self._calls.append(running)
        token = CURRENT.set(running)
        try:
            while True:
                if self._is_cut():
                    self._life.doubt()
                self.connect()
                self._check_transaction()
                self._tell_what_was_lost()
                session = self._current_session()
                watch = Watch(cast("DatabaseClient", self), running, self._session_handle())
                try:
                    return session.run(function, self._canceller(session), self._life, watch)
                except SessionReplaced:
                    continue
                finally:
                    if session.given_up and session is self._session:
                        self._give_up_session(session, watch.fault)
        finally:
            self._calls.remove(running)
            CURRENT.reset(token)

    def _canceller(self, session: Session) -> Callable[[], None]:
        """The cancel of what runs on a session; it never strikes the one that has taken its place."""
        handle = self._session_handle()

        def cancel() -> None:
            if handle is not None or session is self._session:
                self._cancel(handle)

        return cancel

    def _current_session(self) -> Session:
        session = self._session
        if session is None:
            with self._life.lock:
                if self._session is None:
                    self._session = Session(self.name)
                session = self._session
        return session

    def _give_up_session(self, session: Session, fault: str) -> None:
        """Leave a session whose statement does not end, and say what was lost with it."""
        silent = bool(fault)
        lost = [] if self.SESSION_OUTLIVES_CONNECTION else ["temporary tables and settings"]
        if self._transaction is not None or self._begun is not None:
            lost.append("transaction")
        without = f", without the former's {', and its '.join(lost)}" if lost else ""
        then = f"a new session was opened{without}"
        with shielded():
            try:
                if not fault:
                    self._replace_connection()
                    self._life.replaced()
            except DuctError as error:
                fault, then = str(error), "the next use connects anew"
            finally:
                if fault:
                    self._life.lose(fault)
                self._session = None  # only now: one on the former connection would find it busy
                session.retire()
        if not silent:
            tell(
                f"{self.name}: the statement had not ended when you interrupted again. It goes on being "
                f"cancelled in the background; {then}"
            )

    # Life-cycle

    def _end_session(self) -> None:
        """End the worker thread; a subclass's ``_disconnect`` is called after it."""
        session = self._session
        if session is not None:
            try:
                session.close(self._canceller(session))
            finally:
                self._session = None

    def _before_disconnect(self) -> None:
        if self._life.state == CONNECTED:  # on purpose
            self._stateful = None
        for stream in list(self._streams):
            stream.close()
        self._end_session()

    def _after_fork(self) -> None:
        super()._after_fork()
        self._session = None
        self._forget_transaction()


def _let_go(cursor: Any) -> None:
    """Close a cursor that nobody reads on: while it is open, some drivers go on being interrupted."""
    with contextlib.suppress(Exception):
        cursor.close()
