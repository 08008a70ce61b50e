"""Presto and Trino: every value of a frame is in the table that is made of it, the same and of its type."""

from __future__ import annotations

import datetime
import math
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from omniduct.databases.presto import PrestoClient
from omniduct.errors import DuctArgumentError
from omniduct.testing.logical import same

UTC = datetime.timezone.utc
DAYS = [datetime.date(1, 1, 1), datetime.date(1969, 12, 31), datetime.date(9999, 12, 31)]
MOMENTS = [
    datetime.datetime(1, 1, 1),
    datetime.datetime(1969, 12, 31, 23, 59, 59, 999000),
    datetime.datetime(9999, 12, 31, 23, 59, 59, 999000),
]
ZONED = [datetime.datetime(1900, 1, 1, tzinfo=UTC), datetime.datetime(2020, 10, 25, 0, 30, tzinfo=UTC)]
TIMES = [datetime.time(0), datetime.time(23, 59, 59, 999000)]
WIDE = [Decimal("9999999999999999999999999999.9999999999"), Decimal("-1E-10"), Decimal("0E-10")]
NO_NUMBERS = [math.nan, math.inf, -math.inf]
ALL = bytes(range(256))
ID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")


ROW = pa.struct([("a", pa.list_(pa.float64()))])


def months(count: int, days: int = 0, nanoseconds: int = 0) -> Any:
    return pa.MonthDayNano([count, days, nanoseconds])


def extension(kind: pa.DataType, values: list[Any]) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))


KEPT: dict[str, tuple[Any, str]] = {
    "boolean": (pa.array([True, False]), "boolean"),
    "int8": (pa.array([-128, 127], pa.int8()), "tinyint"),
    "int16": (pa.array([-(2**15), 2**15 - 1], pa.int16()), "smallint"),
    "int32": (pa.array([-(2**31), 2**31 - 1], pa.int32()), "integer"),
    "int64": (pa.array([-(2**63), 2**63 - 1, 2**53 + 1]), "bigint"),
    "uint8": (pa.array([0, 2**8 - 1], pa.uint8()), "smallint"),
    "uint32": (pa.array([0, 2**32 - 1], pa.uint32()), "bigint"),
    "float16": (pa.array([1.5, -0.0], pa.float32()).cast(pa.float16()), "real"),
    "float32": (pa.array([2.0**-149, -0.0, *NO_NUMBERS, 3.4028235e38], pa.float32()), "real"),
    "float64": (pa.array([5e-324, -0.0, *NO_NUMBERS, 1.7976931348623157e308, 0.1]), "double"),
    "decimal": (pa.array(WIDE, pa.decimal128(38, 10)), "decimal(38,10)"),
    "decimal256": (pa.array([Decimal("1.50")], pa.decimal256(5, 2)), "decimal(5,2)"),
    "text": (pa.array(["", " ", "it's \\ \" \n\t\r", "a\x00b", "grüße 🦆 \u202e\u2028", "null"]), "varchar"),
    "words": (pa.array(["a", "b", "a"]).dictionary_encode(), "varchar"),
    "bytes": (pa.array([b"", ALL, b"\x00"]), "varbinary"),
    "bytes of one size": (pa.array([b"ab"], pa.binary(2)), "varbinary"),
    "date": (pa.array(DAYS), "date"),
    "time": (pa.array(TIMES, pa.time32("ms")), "time(3)"),
    "timestamp": (pa.array(MOMENTS, pa.timestamp("ms")), "timestamp(3)"),
    "timestamp of seconds": (pa.array([datetime.datetime(2020, 1, 1)], pa.timestamp("s")), "timestamp(0)"),
    "zoned": (pa.array(ZONED, pa.timestamp("ms", "UTC")), "timestamp(3) with time zone"),
    "zoned in Paris": (pa.array(ZONED, pa.timestamp("ms", "Europe/Paris")), "timestamp(3) with time zone"),
    "zoned by an offset": (pa.array(ZONED, pa.timestamp("ms", "-03:30")), "timestamp(3) with time zone"),
    "span": (
        pa.array([datetime.timedelta(milliseconds=-1), datetime.timedelta(40, 5)], pa.duration("us")),
        "interval day to second",
    ),
    "months": (pa.array([months(14), months(-3)]), "interval year to month"),
    "uuid": (extension(pa.uuid(), [ID.bytes]), "uuid"),
    "json": (extension(pa.json_(pa.string()), ['{"a":[1,null,"é"]}', '"x"', "null"]), "json"),
    "list": (pa.array([[1, None], [], [3]]), "array(bigint)"),
    "list of one size": (pa.array([[1, 2], [3, 4]], pa.list_(pa.int32(), 2)), "array(integer)"),
    "list of dates": (pa.array([[DAYS[0], None], []]), "array(date)"),
    "list of bytes": (pa.array([[ALL, None], []]), "array(varbinary)"),
    "list of lists of bytes": (pa.array([[[b"a"], None], []]), "array(array(varbinary))"),
    "list of zoned": (
        pa.array([[ZONED[0], None]], pa.list_(pa.timestamp("ms", "UTC"))),
        "array(timestamp(3) with time zone)",
    ),
    "row": (
        pa.array([{"a": 1, "b c": DAYS[0]}, {"a": None, "b c": None}]),
        "row(a bigint, b c date)",
    ),
    "row of bytes": (
        pa.array([{"a": b"x", "b": [{"c": b"y", "d": 1}]}, {"a": None, "b": None}]),
        "row(a varbinary, b array(row(c varbinary, d bigint)))",
    ),
    "map": (pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())), "map(varchar, bigint)"),
    "map of dates": (
        pa.array([[(DAYS[0], b"x")], [(DAYS[1], None)]], pa.map_(pa.date32(), pa.binary())),
        "map(date, varbinary)",
    ),
    "map of rows": (
        pa.array([[("k", {"a": [1.5, math.nan]})]], pa.map_(pa.string(), ROW)),
        "map(varchar, row(a array(double)))",
    ),
}  # fmt: skip
"""A column's name, its values, and the type that it has in Trino, without quotes."""

CHANGED: dict[str, tuple[Any, str, list[Any]]] = {
    "uint64": (pa.array([2**64 - 1], pa.uint64()), "decimal(20,0)", [Decimal(2**64 - 1)]),
    "decimal of tens": (pa.array([Decimal("1E2")], pa.decimal128(3, -2)), "decimal(5,0)", [Decimal(100)]),
    "nothing": (pa.nulls(1), "varchar", [None]),
    "mixed span": (pa.array([months(14, 1, 5)]), "varchar", ["14 months 1 days 0.000000005 seconds"]),
}
"""The same, and what the values become."""


def with_nulls(values: pa.Array, length: int) -> pa.Array:
    """The values, and nulls before them and behind."""
    values = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    before, behind = pa.nulls(1, values.type), pa.nulls(length - len(values) - 1, values.type)
    return pa.concat_arrays([before, values, behind])


def of_presto(kind: str) -> str:
    """The name of a type in Presto, where times have no precision."""
    return kind.replace("(3)", "").replace("(0)", "")


def test_values_stay_the_same_and_of_their_type(duct: PrestoClient) -> None:
    frame = pa.table({name: with_nulls(values, 9) for name, (values, _) in KEPT.items()})
    duct.dataframe_to_table(frame.append_column("k", pa.array(range(9))), "t")
    found = duct.query("SELECT * FROM t ORDER BY k", format="arrow")
    for name in frame.column_names:
        for one, other in zip(found[name.lower()].to_pylist(), frame[name].to_pylist(), strict=True):
            assert same_deep(one, other), name
    types = dict(duct.table_desc("t").set_index("column_name")["data_type"])
    is_presto = duct.protocol == "presto"
    expected = {name: of_presto(kind) if is_presto else kind for name, (_, kind) in KEPT.items()}
    assert {name: types[name.lower()].replace('"', "") for name in KEPT} == expected


def same_deep(one: Any, other: Any) -> bool:
    if isinstance(other, dict):
        return one.keys() == other.keys() and all(same_deep(one[key], other[key]) for key in other)
    if isinstance(other, (list, tuple)) and type(other) in (list, tuple):
        return len(one) == len(other) and all(map(same_deep, one, other))
    return one is None if other is None else same(one, other)


def test_values_that_are_added_stay_the_same(duct: PrestoClient) -> None:
    frame = pa.table({name: with_nulls(values, 9) for name, (values, _) in KEPT.items()})
    duct.dataframe_to_table(frame.slice(0, 0), "t")
    duct.dataframe_to_table(frame, "t", if_exists="append")
    assert duct.query("SELECT count(*) FROM t", format="tuple") == [(9,)]
    for name, values in zip(frame.column_names, duct.query("SELECT * FROM t", format="arrow"), strict=True):
        count = len(values) - values.null_count
        assert count == len(KEPT[name][0]), name


def test_what_the_server_has_no_type_for_loses_nothing(duct: PrestoClient) -> None:
    duct.dataframe_to_table(pa.table({name: values for name, (values, *_) in CHANGED.items()}), "t")
    found = duct.query("SELECT * FROM t", format="arrow")
    assert [found[name].to_pylist() for name in CHANGED] == [values for *_, values in CHANGED.values()]
    assert duct.table_desc("t")["data_type"].tolist() == [kind for _, kind, _ in CHANGED.values()]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (pa.array([datetime.time(0, 0, 0, 1)]), "lose data"),
        (pa.array([datetime.datetime(2020, 1, 1, microsecond=1)]), "lose data"),
        (pa.array([[datetime.datetime(2020, 1, 1, microsecond=1)]]), "lose data"),
    ],
)
def test_presto_has_no_microseconds(duct: PrestoClient, values: pa.Array, reason: str) -> None:
    frame = pa.table({"v": values})
    if duct.protocol == "trino":
        duct.dataframe_to_table(frame, "t")
        assert duct.query("SELECT v FROM t", format="arrow")["v"].to_pylist() == values.to_pylist()
        return
    with pytest.raises(DuctArgumentError, match=f"the column 'v'.* cannot be stored as it is: .*{reason}"):
        duct.dataframe_to_table(frame, "t")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (pa.array([datetime.timedelta(microseconds=1)]), "lose data"),
        (pa.array([Decimal(10**40)], pa.decimal256(41, 0)), "precision"),
        (pa.array([40_000 * 366], pa.int32()).cast(pa.date32()), "there is a year beyond"),
        (pa.array([{}], pa.struct([])), "no type for struct"),
    ],
)
def test_what_cannot_be_stored_is_refused(duct: PrestoClient, values: pa.Array, reason: str) -> None:
    with pytest.raises(DuctArgumentError, match=f"the column 'v'.* cannot be stored as it is: .*{reason}"):
        duct.dataframe_to_table(pa.table({"v": values}), "t")
    assert not duct.table_exists("t")
