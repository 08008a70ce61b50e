"""Ports of this machine that nobody else is given."""

from __future__ import annotations

import socket
import sys

LOOPBACK = "127.0.0.1"


class Port:
    """A port that is ours from now on, also while nothing listens at it (then it refuses connections)."""

    def __init__(self) -> None:
        self._holder = bound()
        self.number: int = self._holder.getsockname()[1]
        # Linux lets a server listen beside a socket that is bound and does not listen; others do not.
        if not sys.platform.startswith("linux"):
            self._holder.close()

    def __reduce__(self) -> tuple[type[KnownPort], tuple[int]]:
        return KnownPort, (self.number,)

    def close(self) -> None:
        """Give it back."""
        self._holder.close()


class KnownPort(Port):
    """A port that another process of the tests has."""

    def __init__(self, number: int) -> None:
        self.number = number

    def close(self) -> None:
        """It is for the other to give back."""


def bound(number: int = 0) -> socket.socket:
    """A socket bound to a port; 0 is a free one."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((LOOPBACK, number))
    return bound
