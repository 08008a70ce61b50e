"""Dates, times, timestamps and intervals in Arrow: all at once where Arrow reads their texts, else each."""

from __future__ import annotations

import datetime
import functools
import re
from typing import TYPE_CHECKING

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
        raise _beyond(text, unit)
    return count


def _beyond(text: str, unit: str) -> DuctStatementError:
    """The error of a timestamp that its unit cannot count in 64 bits."""
    if unit == "ns":
        return DuctStatementError(
            f"{text} lies beyond the years 1677 to 2262, which is what nanoseconds can count in 64 bits: "
            "cast it to timestamp(6), with time zone if it has one, in the statement"
        )
    return DuctStatementError(
        f"{text} lies beyond what 64 bits can count in the unit of its type: cast it to varchar in the "
        "statement"
    )


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


# With a zone

# Arrow reads the changes of a zone that its file lists, which end with 2037, and not the rule for all later
# ones. That rule, and the time before clocks had zones, is asked of `zoneinfo`.
_LISTED_FROM, _LISTED_TO = datetime.datetime(1678, 1, 1), datetime.datetime(2037, 12, 31)
_CYCLE = 400 * 365 * 86_400 + 97 * 86_400  # seconds after which days fall on the same dates and weekdays
_EPOCH = datetime.datetime(1970, 1, 1)
_FIRST_CYCLE = (
    -62_135_596_800 + 366 * 86_400
)  # the year 2: what is before it, Python cannot show in all zones
_LAST_CYCLE = 4_102_444_800  # the year 2100, from when on the rules alone decide


def shared_zone(texts: pa.Array) -> str:
    """The zone that all of the texts end with; UTC if there is no such, or Arrow does not know it."""
    zone = _common_zone(texts)
    if zone is None or zone in _UTC:
        return "UTC"
    return zone if _OFFSET.match(zone) or _is_known(zone) else "UTC"


def _common_zone(texts: pa.Array) -> str | None:
    """The zone that all of the texts end with, if they share one."""
    import pyarrow.compute as pc

    present = texts.drop_null()
    if not len(present):
        return None
    zone = str(present[0].as_py()).rpartition(" ")[2]
    return zone if pc.all(pc.ends_with(present, f" {zone}")).as_py() else None


def instants(texts: pa.Array, unit: str, doubtful: set[str]) -> pa.Array:
    """Timestamps in UTC, from texts that end with a zone each.

    Where a clock was set back, it is the earlier of the two moments that it showed: the text does not
    say. To `doubtful` the first such text is added.

    Raises
    ------
    DuctStatementError
        One is beyond what the unit can count, or its zone is not known.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if texts.null_count == len(texts):
        return pa.nulls(len(texts), pa.timestamp(unit, "UTC"))
    zone = _common_zone(texts)
    if zone is not None:
        return _in_zone(pc.utf8_slice_codeunits(texts, 0, -len(zone) - 1), zone, unit, doubtful)
    parts = _parts(texts, r"^(?P<moment>.*) (?P<zone>\S+)$", "a timestamp with a time zone")
    local, zones = pc.struct_field(parts, "moment"), pc.struct_field(parts, "zone")
    found = pa.nulls(len(texts), pa.timestamp(unit, "UTC"))
    for each in pc.unique(zones).drop_null().to_pylist():
        chosen = pc.fill_null(pc.equal(zones, each), False)
        found = pc.replace_with_mask(found, chosen, _in_zone(local.filter(chosen), each, unit, doubtful))
    return found


def _parts(texts: pa.Array, pattern: str, what: str) -> pa.Array:
    """The named parts of texts, all of which a pattern must match."""
    import pyarrow.compute as pc

    parts = pc.extract_regex(texts, pattern)
    if parts.null_count > texts.null_count:
        other = texts.filter(pc.and_(pc.is_null(parts), pc.is_valid(texts)))[0].as_py()
        raise DuctStatementError(f"{other!r} cannot be read as {what}: cast it to varchar in the statement")
    return parts


def _in_zone(local: pa.Array, zone: str, unit: str, doubtful: set[str]) -> pa.Array:
    """The instants of moments of a zone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    naive = moments(local, pa.timestamp(unit))
    try:
        first, last = _readings(naive, zone)
    except pa.ArrowInvalid:  # the shift to UTC leads beyond the limit: what is nearest to it, says so
        counts = zip(naive.cast(pa.int64()).to_pylist(), local.to_pylist(), strict=True)
        _, text = max((abs(count), text) for count, text in counts if text is not None)
        failure = _beyond(f"{text} {zone}", unit)
    else:
        twice = pc.less(first, last)
        if not doubtful and pc.any(twice).as_py():
            doubtful.add(f"{local.filter(twice)[0]} {zone}")
        return first.cast(pa.timestamp(unit, "UTC"))
    raise failure


def _readings(naive: pa.Array, zone: str) -> tuple[pa.Array, pa.Array]:
    """The first and the last moment at which the clocks of a zone show each, as counts since 1970 in UTC."""
    import pyarrow as pa
    import pyarrow.compute as pc

    counts = naive.cast(pa.int64())
    if zone in _UTC:
        return counts, counts
    if offset := _OFFSET.match(zone):
        seconds = int(offset[2]) * 3600 + int(offset[3]) * 60
        shift = (-seconds if offset[1] == "-" else seconds) * _PER_SECOND[naive.type.unit]
        counts = pc.subtract_checked(counts, shift)
        return counts, counts
    if not _is_known(zone):
        return _by_rules(naive, zone)
    early = pc.less(naive, pa.scalar(_LISTED_FROM, naive.type))
    listed = pc.invert(pc.or_(early, pc.greater_equal(naive, pa.scalar(_LISTED_TO, naive.type))))
    first, last = _by_list(pc.if_else(listed, naive, pa.scalar(None, naive.type)), zone)
    if pc.all(listed).as_py():
        return first, last
    others = pc.fill_null(pc.invert(listed), False)
    exact = _by_rules(naive.filter(others), zone)
    return pc.replace_with_mask(first, others, exact[0]), pc.replace_with_mask(last, others, exact[1])


def _by_list(naive: pa.Array, zone: str) -> tuple[pa.Array, pa.Array]:
    """`_readings` of the years for which Arrow knows the zone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first, last = (
        pc.assume_timezone(naive, zone, ambiguous=which, nonexistent="earliest").cast(pa.int64())
        for which in ("earliest", "latest")
    )
    return first, last


def _by_rules(naive: pa.Array, zone: str) -> tuple[pa.Array, pa.Array]:
    """`_readings` of any year."""
    import pyarrow as pa
    import pyarrow.compute as pc

    second = _PER_SECOND[naive.type.unit]
    distinct = naive.dictionary_encode()
    shown = [count // second for count in distinct.dictionary.cast(pa.int64()).to_pylist()]
    clock = _clock(zone)
    shifts = (
        pa.array([_offset(clock, each, fold) * second for each in shown], pa.int64()) for fold in (0, 1)
    )
    first, last = (
        pc.subtract_checked(naive.cast(pa.int64()), shift.take(distinct.indices)) for shift in shifts
    )
    return first, last


def _offset(clock: datetime.tzinfo, shown: int, fold: int) -> int:
    """The seconds that a zone is ahead of UTC when its clocks show this, in seconds since 1970."""
    if shown < _FIRST_CYCLE:
        shown = _FIRST_CYCLE + (shown - _FIRST_CYCLE) % _CYCLE
    elif shown >= _LAST_CYCLE:
        shown = _LAST_CYCLE + (shown - _LAST_CYCLE) % _CYCLE
    ahead = clock.utcoffset((_EPOCH + datetime.timedelta(seconds=shown)).replace(fold=fold))
    assert ahead is not None
    return ahead.days * 86_400 + ahead.seconds


@functools.cache
def _is_known(zone: str) -> bool:
    """Whether Arrow knows a zone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.assume_timezone(pa.array([0], pa.timestamp("s")), zone)
    except pa.ArrowInvalid:
        return False
    return True


def _clock(zone: str) -> datetime.tzinfo:
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        failure = DuctStatementError(
            f"the time zone {zone!r} is not in this machine's tz database: add AT TIME ZONE 'UTC' in the "
            "statement"
        )
    raise failure


# Intervals

_SPAN = r"^(?P<sign>-?)(?P<days>\d+) (?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+)\.(?P<millis>\d+)$"
_YEARS = re.compile(r"(-?)(\d+)-(\d+)\Z")
_WEIGHTS = {"days": 86_400_000, "hours": 3_600_000, "minutes": 60_000, "seconds": 1000, "millis": 1}


def spans(texts: pa.Array) -> pa.Array:
    """Intervals of days to seconds, as durations in milliseconds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = _parts(texts, _SPAN, "an interval")
    sign = pc.if_else(pc.equal(pc.struct_field(parts, "sign"), "-"), -1, 1)
    total = pa.array([0] * len(texts), pa.int64())
    for name, weight in _WEIGHTS.items():
        part = pc.multiply_checked(pc.struct_field(parts, name).cast(pa.int64()), weight)
        total = pc.add_checked(total, pc.multiply(part, sign))
    return total.cast(pa.duration("ms"))


def months(texts: pa.Array) -> pa.Array:
    """Intervals of years to months."""
    import pyarrow as pa

    return pa.array(
        [None if text is None else (_months(text), 0, 0) for text in texts.to_pylist()],
        pa.month_day_nano_interval(),
    )


def _months(text: str) -> int:
    found = _YEARS.match(text)
    if found is None:
        raise DuctStatementError(
            f"{text!r} cannot be read as an interval: cast it to varchar in the statement"
        )
    count = int(found[2]) * 12 + int(found[3])
    return -count if found[1] else count
