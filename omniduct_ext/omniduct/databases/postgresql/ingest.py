"""Arrow columns in the types in which the server takes them, for its binary COPY."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from omniduct.databases.arrow.values import pylist
from omniduct.databases.postgresql.arrays import array_literal
from omniduct.errors import DuctArgumentError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Target", "column_type", "fitted", "sendable"]


@dataclass(frozen=True)
class Target:
    """A table of the server: where it is, and name -> type of each column, as catalog and SQL name it."""

    schema: str
    name: str
    temporary: bool
    columns: dict[str, tuple[str, str]]


def column_type(arrow: pa.DataType, duct: str, column: str) -> str:
    """The type that a new column has for values of an Arrow type.

    Raises
    ------
    DuctArgumentError
        PostgreSQL has none.
    """
    from pyarrow import types

    written = _simple(arrow)
    if written is not None:
        return written
    if types.is_decimal(arrow):
        return f"numeric({max(arrow.precision, arrow.scale)},{arrow.scale})"
    if types.is_timestamp(arrow):
        return "timestamp" if arrow.tz is None else "timestamptz"
    if _is_list(arrow):
        inner = column_type(arrow.value_type, duct, column)
        return inner if inner.endswith("[]") else f"{inner}[]"
    if types.is_struct(arrow) or types.is_map(arrow):
        return "jsonb"
    raise DuctArgumentError(f"{duct}: the column {column!r} is of the type {arrow}, which PostgreSQL has not")


def _simple(arrow: pa.DataType) -> str | None:
    import pyarrow as pa
    from pyarrow import types

    named = {"arrow.uuid": "uuid", "arrow.json": "jsonb", "arrow.bool8": "boolean"}
    if isinstance(arrow, pa.BaseExtensionType):
        return named.get(arrow.extension_name)
    for test, written in (
        (types.is_boolean, "boolean"),
        (types.is_int64, "bigint"),
        (types.is_int32, "integer"),
        (types.is_uint64, "numeric(20)"),
        (types.is_uint32, "bigint"),
        (types.is_uint16, "integer"),
        (types.is_integer, "smallint"),
        (types.is_float64, "double precision"),
        (types.is_floating, "real"),
        (types.is_date, "date"),
        (types.is_time, "time"),
        (types.is_duration, "interval"),
        (types.is_interval, "interval"),
        (_is_text, "text"),
        (_is_bytes, "bytea"),
        (types.is_null, "text"),
    ):
        if test(arrow):
            return written
    return None


def _is_text(arrow: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_string(arrow) or types.is_large_string(arrow) or types.is_string_view(arrow))


def _is_bytes(arrow: pa.DataType) -> bool:
    from pyarrow import types

    fixed = types.is_fixed_size_binary(arrow)
    large = types.is_large_binary(arrow)
    return bool(fixed or large or types.is_binary(arrow) or types.is_binary_view(arrow))


def _is_list(arrow: pa.DataType) -> bool:
    from pyarrow import types

    fixed = types.is_fixed_size_list(arrow)
    return bool(fixed or types.is_list(arrow) or types.is_large_list(arrow))


def fitted(rows: pa.Table, target: Target, duct: str) -> pa.Table | None:
    """The rows in the types that COPY needs for a table; None where the server has to cast them itself.

    Raises
    ------
    DuctArgumentError
        A value does not fit the column of the table.
    """
    import pyarrow as pa

    columns = []
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        kind, written = target.columns[name]
        try:
            fitting = _fitting(column, kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            reason = str(error).partition("\n")[0]
            raise DuctArgumentError(
                f"{duct}: the column {name!r} of the frame does not fit into the table's, which is "
                f"{written}: {reason}"
            ) from None
        if fitting is None:
            return None
        columns.append(fitting)
    return pa.Table.from_arrays(columns, names=rows.column_names)


def _fitting(column: pa.ChunkedArray, kind: str) -> pa.ChunkedArray | None:
    """A column in the type that the driver sends as the server's; None where there is none."""
    import pyarrow as pa
    from pyarrow import types

    arrow = column.type
    if types.is_null(arrow):
        return column
    if kind in _arrow_types():
        return _cast(column, _arrow_types()[kind])
    if kind == "numeric":
        return _numeric(column)
    if kind in ("timestamp", "timestamptz"):
        zoned = kind == "timestamptz"
        if not types.is_timestamp(arrow) or (arrow.tz is not None) != zoned:
            return None
        return column.cast(pa.timestamp("us", arrow.tz))
    if kind in ("text", "varchar", "bpchar"):
        return column.cast(pa.string()) if _is_text(arrow) else None
    if kind in ("json", "jsonb"):
        return _json(column)
    if kind == "interval":
        return _interval(column)
    if kind == "uuid":
        return column if getattr(arrow, "extension_name", "") == "arrow.uuid" else None
    return _array(column, kind) if kind.startswith("_") and _is_list(arrow) else None


@functools.cache
def _arrow_types() -> dict[str, pa.DataType]:
    """The server's type -> the Arrow type whose values the driver sends as that."""
    import pyarrow as pa

    return {
        "int2": pa.int16(),
        "int4": pa.int32(),
        "int8": pa.int64(),
        "float4": pa.float32(),
        "float8": pa.float64(),
        "bool": pa.bool_(),
        "bytea": pa.binary(),
        "date": pa.date32(),
        "time": pa.time64("us"),
    }


def _cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray | None:
    """A column cast, where the types are of one family; a value that does not fit is an error."""
    from pyarrow import types

    arrow = column.type
    if arrow == wanted:
        return column
    numbers = types.is_integer(arrow) or types.is_floating(arrow) or types.is_decimal(arrow)
    if types.is_integer(wanted) or types.is_floating(wanted):
        return _number(column, wanted) if numbers else None
    alike = (
        (types.is_binary(wanted) and _is_bytes(arrow))
        or (types.is_date(wanted) and types.is_date(arrow))
        or (types.is_time(wanted) and types.is_time(arrow))
        or (types.is_boolean(wanted) and getattr(arrow, "extension_name", "") == "arrow.bool8")
    )
    return column.cast(wanted) if alike else None


def _number(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    cast = column.cast(wanted)
    both = pa.types.is_floating(wanted) and pa.types.is_floating(column.type)
    if both and pc.any(pc.and_(pc.is_inf(cast), pc.is_finite(column))).as_py():
        raise pa.ArrowInvalid(f"a number is too great for {wanted}")
    return cast


def _interval(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    import pyarrow as pa

    if pa.types.is_duration(column.type):
        return column.cast(pa.duration("us"))  # which refuses nanoseconds
    if not pa.types.is_interval(column.type):
        return None
    if any(value is not None and value.nanoseconds % 1000 for value in column.to_pylist()):
        raise pa.ArrowInvalid("an interval has nanoseconds, which PostgreSQL has not")
    return column


def _numeric(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    import pyarrow as pa
    from pyarrow import types

    if types.is_decimal(column.type):
        return column
    return column.cast(pa.decimal128(38, 0)) if types.is_integer(column.type) else None


def _json(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """JSON as the driver sends it, which knows what jsonb has in front."""
    import pyarrow as pa
    from pyarrow import types

    wanted, arrow = pa.json_(pa.string()), column.type
    if getattr(arrow, "extension_name", "") == "arrow.json":
        texts = pa.chunked_array([chunk.storage.cast(pa.string()) for chunk in column.chunks], pa.string())
    elif _is_text(arrow):
        texts = column.cast(pa.string())
    elif types.is_struct(arrow) or types.is_map(arrow) or _is_list(arrow):
        values = [None if value is None else json.dumps(value, default=str) for value in pylist(column)]
        texts = pa.chunked_array([pa.array(values, pa.string())])
    else:
        return None
    return pa.chunked_array([pa.ExtensionArray.from_storage(wanted, chunk) for chunk in texts.chunks], wanted)


def _array(column: pa.ChunkedArray, kind: str) -> pa.ChunkedArray | None:
    """A list of one dimension, its elements in the array's type; what has more, the server casts."""
    import pyarrow as pa

    if _is_list(column.type.value_type) or _has_lost_nulls(column):
        return None
    chunks = []
    for chunk in column.chunks:
        if not pa.types.is_list(chunk.type):
            chunk = chunk.cast(pa.list_(chunk.type.value_type))
        inner = _fitting(pa.chunked_array([chunk.values]), kind[1:])
        if inner is None:
            return None
        offsets = pa.array(chunk.offsets.to_pylist(), pa.int32())  # a copy: a mask takes none that is a slice
        chunks.append(pa.ListArray.from_arrays(offsets, inner.combine_chunks(), mask=chunk.is_null()))
    return pa.chunked_array(chunks) if chunks else column


def _has_lost_nulls(column: pa.ChunkedArray) -> bool:
    """Whether there are nulls in lists, which the driver before version 1.13 sends as zeros."""
    return _loses_nulls() and any(chunk.flatten().null_count for chunk in column.chunks)


@functools.cache
def _loses_nulls() -> bool:
    from importlib.metadata import version

    return tuple(map(int, version("adbc-driver-postgresql").split(".")[:2])) < (1, 13)


def sendable(rows: pa.Table) -> pa.Table:
    """The rows with what only the server can read as text: arrays of several dimensions."""
    import pyarrow as pa

    columns = [_as_literals(column) if _is_deep(column) else column for column in rows.columns]
    return pa.Table.from_arrays(columns, names=rows.column_names)


def _is_deep(column: pa.ChunkedArray) -> bool:
    arrow = column.type
    return _is_list(arrow) and (_is_list(arrow.value_type) or _has_lost_nulls(column))


def _as_literals(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    texts = [None if value is None else array_literal(value) for value in pylist(column)]
    return pa.chunked_array([pa.array(texts, pa.string())])
