"""The statements that are under way, in the panel's rows."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from omniduct.core.failures import redact

if TYPE_CHECKING:
    from omniduct.databases.session.calls import Call
    from omniduct.duct import Duct

__all__ = ["shown", "stop"]

logger = logging.getLogger("omniduct")

_WIDEST = 200  # characters of a statement


def shown(duct: Duct) -> list[dict[str, Any]]:
    """The statements of a duct, as the page shows them."""
    return [_described(duct, call) for call in _calls(duct)] if duct._life.running else []


def _calls(duct: Duct) -> list[Call]:
    under_way = getattr(duct, "under_way", None)
    return under_way() if callable(under_way) else []


def _described(duct: Duct, call: Call) -> dict[str, Any]:
    from omniduct.databases.session.progress import counts, duration, link_of

    progress = call.progress()
    return {
        "key": call.key,
        "text": redact(duct, " ".join(call.statement.split()))[:_WIDEST],
        "said": ", ".join(filter(None, [counts(progress), duration(call.elapsed)])),
        "fraction": progress.fraction,
        "link": link_of(progress),
    }


def stop(duct: Duct, key: str) -> None:
    """Cancel a statement, in a thread: it waits a moment for the end."""
    for call in _calls(duct):
        if call.key == key:
            threading.Thread(target=_cancel, args=(duct, call), name=f"omniduct cancels {duct.name}").start()


def _cancel(duct: Duct, call: Call) -> None:
    try:
        call.cancel()
    except Exception:
        logger.exception("%s: cancelling a statement from the panel", duct.name)
