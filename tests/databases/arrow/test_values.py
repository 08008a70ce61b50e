from __future__ import annotations

import datetime
import uuid
import zoneinfo
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from omniduct.databases.arrow.values import pylist

UTC = datetime.timezone.utc
ID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"


def value(expression: str, lossless: bool = False) -> Any:
    """What DuckDB's value of an expression becomes, after a null and before another."""
    with duckdb.connect() as connection:
        connection.execute("SET timezone = 'Europe/Berlin'")
        if lossless:
            connection.execute("SET arrow_lossless_conversion = true")
        query = f"SELECT NULL AS x UNION ALL SELECT {expression} UNION ALL SELECT NULL"
        first, found, last = pylist(connection.sql(query).to_arrow_table().column(0))
    assert first is None and last is None
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("true", True),
        ("(-1)::TINYINT", -1),
        ("255::UTINYINT", 255),
        ("(-2)::SMALLINT", -2),
        ("3::USMALLINT", 3),
        ("4::INTEGER", 4),
        ("5::UINTEGER", 5),
        ("9007199254740993::BIGINT", 2**53 + 1),
        ("18446744073709551615::UBIGINT", 2**64 - 1),
        ("(-7)::HUGEINT", Decimal(-7)),
        ("0.5::FLOAT", 0.5),
        ("0.1::DOUBLE", 0.1),
        (
            "'12345678901234567890123456789012345678'::DECIMAL(38, 0)",
            Decimal("12345678901234567890123456789012345678"),
        ),
        ("'-1.50'::DECIMAL(12, 2)", Decimal("-1.50")),
        ("'a🦆'", "a🦆"),
        ("''", ""),
        ("'\\xFF\\x00'::BLOB", b"\xff\x00"),
        ("DATE '0001-01-01'", datetime.date(1, 1, 1)),
        ("DATE '9999-12-31'", datetime.date(9999, 12, 31)),
        ("TIMESTAMP_S '0001-01-01 00:00:01'", datetime.datetime(1, 1, 1, 0, 0, 1)),
        ("TIMESTAMP_MS '1969-12-31 23:59:59.999'", datetime.datetime(1969, 12, 31, 23, 59, 59, 999000)),
        ("TIMESTAMP '9999-12-31 23:59:59.999999'", datetime.datetime.max),
        ("TIMESTAMP_NS '2020-01-01 00:00:00.000001'", datetime.datetime(2020, 1, 1, 0, 0, 0, 1)),
        ("TIMESTAMPTZ '2020-07-01 12:00:00+00'", datetime.datetime(2020, 7, 1, 12, tzinfo=UTC)),
        ("TIME '01:02:03.000004'", datetime.time(1, 2, 3, 4)),
        ("[1, NULL]", [1, None]),
        ("[]::INTEGER[]", []),
        ("[1, 2]::INTEGER[2]", [1, 2]),
        ("{'a': 1, 'b': [{'c': NULL::DATE}]}", {"a": 1, "b": [{"c": None}]}),
        ("MAP {'a': 1, 'b': NULL}", {"a": 1, "b": None}),
        ("MAP {{'a': 1}: 2}", [({"a": 1}, 2)]),
        ("[DATE '2020-01-01']", [datetime.date(2020, 1, 1)]),
        ("'y'::ENUM('x', 'y')", "y"),
        ("union_value(n := 2)", 2),
        ("'{\"a\": 1}'::JSON", '{"a": 1}'),
    ],
)
def test_a_value_of_duckdb_is_the_plain_python_value(expression: str, expected: Any) -> None:
    found = value(expression)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("true", True),
        ("170141183460469231731687303715884105727::HUGEINT", 2**127 - 1),
        ("(-1)::HUGEINT", -1),
        ("340282366920938463463374607431768211455::UHUGEINT", 2**128 - 1),
        ("1" + "0" * 44, 10**44),
        ("-1" + "0" * 43 + "1", -(10**44) - 1),
        ("'0101'::BIT", "0101"),
        ("'010111110101'::BIT", "010111110101"),
        (f"'{ID}'::UUID", uuid.UUID(ID)),
        (f"[{{'id': '{ID}'::UUID}}]", [{"id": uuid.UUID(ID)}]),
        ("'{}'::JSON", "{}"),
    ],
)
def test_a_value_that_duckdb_sends_as_an_extension_type_is_the_plain_python_value(
    expression: str, expected: Any
) -> None:
    if len(expression) > 40 and expression.lstrip("-").isdigit() and duckdb.__version__ < "2":
        expected = float(expected)  # has no integer that large
    found = value(expression, lossless=True)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("zone", ["+02", "-02:30", "+00", "+15:59:59", "-15:59:59"])
def test_a_time_of_day_keeps_its_offset(zone: str) -> None:
    assert (
        str(value(f"TIMETZ '01:02:03{zone}'", lossless=True))
        == f"01:02:03{zone if ':' in zone else zone + ':00'}"
    )


def test_a_datetime_has_the_zone_of_the_column() -> None:
    found = value("TIMESTAMPTZ '2020-07-01 12:00:00+00'")
    assert found.tzinfo == zoneinfo.ZoneInfo("Europe/Berlin")
    assert found.isoformat() == "2020-07-01T14:00:00+02:00"


def test_a_datetime_may_have_an_offset_for_a_zone() -> None:
    column = pa.array([0, None], pa.timestamp("s", "-02:30"))
    assert str(pylist(column)[0]) == "1969-12-31 21:30:00-02:30"


def test_an_unknown_zone_gives_the_same_instants_in_utc() -> None:
    assert pylist(pa.array([0], pa.timestamp("s", "Nowhere/Land"))) == [
        datetime.datetime(1970, 1, 1, tzinfo=UTC)
    ]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("DATE 'infinity'", "5881580-07-11"),
        ("TIMESTAMP 'infinity'", "294247-01-10T04:00:54.775807"),
        ("TIMESTAMPTZ 'infinity'", "294247-01-10T04:00:54.775807+00:00"),
        ("TIMESTAMPTZ '9999-12-31 23:30:00+00'", "9999-12-31T23:30:00+00:00"),
        ("DATE '10000-01-01'", "10000-01-01"),
        ("TIME '24:00:00'", "24:00:00"),
        ("[TIME '24:00:00']", ["24:00:00"]),
    ],
)
def test_what_python_has_no_value_for_is_its_text(expression: str, expected: Any) -> None:
    assert value(expression) == expected


def test_a_timestamp_keeps_its_nanoseconds() -> None:
    assert (
        value("TIMESTAMP_NS '2020-01-01 00:00:00.000000001'").isoformat() == "2020-01-01T00:00:00.000000001"
    )


def test_a_time_keeps_its_nanoseconds() -> None:
    column = pa.array([1, 1000, None, 3_600_000_000_000], pa.time64("ns"))
    assert pylist(column) == ["00:00:00.000000001", datetime.time(0, 0, 0, 1), None, datetime.time(1)]


@pytest.mark.parametrize("unit", ["s", "ms"])
def test_a_time_of_a_coarse_unit_is_a_time(unit: str) -> None:
    assert pylist(pa.array([0, None], pa.time32(unit))) == [datetime.time(0), None]


def test_a_duration_is_a_timedelta_where_one_holds_it() -> None:
    assert pylist(pa.array([-1, None], pa.duration("ms"))) == [datetime.timedelta(milliseconds=-1), None]
    assert pylist(pa.array([2000, 1], pa.duration("ns"))) == [
        datetime.timedelta(microseconds=2),
        "0.000000001 seconds",
    ]
    assert pylist(pa.array([2**62], pa.duration("s"))) == [f"{2**62} seconds"]


def test_an_interval_keeps_months_days_and_nanoseconds_apart() -> None:
    found = value("INTERVAL '1 month 2 days 3.5 seconds'")
    assert (found.months, found.days, found.nanoseconds) == (1, 2, 3_500_000_000)


def test_a_struct_without_names_is_a_tuple() -> None:
    column = pa.StructArray.from_arrays([pa.array([1]), pa.array(["a"])], names=["", ""])
    assert pylist(column) == [(1, "a")]


def test_a_map_with_a_key_twice_is_a_list_of_pairs() -> None:
    column = pa.array([[("a", 1), ("a", 2)], [("b", 3)]], pa.map_(pa.string(), pa.int64()))
    assert pylist(column) == [[("a", 1), ("a", 2)], {"b": 3}]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1], [2, 3], None, [], [4]]),
        pa.array([[1], [2, 3], None, [], [4]], pa.large_list(pa.int64())),
        pa.array([[1, 2], [3, 4], None, [5, 6], [7, 8]], pa.list_(pa.int64(), 2)),
        pa.array([{"a": 1}, {"a": None}, None, {"a": 2}, {"a": 3}]),
        pa.array([{}, {}, None, {}, {}], pa.struct([])),
        pa.array(["a", "b", None, "a", "b"]).dictionary_encode(),
        pa.array([1.5, 2.5, None, 3.5, 4.5]),
        pa.array(["a", "b", None, "c", "d"], pa.string_view()),
        pa.array([b"a", b"b", None, b"c", b"d"], pa.binary(1)),
        pa.array([True, False, None, True, False]),
        pa.array([1.0, 2.0, None, 3.0, 4.0]).cast(pa.float16()),
        pa.array([0, 86_400_000, None, 0, 0], pa.date64()),
        pa.array([1, 2, None, 3, 4], pa.decimal256(60, 2)),
        pa.nulls(5),
    ],
    ids=lambda column: str(column.type),
)
def test_a_part_of_a_column_has_that_part_of_its_values(column: pa.Array) -> None:
    assert pylist(column) == column.to_pylist()
    for start in range(5):
        for length in range(6 - start):
            assert pylist(column.slice(start, length)) == column.to_pylist()[start : start + length]


def test_a_part_of_a_column_of_maps_has_that_part_of_its_values() -> None:
    column = pa.array([{"a": 1}, None, {}, {"b": 2, "c": 3}], pa.map_(pa.string(), pa.int64()))
    assert pylist(column) == [{"a": 1}, None, {}, {"b": 2, "c": 3}]
    assert pylist(column.slice(1, 3)) == [None, {}, {"b": 2, "c": 3}]


def test_the_chunks_of_a_column_are_one_list() -> None:
    assert pylist(pa.chunked_array([[1, None], [], [3]])) == [1, None, 3]
    assert pylist(pa.chunked_array([], pa.int64())) == []
