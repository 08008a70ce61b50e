"""One statement on a coordinator: sent, followed page by page, cancelled, kept alive."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from omniduct.core import cleanup
from omniduct.databases.presto import heartbeat
from omniduct.databases.presto.ahead import Ahead
from omniduct.databases.presto.pages import parted, rows_within
from omniduct.databases.presto.segments import Segment, segments_of
from omniduct.databases.session.progress import Progress
from omniduct.databases.session.running import check_wanted, tell
from omniduct.errors import DuctStatementError

if TYPE_CHECKING:
    import requests

    from omniduct.databases.presto.link import Link

__all__ = ["Query", "Rows"]

Rows: TypeAlias = bytes | Segment
"""Rows as JSON, or packed."""

_BIG = 1 << 16  # bytes of a page from which on the next is fetched meanwhile
_CANCEL_WAITS = 0.5  # seconds: the coordinator may be silent


class Query:
    """A statement under way.

    Parameters
    ----------
    link : Link
        The session.
    text : str
        The statement, as the person knows it.
    sent : str
        As it is sent.
    headers : dict of str, optional
        Further headers of the request that sends it.

    Attributes
    ----------
    owner : str
        The name of the duct.
    id, info_uri : str
        The server's name of it, and its page in the server's web UI.
    stats : dict
        What the server said last of how far it is.
    columns : list of dict
        The columns of its result, as the server describes them; None before it does.
    update_type : str
        What it does, for one without a result of rows: ``CREATE TABLE``.
    update_count : int
        The rows that it changed.
    """

    def __init__(self, link: Link, text: str, sent: str, headers: dict[str, str] | None = None) -> None:
        self.text = text
        self.sent = sent
        self.owner = link.name
        self.id = ""
        self.info_uri = ""
        self.stats: dict[str, Any] = {}
        self.columns: list[dict[str, Any]] | None = None
        self.update_type: str | None = None
        self.update_count: int | None = None
        self.unwanted = threading.Event()
        self.contact = time.monotonic()
        self.last_uri: str | None = None
        self.next_uri: str | None = None
        self._link = link
        self._process = os.getpid()
        self._closed = False
        self._headers = headers
        self._held: list[Iterator[Rows]] = []  # rows that came with the columns
        self._fetching = threading.Lock()
        self._beating = threading.Lock()
        self._warnings: dict[str, bool] = {}  # what the server warns of, and whether that was told
        self._cancelling: threading.Thread | None = None
        self._ahead: Ahead | None = None

    @property
    def is_over(self) -> bool:
        """Whether the server has nothing more to say of it."""
        return bool(self.id) and self.next_uri is None

    def begin(self) -> None:
        """Send it, and follow it until its columns are known, or, if it has none, to its end."""
        self._held.append(self._take(self._link.send(self, self._headers)))
        while not self.is_over and (self.columns is None or self.update_type is not None):
            self._held.append(self._fetch())
        self._tell_warnings()

    def rows(self) -> Iterator[Rows]:
        """The rows, by page or segment; while one that is big is read, the next is fetched."""
        pages = self._pages()
        for rows in pages:
            if len(rows) > _BIG:
                self._ahead = Ahead(pages)
                yield rows
                yield from self._ahead
                self.check()
                break
            yield rows
        self._tell_warnings()

    def _tell_warnings(self) -> None:
        """Tell what the server warns of, once; in the thread of who reads."""
        for said, is_told in list(self._warnings.items()):
            if not is_told:
                self._warnings[said] = True
                tell(f"{self.owner}: the server warns: {said}")

    def _pages(self) -> Iterator[Rows]:
        while self._held:
            yield from self._held.pop(0)
        while not self.is_over:
            check_wanted()
            yield from self._fetch()

    def _fetch(self) -> Iterator[Rows]:
        """The rows of the next page; of one that is spooled, segment by segment."""
        uri = self.next_uri
        assert uri is not None
        self.check()
        with self._fetching:
            try:
                response = self._link.get(self, uri)
            except Exception as error:
                vars(error).update(statement=self.text)  # which is not known where a result is read
                raise
            self.last_uri = uri
            found = self._take(response)
        return found

    def _take(self, response: requests.Response) -> Iterator[Rows]:
        """Note what a response says; give its rows."""
        self.contact = time.monotonic()
        rest, rows = parted(response.content)
        try:
            status = self._link.process(response, rest)
        except BaseException as error:
            if hasattr(error, "error_name"):  # else it was somebody in between, and the query goes on
                self.next_uri = None
            # for who says what it means: see `errors.of_statement`
            vars(error).update(info_uri=self.info_uri, sent=self.sent)
            raise
        self.id, self.info_uri, self.stats = status.id, status.info_uri, status.stats
        self.columns = status.columns or self.columns
        self.update_type, self.update_count = status.update_type, status.update_count
        self.next_uri = status.next_uri
        for said in filter(None, map(_warning, status.warnings or ())):
            self._warnings.setdefault(said, False)
        if self.unwanted.is_set():  # the cancel came before there was anything to cancel
            self._delete()
        self.check()
        return iter((rows,)) if rows is not None else self._rows_of(status.rows, response.content)

    def _rows_of(self, data: Any, body: bytes) -> Iterator[Rows]:
        """The rows of a response in which they are not found at once: `data`, as it says."""
        if not data:
            return iter(())
        if isinstance(data, dict) and {"encoding", "segments"} <= data.keys():
            return segments_of(data, self._link, self)
        if isinstance(data, list) and all(isinstance(row, list) for row in data):
            return iter((rows_within(body),))
        raise DuctStatementError(
            f"{self.owner}: the server sends rows in a form that is not known here ({_form(data)}), so the "
            "result cannot be read. Is there a gateway before it that changes answers?"
        )

    def check(self) -> None:
        """Complain if it was cancelled.

        Raises
        ------
        DuctStatementError
            It was.
        """
        if self.unwanted.is_set():
            raise DuctStatementError(f"{self._link.name}: the statement was cancelled")

    def progress(self) -> Progress:
        """How far it is, as the server said last."""
        stats = self.stats
        total, done = int(stats.get("totalSplits", 0)), int(stats.get("completedSplits", 0))
        state = str(stats.get("state", "") or "SENT")
        return Progress(
            fraction=done / total if total and state == "RUNNING" else None,
            rows=stats.get("processedRows"),
            bytes=stats.get("processedBytes"),
            text=f"{state}, {done} of {total} splits" if total else state,
            link=self.info_uri,
        )

    # From any thread

    def cancel(self) -> None:
        """Cancel it, without waiting long for a coordinator that is silent."""
        self.unwanted.set()
        thread = self._cancelling
        if self.next_uri is None or (thread is not None and thread.is_alive()):
            return
        thread = threading.Thread(target=self._delete, name="omniduct cancels", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # Python is too near its end
            self._delete()
        else:
            self._cancelling = thread
            thread.join(_CANCEL_WAITS)

    def _delete(self) -> None:
        uri = self.next_uri
        if uri is not None:
            with contextlib.suppress(Exception):  # said again until the statement has ended
                self._link.delete(uri)

    def close(self) -> None:
        """Cancel it if it has not ended; not in a forked child, as it is the parent's."""
        was_closed, self._closed = self._closed, True
        if not was_closed and not self.is_over and self.id and self._process == os.getpid():
            self.cancel()
        if self._ahead is not None:
            self.unwanted.set()  # it may wait for a segment
            self._ahead.close()

    def is_due(self, every: float) -> bool:
        """Whether it was not asked after for so many seconds, and nobody is at it."""
        busy = self._fetching.locked() or self._beating.locked()
        return not busy and time.monotonic() - self.contact > every

    def keep_alive(self) -> None:
        """Let the server know that somebody will read on; whoever does meanwhile need not wait."""
        if self.is_over or self.unwanted.is_set() or not self._beating.acquire(blocking=False):
            return
        try:
            self._link.beat(self)
        finally:
            self._beating.release()

    def watch_over(self) -> None:
        """From now on it is kept alive, as long as somebody holds it."""
        heartbeat.watch_over(self)

    def __del__(self) -> None:
        if cleanup.may_clean():
            with contextlib.suppress(Exception):
                self.close()


def _warning(warning: Any) -> str:
    """What a warning of the server says."""
    said = warning.get("message") if isinstance(warning, dict) else warning
    return str(said or "").strip()


def _form(data: Any) -> str:
    kind = type(data[0]).__name__ if isinstance(data, list) else ""
    return f"a list of {kind}" if kind else f"a {type(data).__name__}"
