"""From a driver's exception to the sentence that a person needs: what, where in the statement, what else."""

from __future__ import annotations

import re
from dataclasses import dataclass

from omniduct.core.arguments import did_you_mean
from omniduct.errors import DuctError, DuctStatementError

__all__ = ["Explanation", "marked", "place_of"]

_WIDTH = 100  # characters of a marked line that are shown


@dataclass(frozen=True)
class Explanation:
    """What a failed statement means to the person.

    Parameters
    ----------
    said : str
        The sentence.
    position : int, optional
        Where in the statement, in characters from 0.
    table : str, optional
        The table that there is none of: near misses are looked for in the catalog.
    column : str, optional
        The column that there is none of.
    kind : type
        The error to raise.
    missing : str, optional
        A name that there is none of, as the service writes it, where the protocol lists the names itself.
    among : str
        What it is a name of, as ``_names_of`` takes it: catalog, schema, function.
    lost : bool
        Whether the connection has gone, and with it the session.
    """

    said: str
    position: int | None = None
    table: str | None = None
    column: str | None = None
    kind: type[DuctError] = DuctStatementError
    missing: str | None = None
    among: str = ""
    lost: bool = False


def marked(statement: str, position: int | None) -> str:
    r"""The line of a statement with a mark beneath a position; empty if there is none.

    >>> print(marked("SELECT 1,\n  nam FROM t", 12))
    <BLANKLINE>
      line 2:   nam FROM t
                ^
    """
    if position is None or not 0 <= position <= len(statement):
        return ""
    before = statement[:position]
    number, start = before.count("\n"), before.rfind("\n") + 1
    line = statement[start:].partition("\n")[0].rstrip().expandtabs(1)
    column, left = position - start, ""
    if len(line) > _WIDTH:
        cut = max(0, min(column - _WIDTH // 2, len(line) - _WIDTH))
        line, column, left = line[cut : cut + _WIDTH], column - cut, "…" if cut else ""
    head = f"  line {number + 1}: {left}" if "\n" in statement.strip() else f"  {left}"
    return f"\n{head}{line}\n{' ' * (len(head) + column)}^"


def place_of(text: str, statement: str, line: int | None = None) -> int | None:
    """Where a part of a statement stands that a driver's message quotes; None if it is not found.

    The quotation may be cut off at its end. With `line` (from 1) it is looked for from there on.
    """
    start = 0
    for _ in range((line or 1) - 1):
        start = statement.find("\n", start) + 1
    wanted = text.strip()
    if not wanted:
        return None
    if re.fullmatch(r"\w+", wanted):
        found = re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", statement[start:], re.IGNORECASE)
        return start + found.start() if found else None
    place = statement.find(wanted, start)
    return place if place >= 0 else None


def near(name: str, names: list[str]) -> str:
    """The near misses of a name that may have a schema in front."""
    return did_you_mean(name.rpartition(".")[2].strip("\"`[]'"), sorted(set(names)))
