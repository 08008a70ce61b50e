"""A relay between a client and a server, through which a link can be frozen, cut and refused."""

from __future__ import annotations

import contextlib
import queue
import select
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType

from tests.services.ports import Port, bound

PATIENCE = 20.0  # seconds
CHUNK = 65536


class Proxy:
    """Relays what comes to its port to a target; a context manager.

    One thread owns all its sockets; what the methods ask for is done there.

    Attributes
    ----------
    port : int
        Where it listens, on loopback.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = target_host, target_port
        self._port = Port()
        self.port = self._port.number
        self._links: list[_Link] = []
        self._frozen = self._closed = False
        self._asked: queue.SimpleQueue[tuple[Callable[[], None], Future[None]]] = queue.SimpleQueue()
        self._woken, self._wake = socket.socketpair()
        self._listener: socket.socket | None = None
        self._listen()
        self._thread = threading.Thread(target=self._serve, name="proxy", daemon=True)
        self._thread.start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def count(self) -> int:
        """How many connections there are. While it is frozen it does not see one end."""
        return len(self._links)

    def freeze(self) -> None:
        """Go on taking connections, and pass no byte and no end of a connection, either way."""
        self._do(lambda: self._freeze(True))

    def thaw(self) -> None:
        """Pass what has come meanwhile, and all that comes."""
        self._do(lambda: self._freeze(False))

    def cut(self, reset: bool = True) -> None:
        """End all connections at both ends: with a reset, or as if the other end had closed it."""
        self._do(lambda: self._cut(reset))

    def refuse(self) -> None:
        """Take no more connections; those there are go on."""
        self._do(self._stop_listening)

    def accept(self) -> None:
        """Take connections again, at the same port."""
        self._do(self._listen)

    def close(self) -> None:
        """End it, and its connections."""
        if not self._closed:
            self._do(self._end)
            self._thread.join(PATIENCE)
            for each in (self._woken, self._wake, self._port):
                each.close()

    def _do(self, action: Callable[[], None]) -> None:
        done: Future[None] = Future()
        self._asked.put((action, done))
        self._wake.send(b".")
        done.result(PATIENCE)

    def _serve(self) -> None:
        while not self._closed:
            poll, links = self._interests()
            ready = dict(poll.poll())
            if self._woken.fileno() in ready:
                self._woken.recv(1)
                self._obey()
                continue  # as what was ready may be closed now
            if self._listener is not None and self._listener.fileno() in ready:
                self._take(self._listener)
            for number in ready.keys() & links.keys():
                self._relay(*links[number], ready[number])

    def _interests(self) -> tuple[select.poll, dict[int, tuple[_Link, socket.socket]]]:
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        if self._listener is not None:
            poll.register(self._listener, select.POLLIN)
        links = {}
        for link in [] if self._frozen else self._links:
            for end in link.ends:
                if events := link.events(end):
                    poll.register(end, events)
                    links[end.fileno()] = link, end
        return poll, links

    def _obey(self) -> None:
        action, done = self._asked.get()
        try:
            done.set_result(action())
        except Exception as error:
            done.set_exception(error)

    def _take(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            near, _ = listener.accept()
            far = socket.socket()
            for each in (near, far):
                each.setblocking(False)
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            far.connect_ex(self._target)  # if that fails, so does the first reading
            self._links.append(_Link((near, far)))

    def _relay(self, link: _Link, end: socket.socket, events: int) -> None:
        if link not in self._links:
            return  # its other end was closed in this round
        try:
            if events & select.POLLOUT:
                link.write(end)
            else:
                link.read(end)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(link, reset=True)
        if link.is_done:
            self._drop(link, reset=False)

    def _drop(self, link: _Link, reset: bool) -> None:
        if link in self._links:
            self._links.remove(link)
            link.close(reset)

    def _freeze(self, frozen: bool) -> None:
        self._frozen = frozen

    def _cut(self, reset: bool) -> None:
        for link in list(self._links):
            self._drop(link, reset)

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = bound(self.port)
            self._listener.setblocking(False)
            self._listener.listen(128)

    def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def _end(self) -> None:
        self._stop_listening()
        self._cut(reset=False)
        self._closed = True


@dataclass(eq=False)
class _Link:
    """The two ends of a connection, and what was read at one and is not written to the other yet."""

    ends: tuple[socket.socket, socket.socket]
    waiting: dict[socket.socket, bytes] = field(default_factory=dict)  # for the end that is its key
    is_ending: bool = False

    def events(self, end: socket.socket) -> int:
        """What to wait for at an end."""
        if self.waiting.get(end):
            return select.POLLOUT
        return 0 if self.is_ending or self.waiting.get(self._other(end)) else select.POLLIN

    def read(self, end: socket.socket) -> None:
        data = end.recv(CHUNK)
        self.waiting[self._other(end)] = data
        self.is_ending = not data

    def write(self, end: socket.socket) -> None:
        sent = end.send(self.waiting[end])
        self.waiting[end] = self.waiting[end][sent:]

    @property
    def is_done(self) -> bool:
        """Whether an end has closed, and all was passed on."""
        return self.is_ending and not any(self.waiting.values())

    def close(self, reset: bool) -> None:
        for end in self.ends:
            if reset:
                # To linger for no time is to reset.
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                # Closed with bytes unread, a socket would send a reset.
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_WR)
                    while end.recv(CHUNK):
                        pass
            end.close()

    def _other(self, end: socket.socket) -> socket.socket:
        return self.ends[1] if end is self.ends[0] else self.ends[0]
