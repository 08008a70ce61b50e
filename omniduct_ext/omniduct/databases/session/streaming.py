"""Results that are read as they come: streams of rows or pieces, and files."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any, TypeVar

from omniduct.core.lifecycle import CONNECTED
from omniduct.databases.session.progress import CURRENT, Progress, Running, counted
from omniduct.databases.session.running import Session, shielded, tell
from omniduct.databases.session.watching import Watch, asked
from omniduct.databases.statements import Statement
from omniduct.errors import DuctConfigError, DuctConnectionError

if TYPE_CHECKING:
    from omniduct.databases.base import DatabaseClient
    from omniduct.databases.results import Formatter

__all__ = ["Beside", "Stream", "text_of", "write"]

_ROWS_AT_A_TIME = 1000  # fetched by one call of the worker, when rows are asked for one by one

_Result = TypeVar("_Result")


class Beside:
    """A statement that runs beside the session, on a sibling connection where the driver has one.

    Dropping it closes it.

    Parameters
    ----------
    client : DatabaseClient
        The duct; it is connected.
    statement : str
        The text.
    lasting : bool
        Whether it is under way between two calls, too.
    """

    open = False
    _fault = ""  # why the service was taken for dead

    def __init__(self, client: DatabaseClient, statement: str = "", lasting: bool = True) -> None:
        self.client = client.connect()
        self.running = Running(client.name, statement)
        self._closing = threading.Lock()
        with shielded():  # or an interrupt would leave the connection behind
            self.cursor = client._sibling_cursor()
            self._own = None if self.cursor is None else Session(client.name)
            self._counted = lasting or self._own is not None  # the session counts its own calls
            if self._counted:
                client._life.begin_statement(beside=True)
            self.open = True
        client._streams.add(self)
        self._result: Any = None

    def run(
        self, prepared: list[Statement], finish: Callable[[Any], _Result], options: dict[str, Any]
    ) -> _Result:
        """Run statements, and what to do with the last's cursor."""
        if not self.open:
            raise DuctConnectionError(f"{self.client.name}: was disconnected before the statement could run")

        def run() -> _Result:
            self.running.began = True
            return self.client._run_all(prepared, finish, {**options, "cursor": self.cursor})

        return self.call(run)

    def progress(self) -> Progress:
        """How far it is; from any thread."""
        if not self.open:
            return self.running.merged(None)
        if self._own is not None:
            return asked(self.client, self.running, self.cursor)
        if not self.running.began:
            return self.running.merged(Progress(text="waiting"))
        return asked(self.client, self.running, self.client._session_handle())

    def call(self, function: Callable[[], _Result]) -> _Result:
        """Call a function on the worker; an interrupt cancels the statement and ends it for good."""
        try:
            if self._own is None:
                return self.client._on_session(function, self.running)
            return self._call_own(self._own, function)
        except BaseException:
            self.running.failed = True
            self.close()
            raise

    def _call_own(self, session: Session, function: Callable[[], _Result]) -> _Result:
        watch = Watch(self.client, self.running, self.cursor)
        token = CURRENT.set(self.running)
        try:
            return session.run(function, self._cancel, watch=watch)
        finally:
            CURRENT.reset(token)
            self._fault = watch.fault

    def _cancel(self) -> None:
        self.client._cancel(self.cursor)

    def cancel(self) -> None:
        """Cancel what runs, from any thread; if nothing does just now, end it."""
        if not (self.client.cancel() if self._own is None else self._own.cancel(self._cancel)):
            self.close()

    def close(self) -> None:
        """End the statement, and its connection if it has one of its own."""
        if not self.open:
            return
        with shielded():
            if not self._closing.acquire(blocking=False):  # another thread does, by disconnecting
                return
            self.open = False
            try:
                if self._own is not None:
                    self._end(self._own)
                elif self._result is not None and self.client._life.state == CONNECTED:
                    self.client._on_session(self._abandon)
            finally:
                self.running.end()
                if self._counted:
                    self.client._life.end_statement(beside=True)

    def keep(self, cursor: Any) -> Any:
        """Note the session's own cursor, to close it in the end."""
        self._result = cursor if self._own is None else None
        return cursor

    def _abandon(self) -> None:
        cursor, self._result = self._result, None
        with contextlib.suppress(Exception):  # read to its end, or gone with the link
            self.client._cancel(cursor)
            cursor.close()

    def _end(self, session: Session) -> None:
        session.close(self._cancel)
        if session.given_up:  # its cursor is in use, and goes with its thread
            if self._fault:
                self.client._life.doubt()
                return
            tell(
                f"{self.client.name}: the stream's statement had not ended when you interrupted again. "
                "It goes on being cancelled in the background"
            )
            return
        with contextlib.suppress(Exception):  # the link may be gone
            self.cursor.close()

    def __del__(self) -> None:
        self.close()


class Stream(Iterator[Any]):
    """The rows of a result, or pieces of it, fetched as they are asked for.

    Closing it, leaving its ``with`` block or dropping it cancels the statement.
    """

    def __init__(
        self,
        client: DatabaseClient,
        prepared: list[Statement],
        chosen: Formatter,
        batch: int | None,
        options: dict[str, Any],
    ) -> None:
        beside = self._beside = Beside(client, prepared[-1].text)

        def begin(cursor: Any) -> Iterator[Any]:
            if client._cursor_empty(cursor):
                return iter(())
            source = counted(client._source(beside.keep(cursor)))
            return _pieces(chosen.stream(source)) if batch is None else chosen.stream_batches(source, batch)

        pieces = beside.run(prepared, begin, options)
        read = _read(beside, pieces, client._failure_while_reading)
        self._items: Iterator[Any] = chain.from_iterable(read) if batch is None else read

    def __iter__(self) -> Iterator[Any]:
        return self._items

    def __next__(self) -> Any:
        return next(self._items)

    def close(self) -> None:
        """Stop reading, and cancel the statement if it has not ended."""
        self._items = iter(())
        self._beside.close()

    def __repr__(self) -> str:
        beside: Beside | None = self.__dict__.get("_beside")
        if beside is None:
            return "<Stream, not begun>"
        return f"<Stream of {beside.client.name}, {'open' if beside.open else 'closed'}>"

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read(beside: Beside, pieces: Iterator[Any], read: Callable[[Callable[[], Any]], Any]) -> Iterator[Any]:
    """The pieces, fetched as they are asked for; however the reading ends, the statement ends with it."""
    ended = object()
    try:
        while True:
            if not beside.open:
                raise DuctConnectionError(f"{beside.client.name}: was disconnected, which ended the stream")
            piece = beside.call(lambda: read(lambda: next(pieces, ended)))
            if piece is ended:
                return
            yield piece
    finally:
        beside.close()


def _pieces(rows: Iterator[Any]) -> Iterator[list[Any]]:
    while piece := list(islice(rows, _ROWS_AT_A_TIME)):
        yield piece


def write(
    beside: Beside, prepared: list[Statement], chosen: Formatter, file: Any, fs: Any, options: dict[str, Any]
) -> None:
    """Write the result of a statement to a file, which is whole in the end or is not there."""
    client = beside.client

    def write_to(target: IO[bytes]) -> None:
        def finish(cursor: Any) -> None:
            if not client._cursor_empty(cursor):
                chosen.write(counted(client._source(cursor)), target)

        beside.run(prepared, finish, options)

    try:
        with _opened(file, fs) as target:
            write_to(target)
    finally:
        beside.close()


@contextlib.contextmanager
def _opened(file: Any, fs: Any) -> Iterator[IO[bytes]]:
    """The file to write to; one by name gets its name when everything is written."""
    if hasattr(file, "write"):
        yield file
    elif fs is not None:
        with fs.open_atomic(file, "wb") as target:
            yield target
    else:
        # a link stays one, and leads to the new file
        path = os.path.realpath(os.path.expanduser(os.fspath(file)))
        try:
            with _opened_whole(path) if _is_file_or_new(path) else open(path, "wb") as target:
                yield target
        except OSError as error:
            failure = DuctConfigError(f"the result cannot be written to {path!r}: {error.strerror or error}")
        else:
            return
        raise failure


def _is_file_or_new(path: str) -> bool:
    """Whether a path can be renamed over: no pipe, and no device."""
    return os.path.isfile(path) or not os.path.exists(path)


@contextlib.contextmanager
def _opened_whole(path: str) -> Iterator[IO[bytes]]:
    part = f"{path}.{os.urandom(4).hex()}.part"
    try:
        with open(part, "wb") as target:
            yield target
        if os.path.exists(path):
            shutil.copymode(path, part)
        os.replace(part, path)
    except BaseException:
        with shielded(), contextlib.suppress(FileNotFoundError):
            os.remove(part)
        raise


def text_of(file: Any, fs: Any) -> str:
    """The text of a file: one by name, on a filesystem if one is given, or one that is open."""
    if hasattr(file, "read"):
        text = file.read()
        return str(text, "utf-8") if isinstance(text, bytes) else str(text)
    if fs is not None:
        with fs.open(file, "rt") as opened:
            return str(opened.read())
    try:
        with open(os.path.expanduser(file), encoding="utf-8") as opened:
            return opened.read()
    except (OSError, UnicodeDecodeError) as error:
        failure = DuctConfigError(f"the statements cannot be read from {os.fspath(file)!r}: {error}")
    raise failure
