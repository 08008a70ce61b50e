"""Frames into tables that are there: nothing is rounded or cut without a word, at any depth."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from omniduct.databases.presto import PrestoClient
from omniduct.databases.presto.exactness import fitted
from omniduct.databases.presto.types import parsed
from omniduct.errors import DuctArgumentError

D = datetime.datetime(2020, 1, 2, 3, 4, 5, 123456)
UTC = datetime.timezone.utc
US, ZONED = pa.timestamp("us"), pa.timestamp("us", "UTC")
MICROS, LATE = pa.array([D]), pa.array([D.replace(tzinfo=UTC)], ZONED)
DIGITS = "has more than 3 digits behind the second"

REFUSED: list[tuple[str, pa.Array, str]] = [
    ("array(varchar(3))", pa.array([["abc", "abcdef"]]), "abcdef is longer than 3 characters"),
    ("varchar(3)", pa.array(["abcdef"]).dictionary_encode(), "abcdef is longer than 3 characters"),
    ("array(integer)", pa.array([[2.0, None], None, [1.5]]), "1.5 would not stay the same"),
    ("row(a integer)", pa.array([{"a": 1.5}]), "1.5 would not stay the same"),
    ("map(varchar,integer)", pa.array([[("k", 1.5)]], pa.map_(pa.string(), pa.float64())), "1.5 would not"),
    (
        "map(varchar(2),double)",
        pa.array([[("kkk", 1.5)]], pa.map_(pa.string(), pa.float64())),
        "kkk is longer than 2 characters",
    ),
    ("array(row(a array(decimal(5,1))))", pa.array([[{"a": ["1.26"]}]]), "1.26 has more than 1 digits"),
    ("array(timestamp(3))", pa.array([[D]], pa.list_(US)), DIGITS),
    ("timestamp(3)", pa.array(["2020-01-02 03:04:05.123456"]), f"2020-01-02 03:04:05.123456 {DIGITS}"),
    ("timestamp(3)", LATE, f"2020-01-02 03:04:05.123456+00:00 {DIGITS}"),
    ("timestamp(3) with time zone", MICROS, DIGITS),
    ("timestamp(3) with time zone", pa.array(["2020-01-02 03:04:05.123456 UTC"]), DIGITS),
    ("time(3)", pa.array(["03:04:05.123456"]), DIGITS),
    ("time(3)", pa.array([D.time()]), DIGITS),
    ("time(3)", MICROS, "would lose its date"),
    ("timestamp(3)", pa.array([D.time()]), "has no date"),
    ("date", LATE, "is not midnight"),
    ("array(date)", pa.array([[D]]), "is not midnight"),
    ("decimal(5,1)", pa.array(["1.26"]), "1.26 has more than 1 digits behind the point"),
    ("decimal(5,1)", pa.array(["126E-2"]), "126E-2 would not stay the same"),
    ("decimal(5,1)", pa.array([1.26]), "1.26 would not stay the same"),
    ("decimal(5,1)", pa.array([1.0, 1.25]).cast(pa.float32()), "1.25 would not stay the same"),
    ("decimal(5,1)", pa.array([Decimal("1.26")]), "1.26 would not stay the same"),
    ("boolean", pa.array([0.0, 0.5]), "0.5 is neither 0 nor 1"),
    ("boolean", pa.array([1, 2]), "2 is neither 0 nor 1"),
    ("row(a integer,b integer)", pa.array([{"b": 1, "a": 2}]), "its fields come in another order: b, a"),
]

KEPT: list[tuple[str, pa.Array, list[Any]]] = [
    ("array(varchar(3))", pa.array([["abc", None], None]), [["abc", None], None]),
    ("array(integer)", pa.array([[2.0, None], []]), [[2, None], []]),
    ("row(a integer,b decimal(5,2))", pa.array([{"a": 2.0, "b": 1.26}]), [{"a": 2, "b": Decimal("1.26")}]),
    ("map(varchar(1),integer)", pa.array([[("k", 1.0)]], pa.map_(pa.string(), pa.float64())), [{"k": 1}]),
    ("decimal(5,2)", pa.array([1.26, 0.1, None, 1e2]), [Decimal(n) for n in ("1.26", "0.10")] + [None, 100]),
    ("decimal(5,2)", pa.array([5, None]), [Decimal(5), None]),
    ("decimal(5,1)", pa.array(["1.2000", "12E0", None]), [Decimal("1.2"), Decimal(12), None]),
    ("decimal(5,1)", pa.array([Decimal("1.20")]), [Decimal("1.2")]),
    ("timestamp(3)", pa.array([D.replace(microsecond=5000)]), [D.replace(microsecond=5000)]),
    ("timestamp(3)", pa.array(["2020-01-02 03:04:05.120000"]), [D.replace(microsecond=120000)]),
    ("array(timestamp(3))", pa.array([[D.replace(microsecond=5000)]]), [[D.replace(microsecond=5000)]]),
    ("timestamp(3)", pa.array([D.replace(microsecond=0, tzinfo=UTC)], ZONED), [D.replace(microsecond=0)]),
    (
        "date",
        pa.array([datetime.datetime(2020, 1, 1, 23, tzinfo=UTC)], pa.timestamp("s", "Europe/Paris")),
        [datetime.date(2020, 1, 2)],
    ),
    ("boolean", pa.array([1.0, 0.0, None]), [True, False, None]),
    ("double", pa.array([Decimal("0.1")]), [0.1]),
    ("bigint", pa.array([True]), [1]),
]


def of(kind: str, duct: PrestoClient) -> str:
    """The type on the duct's server: Presto's times have no precision."""
    return kind if duct.protocol == "trino" else re.sub(r"(time\w*)\(3\)", r"\1", kind)


def test_what_the_server_would_cut_or_round_is_refused(duct: PrestoClient) -> None:
    kinds = [of(kind, duct) for kind, *_ in REFUSED]
    duct.execute(f"CREATE TABLE t ({', '.join(f'v{n} {kind}' for n, kind in enumerate(kinds))})")
    for n, (_, values, reason) in enumerate(REFUSED):
        said = rf"the column 'v{n}' does not fit into the table's, which is .*: .*{re.escape(reason)}"
        with pytest.raises(DuctArgumentError, match=said):
            duct.dataframe_to_table(pa.table({f"v{n}": values}), "t", "append" if n else "delete_rows")
    assert duct.query("SELECT count(*) FROM t", format="tuple") == [(0,)]


def test_what_stays_the_same_is_stored(duct: PrestoClient) -> None:
    kinds = [of(kind, duct) for kind, *_ in KEPT]
    duct.execute(f"CREATE TABLE t (k integer, {', '.join(f'v{n} {kind}' for n, kind in enumerate(kinds))})")
    arrays = {
        f"v{n}": pa.concat_arrays([v, pa.nulls(4 - len(v), v.type)]) for n, (_, v, _) in enumerate(KEPT)
    }
    duct.dataframe_to_table(pa.table({"k": range(4), **arrays}), "t", "append")
    found = list(zip(*duct.query("SELECT * FROM t ORDER BY k", format="tuple"), strict=True))[1:]
    for values, (kind, given, expected) in zip(found, KEPT, strict=True):
        assert list(values[: len(given)]) == expected, kind


def test_only_what_is_there_counts() -> None:
    lists = pa.chunked_array([pa.array([[1.5], [2.0], None])[1:]])
    maps = pa.array([[("long", 1.5)], [("k", 1.0)]], pa.map_(pa.string(), pa.float64()))
    hidden = pa.StructArray.from_arrays([pa.array([1.5, 2.0])], ["a"], mask=pa.array([True, False]))
    assert fitted(lists, parsed("array(integer)")) is None
    assert fitted(pa.chunked_array([maps[1:]]), parsed("map(varchar(1),integer)")) is None
    assert fitted(pa.chunked_array([hidden]), parsed("row(a integer)")) is None


def test_the_first_value_that_does_not_fit_is_named_in_a_word() -> None:
    with pytest.raises(pa.ArrowInvalid, match=r"^77\.5 would not stay the same"):
        fitted(pa.chunked_array([[float(n) for n in range(77)], [0.0, 77.5, 78.5]]), parsed("bigint"))
    with pytest.raises(pa.ArrowInvalid, match=rf"^{'x' * 40}\.\.\. is longer than 3 characters"):
        fitted(pa.chunked_array([["abc", "x" * 100]]), parsed("varchar(3)"))
