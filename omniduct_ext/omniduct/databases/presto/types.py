"""The types of Presto and Trino: how they are written, and what they are in Arrow."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SqlType", "arrow_type", "is_bytes", "parsed", "unit_of"]


@dataclass(frozen=True)
class SqlType:
    """A type as a service names it.

    Parameters
    ----------
    name : str
        In small letters, without arguments: ``timestamp with time zone``.
    numbers : tuple of int
        Its lengths: precision and scale, say.
    children : tuple of SqlType
        The types of which it is made.
    fields : tuple of str
        Of a row: their names.
    """

    name: str
    numbers: tuple[int, ...] = ()
    children: tuple[SqlType, ...] = ()
    fields: tuple[str, ...] = ()

    @property
    def is_nested(self) -> bool:
        """Whether its values are made of others."""
        return self.name in ("array", "map", "row")


_WORD = re.compile(r'\s*("(?:[^"]|"")*"|[^\s,()"]+)')
_PUNCTUATION = re.compile(r"\s*([,()])")
_ZONED = re.compile(r"\s*(with(?:out)? time zone)")


def parsed(text: str, quotes_twice: bool = False) -> SqlType:
    """A type from its text. What cannot be read is a type of that name.

    Parameters
    ----------
    text : str
        As the service writes it.
    quotes_twice : bool
        Whether it doubles the quotes in the names of fields twice, as Presto does.

    >>> parsed("timestamp(3) with time zone")
    SqlType(name='timestamp with time zone', numbers=(3,), children=(), fields=())
    >>> parsed('row(a bigint, "b c" array(varchar(5)))').fields
    ('a', 'b c')
    >>> parsed("row(bigint, interval day to second)").fields
    ('field0', 'field1')
    """
    try:
        found, end = _type(text, 0)
    except ValueError:
        return SqlType(text.lower())
    if text[end:].strip():
        return SqlType(text.lower())
    return _with_single_quotes(found) if quotes_twice else found


def _with_single_quotes(kind: SqlType) -> SqlType:
    return replace(
        kind,
        children=tuple(map(_with_single_quotes, kind.children)),
        fields=tuple(name.replace('""', '"') for name in kind.fields),
    )


def _type(text: str, start: int) -> tuple[SqlType, int]:
    name, place = _name(text, start)
    if not _at(text, place, "("):
        return SqlType(name), place
    if name == "row":
        return _row(text, place)
    numbers: list[int] = []
    children: list[SqlType] = []
    while not _at(text, place, ")"):
        place = _past(text, place)
        number = re.compile(r"\s*(\d+)\s*(?=[,)])").match(text, place)
        if number:
            numbers.append(int(number[1]))
            place = number.end()
        else:
            child, place = _type(text, place)
            children.append(child)
    place = _past(text, place)
    zoned = _ZONED.match(text, place)
    if zoned:
        name, place = f"{name} {zoned[1]}", zoned.end()
    return SqlType(name, tuple(numbers), tuple(children)), place


def _name(text: str, start: int) -> tuple[str, int]:
    """The words of a type's name: those up to what can only come behind it."""
    words, place = [], start
    while (word := _WORD.match(text, place)) and not word[1].startswith('"'):
        words.append(word[1].lower())
        place = word.end()
    if not words:
        raise ValueError(text[start:])
    return " ".join(words), place


def _row(text: str, start: int) -> tuple[SqlType, int]:
    place = start
    names: list[str | None] = []
    children: list[SqlType] = []
    while not _at(text, place, ")"):
        name, child, place = _field(text, _past(text, place))
        names.append(name)
        children.append(child)
    return SqlType("row", (), tuple(children), _distinct(names)), _past(text, place)


_LONG_NAMES = frozenset(
    {
        "double precision",
        "interval day to second",
        "interval year to month",
        "time with time zone",
        "time without time zone",
        "timestamp with time zone",
        "timestamp without time zone",
    }
)


def _field(text: str, start: int) -> tuple[str | None, SqlType, int]:
    """A field of a row. Its name may be missing, and a name as well as a type may be of several words."""
    first = _WORD.match(text, start)
    if first is None:
        raise ValueError(text[start:])
    if not first[1].startswith('"'):
        kind, end = _type(text, start)
        plain = kind.name.removesuffix(" with time zone") if kind.numbers else kind.name
        if " " not in plain or kind.name in _LONG_NAMES:
            return None, kind, end
    kind, end = _type(text, first.end())
    name = first[1]
    return name[1:-1].replace('""', '"') if name.startswith('"') else name, kind, end


def _distinct(names: list[str | None]) -> tuple[str, ...]:
    """Names for all fields; of those without one, and of those that share one, as the service counts them."""
    found: list[str] = []
    for number, name in enumerate(names):
        taken = name is None or name in found
        found.append(f"{name or 'field'}{number}" if taken else str(name))
    return tuple(found)


def _at(text: str, place: int, mark: str) -> bool:
    found = _PUNCTUATION.match(text, place)
    return found is not None and found[1] == mark


def _past(text: str, place: int) -> int:
    found = _PUNCTUATION.match(text, place)
    if found is None:
        raise ValueError(text[place:])
    return found.end()


# In Arrow

_UNITS = ("s", "ms", "us", "ns")
_BYTES = frozenset(
    {"varbinary", "hyperloglog", "p4hyperloglog", "khyperloglog", "setdigest", "qdigest", "tdigest"}
)


def unit_of(kind: SqlType) -> str | None:
    """The unit that holds a time or timestamp; None where even nanoseconds do not."""
    digits = kind.numbers[0] if kind.numbers else 3
    return _UNITS[(digits + 2) // 3] if digits <= 9 else None


def is_bytes(kind: SqlType) -> bool:
    """Whether its values come in base64."""
    return kind.name in _BYTES


def arrow_type(kind: SqlType, zone: str = "UTC") -> pa.DataType:
    """The Arrow type that loses nothing of a type that is not nested.

    Times and timestamps of more than nine digits, times with a zone, and what Arrow has no type for are
    text. A timestamp with a zone is one of `zone`, which all of an Arrow column share.
    """
    import pyarrow as pa

    unit = unit_of(kind)
    if is_bytes(kind):
        return pa.binary()
    if kind.name in _PLAIN:
        return getattr(pa, _PLAIN[kind.name])()
    if kind.name == "decimal":
        return pa.decimal128(*kind.numbers)
    if kind.name == "interval day to second":
        return pa.duration("ms")
    if kind.name == "json":
        return pa.json_(pa.string())
    if kind.name == "time" and unit:
        return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
    if kind.name == "timestamp" and unit:
        return pa.timestamp(unit)
    if kind.name == "timestamp with time zone" and unit:
        return pa.timestamp(unit, zone)
    return pa.string()


_PLAIN = {
    "boolean": "bool_",
    "tinyint": "int8",
    "smallint": "int16",
    "integer": "int32",
    "bigint": "int64",
    "real": "float32",
    "double": "float64",
    "date": "date32",
    "interval year to month": "month_day_nano_interval",
    "uuid": "uuid",
    "unknown": "null",
}
