"""What the panel shows of a duct when its row is opened: where it came from, its magics, and its tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from omniduct.core.failures import redact
from omniduct.duct import Duct
from omniduct.utils.magics import MagicsProvider, declared_magics

if TYPE_CHECKING:
    from omniduct.databases.base import DatabaseClient
    from omniduct.registry import DuctRegistry

__all__ = ["details_of", "opened"]

_PREVIEW = 5  # rows
_WIDEST = 80  # characters of a cell of the preview


def details_of(registry: DuctRegistry, duct: Duct) -> dict[str, Any]:
    """What is known of a duct without asking its service."""
    names = registry.names_of(duct)
    return {
        "origin": str(registry.origin(names[0])) if names else "",
        "magics": _magics(duct, names[0] if names else duct.name),
        "levels": list(getattr(duct, "NAMESPACE_NAMES", ())) if duct.DUCT_TYPE is Duct.Type.DATABASE else [],
    }


def _magics(duct: Duct, name: str) -> list[str]:
    """The magics, as they are written in a cell."""
    if not isinstance(duct, MagicsProvider):
        return []
    signs = {"line": "%", "cell": "%%"}
    return sorted({f"{signs[each.kind]}{each.name(name)}" for each in declared_magics(type(duct))})


def opened(client: DatabaseClient, path: Sequence[str]) -> dict[str, Any]:
    """What is below a namespace or in a table, asked of the service: beside the session, if that is busy.

    Raises
    ------
    DuctError
        The service does not say.
    """
    levels = client.NAMESPACE_NAMES
    with _aside(client):
        if len(path) < len(levels) - 1:
            return {"children": [{"name": name} for name in client.namespace_list(*path)]}
        name = ".".join(map(client._quote, path))
        if len(path) < len(levels):
            return {"children": _tables(client, name)}
        return _table(client, name)


@contextlib.contextmanager
def _aside(client: DatabaseClient) -> Iterator[None]:
    if not client._life.running:
        yield
        return
    from omniduct.databases.session.execution import ASIDE
    from omniduct.databases.session.streaming import Beside

    beside = Beside(client)
    token = ASIDE.set(beside if beside.cursor is not None else None)
    try:
        yield
    finally:
        ASIDE.reset(token)
        beside.close()


def _tables(client: DatabaseClient, namespace: str) -> list[dict[str, Any]]:
    found = client.table_list(namespace)
    kinds = found["table_type"] if "table_type" in found else [""] * len(found)
    pairs = zip(found["table_name"], kinds, strict=True)
    return [{"name": str(name), "kind": str(kind or "").lower()} for name, kind in pairs]


def _table(client: DatabaseClient, name: str) -> dict[str, Any]:
    described = client.table_desc(name)
    first, second = described.columns[:2]
    columns = [
        {"name": str(column), "type": str(kind)}
        for column, kind in zip(described[first], described[second], strict=True)
    ]
    return {"columns": columns, "preview": _preview(client, name)}


def _preview(client: DatabaseClient, name: str) -> list[list[str]]:
    """The first rows, as text; what is longer is cut."""
    head = client.table_head(name, _PREVIEW, format="tuple")
    return [[_cell(client, value) for value in row] for row in head]


def _cell(client: DatabaseClient, value: object) -> str:
    text = "" if value is None else redact(client, str(value))
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
