"""What the contract must know of a service: its spellings, what its types become, what it cannot do."""

from __future__ import annotations

import datetime
import decimal
import functools
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omniduct.core.arguments import did_you_mean
from omniduct.errors import DuctConfigError

__all__ = ["FEATURES", "Facts", "Setting", "Type", "Value"]

FEATURES = {
    "bind": "bind parameters",
    "cancel": "cancelling a statement from another thread",
    "schemas": "names of tables with the schema in front",
    "duplicate_names": "two columns of one name in a result",
    "empty_names": "a column without a name",
    "interleaved_streams": "two streams that are read in turn",
    "near_misses": "the near miss of a table in the error of a statement",
    "nul": "the character NUL in a text",
    "query_to_table": "filling a table with a query",
    "read_own_table": "replacing a table by a query that reads it",
    "session_properties": "settings of the session",
    "table_names_as_written": "any character in the name of a table or column",
    "temporary_tables": "temporary tables",
    "transaction": "transactions",
    "transactional_ddl": "CREATE TABLE as a part of a transaction",
    "types_of_empty_results": "the types of a result without rows",
    "views": "views",
    "write_frames": "writing frames into tables",
}
"""What `Facts.cannot` may name."""

_NOT_TRIED = frozenset({"cancel"})  # trying it would hang

_ROWS = "WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < {n} - 1) SELECT n FROM r"


@dataclass(frozen=True)
class Value:
    """A value of a type.

    Parameters
    ----------
    python : object
        What the format "tuple" gives for it.
    sql : str, optional
        How a statement spells it; without, as `Facts.literal` does.
    """

    python: Any
    sql: str | None = None


@dataclass(frozen=True)
class Type:
    """A type of the service.

    Parameters
    ----------
    name : str
        Its name in CREATE TABLE.
    arrow : str
        The Arrow type of such a column in a result, as pyarrow writes it.
    pandas, pandas_nulls, polars : str, optional
        The types of the column in a frame, and in one with nulls; without, the usual ones of that Arrow type.
    values : sequence, optional
        Values to try, plain or as `Value`, in the place of the usual ones.
    written : str, optional
        The Arrow type of the column that `dataframe_to_table` makes of it, if it is another.
    cannot : mapping, optional
        What cannot be done with it, with the reason in words: "bind", "empty", "read", "stream", "write", or
        "write pandas", "write polars", "write arrow".
    """

    name: str
    arrow: str
    pandas: str | None = None
    pandas_nulls: str | None = None
    polars: str | None = None
    values: Sequence[Any] | None = None
    written: str | None = None
    cannot: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """A setting of the session: its name, a value that is not its default, and how it is asked for."""

    name: str
    value: Any
    ask: str
    shown: Any = None
    """What asking gives for the value; without, the value itself."""


@dataclass(frozen=True)
class Facts:
    """What is true of a service.

    Parameters
    ----------
    service : str
        What it is called in the tables of the report.
    types : mapping
        Logical type -> `Type`, or the reason in words why there is no such type. The names are those of
        `omniduct.testing.logical.STANDARD`; others may be added, with values of their own.
    cannot : mapping
        What it cannot do -> why, in words: one of `FEATURES`, or a test by its name, as ``test_x`` or
        ``test_x[int64]``.
    integer, text : str
        The names of types for small numbers and for short texts.
    rows : str
        A query of one column `n` from 0, of ``{n}`` rows.
    fails_late : str
        A query that gives rows, and then fails.
    endless : str
        A statement that runs for minutes, or until it is cancelled.
    setting : Setting, optional
        A setting of the session.
    dual : str
        What stands behind a SELECT that reads no table, with a space before it.
    upper : bool
        Whether a name that is not quoted is one in capitals.
    literals : mapping
        Python type -> how the service spells its values, where that is not usual.
    assigned : str
        How ``{value}`` is written where it is to become a column's ``{type}``.
    """

    service: str
    types: Mapping[str, Type | str]
    cannot: Mapping[str, str] = field(default_factory=dict)
    integer: str = "INTEGER"
    text: str = "VARCHAR(200)"
    rows: str = _ROWS
    fails_late: str = f"SELECT 1 / (n - 30000) AS n FROM ({_ROWS.format(n=40000)}) AS r"
    endless: str = (
        "WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r WHERE n < 0"
    )
    setting: Setting | None = None
    dual: str = ""
    upper: bool = False
    literals: Mapping[type, Callable[[Any], str]] = field(default_factory=dict)
    assigned: str = "{value}"

    def __post_init__(self) -> None:
        for name in self.cannot:
            if name not in FEATURES and not name.startswith("test_"):
                raise DuctConfigError(
                    f"the facts of {self.service} say that it cannot {name!r}, which is neither a test nor a "
                    f"feature{did_you_mean(name, FEATURES)} (the features: {', '.join(FEATURES)})"
                )

    def why_not(self, *names: str) -> str:
        """Why the service cannot do one of these features, or pass one of these tests; else nothing."""
        return next((self.cannot[name] for name in names if name in self.cannot), "")

    def tries(self, needs: Sequence[str]) -> bool:
        """Whether a test that cannot pass is run all the same, to see that it fails."""
        return _NOT_TRIED.isdisjoint(needs)

    def named(self, name: str) -> str:
        """A name that is written without quotes, as the service has it."""
        return name.upper() if self.upper else name

    def select(self, what: str) -> str:
        """A query of one row, of no table."""
        return f"SELECT {what}{self.dual}"

    def some_rows(self, count: int) -> str:
        """A query of so many rows."""
        return self.rows.format(n=count)

    def literal(self, value: Any) -> str:
        """A value as a statement spells it."""
        if isinstance(value, Value):
            return value.sql if value.sql is not None else self.literal(value.python)
        for kind, spell in self.literals.items():
            if isinstance(value, kind):
                return spell(value)
        return _spelt(value)


@functools.singledispatch
def _spelt(value: Any) -> str:
    return _quoted(_interval(value) if hasattr(value, "nanoseconds") else str(value))


@_spelt.register
def _(value: None) -> str:
    return "NULL"


@_spelt.register
def _(value: bool) -> str:
    return str(value).upper()


@_spelt.register
def _(value: int) -> str:
    return str(value)


@_spelt.register
def _(value: decimal.Decimal) -> str:
    return _quoted(f"{value:f}")


@_spelt.register
def _(value: bytes) -> str:
    return f"X'{value.hex()}'"


@_spelt.register
def _(value: datetime.datetime) -> str:
    return _quoted(value.isoformat(" "))


@_spelt.register
def _(value: uuid.UUID) -> str:
    return _quoted(str(value))


@_spelt.register(list)
@_spelt.register(dict)
def _(value: Any) -> str:
    return _quoted(json.dumps(value))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _interval(value: Any) -> str:
    seconds = decimal.Decimal(value.nanoseconds) / 10**9
    return f"{value.months} months {value.days} days {seconds:f} seconds"
