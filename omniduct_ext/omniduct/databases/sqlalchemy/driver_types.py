"""The Arrow types of a result's columns, from what a driver says in ``cursor.description``."""

from __future__ import annotations

import datetime
import decimal
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["by_description", "decimal_type"]


def by_description(
    description: Sequence[Sequence[Any]] | None, dialect: str = ""
) -> list[pa.DataType | None]:
    """The type of each column; None where the driver leaves it to the values.

    Some drivers (pyodbc) name a Python type, Oracle's one of its own, PostgreSQL's the number of the type;
    the numbers of all others mean something else in each.
    """
    if dialect == "firebird":
        return [_sized(column) for column in description or ()]
    numbered = dialect == "postgresql"
    return [_type(column, numbered) for column in description or ()]


def _type(column: Sequence[Any], numbered: bool) -> pa.DataType | None:
    kind = column[1]
    precision, scale = column[4:6] if len(column) > 5 else (None, None)
    if (
        kind is decimal.Decimal
        or getattr(kind, "name", "") == "DB_TYPE_NUMBER"
        or (numbered and kind == 1700)
    ):
        return decimal_type(precision, scale) if precision and scale is not None and scale >= 0 else None
    if isinstance(kind, int):
        return _plain_types().get(kind) if numbered else None
    return _plain_types().get(kind if isinstance(kind, type) else getattr(kind, "name", None))


def _sized(column: Sequence[Any]) -> pa.DataType | None:
    """The type by what Firebird's driver says: a type of Python's, its size in bytes, negative scales."""
    _, kind, _, size, precision, scale = column[:6]
    if kind is decimal.Decimal:
        return decimal_type(precision or _DIGITS.get(size, 0), -scale)
    return _sized_types().get((kind, size)) or _plain_types().get(kind)


_DIGITS = {2: 4, 4: 9, 8: 18, 16: 38}  # of an exact number that was computed, by its size


@functools.cache
def _sized_types() -> dict[Any, pa.DataType]:
    import pyarrow as pa

    return {(int, 2): pa.int16(), (int, 4): pa.int32(), (float, 4): pa.float32()}


def decimal_type(precision: int, scale: int) -> pa.DataType | None:
    """The Arrow type of exact numbers of so many digits; None where there is none."""
    import pyarrow as pa

    if not 0 <= scale <= precision or not 0 < precision <= 76:
        return None
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


@functools.cache
def _plain_types() -> dict[Any, pa.DataType]:
    import pyarrow as pa

    return {
        bool: pa.bool_(),
        int: pa.int64(),
        float: pa.float64(),
        str: pa.string(),
        bytes: pa.binary(),
        bytearray: pa.binary(),
        datetime.datetime: pa.timestamp("us"),
        datetime.date: pa.date32(),
        datetime.time: pa.time64("us"),
        16: pa.bool_(),
        17: pa.binary(),
        20: pa.int64(),
        21: pa.int16(),
        23: pa.int32(),
        25: pa.string(),
        700: pa.float32(),
        701: pa.float64(),
        1042: pa.string(),
        1043: pa.string(),
        1082: pa.date32(),
        1083: pa.time64("us"),
        1114: pa.timestamp("us"),
        1184: pa.timestamp("us", "UTC"),
        "DB_TYPE_VARCHAR": pa.string(),
        "DB_TYPE_NVARCHAR": pa.string(),
        "DB_TYPE_CHAR": pa.string(),
        "DB_TYPE_BINARY_DOUBLE": pa.float64(),
        "DB_TYPE_BINARY_FLOAT": pa.float64(),
        "DB_TYPE_TIMESTAMP": pa.timestamp("us"),
        "DB_TYPE_DATE": pa.timestamp("us"),  # it has a time of day
        "DB_TYPE_RAW": pa.binary(),
        "DB_TYPE_INTERVAL_DS": pa.duration("us"),
        "DB_TYPE_BOOLEAN": pa.bool_(),
    }
