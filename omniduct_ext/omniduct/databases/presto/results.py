"""Answers of Presto and Trino as Arrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from omniduct.databases.arrow.memory import Leftovers
from omniduct.databases.presto.columns import Columns
from omniduct.databases.presto.pages import whole_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from omniduct.databases.arrow.cursors import Source
    from omniduct.databases.presto.query import Query
    from omniduct.databases.presto.segments import Segment

__all__ = ["Answer"]


class Answer:
    """What a statement gives.

    Attributes
    ----------
    is_empty : bool
        Whether it has no result: it changed something, and at most says how much.
    rowcount : int
        The rows that it changed; -1 where nobody knows.
    """

    def __init__(self, query: Query) -> None:
        self._query = query
        self.is_empty = query.update_type is not None or query.columns is None
        self.rowcount = -1 if query.update_count is None else int(query.update_count)
        self._columns = Columns([] if self.is_empty else query.columns or [], query.owner)

    def table(self) -> pa.Table:
        """All rows."""
        import pyarrow as pa

        tables, leftovers = [], Leftovers()
        for table in self._tables():
            leftovers.add(table.nbytes)
            tables.append(table)
        leftovers.end()
        return pa.concat_tables(tables) if tables else self._columns.empty()

    def source(self) -> Source:
        """The rows as they come."""
        import pyarrow as pa

        self._query.watch_over()
        tables = self._tables()
        first = next(tables, None)
        if first is None:
            return self._columns.empty()
        return pa.RecordBatchReader.from_batches(first.schema, _batches(first, tables))

    def exhaust(self) -> None:
        """Run the statement to its end."""
        for _ in self._query.rows():
            pass

    def close(self) -> None:
        """End the statement; one that has not ended is cancelled."""
        self._query.close()

    def _tables(self) -> Iterator[pa.Table]:
        for rows in self._query.rows():
            for part in [rows] if isinstance(rows, bytes) else self._unpacked(rows):
                yield self._columns.table(part)

    def _unpacked(self, segment: Segment) -> Iterable[bytes]:
        """The rows of a segment as JSON; in small parts, if they can be told apart."""
        blocks = segment.blocks()
        return whole_rows(blocks) if self._columns.is_flat else [b"".join(blocks)]


def _batches(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
    yield from first.to_batches()
    for table in rest:
        yield from table.to_batches()
