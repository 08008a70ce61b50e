from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, ClassVar

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omniduct.databases.results import (
    CURSOR_FORMATTERS,
    CsvFormatter,
    Formatter,
    PandasFormatter,
    formatter,
)
from omniduct.errors import DuctArgumentError, DuctConfigError

SHOWN = sorted(CURSOR_FORMATTERS.keys() - {"parquet"})
QUERY = "SELECT 1 AS n, 'a' AS s UNION ALL SELECT NULL, 'b,c' UNION ALL SELECT 3, NULL"


@pytest.fixture(params=["duckdb", "sqlite"])
def source(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The same rows as Arrow batches and from a plain DB-API cursor."""
    if request.param == "duckdb":
        with duckdb.connect() as duck:
            yield duck.sql(QUERY).to_arrow_reader(2)
    else:
        lite = sqlite3.connect(":memory:")
        yield lite.execute(QUERY)
        lite.close()


@pytest.fixture
def lite() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


def numbers(count: int) -> pa.Table:
    return pa.table({"n": range(count), "s": [f"v{n}" for n in range(count)]})


def test_the_formats_are_these() -> None:
    assert set(CURSOR_FORMATTERS) == {
        "pandas",
        "polars",
        "arrow",
        "tuple",
        "dict",
        "csv",
        "hive",
        "parquet",
        "raw",
    }


# The whole of a result


def test_pandas(source: Any) -> None:
    frame = formatter("pandas").dump(source)
    assert frame["n"].tolist() == [1, pd.NA, 3]
    assert frame["s"].tolist()[:2] == ["a", "b,c"] and frame["s"].isna()[2]


def test_polars(source: Any) -> None:
    assert formatter("polars").dump(source).rows() == [(1, "a"), (None, "b,c"), (3, None)]


def test_arrow(source: Any) -> None:
    table = formatter("arrow").dump(source)
    assert isinstance(table, pa.Table)
    assert table.to_pydict() == {"n": [1, None, 3], "s": ["a", "b,c", None]}


def test_tuple(source: Any) -> None:
    assert formatter("tuple").dump(source) == [(1, "a"), (None, "b,c"), (3, None)]


def test_dict(source: Any) -> None:
    assert formatter("dict").dump(source) == [
        {"n": 1, "s": "a"},
        {"n": None, "s": "b,c"},
        {"n": 3, "s": None},
    ]


def test_csv(source: Any) -> None:
    assert formatter("csv").dump(source) == 'n,s\n1,a\n,"b,c"\n3,\n'


def test_csv_without_a_header(source: Any) -> None:
    assert formatter("csv", {"include_header": False}).dump(source) == '1,a\n,"b,c"\n3,\n'


def test_hive(source: Any) -> None:
    assert formatter("hive").dump(source) == "1\ta\n\\N\tb,c\n3\t\\N\n"


def test_raw(source: Any) -> None:
    assert formatter("raw").dump(source) == [(1, "a"), (None, "b,c"), (3, None)]


def test_raw_leaves_the_driver_s_rows_as_they_are_and_tuple_does_not(lite: sqlite3.Connection) -> None:
    lite.row_factory = sqlite3.Row
    raw, plain = (formatter(name).dump(lite.execute("SELECT 1 AS x")) for name in ("raw", "tuple"))
    assert type(raw[0]) is sqlite3.Row
    assert plain == [(1,)] and type(plain[0]) is tuple


@pytest.mark.parametrize("name", SHOWN)
def test_a_result_without_rows_is_one_in_every_format(name: str, lite: sqlite3.Connection) -> None:
    arrow, plain = numbers(0), lite.execute("SELECT 1 AS n, 'a' AS s WHERE 0")
    expected: Any = {"csv": "n,s\n", "hive": ""}.get(name, [])
    for given in (arrow, plain):
        found = formatter(name).dump(given)
        if name in ("pandas", "polars", "arrow"):
            assert found.shape == (0, 2)
        else:
            assert found == expected
    assert list(formatter(name).stream_batches(numbers(0), 5)) == (["n,s\n"] if name == "csv" else [])
    assert list(formatter(name).stream(numbers(0))) == (["n,s\n"] if name == "csv" else [])


@pytest.mark.parametrize("name", SHOWN)
def test_a_statement_without_a_result_is_empty_in_every_format(name: str, lite: sqlite3.Connection) -> None:
    for given in (lite.execute("CREATE TABLE IF NOT EXISTS t (x)"), None):
        assert len(formatter(name).dump(given)) == 0


def test_columns_of_one_name_are_all_there_in_every_format() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=["x", "x", "x_1"])
    assert formatter("pandas").dump(table).iloc[0].tolist() == [1, 2, 3]
    assert formatter("polars").dump(table).to_dicts() == [{"x": 1, "x_1": 2, "x_1_1": 3}]
    assert formatter("dict").dump(table) == [{"x": 1, "x_1": 2, "x_1_1": 3}]
    assert formatter("csv").dump(table) == "x,x,x_1\n1,2,3\n"


# Streams


def test_a_stream_gives_row_after_row(source: Any) -> None:
    assert next(formatter("tuple").stream(source)) == (1, "a")


def test_a_row_of_pandas_keeps_the_types_of_its_values() -> None:
    first, second = formatter("pandas").stream(pa.table({"n": [2**53 + 1, 2], "f": [0.5, 1.5]}))
    assert first.to_dict() == {"n": 2**53 + 1, "f": 0.5}
    assert second["n"] == 2 and second.name == 1
    assert next(formatter("pandas").stream(pa.table({"n": [None, 1]})))["n"] is pd.NA


def test_a_row_of_a_frame_format_is_a_frame_of_one_row() -> None:
    assert [row.to_dicts() for row in formatter("polars").stream(numbers(2))] == [
        [{"n": 0, "s": "v0"}],
        [{"n": 1, "s": "v1"}],
    ]
    assert [row.to_pylist() for row in formatter("arrow").stream(numbers(2))][1] == [{"n": 1, "s": "v1"}]


def test_a_row_of_csv_is_a_line_with_its_end_though_its_value_has_two() -> None:
    table = pa.table({"s": ["two\nlines", "x"], "n": [1, 2]})
    assert list(formatter("csv").stream(table)) == ["s,n\n", '"two\nlines",1\n', "x,2\n"]


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize(("count", "size"), [(25, 10), (20, 10), (3, 10)])
def test_pieces_have_exactly_as_many_rows_as_asked_for(name: str, count: int, size: int) -> None:
    table = pa.concat_tables([numbers(count).slice(0, 7), numbers(count).slice(7)])
    pieces = list(formatter(name).stream_batches(table, size))
    lengths = [
        len(p.splitlines()) - (name == "csv" and n == 0) if isinstance(p, str) else len(p)
        for n, p in enumerate(pieces)
    ]
    assert lengths == [size] * (count // size) + [count % size] * bool(count % size)


@pytest.mark.parametrize("name", SHOWN)
def test_the_pieces_together_are_the_whole(name: str) -> None:
    whole = formatter(name).dump(numbers(25))
    pieces = list(formatter(name).stream_batches(numbers(25), 10))
    if name == "pandas":
        pd.testing.assert_frame_equal(pd.concat(pieces), whole)
    elif name == "polars":
        assert pl.concat(pieces).equals(whole)
    elif name == "arrow":
        assert pa.concat_tables(pieces).equals(whole)
    elif isinstance(whole, str):
        assert "".join(pieces) == whole
    else:
        assert list(chain.from_iterable(pieces)) == whole


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("size", [0, None])
def test_a_piece_without_rows_is_refused_at_once(name: str, size: Any) -> None:
    with pytest.raises(DuctArgumentError, match="at least one row"):
        formatter(name).stream_batches(numbers(3), size)


def test_a_plain_cursor_is_read_only_as_far_as_the_stream_is(lite: sqlite3.Connection) -> None:
    query = "WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c"
    assert next(formatter("csv", {"include_header": False}).stream(lite.execute(query))) == "0\n"
    assert next(formatter("tuple").stream_batches(lite.execute(query), 2)) == [(0,), (1,)]
    assert len(next(formatter("pandas").stream_batches(lite.execute(query), 2))) == 2


# Files


@pytest.mark.parametrize("name", ["csv", "hive"])
def test_a_file_has_the_text_of_the_whole(name: str) -> None:
    table = pa.table({"n": range(70_000), "s": ["é🦆\n"] * 70_000})
    file = io.BytesIO()
    formatter(name).write(table.to_reader(max_chunksize=30_000), file)
    assert file.getvalue().decode() == formatter(name).dump(table)


def test_a_plain_cursor_is_written_too(source: Any) -> None:
    file = io.BytesIO()
    formatter("csv").write(source, file)
    assert file.getvalue() == b'n,s\n1,a\n,"b,c"\n3,\n'


def test_a_format_that_is_no_text_says_that_it_cannot_be_written() -> None:
    with pytest.raises(
        DuctConfigError, match="'pandas' cannot be written to a file: use 'csv', 'hive' or 'parquet'"
    ):
        formatter("pandas").write(numbers(1), io.BytesIO())


def test_a_parquet_file_keeps_types_and_values(source: Any) -> None:
    file = io.BytesIO()
    formatter("parquet").write(source, file)
    assert pq.read_table(file).to_pydict() == {"n": [1, None, 3], "s": ["a", "b,c", None]}


def test_a_parquet_file_holds_every_type_that_duckdb_has() -> None:
    identity = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    query = (
        f"SELECT 1 AS x, 2 AS x, true AS b, 5::HUGEINT AS h, '{identity}'::UUID AS u, INTERVAL 1 DAY AS i, "
        "[INTERVAL 1 DAY] AS l, 1.5::DECIMAL(9, 2) AS d, '01'::BIT AS bits, NULL AS o, 'e'::ENUM('e') AS e, "
        "union_value(n := 2) AS v, MAP {'a': [1]} AS m, {'a': TIMESTAMPTZ '2020-01-01 00:00:00+00'} AS s"
    )
    with duckdb.connect() as duck:
        duck.execute("SET arrow_lossless_conversion = true")
        content = formatter("parquet").dump(duck.sql(query).to_arrow_reader(10))
    (row,) = pq.read_table(io.BytesIO(content)).to_pylist()
    assert (row["x"], row["x_1"], row["b"], row["h"], row["u"]) == (1, 2, True, 5, identity)
    assert (row["i"], row["bits"], row["o"], row["e"]) == ("0 months 1 days 0 seconds", "01", None, "e")


@pytest.mark.parametrize("given", [numbers(0), None])
def test_a_parquet_file_without_rows_is_one(given: Any) -> None:
    found = pq.read_table(io.BytesIO(formatter("parquet").dump(given)))
    assert found.num_rows == 0 and found.column_names == ([] if given is None else ["n", "s"])


def test_a_parquet_file_takes_the_names_and_the_compression_that_are_asked_for() -> None:
    options = {"column_name_formatter": str.upper, "compression": "none"}
    file = pq.ParquetFile(io.BytesIO(formatter("parquet", options).dump(numbers(1))))
    assert file.schema_arrow.names == ["N", "S"]
    assert file.metadata.row_group(0).column(0).compression == "UNCOMPRESSED"


# Options


@pytest.mark.parametrize("name", ["arrow", "csv", "dict", "pandas", "polars"])
def test_column_names_can_be_made_others(name: str) -> None:
    found = formatter(name, {"column_name_formatter": str.upper}).dump(numbers(1))
    if name == "csv":
        assert found == "N,S\n0,v0\n"
    elif name == "dict":
        assert found == [{"N": 0, "S": "v0"}]
    else:
        assert list(found.column_names if name == "arrow" else found.columns) == ["N", "S"]


def test_columns_can_be_the_index() -> None:
    frame = formatter("pandas", {"index_fields": ["s", "n"]}).dump(numbers(2))
    assert frame.index.names == ["s", "n"] and frame.index[1] == ("v1", 1)
    (row,) = formatter("pandas", {"index_fields": "s"}).stream(numbers(1))
    assert row.name == "v0" and row.to_dict() == {"n": 0}
    pieces = list(formatter("pandas", {"index_fields": "s"}).stream_batches(numbers(3), 2))
    assert pieces[1].index.tolist() == ["v2"]


def test_columns_can_be_read_as_dates() -> None:
    table = pa.table({"d": ["0001-01-01", None], "s": ["2020-01-01", "x"]})
    frame = formatter("pandas", {"date_fields": "d"}).dump(table)
    assert frame["d"].tolist() == [pd.Timestamp("0001-01-01"), pd.NaT]
    assert frame["s"].tolist() == ["2020-01-01", "x"]


def test_a_field_is_called_as_in_the_result() -> None:
    options = {"column_name_formatter": str.upper, "index_fields": "S"}
    assert formatter("pandas", options).dump(numbers(1)).index.tolist() == ["v0"]


@pytest.mark.parametrize("option", ["index_fields", "date_fields"])
def test_a_field_that_the_result_has_not_is_told_with_the_columns(option: str) -> None:
    with pytest.raises(DuctArgumentError, match=rf"{option} names 'name2'.*did you mean 'name'\?.*name, x"):
        formatter("pandas", {option: "name2"}).dump(pa.table({"name": [1], "x": [2]}))


def test_a_field_of_which_there_are_two_is_told() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    with pytest.raises(DuctArgumentError, match="index_fields names 'x', of which the result has 2 columns"):
        formatter("pandas", {"index_fields": "x"}).dump(table)


def test_a_backend_can_be_chosen() -> None:
    frame = formatter("pandas", {"dtype_backend": "pyarrow"}).dump(numbers(1))
    assert frame.dtypes.astype(str).tolist() == ["int64[pyarrow]", "string[pyarrow]"]


def test_csv_takes_the_parameters_of_the_module_csv() -> None:
    options = {
        "delimiter": ";",
        "lineterminator": "\r\n",
        "quoting": csv.QUOTE_ALL,
        "quotechar": "'",
        "null": "-",
    }
    table = pa.table({"n": [1, None], "s": ["a'b", "-"]})
    assert formatter("csv", options).dump(table) == "'n';'s'\r\n'1';'a''b'\r\n-;'-'\r\n"


def test_a_class_of_one_s_own_can_change_the_parameters_for_good() -> None:
    class Semicolons(CsvFormatter):
        FORMAT_PARAMS: ClassVar[Mapping[str, Any]] = {**CsvFormatter.FORMAT_PARAMS, "delimiter": ";"}

    assert formatter("csv", {}, {"csv": Semicolons}).dump(numbers(1)) == "n;s\n0;v0\n"
    assert formatter("csv").dump(numbers(1)) == "n,s\n0,v0\n"


def test_an_unknown_option_is_told_with_the_format_and_its_options() -> None:
    with pytest.raises(
        DuctArgumentError,
        match=r"format 'pandas' has no option 'index_field'; did you mean 'index_fields'.*\(its options: ",
    ):
        formatter("pandas", {"index_field": "x"})
    with pytest.raises(DuctArgumentError, match="format 'tuple' has no option 'include_header'"):
        formatter("tuple", {"include_header": True})


def test_an_unknown_format_is_told_with_the_known_ones() -> None:
    with pytest.raises(
        DuctConfigError, match=r"no format 'panda'; did you mean 'pandas'\? \(the formats: pandas"
    ):
        formatter("panda")


def test_a_format_of_one_s_own_needs_one_method() -> None:
    class Shape(Formatter):
        NAME = "shape"

        def _format(self, table: pa.Table) -> tuple[int, int]:
            return (table.num_rows, table.num_columns)

    shape = formatter("shape", None, {**CURSOR_FORMATTERS, "shape": Shape})
    assert shape.dump(numbers(5)) == (5, 2)
    assert list(shape.stream_batches(numbers(5), 3)) == [(3, 2), (2, 2)]
    assert list(shape.stream(numbers(2))) == [(1, 2), (1, 2)]
    assert isinstance(formatter("pandas"), PandasFormatter)
