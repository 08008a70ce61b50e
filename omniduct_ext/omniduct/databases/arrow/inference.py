"""Python values as Arrow columns, for drivers that only give rows: what type holds them all."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from omniduct.databases.arrow.text import text_of
from omniduct.databases.arrow.values import pylist

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Columns", "infer"]

# In this order: a bool is an int to Python too, and a datetime a date.
_FAMILIES: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (int, "int"),
    (float, "float"),
    (decimal.Decimal, "decimal"),
    (str, "text"),
    (bytes, "bytes"),
    (bytearray, "bytes"),
    (memoryview, "bytes"),
    (datetime.datetime, "datetime"),
    (datetime.date, "date"),
    (datetime.time, "time"),
    (datetime.timedelta, "timedelta"),
    (uuid.UUID, "uuid"),
    (dict, "nested"),
    (list, "nested"),
    (tuple, "nested"),
)
_NUMERIC = frozenset({"int", "float"})
_EXACT = frozenset({"int", "decimal"})


class Columns:
    """Makes Arrow tables of one result's rows, piece by piece.

    A column has in each piece the type it had before, unless its new values do not fit that: then it
    is widened from there on (integers to floats or decimals, anything to text).

    Parameters
    ----------
    names : sequence of str
        Of the columns.
    types : sequence of pyarrow.DataType, optional
        What the driver says of them; None where the values decide, as they do if they do not fit.
    """

    def __init__(self, names: Sequence[str], types: Sequence[pa.DataType | None] | None = None) -> None:
        self._names = list(names)
        self._said: list[pa.DataType | None] = list(types or [None] * len(self._names))
        self._types: list[pa.DataType | None] = list(self._said)

    def table(self, rows: Sequence[Sequence[Any]]) -> pa.Table:
        """The next rows as a table."""
        import pyarrow as pa

        columns = zip(*rows, strict=True) if rows else ((),) * len(self._names)
        arrays = [self._array(number, values) for number, values in enumerate(columns)]
        self._types = [array.type for array in arrays]
        return pa.Table.from_arrays(arrays, names=self._names)

    def _array(self, number: int, values: Sequence[Any]) -> pa.Array:
        import pyarrow as pa

        if self._said[number] is not None:
            try:
                return pa.array(values, self._said[number])
            except (pa.ArrowException, ValueError, TypeError, OverflowError):
                self._said[number] = None
        return _like(values, self._types[number])

    def text_where_unknown(self, table: pa.Table) -> pa.Table:
        """The table with columns of text for those that had no value yet, and so from here on."""
        import pyarrow as pa

        self._types = [pa.string() if pa.types.is_null(kind) else kind for kind in table.schema.types]
        return table.cast(pa.schema(list(zip(table.column_names, self._types, strict=True))))


def _like(values: Sequence[Any], seen: pa.DataType | None) -> pa.Array:
    import pyarrow as pa

    array = infer(values)
    if seen is None or array.type == seen or pa.types.is_null(seen):
        return array
    if pa.types.is_string(seen):
        return _text(values)
    if pa.types.is_null(array.type) or _widens(array.type, seen):
        try:
            return array.cast(seen)
        except pa.ArrowInvalid:  # an integer that no float holds, a decimal with more digits
            return array
    return array


def _widens(kind: pa.DataType, wider: pa.DataType) -> bool:
    """Whether every value of a type has the same meaning in the other, if it fits at all."""
    from pyarrow import types

    if types.is_integer(kind):
        return bool(types.is_floating(wider) or types.is_decimal(wider))
    same_family = types.is_decimal(kind) and types.is_decimal(wider)
    return bool(same_family or (types.is_nested(kind) and kind.id == wider.id))


def infer(values: Sequence[Any]) -> pa.Array:
    """An Arrow column of the type that holds all these values; None is null.

    Integers beyond 64 bits and decimals become decimals of 38 (else 76) digits, datetimes of several
    offsets UTC. Values of several kinds, and what Arrow has no type for, become text: see `text_of`.

    >>> infer([1, None, 2**70]).type
    Decimal128Type(decimal128(38, 0))
    >>> infer([1, "a", None]).to_pylist()
    ['1', 'a', None]
    """
    import pyarrow as pa

    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return pa.nulls(len(values))
    families = {_family(kind) for kind in kinds}
    try:
        return _builder(families)(values)
    except (pa.ArrowException, ValueError, TypeError, OverflowError, decimal.DecimalException):
        return _text(values)


def _family(kind: type) -> str:
    for base, family in _FAMILIES:
        if issubclass(kind, base):
            # a subclass may hold more: pandas.Timestamp its nanoseconds
            return "other" if family == "datetime" and kind is not base else family
    return "other"


def _builder(families: set[str]) -> Callable[[Sequence[Any]], pa.Array]:
    if len(families) == 1:
        return _BUILDERS[next(iter(families))]
    if families == _NUMERIC:
        return _inferred
    return _decimals if families == _EXACT else _text


def _inferred(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    return pa.array(values)


def _integers(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array(values, pa.int64())
    except OverflowError:
        return _decimals(values)


def _decimals(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    numbers = [decimal.Decimal(value) if isinstance(value, int) else value for value in values]
    array = pa.array(numbers)  # which refuses NaN and infinity
    # all the digits there are, so that the next piece of the result has the same type
    scale = array.type.scale
    digits = array.type.precision
    return array.cast(pa.decimal128(38, scale) if digits <= 38 else pa.decimal256(76, scale))


def _texts(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, pa.string())


def _bytes(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    return pa.array([None if value is None else bytes(value) for value in values], pa.binary())


def _datetimes(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    zones = {value.tzinfo for value in values if value is not None}
    if zones == {None}:
        return pa.array(values, pa.timestamp("us"))
    if None in zones:
        return _text(values)
    if len(zones) == 1:
        try:
            return pa.array(values)
        except (pa.ArrowException, ValueError):  # a zone of a kind that Arrow does not know
            pass
    utc = datetime.timezone.utc
    instants = [None if value is None else value.astimezone(utc) for value in values]
    return pa.array(instants, pa.timestamp("us", "UTC"))


def _times(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    if any(value is not None and value.tzinfo is not None for value in values):
        return _text(values)
    return pa.array(values, pa.time64("us"))


def _durations(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, pa.duration("us"))


def _uuids(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    storage = pa.array([None if value is None else value.bytes for value in values], pa.binary(16))
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def _nested(values: Sequence[Any]) -> pa.Array:
    """As Arrow infers it, if that is the same: dicts of different keys, for one, would gain some."""
    import pyarrow as pa

    plain = [list(value) if isinstance(value, tuple) else value for value in values]
    array = pa.array(plain)
    back = pylist(array)
    if back != plain and repr(back) != repr(plain):  # NaN equals nothing
        raise ValueError("Arrow would change these values")
    return array


_BUILDERS: dict[str, Callable[[Sequence[Any]], Any]] = {
    "bool": _inferred,
    "int": _integers,
    "float": _inferred,
    "decimal": _decimals,
    "text": _texts,
    "bytes": _bytes,
    "datetime": _datetimes,
    "date": _inferred,
    "time": _times,
    "timedelta": _durations,
    "uuid": _uuids,
    "nested": _nested,
    "other": _nested,
}


def _text(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    texts = [None if value is None else text_of(value) for value in values]
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:  # lone surrogates, which stand for bytes that are no UTF-8
        escaped = [None if text is None else text.encode("utf-8", "backslashreplace") for text in texts]
        return pa.array(escaped, pa.binary()).cast(pa.string())
