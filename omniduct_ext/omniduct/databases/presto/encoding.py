"""Arrow values in a statement: as JSON, and with the expression that makes the server's value of it.

What JSON has no exact form for goes as text, and the server casts it.
"""

from __future__ import annotations

import base64
import functools
import uuid
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from omniduct.databases.arrow.values import pylist

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DIGITS", "Encoder", "JsonText", "encoder", "has_own_encoder", "quoted"]

DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
"""Of a second, that a unit of Arrow's counts."""


class Encoder:
    """Encodes the values of one type; as their texts, unless a subclass does otherwise.

    Parameters
    ----------
    kind : str
        The server's type.
    carrier : str
        The type that the JSON is cast to.
    """

    casts = True
    """Whether a cast is all that the expression is."""

    def __init__(self, kind: str, carrier: str = "varchar") -> None:
        self.kind = kind
        self.carrier = carrier

    def expression(self, x: str, depth: int = 0) -> str:
        """What makes a value out of `x`, which is of the carrier's type; within so many lambdas."""
        return x if self.kind == self.carrier else f"CAST({x} AS {self.kind})"

    def values(self, array: pa.Array) -> list[Any]:
        """What JSON is made of."""
        import pyarrow as pa

        return pylist(array.cast(pa.large_string()))


class _Plain(Encoder):
    """Integers and booleans, which JSON has."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind, kind)

    def values(self, array: pa.Array) -> list[Any]:
        return pylist(array)


class _Float(Encoder):
    def values(self, array: pa.Array) -> list[Any]:
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = array.cast(pa.large_string())
        if not pc.all(pc.is_finite(array)).as_py():
            texts = pc.replace_substring(texts, "inf", "Infinity")
            texts = pc.replace_substring(texts, "nan", "NaN")
        return pylist(texts)


class _Moment(Encoder):
    """Dates, and timestamps without a zone, of which Arrow writes no year beyond 32767."""

    def values(self, array: pa.Array) -> list[Any]:
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = array.cast(pa.large_string())
        if pc.any(pc.starts_with(texts, "<")).as_py():
            raise pa.ArrowInvalid("there is a year beyond those from -32768 to 32767")
        return pylist(texts)


class _Zoned(_Moment):
    """Timestamps with a zone: sent in UTC, where every time is there once."""

    casts = False

    def __init__(self, kind: str, zone: str) -> None:
        super().__init__(kind)
        self._zone = zone

    def expression(self, x: str, depth: int = 0) -> str:
        zone = self._zone.replace("'", "''")
        return f"at_timezone({super().expression(x)}, '{zone}')"

    def values(self, array: pa.Array) -> list[Any]:
        import pyarrow as pa

        texts = super().values(array.cast(pa.timestamp(array.type.unit)))
        return [None if text is None else f"{text} UTC" for text in texts]


class _Span(Encoder):
    """Intervals: sent as a count of months, or of milliseconds."""

    casts = False

    def __init__(self, kind: str, one: str) -> None:
        super().__init__(kind, "bigint")
        self._one = one

    def expression(self, x: str, depth: int = 0) -> str:
        return f"{x} * {self._one}"

    def values(self, array: pa.Array) -> list[Any]:
        import pyarrow as pa

        if pa.types.is_duration(array.type):
            return pylist(array.cast(pa.int64()))
        return [None if value is None else value.months for value in pylist(array)]


class _Function(Encoder):
    """What is made of a text by a function, and not by a cast."""

    casts = False
    FUNCTION: str

    def expression(self, x: str, depth: int = 0) -> str:
        return f"{self.FUNCTION}({x})"


class _Bytes(_Function):
    FUNCTION = "from_base64"

    def values(self, array: pa.Array) -> list[Any]:
        encode = base64.b64encode
        return [None if value is None else encode(value).decode() for value in pylist(array)]


class JsonText(_Function):
    """Texts of JSON."""

    FUNCTION = "json_parse"

    def values(self, array: pa.Array) -> list[Any]:
        """The texts themselves."""
        return super().values(getattr(array, "storage", array))


class _Uuid(Encoder):
    def values(self, array: pa.Array) -> list[Any]:
        texts = (value and str(uuid.UUID(bytes=value)) for value in pylist(array.storage))
        return list(texts)


class _List(Encoder):
    def __init__(self, items: Encoder) -> None:
        super().__init__(f"array({items.kind})", f"array({items.carrier})")
        self._items = items
        self.casts = items.casts

    def expression(self, x: str, depth: int = 0) -> str:
        if self.casts:
            return super().expression(x)
        item = f"item{depth}"
        return f"transform({x}, {item} -> {self._items.expression(item, depth + 1)})"

    def values(self, array: pa.Array) -> list[Any]:
        offsets = pylist(array.offsets)
        values = self._items.values(array.values[offsets[0] : offsets[-1]])
        return _parted(values, offsets, array)


class _Map(Encoder):
    """Maps: sent as arrays of pairs, as the keys of JSON are texts alone."""

    casts = False

    def __init__(self, pairs: _Row, key: Encoder, item: Encoder) -> None:
        self._pairs = _List(pairs)
        super().__init__(f"map({key.kind}, {item.kind})", self._pairs.carrier)
        self._of = key, item

    def expression(self, x: str, depth: int = 0) -> str:
        return f"map_from_entries({self._pairs.expression(x, depth)})"

    def values(self, array: pa.Array) -> list[Any]:
        offsets = pylist(array.offsets)
        span = slice(offsets[0], offsets[-1])
        parts = zip(self._of, (array.keys[span], array.items[span]), strict=True)
        pairs = list(zip(*(each.values(part) for each, part in parts), strict=True))
        return _parted(pairs, offsets, array)


class _Row(Encoder):
    def __init__(self, fields: dict[str, Encoder]) -> None:
        self._fields = list(fields.values())
        kinds = (f"{quoted(name)} {each.kind}" for name, each in fields.items())
        carriers = (f"f{n} {each.carrier}" for n, each in enumerate(self._fields))
        super().__init__(f"row({', '.join(kinds)})", f"row({', '.join(carriers)})")
        self.casts = all(each.casts for each in self._fields)

    def expression(self, x: str, depth: int = 0) -> str:
        if self.casts:
            return super().expression(x)
        parts = (each.expression(f"{x}.f{n}", depth) for n, each in enumerate(self._fields))
        return f"IF({x} IS NULL, NULL, CAST(ROW({', '.join(parts)}) AS {self.kind}))"

    def values(self, array: pa.Array) -> list[Any]:
        parts = (each.values(part) for each, part in zip(self._fields, array.flatten(), strict=True))
        return _without_nulls(list(zip(*parts, strict=True)), array)


def _parted(values: list[Any], offsets: list[int], array: pa.Array) -> list[Any]:
    first = offsets[0]
    parts = [values[start - first : end - first] for start, end in pairwise(offsets)]
    return _without_nulls(parts, array)


def _without_nulls(values: list[Any], array: pa.Array) -> list[Any]:
    if not array.null_count:
        return values
    return [value if there else None for value, there in zip(values, pylist(array.is_valid()), strict=True)]


def quoted(name: str) -> str:
    """The name of a field, as it is written."""
    return '"' + name.replace('"', '""') + '"'


# From Arrow's types


def encoder(kind: pa.DataType, has_digits: bool) -> Encoder:
    """The encoder of a type: one with an encoder of its own, or made of such.

    Parameters
    ----------
    has_digits : bool
        Whether times have a precision, as in Trino; in Presto it is always milliseconds.
    """
    from pyarrow import types

    if kind in _named_types():
        return _named_types()[kind]
    if types.is_decimal(kind):
        return Encoder(f"decimal({kind.precision},{kind.scale})")
    if types.is_timestamp(kind):
        named = _precise("timestamp", kind, has_digits)
        return _Moment(named) if kind.tz is None else _Zoned(f"{named} with time zone", kind.tz)
    if types.is_time(kind):
        return Encoder(_precise("time", kind, has_digits))
    if types.is_list(kind):
        return _List(encoder(kind.value_type, has_digits))
    if types.is_map(kind):
        key, item = encoder(kind.key_type, has_digits), encoder(kind.item_type, has_digits)
        return _Map(_Row({"key": key, "value": item}), key, item)
    return _Row({field.name: encoder(field.type, has_digits) for field in kind})


def has_own_encoder(kind: pa.DataType) -> bool:
    """Whether a type, which is not made of others, is sent as it is."""
    return kind in _named_types()


@functools.cache
def _named_types() -> dict[pa.DataType, Encoder]:
    import pyarrow as pa

    return {
        pa.bool_(): _Plain("boolean"),
        pa.int8(): _Plain("tinyint"),
        pa.int16(): _Plain("smallint"),
        pa.int32(): _Plain("integer"),
        pa.int64(): _Plain("bigint"),
        pa.float32(): _Float("real"),
        pa.float64(): _Float("double"),
        pa.date32(): _Moment("date"),
        pa.large_string(): Encoder("varchar"),
        pa.large_binary(): _Bytes("varbinary"),
        pa.duration("ms"): _Span("interval day to second", "INTERVAL '0.001' SECOND"),
        pa.month_day_nano_interval(): _Span("interval year to month", "INTERVAL '1' MONTH"),
        pa.uuid(): _Uuid("uuid"),
        pa.json_(pa.string()): JsonText("json"),
    }


def _precise(name: str, kind: pa.DataType, has_digits: bool) -> str:
    return f"{name}({DIGITS[kind.unit]})" if has_digits else name
