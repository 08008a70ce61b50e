"""The bookkeeping of port forwards: which there are, for whom, and the local port each keeps."""

from __future__ import annotations

import socket
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omniduct.duct import Duct

__all__ = ["LOOPBACK", "Forward", "Forwards", "free_port"]

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
    asked_for: bool = False
    """Whether it was asked for explicitly, and stays when no duct uses it."""
    _users: dict[int, weakref.ref[Duct]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{LOOPBACK}:{self.local_port} to {self.remote_host}:{self.remote_port}"

    def fits(self, remote_host: str | None, remote_port: int | None, local_port: int | None) -> bool:
        """Whether it is what is given."""
        given = (
            (remote_host, self.remote_host),
            (remote_port, self.remote_port),
            (local_port, self.local_port),
        )
        return all(wanted in (None, own) for wanted, own in given)

    def use(self, user: Duct | None) -> None:
        """Note that a duct uses it, or that it was asked for explicitly."""
        if user is None:
            self.asked_for = True
        else:
            self._users[id(user)] = weakref.ref(user)

    def drop_user(self, duct: Duct) -> bool:
        """Note that a duct, which may be about to go for good, uses it no longer; whether it did."""
        return self._users.pop(id(duct), None) is not None

    @property
    def is_wanted(self) -> bool:
        """Whether anybody uses it."""
        return self.asked_for or bool(self._users)

    def lose_users(self, reason: str) -> None:
        """Tell the ducts that use it that their connections have gone."""
        for reference in list(self._users.values()):
            duct = reference()
            if duct is not None:
                duct._life.lose(reason)


class Forwards:
    """The forwards of one remote.

    A target keeps its local port for as long as the remote lives, also over a reconnect.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], Forward] = {}
        self._ports: dict[tuple[str, int], int] = {}
        self._turns: dict[tuple[str, int], threading.RLock] = {}
        self.interrupted: list[Forward] = []
        """Those that were asked for, and are to come back with the connection."""

    def __iter__(self) -> Iterator[Forward]:
        return iter(list(self._open.values()))

    def turn(self, remote_host: str, remote_port: int) -> threading.RLock:
        """Who holds this starts or stops the forward to a target; others do not wait for that."""
        return self._turns.setdefault((remote_host, remote_port), threading.RLock())

    def find(
        self, remote_host: str | None = None, remote_port: int | None = None, local_port: int | None = None
    ) -> list[Forward]:
        """The forwards that fit what is given."""
        return [f for f in self if f.fits(remote_host, remote_port, local_port)]

    def give_up(self, remote_host: str | None, remote_port: int | None, local_port: int | None) -> bool:
        """Let those that fit not come back with the connection; whether there are any."""
        before = self.interrupted
        self.interrupted = [f for f in before if not f.fits(remote_host, remote_port, local_port)]
        return len(self.interrupted) < len(before)

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

    def drop(self, forward: Forward) -> bool:
        """Note that a forward is being stopped; whether it was still one."""
        target = forward.remote_host, forward.remote_port
        if self._open.get(target) is not forward:
            return False
        del self._open[target]
        return True
