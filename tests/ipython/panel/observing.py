"""Who observes what."""

from __future__ import annotations

from typing import Any

from traitlets import HasTraits

__all__ = ["observers"]


def observers(*watched: HasTraits) -> list[Any]:
    """Who observes any trait of these."""
    return [
        each
        for thing in watched
        for kinds in thing._trait_notifiers.values()
        for those in kinds.values()
        for each in those
    ]
