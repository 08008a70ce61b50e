from __future__ import annotations

import datetime
import enum
import math
import sqlite3
import uuid
import zoneinfo
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from omniduct.databases.arrow.inference import Columns, infer
from omniduct.databases.arrow.values import pylist

UTC = datetime.timezone.utc
EAST = datetime.timezone(datetime.timedelta(hours=2))
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
ID = uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")


class Colour(enum.Enum):
    RED = 1


class Size(enum.IntEnum):
    SMALL = 1


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, False], pa.bool_()),
        ([1, 2**63 - 1, -(2**63)], pa.int64()),
        ([1, 1.5], pa.float64()),
        ([0.1, math.inf], pa.float64()),
        ([2**63], pa.decimal128(38, 0)),
        ([10**38 - 1, -1], pa.decimal128(38, 0)),
        ([10**75], pa.decimal256(76, 0)),
        ([Decimal("1.50"), Decimal("-0.001")], pa.decimal128(38, 3)),
        ([Decimal("1.5"), 10**20], pa.decimal128(38, 1)),
        ([Decimal("1E+10"), Decimal("0.5")], pa.decimal128(38, 1)),
        ([Decimal("1" * 38), Decimal("0." + "1" * 38)], pa.decimal256(76, 38)),
        (["a", "🦆", ""], pa.string()),
        ([b"a", b"\xff"], pa.binary()),
        ([datetime.date(1, 1, 1), datetime.date.max], pa.date32()),
        ([datetime.datetime.min, datetime.datetime.max], pa.timestamp("us")),
        ([datetime.datetime(2020, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        ([datetime.datetime(2020, 1, 1, tzinfo=EAST)], pa.timestamp("us", "+02:00")),
        (
            [datetime.datetime(2020, month, 1, tzinfo=BERLIN) for month in (1, 7)],
            pa.timestamp("us", "Europe/Berlin"),
        ),
        (
            [datetime.datetime(2020, 1, 1, tzinfo=UTC), datetime.datetime(2020, 1, 1, tzinfo=EAST)],
            pa.timestamp("us", "UTC"),
        ),
        ([datetime.time(1, 2, 3, 4)], pa.time64("us")),
        ([datetime.timedelta(days=-1, microseconds=1)], pa.duration("us")),
        ([ID], pa.uuid()),
        ([[1], [2, None]], pa.list_(pa.int64())),
        ([{"a": 1}, {"a": 2}], pa.struct({"a": pa.int64()})),
        ([[{"a": [math.nan]}]], pa.list_(pa.struct({"a": pa.list_(pa.float64())}))),
        ([np.int16(3)], pa.int16()),
    ],
)
def test_a_column_has_the_type_that_holds_its_values(values: list[Any], kind: pa.DataType) -> None:
    whole = infer(values)
    assert whole.type == kind
    assert pylist(whole) == values or repr(pylist(whole)) == repr(values)
    holed = infer([None, *values, None])
    assert holed.type == kind
    assert pylist(holed) == [None, *values, None] or repr(pylist(holed)) == repr([None, *values, None])


@pytest.mark.parametrize("values", [[], [None, None]])
def test_a_column_without_a_value_has_the_null_type(values: list[None]) -> None:
    assert infer(values).equals(pa.nulls(len(values)))


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, "a", 1.5, b"\xff", True], ["1", "a", "1.5", "ff", "true"]),
        ([True, 1], ["true", "1"]),
        ([2**53 + 1, 0.5], ["9007199254740993", "0.5"]),
        ([10**77], [str(10**77)]),
        ([Decimal("1.5"), Decimal("NaN")], ["1.5", "NaN"]),
        ([Decimal("-Infinity")], ["-Infinity"]),
        ([Decimal("0.1"), 0.1], ["0.1", "0.1"]),
        (["a", b"b"], ["a", "62"]),
        (
            [datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1, 2)],
            ["2020-01-01", "2020-01-01 02:00:00"],
        ),
        (
            [datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 1, tzinfo=UTC)],
            ["2020-01-01 00:00:00", "2020-01-01 00:00:00+00:00"],
        ),
        ([datetime.time(1, tzinfo=EAST)], ["01:00:00+02:00"]),
        ([datetime.timedelta.max], ["999999999 days 86399.999999 seconds"]),
        ([pd.Timestamp("2020-01-01 00:00:00.000000001")], ["2020-01-01 00:00:00.000000001"]),
        ([{"a": 1}, {"b": 2}], ['{"a": 1}', '{"b": 2}']),
        ([[1], ["a"]], ["[1]", '["a"]']),
        ([{1}], ["{1}"]),
        ([Colour.RED], ["Colour.RED"]),
        (["\ud800"], ["\\ud800"]),
    ],
)
def test_values_that_no_type_holds_are_text(values: list[Any], texts: list[str]) -> None:
    assert infer([*values, None]).to_pylist() == [*texts, None]


def test_a_subclass_counts_as_its_base() -> None:
    assert infer([Size.SMALL, 2]).equals(pa.array([1, 2]))
    assert infer([np.float64(0.5)]).equals(pa.array([0.5]))
    assert infer([bytearray(b"a"), memoryview(b"b")]).equals(pa.array([b"a", b"b"]))
    assert infer([(1, 2), (3,)]).equals(pa.array([[1, 2], [3]]))


def test_a_later_piece_has_the_types_of_the_first() -> None:
    columns = Columns(["n", "f", "d", "s", "l"])
    first = columns.table([(1, 0.5, Decimal("1.5"), "a", [0.5])])
    second = columns.table([(None, 2, Decimal("12345.5"), None, [1])])
    assert second.schema == first.schema
    assert second.to_pylist() == [{"n": None, "f": 2.0, "d": Decimal("12345.5"), "s": None, "l": [1.0]}]


def test_a_later_piece_is_widened_where_it_has_to_be() -> None:
    columns = Columns(["a", "b", "c", "d"])
    columns.table([(None, 1, 0.5, 1)])
    assert columns.table([(1, "007", 2**53 + 1, 2)]).to_pylist() == [
        {"a": 1, "b": "007", "c": 2**53 + 1, "d": 2}
    ]
    assert columns.table([(None, 8, 1, 0.5)]).schema.types == [
        pa.int64(),
        pa.string(),
        pa.int64(),
        pa.float64(),
    ]


def test_rows_of_sqlite_keep_what_each_cell_holds() -> None:
    with sqlite3.connect(":memory:") as connection:
        cursor = connection.execute(
            "SELECT 1 AS n, NULL AS o UNION ALL SELECT 'a', x'ff' UNION ALL SELECT 0.5, 2"
        )
        table = Columns(["n", "o"]).table(cursor.fetchall())
    assert table.to_pydict() == {"n": ["1", "a", "0.5"], "o": [None, "ff", "2"]}


def test_no_rows_still_are_a_table() -> None:
    table = Columns(["x", "x", ""]).table([])
    assert (table.column_names, table.num_rows) == (["x", "x", ""], 0)
