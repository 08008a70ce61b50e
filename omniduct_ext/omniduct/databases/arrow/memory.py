"""Memory that a large result needs on its way only, given back to the system.

Allocators keep what is freed for later. Of the small pieces that a result comes in, that is soon as much as
the result: they lie between those that stay.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Leftovers", "pool"]

_WORTH = 4 << 20  # bytes
_SHARE = 8  # of a larger result, so that the number of times does not grow with it


class Leftovers:
    """Gives back what is free, each time that so much may have come together that it is worth it."""

    def __init__(self) -> None:
        self._all = 0
        self._since = 0

    def add(self, size: int) -> None:
        """Note that so many bytes were made of others, which have become free."""
        self._all += size
        self._since += size
        if self._since >= max(_WORTH, self._all // _SHARE):
            self._give_back()

    def end(self) -> None:
        """Note that no more come."""
        if self._all >= _WORTH and self._since:
            self._give_back()

    def _give_back(self) -> None:
        self._since = 0
        give_back()


def give_back() -> None:
    """Give back what is free; where the C library has no function for that, only what Arrow holds."""
    import pyarrow as pa

    trim = _trim()
    if trim is not None:
        trim(0)
    pa.default_memory_pool().release_unused()


def pool() -> pa.MemoryPool:
    """Arrow's memory for many pieces of which only some stay: where all that is free can be given back."""
    import pyarrow as pa

    return pa.default_memory_pool() if _trim() is None else pa.system_memory_pool()


@functools.cache
def _trim() -> Callable[[int], Any] | None:
    """``malloc_trim`` of glibc."""
    import ctypes

    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library; Windows
        return None
