"""The names among which a missing one may have been meant, and where a statement names tables."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from omniduct.errors import DuctError

if TYPE_CHECKING:
    from omniduct.databases.base import DatabaseClient

__all__ = ["names_of", "parts_of", "references"]

_PART = r'(?:"(?:[^"]|"")*"|\w+)'
_NAME = rf"{_PART}(?:\s*\.\s*{_PART})*"
_REFERENCE = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE|TABLE|VIEW|DESCRIBE|DESC)\s+({_NAME})", re.IGNORECASE)
_LISTS = {"catalog": "SHOW CATALOGS", "function": "SHOW FUNCTIONS", "session property": "SHOW SESSION"}
_MOST_TABLES = 5  # of a statement, that are asked for their columns
# Session properties that SHOW SESSION keeps to itself, and errors speak of.
_HIDDEN = ["query_max_memory", "query_max_memory_per_node", "query_max_total_memory"]


def names_of(client: DatabaseClient, kind: str, missing: str, statement: str) -> list[str]:
    """The names of a kind among which a missing one may have been meant.

    Parameters
    ----------
    kind : {"catalog", "schema", "table", "column", "function", "session property"}
        Of what.
    missing : str
        The name, as the server writes it: with those that it is in, mostly.
    statement : str
        The statement that has it.
    """
    above, _, name = missing.rpartition(".")
    if kind == "schema":
        return _listed(client, _show("SCHEMAS", _quoted(client, above) or _before(name, statement)))
    if kind == "table":
        return _listed(client, _show("TABLES", _quoted(client, above)))
    if kind == "column":
        return _columns(client, statement)
    if kind != "session property":
        return _listed(client, _LISTS[kind])
    # without it, as nothing can be asked with a session property that there is none of
    names = _listed(client, _LISTS[kind], session_properties={missing: None})
    # those of a catalog are listed with its name before
    return (
        [each[len(above) + 1 :] for each in names if each.startswith(f"{above}.")]
        if above
        else names + _HIDDEN
    )


def references(statement: str) -> Iterator[dict[int, str]]:
    """The names of tables in a statement, as far as they show without parsing it; as of `parts_of`.

    >>> list(references('SELECT * FROM a JOIN memory."my schema".b ON true'))
    [{14: 'a'}, {21: 'memory', 28: 'my schema', 40: 'b'}]
    """
    for found in _REFERENCE.finditer(statement):
        yield parts_of(statement, found.start(1))


def parts_of(statement: str, place: int) -> dict[int, str]:
    """The parts of the name at a place of a statement, by where they stand; none if there is no name."""
    found = re.compile(_NAME).match(statement, place)
    if found is None:
        return {}
    parts = re.compile(_PART).finditer(statement, *found.span())
    return {part.start(): part[0].strip('"').replace('""', '"') for part in parts}


def _before(name: str, statement: str) -> str:
    """The name before another one in a statement, with a dot between, as it is written there."""
    found = re.search(rf'({_PART})\s*\.\s*"?{re.escape(name)}\b', statement, re.IGNORECASE)
    return found[1] if found else ""


def _quoted(client: DatabaseClient, name: str) -> str:
    return ".".join(map(client._quote, filter(None, name.split("."))))


def _show(what: str, of: str) -> str:
    return f"SHOW {what} FROM {of}" if of else f"SHOW {what}"


def _listed(client: DatabaseClient, statement: str, **options: Any) -> list[str]:
    rows = client.query(statement, format="tuple", template=False, use_cache=False, **options)
    return [str(row[0]) for row in rows]


def _columns(client: DatabaseClient, statement: str) -> list[str]:
    """The columns of the tables that a statement names; not those of its own common table expressions."""
    found: list[str] = []
    tables = dict.fromkeys(".".join(map(client._quote, table.values())) for table in references(statement))
    for table in list(tables)[:_MOST_TABLES]:
        with contextlib.suppress(DuctError):
            found += _listed(client, f"SHOW COLUMNS FROM {table}")
    return found
