"""PostgreSQL's types in Arrow: what the driver gives, and what is made of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omniduct.databases.postgresql.arrays import nested, vectors
from omniduct.errors import DuctStatementError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Column", "columns_of", "is_told", "kind_of"]

_TYPE = b"POSTGRESQL:type"
_TYPMOD = b"POSTGRESQL:typmod"


@dataclass
class Column:
    """A column of an answer.

    Parameters
    ----------
    name : str
        As the statement names it.
    kind : str
        PostgreSQL's name of its type.
    cast : str
        What the statement must have behind it for the value to come whole, as ``::text``.
    convert : callable, optional
        Makes the Arrow array of the driver's.
    varies : bool
        Whether the type of one piece may differ from that of the next.
    """

    name: str
    kind: str
    cast: str = ""
    convert: Callable[[Any], Any] | None = None
    varies: bool = False

    def whole(self, values: pa.ChunkedArray) -> pa.ChunkedArray:
        """All of its values."""
        return values if self.convert is None else self.convert(values)

    def piece(self, values: pa.Array) -> pa.ChunkedArray:
        """The next of its values."""
        import pyarrow as pa

        return self.whole(pa.chunked_array([values]))


def columns_of(schema: pa.Schema, kinds: list[str] | None = None) -> list[Column]:
    """The columns of an answer that the driver describes with this schema.

    Parameters
    ----------
    kinds : list of str, optional
        PostgreSQL's names of the types, where the driver does not say them.
    """
    if kinds is not None:
        schema = [_named(field, kind) for field, kind in zip(schema, kinds, strict=True)]
    return [_column(field) for field in schema]


def _named(field: pa.Field, kind: str) -> pa.Field:
    """A field of which the name of the type is known, where that matters."""
    return field.with_metadata({_TYPE: kind.encode()}) if kind in ("money", "oid", "xid") else field


def _column(field: pa.Field) -> Column:
    import pyarrow as pa
    from pyarrow import types

    kind, arrow = kind_of(field), field.type
    if kind == "numeric":
        return _numeric(field)
    if kind in ("int2vector", "oidvector"):
        return Column(field.name, kind, "::text", vectors)
    if kind == "uuid" and _is_opaque(arrow):
        return Column(field.name, kind, convert=_uuids)
    if kind in _CASTS:
        return Column(field.name, kind, _CASTS[kind], _CONVERTERS.get(kind), varies=kind == "money")
    if types.is_list(arrow):
        return _array(field, kind)
    if types.is_struct(arrow) or (_is_opaque(arrow) and arrow.storage_type == pa.binary()):
        return Column(field.name, kind, "::text")
    return Column(field.name, kind, convert=_CONVERTERS.get(kind, _plain if _is_opaque(arrow) else None))


def kind_of(field: pa.Field) -> str:
    """PostgreSQL's name of a field's type; of a driver before 1.13 only where it matters."""
    from pyarrow import types

    said = (field.metadata or {}).get(_TYPE)
    if said:
        return str(said, "utf-8")
    if _is_opaque(field.type):
        return str(field.type.type_name)
    if types.is_date32(field.type):
        return "date"
    if types.is_timestamp(field.type):
        return "timestamp" if field.type.tz is None else "timestamptz"
    return "jsonb" if getattr(field.type, "extension_name", "") == "arrow.json" else ""


def is_told(schema: pa.Schema) -> bool:
    """Whether the driver says the types: before version 1.13, the first without Python 3.10, it does not."""
    return all(_TYPE in (field.metadata or {}) for field in schema)


def _is_opaque(arrow: pa.DataType) -> bool:
    return getattr(arrow, "extension_name", "") == "arrow.opaque"


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values without an extension type that only names their origin."""
    import pyarrow as pa

    if not _is_opaque(values.type):
        return values
    return pa.chunked_array([chunk.storage for chunk in values.chunks], values.type.storage_type)


def _uuids(values: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    made = [pa.ExtensionArray.from_storage(pa.uuid(), c.storage.cast(pa.binary(16))) for c in values.chunks]
    return pa.chunked_array(made, pa.uuid())


# Numbers

_DIGITS = 38


def _numeric(field: pa.Field) -> Column:
    declared = _declared((field.metadata or {}).get(_TYPMOD))
    if declared is None:
        return Column(field.name, "numeric", convert=_decimals, varies=True)
    # a NaN, which a declared numeric may hold, is text
    return Column(field.name, "numeric", convert=lambda values: _as_declared(values, *declared), varies=True)


def _declared(typmod: bytes | None) -> tuple[int, int] | None:
    """Precision and scale of a numeric: see ``make_numeric_typmod`` in PostgreSQL's numeric.c."""
    if typmod is None or int(typmod) < 4:
        return None
    packed = int(typmod) - 4
    precision, scale = packed >> 16 & 0xFFFF, (packed & 0x7FF ^ 1024) - 1024
    return (precision, scale) if 0 <= scale <= precision <= 2 * _DIGITS else None


def _as_declared(values: pa.ChunkedArray, precision: int, scale: int) -> pa.ChunkedArray:
    import pyarrow as pa

    made = pa.decimal128 if precision <= _DIGITS else pa.decimal256
    try:
        return _plain(values).cast(made(precision, scale))
    except pa.ArrowInvalid:  # NaN, which a declared numeric may hold
        return _plain(values)


def _most_digits(texts: pa.ChunkedArray) -> tuple[int, int]:
    """The most digits before, and behind, the point that a number has."""
    import pyarrow as pa
    import pyarrow.compute as pc

    length, point = pc.binary_length(texts), pc.find_substring(texts, ".")
    is_whole = pc.less(point, 0)
    sign = pc.starts_with(texts, "-").cast(pa.int32())
    before = pc.subtract(pc.if_else(is_whole, length, point), sign)
    behind = pc.if_else(is_whole, 0, pc.subtract(pc.subtract(length, point), 1))
    return pc.max(before).as_py() or 0, pc.max(behind).as_py() or 0


def _decimals(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers of any scale, with the most digits behind the point that one of them has."""
    import pyarrow as pa

    texts = _plain(values)
    before, behind = _most_digits(texts)
    for made, digits in ((pa.decimal128, _DIGITS), (pa.decimal256, 2 * _DIGITS)):
        if before + behind <= digits:  # the cast itself does not see that a number has more
            try:
                return texts.cast(made(digits, behind))
            except pa.ArrowInvalid:
                continue
    return texts  # NaN, infinity, or more digits than Arrow has: as text they are whole


# Moments. The driver moves the count from the year 2000 to 1970, also that of infinity and of the last
# years, which wraps around. Counts since 1970: what minus infinity becomes, and the first day, in 4714 BC.
_MINUS_INFINITY = {"date": -(2**31) + 10_957, "timestamp": -(2**63) + 946_684_800_000_000}
_FIRST_DAY = -2_440_588
_FIRST = {"date": _FIRST_DAY, "timestamp": _FIRST_DAY * 86_400_000_000}


def _moments(kind: str) -> Callable[[Any], Any]:
    """What makes infinity the last, and minus infinity the first moment that the type can hold."""

    def convert(values: pa.ChunkedArray) -> pa.ChunkedArray:
        import pyarrow as pa
        import pyarrow.compute as pc

        counts = values.cast(pa.int32() if kind == "date" else pa.int64())
        wrapped = pc.less(counts, _FIRST[kind])
        if not pc.any(wrapped).as_py():
            return values
        width = 31 if kind == "date" else 63
        last, first = (pa.scalar(sign * (2**width - 1), counts.type) for sign in (1, -1))
        ends = pc.if_else(pc.equal(counts, _MINUS_INFINITY[kind]), first, last)
        return pc.if_else(wrapped, ends, counts).cast(values.type)

    return convert


_CASTS = {"money": "::numeric", "oid": "::bigint", "record": "::text", "xid": "::text::bigint"}
_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "money": _decimals,
    "date": _moments("date"),
    "timestamp": _moments("timestamp"),
    "timestamptz": _moments("timestamp"),
}


# Arrays


def _array(field: pa.Field, kind: str) -> Column:
    inner = _column(field.type.value_field)

    def convert(values: pa.ChunkedArray) -> pa.ChunkedArray:
        return nested(values.to_pylist(), _text_to(field.type.value_type, inner))

    return Column(field.name, kind, "::text", convert, varies=True)


def _text_to(arrow: pa.DataType, inner: Column) -> Callable[[list[str | None]], Any]:
    """What makes an Arrow array of elements of their texts; text is text where the type has no other way."""
    import pyarrow as pa

    def convert(texts: list[str | None]) -> pa.Array:
        strings = pa.array(texts, pa.string())
        try:
            return _elements(strings, arrow, inner)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError, DuctStatementError):
            return strings

    return convert


def _elements(strings: pa.Array, arrow: pa.DataType, inner: Column) -> pa.Array:
    import pyarrow as pa
    from pyarrow import types

    if inner.kind == "numeric":
        return _decimals(pa.chunked_array([strings])).combine_chunks()
    if _is_opaque(arrow) and inner.kind != "uuid":
        return strings
    if types.is_boolean(arrow):
        return pa.compute.equal(strings, "t")
    if types.is_binary(arrow):
        return pa.array([None if text is None else _bytes(text) for text in strings.to_pylist()], pa.binary())
    if inner.kind == "uuid":
        import uuid

        values = [None if text is None else uuid.UUID(text).bytes for text in strings.to_pylist()]
        return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(values, pa.binary(16)))
    if getattr(arrow, "extension_name", "") == "arrow.json":
        return pa.ExtensionArray.from_storage(arrow, strings)
    return strings.cast(arrow)


def _bytes(text: str) -> bytes:
    """Bytes as the server writes them, by either of the ways of its setting ``bytea_output``."""
    if text.startswith("\\x"):
        return bytes.fromhex(text[2:])
    octal = re.sub(r"\\([0-3][0-7]{2}|\\)", lambda m: "\\" if m[1] == "\\" else chr(int(m[1], 8)), text)
    return octal.encode("latin-1")
