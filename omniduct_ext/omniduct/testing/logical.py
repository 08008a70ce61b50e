"""The logical types that every service is asked for, with values at their edges."""

from __future__ import annotations

import datetime
import functools
import json
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from omniduct.databases.arrow.text import text_of
from omniduct.errors import DuctConfigError
from omniduct.testing.facts import Type, Value

__all__ = ["ARROW", "STANDARD", "Became", "became", "json_same", "plain", "preserved", "same", "values_of"]

_UTC = datetime.timezone.utc


def _integers(bits: int) -> tuple[int, ...]:
    return (-(2 ** (bits - 1)), -1, 0, 2 ** (bits - 1) - 1)


def _words(bits: int) -> tuple[int, ...]:
    return (0, 1, 2**bits - 1)


# A float must not be in the way of the integers that it cannot hold.
_BEYOND_FLOATS = (2**53 + 1, -(2**53) - 1)

STANDARD: Mapping[str, Sequence[Any]] = {
    "boolean": (True, False),
    "int8": _integers(8),
    "int16": _integers(16),
    "int32": _integers(32),
    "int64": (*_integers(64), *_BEYOND_FLOATS),
    "uint8": _words(8),
    "uint16": _words(16),
    "uint32": _words(32),
    "uint64": (*_words(64), *_BEYOND_FLOATS[:1]),
    "decimal(12, 2)": (Decimal("0.00"), Decimal("0.10"), Decimal("-9999999999.99")),
    "decimal(38, 0)": (Decimal(10**38 - 1), Decimal(-(10**38) + 1), Decimal(2**53 + 1)),
    "decimal(38, 10)": (
        Decimal("9999999999999999999999999999.9999999999"),
        Decimal("-0.0000000001"),
        Decimal("1.0000000000"),
    ),
    "float32": (0.0, -1.5, 2.0**-149, 1.5 * 2.0**127),
    "float32 specials": (-0.0, math.nan, math.inf, -math.inf),
    "float64": (0.0, 0.1, -1e308, 5e-324, 2.0**53),
    "float64 specials": (-0.0, math.nan, math.inf, -math.inf),
    "text": ("", " ", "it's", '"', "\\", "a\nb\r\n\tc", "%s ? :x $1 {{ }}", "grüße 🦆 \u202e", "x" * 150),
    "bytes": (b"", b"\x00\xff'\"\\\n", bytes(range(256))[:40]),
    "date": (datetime.date(1, 1, 1), datetime.date(1970, 1, 1), datetime.date(9999, 12, 31)),
    "time": (datetime.time(0), datetime.time(12, 30, 0, 1), datetime.time(23, 59, 59, 999999)),
    "timestamp": (
        datetime.datetime(1, 1, 1),
        datetime.datetime(1969, 12, 31, 23, 59, 59, 999999),
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
    ),
    "timestamp with zone": (
        datetime.datetime(1900, 1, 1, tzinfo=_UTC),
        datetime.datetime(2020, 7, 1, 12, 30, 0, 1, tzinfo=_UTC),
        datetime.datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=_UTC),
    ),
    "interval": ((14, 3, 4_000_005_000), (0, -1, 0), (0, 0, 0)),  # months, days, nanoseconds
    "json": ('{"a": [1, null, "é"]}', "[]", '"x"', "12"),
    "array of int32": ([1, None, -3], []),
    "uuid": (uuid.UUID(int=0), uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")),
    "enum": ("sad", "so so"),
}
"""Logical type -> values."""


def _pa(name: str, *arguments: Any) -> Callable[[], Any]:
    """What makes a type of pyarrow, which is not imported before it is used."""

    def make() -> Any:
        import pyarrow as pa

        return getattr(pa, name)(*(each() if callable(each) else each for each in arguments))

    return make


ARROW: Mapping[str, Callable[[], Any]] = {
    "boolean": _pa("bool_"),
    **{f"{sign}int{bits}": _pa(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "decimal(12, 2)": _pa("decimal128", 12, 2),
    "decimal(38, 0)": _pa("decimal128", 38, 0),
    "decimal(38, 10)": _pa("decimal128", 38, 10),
    "float32": _pa("float32"),
    "float64": _pa("float64"),
    "text": _pa("large_string"),
    "bytes": _pa("large_binary"),
    "date": _pa("date32"),
    "time": _pa("time64", "us"),
    "timestamp": _pa("timestamp", "us"),
    "timestamp with zone": _pa("timestamp", "us", "UTC"),
    "interval": _pa("month_day_nano_interval"),
    "array of int32": _pa("list_", _pa("int32")),
    "uuid": _pa("uuid"),
    "enum": _pa("dictionary", _pa("int8"), _pa("string")),
}
"""Logical type -> what makes an Arrow type for frames that are written."""


class Became(NamedTuple):
    """What an Arrow type is in a pandas frame, in one with nulls, and in a polars frame."""

    pandas: str
    pandas_nulls: str
    polars: str


_SAME = {
    "float": Became("float32", "float32", "Float32"),
    "double": Became("float64", "float64", "Float64"),
    "bool": Became("bool", "boolean", "Boolean"),
    "string": Became("str", "str", "String"),
    "large_string": Became("str", "str", "String"),
    "string_view": Became("str", "str", "String"),
    "extension<arrow.json>": Became("str", "str", "String"),
    "binary": Became("object", "object", "Binary"),
    "binary_view": Became("object", "object", "Binary"),
    "large_binary": Became("object", "object", "Binary"),
    "date32[day]": Became("datetime64[s]", "datetime64[s]", "Date"),
    "time32[ms]": Became("object", "object", "Time"),
    "time64[us]": Became("object", "object", "Time"),
    "extension<arrow.uuid>": Became("object", "object", "String"),
    "list<item: int32>": Became("object", "object", "List(Int32)"),
    "list<l: int32>": Became("object", "object", "List(Int32)"),
    "month_day_nano_interval": Became(
        "object", "object", "Struct({'months': Int32, 'days': Int32, 'nanoseconds': Int64})"
    ),
}


def became(kind: Type) -> Became:
    """What a type must be in frames."""
    usual = _usual(kind.arrow)
    if usual is None and (kind.pandas is None or kind.polars is None):
        raise DuctConfigError(
            f"say pandas= and polars= of the type {kind.name}: {kind.arrow} has no usual ones"
        )
    pandas, nulls, polars = usual or ("", "", "")
    return Became(
        _by_version(kind.pandas or pandas),
        _by_version(kind.pandas_nulls or kind.pandas or nulls),
        kind.polars or polars,
    )


def _usual(arrow: str) -> Became | None:
    if arrow in _SAME:
        return _SAME[arrow]
    name, _, inside = arrow.partition("[")
    if arrow.lstrip("u").startswith("int"):
        title = arrow.replace("uint", "UInt").replace("int", "Int")
        return Became(arrow, title, title)
    if arrow.startswith("decimal128"):
        digits, scale = arrow[len("decimal128(") : -1].split(", ")
        exact = f"{arrow}[pyarrow]"
        return Became(exact, exact, f"Decimal(precision={digits}, scale={scale})")
    if name in ("timestamp", "duration"):
        unit, _, zone = inside[:-1].partition(", tz=")
        numpy = f"{'datetime' if name == 'timestamp' else 'timedelta'}64[{unit}{zone and ', ' + zone}]"
        polars = f"Datetime(time_unit='{unit}', time_zone={zone!r})".replace("''", "None")
        return Became(numpy, numpy, polars if name == "timestamp" else f"Duration(time_unit='{unit}')")
    return None


@functools.cache
def _by_version(dtype: str) -> str:
    """The type by the name that it has in this pandas: that of text is another before version 3."""
    import pandas as pd

    return "string" if dtype == "str" and int(pd.__version__.partition(".")[0]) < 3 else dtype


def values_of(logical: str, kind: Type) -> list[Value]:
    """The values to try of a type."""
    if kind.values is None and logical not in STANDARD:
        raise DuctConfigError(f"there is no standard type {logical!r}: say values= of {kind.name}")
    given = kind.values if kind.values is not None else STANDARD[logical]
    return [value if isinstance(value, Value) else Value(_made(logical, value)) for value in given]


def _made(logical: str, value: Any) -> Any:
    if logical != "interval" or not isinstance(value, tuple):
        return value
    import pyarrow as pa

    return pa.MonthDayNano(value)


def same(found: Any, expected: Any) -> bool:
    """Whether two values are the same: of one type, a NaN is a NaN, a zero keeps its sign."""
    if isinstance(expected, float) and isinstance(found, float):
        if math.isnan(expected) or math.isnan(found):
            return math.isnan(expected) and math.isnan(found)
        return found == expected and math.copysign(1, found) == math.copysign(1, expected)
    if isinstance(expected, datetime.datetime) and isinstance(found, datetime.datetime):
        return found == expected and (found.tzinfo is None) == (expected.tzinfo is None)
    if (
        isinstance(expected, (list, tuple))
        and isinstance(found, (list, tuple))
        and type(expected) in (list, tuple)
    ):
        return len(found) == len(expected) and all(map(same, found, expected))
    return type(found) is type(expected) and bool(found == expected)


def preserved(found: Any, expected: Any) -> bool:
    """Whether a value that was stored is all there, if in a type that has room for it: 1 for true, text."""
    if expected is None or found is None:
        return found is expected
    if same(found, expected) or (not isinstance(found, str) and bool(found == expected)):
        return True
    if isinstance(expected, datetime.datetime) and expected.tzinfo is not None and _is_naive(found):
        return bool(found == expected.astimezone(_UTC).replace(tzinfo=None))
    if isinstance(expected, datetime.time) and isinstance(found, datetime.timedelta):
        return datetime.datetime.min + found == datetime.datetime.combine(datetime.date.min, expected)
    if isinstance(expected, (datetime.datetime, datetime.date, datetime.time)) and isinstance(found, str):
        return bool(type(expected).fromisoformat(found.replace("Z", "+00:00")) == expected)
    return isinstance(found, str) and found in (text_of(expected), str(expected))


def _is_naive(value: Any) -> bool:
    return isinstance(value, datetime.datetime) and value.tzinfo is None


def plain(value: Any, expected: Any) -> Any:
    """A value of a frame as the Python value that it stands for, where it is one like `expected`."""
    import pandas as pd
    import pyarrow as pa

    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if expected is None:
        return None if isinstance(value, float) and math.isnan(value) else value
    if isinstance(expected, pa.MonthDayNano):
        return _interval(value)
    if isinstance(expected, uuid.UUID) and isinstance(value, str):
        return uuid.UUID(value)
    if isinstance(value, pd.Timestamp):
        return plain(value.to_pydatetime(), expected)
    if isinstance(value, pd.Timedelta):
        return value.to_pytimedelta()
    if type(expected) is datetime.date and isinstance(value, datetime.datetime):
        return value.date() if value.time() == datetime.time() else value  # pandas has no dates
    if hasattr(value, "to_list"):
        return value.to_list()
    return value.item() if hasattr(value, "item") else value


def _interval(value: Any) -> Any:
    import pyarrow as pa

    if isinstance(value, pa.MonthDayNano):
        return value
    if isinstance(value, str) and value.startswith("{"):
        value = json.loads(value)  # a struct, where there is none
    if isinstance(value, dict):
        return pa.MonthDayNano([value["months"], value["days"], value["nanoseconds"]])
    parts = {
        "microseconds": 10**3,
        "nanoseconds": 1,
        "seconds": 10**9,
        "minutes": 60 * 10**9,
        "hours": 3600 * 10**9,
    }
    given = getattr(value, "kwds", {})
    nanoseconds = sum(given.get(part, 0) * size for part, size in parts.items())
    return pa.MonthDayNano(
        [given.get("months", 0) + 12 * given.get("years", 0), given.get("days", 0), nanoseconds]
    )


def json_same(found: Any, expected: Any) -> bool:
    """Whether two JSON texts say the same: services lay it out as they like."""
    return isinstance(found, str) and json.loads(found) == json.loads(expected)
