"""Bind values for Presto and Trino: they are sent as the parameters of a prepared statement."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote_plus

from omniduct.databases.statements import first_word
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
        if isinstance(value, (datetime.datetime, datetime.time)) and value.microsecond % 1000:
            raise DuctStatementError(
                f"the bind value {value} has parts of a millisecond, which Presto does not count: "
                "round it first"
            )
        if isinstance(value, Mapping):
            _check_millis([*value, *value.values()])
        elif isinstance(value, (list, tuple)):
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
    value = _plain(value)
    if value is None:
        return "NULL"
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write(value)
    raise DuctStatementError(f"the bind value {number} is {value!r}, which has no type in Presto")


def _plain(value: Any) -> Any:
    """A value of numpy or pandas as Python's own."""
    if type(value).__module__.partition(".")[0] not in ("numpy", "pandas"):
        return value
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    for name in ("to_pydatetime", "to_pytimedelta", "item", "tolist"):
        if hasattr(value, name) and not getattr(value, "nanosecond", 0):
            return getattr(value, name)()
    return value


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


def _digits(value: datetime.datetime | datetime.time) -> str:
    """How fine a time is written: Presto takes three digits of a second."""
    return "microseconds" if value.microsecond % 1000 else "milliseconds"


def _moment(value: datetime.datetime) -> str:
    text = value.replace(tzinfo=None).isoformat(" ", _digits(value))
    if value.tzinfo is None:
        return f"TIMESTAMP '{text}'"
    zone = getattr(value.tzinfo, "key", None) or _offset(value.utcoffset())
    if getattr(value.tzinfo, "key", None) and value.fold:  # the later of two moments that one clock shows
        value = value.astimezone(datetime.timezone.utc)
        return _moment(value)
    return f"TIMESTAMP '{text} {zone}'"


def _time(value: datetime.time) -> str:
    text = value.replace(tzinfo=None).isoformat(_digits(value))
    return f"TIME '{text}'" if value.tzinfo is None else f"TIME '{text} {_offset(value.utcoffset())}'"


def _offset(offset: datetime.timedelta | None) -> str:
    minutes = round((offset or datetime.timedelta()).total_seconds() / 60)
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


def _mapping(value: Mapping[Any, Any]) -> str:
    return f"MAP({_array(list(value))}, {_array(list(value.values()))})"


def _array(value: list[Any]) -> str:
    return f"ARRAY[{', '.join(map(written, value))}]"


_WRITERS: dict[type | tuple[type, ...], Callable[[Any], str]] = {
    bool: lambda value: str(value).lower(),
    int: _integer,
    float: _float,
    decimal.Decimal: _decimal,
    str: literal,
    (bytes, bytearray, memoryview): lambda value: f"X'{bytes(value).hex()}'",
    datetime.datetime: _moment,
    datetime.date: lambda value: f"DATE '{value.isoformat()}'",
    datetime.time: _time,
    datetime.timedelta: _span,
    uuid.UUID: lambda value: f"CAST('{value}' AS uuid)",
    Mapping: _mapping,
    (list, tuple): lambda value: _array(list(value)),
}
