"""What the contract must know of Trino and Presto."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from typing import Any

from omniduct.testing import Facts, Setting, Type, Value
from omniduct.testing.logical import STANDARD

_NO_UNSIGNED = "integers are signed"


def _double(value: float) -> str:
    if math.isnan(value):
        return "nan()"
    return ("-" if value < 0 else "") + "infinity()" if math.isinf(value) else f"'{value!r}'"


def _array(value: list[Any]) -> str:
    return f"ARRAY[{', '.join('NULL' if n is None else str(n) for n in value)}]"


def _integer(value: int) -> str:
    """The least one is a number that is too large, made negative, unless it is a text."""
    return f"'{value}'" if value == -(2**63) else str(value)


def _span(value: datetime.timedelta) -> str:
    sign, rest = ("-", -value) if value.days < 0 else ("", value)
    seconds, millis = rest.seconds, rest.microseconds // 1000
    clock = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{millis:03d}"
    return f"INTERVAL '{sign}{rest.days} {clock}' DAY TO SECOND"


_LITERALS = {
    bool: lambda value: str(value).upper(),
    int: _integer,
    float: _double,
    list: _array,
    dict: lambda value: f"JSON '{json.dumps(value)}'",
    datetime.timedelta: _span,
}
_DOCUMENTS = ['{"a":[1,null,"é"]}', "null", "[]", '"text"', "1.5"]
_SPANS = [datetime.timedelta(days=40, milliseconds=5), datetime.timedelta(seconds=-1), datetime.timedelta(0)]
_COMMON = {
    **dict.fromkeys(STANDARD, "there is no such type"),
    "int8": Type("TINYINT", "int8"),
    "int16": Type("SMALLINT", "int16"),
    "int32": Type("INTEGER", "int32"),
    "int64": Type("BIGINT", "int64"),
    **{f"uint{bits}": _NO_UNSIGNED for bits in (8, 16, 32, 64)},
    **{
        f"decimal({digits}, {scale})": Type(f"DECIMAL({digits},{scale})", f"decimal128({digits}, {scale})")
        for digits, scale in ((12, 2), (38, 0), (38, 10))
    },
    "boolean": Type("BOOLEAN", "bool"),
    "float32": Type("REAL", "float"),
    "float32 specials": Type("REAL", "float"),
    "float64": Type("DOUBLE", "double"),
    "float64 specials": Type("DOUBLE", "double"),
    "text": Type("VARCHAR", "string"),
    "bytes": Type("VARBINARY", "binary"),
    "date": Type("DATE", "date32[day]"),
    "interval": Type("INTERVAL DAY TO SECOND", "duration[ms]", values=_SPANS),
    "json": Type(
        "JSON",
        "extension<arrow.json>",
        values=[Value(text, f"JSON '{text}'") for text in _DOCUMENTS],
        cannot={"bind": "a text is no document until json_parse has read it"},
    ),
    "array of int32": Type("ARRAY(INTEGER)", "list<item: int32>"),
    "uuid": Type("UUID", "extension<arrow.uuid>"),
}

# A sequence has 10,000 numbers at most.
_ROWS = """
    SELECT a.n * 1000 + b.n AS n
    FROM UNNEST(sequence(0, ({n} - 1) / 1000)) AS a (n) CROSS JOIN UNNEST(sequence(0, 999)) AS b (n)
    WHERE a.n * 1000 + b.n < {n}
"""
_NO_DELETE = "the memory connector deletes no rows"
_NO_PART = "the memory connector takes no part in transactions"
_IN_TRANSACTIONS = (
    "an_exception_rolls_a_transaction_back",
    "a_failed_statement_that_is_caught_loses_all_or_nothing_and_says_so",
    "a_transaction_within_another_is_an_error",
    *(f"filling_a_table_is_a_part_of_it[{how}]" for how in ("append", "delete_rows")),
    *(f"writing_a_frame_is_a_part_of_it[{how}]" for how in ("append", "delete_rows")),
)
_CANNOT = {
    "temporary_tables": "there are no temporary tables",
    "transactional_ddl": _NO_PART,
    **{f"test_{name}": _NO_PART for name in _IN_TRANSACTIONS},
    "test_a_table_may_have_any_name[MiXed]": "names are in small letters",
    **{
        f"test_a_frame_keeps_odd_names_of_columns[{kind}]": "names are in small letters"
        for kind in ("arrow", "pandas", "polars")
    },
    "test_a_failed_statement_never_poisons_the_next": "there are no keys",
    "test_values_are_numbered_statement_by_statement": _NO_DELETE,
    "test_a_cursor_stays_readable_whatever_runs_after_it": _NO_DELETE,
    "test_a_statement_that_gives_nothing_gives_none": _NO_DELETE,
}

TRINO = Facts(
    "Trino",
    types={
        **_COMMON,
        "time": Type("TIME(6)", "time64[us]"),
        "timestamp": Type("TIMESTAMP(6)", "timestamp[us]"),
        "timestamp with zone": Type("TIMESTAMP(6) WITH TIME ZONE", "timestamp[us, tz=UTC]"),
    },
    cannot={
        **_CANNOT,
        "empty_names": "there are no empty names",
        "test_a_transaction_is_committed_and_reads_what_it_wrote": _NO_PART,
        "test_a_setting_and_a_stream_work_within_one": _NO_PART,
    },
    rows=_ROWS,
    fails_late=f"SELECT 1 / (n - 30000) AS n FROM ({_ROWS.format(n=40000)}) AS s",
    endless="SELECT count(*) FROM tpch.sf1.lineitem a, tpch.tiny.lineitem b WHERE a.comment < b.comment",
    setting=Setting("time_zone_id", "Asia/Tokyo", "SELECT current_timezone()"),
    literals=_LITERALS,
    assigned="CAST({value} AS {type})",
)

_MILLIS = [
    datetime.datetime(1, 1, 1),
    datetime.datetime(1969, 12, 31, 23, 59, 59, 999000),
    datetime.datetime(9999, 12, 31, 23, 59, 59, 999000),
]
_ONLY_MILLIS = "Presto counts milliseconds"
_NARROW = ("int8", "int16", "int32", "float32", "float32 specials")


def _unbound(kind: Type | str) -> Type | str:
    """A type of which no value is bound."""
    why = "a bound number is of the type that it has in a statement, and Presto makes no narrower one of it"
    return kind if isinstance(kind, str) else dataclasses.replace(kind, cannot={"bind": why})


PRESTO = Facts(
    "Presto",
    types={
        **_COMMON,
        **{name: _unbound(kind) for name, kind in _COMMON.items() if name in _NARROW},
        "time": Type("TIME", "time32[ms]", values=[datetime.time(0), datetime.time(23, 59, 59, 999000)]),
        "timestamp": Type("TIMESTAMP", "timestamp[ms]", values=_MILLIS),
        "timestamp with zone": Type(
            "TIMESTAMP WITH TIME ZONE",
            "timestamp[ms, tz=UTC]",
            values=[moment.replace(tzinfo=datetime.timezone.utc) for moment in _MILLIS],
        ),
    },
    cannot={
        **_CANNOT,
        "test_a_failed_statement_that_is_let_through_rolls_it_back": _NO_PART,
        "test_a_table_is_described_a_row_a_column": "no column of the memory connector is NOT NULL",
        **{
            f"test_{what}[{which}]": _ONLY_MILLIS
            for what, whiches in (
                ("a_column_of_any_arrow_type_is_stored_whole", ("time", "timestamp", "timestamp with zone")),
                ("a_bound_value_arrives_as_it_is", ("time-18", "timestamp-19")),
            )
            for which in whiches
        },
    },
    rows=_ROWS,
    fails_late=TRINO.fails_late,
    endless=TRINO.endless,
    setting=Setting(
        "field_names_in_json_cast_enabled",
        True,
        "SELECT json_format(CAST(CAST(ROW(1) AS ROW(a INTEGER)) AS JSON))",
        shown='{"a":1}',
    ),
    literals={datetime.time: lambda value: f"'{value.isoformat('milliseconds')}'", **_LITERALS},
    assigned=TRINO.assigned,
)
