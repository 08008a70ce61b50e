"""One connection of a driver under SQLAlchemy: the session's, or one beside it."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from omniduct.core import cleanup

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from omniduct.core.sockets import Wire

__all__ = ["BufferedCursor", "Link"]

_PATIENCE = 1.0  # seconds for a thread to leave a connection whose socket was shut
_RAISE = 3  # Firebird's word for: cancel what runs
_DEAF = 5.0  # seconds after which a cancel that Firebird has not heard will not be heard


class Link:
    """A connection, and what must be known to cancel it, to look at it and to close it from elsewhere.

    Attributes
    ----------
    connection : sqlalchemy.Connection
        For what SQLAlchemy does on it.
    wire : Wire
        Its socket, if that was found.
    dbapi, driver : object
        The DB-API connection as SQLAlchemy has it, and the driver's own.
    running : object
        The cursor of the latest statement.
    beside : bool
        Whether it is a sibling, for one statement whose rows are read as they come.
    begun : bool
        Whether it was taken out of autocommit, for a transaction.
    had_begun : bool
        Whether a transaction was open when the latest statement began.
    number : int
        By which the service knows it, where a driver says that.
    autocommits : bool
        Whether it can be in autocommit at all.
    is_told : bool
        Whether the driver has to be told to autocommit, and to leave that.
    """

    def __init__(self, connection: Connection, wire: Wire, beside: bool = False) -> None:
        self.connection = connection
        self.wire = wire
        self.dbapi: Any = connection.connection.dbapi_connection
        self.driver: Any = connection.connection.driver_connection
        self.running: Any = None
        self.beside = beside
        self.begun = False
        self.had_begun = False
        self.number = 0
        self.autocommits = True
        self.is_told = True
        self._inside = 0
        self._cancelled: tuple[Any, float] = (None, 0.0)  # what, and since when
        self._is_ours = True
        _links.add(self)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Within this a thread may be waiting for the service."""
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    def interrupt(self) -> None:
        """Cancel what runs, by whatever its driver has for that."""
        attachment = getattr(self.driver, "_att", None)  # Firebird's
        if attachment is not None:
            self._interrupt_firebird(attachment)
            return
        for thing in (self.driver, self.running):
            for name in ("interrupt", "cancel_safe", "cancel"):
                if callable(method := getattr(thing, name, None)):
                    method()
                    return
        query = getattr(self.running, "sfqid", None)  # Snowflake's
        if query:
            self.running.abort_query(query)

    def _interrupt_firebird(self, attachment: Any) -> None:
        """Cancel, or cut the connection: a cancel that is sent beside a fetch may leave both stuck."""
        now = time.monotonic()
        what, since = self._cancelled
        if what is not self.running:
            self._cancelled = (self.running, now)
        elif now - since > _DEAF:
            self.wire.sever()
            return
        attachment.cancel_operation(_RAISE)

    def commit(self) -> None:
        """Commit what is open."""
        self.connection.dialect.do_commit(self.dbapi)

    def rollback(self) -> None:
        """Take back what is open."""
        self.connection.dialect.do_rollback(self.dbapi)

    def in_transaction(self) -> bool | None:
        """Whether a transaction is open; None if that does not show."""
        if self.begun or not self.autocommits:
            return self.begun
        status = getattr(getattr(self.driver, "info", None), "transaction_status", None)  # psycopg
        if status is not None:
            return int(status) != 0
        status = getattr(self.driver, "server_status", None)  # pymysql
        if isinstance(status, int):
            return bool(status & 1)
        for name in ("in_transaction", "transaction_in_progress"):  # sqlite3, oracledb
            if isinstance(found := getattr(self.driver, name, None), bool):
                return found
        return None

    def is_aborted(self) -> bool:
        """Whether a failed statement has made its transaction useless, as PostgreSQL does."""
        status = getattr(getattr(self.driver, "info", None), "transaction_status", None)
        return status is not None and int(status) == 3

    def is_cut(self) -> bool:
        """Whether the far side has closed it, as far as that shows."""
        return not self._inside and self.wire.stirs()

    def forget(self) -> None:
        """Leave it to the process that this one was forked from."""
        self._is_ours = False
        cleanup.keep_for_ever(dict(vars(self)))

    def close(self) -> None:
        """Close it without a word to the service; one that a thread is inside of is severed first."""
        if not self._is_ours:
            return
        if self._inside:
            self.wire.sever()
            deadline = time.monotonic() + _PATIENCE
            while self._inside and time.monotonic() < deadline:
                time.sleep(0.005)
            if self._inside:  # it goes with its thread
                return
        self._drop_rows()
        if not self.connection.closed:
            self._hang_up()
        self.wire.close()

    def _hang_up(self) -> None:
        """Have SQLAlchemy close it, within a while: some drivers await the service's goodbye."""
        dialect: Any = self.connection.dialect
        if not hasattr(self.dbapi, "terminate"):  # as Firebird's, of which its dialect thinks it has
            dialect.do_terminate = _end
        impatient = threading.Timer(_PATIENCE, self.wire.sever)
        with contextlib.suppress(RuntimeError):  # Python is too near its end
            impatient.start()
        try:
            self.connection.invalidate()
            self.connection.close()
        finally:
            impatient.cancel()

    def _drop_rows(self) -> None:
        """Leave the rows that were not fetched: pymysql would read them to the last, and others free them."""
        running, self.running = self.running, None
        result: Any = getattr(running, "_result", None)
        if getattr(result, "unbuffered_active", False):
            result.unbuffered_active = False
            result.connection = running.connection = None
        statement: Any = getattr(running, "_stmt", None)  # Firebird's
        if statement is not None:
            try:
                running.close()
            except Exception:
                _let_go(statement)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()


_links: weakref.WeakSet[Link] = weakref.WeakSet()


def _in_forked_child() -> None:
    """The connections belong to the parent: never let them be closed from here."""
    for link in list(_links):
        link.forget()
    # Firebird's library would wait for seconds, or crash, if it ended what only the parent has.
    ending = getattr(sys.modules.get("firebird.driver.core"), "_api_shutdown", None)
    if ending is not None:
        atexit.unregister(ending)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)


@contextlib.contextmanager
def closed_on_failure(cursor: Any) -> Iterator[None]:
    """Close a cursor whose statement fails.

    A collector of garbage would do so at any moment and in any thread: Firebird's driver is then in the
    middle of another call, whose error it takes for one of its own.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):
            cursor.close()
        raise


def _end(dbapi: Any) -> None:
    """Close a connection, whatever has become of it."""
    statements = [reference() for reference in getattr(dbapi, "_statements", ())]  # Firebird's
    with contextlib.suppress(Exception):
        dbapi.close()
    for statement in filter(None, statements):
        _let_go(statement)


def _let_go(statement: Any) -> None:
    """Have Firebird's driver not free a statement that went with its connection.

    It would fail, and say so on the screen, whenever a collector of garbage comes by.
    """
    statement._istmt = statement._in_meta = statement._out_meta = None


class BufferedCursor:
    """A DB-API cursor whose rows have all been fetched; all else is the driver's.

    Parameters
    ----------
    cursor : object
        The driver's cursor.
    """

    def __init__(self, cursor: Any) -> None:
        self.driver_cursor = cursor
        self.description = cursor.description
        self.arraysize = 1
        self._rows: list[Any] = list(cursor.fetchall()) if cursor.description else []
        self.rowcount: int = len(self._rows) if cursor.description else cursor.rowcount
        self._next = 0

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """At most `size` rows (else `arraysize`)."""
        start = self._next
        self._next = min(len(self._rows), start + (self.arraysize if size is None else size))
        return self._rows[start : self._next]

    def fetchone(self) -> Any:
        """The next row; None after the last."""
        return next(iter(self.fetchmany(1)), None)

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        return self.fetchmany(len(self._rows))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchone, None)

    def close(self) -> None:
        """Let go of the rows."""
        self._rows = []
        self._next = 0
        self.driver_cursor.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["driver_cursor"], name)
