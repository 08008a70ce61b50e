"""The Arrow types of MySQL's columns, and its values as Python's."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from omniduct.databases.sqlalchemy.driver_types import decimal_type

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["column_types", "conversions"]

# The protocol's numbers of types and flags, which all drivers hand on.
_DECIMALS = (0, 246)
_BIT, _YEAR, _JSON, _GEOMETRY = 16, 13, 245, 255
_TEXTS = frozenset({15, 247, 248, 249, 250, 251, 252, 253, 254})
_UNSIGNED = 32
_BINARY_CHARSET = 63


def column_types(cursor: Any) -> list[pa.DataType | None]:
    """The type of each column of a result; None where the values decide."""
    fields = getattr(getattr(cursor, "_result", None), "fields", None)
    if not fields or not hasattr(fields[0], "charsetnr"):
        return [None] * len(cursor.description or ())
    return [
        _type(field.type_code, field.flags, field.length, field.scale, field.charsetnr) for field in fields
    ]


def _type(code: int, flags: int, length: int, scale: int, charset: int) -> pa.DataType | None:
    import pyarrow as pa

    unsigned = bool(flags & _UNSIGNED)
    if code in _DECIMALS:
        sign, point = 0 if unsigned else 1, 1 if scale else 0  # the length is that of the text
        return decimal_type(length - sign - point, scale)
    if code in _TEXTS:
        return pa.binary() if charset == _BINARY_CHARSET else pa.string()
    if code == _BIT:
        return pa.uint64()
    if code == _GEOMETRY:
        return pa.binary()
    kinds = _types().get(code)
    return kinds[unsigned and code != _YEAR] if kinds else None


@functools.cache
def _types() -> dict[int, tuple[pa.DataType, pa.DataType]]:
    """The type by its number, signed and unsigned."""
    import pyarrow as pa

    moment, day, span = pa.timestamp("us"), pa.date32(), pa.duration("us")
    return {
        1: (pa.int8(), pa.uint8()),
        2: (pa.int16(), pa.uint16()),
        3: (pa.int32(), pa.uint32()),
        4: (pa.float32(), pa.float32()),
        5: (pa.float64(), pa.float64()),
        7: (moment, moment),
        8: (pa.int64(), pa.uint64()),
        9: (pa.int32(), pa.uint32()),
        10: (day, day),
        11: (span, span),
        12: (moment, moment),
        _YEAR: (pa.int16(), pa.int16()),
        14: (day, day),
        _JSON: (pa.string(), pa.string()),
    }


@functools.cache
def conversions() -> dict[Any, Any]:
    """What pymysql converts values by: its own, but quicker for times, and BIT as the number it is."""
    from pymysql.converters import conversions as usual

    return {
        **usual,
        7: _quicker(datetime.datetime.fromisoformat, usual[7]),
        10: _quicker(datetime.date.fromisoformat, usual[10]),
        12: _quicker(datetime.datetime.fromisoformat, usual[12]),
        _BIT: _number,
    }


def _quicker(parse: Callable[[str], Any], usual: Callable[[str], Any]) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError:  # a zero date, which stays text
            return usual(text)

    return convert


def _number(bits: bytes) -> int:
    return int.from_bytes(bits, "big")
