"""The bookkeeping of port forwards: which there are, for whom, and the local port each keeps."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Forward", "Forwards", "free_port"]

LOOPBACK = "127.0.0.1"


def free_port(wanted: int | None = None) -> int:
    """A local port that nothing listens on: the wanted one if it is free, else any."""
    for port in (wanted, 0) if wanted else (0,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no local port is free")


@dataclass
class Forward:
    """One forward: from a local port to a host and port seen from the remote."""

    local_port: int
    remote_host: str
    remote_port: int
    connection: Any
    owners: set[object] = field(default_factory=set)
    """The ids of the ducts that use it, and None for one that was asked for explicitly."""


class Forwards:
    """The forwards of one remote.

    A target keeps its local port for as long as the remote lives, also over a reconnect.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._open: dict[tuple[str, int], Forward] = {}
        self._ports: dict[tuple[str, int], int] = {}

    def __iter__(self) -> Any:
        with self.lock:
            return iter(list(self._open.values()))

    def find(
        self, remote_host: str | None = None, remote_port: int | None = None, local_port: int | None = None
    ) -> list[Forward]:
        """The forwards that fit what is given."""
        return [
            f
            for f in self
            if remote_host in (None, f.remote_host)
            and remote_port in (None, f.remote_port)
            and local_port in (None, f.local_port)
        ]

    def port_for(self, remote_host: str, remote_port: int) -> int:
        """A free local port for a target: the one it had before, if that can be."""
        port = free_port(self._ports.get((remote_host, remote_port)))
        self._ports[remote_host, remote_port] = port
        return port

    def add(self, forward: Forward) -> Forward:
        """Note a forward that was started."""
        self._open[forward.remote_host, forward.remote_port] = forward
        self._ports[forward.remote_host, forward.remote_port] = forward.local_port
        return forward

    def drop(self, forward: Forward) -> None:
        """Note that a forward was stopped."""
        self._open.pop((forward.remote_host, forward.remote_port), None)
