"""What each type becomes, measured: the tables of types of a README.

Services that give the same for a type share a row; more than a few of them are better in several tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from omniduct.databases.base import DatabaseClient
from omniduct.errors import DuctConfigError
from omniduct.testing.area import dropped, new_name
from omniduct.testing.facts import Facts, Type
from omniduct.testing.logical import STANDARD
from omniduct.testing.markdown import table
from omniduct.testing.values import make_column

__all__ = ["Measured", "inserted", "measured", "read", "table_of_types"]

_MARKED = re.compile(r"(<!-- types -->\n)(.*?)(<!-- /types -->)", re.DOTALL)
_ABSENT = "–"


class Measured(NamedTuple):
    """What a type of a service became."""

    name: str
    """The service's name of it."""
    arrow: str
    pandas: str
    """The type of the column, and the one that it has with nulls if that is another."""
    polars: str
    python: str


def measured(duct: DatabaseClient, facts: Facts) -> dict[str, Measured]:
    """Make a column of every type that the facts name, and see what it becomes."""
    shown = [name for name, kind in facts.types.items() if isinstance(kind, Type) and "specials" not in name]
    return {name: _measure(duct, facts, name) for name in shown}


def _measure(duct: DatabaseClient, facts: Facts, logical: str) -> Measured:
    name = new_name()
    try:
        make_column(duct, facts, logical, name)
        kind = facts.types[logical]
        assert isinstance(kind, Type)
        query, filled = f"SELECT v FROM {name}", f"SELECT v FROM {name} WHERE v IS NOT NULL"
        return Measured(
            kind.name,
            _short(str(duct.query(query, format="arrow").schema.field(0).type)),
            _pandas(duct.query(filled).iloc[:, 0], duct.query(query).iloc[:, 0]),
            _short(str(duct.query(query, format="polars").dtypes[0])),
            _python(duct.query(filled, format="tuple")[0][0]),
        )
    finally:
        dropped(duct, name)


def _pandas(filled: Any, with_nulls: Any) -> str:
    # text has another name before version 3
    one, other = (re.sub(r"^string$", "str", str(column.dtype)) for column in (filled, with_nulls))
    if one == "object":
        return "objects"
    return _short(one if one == other else f"{one}, {other} with nulls")


def _python(value: Any) -> str:
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    prefix = "" if module in ("builtins", "datetime", "decimal", "uuid") else f"{module}."
    return f"{prefix}{kind.__name__}"


_SHORTER = {
    r"extension<arrow\.(\w+)>": r"\1",
    r"dictionary<values=(\w+).*>": r"dictionary of \1",
    r"list<\w+: (.*)>": r"list of \1",
    r"Struct\(\{'months'.*\}\)": "Struct of months, days, nanoseconds",
    r"(, time_zone=None|\[pyarrow\]|\[day\]|time_unit=|time_zone=|precision=|scale=)": "",
}


def _short(text: str) -> str:
    """A type's name without what only its library needs to know."""
    for long, short in _SHORTER.items():
        text = re.sub(long, short, text)
    return text


def table_of_types(found: Mapping[str, Mapping[str, Measured]]) -> str:
    """The table, from service -> logical type -> what it became."""
    services = list(found)
    logical = dict.fromkeys([*STANDARD, *(name for types in found.values() for name in types)])
    rows = [row for name in logical for row in _rows(name, found)]
    return table(["", *services, "Arrow", "pandas", "polars", "Python"], rows)


def _rows(logical: str, found: Mapping[str, Mapping[str, Measured]]) -> list[list[str]]:
    """The rows of a logical type: services that give the same in one."""
    alike: dict[tuple[str, ...], dict[str, str]] = {}
    for service, types in found.items():
        if logical in types:
            name, *became = types[logical]
            alike.setdefault(tuple(became), {})[service] = f"`{name}`"
    return [
        [logical, *(names.get(service, _ABSENT) for service in found), *became]
        for became, names in alike.items()
    ]


def read(text: str) -> dict[str, dict[str, Measured]]:
    """What the tables in a document say: service -> logical type -> what it becomes."""
    said: dict[str, dict[str, Measured]] = {}
    for each in _marked(text)[2].strip().split("\n\n"):
        said.update(_read_table(each.splitlines()))
    return said


def _read_table(lines: list[str]) -> dict[str, dict[str, Measured]]:
    if not lines:
        return {}
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    services = head[1:-4]
    said: dict[str, dict[str, Measured]] = {service: {} for service in services}
    for logical, *cells in rows:
        for service, name in zip(services, cells, strict=False):
            if name != _ABSENT:
                said[service][logical] = Measured(name.strip("`"), *cells[-4:])
    return said


def inserted(text: str, *tables: str) -> str:
    """A document with tables between its marks ``<!-- types -->`` and ``<!-- /types -->``.

    Raises
    ------
    DuctConfigError
        It has no such marks.
    """
    found = _marked(text)
    types = "\n\n".join(tables)
    return f"{text[: found.start(2)]}{types}\n{text[found.end(2) :]}"


def _marked(text: str) -> re.Match[str]:
    found = _MARKED.search(text)
    if found is None:
        raise DuctConfigError("the document has no marks <!-- types --> and <!-- /types -->")
    return found
