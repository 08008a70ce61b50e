"""Arrow columns as plain Python values: a column at a time, and nothing loses a value."""

from __future__ import annotations

import datetime
import decimal
import functools
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["pylist"]

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)$")


def pylist(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """The values of an Arrow column as plain Python objects.

    Decimals, dates, times and datetimes (with their zone) are the standard library's. A struct is a
    dict (a tuple where its fields have no names of their own), a map a dict (a list of pairs where
    its keys cannot be), an interval `pyarrow.MonthDayNano`. What Python's types cannot hold comes as
    its ISO text (a date of the year 10000, the time 24:00:00), a timestamp that needs its
    nanoseconds as `pandas.Timestamp`.

    >>> import pyarrow
    >>> pylist(pyarrow.array([{"a": 1}, None]))
    [{'a': 1}, None]
    """
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        return [value for chunk in column.chunks for value in _values(chunk)]
    return _values(column)


def _values(array: pa.Array) -> list[Any]:
    convert = _converters().get(array.type.id)
    return convert(array) if convert else list(array.to_pylist())


@functools.cache
def _converters() -> dict[int, Callable[[pa.Array], list[Any]]]:
    """By the id of the Arrow type; a type that is not here is converted by pyarrow, value by value."""
    import pyarrow as pa

    signed = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
    unsigned = (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
    converters: dict[int, Callable[[pa.Array], list[Any]]] = {
        **{kind.id: _numbers for kind in (*signed, *unsigned, pa.float32(), pa.float64())},
        **{kind.id: _objects for kind in (pa.bool_(), pa.null(), pa.string(), pa.large_string())},
        **{kind.id: _objects for kind in (pa.binary(), pa.large_binary(), pa.binary(1))},
        **{kind.id: _objects for kind in (pa.decimal128(1), pa.decimal256(1))},
        pa.date32().id: _moments,
        pa.timestamp("us").id: _timestamps,
        pa.duration("us").id: _durations,
        pa.time32("s").id: _times,
        pa.time64("us").id: _times,
        pa.list_(pa.null()).id: _lists,
        pa.large_list(pa.null()).id: _lists,
        pa.list_(pa.null(), 1).id: _fixed_lists,
        pa.struct([]).id: _structs,
        pa.map_(pa.string(), pa.null()).id: _maps,
        pa.dictionary(pa.int8(), pa.null()).id: _dictionary,
        pa.uuid().id: _extension,
    }
    return converters


def _numbers(array: pa.Array) -> list[Any]:
    if not array.null_count:
        return list(array.to_numpy().tolist())
    # by way of NaN, the nulls would make floats of integers
    return _with_nulls(array.fill_null(0).to_numpy().tolist(), array)


def _with_nulls(values: list[Any], array: pa.Array) -> list[Any]:
    if array.null_count:
        for index in array.is_null().to_numpy(zero_copy_only=False).nonzero()[0].tolist():
            values[index] = None
    return values


def _objects(array: pa.Array) -> list[Any]:
    return list(array.to_numpy(zero_copy_only=False).tolist())


def _moments(array: pa.Array) -> list[Any]:
    """Dates, and timestamps without a zone; numpy gives an int for what Python cannot hold."""
    moments = array.to_numpy(zero_copy_only=False)
    values = list(moments.tolist())
    if int in set(map(type, values)):
        return [_iso(str(moments[i])) if type(value) is int else value for i, value in enumerate(values)]
    return values


def _iso(text: str) -> str:
    """With the four digits that numpy does not give to all years before 0."""
    year, dash, rest = text[1:].partition("-")
    return f"-{year:0>4}{dash}{rest}" if text.startswith("-") else text


def _timestamps(array: pa.Array) -> list[Any]:
    import pyarrow as pa

    kind = array.type
    if kind.unit == "ns":
        try:
            return _timestamps(array.cast(pa.timestamp("us", kind.tz)))
        except pa.ArrowInvalid:
            return list(array.to_pylist())
    if kind.tz is None:
        return _moments(array)
    zone = _zone(kind.tz)
    return [_in_zone(value, zone) for value in _moments(array.cast(pa.timestamp(kind.unit)))]


def _in_zone(value: Any, zone: datetime.tzinfo) -> Any:
    if value is None:
        return None
    if isinstance(value, str):
        return value + "+00:00"
    try:
        return value.replace(tzinfo=datetime.timezone.utc).astimezone(zone)
    except OverflowError:
        return value.isoformat() + "+00:00"


@functools.cache
def _zone(name: str) -> datetime.tzinfo:
    offset = _OFFSET.match(name)
    if offset:
        sign, hours, minutes = offset.groups()
        size = datetime.timedelta(hours=int(hours), minutes=int(minutes))
        return datetime.timezone(-size if sign == "-" else size)
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        # the same instants: Windows has no zones without the tzdata package
        return datetime.timezone.utc


def _durations(array: pa.Array) -> list[Any]:
    import pyarrow as pa

    nanos = 10**9 // _PER_SECOND[array.type.unit]
    return [_duration(count, nanos) for count in pylist(array.cast(pa.int64()))]


def _duration(count: int | None, nanos: int) -> datetime.timedelta | str | None:
    if count is None:
        return None
    micros, rest = divmod(count * nanos, 1000)
    try:
        span = datetime.timedelta(microseconds=micros)
    except OverflowError:
        span = None
    return f"{decimal.Decimal(count * nanos) / 10**9:f} seconds" if rest or span is None else span


def _times(array: pa.Array) -> list[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    unit = array.type.unit
    second = _PER_SECOND[unit]
    counts = array.view(pa.int64() if unit in ("us", "ns") else pa.int32())
    if unit != "ns" and (pc.max(counts).as_py() or 0) < 86_400 * second:
        return _objects(array)
    return [_time_or_none(value, second) for value in _numbers(counts)]


def _time_or_none(count: int | None, second: int) -> datetime.time | str | None:
    return None if count is None else _time(count, second)


def _time(count: int, second: int) -> datetime.time | str:
    """24:00:00 is a time of day to many databases, and some count nanoseconds."""
    seconds, part = divmod(count, second)
    micros, rest = divmod(part * 10**9 // second, 1000)
    if seconds >= 86_400 or rest:
        hours, minutes = divmod(seconds // 60, 60)
        digits = f".{micros:06d}{rest:03d}".rstrip("0").rstrip(".")
        return f"{hours:02d}:{minutes:02d}:{seconds % 60:02d}{digits}"
    return (datetime.datetime.min + datetime.timedelta(seconds=seconds, microseconds=micros)).time()


def _lists(array: pa.Array) -> list[Any]:
    offsets = array.offsets.to_numpy().tolist()
    first = offsets[0]
    values = pylist(array.values[first : offsets[-1]])
    return _with_nulls([values[start - first : end - first] for start, end in pairwise(offsets)], array)


def _fixed_lists(array: pa.Array) -> list[Any]:
    size = array.type.list_size
    values = pylist(array.values[array.offset * size : (array.offset + len(array)) * size])
    return _with_nulls([values[i * size : (i + 1) * size] for i in range(len(array))], array)


def _structs(array: pa.Array) -> list[Any]:
    names = [field.name for field in array.type]
    if not names:
        return _with_nulls([{} for _ in range(len(array))], array)
    rows: Iterable[tuple[Any, ...]] = zip(*map(pylist, array.flatten()), strict=True)
    if len(set(names)) < len(names):
        return _with_nulls(list(rows), array)
    return _with_nulls([dict(zip(names, row, strict=True)) for row in rows], array)


def _maps(array: pa.Array) -> list[Any]:
    offsets = array.offsets.to_numpy().tolist()
    first, last = offsets[0], offsets[-1]
    keys, items = pylist(array.keys[first:last]), pylist(array.items[first:last])
    spans = [slice(start - first, end - first) for start, end in pairwise(offsets)]
    return _with_nulls([_mapping(keys[span], items[span]) for span in spans], array)


def _mapping(keys: Sequence[Any], items: Sequence[Any]) -> Any:
    pairs = list(zip(keys, items, strict=True))
    try:
        mapping = dict(pairs)
    except TypeError:  # a key that is itself a list or a struct
        return pairs
    return mapping if len(mapping) == len(pairs) else pairs


def _dictionary(array: pa.Array) -> list[Any]:
    words = pylist(array.dictionary)
    return [None if index is None else words[index] for index in pylist(array.indices)]


def _extension(array: pa.Array) -> list[Any]:
    values = pylist(array.storage)
    decode = _decoder(array.type)
    return [None if value is None else decode(value) for value in values] if decode else values


def _decoder(kind: pa.DataType) -> Callable[[Any], Any] | None:
    if kind.extension_name == "arrow.uuid":
        from uuid import UUID

        return lambda value: UUID(bytes=value)
    if kind.extension_name == "arrow.bool8":
        return bool
    if kind.extension_name == "arrow.opaque" and kind.vendor_name == "DuckDB":
        return _DUCKDB.get(kind.type_name)
    return None


def _bits(value: bytes) -> str:
    """First the count of the bits of padding, then padding and bits."""
    return "".join(f"{byte:08b}" for byte in value[1:])[value[0] :]


def _bignum(value: bytes) -> int:
    """Three bytes of header, whose first bit is set for a positive number; a negative one is inverted."""
    if value[0] & 0x80:
        return int.from_bytes(value[3:], "big")
    return -int.from_bytes(bytes(byte ^ 0xFF for byte in value[3:]), "big")


def _time_with_zone(value: bytes) -> datetime.time | str:
    """40 bits of microseconds; beneath, in 24 bits, how far the offset is from the greatest (15:59:59)."""
    packed = int.from_bytes(value, "little")
    offset = datetime.timedelta(seconds=16 * 3600 - 1 - (packed & 0xFFFFFF))
    time = _time(packed >> 24, 10**6)
    if isinstance(time, str):
        sign, size = ("-", -offset) if offset < datetime.timedelta(0) else ("+", offset)
        return f"{time}{sign}{(datetime.datetime.min + size).time().isoformat()}"
    return time.replace(tzinfo=datetime.timezone(offset))


# What DuckDB sends by `arrow_lossless_conversion`, laid out as in its memory.
_DUCKDB: dict[str, Callable[[bytes], Any]] = {
    "hugeint": lambda value: int.from_bytes(value, "little", signed=True),
    "uhugeint": lambda value: int.from_bytes(value, "little"),
    "bit": _bits,
    "bignum": _bignum,
    "time_tz": _time_with_zone,
}
