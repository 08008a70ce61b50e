"""The names that a machine is looking for, on our behalf."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator

__all__ = ["Lookups", "is_name"]


class Lookups:
    """Questions for places by their names that a machine has not answered yet; true if there are any.

    A server of SSH looks for the address of a name before it does anything else. Where the name service is
    slow that takes seconds, in which it does not even say that it is there.
    """

    def __init__(self) -> None:
        self._open: set[object] = set()

    @contextlib.contextmanager
    def of(self, host: str) -> Iterator[None]:
        """Within this block the machine is asked for a host."""
        question = object()
        if is_name(host):
            self._open.add(question)
        try:
            yield
        finally:
            self._open.discard(question)

    def __bool__(self) -> bool:
        return bool(self._open)


def is_name(host: str) -> bool:
    """Whether a host is written as a name, rather than as its address."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return True
    return False
