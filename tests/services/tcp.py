"""A real service on loopback, a duct that speaks to it, and a remote that relays to it.

The service answers lines of text. A session begins with ``login USER PASSWORD``; it can also be used
as a bastion, as it says what it can reach (``probe HOST PORT``) and pipes bytes (``forward HOST PORT``).
"""

from __future__ import annotations

import contextlib
import gc
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

from omniduct.credentials import Question
from omniduct.duct import Duct
from omniduct.errors import DuctAuthenticationError
from omniduct.remotes.base import RemoteClient

LOOPBACK = "127.0.0.1"
PATIENCE = 60.0  # seconds after which a test is stuck


def until(condition: Callable[[], object], what: str = "") -> None:
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what or condition}"
        time.sleep(0.001)


def wait(event: threading.Event) -> None:
    """Wait for an event that has to come."""
    assert event.wait(PATIENCE), "an event never came"


def run(target: Callable[[], object], count: int = 1) -> list[threading.Thread]:
    """Start threads; `join` collects them."""
    threads = [threading.Thread(target=target, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def join(threads: list[threading.Thread]) -> None:
    """Wait for threads that have to end."""
    deadline = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        assert not thread.is_alive(), "a thread is stuck"


def waiting_in(*functions: Callable[..., Any]) -> int:
    """How many threads wait for another one, somewhere beneath one of these functions."""
    codes = {function.__code__ for function in functions}
    gc.disable()  # what it collects may let other threads run, and Python holds a lock of its own meanwhile
    try:
        frames = sys._current_frames()
    finally:
        gc.enable()
    return sum(_is_waiting_in(frame, codes) for frame in frames.values())


def _is_waiting_in(frame: FrameType | None, codes: set[CodeType]) -> bool:
    if frame is None or frame.f_code is not threading.Condition.wait.__code__:
        return False
    while frame is not None and frame.f_code not in codes:
        frame = frame.f_back
    return frame is not None


def unused_port() -> int:
    """A port at which nothing answers."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether something listens on a local port."""
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=PATIENCE):
        return True
    return False


@contextlib.contextmanager
def frozen_port() -> Iterator[int]:
    """A port that takes no connection and refuses none: its backlog is full."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        yield address[1]


class Service:
    """The service. `stop` breaks all its connections; `start` brings it back on the same port."""

    def __init__(self, host: str = LOOPBACK, password: str | None = None) -> None:
        self.host, self.port = host, 0
        self.password = password
        self.logins: list[tuple[str, str]] = []
        self.pings = 0
        self.byes = 0
        self.open: set[socket.socket] = set()
        self._sessions: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.start()

    def start(self) -> Service:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.listen(512)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return self

    def stop(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            _end(listener)
            listener.close()
        self.drop_sessions()

    def drop_sessions(self) -> None:
        """Break the connections, and go on listening."""
        for connection in list(self.open):
            _end(connection)
        until(lambda: not self.open, "the end of the service's connections")

    @property
    def sessions(self) -> int:
        """The number of sessions that are logged in."""
        return len(self._sessions)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self, listener: socket.socket) -> None:
        for connection in accepted(listener):
            self.open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rwb", buffering=0) as lines:
                for line in lines:
                    words = line.decode().split(" ")
                    reply = self._reply(connection, words[0].strip(), [w.strip() for w in words[1:]])
                    if reply is None:
                        return
                    lines.write(f"{reply}\n".encode())
        except (OSError, ValueError):
            pass
        finally:
            self._sessions.discard(connection)
            self.open.discard(connection)

    def _reply(self, connection: socket.socket, command: str, words: list[str]) -> str | None:
        if command == "login":
            self.logins.append((words[0], words[1]))
            if self.password not in (None, words[1]):
                return f"wrong password {words[1]}"
            self._sessions.add(connection)
            return "welcome"
        if command == "ping":
            self.pings += 1
            return "pong"
        if command == "bye":
            self.byes += 1
            self._sessions.discard(connection)
            return "bye"
        if command == "probe":
            return "yes" if _reachable(words) else "no"
        if command == "forward":
            _pipe_both_ways(connection, socket.create_connection((words[0], int(words[1]))))
            return None
        return " ".join(words)


def accepted(listener: socket.socket) -> Iterator[socket.socket]:
    """The connections to a listener, until another thread closes it."""
    while True:
        try:
            listener.settimeout(0.1)  # where closing does not end a wait
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        except OSError:
            return
        yield connection


def _reachable(words: list[str]) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((words[0], int(words[1])), timeout=1):
        return True
    return False


def _end(connection: socket.socket) -> None:
    """End a connection that another thread may be reading; that thread closes it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _pipe(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    _end(sink)
    _end(source)


def _pipe_both_ways(one: socket.socket, other: socket.socket) -> None:
    """Pipe until one of them ends."""
    with one, other:
        back = run(lambda: _pipe(other, one))
        _pipe(one, other)
        join(back)


class Line:
    """A client's connection to the service."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=PATIENCE)
        self._lines = self._socket.makefile("rwb", buffering=0)
        self._lock = threading.Lock()

    def ask(self, text: str) -> str:
        """Send a line and return the answer."""
        with self._lock:
            self._lines.write(f"{text}\n".encode())
            answer = self._lines.readline().decode()
        if not answer:
            raise ConnectionResetError("the service hung up")
        return answer.removesuffix("\n")

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


class _Client(Duct):
    """What the duct and the remote have in common: a session with the service."""

    line: Line | None = None

    def _connect(self) -> None:
        self.line = Line(self.host, self.port)
        answer = self.line.ask(f"login {self.username} {self.password}")
        if answer != "welcome":
            raise DuctAuthenticationError(f"{self.name}: {answer}")

    def _is_connected(self) -> bool:
        return self.line is not None and self.line.ask("ping") == "pong"

    def _disconnect(self) -> None:
        line, self.line = self.line, None
        if line is not None:
            try:
                line.ask("bye")
            finally:
                line.close()


class TcpDuct(_Client):
    """A duct that speaks to the service; `ask` is its public operation."""

    def ask(self, text: str) -> str:
        self.connect()
        assert self.line is not None
        return self.line.ask(f"echo {text}")


class Forwarder:
    """A local port whose connections go on through a bastion."""

    def __init__(self, local_port: int, bastion: tuple[str, int], target: tuple[str, int]) -> None:
        self._bastion, self._target = bastion, target
        self._open: set[socket.socket] = set()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((LOOPBACK, local_port))
        self._listener.listen()
        self._threads = run(self._accept)

    def _accept(self) -> None:
        for connection in accepted(self._listener):
            self._open.add(connection)
            threading.Thread(target=self._relay, args=(connection,), daemon=True).start()

    def _relay(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            bastion = socket.create_connection(self._bastion)
            self._open.add(bastion)
            bastion.sendall(f"forward {self._target[0]} {self._target[1]}\n".encode())
            _pipe_both_ways(connection, bastion)

    def close(self) -> None:
        _end(self._listener)
        self._listener.close()
        join(self._threads)
        for connection in list(self._open):
            _end(connection)


class Relay(_Client, RemoteClient):
    """A remote whose forwards really carry bytes, through a `Service` that is its bastion."""

    def _init(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.stopped: list[tuple[str, int]] = []

    def _is_port_bound(self, host: str, port: int) -> bool:
        assert self.line is not None
        return self.line.ask(f"probe {host} {port}") == "yes"

    def _port_forward_start(self, local_port: int, remote_host: str, remote_port: int) -> Forwarder:
        self.started.append((remote_host, remote_port))
        return Forwarder(local_port, (self.host, self.port), (remote_host, remote_port))

    def _port_forward_stop(
        self, local_port: int, remote_host: str, remote_port: int, connection: Any
    ) -> None:
        self.stopped.append((remote_host, remote_port))
        connection.close()


class Answers:
    """A person who answers questions: the answers in order, and what was asked."""

    patient = False

    def __init__(self, *given: str) -> None:
        self.given = list(given)
        self.asked: list[str] = []

    def can_ask(self) -> bool:
        return True

    def ask(self, question: Question) -> str | bool:
        self.asked.append(question.field)
        return self.given.pop(0)

    def withdraw(self, question: Question) -> None:
        raise AssertionError("a person at a terminal is not interrupted")
