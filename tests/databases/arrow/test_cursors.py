from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from omniduct.databases.arrow import cursors
from omniduct.databases.arrow.cursors import ArrowCursor, arrow_reader, arrow_table, pieces, rows, tables
from omniduct.errors import DuctArgumentError, DuctStatementError

NUMBERS = "SELECT range AS n, 'v' || range AS s FROM range({})"


@pytest.fixture
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def lite() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


def counted(lite: sqlite3.Connection, count: int) -> sqlite3.Cursor:
    endless = "WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c)"
    return lite.execute(f"{endless} SELECT n, 'v' || n AS s FROM c LIMIT ?", (count,))


class Meagre:
    """A DB-API cursor that gives fewer rows than it is asked for."""

    description = (("n",),)

    def __init__(self, count: int) -> None:
        self.left = list(range(count))

    def fetchmany(self, size: int) -> Sequence[Sequence[Any]]:
        taken, self.left = self.left[: min(size, 3)], self.left[min(size, 3) :]
        return [[n] for n in taken]

    def fetchall(self) -> Sequence[Sequence[Any]]:
        return [[n] for n in self.left]


def sources(duck: duckdb.DuckDBPyConnection, lite: sqlite3.Connection, count: int) -> Iterator[Any]:
    """The same rows in all that may be a source."""
    table = duck.sql(NUMBERS.format(count)).to_arrow_table()
    yield table
    yield table.to_reader(max_chunksize=7)
    yield iter(table.to_batches(max_chunksize=7))
    yield table.to_batches(max_chunksize=7)
    yield duck.sql(NUMBERS.format(count)).to_arrow_reader(7)
    yield ArrowCursor(table)
    yield ArrowCursor(table.to_reader(max_chunksize=7))
    yield pl.DataFrame(pl.from_arrow(table))
    yield counted(lite, count)


@pytest.mark.parametrize("count", [1, 25, 4000])
def test_every_source_reads_the_same(
    duck: duckdb.DuckDBPyConnection, lite: sqlite3.Connection, count: int
) -> None:
    expected = [(n, f"v{n}") for n in range(count)]
    for source in sources(duck, lite, count):
        assert list(rows(source)) == expected
    for source in sources(duck, lite, count):
        table = arrow_table(source)
        assert table.column_names == ["n", "s"]
        assert table.to_pydict()["n"] == list(range(count))
    for source in sources(duck, lite, count):
        table = arrow_reader(source, 10).read_all()
        assert table.to_pydict()["s"] == [f"v{n}" for n in range(count)]
    for source in sources(duck, lite, count):
        assert pa.concat_tables(tables(source)).to_pydict()["n"] == list(range(count))


@pytest.mark.parametrize(("count", "size"), [(25, 10), (30, 10), (9, 10), (10, 10), (5, 1), (100, 33)])
def test_pieces_have_exactly_that_many_rows(
    duck: duckdb.DuckDBPyConnection, lite: sqlite3.Connection, count: int, size: int
) -> None:
    whole, rest = divmod(count, size)
    for source in [*sources(duck, lite, count), Meagre(count)]:
        found = list(pieces(source, size))
        assert [piece.num_rows for piece in found] == [size] * whole + [rest] * bool(rest)
        assert pa.concat_tables(found).column(0).to_pylist() == list(range(count))


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "3"])
def test_a_piece_has_at_least_one_row(size: Any) -> None:
    with pytest.raises(DuctArgumentError, match="at least one row"):
        pieces(pa.table({"x": [1]}), size)


def test_an_empty_result_keeps_its_columns(duck: duckdb.DuckDBPyConnection, lite: sqlite3.Connection) -> None:
    empty = duck.sql(NUMBERS.format(0))
    assert arrow_table(empty.to_arrow_reader(10)).schema.types == [pa.int64(), pa.string()]
    assert arrow_table(counted(lite, 0)).column_names == ["n", "s"]
    assert arrow_reader(counted(lite, 0), 10).schema.types == [pa.string(), pa.string()]
    for source in (empty.to_arrow_reader(10), counted(lite, 0)):
        assert list(pieces(source, 10)) == []


def test_a_statement_without_a_result_has_neither_columns_nor_rows(lite: sqlite3.Connection) -> None:
    for source in (lite.execute("CREATE TABLE t (x)"), None):
        assert arrow_table(source).shape == (0, 0)
        assert list(rows(source)) == []
        assert list(pieces(source, 3)) == []
        assert arrow_reader(source, 3).read_all().shape == (0, 0)


def test_columns_may_share_a_name_or_have_none(lite: sqlite3.Connection) -> None:
    table = arrow_table(lite.execute('SELECT 1 AS x, 2 AS x, 3 AS ""'))
    assert table.column_names == ["x", "x", ""]
    assert list(rows(table)) == [(1, 2, 3)]


def test_a_reader_keeps_the_types_of_the_first_batch(lite: sqlite3.Connection) -> None:
    source = lite.execute("SELECT 0.5 AS f, NULL AS u UNION ALL SELECT NULL, 3 UNION ALL SELECT 2.0, 'a'")
    table = arrow_reader(source, 1).read_all()
    assert table.schema.types == [pa.float64(), pa.string()]
    assert table.to_pydict() == {"f": [0.5, None, 2.0], "u": [None, "3", "a"]}


def test_a_value_that_fits_no_longer_is_told_with_its_column(lite: sqlite3.Connection) -> None:
    reader = arrow_reader(lite.execute("SELECT 1 AS n UNION ALL SELECT 'a'"), 1)
    with pytest.raises(DuctStatementError, match="column 'n' began as int64 and then needs string: cast it"):
        reader.read_all()


def test_a_reader_asks_the_driver_for_no_more_than_it_needs(lite: sqlite3.Connection) -> None:
    endless = lite.execute("WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c")
    assert next(iter(arrow_reader(endless, 5))).to_pydict() == {"n": [0, 1, 2, 3, 4]}
    assert next(pieces(endless, 5)).to_pydict()["n"][0] > 4
    assert len(next(rows(endless))) == 1


def test_a_cursor_gives_rows_as_db_api_says(duck: duckdb.DuckDBPyConnection) -> None:
    cursor = ArrowCursor(duck.sql(NUMBERS.format(5)).to_arrow_table())
    assert cursor.rowcount == 5
    assert cursor.description is not None
    assert [(column[0], column[1], len(column)) for column in cursor.description] == [
        ("n", pa.int64(), 7),
        ("s", pa.string(), 7),
    ]
    assert cursor.fetchone() == (0, "v0")
    assert cursor.fetchmany() == [(1, "v1")]
    assert cursor.fetchmany(2) == [(2, "v2"), (3, "v3")]
    assert cursor.fetchall() == [(4, "v4")]
    assert (cursor.fetchone(), cursor.fetchmany(3), cursor.fetchall()) == (None, [], [])


def test_a_cursor_takes_the_rows_that_are_left(duck: duckdb.DuckDBPyConnection) -> None:
    table = duck.sql(NUMBERS.format(cursors.CHUNK_ROWS * 2 + 5)).to_arrow_table()
    for source in (table, table.to_reader(max_chunksize=cursors.CHUNK_ROWS + 3)):
        cursor = ArrowCursor(source)
        taken = cursor.fetchmany(cursors.CHUNK_ROWS + 1)
        left = cursor.arrow()
        assert taken[-1][0] == cursors.CHUNK_ROWS
        assert left.column("n").to_pylist() == list(range(len(taken), table.num_rows))
        assert cursor.fetchone() is None
        assert cursor.arrow().num_rows == 0


def test_a_cursor_goes_on_behind_the_batches_that_its_reader_gave(duck: duckdb.DuckDBPyConnection) -> None:
    cursor = ArrowCursor(duck.sql(NUMBERS.format(10)).to_arrow_table().to_reader(max_chunksize=4))
    assert cursor.fetchone() == (0, "v0")
    assert next(cursor.reader())["n"].to_pylist() == [1, 2, 3]
    assert cursor.fetchone() == (4, "v4")
    assert pa.table(cursor)["n"].to_pylist() == [5, 6, 7, 8, 9]


def test_a_whole_table_is_handed_on_as_it_is(duck: duckdb.DuckDBPyConnection) -> None:
    table = duck.sql(NUMBERS.format(3)).to_arrow_table()
    assert ArrowCursor(table).arrow() is table
    assert arrow_table(ArrowCursor(table)) is table


def test_two_open_cursors_are_read_side_by_side(duck: duckdb.DuckDBPyConnection) -> None:
    first = ArrowCursor(duck.sql(NUMBERS.format(3)).to_arrow_table())
    assert first.fetchone() == (0, "v0")
    second = ArrowCursor(duck.sql("SELECT 'other'").to_arrow_table())
    assert second.fetchone() == ("other",)
    assert list(first) == [(1, "v1"), (2, "v2")]
    assert second.fetchone() is None


def test_a_closed_cursor_says_so() -> None:
    with ArrowCursor(pa.table({"x": [1]})) as cursor:
        pass
    for read in (cursor.fetchone, cursor.fetchall, cursor.arrow, cursor.reader):
        with pytest.raises(DuctStatementError, match="this cursor is closed"):
            read()
    cursor.close()


def test_a_cursor_without_a_result_describes_nothing() -> None:
    cursor = ArrowCursor(None)
    assert (cursor.description, cursor.rowcount, cursor.fetchall()) == (None, -1, [])


def test_a_cursor_over_a_reader_does_not_know_its_rows() -> None:
    assert ArrowCursor(pa.table({"x": [1]}).to_reader()).rowcount == -1


def test_a_cursor_takes_no_other_cursor(lite: sqlite3.Connection) -> None:
    with pytest.raises(DuctArgumentError, match="ArrowCursor takes Arrow data, not a Cursor"):
        ArrowCursor(lite.execute("SELECT 1"))
