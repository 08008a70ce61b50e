"""What the world may observe of a duct."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Mapping
from typing import Any

from traitlets import All, Enum, HasTraits, Instance, Int, Unicode

__all__ = ["DuctStatus"]

logger = logging.getLogger("omniduct")


class _Guarded:
    """An observer whose errors are logged: they are its own, and neither the duct's nor other observers'."""

    def __init__(self, handler: Callable[..., Any]) -> None:
        self.handler = handler

    def __call__(self, change: Any) -> None:
        try:
            self.handler(change)
        except Exception:
            logger.exception("an observer of a duct's %s failed", change["name"])

    def __eq__(self, other: object) -> bool:  # `unobserve` looks for the observer itself
        return bool(self.handler == (other.handler if isinstance(other, _Guarded) else other))

    def __hash__(self) -> int:
        return hash(self.handler)


class DuctStatus(HasTraits):
    """The state of a duct, as traits to observe.

    Observers are called in the order in which things happened, outside the duct's locks, in the
    thread that changed it. One that fails is logged, and stops neither the duct nor the others.
    """

    state = Enum(
        ("disconnected", "connecting", "connected", "lost", "failed"),
        default_value="disconnected",
        read_only=True,
        help="lost: was connected, and the last check failed; failed: the last attempt to connect failed",
    )
    last_error = Unicode(read_only=True, help="why it is lost or failed; empty otherwise")
    since = Instance(datetime.datetime, read_only=True, help="when it came into this state (UTC)")
    running = Int(read_only=True, help="the number of statements under way")

    def __init__(self, **values: object) -> None:
        super().__init__()
        self.become(values)

    def become(self, values: Mapping[str, object]) -> None:
        """Take on values; observers are called once all of them are in place."""
        with self.hold_trait_notifications():
            for name, value in values.items():
                self.set_trait(name, value)

    def observe(self, handler: Callable[..., Any], names: Any = All, type: Any = "change") -> None:
        """Call `handler` when a trait changes, as `traitlets.HasTraits.observe` does."""
        super().observe(_Guarded(handler), names=names, type=type)

    def __repr__(self) -> str:
        error = f", last_error={self.last_error!r}" if self.last_error else ""
        return f"DuctStatus(state={self.state!r}, running={self.running}{error})"
