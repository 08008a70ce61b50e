"""Bind values for PostgreSQL: each with the type that the server expects at its place."""

from __future__ import annotations

import contextlib
import decimal
import json
import re
import uuid
from typing import TYPE_CHECKING, Any

from omniduct.databases.postgresql.arrays import array_literal
from omniduct.databases.postgresql.types import kind_of
from omniduct.databases.tokens import Untokenizable, sqlglot_tokenizer
from omniduct.errors import DuctStatementError

if TYPE_CHECKING:
    import pyarrow as pa

    from omniduct.databases.postgresql.results import PostgreSQLLink

__all__ = ["bound"]

_NAMES = {
    "bool": "bool",
    "date32[day]": "date",
    "double": "float8",
    "float": "float4",
    "int16": "int2",
    "int32": "int4",
    "int64": "int8",
}
# Types of which the driver sends text as such; every other type of text has to be cast by the server.
_TEXTS = frozenset({"text", "varchar", "bpchar", "name", "char", "unknown", "json", "jsonb"})


def bound(
    link: PostgreSQLLink, cursor: Any, statement: str, values: list[Any]
) -> tuple[str, pa.RecordBatch | None]:
    """The statement, and its bind values as the one row of a batch.

    Raises
    ------
    DuctStatementError
        A value has no type in PostgreSQL.
    """
    import pyarrow as pa

    if not values:
        return statement, None
    expected = _expected(link, cursor, statement, values)
    made = [_array(*each) for each in zip(values, expected, range(1, len(values) + 1), strict=True)]
    names = [f"${number}" for number in range(1, len(values) + 1)]
    casts = {name: _named(link, cast) for name, (_, cast) in zip(names, made, strict=True) if cast}
    return _with_casts(statement, casts), pa.record_batch([array for array, _ in made], names)


def _expected(link: PostgreSQLLink, cursor: Any, statement: str, values: list[Any]) -> list[pa.Field | None]:
    """What the server expects at each place; None where it does not say before it knows the values' types."""
    with contextlib.suppress(Exception):  # the statement itself will fail of the same, or of nothing
        schema = link.call(lambda: cursor.adbc_prepare(statement))
        if len(schema) == len(values):
            return list(schema)
    return [None] * len(values)


def _array(value: Any, field: pa.Field | None, number: int) -> tuple[pa.Array, str]:
    """One value as an array of the type expected, and the type that the server has to cast it to."""
    import pyarrow as pa

    kind = "" if field is None else kind_of(field)
    arrow = None if field is None else _storage(field.type)
    if isinstance(value, uuid.UUID):
        return pa.array([str(value)]), "uuid"
    if kind in ("json", "jsonb") and value is not None:
        return pa.array([value if isinstance(value, str) else json.dumps(value)]), kind
    if _goes_as_text(value, arrow, kind):
        return pa.array([value], pa.string()), kind
    if (
        isinstance(value, list) and None in value and not kind
    ):  # which the driver, not saying kinds, sends as 0
        return pa.array(
            [array_literal(value)]
        ), f"_{_NAMES.get(str(getattr(arrow, 'value_type', '')), 'text')}"
    if isinstance(value, decimal.Decimal) and not value.is_finite():
        return pa.array([str(value)]), "numeric"
    if arrow is not None and (kind not in _TEXTS or value is None or isinstance(value, (dict, list))):
        made = _as_expected(value, arrow)
        if made is not None:
            return _unzoned(made)
    return _unzoned(_natural(value, number))


def _unzoned(array: pa.Array) -> tuple[pa.Array, str]:
    """An array that is no timestamp with a zone: for one the driver sets the session's, and commits."""
    import pyarrow as pa

    if not pa.types.is_timestamp(array.type) or array.type.tz is None:
        return array, ""
    moment = array[0].as_py()
    return pa.array([None if moment is None else moment.isoformat()], pa.string()), "timestamptz"


def _goes_as_text(value: Any, arrow: pa.DataType | None, kind: str) -> bool:
    """Whether a value is sent as text for the server to cast: the driver does not know its type."""
    if value is None:
        return arrow is not None and (
            _is_nested(arrow) or getattr(arrow, "extension_name", "") == "arrow.opaque"
        )
    return isinstance(value, str) and bool(kind) and kind not in _TEXTS and not _reads(arrow)


def _is_nested(arrow: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(arrow))


def _storage(arrow: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if getattr(arrow, "extension_name", "") == "arrow.opaque" and arrow.type_name == "numeric":
        return pa.decimal128(38, 10)
    return arrow


def _reads(arrow: pa.DataType | None) -> bool:
    """Whether Arrow reads a text of this type as the server does."""
    from pyarrow import types

    return arrow is not None and bool(
        types.is_integer(arrow) or types.is_floating(arrow) or types.is_date(arrow) or types.is_boolean(arrow)
    )


def _as_expected(value: Any, arrow: pa.DataType) -> pa.Array | None:
    """The value in the type that the server expects; None where it would not be the same value."""
    import pyarrow as pa

    if pa.types.is_decimal(arrow) and isinstance(value, (int, decimal.Decimal)):
        return pa.array([decimal.Decimal(value)])
    try:
        if isinstance(value, str):
            return pa.array([value]).cast(arrow)
        made = pa.array([value], arrow)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None
    return made if value is None or made[0].as_py() == value else None


def _natural(value: Any, number: int) -> pa.Array:
    """The value in the type that Python's own suggests."""
    import pyarrow as pa

    from omniduct.databases.arrow.inference import infer

    if isinstance(value, bool) or value is None:
        return pa.array([value])
    if isinstance(value, int) and -(2**31) <= value < 2**31:
        return pa.array([value], pa.int32())  # PostgreSQL's own choice for a number in a statement
    array = infer([value])
    if pa.types.is_struct(array.type):
        return pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array([json.dumps(value)]))
    if pa.types.is_null(array.type):
        raise DuctStatementError(f"the bind value {number} is {value!r}, which has no type in PostgreSQL")
    return array


_PLACEHOLDER = re.compile(r"\$\d+")


def _with_casts(statement: str, casts: dict[str, str]) -> str:
    """The statement in which some placeholders are texts that the server casts."""
    if not casts:
        return statement
    literal = _literals(statement)

    def cast(match: re.Match[str]) -> str:
        kind = casts.get(match[0])
        if kind is None or any(start <= match.start() < end for start, end in literal):
            return match[0]
        return f"CAST(CAST({match[0]} AS text) AS {kind})"

    return _PLACEHOLDER.sub(cast, statement)


def _literals(statement: str) -> list[tuple[int, int]]:
    try:
        tokens = sqlglot_tokenizer("postgres")(statement)
    except Untokenizable:
        return []
    return [(token.start, token.end) for token in tokens if token.kind in ("string", "quoted")]


_NEW = re.compile(r"<oid:(\d+)>")  # how the driver calls a type that is younger than the connection


def _named(link: PostgreSQLLink, kind: str) -> str:
    """A type's name in a statement; an array's begins with ``_`` in the catalog."""
    new = _NEW.search(kind)
    if new:
        return link.name_of_type(int(new[1]))
    return f'"{kind[1:]}"[]' if kind.startswith("_") else f'"{kind}"'
