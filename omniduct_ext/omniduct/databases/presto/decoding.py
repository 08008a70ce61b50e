"""Values of Presto and Trino in Arrow: a decoder for each type, of the values' texts or of JSON."""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from omniduct.databases.presto import moments
from omniduct.databases.presto.types import SqlType, arrow_type, is_bytes, unit_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Decoder", "decoder", "loaded"]


class Decoder:
    """Decodes the values of one type; one that is text in Arrow, unless a subclass does otherwise.

    Parameters
    ----------
    kind : SqlType
        The type.
    """

    def __init__(self, kind: SqlType) -> None:
        self.kind = kind

    @property
    def arrow(self) -> pa.DataType:
        """The type of its arrays."""
        return arrow_type(self.kind)

    @property
    def read_as(self) -> pa.DataType:
        """The type in which Arrow reads the values' texts quickly; `of_texts` takes those that it cannot."""
        import pyarrow as pa

        return pa.string()

    @property
    def is_strange(self) -> bool:
        """Whether its values, or parts of them, may be any JSON."""
        return False

    @property
    def doubtful(self) -> set[str]:
        """A value, if there was one, that can mean two moments."""
        return set()

    def of_texts(self, texts: pa.Array) -> pa.Array:
        """An array of the texts of values."""
        return texts

    def of_values(self, values: Sequence[Any]) -> pa.Array:
        """An array of JSON values."""
        import pyarrow as pa

        try:
            texts = pa.array(values, pa.string())
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
            texts = pa.array([None if value is None else _text(value) for value in values], pa.string())
        return self.of_texts(texts)


def _text(value: Any) -> str:
    import orjson

    if isinstance(value, str):  # half of a character that UTF-16 has in two parts is none
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    as_it_was = orjson.OPT_PASSTHROUGH_SUBCLASS
    return orjson.dumps(value, default=lambda digits: orjson.Fragment(str(digits)), option=as_it_was).decode()


class _Digits(str):
    """A number of JSON as it was written."""

    __slots__ = ()


def loaded(text: bytes | str, exactly: bool = False) -> Any:
    """What JSON says.

    Parameters
    ----------
    text : bytes or str
        The JSON.
    exactly : bool
        Keep the texts of numbers that are no integers of 64 bits, which may have more digits than a float.
    """
    import json

    import orjson

    if not exactly:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:  # half of a character that UTF-16 has in two parts
            return json.loads(text)
    return json.loads(text, parse_float=_Digits, parse_int=_integer)


def _integer(digits: str) -> int | _Digits:
    number = int(digits) if len(digits) <= 20 else None
    return _Digits(digits) if number is None or not -(2**63) <= number < 2**63 else number


class _Strange(Decoder):
    """A type that is not known here: text, whatever its values are in JSON."""

    @property
    def is_strange(self) -> bool:
        return True


class _Plain(Decoder):
    """Numbers, booleans, and nothing at all: JSON has them."""

    @property
    def read_as(self) -> pa.DataType:
        return self.arrow

    def of_texts(self, texts: pa.Array) -> pa.Array:
        import pyarrow as pa

        return pa.nulls(len(texts)) if self.kind.name == "unknown" else texts.cast(self.arrow)

    def of_values(self, values: Sequence[Any]) -> pa.Array:
        import pyarrow as pa

        return pa.array(values, self.arrow)


class _Float(_Plain):
    def of_values(self, values: Sequence[Any]) -> pa.Array:
        import pyarrow as pa

        try:
            return super().of_values(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # "NaN", "Infinity"
            return super().of_values([float(value) if isinstance(value, str) else value for value in values])


class _Decimal(Decoder):
    @property
    def read_as(self) -> pa.DataType:
        return self.arrow

    def of_texts(self, texts: pa.Array) -> pa.Array:
        return texts.cast(self.arrow)


class _Moment(Decoder):
    """Dates, times and timestamps without a zone."""

    @property
    def read_as(self) -> pa.DataType:
        return self.arrow

    def of_texts(self, texts: pa.Array) -> pa.Array:
        return moments.moments(texts, self.arrow)


class _Zoned(Decoder):
    """Timestamps with a zone. The column has the one of its first values, if they share one; else UTC."""

    def __init__(self, kind: SqlType) -> None:
        super().__init__(kind)
        self._zone = ""
        self._doubtful: set[str] = set()

    @property
    def doubtful(self) -> set[str]:
        return self._doubtful

    @property
    def arrow(self) -> pa.DataType:
        return arrow_type(self.kind, self._zone or "UTC")

    def of_texts(self, texts: pa.Array) -> pa.Array:
        unit = unit_of(self.kind)
        assert unit is not None
        self._zone = self._zone or moments.shared_zone(texts)
        return moments.instants(texts, unit, self._doubtful).cast(self.arrow)


class _TimeWithZone(Decoder):
    def of_texts(self, texts: pa.Array) -> pa.Array:
        import pyarrow.compute as pc

        return pc.replace_substring(texts, " ", "")  # Presto parts time and zone, Trino does not


class _Span(Decoder):
    def of_texts(self, texts: pa.Array) -> pa.Array:
        return moments.spans(texts) if "day" in self.kind.name else moments.months(texts)


class _Bytes(Decoder):
    def of_texts(self, texts: pa.Array) -> pa.Array:
        import pyarrow as pa

        decode = binascii.a2b_base64
        return pa.array([None if text is None else decode(text) for text in texts.to_pylist()], pa.binary())


class _Json(Decoder):
    def of_texts(self, texts: pa.Array) -> pa.Array:
        import pyarrow as pa

        return pa.ExtensionArray.from_storage(self.arrow, texts)


_NO_UUID = "00000000-0000-0000-0000-000000000000"
_WIDTH = len(_NO_UUID)


class _Uuid(Decoder):
    def of_texts(self, texts: pa.Array) -> pa.Array:
        """All at once: the digits of fixed width stand one behind the other."""
        import pyarrow as pa
        import pyarrow.compute as pc

        count = len(texts)
        wide = pc.fill_null(texts, _NO_UUID).cast(pa.binary()).cast(pa.binary(_WIDTH))
        digits = wide.buffers()[1].to_pybytes()[wide.offset * _WIDTH : (wide.offset + count) * _WIDTH]
        data = bytes.fromhex(str(digits, "ascii").replace("-", ""))
        found = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, pa.py_buffer(data)])
        present = pc.if_else(pc.is_valid(texts), found, pa.scalar(None, pa.binary(16)))
        return pa.ExtensionArray.from_storage(self.arrow, present)


# Nested values. Trino sends them as JSON; Presto as text of JSON, of which nested parts are text again.


class _Nested(Decoder):
    def __init__(self, kind: SqlType) -> None:
        super().__init__(kind)
        self._children = [decoder(child) for child in kind.children]

    @property
    def is_strange(self) -> bool:
        return any(child.is_strange for child in self._children)

    @property
    def doubtful(self) -> set[str]:
        return set().union(*(child.doubtful for child in self._children))

    def of_texts(self, texts: pa.Array) -> pa.Array:
        return self.of_values(texts.to_pylist())

    def of_values(self, values: Sequence[Any]) -> pa.Array:
        exactly = self.is_strange
        opened = [loaded(value, exactly) if isinstance(value, str) else value for value in values]
        return self._of_parts(opened)

    def _of_parts(self, values: list[Any]) -> pa.Array:
        raise NotImplementedError


class _Array(_Nested):
    @property
    def arrow(self) -> pa.DataType:
        import pyarrow as pa

        return pa.list_(self._children[0].arrow)

    def _of_parts(self, values: list[Any]) -> pa.Array:
        import pyarrow as pa

        items = self._children[0].of_values(list(chain.from_iterable(v for v in values if v)))
        return pa.ListArray.from_arrays(_offsets(values), items, mask=_mask(values))


class _Map(_Nested):
    def __init__(self, kind: SqlType) -> None:
        key = kind.children[0]
        if key.is_nested:  # it comes as a text that no longer shows its parts
            kind = SqlType("map", (), (SqlType("varchar"), kind.children[1]))
        super().__init__(kind)

    @property
    def arrow(self) -> pa.DataType:
        import pyarrow as pa

        return pa.map_(self._children[0].arrow, self._children[1].arrow)

    def _of_parts(self, values: list[Any]) -> pa.Array:
        import pyarrow as pa

        filled = [value for value in values if value]
        texts = pa.array(list(chain.from_iterable(filled)), pa.string())
        keys = self._children[0].of_texts(texts)
        items = self._children[1].of_values(list(chain.from_iterable(value.values() for value in filled)))
        return pa.MapArray.from_arrays(_offsets(values), keys, items, mask=_mask(values))


class _Row(_Nested):
    @property
    def arrow(self) -> pa.DataType:
        import pyarrow as pa

        return pa.struct(
            [(name, child.arrow) for name, child in zip(self.kind.fields, self._children, strict=True)]
        )

    def _of_parts(self, values: list[Any]) -> pa.Array:
        import pyarrow as pa

        missing = [None] * len(self._children)
        columns = zip(*(missing if value is None else value for value in values), strict=True)
        filled = list(columns) or [()] * len(self._children)
        arrays = [child.of_values(column) for child, column in zip(self._children, filled, strict=True)]
        fields = [pa.field(name, array.type) for name, array in zip(self.kind.fields, arrays, strict=True)]
        return pa.StructArray.from_arrays(arrays, fields=fields, mask=_mask(values))


def _offsets(values: list[Any]) -> pa.Array:
    import pyarrow as pa

    offsets = [0]
    for value in values:
        offsets.append(offsets[-1] + (len(value) if value else 0))
    return pa.array(offsets, pa.int32())


def _mask(values: list[Any]) -> pa.Array:
    import pyarrow as pa

    return pa.array([value is None for value in values], pa.bool_())


def decoder(kind: SqlType) -> Decoder:
    """The decoder of a type; of one column alone, as it remembers the column's zone."""
    if is_bytes(kind):
        return _Bytes(kind)
    if kind.name in ("time", "timestamp", "timestamp with time zone") and unit_of(kind) is None:
        return Decoder(kind)
    return _DECODERS.get(kind.name, _Strange)(kind)


_DECODERS: dict[str, type[Decoder]] = {
    **dict.fromkeys(("varchar", "char", "ipaddress", "ipprefix"), Decoder),
    **dict.fromkeys(("boolean", "tinyint", "smallint", "integer", "bigint", "unknown"), _Plain),
    **dict.fromkeys(("real", "double"), _Float),
    **dict.fromkeys(("date", "time", "timestamp"), _Moment),
    **dict.fromkeys(("interval day to second", "interval year to month"), _Span),
    "decimal": _Decimal,
    "timestamp with time zone": _Zoned,
    "time with time zone": _TimeWithZone,
    "json": _Json,
    "uuid": _Uuid,
    "array": _Array,
    "map": _Map,
    "row": _Row,
}
