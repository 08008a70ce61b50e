"""Values and Arrow columns as text, the same in every format that is text."""

from __future__ import annotations

import datetime
import decimal
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from omniduct.databases.arrow.values import pylist

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["text_column", "text_of"]


def text_of(value: Any) -> str:
    """One value as text: JSON for lists and dicts, hexadecimal for bytes, ISO for dates and times.

    An interval is written as PostgreSQL and DuckDB read it.

    >>> text_of({"a": [1, b"x"]})
    '{"a": [1, "78"]}'
    >>> text_of(datetime.timedelta(days=1, seconds=1.5))
    '1 days 1.5 seconds'
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return value.hex()
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, datetime.timedelta):
        return f"{value.days} days {_seconds(value.seconds, value.microseconds * 1000)} seconds"
    if _is_interval(value):
        return f"{value.months} months {value.days} days {_seconds(0, value.nanoseconds)} seconds"
    if isinstance(value, (list, tuple, Mapping)):
        return json.dumps(_jsonable(value), ensure_ascii=False)
    return str(value)


def _is_interval(value: Any) -> bool:
    return type(value).__name__ == "MonthDayNano"  # a class of pyarrow's, which need not be loaded


def _seconds(seconds: int, nanos: int) -> str:
    text = f"{seconds + decimal.Decimal(nanos) / 10**9:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_jsonable_key(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not _is_interval(value):
        return [_jsonable(item) for item in value]
    return _jsonable_key(value)


def _jsonable_key(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float)) else text_of(value)


def text_column(column: pa.Array, binary: Callable[[bytes], str] = bytes.hex) -> pa.Array:
    """An Arrow column as one of large strings; null stays null.

    >>> import pyarrow
    >>> text_column(pyarrow.array([1.5, None])).to_pylist()
    ['1.5', None]
    """
    import pyarrow as pa
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        return text_column(column.dictionary_decode(), binary)
    if getattr(kind, "extension_name", "") == "arrow.json":
        return text_column(column.storage, binary)
    if types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind):
        return _temporal_text(column)
    if types.is_primitive(kind) and not (types.is_duration(kind) or types.is_interval(kind)):
        return column.cast(pa.large_string())
    if types.is_decimal(kind) or types.is_null(kind) or _is_text(kind):
        return column.cast(pa.large_string())
    to_text = binary if _is_binary(kind) else text_of
    texts = [None if value is None else to_text(value) for value in pylist(column)]
    return pa.array(texts, pa.large_string())


def _is_text(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_binary(kind: pa.DataType) -> bool:
    from pyarrow import types

    of_any_length = types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)
    return bool(of_any_length or types.is_fixed_size_binary(kind))


def _temporal_text(column: pa.Array) -> pa.Array:
    """Arrow writes no year beyond 32767, which is what an infinite date is, nor the time 24:00:00."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = column.cast(pa.large_string())
    unwritten = pc.fill_null(pc.starts_with(texts, "<"), False)
    if not pc.any(unwritten).as_py():
        return texts
    written = [text_of(value) for value in pylist(column.filter(unwritten))]
    return pc.replace_with_mask(texts, unwritten, pa.array(written, pa.large_string()))
