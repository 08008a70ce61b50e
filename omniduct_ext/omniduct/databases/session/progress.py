"""How far a statement is, and the line that says so once it takes more than a second."""

from __future__ import annotations

import contextvars
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from omniduct.databases.session.running import check_wanted

if TYPE_CHECKING:
    from omniduct.databases.arrow.cursors import DBAPICursor

__all__ = [
    "CHANGES",
    "CURRENT",
    "Line",
    "Progress",
    "Running",
    "Showing",
    "counted",
    "counts",
    "duration",
    "note_changes",
    "shown",
]

logger = logging.getLogger("omniduct")

_CHANGES_ROWS = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|REPLACE|COPY)\b", re.IGNORECASE)

SHOWN_AFTER = 1.0
"""Seconds after which a statement shows its progress."""

_BAR = 60  # columns, at most
_LEAST_BAR = 30  # below this a percentage says as much


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

    Attributes
    ----------
    rows, bytes : int, optional
        Of the result, so far.
    began : bool
        Whether its turn has come.
    unwanted : bool
        Set from another thread, to have it cancelled by who waits for it.
    """

    def __init__(self, name: str, statement: str = "") -> None:
        self.name = name
        self.statement = statement
        self.started = time.monotonic()
        self.rows: int | None = None
        self.bytes: int | None = None
        self.began = False
        self.unwanted = False
        self._ended: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since it was called; until its end, once it has ended."""
        return (self._ended or time.monotonic()) - self.started

    def end(self) -> None:
        """Note the end."""
        self._ended = time.monotonic()

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


CHANGES: contextvars.ContextVar[list[int] | None] = contextvars.ContextVar("omniduct_changes", default=None)
"""Where the rows that a statement changed are noted, for who shows them."""


def note_changes(rows: int | None) -> None:
    """Note how many rows a statement without a result has changed; -1 where nobody knows."""
    noted, running = CHANGES.get(), CURRENT.get()
    if noted is None or running is None or rows is None or rows < 0:
        return
    if _CHANGES_ROWS.search(running.statement):  # of any other statement some drivers say 0
        noted.append(rows)


def counted(source: Any) -> Any:
    """A source whose rows are counted for the current call as they are read."""
    import pyarrow as pa

    from omniduct.databases.arrow.cursors import Varying

    running = CURRENT.get()
    if running is None:
        return source
    if isinstance(source, pa.RecordBatchReader):
        return pa.RecordBatchReader.from_batches(source.schema, _counted_batches(source, running))
    if isinstance(source, pa.Table):
        running.add(source.num_rows)
        return source
    if isinstance(source, Varying):
        return Varying(source.names, _counted_batches(source.tables, running))
    return _CountedCursor(source, running) if hasattr(source, "fetchmany") else source


def _counted_batches(batches: Iterable[Any], running: Running) -> Iterator[Any]:
    for batch in batches:
        check_wanted()
        running.add(batch.num_rows, batch.nbytes)
        yield batch


class _CountedCursor:
    """A DB-API cursor that counts what is fetched."""

    def __init__(self, cursor: DBAPICursor, running: Running) -> None:
        self._cursor = cursor
        self._running = running
        self.arrow_types = getattr(cursor, "arrow_types", None)

    @property
    def description(self) -> Any:
        return self._cursor.description

    def fetchmany(self, size: int) -> Any:
        check_wanted()
        rows = self._cursor.fetchmany(size)
        self._running.add(len(rows))
        return rows

    def fetchall(self) -> Any:
        fetched: list[Any] = []
        while rows := self.fetchmany(10_000):
            fetched.extend(rows)
        return fetched


def shown(name: str, progress: Progress, seconds: float, width: int = 100, ascii: bool = False) -> str:
    """The line, without an end: by tqdm, as everybody knows it.

    Parameters
    ----------
    width : int
        The most columns that it may take.
    ascii : bool
        Whether the bar has to do without blocks.

    Examples
    --------
    >>> shown("pg", Progress(rows=1_200_000, bytes=85_000_000), 12.0)
    'pg: 1.20M rows, 85.0MB [00:12, 100k rows/s]'
    >>> shown("pg", Progress(fraction=0.25, rows=1200), 12.0, width=50, ascii=True)
    'pg: 1.20k rows  25%|###7           | [00:12<00:36]'
    """
    from tqdm.utils import disp_len, disp_trim

    said = counts(replace(progress, fraction=None))
    if progress.fraction is None:
        end = f"[{_interval(seconds)}{_rate(progress.rows, seconds)}]"
        return str(disp_trim(f"{name}: {said or 'running'} {end}", width))
    line = f"{name}: {said} " if said else f"{name}: "
    return str(
        disp_trim(line + _bar(progress.fraction, seconds, min(width - disp_len(line), _BAR), ascii), width)
    )


def counts(progress: Progress) -> str:
    """How far a statement is, in words.

    >>> counts(Progress(fraction=0.456, rows=1_200_000, bytes=85_000_000, text="RUNNING"))
    'RUNNING, 45%, 1.20M rows, 85.0MB'
    """
    said = [
        progress.text,
        "" if progress.fraction is None else f"{_percent(progress.fraction)}%",
        "" if progress.rows is None else f"{_sized(progress.rows)} row{'' if progress.rows == 1 else 's'}",
        "" if progress.bytes is None else f"{_sized(progress.bytes)}B",
    ]
    return ", ".join(filter(None, said))


def duration(seconds: float) -> str:
    """A time, as it is said.

    >>> duration(0.3123), duration(12.3), duration(754)
    ('0.31 s', '12 s', '12:34')
    """
    if seconds >= 60:
        return _interval(seconds)
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _percent(fraction: float) -> int:
    """Never 100: what is over shows no progress any more."""
    return min(max(int(100 * fraction), 0), 99)


def _bar(fraction: float, seconds: float, width: int, ascii: bool) -> str:
    from tqdm import tqdm

    if width < _LEAST_BAR:
        return f"{_percent(fraction)}%"
    form = "{percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"
    return str(tqdm.format_meter(_percent(fraction), 100, seconds, ncols=width, bar_format=form, ascii=ascii))


def _interval(seconds: float) -> str:
    from tqdm import tqdm

    return str(tqdm.format_interval(seconds))


def _rate(rows: int | None, seconds: float) -> str:
    return f", {_sized(rows / seconds)} rows/s" if rows and seconds else ""


def _sized(count: float) -> str:
    from tqdm import tqdm

    return str(tqdm.format_sizeof(count)) if count >= 1000 else f"{count:.0f}"


class Line(Protocol):
    """Where a line of progress is shown: it is written over, and goes away in the end."""

    ascii: bool

    @property
    def width(self) -> int:
        """The columns that it has."""

    def show(self, text: str) -> None:
        """Show this instead."""

    def close(self) -> None:
        """Take the line away."""


class _TerminalLine:
    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._taken = 0
        self.ascii = "utf" not in (terminal.encoding or "").lower()

    @property
    def width(self) -> int:
        """One column less than there are: in the last one some terminals go to the next line."""
        try:
            columns = os.get_terminal_size(self._terminal.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return (columns or 80) - 1

    def show(self, text: str) -> None:
        from tqdm.utils import disp_len

        taken, width = self._taken, disp_len(text)
        self._taken = width
        self._write(text + " " * (min(taken, self.width) - width))

    def close(self) -> None:
        self._write(" " * min(self._taken, self.width))
        self._write("")

    def _write(self, text: str) -> None:
        encoding = self._terminal.encoding or "ascii"
        self._terminal.write("\r" + text.encode(encoding, "replace").decode(encoding))
        self._terminal.flush()


def _new_line() -> Line | None:
    """A line where the person can see it; None where nobody looks: a script's output, a log."""
    if "IPython" in sys.modules:
        from omniduct.ipython.progress import notebook_line

        line = notebook_line()
        if line is not None:
            return line
    terminal = sys.stderr
    return _TerminalLine(terminal) if terminal is not None and terminal.isatty() else None


class Showing:
    """The line of one call: there once it has taken a second, and gone in the end.

    It is the main thread's: in others it shows nothing.

    Parameters
    ----------
    running : Running
        The call.
    ask : callable
        Gives how far it is.
    wanted : bool
        Whether to show anything.
    """

    def __init__(self, running: Running, ask: Callable[[], Progress], wanted: bool = True) -> None:
        self._running = running
        self._ask = ask
        self._wanted = wanted and threading.current_thread() is threading.main_thread()
        self._line: Line | None = None
        self._from = time.monotonic() + SHOWN_AFTER

    def look(self) -> None:
        """Show how far it is now, if it is time to; who waits calls this some times a second."""
        if not self._wanted or time.monotonic() < self._from:
            return
        try:
            self._line = self._line or _new_line()
            self._wanted = self._line is not None
            if self._line is not None:
                self._show(self._line)
        except Exception:  # the line is an extra
            self._wanted = False
            logger.debug("%s: showing progress", self._running.name, exc_info=True)

    def _show(self, line: Line) -> None:
        running = self._running
        line.show(shown(running.name, self._ask(), running.elapsed, line.width, line.ascii))

    def close(self) -> None:
        """Take the line away."""
        line, self._line = self._line, None
        if line is not None:
            try:
                line.close()
            except Exception:
                logger.debug("%s: taking the progress away", self._running.name, exc_info=True)
