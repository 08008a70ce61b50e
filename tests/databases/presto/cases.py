"""Every type of Trino and Presto: expressions, and what they are in Arrow and in Python."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
import zoneinfo
from dataclasses import dataclass, field
from typing import Any

DECIMAL = decimal.Decimal
NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
UTC = zoneinfo.ZoneInfo("UTC")
TRINO, PRESTO = "trino", "presto"


@dataclass(frozen=True)
class Case:
    """Values of one type.

    Parameters
    ----------
    name : str
        The type, as the server names it.
    arrow : str
        What it is in Arrow.
    values : dict
        SQL expression -> value in Python.
    on : tuple of str
        The servers that have it.
    driver : bool
        Whether the `trino` client gives the same values.
    """

    name: str
    arrow: str
    values: dict[str, Any] = field(hash=False)
    on: tuple[str, ...] = (TRINO, PRESTO)
    driver: bool = True

    def __str__(self) -> str:
        return self.name

    @property
    def query(self) -> str:
        """All values and a null, in order, in one column."""
        rows = ", ".join(f"({n}, {sql})" for n, sql in enumerate([*self.values, "NULL"]))
        return f"SELECT v FROM (VALUES {rows}) AS t (n, v) ORDER BY n"


def _timestamp(digits: int, arrow: str, part: str, value: Any, driver: bool = True) -> list[Case]:
    """Timestamps of so many digits, without and with a zone."""
    zoned = value if isinstance(value, str) else value.replace(tzinfo=NEW_YORK)
    text = f"2020-07-05 01:02:03{part}"
    return [
        Case(f"timestamp({digits})", arrow, {f"TIMESTAMP '{text}'": value}, (TRINO,), driver),
        Case(
            f"timestamp({digits}) with time zone",
            arrow.replace("]", ", tz=America/New_York]"),
            {f"TIMESTAMP '{text} America/New_York'": zoned if digits <= 9 else f"{text} America/New_York"},
            (TRINO,),
            driver,
        ),
    ]


_MOMENT = datetime.datetime(2020, 7, 5, 1, 2, 3)
_FIRST = datetime.datetime(1, 1, 1)
_LAST = datetime.datetime(9999, 12, 31, 23, 59, 59)

CASES = [
    Case("boolean", "bool", {"true": True, "false": False}),
    Case("tinyint", "int8", {"TINYINT '-128'": -128, "TINYINT '127'": 127}),
    Case("smallint", "int16", {"SMALLINT '-32768'": -32768, "SMALLINT '32767'": 32767}),
    Case("integer", "int32", {"-2147483647 - 1": -(2**31), "2147483647": 2**31 - 1}),
    Case("bigint", "int64", {"BIGINT '-9223372036854775808'": -(2**63), "9007199254740993": 2**53 + 1}),
    Case("real", "float", {"REAL '1.5'": 1.5, "REAL '-0.0'": -0.0, "CAST(nan() AS REAL)": math.nan}),
    Case(
        "double",
        "double",
        {
            "DOUBLE '0.1'": 0.1,
            "DOUBLE '-0.0'": -0.0,
            "DOUBLE '1.7976931348623157E308'": 1.7976931348623157e308,
            "DOUBLE '4.9E-324'": 5e-324,
            "nan()": math.nan,
            "infinity()": math.inf,
            "-infinity()": -math.inf,
        },
    ),
    Case(
        "decimal(3,1)",
        "decimal128(3, 1)",
        {"DECIMAL '12.3'": DECIMAL("12.3"), "DECIMAL '-0.1'": DECIMAL("-0.1")},
    ),
    Case(
        "decimal(38,10)",
        "decimal128(38, 10)",
        {
            "DECIMAL '9999999999999999999999999999.9999999999'": DECIMAL(
                "9999999999999999999999999999.9999999999"
            ),
            "CAST('-0.0000000001' AS DECIMAL(38, 10))": DECIMAL("-0.0000000001"),
        },
    ),
    Case("decimal(38,0)", "decimal128(38, 0)", {f"DECIMAL '{'9' * 38}'": DECIMAL("9" * 38)}),
    Case(
        "varchar",
        "string",
        {
            "CAST('' AS varchar)": "",
            "'null'": "null",
            "'a],[b'": "a],[b",
            "'it''s \"quoted\" \\ and \\\\n'": 'it\'s "quoted" \\ and \\\\n',
            "'two\nlines\tand\rmore'": "two\nlines\tand\rmore",
            "U&'\\0001\\007F\\2028'": "\x01\x7f\u2028",
            "'žluťoučký 🐎'": "žluťoučký 🐎",
            "'1,2'": "1,2",
            "'NaN'": "NaN",
        },
    ),
    Case("varchar(5)", "string", {"CAST('ab' AS varchar(5))": "ab"}),
    Case("char(5)", "string", {"CAST('ab' AS char(5))": "ab   "}),
    Case("varbinary", "binary", {"X''": b"", "X'00ff80'": b"\x00\xff\x80"}),
    Case(
        "date",
        "date32[day]",
        {
            "DATE '1970-01-01'": datetime.date(1970, 1, 1),
            "DATE '0001-01-01'": datetime.date(1, 1, 1),
            "DATE '9999-12-31'": datetime.date(9999, 12, 31),
        },
    ),
    Case("time", "time32[ms]", {"TIME '01:02:03.004'": datetime.time(1, 2, 3, 4000)}, (PRESTO,)),
    Case("time(0)", "time32[s]", {"TIME '23:59:59'": datetime.time(23, 59, 59)}, (TRINO,)),
    Case("time(3)", "time32[ms]", {"TIME '01:02:03.004'": datetime.time(1, 2, 3, 4000)}, (TRINO,)),
    Case("time(6)", "time64[us]", {"TIME '01:02:03.000004'": datetime.time(1, 2, 3, 4)}, (TRINO,)),
    Case("time(9)", "time64[ns]", {"TIME '01:02:03.000000004'": "01:02:03.000000004"}, (TRINO,), False),
    Case("time(12)", "string", {"TIME '01:02:03.000000000004'": "01:02:03.000000000004"}, (TRINO,), False),
    Case("time with time zone", "string", {"TIME '01:02:03.004 +05:30'": "01:02:03.004+05:30"}, (PRESTO,)),
    Case(
        "time(3) with time zone",
        "string",
        {"TIME '01:02:03.004 +05:30'": "01:02:03.004+05:30"},
        (TRINO,),
        False,
    ),
    Case(
        "timestamp",
        "timestamp[ms]",
        {
            "TIMESTAMP '2020-07-05 01:02:03.004'": _MOMENT.replace(microsecond=4000),
            "TIMESTAMP '1960-01-01 00:00:00'": datetime.datetime(1960, 1, 1),
        },
        (PRESTO,),
    ),
    Case(
        "timestamp with time zone",
        "timestamp[ms, tz=America/New_York]",
        {
            "TIMESTAMP '2020-07-05 01:02:03.004 America/New_York'": _MOMENT.replace(
                microsecond=4000, tzinfo=NEW_YORK
            )
        },
        (PRESTO,),
    ),
    *_timestamp(0, "timestamp[s]", "", _MOMENT),
    *_timestamp(3, "timestamp[ms]", ".004", _MOMENT.replace(microsecond=4000)),
    *_timestamp(6, "timestamp[us]", ".000004", _MOMENT.replace(microsecond=4)),
    *_timestamp(7, "timestamp[ns]", ".0000040", _MOMENT.replace(microsecond=4)),
    *_timestamp(10, "string", ".0000000004", "2020-07-05 01:02:03.0000000004", driver=False),
    *_timestamp(12, "string", ".000000000004", "2020-07-05 01:02:03.000000000004", driver=False),
    Case(
        "timestamp(6) of all years",
        "timestamp[us]",
        {
            "TIMESTAMP '0001-01-01 00:00:00.000000'": _FIRST,
            "TIMESTAMP '9999-12-31 23:59:59.000000'": _LAST,
        },
        (TRINO,),
    ),
    Case(
        "timestamp(3) with several zones",
        "timestamp[ms, tz=UTC]",
        {
            "TIMESTAMP '2020-07-05 01:02:03.000 America/New_York'": datetime.datetime(
                2020, 7, 5, 5, 2, 3, tzinfo=UTC
            ),
            "TIMESTAMP '2020-07-05 01:02:03.000 +05:30'": datetime.datetime(
                2020, 7, 4, 19, 32, 3, tzinfo=UTC
            ),
            "TIMESTAMP '2020-07-05 01:02:03.000 UTC'": datetime.datetime(2020, 7, 5, 1, 2, 3, tzinfo=UTC),
        },
    ),
    Case(
        "timestamp(3) with an offset",
        "timestamp[ms, tz=+05:30]",
        {
            "TIMESTAMP '2020-07-05 01:02:03.000 +05:30'": datetime.datetime(
                2020, 7, 5, 1, 2, 3, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30))
            )
        },
    ),
    Case(
        "interval day to second",
        "duration[ms]",
        {
            "INTERVAL '2' DAY": datetime.timedelta(days=2),
            "INTERVAL '-1' SECOND": datetime.timedelta(seconds=-1),
            "INTERVAL '1 02:03:04.005' DAY TO SECOND": datetime.timedelta(1, 7384, 5000),
        },
    ),
    Case(
        "interval year to month",
        "month_day_nano_interval",
        {
            "INTERVAL '3' MONTH": (3, 0, 0),
            "INTERVAL '-14' MONTH": (-14, 0, 0),
        },
        driver=False,
    ),
    Case(
        "json",
        "extension<arrow.json>",
        {
            'JSON \'{"a": [1, null, "x"]}\'': '{"a":[1,null,"x"]}',
            "JSON 'null'": "null",
            "JSON '\"\"'": '""',
        },
    ),
    Case(
        "uuid",
        "extension<arrow.uuid>",
        {
            "CAST('12151fd2-7586-11e9-8f9e-2a86e4085a59' AS uuid)": uuid.UUID(
                "12151fd2-7586-11e9-8f9e-2a86e4085a59"
            ),
        },
    ),
    Case(
        "ipaddress",
        "string",
        {
            "IPADDRESS '10.0.0.1'": "10.0.0.1",
            "IPADDRESS '2001:db8::1'": "2001:db8::1",
        },
    ),
    Case("array(integer)", "list<item: int32>", {"ARRAY[1, NULL, 3]": [1, None, 3], "ARRAY[]": []}),
    Case("array of text", "list<item: string>", {"ARRAY['a],[b', '\"', NULL, '']": ["a],[b", '"', None, ""]}),
    Case(
        "array(array(decimal(3,1)))",
        "list<item: list<item: decimal128(3, 1)>>",
        {"ARRAY[ARRAY[DECIMAL '12.3'], NULL, ARRAY[]]": [[DECIMAL("12.3")], None, []]},
    ),
    Case(
        "array(double)", "list<item: double>", {"ARRAY[nan(), infinity(), 0.5E0]": [math.nan, math.inf, 0.5]}
    ),
    Case("array(varbinary)", "list<item: binary>", {"ARRAY[X'00ff']": [b"\x00\xff"]}),
    Case("array(date)", "list<item: date32[day]>", {"ARRAY[DATE '2020-01-02']": [datetime.date(2020, 1, 2)]}),
    Case(
        "map(varchar,integer)",
        "map<string, int32>",
        {
            "MAP(ARRAY['a', 'b'], ARRAY[1, NULL])": {"a": 1, "b": None},
            "MAP(ARRAY['x'], ARRAY[5])": {"x": 5},
        },
    ),
    Case(
        "map(bigint,varchar)",
        "map<int64, string>",
        {
            "MAP(ARRAY[9007199254740993], ARRAY['x'])": {2**53 + 1: "x"},
        },
        driver=True,
    ),
    Case(
        "map(boolean,array(integer))",
        "map<bool, list<item: int32>>",
        {
            "MAP(ARRAY[true, false], ARRAY[ARRAY[1], ARRAY[]])": {True: [1], False: []},
        },
    ),
    Case(
        "map(date,double)",
        "map<date32[day], double>",
        {
            "MAP(ARRAY[DATE '2020-01-02'], ARRAY[0.5E0])": {datetime.date(2020, 1, 2): 0.5},
        },
    ),
    Case(
        "row(a bigint,b varchar)",
        "struct<a: int64, b: string>",
        {"CAST(ROW(9007199254740993, 'x') AS ROW(a bigint, b varchar))": {"a": 2**53 + 1, "b": "x"}},
        driver=False,
    ),
    Case(
        "row without names",
        "struct<field0: int32, field1: string>",
        {
            "ROW(1, 'x')": {"field0": 1, "field1": "x"},
        },
        driver=False,
    ),
    Case(
        "row of rows",
        "struct<x: struct<y: list<item: map<string, struct<z: decimal128(3, 1)>>>>>",
        {
            "CAST(ROW(ROW(ARRAY[MAP(ARRAY['k'], ARRAY[ROW(DECIMAL '1.5')])])) "
            "AS ROW(x ROW(y ARRAY(MAP(varchar, ROW(z decimal(3, 1)))))))": {
                "x": {"y": [{"k": {"z": DECIMAL("1.5")}}]}
            }
        },
        driver=False,
    ),
    Case("unknown", "null", {"NULL": None}),
]
