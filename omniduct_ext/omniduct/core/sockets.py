"""The socket beneath a driver's connection: to see that it was closed, and to end a call that hangs on it.

Drivers in C do not hand their socket out. It is found among this process's open files: the one that was
not there before connecting, and that leads to the service.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Wire", "connected"]

_Connection = TypeVar("_Connection")

_FOLDERS = ("/proc/self/fd", "/dev/fd")
_connecting: dict[int, threading.Lock] = {}  # by port


def _new_locks() -> None:
    _connecting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_locks)  # else one that is held now is held there for ever


class Wire:
    """A second handle on the socket of a connection; without one nothing is known, and nothing done.

    Parameters
    ----------
    handle : socket.socket, optional
        A duplicate, which this owns.
    """

    def __init__(self, handle: socket.socket | None) -> None:
        self._handle = handle

    def stirs(self) -> bool:
        """Whether the far side has closed the connection, or said something that nobody had asked for.

        A service says why before it closes a connection. Nobody must be using the connection now.
        """
        if self._handle is None:
            return False
        try:
            self._handle.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def sever(self) -> None:
        """End the connection: who waits for an answer on it gets an error at once."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the handle; the connection itself stays."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()


def connected(connect: Callable[[], _Connection], port: int | None) -> tuple[_Connection, Wire]:
    """Connect, and find the socket that this opened to a port of the service.

    Where several threads connect to one port at once the socket cannot be told from theirs, so they take
    turns.
    """
    if port is None or not hasattr(socket, "MSG_DONTWAIT"):
        return connect(), Wire(None)
    with _connecting.setdefault(port, threading.Lock()):
        before = _sockets_to(port)
        connection = connect()
        new = _sockets_to(port).keys() - before.keys()
        handle = _duplicate(_sockets_to(port)[new.pop()]) if len(new) == 1 else None
    return connection, Wire(handle)


def _sockets_to(port: int) -> dict[tuple[object, ...], int]:
    """The sockets of this process that lead to a port: near and far end -> file number."""
    found: dict[tuple[object, ...], int] = {}
    folder = next(filter(os.path.isdir, _FOLDERS), None)
    for name in os.listdir(folder) if folder else ():
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as handle:
                ends = handle.getsockname(), handle.getpeername()
                if handle.family in (socket.AF_INET, socket.AF_INET6) and ends[1][1] == port:
                    found[ends] = int(name)
    return found


def _duplicate(number: int) -> socket.socket | None:
    try:
        return socket.socket(fileno=os.dup(number))
    except OSError:  # closed again meanwhile
        return None
