"""Bind values for Presto and Trino: they are sent as the parameters of a prepared statement."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from omniduct.databases.statements import first_word, nanoseconds, plain
from omniduct.databases.tables import literal
from omniduct.errors import DuctStatementError

__all__ = ["bound", "written"]

_NAME = "omniduct"


_IMMEDIATE_FROM = 418  # the version of Trino that has EXECUTE IMMEDIATE


def bound(statement: str, values: list[Any], version: int) -> tuple[str, dict[str, str]]:
    """The statement that runs another with bind values, and the headers that it needs.

    Without EXECUTE IMMEDIATE the statement is sent as one that was prepared, in a header, which servers take
    up to a few thousand characters of.

    Parameters
    ----------
    version : int
        Of a Trino; 0 for a Presto.

    Raises
    ------
    DuctStatementError
        A value has no type in Presto.
    """
    if not values:
        return statement, {}
    values = list(map(_python, values))
    if version == 0:
        _check_millis(values)
    texts = [written(value, number) for number, value in enumerate(values, start=1)]
    if first_word(statement) == "EXECUTE":  # parameters already, of a statement that the person has prepared
        return _with_parameters(statement, texts), {}
    if version >= _IMMEDIATE_FROM:
        return f"EXECUTE IMMEDIATE {literal(statement)} USING {', '.join(texts)}", {}
    prepared = {"X-Trino-Prepared-Statement": f"{_NAME}={quote_plus(statement)}"}
    return f"EXECUTE {_NAME} USING {', '.join(texts)}", prepared


def _check_millis(values: Iterable[Any]) -> None:
    """Complain about times that Presto, which counts milliseconds, would cut off."""
    for value in values:
        is_time = isinstance(value, (datetime.datetime, datetime.time))
        if is_time and (value.microsecond % 1000 or nanoseconds(value)):
            raise DuctStatementError(
                f"the bind value {value} has parts of a millisecond, which Presto does not count: "
                "round it first"
            )
        if isinstance(value, _Pairs):
            _check_millis([*value.keys, *value.items])
        elif isinstance(value, list):
            _check_millis(value)


def _with_parameters(statement: str, texts: list[str]) -> str:
    from omniduct.databases.tokens import sqlglot_tokenizer

    given, place, parts = iter(texts), 0, []
    for token in sqlglot_tokenizer("trino")(statement):
        if token.kind not in ("string", "quoted", "comment") and statement[token.start : token.end] == "?":
            parts += [statement[place : token.start], next(given)]
            place = token.end
    return "".join([*parts, statement[place:]])


def written(value: Any, number: int = 1) -> str:
    """A value as an expression of its type.

    >>> written(5), written(2.5), written("it's"), written(None)
    ('5', "DOUBLE '2.5'", "'it''s'", 'NULL')
    """
    value = _python(value)
    if value is None:
        return "NULL"
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write(value)
    raise DuctStatementError(f"the bind value {number} is {value!r}, which has no type in Presto")


@dataclass(frozen=True)
class _Pairs:
    """What a mapping holds; its keys need not be such as Python can look up."""

    keys: list[Any]
    items: list[Any]


def _python(value: Any) -> Any:
    """A value, and what it is made of, as Python's own; what has nanoseconds as pandas' own."""
    package = type(value).__module__.partition(".")[0]
    if isinstance(value, Mapping):
        return _Pairs(list(map(_python, value)), list(map(_python, value.values())))
    if package == "pyarrow" and hasattr(value, "as_py"):
        return _python(value.as_py())
    if isinstance(value, (list, tuple)) or (package in ("numpy", "pandas") and _dimensions(value) == 1):
        return list(map(_python, value))
    if package not in ("numpy", "pandas"):
        return value
    if not _dimensions(value):
        return plain(value)
    return _python(list(value)) if package == "numpy" else value


def _dimensions(value: Any) -> int:
    return len(getattr(value, "shape", ()))


def _integer(value: int) -> str:
    if -(2**63) < value < 2**63:
        return str(value)
    if value == -(2**63):  # as a number it would be one too large, made negative
        return f"BIGINT '{value}'"
    if abs(value) < 10**38:
        return f"DECIMAL '{value}'"
    raise DuctStatementError(f"the bind value {value} has more digits than a decimal takes, which are 38")


def _float(value: float) -> str:
    if math.isnan(value):
        return "nan()"
    if math.isinf(value):
        return "infinity()" if value > 0 else "-infinity()"
    return f"DOUBLE '{value!r}'"


def _decimal(value: decimal.Decimal) -> str:
    if not value.is_finite():
        return _float(float(value))
    return f"DECIMAL '{value:f}'"


def _clock(value: datetime.datetime | datetime.time) -> str:
    """What a clock shows, as fine as it has to be: Presto takes three digits of a second."""
    if nanos := nanoseconds(value):
        return f"{value:%H:%M:%S.%f}{nanos:03d}"
    time = value.timetz() if isinstance(value, datetime.datetime) else value
    return time.replace(tzinfo=None).isoformat("microseconds" if value.microsecond % 1000 else "milliseconds")


def _moment(value: datetime.datetime) -> str:
    text = f"{value.date().isoformat()} {_clock(value)}"
    if value.tzinfo is None:
        return f"TIMESTAMP '{text}'"
    named = getattr(value.tzinfo, "key", None)
    zone = named or _offset(value.utcoffset())
    if zone is None or (named and value.fold):  # the later of two moments that one clock shows
        return _moment(value.astimezone(datetime.timezone.utc))
    return f"TIMESTAMP '{text} {zone}'"


def _time(value: datetime.time) -> str:
    if value.tzinfo is None:
        return f"TIME '{_clock(value)}'"
    zone = _offset(value.utcoffset())
    if zone is None:
        raise DuctStatementError(
            f"the bind value {value!r} has no fixed offset of whole minutes from UTC: give it one, as in "
            "datetime.timezone(datetime.timedelta(hours=9)), or bind a datetime"
        )
    return f"TIME '{_clock(value)} {zone}'"


def _offset(offset: datetime.timedelta | None) -> str | None:
    """An offset as servers take it; None for one that they do not, or that is not known."""
    if offset is None or offset % datetime.timedelta(minutes=1):
        return None
    minutes = offset // datetime.timedelta(minutes=1)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _span(value: datetime.timedelta) -> str:
    millis, rest = divmod(value, datetime.timedelta(milliseconds=1))
    if rest:
        raise DuctStatementError(
            f"the bind value {value!r} has parts of a millisecond, and intervals have none"
        )
    sign, millis = ("-", -millis) if millis < 0 else ("", millis)
    return f"INTERVAL {sign}'{millis // 1000}.{millis % 1000:03d}' SECOND".replace(
        "INTERVAL -", "INTERVAL - "
    )


def _mapping(value: _Pairs) -> str:
    return f"MAP({_array(value.keys)}, {_array(value.items)})"


def _array(value: list[Any]) -> str:
    return f"ARRAY[{', '.join(map(written, value))}]"


_WRITERS: dict[type | tuple[type, ...], Callable[[Any], str]] = {
    bool: lambda value: str(value).lower(),
    int: lambda value: _integer(int(value)),  # an enum's own text is its name
    float: lambda value: _float(float(value)),
    decimal.Decimal: lambda value: _decimal(decimal.Decimal(value)),
    str: lambda value: literal(str.__str__(value)),
    (bytes, bytearray, memoryview): lambda value: f"X'{bytes(value).hex()}'",
    datetime.datetime: _moment,
    datetime.date: lambda value: f"DATE '{value.isoformat()}'",
    datetime.time: _time,
    datetime.timedelta: _span,
    uuid.UUID: lambda value: f"CAST('{value}' AS uuid)",
    _Pairs: _mapping,
    list: _array,
}
