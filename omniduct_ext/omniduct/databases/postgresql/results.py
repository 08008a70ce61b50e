"""PostgreSQL's answers as Arrow tables of the types that lose nothing.

The driver's Arrow is exact for most types, and quick. Where it is not (an array loses its dimensions, a
range comes as bytes) the server is asked for the value's text: a statement is described before it runs, and
one with such columns is wrapped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from omniduct.databases.arrow.cursors import Varying
from omniduct.databases.postgresql.adbc import Link
from omniduct.databases.postgresql.types import Column, columns_of, is_told
from omniduct.databases.statements import first_word
from omniduct.databases.tokens import Untokenizable, sqlglot_tokenizer
from omniduct.errors import DuctStatementError

if TYPE_CHECKING:
    import pyarrow as pa

    from omniduct.databases.arrow.cursors import Source

__all__ = ["Answer", "PostgreSQLLink"]

_STATUS = "adbc.postgresql.transaction_status"
_READS = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})
_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})


class PostgreSQLLink(Link):
    """A connection to PostgreSQL."""

    def status(self) -> str:
        """Of the transaction: idle, intrans, inerror or unknown."""
        self.finish()
        said = self.option(_STATUS)
        if said == "active":  # after a COPY, until the next statement
            with contextlib.suppress(Exception):  # in a failed transaction
                self.command("SHOW server_version")
            self.finish()
            said = self.option(_STATUS)
        return said

    def run(self, statement: str, parameters: list[Any] | None = None) -> Answer:
        """Run one statement."""
        from omniduct.databases.postgresql.binding import bound

        cursor = self.cursor()
        statement, values = bound(self, cursor, statement, parameters or [])
        columns = None
        if _may_be_copied(statement):
            schema = self.call(lambda: cursor.adbc_execute_schema(statement, values))
            columns = columns_of(
                schema, None if is_told(schema) else self._kinds(statement, values, len(schema))
            )
            statement = _wrapped(statement, columns)
        if not columns:
            cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})
        self.call(lambda: cursor.execute(statement, values))
        return Answer(self, cursor, columns)

    def _kinds(self, statement: str, values: Any, count: int) -> list[str] | None:
        """The types of a query's columns as the server names them, for a driver that does not say them."""
        names = [f"c{number}" for number in range(count)]
        kinds = ", ".join(f"pg_typeof({name})::text" for name in names)
        query = (
            f"SELECT {kinds} FROM (SELECT 1) one LEFT JOIN (\n{statement}\n) q({', '.join(names)}) ON false"
        )
        with contextlib.suppress(Exception):  # one that writes, say
            return self._one_row(query, values)
        return None

    def _one_row(self, query: str, values: Any) -> list[Any]:
        """Ask beside the cursor that a statement is about to run on."""

        def ask() -> list[Any]:
            with self._connection.cursor() as cursor:
                cursor.execute(query, values)
                return list(cursor.fetchone())

        return list(self.call(ask))

    def name_of_type(self, oid: int) -> str:
        """A type as it is written in a statement."""
        return str(self._one_row("SELECT $1::oid::regtype::text", [oid])[0])

    def command(self, statement: str) -> None:
        """Run a statement that has no result to read."""
        self.run(statement).exhaust()


def _may_be_copied(statement: str) -> bool:
    """Whether a statement may give rows that the server can COPY."""
    word = first_word(statement)
    return word in _READS or (word in _WRITES and "RETURNING" in statement.upper())


def _wrapped(statement: str, columns: list[Column]) -> str:
    """The statement, with the casts that its columns need."""
    if not any(column.cast for column in columns):
        return statement
    names = [f"c{number}" for number in range(len(columns))]
    picked = [f"{name}{column.cast}" for name, column in zip(names, columns, strict=True)]
    above, own = _parted(statement)
    return (
        f"{above} omniduct_statement({', '.join(names)}) AS (\n{own}\n) "
        f"SELECT {', '.join(picked)} FROM omniduct_statement"
    )


_BEGINS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE"})


def _parted(statement: str) -> tuple[str, str]:
    """The head of a wrapper, and what it wraps: a WITH that writes may only stand at the top."""
    if first_word(statement) == "WITH":
        depth = 0
        with contextlib.suppress(Untokenizable):
            for token in sqlglot_tokenizer("postgres")(statement):
                text = statement[token.start : token.end]
                depth += {"(": 1, ")": -1}.get(text, 0) if token.kind == "operator" else 0
                if depth == 0 and token.kind == "word" and text.upper() in _BEGINS:
                    return f"{statement[: token.start].rstrip()},", statement[token.start :]
    return "WITH", statement


class Answer:
    """What a statement gives.

    Attributes
    ----------
    is_empty : bool
        Whether it has no result: no columns.
    rowcount : int
        The rows that it changed; -1 where nobody knows.
    """

    def __init__(self, link: PostgreSQLLink, cursor: Any, columns: list[Column] | None) -> None:
        self._link = link
        self._cursor = cursor
        self.is_empty = not cursor.description
        self.rowcount = int(cursor.rowcount)
        self._columns = columns or []
        if not self.is_empty:
            self._reader = link.begin_reading()
            if not self._columns:
                self._columns = _as_they_come(self._reader.schema)

    def table(self) -> pa.Table:
        """All rows."""
        import pyarrow as pa

        batches = list(self._batches())
        whole = pa.Table.from_batches(batches, self._reader.schema)
        return self._table([column.whole(values) for column, values in self._paired(whole.columns)])

    def source(self) -> Source:
        """The rows as they come: batches of one schema, unless a column's scale may change."""
        import pyarrow as pa

        if any(column.varies for column in self._columns):
            return Varying([column.name for column in self._columns], self._tables())
        tables = self._tables()
        first = next(tables, None)
        if first is None:
            return self.table()
        return pa.RecordBatchReader.from_batches(first.schema, _batches(first, tables))

    def exhaust(self) -> None:
        """Run the statement to its end."""
        if not self.is_empty:
            for _ in self._batches():
                pass

    def _batches(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._link.read(self._reader)) is not None:
            yield batch

    def _tables(self) -> Iterator[pa.Table]:
        for batch in self._batches():
            yield self._table([column.piece(values) for column, values in self._paired(batch.columns)])

    def _paired(self, values: list[Any]) -> Iterator[tuple[Column, Any]]:
        return zip(self._columns, values, strict=True)

    def _table(self, arrays: list[Any]) -> pa.Table:
        import pyarrow as pa

        return pa.Table.from_arrays(arrays, names=[column.name for column in self._columns])


def _batches(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
    yield from first.to_batches()
    for table in rest:
        yield from table.to_batches()


def _as_they_come(schema: pa.Schema) -> list[Column]:
    """The columns of what cannot be wrapped (SHOW, EXPLAIN, FETCH, EXECUTE), which must not lose anything."""
    columns = columns_of(schema)
    for column in columns:
        if column.cast:
            raise DuctStatementError(
                f"the statement has run, but its column {column.name!r} is of a type ({column.kind}) that "
                "FETCH, EXECUTE and CALL do not give whole: cast the column to text in the query itself"
            )
    return columns
