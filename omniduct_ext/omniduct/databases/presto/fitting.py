"""Columns of frames in Arrow types that can be sent to make a table of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniduct.databases.arrow.text import text_of
from omniduct.databases.arrow.values import pylist
from omniduct.databases.presto.encoding import has_own_encoder, quoted
from omniduct.databases.presto.types import SqlType

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["has_nanoseconds", "is_list", "is_text", "spelled", "stored"]


def stored(column: pa.ChunkedArray, has_digits: bool) -> pa.ChunkedArray:
    """A column as the server can store it; intervals of more than months are text.

    Parameters
    ----------
    has_digits : bool
        Whether times have a precision, as in Trino; in Presto it is always milliseconds.

    Raises
    ------
    pyarrow.ArrowInvalid
        That would lose something.
    TypeError
        The server has no such type.
    """
    import pyarrow as pa

    if pa.types.is_interval(column.type) and not _are_months(column):
        texts = [None if value is None else text_of(value) for value in pylist(column)]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    kind = _kind(column.type, has_digits)
    return column if kind == column.type else column.cast(kind)


def _are_months(column: pa.ChunkedArray) -> bool:
    return all(value is None or not (value.days or value.nanoseconds) for value in pylist(column))


def _kind(kind: pa.DataType, has_digits: bool) -> pa.DataType:
    """The type of a column for a type."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_timestamp(kind):
        return kind if has_digits else pa.timestamp("ms", kind.tz)
    if types.is_time(kind):
        return kind if has_digits else pa.time32("ms")
    if types.is_struct(kind) and kind.num_fields:
        return pa.struct([(field.name, _kind(field.type, has_digits)) for field in kind])
    if types.is_map(kind):
        return pa.map_(_kind(kind.key_type, has_digits), _kind(kind.item_type, has_digits))
    if is_list(kind):
        return pa.list_(_kind(kind.value_type, has_digits))
    if types.is_dictionary(kind):
        return _kind(kind.value_type, has_digits)
    if types.is_decimal(kind):
        return _decimal(kind)
    return kind if has_own_encoder(kind) else _simple(kind)


def is_list(kind: pa.DataType) -> bool:
    """Whether it is one of Arrow's types of lists."""
    from pyarrow import types

    of_any_length = types.is_list(kind) or types.is_large_list(kind)
    return bool(of_any_length or types.is_fixed_size_list(kind))


def _decimal(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    scale = max(kind.scale, 0)
    digits = max(kind.precision - min(kind.scale, 0), scale)
    return pa.decimal128(min(digits, 38), scale)


def _simple(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa
    from pyarrow import types

    found = {
        pa.uint8(): pa.int16(),
        pa.uint16(): pa.int32(),
        pa.uint32(): pa.int64(),
        pa.uint64(): pa.decimal128(20, 0),
        pa.float16(): pa.float32(),
        pa.date64(): pa.date32(),
        pa.null(): pa.large_string(),
        pa.binary_view(): pa.large_binary(),
        pa.binary(): pa.large_binary(),
    }.get(kind)
    if found is not None:
        return found
    if is_text(kind):
        return pa.large_string()
    if types.is_fixed_size_binary(kind):
        return pa.large_binary()
    if types.is_duration(kind):
        return pa.duration("ms")
    if getattr(kind, "extension_name", "") == "arrow.bool8":
        return pa.bool_()
    raise TypeError(f"the server has no type for {kind}")


def spelled(kind: SqlType) -> str:
    """A type as a statement takes it.

    >>> from omniduct.databases.presto.types import parsed
    >>> spelled(parsed('row(a timestamp(3) with time zone, "b c" array(varchar(5)))'))
    'row("a" timestamp(3) with time zone, "b c" array(varchar(5)))'
    """
    inner = [spelled(child) for child in kind.children]
    if kind.name == "row":
        inner = [f"{quoted(name)} {child}" for name, child in zip(kind.fields, inner, strict=True)]
    if inner:
        return f"{kind.name}({', '.join(inner)})"
    if not kind.numbers:
        return kind.name
    name, *zone = kind.name.split(" ", 1)
    return " ".join([f"{name}({','.join(map(str, kind.numbers))})", *zone])


def is_text(kind: pa.DataType) -> bool:
    """Whether it is one of Arrow's types of text."""
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def has_nanoseconds(column: pa.ChunkedArray) -> bool:
    """Whether there are times with parts of a microsecond."""
    import pyarrow as pa

    kind = column.type
    if not (pa.types.is_timestamp(kind) or pa.types.is_time(kind)) or kind.unit != "ns":
        return False
    try:
        column.cast(pa.timestamp("us", kind.tz) if pa.types.is_timestamp(kind) else pa.time64("us"))
    except pa.ArrowInvalid:
        return True
    return False
