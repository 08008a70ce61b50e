"""Forwards of local ports over a connection that is there: sshtunnel's, handed a transport of ours.

sshtunnel would log in again by itself, without the keys of machines checked, and pumps small pieces both ways
in one thread.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from omniduct.remotes.forwarding import LOOPBACK

if TYPE_CHECKING:
    from paramiko import Channel

    from omniduct.remotes.ssh.transport import Line

__all__ = ["tunnel"]

logger = logging.getLogger("omniduct.sshtunnel")
if logger.level == logging.NOTSET:  # else somebody wants to see it
    logger.setLevel(logging.CRITICAL)  # what goes wrong is said by who uses the forward

_PIECE = 256 << 10  # bytes
_TOLD = (
    1 << 20
)  # bytes that went on before the other side is told: its window is as large as `transport` says
_PATIENCE = 10.0  # seconds, for the far side to say whether something answers


def tunnel(line: Line, local_port: int, host: str, port: int) -> Any:
    """Forward a port of this machine's loopback to a place that is seen from the other machine.

    Parameters
    ----------
    line : Line
        It stays when the forward ends.
    local_port : int
        On 127.0.0.1.
    host, port
        The place.

    Returns
    -------
    sshtunnel.SSHTunnelForwarder
        It has begun. ``stop()`` ends it and all that goes through it; ``let_go()`` is for a forked child.

    Raises
    ------
    OSError
        Something listens on the local port.
    """
    forwarder = _forwarder_class()(line, local_port, host, port)
    forwarder.start()
    return forwarder


@functools.cache
def _forwarder_class() -> type:
    import sshtunnel

    class Tunnel(sshtunnel.SSHTunnelForwarder):  # type: ignore[misc]
        """A forward over a transport that is not its own."""

        daemon_forward_servers = True
        daemon_transport = True
        _server_list: list[Any]

        def __init__(self, line: Line, local_port: int, host: str, port: int) -> None:
            self._ours = line.transport
            self._relays = _Relays(line, (host, port))
            super().__init__(
                (LOOPBACK, 22),  # never connected to
                ssh_config_file=None,
                ssh_username="-",
                ssh_password="-",
                allow_agent=False,
                host_pkey_directories=[],
                local_bind_address=(LOOPBACK, local_port),
                remote_bind_address=(host, port),
                logger=logger,
                threaded=True,
            )

        def _connect_to_gateway(self) -> None:
            self._transport = self._ours

        def _make_ssh_forward_handler_class(self, remote_address_: Any) -> type:
            def handle(handler: Any) -> None:
                self._relays.relay(handler.request)

            return type(
                "Relay", (sshtunnel._ForwardHandler,), {"remote_address": remote_address_, "handle": handle}
            )

        def _raise(self, exception: Any = None, reason: Any = None) -> None:
            raise OSError(reason)

        def _stop_transport(self, force: bool = False) -> None:
            """End the forward and what goes through it; the transport is others' too."""
            for server in self._server_list:
                server.shutdown()
                server.server_close()
            self._relays.close()
            self.is_alive = False

        def let_go(self) -> None:
            """In a forked child: close what was inherited, without a word to anybody."""
            for server in self._server_list:
                server.socket.close()
            self._relays.let_go()
            self._server_list, self.is_alive = [], False

    return Tunnel


class _Relays:
    """The connections through one forward."""

    def __init__(self, line: Line, target: tuple[str, int]) -> None:
        self._line = line
        self._target = target
        self._open: set[socket.socket] = set()

    def relay(self, local: socket.socket) -> None:
        """Carry a connection over, each way by a pump of its own, until both ways have ended."""
        try:
            channel = self._line.channel_to(*self._target, _PATIENCE, "a forward", local.getpeername())
        except Exception:  # whoever connected finds the connection closed
            logger.debug("opening a channel to %s", self._target, exc_info=True)
            return
        _lead(channel, local)
        self._open.add(local)
        try:
            with contextlib.suppress(OSError):
                local.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            up = threading.Thread(
                target=_pump_up, args=(local, channel), name="omniduct forwards", daemon=True
            )
            up.start()
            _pump_down(channel, local)
            up.join()
        finally:
            self._open.discard(local)
            channel.close()

    def close(self) -> None:
        """End all connections."""
        for local in list(self._open):
            with contextlib.suppress(OSError):
                local.shutdown(socket.SHUT_RDWR)

    def let_go(self) -> None:
        """Close them in a forked child, where nobody carries anything."""
        for local in list(self._open):
            local.close()


def _pump_up(local: socket.socket, channel: Channel) -> None:
    buffer = memoryview(bytearray(_PIECE))
    with contextlib.suppress(OSError, EOFError):
        while count := local.recv_into(buffer):
            channel.sendall(buffer[:count])
        channel.shutdown_write()


@functools.cache
def _sink_class() -> type:
    from paramiko.buffered_pipe import BufferedPipe

    class Sink(BufferedPipe):  # type: ignore[misc]
        """Where a channel keeps what comes: here the thread that brings it puts it on into a socket.

        Only what the socket does not take at once is kept, for the thread that reads, which beside that tells
        the other side how much has gone. So threads take turns once in a while, and not for every packet.
        """

        local: socket.socket
        gone = 0  # bytes since the other side was told
        is_read = False  # whether what was kept is on its way

        def feed(self, data: bytes) -> None:
            """Take what came."""
            with self._lock:
                sent = 0 if self._buffer or self.is_read else self._sent_at_once(data)
                self.gone += sent
                if sent < len(data):
                    self._buffer_frombytes(data[sent:])
                if self._buffer or self.gone >= _TOLD:
                    self._cv.notify_all()

        def _sent_at_once(self, data: bytes) -> int:
            try:
                return self.local.send(data, socket.MSG_DONTWAIT)
            except OSError:  # it takes no more now, or ever: whoever reads finds out
                return 0

        def read(self, nbytes: int, timeout: float | None = None) -> Sequence[int]:
            """Wait until something has gone on; what is returned is as long as that. Empty at the end.

            Raises
            ------
            OSError
                The socket takes no more.
            """
            with self._lock:
                while not (self._buffer or self.gone >= _TOLD or self._closed):
                    self._cv.wait()
                gone, self.gone = self.gone, 0
                kept = self._buffer_tobytes()
                del self._buffer[:]
                self.is_read = bool(kept)
            try:
                self.local.sendall(kept)
            finally:
                self.is_read = False
            return range(gone + len(kept))

    return Sink


def _lead(channel: Channel, local: socket.socket) -> None:
    """Have what comes through a channel go on into a socket.

    The buffer stays the same object: something may just be coming in.
    """
    buffer: Any = channel.in_buffer
    buffer.local = local
    buffer.__class__ = _sink_class()


def _pump_down(channel: Channel, local: socket.socket) -> None:
    try:
        while channel.recv(_PIECE):  # not the bytes: how many have gone
            pass
        local.shutdown(socket.SHUT_WR)
    except (OSError, EOFError):
        with contextlib.suppress(OSError):  # the other pump is to end, too
            local.shutdown(socket.SHUT_RDWR)
