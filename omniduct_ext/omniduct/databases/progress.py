"""How far a statement is, and the line that says so once it takes more than a second."""

from __future__ import annotations

import contextvars
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from omniduct.databases.cursors import DBAPICursor

__all__ = ["CURRENT", "Line", "Progress", "Running", "counted", "new_line"]

SHOWN_AFTER = 1.0
"""Seconds after which a statement shows its progress."""


@dataclass(frozen=True)
class Progress:
    """How far a statement is, as far as the service says; what it does not say is None.

    Parameters
    ----------
    fraction : float, optional
        From 0 to 1.
    rows, bytes : int, optional
        So far.
    text : str
        Anything else, as the state that the service calls it.
    """

    fraction: float | None = None
    rows: int | None = None
    bytes: int | None = None
    text: str = ""


class Running:
    """One call that is under way: its statement, when it began, and what of its result has come.

    Parameters
    ----------
    name : str
        Of the duct.
    statement : str
        The text of the statement that runs.
    """

    def __init__(self, name: str, statement: str = "") -> None:
        self.name = name
        self.statement = statement
        self.started = time.monotonic()
        self.rows: int | None = None
        self.bytes: int | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started

    def add(self, rows: int, size: int | None = None) -> None:
        """Count rows, and their bytes, of the result."""
        self.rows = (self.rows or 0) + rows
        if size is not None:
            self.bytes = (self.bytes or 0) + size

    def merged(self, said: Progress | None) -> Progress:
        """What the service says, and what was counted here for what it does not say."""
        said = said or Progress()
        rows = said.rows if said.rows is not None else self.rows
        size = said.bytes if said.bytes is not None else self.bytes
        return Progress(said.fraction, rows, size, said.text)


CURRENT: contextvars.ContextVar[Running | None] = contextvars.ContextVar("omniduct_running", default=None)
"""The call on whose behalf the code runs."""


def counted(source: Any) -> Any:
    """A source whose rows are counted for the current call as they are read."""
    import pyarrow as pa

    running = CURRENT.get()
    if running is None:
        return source
    if isinstance(source, pa.RecordBatchReader):
        return pa.RecordBatchReader.from_batches(source.schema, _counted_batches(source, running))
    return _CountedCursor(source, running) if hasattr(source, "fetchmany") else source


def _counted_batches(reader: pa.RecordBatchReader, running: Running) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        running.add(batch.num_rows, batch.nbytes)
        yield batch


class _CountedCursor:
    """A DB-API cursor that counts what is fetched."""

    def __init__(self, cursor: DBAPICursor, running: Running) -> None:
        self._cursor = cursor
        self._running = running

    @property
    def description(self) -> Any:
        return self._cursor.description

    def fetchmany(self, size: int) -> Any:
        rows = self._cursor.fetchmany(size)
        self._running.add(len(rows))
        return rows

    def fetchall(self) -> Any:
        fetched: list[Any] = []
        while rows := self.fetchmany(10_000):
            fetched.extend(rows)
        return fetched


def shown(name: str, progress: Progress, seconds: float) -> str:
    """The line, without an end: by tqdm, as everybody knows it.

    >>> shown("pg", Progress(rows=1_200_000, bytes=85_000_000), 12.0)
    'pg: 1.20M rows, 85.0MB [00:12, 100k rows/s]'
    """
    from tqdm import tqdm

    if progress.fraction is not None:
        done = round(100 * min(max(progress.fraction, 0.0), 1.0))
        bar = tqdm.format_meter(
            done, 100, seconds, ncols=60, bar_format="{percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"
        )
    else:
        bar = f"[{tqdm.format_interval(seconds)}{_rate(progress.rows, seconds)}]"
    counts = [
        *([] if progress.rows is None else [f"{_sized(progress.rows)} rows"]),
        *([] if progress.bytes is None else [f"{_sized(progress.bytes)}B"]),
    ]
    said = ", ".join([*([progress.text] if progress.text else []), *counts]) or "running"
    return f"{name}: {said} {bar}"


def _rate(rows: int | None, seconds: float) -> str:
    return f", {_sized(rows / seconds)} rows/s" if rows and seconds else ""


def _sized(count: float) -> str:
    from tqdm import tqdm

    return tqdm.format_sizeof(count) if count >= 1000 else f"{count:.0f}"


class Line(Protocol):
    """Where a line of progress is shown: it is written over, and goes away in the end."""

    def show(self, text: str) -> None:
        """Show this instead."""

    def close(self) -> None:
        """Take the line away."""


class _TerminalLine:
    def __init__(self) -> None:
        self._width = 0

    def show(self, text: str) -> None:
        sys.stderr.write(f"\r{text.ljust(self._width)}")
        sys.stderr.flush()
        self._width = max(self._width, len(text))

    def close(self) -> None:
        sys.stderr.write(f"\r{' ' * self._width}\r")
        sys.stderr.flush()


def new_line() -> Line | None:
    """A line where the person can see it; None where nobody looks: a script's output, a log."""
    if "IPython" in sys.modules:
        from omniduct.ipython.progress import notebook_line

        line = notebook_line()
        if line is not None:
            return line
    return _TerminalLine() if sys.stderr is not None and sys.stderr.isatty() else None
