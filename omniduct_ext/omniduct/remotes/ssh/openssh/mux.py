"""What a master of OpenSSH does for others: the protocol of its control socket.

The program `ssh` speaks it with ``-S``. Spoken from here there is no process for each command, what goes
wrong is told by more than an exit code, and nothing connects anew by itself when the master has gone.

Source: the file PROTOCOL.mux of OpenSSH, which has been version 4 since OpenSSH 5.4.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["Control", "Passenger", "Refused"]

_VERSION = 4
_HELLO = 0x00000001
_NEW_SESSION, _ALIVE_CHECK, _TERMINATE = 0x10000002, 0x10000004, 0x10000005
_OPEN_FORWARD, _CLOSE_FORWARD, _NEW_STDIO_FORWARD = 0x10000006, 0x10000007, 0x10000008
_PROXY = 0x1000000F
_OK, _DENIED, _FAILURE, _EXIT = 0x80000001, 0x80000002, 0x80000003, 0x80000004
_ALIVE, _OPENED, _PROXIED = 0x80000005, 0x80000006, 0x8000000F

_LOCAL = 1  # the kind of a forward
_NO_ESCAPE = 0xFFFFFFFF
_LARGEST = 256 << 10  # bytes of a packet
_CHANNEL_OPEN = 90  # a message of SSH itself (RFC 4254)


class Refused(Exception):
    """The master, or the server behind it, refuses; with what is said of it."""


class Control:
    """The control socket of a master.

    Whatever fails raises `Refused`; a master that has gone `ConnectionError`, and one that is not heard of in
    time `TimeoutError`.

    Parameters
    ----------
    path : Path
        The socket.
    timeout : float, optional
        Seconds in which it, and the server where that is asked, has to answer.
    """

    def __init__(self, path: Path, timeout: float | None = None) -> None:
        self.path = path
        self._timeout = timeout

    def pid(self) -> int:
        """The master's process; says nothing of the server."""
        with self._talk() as talk:
            kind, body = talk.ask(_ALIVE_CHECK, b"")
            if kind != _ALIVE:
                raise Refused("it does not say that it is alive")
            return struct.unpack_from(">I", body, 4)[0]  # type: ignore[no-any-return]

    def end(self) -> None:
        """Let the master end, and with it all that it carries."""
        with self._talk() as talk, contextlib.suppress(ConnectionError):  # it may be faster than its answer
            talk.ask(_TERMINATE, b"")

    def forward(self, local: tuple[str, int], far: tuple[str, int]) -> None:
        """Listen at a place here, and lead who connects to one that is seen from the server."""
        with self._talk() as talk:
            talk.ask(_OPEN_FORWARD, _forward(local, far))

    def cancel(self, local: tuple[str, int], far: tuple[str, int]) -> None:
        """End a forward; connections through it go on."""
        with self._talk() as talk:
            talk.ask(_CLOSE_FORWARD, _forward(local, far))

    def reach(self, host: str, port: int) -> None:
        """Have the server connect to a place, and let go of it; refused where nothing answers."""
        near, far = socket.socketpair()
        with near, far, self._talk() as talk:
            body = _text(b"") + _text(host.encode()) + struct.pack(">I", port)
            talk.ask(_NEW_STDIO_FORWARD, body, [far.fileno(), far.fileno()])

    def answers(self) -> None:
        """Wait until the server answers: it opens a session in which nothing is run.

        A master ends when this is given up before that, and so it takes no timeout.
        """
        assert self._timeout is None
        with self._talk() as talk:
            talk.ask(_PROXY, b"")
            talk.send(
                0, bytes([0, _CHANNEL_OPEN]) + _text(b"session") + struct.pack(">III", 0, 1 << 15, 1 << 15)
            )
            # Whatever it says. The master closes what was opened: closed from here, too, it would be closed
            # twice, now and then, for which servers end the whole connection.
            talk.receive()

    def run(self, command: str, files: Sequence[int], environment: Sequence[str] = ()) -> Passenger:
        """Run a command there, with these as its input and outputs."""
        return self._session(command, False, files, environment)

    def subsystem(self, name: str, files: Sequence[int]) -> Passenger:
        """Start a subsystem of the server's, with these as its input and outputs."""
        return self._session(name, True, files, ())

    def _session(
        self, command: str, is_subsystem: bool, files: Sequence[int], environment: Sequence[str]
    ) -> Passenger:
        body = b"".join(
            (
                _text(b""),
                struct.pack(">IIIII", 0, 0, 0, is_subsystem, _NO_ESCAPE),  # no terminal, X11 or agent
                _text(b""),
                *(_text(os.fsencode(each)) for each in (command, *environment)),
            )
        )
        if len(body) > _LARGEST - 64:
            raise Refused(f"it is too long: {len(body):,} bytes")
        talk = self._talk()
        try:
            talk.ask(_NEW_SESSION, body, files)
            return Passenger(talk)
        except BaseException:
            talk.close()
            raise

    def _talk(self) -> _Talk:
        return _Talk(self.path, self._timeout)


class Passenger:
    """A session of a server's, which ends when this is closed.

    Attributes
    ----------
    exit_code : int or None
        That of the command, once it is known; it stays None where a signal ended the command.
    """

    def __init__(self, talk: _Talk) -> None:
        self._talk: _Talk | None = talk
        self._received = bytearray()
        self.exit_code: int | None = None
        talk.socket.setblocking(False)

    def fileno(self) -> int:
        """What to wait at for `has_ended`."""
        assert self._talk is not None
        return self._talk.socket.fileno()

    def has_ended(self) -> bool:
        """Take what the master says; whether it says no more."""
        assert self._talk is not None
        try:
            data = self._talk.socket.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self._received += data
        while len(self._received) >= 4:
            size = 4 + int.from_bytes(self._received[:4], "big")
            if len(self._received) < size:
                break
            kind, *rest = struct.unpack_from(f">{(size - 4) // 4}I", self._received, 4)
            if kind == _EXIT:
                self.exit_code = rest[1]
            del self._received[:size]
        return not data

    def close(self) -> None:
        """End the session."""
        talk, self._talk = self._talk, None
        if talk is not None:
            talk.close()


class _Talk:
    """A conversation with a master."""

    def __init__(self, path: Path, timeout: float | None) -> None:
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._set_timeout()
            self._connect(path)
            self.send(_HELLO, struct.pack(">I", _VERSION))
            kind, version = struct.unpack_from(">II", self.receive())
            if (kind, version) != (_HELLO, _VERSION):
                raise Refused(f"it speaks version {version} of the language of its control socket")
        except BaseException:
            self.socket.close()
            raise

    def _connect(self, path: Path) -> None:
        try:
            self.socket.connect(os.fspath(path))
        except TimeoutError:
            raise
        except OSError as error:  # it is about no file of anybody's
            raise ConnectionError("ssh has ended, and with it the connection") from error

    def __enter__(self) -> _Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # in a forked child, too, it ends
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def ask(self, kind: int, body: bytes, files: Sequence[int] = ()) -> tuple[int, bytes]:
        """Ask for something, and wait until it is granted; open files go along."""
        self.send(kind, struct.pack(">I", 0) + body)
        for file in files:
            socket.send_fds(self.socket, [b"\0"], [file])
        answer = self.receive()
        granted = int.from_bytes(answer[:4], "big")
        if granted in (_DENIED, _FAILURE):
            size = int.from_bytes(answer[8:12], "big")
            raise Refused(answer[12 : 12 + size].decode(errors="replace"))
        return granted, answer[4:]

    def send(self, kind: int, body: bytes) -> None:
        """Send a packet; one of SSH itself has no kind."""
        packet = (struct.pack(">I", kind) if kind else b"") + body
        self._set_timeout()
        self.socket.sendall(struct.pack(">I", len(packet)) + packet)

    def receive(self) -> bytes:
        """The next packet."""
        size = int.from_bytes(self._exactly(4), "big")
        if size > _LARGEST:
            raise Refused("it does not speak the language of a control socket")
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            self._set_timeout()
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise ConnectionError("the master has ended the conversation")
            data += piece
        return data

    def _set_timeout(self) -> None:
        left = None if self._deadline is None else self._deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("no answer in time")
        self.socket.settimeout(left)


def _text(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _forward(local: tuple[str, int], far: tuple[str, int]) -> bytes:
    places = (_text(host.encode()) + struct.pack(">I", port) for host, port in (local, far))
    return struct.pack(">I", _LOCAL) + b"".join(places)
