"""Both ends of a connection that carries many bytes: each a process of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

__all__ = ["DOWN", "UP", "far_end", "far_port", "seconds"]

DOWN, UP = "500 MiB down", "500 MiB up"

_SIZE = 500 << 20
_PIECE = bytes(1 << 20)
_ASKED = {DOWN: b"d", UP: b"u"}
_GIVEN = "OMNIDUCT_BENCHMARK_FAR_END"


@contextlib.contextmanager
def far_end() -> Iterator[Mapping[str, str]]:
    """Start a process that gives and takes bytes at a port."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield {_GIVEN: process.stdout.readline().strip()}
    finally:
        process.kill()
        process.communicate()


def far_port() -> int:
    """The port of the process that was started."""
    return int(os.environ[_GIVEN])


def seconds(what: str, port: int) -> float:
    """How long a process takes to read or write all at a port, from connecting until all is there."""
    done = subprocess.run(
        [sys.executable, __file__, what, str(port)], capture_output=True, check=True, text=True
    )
    return float(done.stdout)


def _serve() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                _answer(connection)


def _answer(connection: socket.socket) -> None:
    asked = connection.recv(1)
    if asked == _ASKED[DOWN]:
        _send(connection)
    elif asked == _ASKED[UP]:
        connection.sendall(str(_received(connection)).encode())


def _send(connection: socket.socket) -> None:
    for _ in range(_SIZE // len(_PIECE)):
        connection.sendall(_PIECE)


def _received(connection: socket.socket) -> int:
    """Read until all is there: not until one side ends, as sshtunnel ends the other with it."""
    total, buffer = 0, bytearray(len(_PIECE))
    while total < _SIZE and (count := connection.recv_into(buffer)):
        total += count
    return total


def _measure(what: str, port: int) -> None:
    start = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(_ASKED[what])
        if what == DOWN:
            count = _received(connection)
        else:
            _send(connection)
            count = int(connection.recv(32))
    took = time.perf_counter() - start
    assert count == _SIZE, f"{count} bytes went through"
    print(took)


if __name__ == "__main__":
    if sys.argv[1:]:
        _measure(sys.argv[1], int(sys.argv[2]))
    else:
        _serve()
