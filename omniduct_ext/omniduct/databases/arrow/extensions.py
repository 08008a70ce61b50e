"""Arrow's extension types: what plain type has the same meaning."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING

from omniduct.databases.arrow.values import pylist

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["inner_fields", "plain_column", "plain_type", "with_plain_booleans"]


def plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """A column of an extension type as one of a plain type; None where there is none of that meaning."""
    import pyarrow as pa

    kind = column.type
    if kind.extension_name in ("arrow.bool8", "arrow.json"):
        return column.cast(plain_type(kind))
    if kind.extension_name == "arrow.opaque" and kind.vendor_name == "DuckDB":
        if kind.type_name == "hugeint":
            # DuckDB's 128-bit integers lie in memory as Arrow's decimals do
            return pa.chunked_array(
                [_as_decimal(chunk.storage) for chunk in column.chunks], pa.decimal128(38)
            )
        if kind.type_name == "uhugeint":
            values = [None if value is None else decimal.Decimal(value) for value in pylist(column)]
            return pa.chunked_array([pa.array(values, pa.decimal256(39))])
    return None


def with_plain_booleans(table: pa.Table) -> pa.Table:
    """A table whose booleans are Arrow's own: DuckDB's bytes are of a type that few others know."""
    for index, field in enumerate(table.schema):
        if getattr(field.type, "extension_name", "") == "arrow.bool8":
            table = table.set_column(index, field.name, plain_column(table.column(index)))
    return table


def _as_decimal(storage: pa.Array) -> pa.Array:
    import pyarrow as pa

    buffers = storage.buffers()
    return pa.Array.from_buffers(pa.decimal128(38), len(storage), buffers, storage.null_count, storage.offset)


def plain_type(kind: pa.DataType) -> pa.DataType | None:
    """A type without extensions in it, to which the values can be cast; None where there is none."""
    import pyarrow as pa
    from pyarrow import types

    if isinstance(kind, pa.BaseExtensionType):
        return {"arrow.bool8": pa.bool_(), "arrow.json": pa.string()}.get(kind.extension_name)
    inner = [plain_type(field.type) for field in inner_fields(kind)]
    if None in inner:
        return None
    if types.is_map(kind):
        return pa.map_(*inner)
    if types.is_struct(kind):
        return pa.struct([field.with_type(plain) for field, plain in zip(kind, inner, strict=True)])
    if types.is_list(kind):
        return pa.list_(kind.value_field.with_type(inner[0]))
    if types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(inner[0]))
    if types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(inner[0]), kind.list_size)
    return kind


def inner_fields(kind: pa.DataType) -> list[pa.Field]:
    """The fields of a list, a struct or a map; none for every other type."""
    from pyarrow import types

    if types.is_map(kind):
        return [kind.key_field, kind.item_field]
    if types.is_struct(kind):
        return list(kind)
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return [kind.value_field] if is_list else []
