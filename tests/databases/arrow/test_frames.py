from __future__ import annotations

import datetime
import subprocess
import sys
import uuid
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from omniduct.databases.arrow.frames import parse_dates, to_pandas, to_polars, unique_names
from omniduct.errors import DuctArgumentError

ID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
TEXT = "str" if int(pd.__version__.split(".")[0]) >= 3 else "string"


def table(query: str, lossless: bool = False) -> pa.Table:
    with duckdb.connect() as connection:
        connection.execute("SET timezone = 'Europe/Berlin'")
        if lossless:
            connection.execute("SET arrow_lossless_conversion = true")
        return connection.sql(query).to_arrow_table()


def column(expression: str, null: bool, **options: Any) -> pa.Table:
    return table(f"SELECT {expression} AS x" + (" UNION ALL SELECT NULL" if null else ""), **options)


@pytest.mark.parametrize(
    ("expression", "dtype", "dtype_with_null", "value"),
    [
        ("true", "bool", "boolean", True),
        ("1::TINYINT", "int8", "Int8", 1),
        ("1::UTINYINT", "uint8", "UInt8", 1),
        ("1::SMALLINT", "int16", "Int16", 1),
        ("1::USMALLINT", "uint16", "UInt16", 1),
        ("1::INTEGER", "int32", "Int32", 1),
        ("1::UINTEGER", "uint32", "UInt32", 1),
        ("9007199254740993::BIGINT", "int64", "Int64", 2**53 + 1),
        ("18446744073709551615::UBIGINT", "uint64", "UInt64", 2**64 - 1),
        ("0.5::FLOAT", "float32", "float32", 0.5),
        ("0.1::DOUBLE", "float64", "float64", 0.1),
        ("1.50::DECIMAL(12, 2)", *["decimal128(12, 2)[pyarrow]"] * 2, Decimal("1.50")),
        (
            "12345678901234567890123456789012345678::HUGEINT",
            *["decimal128(38, 0)[pyarrow]"] * 2,
            Decimal("12345678901234567890123456789012345678"),
        ),
        ("'a'", TEXT, TEXT, "a"),
        ("'{}'::JSON", TEXT, TEXT, "{}"),
        ("'a'::BLOB", "object", "object", b"a"),
        ("DATE '0001-01-01'", *["datetime64[s]"] * 2, pd.Timestamp("0001-01-01")),
        ("DATE '9999-12-31'", *["datetime64[s]"] * 2, pd.Timestamp("9999-12-31")),
        ("TIMESTAMP_S '0001-01-01'", *["datetime64[s]"] * 2, pd.Timestamp("0001-01-01")),
        ("TIMESTAMP_MS '2020-01-01'", *["datetime64[ms]"] * 2, pd.Timestamp("2020-01-01")),
        ("TIMESTAMP '9999-12-31'", *["datetime64[us]"] * 2, pd.Timestamp("9999-12-31")),
        (
            "TIMESTAMP_NS '2020-01-01 00:00:00.000000001'",
            *["datetime64[ns]"] * 2,
            pd.Timestamp("2020-01-01 00:00:00.000000001"),
        ),
        (
            "TIMESTAMPTZ '2020-07-01 12:00:00+00'",
            *["datetime64[us, Europe/Berlin]"] * 2,
            pd.Timestamp("2020-07-01 14:00", tz="Europe/Berlin"),
        ),
        ("TIME '01:02:03'", "object", "object", datetime.time(1, 2, 3)),
        ("TIME '24:00:00'", "object", "object", "24:00:00"),
        ("[1, NULL]", "object", "object", [1, None]),
        ("[1, 2]::INTEGER[2]", "object", "object", [1, 2]),
        ("{'a': {'b': 1}}", "object", "object", {"a": {"b": 1}}),
        ("MAP {'a': 1}", "object", "object", {"a": 1}),
        ("'x'::ENUM('x', 'y')", "category", "category", "x"),
        ("union_value(n := 2)", "object", "object", 2),
    ],
)
def test_a_column_keeps_its_values_in_pandas(
    expression: str, dtype: str, dtype_with_null: str, value: Any
) -> None:
    whole = to_pandas(column(expression, null=False))["x"]
    assert (str(whole.dtype), whole[0]) == (dtype, value)
    holed = to_pandas(column(expression, null=True))["x"]
    assert (str(holed.dtype), holed[0]) == (dtype_with_null, value)
    assert holed.isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("expression", "dtype", "value"),
    [
        ("true", "boolean", True),
        (f"'{ID}'::UUID", "object", uuid.UUID(ID)),
        ("'{}'::JSON", TEXT, "{}"),
        ("(-3)::HUGEINT", "decimal128(38, 0)[pyarrow]", Decimal(-3)),
        (
            "170141183460469231731687303715884105727::HUGEINT",
            "decimal128(38, 0)[pyarrow]",
            Decimal(2**127 - 1),
        ),
        (
            "340282366920938463463374607431768211455::UHUGEINT",
            "decimal256(39, 0)[pyarrow]",
            Decimal(2**128 - 1),
        ),
        ("'0101'::BIT", "object", "0101"),
    ],
)
def test_an_extension_type_keeps_its_values_in_pandas(expression: str, dtype: str, value: Any) -> None:
    series = to_pandas(column(expression, null=True, lossless=True))["x"]
    assert (str(series.dtype), series[0]) == (dtype, value)
    assert series.isna().tolist() == [False, True]


def test_a_part_of_a_column_of_large_integers_has_that_part_of_its_values() -> None:
    source = table("SELECT IF(range = 2, NULL, range::HUGEINT) AS x FROM range(5)", lossless=True)
    assert to_pandas(source.slice(1, 3))["x"].tolist() == [1, pd.NA, 3]


def test_an_interval_can_be_added_to_a_timestamp() -> None:
    source = column("INTERVAL '1 month 2 days 3.000004 seconds'", null=True)
    intervals = to_pandas(source)["x"]
    assert pd.Timestamp("2020-01-31") + intervals[0] == pd.Timestamp("2020-03-02 00:00:03.000004")
    assert intervals[1] is None


def test_a_null_column_is_none() -> None:
    assert to_pandas(pa.table({"x": pa.nulls(2)}))["x"].tolist() == [None, None]


def test_a_duration_keeps_its_unit() -> None:
    series = to_pandas(pa.table({"x": pa.array([1, None], pa.duration("s"))}))["x"]
    assert series.dtype == "timedelta64[s]"
    assert series[0] == pd.Timedelta(seconds=1)


def test_decimals_can_be_added_up() -> None:
    frame = to_pandas(table("SELECT (range / 100)::DECIMAL(12, 2) AS x FROM range(101)"))
    assert frame["x"].sum() == Decimal("50.50")


@pytest.mark.parametrize("chunks", [1, 3])
def test_a_frame_can_be_changed_and_the_table_stays(chunks: int) -> None:
    source = table(
        "SELECT range AS i, range / 2 AS f, range % 2 = 0 AS b, 'a' || range AS s, DATE '2020-01-01' AS d, "
        "TIMESTAMP '2020-01-01' AS t, TIMESTAMPTZ '2020-01-01' AS z, range::DECIMAL(9, 1) AS dec, "
        "[range] AS l, IF(range > 0, range, NULL) AS n, 'x'::ENUM('x', 'y') AS e FROM range(4)"
    )
    whole = pa.concat_tables([source] * chunks)
    copy = whole.to_pylist()
    frame = to_pandas(whole)
    last = frame.iloc[-1].copy()
    for name in frame:
        frame.loc[0, name] = last[name] if name != "l" else None
    frame["i"] += 1
    frame.iloc[:, 1] = 0.0
    assert frame.loc[0, "s"] == "a3" and frame.loc[0, "n"] == 3 and frame.loc[0, "i"] == 4
    assert whole.to_pylist() == copy


def test_chunks_with_words_of_their_own_are_one_categorical() -> None:
    words = pa.chunked_array(
        [pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", "a"]).dictionary_encode()]
    )
    series = to_pandas(pa.table({"x": words}))["x"]
    assert series.tolist() == ["a", "b", "c", "a"]
    assert isinstance(series.dtype, pd.CategoricalDtype)


def test_columns_of_one_name_stay_in_pandas() -> None:
    frame = to_pandas(table("SELECT 1 AS x, 'a' AS x, 3 AS y"))
    assert list(frame.columns) == ["x", "x", "y"]
    assert frame.iloc[0].tolist() == [1, "a", 3]


@pytest.mark.parametrize("dtype_backend", [None, "numpy_nullable", "pyarrow", "numpy"])
def test_an_empty_result_keeps_its_columns(dtype_backend: Any) -> None:
    source = table(
        "SELECT 1 AS i, 1.5 AS d, 'a' AS s, DATE '2020-01-01' AS t, [1] AS l, TIMESTAMPTZ '2020-01-01' AS z, "
        "'x'::ENUM('x') AS e, TIME '00:00' AS c, INTERVAL 1 DAY AS v, true AS b WHERE false"
    )
    frame = to_pandas(source, dtype_backend)
    assert list(frame.columns) == source.column_names
    assert len(frame) == 0
    if dtype_backend is None:
        assert [str(frame[name].dtype) for name in "isbtzd"] == [
            "int32",
            TEXT,
            "bool",
            "datetime64[s]",
            "datetime64[us, Europe/Berlin]",
            "decimal128(2, 1)[pyarrow]",
        ]


def test_a_result_without_columns_is_an_empty_frame() -> None:
    assert to_pandas(pa.table({})).shape == (0, 0)
    assert to_polars(pa.table({})).shape == (0, 0)


def test_nullable_types_are_used_throughout_where_asked_for() -> None:
    frame = to_pandas(table("SELECT 1 AS i, 0.5::DOUBLE AS f, true AS b, 'a' AS s"), "numpy_nullable")
    assert [str(dtype) for dtype in frame.dtypes] == ["Int32", "Float64", "boolean", "string"]
    assert to_pandas(column("0.5::DOUBLE", null=True), "numpy_nullable")["x"][1] is pd.NA


def test_arrow_types_are_used_throughout_where_asked_for() -> None:
    source = table(
        f"SELECT 1 AS i, 'a' AS s, DATE '0001-01-01' AS d, '{ID}'::UUID AS u, 5::HUGEINT AS h", True
    )
    frame = to_pandas(source, "pyarrow")
    assert all(isinstance(dtype, pd.ArrowDtype) for dtype in frame.dtypes)
    assert frame.iloc[0].tolist() == [1, "a", datetime.date(1, 1, 1), ID, 5]


@pytest.mark.parametrize("dtype_backend", ["pyarrow", "numpy_nullable"])
def test_a_frame_of_any_type_can_be_shown(dtype_backend: Any) -> None:
    source = table(
        f"SELECT INTERVAL 1 MONTH AS i, union_value(n := 2) AS u, '{ID}'::UUID AS id, '01'::BIT AS b, "
        f"[INTERVAL 1 DAY] AS l, ['{ID}'::UUID] AS ids, MAP {{'a': 1}} AS m",
        lossless=True,
    )
    assert ID in to_pandas(source, dtype_backend).to_string()
    assert to_polars(source).shape == (1, 7) and str(to_polars(source))


def test_the_classic_types_lose_what_they_always_lost() -> None:
    series = to_pandas(column("9007199254740993", null=True), "numpy")["x"]
    assert series.dtype == np.float64 and series[0] == 2**53


def test_an_unknown_backend_is_told_with_the_known_ones() -> None:
    with pytest.raises(
        DuctArgumentError, match=r"'pyarow'.*numpy_nullable, pyarrow, numpy.*did you mean 'pyarrow'"
    ):
        to_pandas(pa.table({"x": [1]}), "pyarow")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("expression", "dtype", "value"),
    [
        ("9007199254740993::BIGINT", pl.Int64, 2**53 + 1),
        ("1.50::DECIMAL(12, 2)", pl.Decimal(12, 2), Decimal("1.50")),
        ("'a'", pl.String, "a"),
        ("'{}'::JSON", pl.String, "{}"),
        ("true", pl.Boolean, True),
        (f"'{ID}'::UUID", pl.String, ID),
        ("5::HUGEINT", pl.Decimal(38, 0), Decimal(5)),
        ("340282366920938463463374607431768211455::UHUGEINT", pl.String, str(2**128 - 1)),
        ("'0101'::BIT", pl.String, "0101"),
        ("DATE '0001-01-01'", pl.Date, datetime.date(1, 1, 1)),
        ("DATE 'infinity'", pl.String, "5881580-07-11"),
        ("TIMESTAMP_S '2020-01-01'", pl.Datetime("ms"), datetime.datetime(2020, 1, 1)),
        ("TIME '01:02:03'", pl.Time, datetime.time(1, 2, 3)),
        ("TIME '24:00:00'", pl.String, "24:00:00"),
        ("[1, NULL]", pl.List(pl.Int32), [1, None]),
        ("[true]", pl.List(pl.Boolean), [True]),
        (f"['{ID}'::UUID]", pl.String, f'["{ID}"]'),
        ("{'a': '{}'::JSON}", pl.Struct({"a": pl.String}), {"a": "{}"}),
        ("'x'::ENUM('x', 'y')", None, "x"),
        ("union_value(n := 2)", pl.String, "2"),
    ],
)
def test_a_column_keeps_its_values_in_polars(expression: str, dtype: Any, value: Any) -> None:
    for null in (False, True):
        series = to_polars(column(expression, null=null, lossless=True))["x"]
        assert dtype is None or series.dtype == dtype
        assert series.to_list() == [value, *[None] * null]


def test_an_interval_is_a_struct_in_polars() -> None:
    frame = to_polars(column("INTERVAL '1 month 2 days 3 seconds'", null=True))
    assert frame["x"].to_list() == [{"months": 1, "days": 2, "nanoseconds": 3 * 10**9}, None]


def test_structs_without_names_are_text_in_polars() -> None:
    nameless = pa.StructArray.from_arrays([pa.array([1]), pa.array(["a"])], names=["", ""])
    assert to_polars(pa.table({"x": nameless}))["x"].to_list() == ['[1, "a"]']


@pytest.mark.parametrize(
    "names", ["x x x x_1", "x_1 x x", "x x_1 x x_1", "x y"], ids=lambda names: names.replace(" ", "-")
)
def test_names_that_come_twice_get_the_suffixes_that_duckdb_gives(names: str) -> None:
    with duckdb.connect() as connection:
        query = "SELECT " + ", ".join(f"{number} AS {name}" for number, name in enumerate(names.split()))
        assert unique_names(names.split()) == list(connection.sql(query).df().columns)
        assert to_polars(connection.sql(query).to_arrow_table()).columns == unique_names(names.split())


def test_a_missing_polars_is_told_with_the_way_to_have_it() -> None:
    program = (
        "import sys, pyarrow; sys.modules['polars'] = None\n"
        "from omniduct.databases.arrow.frames import to_polars\n"
        "to_polars(pyarrow.table({'x': [1]}))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stderr.splitlines()[-1] == (
        "omniduct.errors.DuctDriverMissing: polars is not installed: pip install polars"
    )


def test_text_and_seconds_are_read_as_dates() -> None:
    source = pa.table(
        {
            "iso": ["0001-01-01", None],
            "zoned": ["2020-01-01 00:00:00+02:00", None],
            "other": ["Jan 2, 2020", None],
            "seconds": [86_400, None],
            "parts": [0.5, None],
            "exact": pa.array([Decimal("1.5"), None]),
            "date": [datetime.date(2020, 1, 1), None],
            "not": ["2020-01-01", None],
        }
    )
    found = parse_dates(source, [name for name in source.column_names if name != "not"])
    assert [str(value) for value in found.to_pylist()[0].values()] == [
        "0001-01-01 00:00:00", "2019-12-31 22:00:00+00:00", "2020-01-02 00:00:00", "1970-01-02 00:00:00",
        "1970-01-01 00:00:00.500000", "1970-01-01 00:00:01.500000", "2020-01-01", "2020-01-01",
    ]  # fmt: skip
    assert set(found.to_pylist()[1].values()) == {None}


def test_text_that_is_no_date_is_told_with_its_column() -> None:
    with pytest.raises(DuctArgumentError, match="date_fields names 'x', whose values are no dates"):
        parse_dates(pa.table({"x": ["no date"]}), ["x"])
