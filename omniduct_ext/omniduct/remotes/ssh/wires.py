"""What a connection's packets travel over, and when the other side was last heard of."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any

__all__ = ["Program", "Wire"]

_READ = 256 << 10  # bytes
_SAID = 64 << 10  # bytes of complaints
_END = 2.0  # seconds that a program has to end


class Wire:
    """A socket, or what is like one, that is read in large pieces.

    paramiko reads a packet in two small ones, each with a call of the system.

    Parameters
    ----------
    inner : socket.socket, paramiko.Channel or Program
        What it leads over.

    Attributes
    ----------
    heard : float
        When something last came, on the clock of `time.monotonic`.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._held = memoryview(b"")
        self.heard = time.monotonic()

    def recv(self, size: int) -> bytes:
        """What has come, at most that many bytes."""
        if not self._held:
            self._held = memoryview(self._inner.recv(_READ))
            self.heard = time.monotonic()
        piece, self._held = bytes(self._held[:size]), self._held[size:]
        return piece

    def is_stuck(self) -> bool:
        """Whether the other machine's system is known not to have confirmed all that was sent."""
        inner = self._inner
        if sys.platform != "linux" or not isinstance(inner, socket.socket):
            return False
        import fcntl
        import termios

        with contextlib.suppress(OSError, ValueError):  # it was closed
            return any(fcntl.ioctl(inner.fileno(), termios.TIOCOUTQ, bytes(4)))
        return False

    def let_go(self) -> None:
        """In a forked child: close the socket that was inherited."""
        inner = self._inner._socket if isinstance(self._inner, Program) else self._inner
        if isinstance(inner, socket.socket):
            inner.close()

    def said(self) -> str:
        """What the program that it leads over has complained of, if it is one."""
        return self._inner.said() if isinstance(self._inner, Program) else ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Program:
    """A program whose input and output lead to a machine, used like the socket that it has for both.

    Parameters
    ----------
    command : str
        For the shell.

    Raises
    ------
    OSError
        There is no shell.
    """

    def __init__(self, command: str) -> None:
        near, far = socket.socketpair()
        self._socket = near
        self._said = ""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with it
        with far:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=far.fileno(),
                stdout=far.fileno(),
                stderr=self._errors,
                start_new_session=True,  # Control and C is not for it
            )

    def said(self) -> str:
        """The last line of what it complained of; once it is closed, of all."""
        if not self._errors.closed:
            text = os.pread(self._errors.fileno(), _SAID, 0)  # it writes where a seek would lead it
            lines = text.decode(errors="replace").strip().splitlines()
            self._said = lines[-1] if lines else ""
        return self._said

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._socket.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_END)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.said()
        self._errors.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)
