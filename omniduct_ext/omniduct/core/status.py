"""What the world may observe of a duct."""

from __future__ import annotations

import datetime

from traitlets import Enum, HasTraits, Instance, Int, Unicode

__all__ = ["DuctStatus"]


class DuctStatus(HasTraits):
    """The state of a duct, as traits to observe.

    Observers are called in the order in which things happened, outside the duct's locks, in the
    thread that changed it.
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
        for name, value in values.items():
            self.set_trait(name, value)

    def __repr__(self) -> str:
        error = f", last_error={self.last_error!r}" if self.last_error else ""
        return f"DuctStatus(state={self.state!r}, running={self.running}{error})"
