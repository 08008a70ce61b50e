"""Values of a frame for a column that is there: converted without loss, or refused.

The server rounds and cuts without a word where it casts; what that would change is found before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from omniduct.databases.arrow.text import text_of
from omniduct.databases.arrow.values import pylist
from omniduct.databases.presto.encoding import DIGITS
from omniduct.databases.presto.fitting import is_list, is_text
from omniduct.databases.presto.types import SqlType, arrow_type, unit_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["fitted"]

_INTEGERS = ("tinyint", "smallint", "integer", "bigint")
_FLOATS = ("real", "double")


def fitted(column: pa.ChunkedArray, wanted: SqlType) -> pa.ChunkedArray | None:
    """A column in the type of a column that is there, where both are of one kind; the server casts others.

    Raises
    ------
    pyarrow.ArrowInvalid
        That would lose something, which the server would not complain of.
    """
    import pyarrow as pa

    chunks = [_fitted(chunk, wanted) for chunk in column.chunks]
    found = [chunk for chunk in chunks if chunk is not None]
    return pa.chunked_array(found) if chunks and len(found) == len(chunks) else None


def _fitted(array: pa.Array, wanted: SqlType) -> pa.Array | None:
    from pyarrow import types

    kind = array.type
    if types.is_dictionary(kind):
        return _fitted(array.dictionary_decode(), wanted)
    if types.is_null(kind):
        return None
    if wanted.is_nested:
        _check_nested(array, wanted)
        return None
    if types.is_integer(kind) or types.is_decimal(kind) or types.is_floating(kind):
        return _number(array, wanted)
    if types.is_timestamp(kind):
        return _timestamp(array, wanted)
    if types.is_time(kind):
        return _time(array, wanted)
    if is_text(kind):
        return _text(array, wanted)
    return None


# Lists, maps and structs: their values are sent as they are, and the server casts them


def _check_nested(array: pa.Array, wanted: SqlType) -> None:
    from pyarrow import types

    if wanted.name == "array" and is_list(array.type):
        _fitted(array.flatten(), wanted.children[0])
    elif wanted.name == "map" and types.is_map(array.type):
        span = slice(array.offsets[0].as_py(), array.offsets[-1].as_py())
        for part, child in zip((array.keys, array.items), wanted.children, strict=True):
            _fitted(part[span], child)
    elif wanted.name == "row" and types.is_struct(array.type):
        _check_row(array, wanted)


def _check_row(array: pa.Array, wanted: SqlType) -> None:
    """The server casts rows by the order of their fields."""
    import pyarrow as pa

    names = [field.name.lower() for field in array.type]
    expected = [name.lower() for name in wanted.fields]
    if names != expected and sorted(names) == sorted(expected):
        raise pa.ArrowInvalid(f"its fields come in another order: {', '.join(names)}")
    for part, child in zip(array.flatten(), wanted.children, strict=False):
        _fitted(part, child)


# Numbers


def _number(array: pa.Array, wanted: SqlType) -> pa.Array | None:
    from pyarrow import types

    if wanted.name == "boolean":
        _check_truth(array)
    elif wanted.name == "decimal":
        return _decimal(array, wanted)
    elif wanted.name in _INTEGERS:
        return _cast(array, arrow_type(wanted))
    elif wanted.name in _FLOATS and not types.is_decimal(array.type):  # which the server rounds as all do
        return _float(array, arrow_type(wanted))
    return None


def _check_truth(array: pa.Array) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    bits = array.cast(pa.float64(), safe=False)
    _refuse(array, pc.invert(pc.or_(pc.equal(bits, 0), pc.equal(bits, 1))), "is neither 0 nor 1")


def _float(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    import pyarrow.compute as pc
    from pyarrow import types

    cast = _cast(array, wanted)
    if types.is_floating(array.type):
        _refuse(array, pc.and_(pc.is_inf(cast), pc.is_finite(array)), f"is too great for {wanted}")
    return cast


def _decimal(array: pa.Array, wanted: SqlType) -> pa.Array:
    """A float is the number that its shortest text is, as everywhere."""
    import pyarrow as pa
    from pyarrow import types

    made = pa.decimal128(*wanted.numbers)
    if types.is_integer(array.type):
        return _cast(_cast(array, pa.decimal128(20, 0)), made)
    return _cast(array.cast(pa.string()) if types.is_floating(array.type) else array, made)


# Dates and times


def _timestamp(array: pa.Array, wanted: SqlType) -> pa.Array | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if wanted.name == "date":
        return _date(array)
    if wanted.name.startswith("time ") or wanted.name == "time":
        _refuse(array, pc.is_valid(array), "would lose its date")
    if not wanted.name.startswith("timestamp"):
        return None
    _check_digits(array, wanted)
    unit = unit_of(wanted)
    if unit is None or wanted.name != ("timestamp" if kind.tz is None else "timestamp with time zone"):
        return None
    return _cast(array, pa.timestamp(unit, kind.tz))


def _date(array: pa.Array) -> pa.Array | None:
    """Dates of midnights; of a zone's, the server makes them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    local = array if array.type.tz is None else pc.local_timestamp(array)
    dates = local.cast(pa.date32(), safe=False)
    _refuse(array, pc.not_equal(dates.cast(local.type), local), "is not midnight")
    return dates if array.type.tz is None else None


def _time(array: pa.Array, wanted: SqlType) -> pa.Array | None:
    import pyarrow.compute as pc

    if wanted.name.startswith("timestamp"):
        _refuse(array, pc.is_valid(array), "has no date")
    if not wanted.name.startswith("time"):
        return None
    _check_digits(array, wanted)
    return _cast(array, arrow_type(wanted)) if wanted.name == "time" and unit_of(wanted) else None


def _check_digits(array: pa.Array, wanted: SqlType) -> None:
    """Complain about parts of a second that the type has no digits for."""
    import pyarrow as pa
    import pyarrow.compute as pc

    digits = _digits(wanted)
    tick = 10 ** max(DIGITS[array.type.unit] - digits, 0)
    counts = array.cast(pa.int64() if array.type.bit_width == 64 else pa.int32()).cast(pa.int64())
    ticks = pc.multiply(pc.divide(counts, tick), tick)
    _refuse(array, pc.not_equal(ticks, counts), f"has more than {digits} digits behind the second")


def _digits(wanted: SqlType) -> int:
    return wanted.numbers[0] if wanted.numbers else 3


# Texts


def _text(array: pa.Array, wanted: SqlType) -> pa.Array | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = array.cast(pa.large_string())
    if wanted.name in ("varchar", "char") and wanted.numbers:
        lengths = pc.utf8_length(texts)
        _refuse(
            texts, pc.greater(lengths, wanted.numbers[0]), f"is longer than {wanted.numbers[0]} characters"
        )
    elif wanted.name.startswith("time"):
        digits = _digits(wanted)
        finer = pc.match_substring_regex(texts, rf"\.\d{{{digits}}}\d*[1-9]")
        _refuse(texts, finer, f"has more than {digits} digits behind the second")
    elif wanted.name == "decimal":
        _check_scale(texts, wanted)
    return None


def _check_scale(texts: pa.Array, wanted: SqlType) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    scale = wanted.numbers[1]
    finer = pc.match_substring_regex(texts, rf"^[^eE]*\.\d{{{scale}}}\d*[1-9]\d*$")
    _refuse(texts, finer, f"has more than {scale} digits behind the point")
    powers = texts.filter(pc.match_substring_regex(texts, r"^[+-]?[\d.]+[eE][+-]?\d+$"))
    _cast(powers, pa.decimal128(*wanted.numbers))


# Complaints


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """A cast that loses nothing; its complaint names a value."""
    import pyarrow as pa

    try:
        return array.cast(kind)
    except pa.ArrowInvalid as error:
        reason = str(error).partition("\n")[0]
    raise pa.ArrowInvalid(f"{_shown(_culprit(array, kind))} would not stay the same ({reason})")


def _culprit(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The first value that cannot be cast, alone."""
    import pyarrow as pa

    while len(array) > 1:
        half = array[: len(array) // 2]
        try:
            half.cast(kind)
        except pa.ArrowInvalid:
            array = half
        else:
            array = array[len(half) :]
    return array


def _refuse(array: pa.Array, which: pa.Array, why: str) -> None:
    """Complain about the first of some values, if there is one."""
    import pyarrow as pa

    some = array.filter(which)  # a null is none
    if len(some):
        raise pa.ArrowInvalid(f"{_shown(some[:1])} {why}")


def _shown(one: pa.Array) -> str:
    (value,) = pylist(one)
    text = text_of(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
