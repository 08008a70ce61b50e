"""What the panel, and the table in a terminal, say of each duct: from raw values only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from omniduct.core.endpoints import where
from omniduct.core.lifecycle import CONNECTED
from omniduct.duct import Duct

if TYPE_CHECKING:
    from omniduct.registry import DuctRegistry

__all__ = ["SYMBOLS", "Row", "in_order", "key_of", "row_of", "since_or_why"]

SYMBOLS = {"disconnected": "○", "connecting": "◌", "connected": "●", "lost": "✗", "failed": "✗"}


@dataclass(frozen=True)
class Row:
    """One duct.

    Attributes
    ----------
    key : str
        Tells it from the others, for as long as the registry holds it.
    names : list of str
        All names that it is registered under, its own first.
    kind, protocol, where : str
        As in the configuration; `where` also says which remote it goes through.
    state, since, error : str
        As `omniduct.core.status.DuctStatus` has them; `since` is the local time.
    running : int
        The number of statements under way.
    """

    key: str
    names: list[str]
    kind: str
    protocol: str
    where: str
    state: str
    since: str
    error: str
    running: int

    def as_dict(self) -> dict[str, Any]:
        """The same, for a page."""
        return asdict(self)


def row_of(registry: DuctRegistry, duct: Duct) -> Row:
    """The row of a duct; it neither prepares nor connects it, and asks nobody."""
    life = duct._life
    return Row(
        key=key_of(duct),
        names=registry.names_of(duct),
        kind=duct.DUCT_TYPE.value,
        protocol=duct.protocol or "",
        where=where(duct),
        state=life.state,
        since=life.since.astimezone().strftime("%H:%M:%S"),
        error=life.last_error,
        running=life.running,
    )


def key_of(duct: Duct) -> str:
    """What tells a duct from the others that the registry holds."""
    return f"{id(duct):x}"


def in_order(ducts: Iterable[Duct]) -> list[Duct]:
    """Ducts by kind, and then by name."""
    kinds = list(Duct.Type)
    return sorted(ducts, key=lambda duct: (kinds.index(duct.DUCT_TYPE), duct.name))


def since_or_why(row: Row) -> str:
    """Since when it is connected, or why it is not."""
    if row.error or row.state != CONNECTED:
        return row.error
    return f"since {row.since}"
