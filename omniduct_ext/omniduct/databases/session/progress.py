"""How far a statement is, and the line that says so."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from omniduct.databases.session.running import check_wanted

if TYPE_CHECKING:
    from omniduct.databases.arrow.cursors import DBAPICursor

__all__ = [
    "CHANGES",
    "CURRENT",
    "Progress",
    "Running",
    "counted",
    "counts",
    "duration",
    "link_of",
    "logged",
    "note_changes",
    "shown",
]

logger = logging.getLogger("omniduct")

_CHANGES_ROWS = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|REPLACE|COPY)\b", re.IGNORECASE)

_BAR = 60  # columns, at most
_LEAST_BAR = 30  # below this a percentage says as much
_URL = re.compile(r"https?://[!-~]+")


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
    link : str
        The statement's page in the service's own web UI.
    """

    fraction: float | None = None
    rows: int | None = None
    bytes: int | None = None
    text: str = ""
    link: str = ""


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
    failed : bool
        Whether an exception has ended it.
    log : object, optional
        What tells the log of it, from one piece of a stream to the next.
    logged : bool
        Whether the log has heard of it, and so is to hear of its end.
    """

    def __init__(self, name: str, statement: str = "") -> None:
        self.name = name
        self.statement = statement
        self.started = time.monotonic()
        self.rows: int | None = None
        self.bytes: int | None = None
        self.began = False
        self.unwanted = False
        self.failed = False
        self.log: Any = None
        self.logged = False
        self._ended: float | None = None
        self._first: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since it was called; until its end, once it has ended."""
        return (self._ended or time.monotonic()) - self.started

    @contextlib.contextmanager
    def noted(self) -> Iterator[Running]:
        """Within this it is under way."""
        try:
            yield self
        except BaseException:
            self.failed = True
            raise
        finally:
            self.end()

    def end(self) -> None:
        """Note the end, if it is not noted yet."""
        if self._ended is not None:
            return
        self._ended = time.monotonic()
        if self.logged:
            how = "failed" if self.failed else "finished"
            logger.info("%s: %s after %s", self.name, how, duration(self.elapsed))

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
        return replace(said, rows=rows, bytes=size)

    def worth_a_bar(self, progress: Progress) -> Progress:
        """The same without a fraction that says nothing: one that has not moved since it was first said."""
        if self._first is None:
            self._first = progress.fraction
        fraction = progress.fraction or 0
        return progress if 0 < fraction != self._first else replace(progress, fraction=None)


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


def logged(name: str, progress: Progress, seconds: float) -> str:
    """The line for a log.

    >>> logged("pg", Progress(rows=1_200_000, text="RUNNING", link="http://pg/ui"), 12.0)
    'pg: RUNNING, 1.20M rows [00:12] http://pg/ui'
    """
    line = f"{name}: {counts(progress) or 'running'} [{_interval(seconds)}]"
    return f"{line} {link_of(progress)}".rstrip()


def link_of(progress: Progress) -> str:
    """The link, if it is one that a person can follow; a service may send anything.

    >>> link_of(Progress(link="http://trino/ui/?20261123")), link_of(Progress(link="javascript:alert(1)"))
    ('http://trino/ui/?20261123', '')
    """
    return progress.link if _URL.fullmatch(progress.link) else ""


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
