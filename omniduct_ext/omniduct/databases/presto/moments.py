"""Dates, times, timestamps and intervals in Arrow: all at once where Arrow reads their texts, else each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from omniduct.errors import DuctStatementError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["instants", "moments", "months", "shared_zone", "spans"]

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)\Z")
_UTC = frozenset({"UTC", "Z", "GMT", "Etc/UTC", "+00:00"})
_MOMENT = re.compile(r"([+-]?\d+)-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d):(\d\d)(?:\.(\d+))?)?\Z")


def moments(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Dates, times or timestamps without a zone.

    Raises
    ------
    DuctStatementError
        One is beyond what the type can hold.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_time(kind):
        dated = pc.binary_join_element_wise("1970-01-01", texts, " ")  # a time alone Arrow does not read
        return dated.cast(pa.timestamp(kind.unit)).cast(kind)
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:  # years before 0 and after 9999
        pass
    unit = "D" if pa.types.is_date(kind) else kind.unit
    width = pa.int32() if unit == "D" else pa.int64()
    counts = [None if text is None else _count(text, unit) for text in texts.to_pylist()]
    return pa.array(counts, width).cast(kind)


def _count(text: str, unit: str) -> int:
    """Days, or units of a second, since 1970."""
    found = _MOMENT.match(text)
    if found is None:
        raise DuctStatementError(f"{text!r} cannot be read as a date or timestamp")
    year, month, day, hours, minutes, seconds, part = found.groups()
    days = _days(int(year), int(month), int(day))
    if unit == "D":
        return days
    per_second = _PER_SECOND[unit]
    whole = days * 86_400 + int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    digits = len(str(per_second)) - 1
    count = whole * per_second + (int((part or "").ljust(digits, "0")[:digits]) if digits and part else 0)
    if not -(2**63) < count < 2**63:
        raise DuctStatementError(
            f"{text} lies beyond the years 1677 to 2262, which is what nanoseconds can count in 64 bits: "
            "cast it to timestamp(6) in the statement"
        )
    return count


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


# With a zone


def shared_zone(texts: pa.Array) -> str:
    """The zone that all of the texts end with; UTC if there is no such."""
    import pyarrow.compute as pc

    present = texts.drop_null()
    zone = str(present[0].as_py()).rpartition(" ")[2] if len(present) else "UTC"
    if zone in _UTC or not pc.all(pc.ends_with(present, f" {zone}")).as_py():
        return "UTC"
    return zone


def instants(texts: pa.Array, unit: str, doubtful: set[str]) -> pa.Array:
    """Timestamps in UTC, from texts that end with a zone each.

    Where a clock was set back, it is the earlier of the two moments that it showed: the text does not
    say. To `doubtful` the first such text is added.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    zone = shared_zone(texts)
    present = texts.drop_null()
    if not len(present):
        return pa.nulls(len(texts), pa.timestamp(unit, "UTC"))
    if pc.all(pc.ends_with(present, f" {zone}")).as_py():
        return _in_zone(pc.utf8_slice_codeunits(texts, 0, -len(zone) - 1), zone, unit, doubtful)
    parts = pc.extract_regex(texts, r"^(?P<moment>.*) (?P<zone>\S+)$")
    local, zones = pc.struct_field(parts, "moment"), pc.struct_field(parts, "zone")
    found = pa.nulls(len(texts), pa.timestamp(unit, "UTC"))
    for each in pc.unique(zones).drop_null().to_pylist():
        chosen = pc.fill_null(pc.equal(zones, each), False)
        found = pc.replace_with_mask(found, chosen, _in_zone(local.filter(chosen), each, unit, doubtful))
    return found


def _in_zone(local: pa.Array, zone: str, unit: str, doubtful: set[str]) -> pa.Array:
    """The instants of moments of a zone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    utc = pa.timestamp(unit, "UTC")
    naive = moments(local, pa.timestamp(unit))
    offset = _OFFSET.match(zone)
    if zone in _UTC:
        return naive.cast(pa.int64()).cast(utc)
    if offset:
        seconds = int(offset[2]) * 3600 + int(offset[3]) * 60
        shift = (-seconds if offset[1] == "-" else seconds) * _PER_SECOND[unit]
        return pc.subtract(naive.cast(pa.int64()), shift).cast(utc)
    first, last = (
        pc.assume_timezone(naive, zone, ambiguous=which, nonexistent=which).cast(utc)
        for which in ("earliest", "latest")
    )
    if not first.equals(last) and not doubtful:
        doubtful.add(f"{local.filter(pc.not_equal(first, last))[0]} {zone}")
    return first


# Intervals

_SPAN = r"^(?P<sign>-?)(?P<days>\d+) (?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+)\.(?P<millis>\d+)$"
_WEIGHTS = {"days": 86_400_000, "hours": 3_600_000, "minutes": 60_000, "seconds": 1000, "millis": 1}


def spans(texts: pa.Array) -> pa.Array:
    """Intervals of days to seconds, as durations in milliseconds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = pc.extract_regex(texts, _SPAN)
    total: Any = pa.scalar(0, pa.int64())
    for name, weight in _WEIGHTS.items():
        total = pc.add(total, pc.multiply(pc.struct_field(parts, name).cast(pa.int64()), weight))
    signed = pc.if_else(pc.equal(pc.struct_field(parts, "sign"), "-"), pc.negate(total), total)
    return signed.cast(pa.duration("ms"))


def months(texts: pa.Array) -> pa.Array:
    """Intervals of years to months."""
    import pyarrow as pa

    return pa.array(
        [None if text is None else (_months(text), 0, 0) for text in texts.to_pylist()],
        pa.month_day_nano_interval(),
    )


def _months(text: str) -> int:
    years, _, rest = text.lstrip("-").partition("-")
    count = int(years) * 12 + int(rest)
    return -count if text.startswith("-") else count
