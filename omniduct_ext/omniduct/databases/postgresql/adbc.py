"""A connection of an ADBC driver, that any thread may cancel, sever or close, whatever hangs on it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from omniduct.core import sockets

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Link"]

_Result = TypeVar("_Result")

_CANCEL_WAITS = 0.5  # seconds: a driver's cancel asks the service, which may be silent
_CLOSE_WAITS = 1.0  # seconds that a severed call has to end


def _aside(function: Callable[[], _Result]) -> _Result:
    """Call what calls the driver, never in the main thread.

    There the driver takes SIGINT for its own while a call lasts, and an interrupt may be lost with it; its
    handler may even stay.
    """
    if threading.current_thread() is not threading.main_thread():
        return function()
    with ThreadPoolExecutor(1, "omniduct calls a driver") as pool:
        return pool.submit(function).result()


class Link:
    """One connection, and the reader that is open on it.

    Parameters
    ----------
    connect : callable
        Makes the ADBC connection (of `adbc_driver_manager.dbapi`).
    port : int, optional
        The port that it connects to, by which its socket is found.
    """

    def __init__(self, connect: Callable[[], Any], port: int | None) -> None:
        self._connection, self._wire = sockets.connected(connect, port)
        self._busy = threading.Lock()
        self._cursor: Any = None
        self._reader: pa.RecordBatchReader | None = None
        self._unread = False
        self._cancelling: threading.Thread | None = None
        self._ended = False

    # Statements. One at a time: the next one ends the one before.

    def cursor(self) -> Any:
        """A new cursor of the driver; what was being read is given up."""
        self.finish()
        with self._busy:
            self._cursor = self._connection.cursor()
            self._unread = False
            return self._cursor

    def finish(self) -> None:
        """Let go of the statement before; one that is not read to its end is cancelled first."""
        if self._cursor is not None:
            with self._busy:
                self._let_go()

    def _let_go(self) -> None:
        cursor, self._cursor = self._cursor, None
        reader, self._reader = self._reader, None
        with contextlib.suppress(Exception):  # of the statement, which has been told of
            if self._unread:
                self._connection.adbc_cancel()  # else the driver reads on to the end by itself
            if reader is not None:
                reader.close()  # it would keep the connection open
        with contextlib.suppress(Exception):
            if cursor is not None:
                cursor.close()

    def read(self, reader: pa.RecordBatchReader) -> Any:
        """The next batch of the open result; None after the last."""
        with self._busy:
            batch = _aside(lambda: next(reader, None))
            if batch is None:
                self._unread = False
            return batch

    def begin_reading(self) -> pa.RecordBatchReader:
        """The result of the statement that was executed on the cursor."""
        self._unread = True
        self._reader = _aside(self._cursor.fetch_record_batch)
        return self._reader

    def call(self, function: Callable[[], Any]) -> Any:
        """Call the driver."""
        with self._busy:
            return _aside(function)

    def option(self, name: str) -> str:
        """What the driver knows of the connection."""
        return str(self._connection.adbc_connection.get_option(name))

    # From any thread

    def cancel(self) -> None:
        """Cancel what runs, without waiting for a service that is silent."""
        if self._cancelling is not None and self._cancelling.is_alive():
            return
        thread = threading.Thread(target=self._cancel, name="omniduct cancels", daemon=True)
        self._cancelling = thread
        thread.start()
        thread.join(_CANCEL_WAITS)

    def _cancel(self) -> None:
        if not self._ended:
            with contextlib.suppress(Exception):  # said again until the statement has ended
                self._connection.adbc_cancel()

    def stirs(self) -> bool:
        """Whether the far side may have closed the connection; it has not while a statement runs."""
        held = False
        try:  # the person may interrupt anywhere in here
            held = self._busy.acquire(blocking=False)
            return held and not self._unread and self._wire.stirs()
        finally:
            if held:
                self._busy.release()

    def close(self) -> None:
        """Close the connection. A call that hangs on it gets an error, and closes it when it ends."""
        if self._busy.acquire(timeout=0.05):
            self._end()
            return
        self._wire.sever()
        if self._busy.acquire(timeout=_CLOSE_WAITS):
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._let_go()
        with contextlib.suppress(Exception):  # the link may be gone
            self._connection.close()
        self._wire.close()
        self._busy.release()

    def __del__(self) -> None:
        if hasattr(self, "_busy") and not self._ended:
            self.close()
