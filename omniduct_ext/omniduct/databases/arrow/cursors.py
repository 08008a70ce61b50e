"""What a client hands over as the answer to a statement, read in one way whatever it is.

A *source* is Arrow data (a table, a reader, batches, anything with ``__arrow_c_stream__``) or a DB-API
cursor; None is the answer to a statement without a result. It is read once, from where it stands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Protocol

from omniduct.databases.arrow.values import pylist
from omniduct.errors import DuctArgumentError, DuctStatementError

if TYPE_CHECKING:
    import pyarrow as pa

    from omniduct.databases.arrow.inference import Columns

__all__ = [
    "ArrowCursor",
    "DBAPICursor",
    "Source",
    "TypedCursor",
    "Varying",
    "arrow_reader",
    "arrow_table",
    "check_size",
    "opened",
    "pieces",
    "raw_rows",
    "rows",
    "tables",
]

FETCH_ROWS = 1_000  # asked of a DB-API cursor at a time, where the first row should come soon
CHUNK_ROWS = 10_000  # made Python objects at a time


class DBAPICursor(Protocol):
    """The part of a DB-API 2.0 cursor that is used."""

    @property
    def description(self) -> Sequence[Sequence[Any]] | None:
        """One sequence a column, its name first; None where the statement has no result."""

    def fetchmany(self, size: int, /) -> Sequence[Sequence[Any]]:
        """At most `size` rows; none at the end."""

    def fetchall(self) -> Sequence[Sequence[Any]]:
        """The rows that are left."""


# DBAPICursor, Varying, or Arrow data: pyarrow's own classes have no types.
Source = Any


class Varying:
    """An answer in tables, of which a column's type may change from one to the next.

    Parameters
    ----------
    names : list of str
        Of the columns.
    tables : iterator of pyarrow.Table
        Read once.
    """

    def __init__(self, names: list[str], tables: Iterator[pa.Table]) -> None:
        self.names = names
        self.tables = tables


class TypedCursor:
    """A DB-API cursor whose columns have Arrow types, as far as its driver says them.

    Parameters
    ----------
    cursor : DBAPICursor
        The driver's cursor.
    types : list of pyarrow.DataType
        One a column, or None where the values decide. Values that do not fit decide too.
    """

    def __init__(self, cursor: DBAPICursor, types: Sequence[pa.DataType | None]) -> None:
        self.arrow_types = types
        self.description = cursor.description
        self.fetchmany = cursor.fetchmany
        self.fetchall = cursor.fetchall


def _columns(source: DBAPICursor) -> Columns:
    from omniduct.databases.arrow.inference import Columns  # most drivers have Arrow, and no need of it

    return Columns(_names(source), getattr(source, "arrow_types", None))


def arrow_table(source: Source) -> pa.Table:
    """All that is left of a source.

    >>> import sqlite3
    >>> cursor = sqlite3.connect(":memory:").execute("SELECT 1 AS x, 'a' AS y")
    >>> arrow_table(cursor).schema.types
    [DataType(int64), DataType(string)]
    """
    import pyarrow as pa

    if isinstance(source, pa.Table):
        return source
    if isinstance(source, ArrowCursor):
        return source.arrow()
    reader = _reader(source)
    if reader is not None:
        return reader.read_all()
    if isinstance(source, Varying):
        return _joined(list(source.tables), source.names)
    rows = source.fetchall() if source.description else []
    return _columns(source).table(rows)


def _joined(tables: list[pa.Table], names: list[str]) -> pa.Table:
    """Tables as one, each column of a type that holds all of its values."""
    import pyarrow as pa

    if not tables:
        return pa.table([pa.array([], pa.string()) for _ in names], names=names)
    columns = [_joined_column([table.column(n) for table in tables]) for n in range(len(names))]
    return pa.Table.from_arrays(columns, names=names)


def _joined_column(pieces: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    import pyarrow as pa

    kinds = [piece.type for piece in pieces]
    if all(kind == kinds[0] for kind in kinds):
        return pa.chunked_array([chunk for piece in pieces for chunk in piece.chunks], kinds[0])
    from omniduct.databases.arrow.inference import infer

    return pa.chunked_array([infer([value for piece in pieces for value in pylist(piece)])])


def arrow_reader(source: Source, batch_rows: int) -> pa.RecordBatchReader:
    """A source as batches of one schema, of `batch_rows` rows where its driver gives rows.

    A DB-API cursor's columns have the types of the first batch; those without a value in it are text.

    Raises
    ------
    DuctStatementError
        While reading: a later value does not fit its column's type.
    """
    import pyarrow as pa

    if isinstance(source, Varying):
        first = next(source.tables, None) or _joined([], source.names)
        return pa.RecordBatchReader.from_batches(
            first.schema, _batches_of(first.schema, chain([first], source.tables))
        )
    reader = _reader(source)
    if reader is not None:
        return reader
    columns = _columns(source)
    chunks = _row_chunks(source, check_size(batch_rows))
    first = columns.text_where_unknown(columns.table(next(chunks, [])))
    tables = chain([first], map(columns.table, chunks))
    return pa.RecordBatchReader.from_batches(first.schema, _batches_of(first.schema, tables))


def _batches_of(schema: pa.Schema, tables: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
    for table in tables:
        for field, found in zip(schema, table.schema, strict=True):
            if field.type != found.type:
                raise DuctStatementError(
                    f"column {field.name!r} began as {field.type} and then needs {found.type}: "
                    f"cast it in the statement, or ask for the whole result at once"
                )
        yield from table.to_batches()


def tables(source: Source) -> Iterator[pa.Table]:
    """A source as tables, as soon as its driver gives the rows; their types may differ (see `Columns`)."""
    import pyarrow as pa

    if isinstance(source, Varying):
        return source.tables
    reader = _reader(source)
    if reader is None:
        return map(_columns(source).table, _row_chunks(source, FETCH_ROWS))
    return (pa.Table.from_batches([batch]) for batch in reader if batch.num_rows)


def pieces(source: Source, size: int) -> Iterator[pa.Table]:
    """A source as tables of exactly `size` rows; the last may have fewer."""
    if isinstance(source, Varying):
        return _pieces(source, check_size(size))
    reader = _reader(source)
    if reader is None:
        return map(_columns(source).table, _row_chunks(source, check_size(size)))
    return _rechunked(reader, check_size(size))


def _pieces(source: Varying, size: int) -> Iterator[pa.Table]:
    held: list[pa.Table] = []
    count = 0
    for table in source.tables:
        while count + table.num_rows >= size:
            taken = size - count
            yield _joined([*held, table.slice(0, taken)], source.names)
            held, count, table = [], 0, table.slice(taken)
        if table.num_rows:
            held.append(table)
            count += table.num_rows
    if held:
        yield _joined(held, source.names)


def _rechunked(reader: pa.RecordBatchReader, size: int) -> Iterator[pa.Table]:
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    count = 0
    for batch in reader:
        while count + batch.num_rows >= size:
            taken = size - count
            yield pa.Table.from_batches([*held, batch.slice(0, taken)])
            held, count, batch = [], 0, batch.slice(taken)
        if batch.num_rows:
            held.append(batch)
            count += batch.num_rows
    if held:
        yield pa.Table.from_batches(held)


def rows(source: Source) -> Iterator[tuple[Any, ...]]:
    """A source's rows as tuples of plain Python values; a DB-API cursor's values are its driver's own.

    >>> import pyarrow
    >>> list(rows(pyarrow.table({"x": [1, None], "y": ["a", "b"]})))
    [(1, 'a'), (None, 'b')]
    """
    return map(tuple, raw_rows(source))


def raw_rows(source: Source) -> Iterator[Any]:
    """A source's rows, those of a DB-API cursor as its driver gives them."""
    if isinstance(source, Varying):
        return chain.from_iterable(_tuples(batch) for table in source.tables for batch in _cut(table))
    reader = _reader(source)
    if reader is None:
        return chain.from_iterable(_row_chunks(source, FETCH_ROWS))
    return chain.from_iterable(map(_tuples, _chunks(reader)))


def opened(source: Source) -> tuple[list[str], Source]:
    """The names of a source's columns before any row is read, and the source to read them from."""
    if isinstance(source, Varying):
        return source.names, source
    reader = _reader(source)
    return (_names(source), source) if reader is None else (list(reader.schema.names), reader)


def _reader(source: Source) -> pa.RecordBatchReader | None:
    """A reader over Arrow data; None for a DB-API cursor."""
    import pyarrow as pa

    if isinstance(source, pa.RecordBatchReader):
        return source
    if source is None:
        return pa.table({}).to_reader()
    if isinstance(source, pa.Table):
        return source.to_reader()
    if isinstance(source, ArrowCursor):
        return source.reader()
    if hasattr(source, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(source)
    if hasattr(source, "fetchmany"):
        return None
    return _reader_of_batches(iter(source))


def _reader_of_batches(batches: Iterator[pa.RecordBatch]) -> pa.RecordBatchReader:
    import pyarrow as pa

    first = next(batches, None)
    if first is None:
        return pa.table({}).to_reader()
    return pa.RecordBatchReader.from_batches(first.schema, chain([first], batches))


def _names(cursor: DBAPICursor) -> list[str]:
    return [str(column[0]) for column in cursor.description or ()]


def _row_chunks(cursor: DBAPICursor, size: int) -> Iterator[list[Sequence[Any]]]:
    """Rows, `size` at a time; a driver may give fewer than it was asked for before the end."""
    held: list[Sequence[Any]] = []
    while cursor.description:
        fetched = cursor.fetchmany(size - len(held))
        held.extend(fetched)
        if len(held) == size or (held and not fetched):
            yield held
            held = []
        if not fetched:
            return


def _cut(table: pa.Table) -> list[pa.RecordBatch]:
    return list(table.to_batches(max_chunksize=CHUNK_ROWS))


def _chunks(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        for start in range(0, batch.num_rows, CHUNK_ROWS):
            yield batch.slice(start, CHUNK_ROWS)


def _tuples(batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    return list(zip(*map(pylist, batch.columns), strict=True))


def check_size(count: int) -> int:
    """A number of rows a batch, if it is one."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise DuctArgumentError(
            f"batch={count!r}: a batch has at least one row, so give a whole number from 1"
        )
    return count


class ArrowCursor:
    """A DB-API 2.0 cursor over Arrow data, with `arrow` for all of its rows at once.

    Parameters
    ----------
    source : pyarrow.Table, pyarrow.RecordBatchReader, batches, or anything with ``__arrow_c_stream__``
        None for a statement without a result. A reader is read on as rows are fetched, so it must not
        share its connection with another.
    rowcount : int
        The rows that a statement without a result has changed, where that is known.

    Attributes
    ----------
    description : list of tuple, optional
        One a column: its name, its Arrow type, four times None, whether it may be null. None where
        there are no columns.
    rowcount : int
        -1 while only a reader knows.
    arraysize : int
        What `fetchmany` takes when it is not told.

    Examples
    --------
    >>> import pyarrow
    >>> cursor = ArrowCursor(pyarrow.table({"x": [1, 2, 3]}))
    >>> cursor.fetchone()
    (1,)
    >>> cursor.arrow().column("x").to_pylist()
    [2, 3]
    """

    arraysize = 1

    def __init__(self, source: Source, rowcount: int = -1) -> None:
        import pyarrow as pa

        reader = _reader(source)
        if reader is None:
            raise DuctArgumentError(f"ArrowCursor takes Arrow data, not a {type(source).__name__}")
        self.rowcount: int = source.num_rows if isinstance(source, pa.Table) else rowcount
        self._table = source if isinstance(source, pa.Table) else None  # while no row of it was taken
        self._reader = reader
        self._schema = reader.schema
        self._batch: pa.RecordBatch | None = None
        self._next = 0  # the row of the batch that comes after those in _rows
        self._rows: deque[tuple[Any, ...]] = deque()
        self._closed = False

    @property
    def description(self) -> list[tuple[Any, ...]] | None:
        """The columns, as DB-API 2.0 describes them."""
        columns = [(field.name, field.type, None, None, None, None, field.nullable) for field in self._schema]
        return columns or None

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row; None after the last."""
        self._check_open()
        return self._rows.popleft() if self._rows or self._fill() else None

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """At most `size` rows (else `arraysize`)."""
        return list(islice(self, self.arraysize if size is None else size))

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows that are left."""
        return list(self)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self

    def __next__(self) -> tuple[Any, ...]:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def arrow(self) -> pa.Table:
        """The rows that are left, as a table; afterwards there are none."""
        self._check_open()
        if self._table is not None:
            table, self._table = self._table, None
            self._reader = table.slice(table.num_rows).to_reader()
            return table
        return self.reader().read_all()

    def reader(self) -> pa.RecordBatchReader:
        """The rows that are left, batch by batch; the cursor moves on with it."""
        import pyarrow as pa

        self._check_open()
        return pa.RecordBatchReader.from_batches(self._schema, self._rest())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.reader().__arrow_c_stream__(requested_schema)

    def close(self) -> None:
        """Let go of the data; the cursor cannot be read any more."""
        self._closed = True
        self._table = self._batch = None
        self._rows.clear()
        self._reader.close()

    def __enter__(self) -> ArrowCursor:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _fill(self) -> bool:
        """Make Python objects of the next rows; False after the last."""
        self._table = None
        while not self._rows:
            if self._batch is None or self._next >= self._batch.num_rows:
                self._batch, self._next = next(self._reader, None), 0
                if self._batch is None:
                    return False
            self._rows.extend(_tuples(self._batch.slice(self._next, CHUNK_ROWS)))
            self._next += CHUNK_ROWS
        return True

    def _rest(self) -> Iterator[pa.RecordBatch]:
        self._table = None
        if self._batch is not None:
            read = min(self._next, self._batch.num_rows) - len(self._rows)
            rest, self._batch = self._batch.slice(read), None
            self._rows.clear()
            yield rest
        yield from self._reader

    def _check_open(self) -> None:
        if self._closed:
            raise DuctStatementError("this cursor is closed: execute the statement again to read its rows")
