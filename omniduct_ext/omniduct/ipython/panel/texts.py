"""The panel where there are no widgets: a table of text, and of HTML."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING

from omniduct import protocols
from omniduct.ipython.panel.rows import SYMBOLS, in_order, row_of, since_or_why
from omniduct.ipython.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omniduct.duct import Duct
    from omniduct.registry import DuctRegistry

__all__ = ["table_of"]

_HEADING = ("name", "kind", "protocol", "where", "state", "since / why")
_COLOURS = {"connected": "32", "connecting": "33", "lost": "31", "failed": "31"}  # green, yellow, red
_WIDEST = 100  # characters of an error in the table; duct.status.last_error has all of it


def table_of(registry: DuctRegistry, ducts: Iterable[Duct] | None = None, notes: Iterable[str] = ()) -> Table:
    """Some ducts, or all of them and what could not be loaded."""
    if ducts is None:
        ducts, notes = registry, [*map(str, registry.problems), *protocols.duplicates()]
    rows = [row_of(registry, duct) for duct in in_order(ducts)]
    cells = [
        (
            ", ".join(row.names),
            row.kind,
            row.protocol,
            row.where,
            f"{SYMBOLS[row.state]} {row.state}",
            shorten(since_or_why(row), _WIDEST),
        )
        for row in rows
    ]
    colours = {f"{SYMBOLS[state]} {state}": colour for state, colour in _COLOURS.items()}
    return Table(_HEADING, cells, notes, colours=colours)
