"""The statements that carry rows to a server: each of about the length that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from omniduct.databases.presto.rows import Rows
from omniduct.databases.session.progress import Progress, Running
from omniduct.databases.session.running import check_wanted
from omniduct.errors import DuctArgumentError

if TYPE_CHECKING:
    from omniduct.databases.presto.client import PrestoClient

__all__ = ["Sending"]

_LIMIT = 1_000_000  # characters: `query.max-length` of a server that is not set to another
_ROOM = 0.95  # of it, to aim at: rows differ
_PROBE = 100  # rows, of which the length is measured


class Sending:
    """Sends rows in the tail of statements.

    Parameters
    ----------
    client : PrestoClient
        Where to.
    rows : Rows
        What.
    properties : Mapping, optional
        Session properties for the statements.
    """

    def __init__(self, client: PrestoClient, rows: Rows, properties: Mapping[str, Any] | None) -> None:
        self.rows = rows
        self._client = client
        self._properties = dict(properties or {})
        self._limit = _LIMIT

    def at_once(self, head: str) -> bool:
        """Send all rows in a single statement, if they fit into one; whether they do."""
        count = self.rows.count
        if count > self._fitting():
            return False
        text = f"{head} {self.rows.query(0, count)}"
        return bool(self._run(lambda running: self._send(text)))

    def in_pieces(self, first: str, then: str) -> None:
        """Send all rows, in as many statements as it takes; one at least.

        Parameters
        ----------
        first, then : str
            What stands before the query: of the first statement, and of all others.
        """
        self._run(lambda running: self._send_pieces(first, then, running))

    def _fitting(self) -> int:
        """About how many rows fit into a statement."""
        probe = min(self.rows.count, _PROBE)
        around = _length(self.rows.query(0, 0))
        each = (_length(self.rows.query(0, probe)) - around) / max(probe, 1)
        return max(int((self._limit * _ROOM - around) / max(each, 1)), 1)

    def _send_pieces(self, first: str, then: str, running: Running) -> None:
        head, start, most, total = first, 0, self._fitting(), self.rows.count
        while start < max(total, 1):  # one without rows makes the table
            check_wanted()
            count = min(most, total - start)
            text = f"{head} {self.rows.query(start, count)}"
            if self._send(text):
                running.add(count)
                head, start = then, start + max(count, 1)
                continue
            if count <= 1:
                raise DuctArgumentError(
                    f"{self._client.name}: the row {start} of the frame takes a statement of "
                    f"{_length(text):,} characters, and the server takes {self._limit:,} (its "
                    "query.max-length): leave it out"
                )
            most = max(int(count * min(self._limit * _ROOM / _length(text), 0.9)), 1)

    def _send(self, text: str) -> bool:
        """Run a statement, if it is not too long."""
        from trino.exceptions import TrinoQueryError

        length = _length(text)
        if length > self._limit:
            return False
        try:
            self._client._on(None).command(text)
        except TrinoQueryError as error:
            if error.error_name != "QUERY_TEXT_TOO_LARGE":
                raise
            self._limit = length // 2
            return False
        return True

    def _run(self, send: Callable[[Running], Any]) -> Any:
        """Call on the session what sends, with errors for people and a line that counts the rows."""
        client = self._client

        def call() -> Any:
            try:
                with client._settings(self._properties, None):
                    return send(running)
            except Exception as error:
                failure = client._failure(error, note=client._recovered(None))
            raise failure

        with _Loading(client.name, self.rows.count).noted() as running:
            return client._on_session(call, running)


class _Loading(Running):
    """A call of which it is known how many rows are to be sent."""

    def __init__(self, name: str, total: int) -> None:
        super().__init__(name)
        self._total = total

    def merged(self, said: Progress | None) -> Progress:
        sent = self.rows or 0
        fraction = sent / self._total if self._total else None
        return replace(said or Progress(), fraction=fraction, rows=sent, text="sending")


def _length(text: str) -> int:
    """In the characters that Java counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
